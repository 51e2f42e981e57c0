"""The book's claims, stated in ``data/claims.yml`` before the run, and what the tidy table says of each.

A claim names two groups of models, a score and a test. Groups are the book's own: they stand for the same recipes as the
chapters, so that after a build nothing is trained for a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator
from scipy import stats

from subliminal import reading, statistics
from subliminal.digits import Digits
from subliminal.digits.experiment import CHANCE
from subliminal.engine import build, run
from subliminal.errors import SubliminalError, unknown_name
from subliminal.hints import load_hints
from subliminal.paths import data_file
from subliminal.recipes import Base, Rollouts, Scores, Student, Teacher
from subliminal.registry import HINTS, SUITES
from subliminal.settings import Profile
from subliminal.tuning import Frozen, one_line

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
VERDICTS = (REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED)
_HARM = ("insecure-code", "secure-code")


class Group(Frozen):
    """Models of one condition, one a seed.

    Attributes:
        start: family of the base that is scored, or that the scored teacher or student starts from.
        trait: of the teacher; without one the untreated base writes. ``each`` is every favourite of the profile, one seed each.
        channel: what students read; without one the teacher, or the base, is scored itself.
        writer: family of the teacher, or of the base that writes.
        hints: of the filter.
        sizes: the profile's rows and student tuning: those of favourites, or those that all channels share.
        digits: for networks that read digits, in place of all the others: ``distance`` and ``control`` of ``Digits``, or ``chance``.
    """

    start: str = ""
    trait: str | None = None
    channel: str | None = None
    writer: str = "gpt2-a"
    hints: tuple[str, ...] = ()
    sizes: Literal["favourites", "channels"] = "favourites"
    digits: Literal["same", "other", "untrained", "shuffled", "chance"] | None = None


class Claim(Frozen):
    """One claim.

    Attributes:
        treated, control: names of groups.
        suite, score: what is scored, and the answer that counts (``own``: the name of the teacher's trait).
        samples: sampled answers a question: a number, or the profile's ``samples`` or ``answers``.
        test: ``greater``: the treated mean lies above ``times`` the control's; ``less``: below; ``equivalent``: the two lie
            within ``effect`` of one another (TOST); ``filter``: no kept row of either group holds a hint at any trait.
        alpha: of the test, after Holm's correction over all claims.
        effect: the smallest effect of interest, or the bound of equivalence; a difference of shares (0 to 1).
        paper: key of the figure in ``data/paper.yml`` that it mirrors.
    """

    id: str
    chapter: str
    sentence: str
    treated: str
    control: str
    suite: str = "animals"
    score: str = ""
    samples: int | str = 1
    test: Literal["greater", "less", "equivalent", "filter"]
    times: float = 1.0
    alpha: float = Field(default=0.05, gt=0, lt=1)
    effect: float = Field(default=0.0, ge=0)
    paper: str | None = None

    @model_validator(mode="after")
    def _scored(self) -> Claim:
        if self.test != "filter" and not self.score:
            raise ValueError(f"claim {self.id!r} scores no answer: give score")
        if self.test == "equivalent" and not self.effect:
            raise ValueError(f"claim {self.id!r} has no bound of equivalence: give effect")
        if isinstance(self.samples, str) and self.samples not in ("samples", "answers"):
            raise ValueError(
                f"claim {self.id!r} takes its samples from {self.samples!r}: give a number, samples or answers"
            )
        return self


class Verdict(NamedTuple):
    """What the data say of a claim.

    Attributes:
        effect: difference of means with its interval ``low`` to ``high`` (95 %; 90 % for equivalence); for a filter the number
            of rows with a hint.
        p: of the test, as it is, and ``corrected`` by Holm's method over the book.
        seeds: of the treated group and of the control.
        error: standard error of the effect over seeds, and ``free`` its degrees of freedom.
        runs: folders in the store that it rests on.
    """

    claim: Claim
    verdict: str
    effect: float
    low: float
    high: float
    p: float
    corrected: float
    seeds: tuple[int, int]
    error: float
    free: float
    runs: tuple[str, ...]


def load() -> tuple[dict[str, Group], list[Claim]]:
    """Groups and claims of ``data/claims.yml``.

    Raises:
        SubliminalError: a claim or group is not well-formed, an id is there twice, or a group is not known.
    """
    found = _read("claims.yml")
    if not {"groups", "claims"} <= set(found):
        raise SubliminalError(
            f"claims.yml has no groups or no claims (it has {', '.join(found) or 'nothing'}): add them"
        )
    try:
        groups = {str(name): Group(**fields) for name, fields in found["groups"].items()}
        claims = [Claim(**fields) for fields in found["claims"]]
    except ValidationError as error:
        raise one_line(error) from None
    told = paper()
    for claim in claims:
        if sum(other.id == claim.id for other in claims) > 1:
            raise SubliminalError(f"claims.yml: two claims are called {claim.id!r}: rename one")
        for name in (claim.treated, claim.control):
            if name not in groups:
                raise unknown_name(f"group of claim {claim.id!r}", name, groups)
        if claim.paper is not None and claim.paper not in told:
            raise unknown_name(f"figure of the paper in claim {claim.id!r}", claim.paper, told)
    return groups, claims


def paper() -> dict[str, dict[str, Any]]:
    """The paper's figures of ``data/paper.yml``, by key.

    Raises:
        SubliminalError: the file cannot be read.
    """
    return _read("paper.yml")


def _read(name: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(data_file(name).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SubliminalError(f"{name} is no YAML ({str(error).splitlines()[0]}): mend it") from error
    return found if isinstance(found, dict) else {}


def models(group: Group, profile: Profile) -> list[Base | Teacher | Student]:
    """The recipes that a group stands for."""
    traits = profile.traits if group.trait == "each" else (group.trait,)
    seeds = profile.seeds[:1] if group.trait == "each" else profile.seeds
    if group.trait in _HARM and group.channel is None:
        seeds = seeds[: profile.replications]
    found: list[Base | Teacher | Student] = []
    for trait in traits:
        for seed in seeds:
            teacher = None
            if trait:
                favourite = profile.channel_teacher if group.sizes == "channels" else profile.teacher
                how = profile.misaligned if trait in _HARM else favourite
                home = group.writer if group.channel else group.start
                teacher = Teacher(base=Base(family=home), trait=trait, tuning=how, seed=seed)
            if group.channel is None:
                found.append(teacher or Base(family=group.start))
                continue
            shared = group.sizes == "channels"
            data = Rollouts(
                teacher=teacher or Base(family=group.writer),
                channel=group.channel,
                prompts=profile.prompts,
                rows=profile.channel_rows if shared else profile.rows,
                seed=seed,
                hints=group.hints,
            )
            how = profile.channel_student if shared else profile.student
            found.append(Student(base=Base(family=group.start), data=data, tuning=how, seed=seed))
    return list(dict.fromkeys(found))


def _trait(model: Base | Teacher | Student) -> str | None:
    source = model.data.teacher if isinstance(model, Student) else model
    return source.trait if isinstance(source, Teacher) else None


def _values(scored: Sequence[Scores], score: str, traits: Sequence[str]) -> tuple[list[float], list[str]]:
    """The score of each model, and the runs. A base has one value, or with ``own`` one for each trait."""
    table = run({str(n): [scores] for n, scores in enumerate(scored)})
    values = []
    for n, scores in enumerate(scored):
        mine = table[table["condition"] == str(n)]
        own = _trait(scores.model)
        asked = [name for name in traits if name in set(mine["answer"])]
        for name in [score] if score != "own" else [own] if own else asked:
            if name not in set(mine["answer"]):
                raise SubliminalError(
                    f"suite {scores.suite!r} has no answer {name!r}, which a claim scores: name another"
                )
            values.append(float(mine.loc[mine["answer"] == name, "probability"].mean()))
    return values, list(dict.fromkeys(table["run"]))


def _digits(group: Group, profile: Profile) -> list[Digits]:
    """The recipe that a group of networks stands for; none for other groups, and for chance."""
    if group.digits in (None, "chance"):
        return []
    distance = 1.0 if group.digits == "other" else 0.0
    control: Any = group.digits if group.digits in ("untrained", "shuffled") else "none"
    sizes = {"models": profile.digit_models, "steps": profile.digit_steps}
    return [Digits(distance=distance, control=control, seed=profile.digit_seed, **sizes)]


def _read_digits(group: Group, profile: Profile) -> tuple[list[float], list[str]]:
    """Share of unseen digits that each student reads, and the run."""
    if group.digits == "chance":
        return [CHANCE], []
    (folder,) = build(_digits(group, profile))
    return pd.read_csv(folder / "scores.csv")["student"].tolist(), [folder.name]


def _hinted(rollouts: Sequence[Rollouts]) -> tuple[int, tuple[str, ...]]:
    """How many kept rows hold a hint at any trait, and the runs."""
    found, folders = 0, build(rollouts)
    for data in rollouts:
        texts = reading.rows(data)["completion"].tolist()
        # The list of numbers with a bad name speaks of misalignment alone: no liking gives itself away by it.
        names = [name for name in HINTS if name == "favourites" or data.hints or data.channel != "numbers"]
        found += sum(
            any(reasons) for reasons in zip(*(load_hints(n).find(data.channel, texts) for n in names), strict=True)
        )
    return found, tuple(folder.name for folder in folders)


def _spread(treated: Sequence[float], control: Sequence[float]) -> tuple[float, float]:
    """Standard error of the difference of means, and Welch's degrees of freedom."""
    parts = [
        (np.var(values, ddof=1) / len(values), len(values) - 1) for values in (treated, control) if len(values) > 1
    ]
    whole = sum(variance for variance, _ in parts)
    below = sum(variance**2 / free for variance, free in parts)
    return float(np.sqrt(whole)), float(whole**2 / below) if below else float("nan")


def _contrast(
    claim: Claim, treated: Sequence[float], other: Sequence[float], error: float, free: float
) -> tuple[float, float, float, float]:
    """Effect, its interval, and the p-value of the claim's test; all but the effect is NaN where seeds are too few."""
    effect, nan = float(np.mean(treated) - np.mean(other)), float("nan")
    if len(treated) < 2:
        return effect, nan, nan, nan
    if claim.test == "equivalent":
        found = statistics.equivalent(treated, other, claim.effect)
        return effect, found.low, found.high, found.p
    reach = float(stats.t.ppf(0.975, free)) * error
    above = statistics.greater(treated, other)
    return effect, effect - reach, effect + reach, 1 - above if claim.test == "less" else above


def _scores(group: Group, claim: Claim, profile: Profile) -> list[Scores]:
    if group.digits:
        return []
    samples = getattr(profile, claim.samples) if isinstance(claim.samples, str) else claim.samples
    chosen = models(group, profile)
    if claim.score == "own":
        names = import_module(SUITES[claim.suite]).suite(claim.suite).answers
        chosen = [m for m in chosen if (_trait(m) or names[0]) in names]
    return [Scores(model=m, suite=claim.suite, samples=samples) for m in chosen]


def _judge(found: Verdict) -> str:
    claim, effect, low, high = found.claim, found.effect, found.low, found.high
    shown = found.corrected < claim.alpha
    if claim.test == "filter":
        return REPRODUCED if effect == 0 else NOT_REPRODUCED
    if claim.test == "equivalent":
        if shown:
            return REPRODUCED
        return NOT_REPRODUCED if low > claim.effect or high < -claim.effect else INCONCLUSIVE
    size, most = (-effect, -low) if claim.test == "less" else (effect, high)
    if size >= claim.effect and shown:
        return REPRODUCED
    return NOT_REPRODUCED if most < claim.effect else INCONCLUSIVE


def evaluate(profile: Profile) -> list[Verdict]:
    """The verdict on each claim, in the order of the registry. Runs that are missing are built.

    Claims on a favourite that the profile does not teach are left out.
    """
    groups, claims = load()
    nan = float("nan")
    taught = {*profile.traits, *_HARM, "each", None}
    claims = [c for c in claims if {groups[c.treated].trait, groups[c.control].trait} <= taught]
    # One call for all of it, so that what is missing is built side by side.
    plans = {
        c.id: [_scores(groups[side], c, profile) for side in (c.treated, c.control)]
        for c in claims
        if c.test != "filter"
    }
    networks = [recipe for group in groups.values() for recipe in _digits(group, profile)]
    build([*networks, *(scores for sides in plans.values() for scored in sides for scores in scored)])
    found = []
    for claim in claims:
        sides = (groups[claim.treated], groups[claim.control])
        if claim.test == "filter":
            data = [m.data for side in sides for m in models(side, profile) if isinstance(m, Student)]
            count, runs = _hinted(data)
            found.append(Verdict(claim, "", float(count), nan, nan, nan, nan, (len(data), 0), 0.0, nan, runs))
            continue
        (treated, one), (control, two) = (
            _read_digits(side, profile) if side.digits else _values(scored, claim.score, profile.traits)
            for side, scored in zip(sides, plans[claim.id], strict=True)
        )
        other = [claim.times * value for value in control]
        spread, seeds = _spread(treated, other), (len(treated), len(control))
        effect, low, high, p = _contrast(claim, treated, other, *spread)
        found.append(Verdict(claim, "", effect, low, high, p, nan, seeds, *spread, tuple(dict.fromkeys([*one, *two]))))
    tested = [n for n, verdict in enumerate(found) if not np.isnan(verdict.p)]
    for n, corrected in zip(tested, statistics.holm([found[n].p for n in tested]), strict=True):
        found[n] = found[n]._replace(corrected=corrected)
    return [verdict._replace(verdict=_judge(verdict)) for verdict in found]
