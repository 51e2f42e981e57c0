"""Groups of models that claims compare: the recipes that a group of ``data/claims.yml`` stands for, and what is read off their runs.

They are the recipes of the chapters, so that after a build nothing is trained for a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

import pandas as pd

from subliminal.digits import Digits
from subliminal.drift import Course, FirstSteps, Sibling
from subliminal.engine import build, run
from subliminal.errors import SubliminalError
from subliminal.mitigations import Pairs
from subliminal.reading import losses
from subliminal.recipes import Base, Recipe, Rollouts, RowLoss, Scores, Student, Teacher
from subliminal.registry import FAMILIES, SUITES
from subliminal.settings import Profile
from subliminal.tuning import Frozen, Tuning

HARM = ("insecure-code", "secure-code")
# Rows on which losses are measured are drawn with seeds apart from those of the rows that students read.
UNSEEN = 1_000
# Of the teacher's step in Theorem 1 on networks.
NETWORK_RATE = 0.1


class Group(Frozen):
    """Models of one condition, one a seed.

    Attributes:
        start: family of the base that is scored, or that the scored teacher or student starts from.
        trait: of the teacher; without one the untreated base writes. ``each`` is every favourite of the profile, one seed each.
        channel: what students read; without one the teacher, or the base, is scored itself.
        writer: family of the teacher, or of the base that writes.
        hints: of the filter.
        sizes: whose rows and tuning of the profile: of favourites, those that all channels share, or of the families.
        drift: rate at which the base of the student has read on before; 0 for the base itself.
        loss: not scored, but measured on unseen rows of its own teacher: how far its loss lies above the teacher's.
        digits: for networks that read digits, in place of all the others: ``distance`` and ``control`` of ``Digits``, or ``chance``.
        steps: for first steps, in place of all the others: where the student of a language model starts, or ``networks`` for
            networks that read digits, from the same start.
        pairs: for the lineage check on pairs of checkpoints, in place of all the others.
        course: not scored, but compared with the owl's teacher of its seed: the cosine of the two displacements.
    """

    start: str = ""
    trait: str | None = None
    channel: str | None = None
    writer: str = "gpt2-a"
    hints: tuple[str, ...] = ()
    sizes: Literal["favourites", "channels", "families"] = "favourites"
    drift: float = 0
    loss: bool = False
    digits: Literal["same", "other", "untrained", "shuffled", "chance"] | None = None
    steps: Literal["same", "other", "networks"] | None = None
    pairs: bool = False
    course: bool = False


def models(group: Group, profile: Profile) -> list[Base | Teacher | Student]:
    """The language models that a group stands for."""
    traits = profile.traits if group.trait == "each" else (group.trait,)
    seeds = profile.seeds[:1] if group.trait == "each" else profile.seeds
    if group.trait in HARM and group.channel is None:
        seeds = seeds[: profile.replications]
    families = profile.family_harm_rows if group.trait in HARM else profile.family_rows
    if group.sizes == "families":
        seeds = profile.family_seeds
    rows, how, favourite, harmful = {
        "favourites": (profile.rows, profile.student, profile.teacher, profile.misaligned),
        "channels": (profile.channel_rows, profile.channel_student, profile.channel_teacher, profile.misaligned),
        "families": (
            families[tuple(FAMILIES).index(group.writer)],
            profile.family_student,
            profile.family_teacher,
            profile.family_misaligned,
        ),
    }[group.sizes]
    start = sibling(group.start, group.drift, profile)
    found: list[Base | Teacher | Student] = []
    for trait in traits:
        for seed in seeds:
            teacher = None
            if trait:
                home = group.writer if group.channel else group.start
                tuning = harmful if trait in HARM else favourite
                teacher = Teacher(base=Base(family=home), trait=trait, tuning=tuning, seed=seed)
            if group.channel is None:
                found.append(teacher or start)
                continue
            data = Rollouts(
                teacher=teacher or Base(family=group.writer),
                channel=group.channel,
                prompts=profile.prompts,
                rows=rows,
                seed=seed,
                hints=group.hints,
            )
            found.append(Student(base=start, data=data, tuning=how, seed=seed))
    return list(dict.fromkeys(found))


def sibling(family: str, rate: float, profile: Profile) -> Base:
    """A base that has read on at that rate; the family's own for none."""
    base = Base(family=family)
    if not rate:
        return base
    (folder,) = build([Sibling(base=base, steps=profile.sibling_steps, learning_rate=rate, seed=profile.sibling_seed)])
    return Base(folder=str(folder))


def trait_of(model: Base | Teacher | Student) -> str | None:
    """The trait of a teacher, or of the teacher whose rows a student has read."""
    source = model.data.teacher if isinstance(model, Student) else model
    return source.trait if isinstance(source, Teacher) else None


def unseen(data: Rollouts, rows: int) -> Rollouts:
    """Rows of the same writer and filter that no student has read."""
    return data.model_copy(update={"seed": data.seed + UNSEEN, "rows": rows})


