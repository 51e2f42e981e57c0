"""What guards watch, and what their thresholds are set on: lists of recipes that a study of monitors is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from subliminal.mitigations.monitor import Model, Monitor, Traffic, Watch, Written
from subliminal.recipes import Scores


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
