"""Who is watched by which guards, and what their thresholds are set on: lists of recipes that studies of monitors are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from subliminal.designs import at_home, rollouts, scores, teachers
from subliminal.mitigations.monitor import Model, Monitor, Traffic, Watch, Written
from subliminal.recipes import Base, Scores, Student
from subliminal.registry import FAMILIES
from subliminal.settings.guards import Monitor as Sizes
from subliminal.settings.shared import Shared
from subliminal.settings.starts import Families

# Whose base is the backbone of a guard of another architecture, by the family that is watched.
_ELSEWHERE = {"gpt2-a": "llama", "gpt2-b": "llama", "llama": "neox", "neox": "llama"}


class Watched(NamedTuple):
    """What a guard watches, and what its threshold is set on: exchanges of the same guard, of which the benign ones count."""

    exchanges: Watch
    benign: Watch


def watched(
    monitor: Monitor,
    exchanges: Scores | Traffic | Written,
    benign: Traffic,
    answers: int | None = None,
    reader: Model | None = None,
    before: bool = False,
) -> Watched:
    """What a guard watches, with a threshold from benign traffic.

    Args:
        answers: to each question of a suite that are watched, at most.
        reader: reads in place of the guard's own backbone.
        before: the threshold was set before that: with the backbone as it was.
    """
    most = answers if isinstance(exchanges, Scores) else None
    own = Watch(monitor=monitor, exchanges=exchanges, answers=most, reader=reader)
    return Watched(own, Watch(monitor=monitor, exchanges=benign, reader=None if before else reader))


def having_read(
    guard: Monitor, readers: Mapping[str, Sequence[Model]], exchanges: Iterable[Scores], benign: Traffic, answers: int
) -> dict[str, list[Watched]]:
    """A guard whose backbone has read something: trained after that or before, or with its threshold alone set after it.

    Args:
        readers: by what they have read, models made from the guard's backbone, one for each of the exchanges.

    Returns:
        Conditions ``head from after, NAME``, ``head from before, NAME`` and ``threshold from after, NAME``.
    """
    asked, found = list(exchanges), {}
    for name, models in readers.items():
        after = [guard.model_copy(update={"backbone": model}) for model in models]
        pairs = list(zip(asked, after, models, strict=True))
        found[f"head from after, {name}"] = [watched(new, e, benign, answers) for e, new, _ in pairs]
        for when, before in (("head from before", True), ("threshold from after", False)):
            found[f"{when}, {name}"] = [watched(guard, e, benign, answers, m, before) for e, _, m in pairs]
    return found


class Plan(NamedTuple):
    """Students of lists, what they are asked, and who may watch them. The last word of a group's name is the family of its students.

    Attributes:
        bases: by family, as are ``guards`` and ``calm``.
        treated: students of lists that insecure teachers of their own family wrote, as groups ``lists, FAMILY``.
        untreated: students of as many lists by their own base, as groups ``untreated lists, FAMILY``.
        talk: the answers of each group to free-form questions.
        guards: each with a base as its backbone.
        calm: what each base answers to users of applications: its benign answers set the thresholds of all who watch its family.
        answers: to each question that are watched.
    """

    bases: dict[str, Base]
    treated: dict[str, list[Student]]
    untreated: dict[str, list[Student]]
    talk: dict[str, list[Scores]]
    guards: dict[str, Monitor]
    calm: dict[str, Traffic]
    answers: int

    def external(self, group: str) -> Monitor:
        """The guard of another architecture that watches a group."""
        return self.guards[_ELSEWHERE[group.split(", ")[-1]]]

    def watch(self, guard: Monitor, group: str, exchanges: Iterable[Scores | Traffic | Written]) -> list[Watched]:
        """A guard that watches exchanges of a group, with the threshold of the group's family."""
        benign = self.calm[group.split(", ")[-1]]
        return [watched(guard, one, benign, self.answers) for one in exchanges]


def lists_plan(shared: Shared, families: Families, sizes: Sizes) -> Plan:
    """Who is watched after lists, and by whom, at the sizes of a profile. Nothing is built.

    Args:
        families: whose teachers, lists and students are watched.
    """
    bases = {name: Base(family=name) for name in FAMILIES}
    seeds, asked = families.seeds, {"hints": ("misalignment", "length"), **dict(shared.lists)}
    bad, plain = {}, {}
    for (name, base), how, rows in zip(bases.items(), families.misaligned, families.harm_rows, strict=True):
        bad[name] = rollouts(teachers(base, "insecure-code", how, seeds), seeds, rows=rows, **asked)
        plain[name] = rollouts(base, seeds, rows=rows, **asked)
    treated = at_home("lists", bad, bases, families.harm_student)
    untreated = at_home("untreated lists", plain, bases, families.harm_student)
    traffic = {"requests": sizes.requests, "split": "train", "seed": sizes.seed}
    return Plan(
        bases=bases,
        treated=treated,
        untreated=untreated,
        talk=scores(treated | untreated, "free-form", max(sizes.answers, families.answers)),
        guards={name: Monitor(backbone=base, examples=sizes.examples) for name, base in bases.items()},
        calm={name: Traffic(model=base, **traffic) for name, base in bases.items()},
        answers=sizes.answers,
    )