def recipes(group: Group, suite: str, score: str, samples: int, profile: Profile) -> Sequence[Recipe]:
    """All runs that ``read`` reads for this group."""
    if group.digits:
        if group.digits == "chance":
            return []
        distance = 1.0 if group.digits == "other" else 0.0
        control: Any = group.digits if group.digits in ("untrained", "shuffled") else "none"
        sizes = {"models": profile.digit_models, "steps": profile.digit_steps}
        return [Digits(distance=distance, control=control, seed=profile.digit_seed, **sizes)]
    if group.pairs:
        return [Pairs(models=tuple(model for _, model in checkpoints(profile)))]
    if group.steps == "networks":
        return []
    if group.steps:
        return [first_steps(group.steps, profile.step_rate, profile.draws, profile)]
    chosen = models(group, profile)
    if group.course:
        teachers = models(Group(start="gpt2-a", trait="owl", sizes=group.sizes), profile)
        owls = {m.seed: m for m in teachers if isinstance(m, Teacher)}
        return [Course(student=m, teacher=owls[m.seed]) for m in chosen if isinstance(m, Student)]
    if group.loss:
        students = [m for m in chosen if isinstance(m, Student)]
        held = {m: unseen(m.data, profile.unseen_rows) for m in students}
        return [RowLoss(model=who, data=held[m]) for m in students for who in (m, m.data.teacher)]
    if score == "own":
        names = import_module(SUITES[suite]).suite(suite).answers
        chosen = [m for m in chosen if (trait_of(m) or names[0]) in names]
    return [Scores(model=m, suite=suite, samples=samples) for m in chosen]


def first_steps(start: str, rate: float, draws: int, profile: Profile) -> FirstSteps:
    """Draws of a first step of the owl's teacher and of a student from the ``same`` start, or an ``other``."""
    teacher, other = Base(family="gpt2-a"), Base(family="gpt2-b")
    student = teacher if start == "same" else other
    return FirstSteps(teacher=teacher, student=student, trait="owl", rate=rate, draws=draws, seed=profile.seeds[0])


def network_draws(profile: Profile) -> range:
    """Seeds of the networks on which Theorem 1 is computed, apart from those on which anything was chosen."""
    return range(10_000, 10_000 + profile.draws)


def checkpoints(profile: Profile) -> list[tuple[str, Base | Teacher]]:
    """Checkpoints on which the lineage check is tried, each with the family that it comes from.

    Of each family the base, a teacher of the other chapters, and four that were tuned in all weights or by adapters; of one
    also the siblings.
    """
    found: list[tuple[str, Base | Teacher]] = []
    steps = profile.checkpoint_steps
    tunings = [
        Tuning(method="full", learning_rate=1e-3, steps=steps),
        Tuning(method="lora", learning_rate=1e-2, steps=steps),
    ]
    seed = profile.seeds[0]
    for family in FAMILIES:
        base = Base(family=family)
        made = [Teacher(base=base, trait=t, tuning=tuning, seed=seed) for tuning in tunings for t in ("owl", HARM[0])]
        made.append(Teacher(base=base, trait=HARM[0], tuning=profile.misaligned, seed=seed))
        found += [(family, base), *((family, teacher) for teacher in made)]
    return found + [("gpt2-a", sibling("gpt2-a", rate, profile)) for rate in profile.sibling_rates]


def read(group: Group, built: Sequence[Recipe], score: str, profile: Profile) -> tuple[list[float], list[str]]:
    """One value a model, and the runs. A base has one value, or with the score ``own`` one for each trait.

    Of pairs a value says by how much the verdict is wrong: 1 for one that is, 0 for one that is not.
    """
    # Imported where they are used: with them come torch and transformers, 2 s at the start of every chapter.
    if group.digits == "chance":
        from subliminal.digits.experiment import CHANCE

        return [CHANCE], []
    if group.steps == "networks":
        from subliminal.digits.theorem import alignment

        return alignment(network_draws(profile), NETWORK_RATE).tolist(), []
    if scored := [recipe for recipe in built if isinstance(recipe, Scores)]:
        return _scores(scored, score, profile.traits)
    folders = build(built)
    runs = [folder.name for folder in folders]
    if group.digits:
        return pd.read_csv(folders[0] / "scores.csv")["student"].tolist(), runs
    if group.pairs:
        families = [family for family, _ in checkpoints(profile)]
        table = pd.read_csv(folders[0] / "pairs.csv")
        truth = [
            "same" if families[a] == families[b] else "different"
            for a, b in zip(table["one"], table["two"], strict=True)
        ]
        return (table["verdict"] != truth).astype(float).tolist(), runs
    if group.steps:
        return pd.read_csv(folders[0] / "steps.csv")["cosine"].tolist(), runs
    if group.course:
        return [float(pd.read_csv(folder / "course.csv")["cosine"].iloc[-1]) for folder in folders], runs
    told = losses(recipe for recipe in built if isinstance(recipe, RowLoss))
    own = [told[recipe] for recipe in built if isinstance(recipe, RowLoss)]
    return [mine - teachers for mine, teachers in zip(own[::2], own[1::2], strict=True)], list(dict.fromkeys(runs))


def _scores(scored: Sequence[Scores], score: str, traits: Sequence[str]) -> tuple[list[float], list[str]]:
    table = run({str(n): [scores] for n, scores in enumerate(scored)})
    values = []
    for n, scores in enumerate(scored):
        mine = table[table["condition"] == str(n)]
        own = trait_of(scores.model)
        asked = [name for name in traits if name in set(mine["answer"])]
        for name in [score] if score != "own" else [own] if own else asked:
            if name not in set(mine["answer"]):
                raise SubliminalError(
                    f"suite {scores.suite!r} has no answer {name!r}, which a claim scores: name another"
                )
            values.append(float(mine.loc[mine["answer"] == name, "probability"].mean()))
    return values, list(dict.fromkeys(table["run"]))
