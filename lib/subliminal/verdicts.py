"""What the book's table says of each claim: effect, interval, p-value and verdict. Nothing is run or built here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from subliminal import statistics
from subliminal.claims import COUNTS, LEVELS, Claim, Contrast, contrasts
from subliminal.errors import SubliminalError
from subliminal.settings import Profile

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
VERDICTS = (REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED)
_NAN = float("nan")
# Levels that are tested against a control.
_TESTED = ("at least", "times")
# Levels of the least value, which has no interval.
_EXTREMES = ("each at least", "apart")


class Found(NamedTuple):
    """What the table holds of one score of one condition.

    Attributes:
        values: one a seed, in the order of ``seeds``.
        samples: sampled answers or trials that each is of.
    """

    values: list[float]
    seeds: list[int]
    samples: list[int]
    runs: list[str]


class Measured(NamedTuple):
    """What the table says of one contrast of a claim.

    Attributes:
        effect: difference of means with its interval ``low`` to ``high`` (95 %; 90 % for equivalence), of a level the mean, or what a
            least value lies above; of counts the sum. Interval and ``p`` are NaN where seeds are too few.
        seeds: of the condition and of the control.
        error: standard error of the effect over seeds, and ``free`` its degrees of freedom, by Welch.
        noise: standard error by sampling of a single value's share, which has no seeds over which it would show.
        treated, control: the values; those of the control times ``times``.
    """

    contrast: Contrast
    effect: float
    low: float
    high: float
    p: float
    seeds: tuple[int, int]
    error: float
    free: float
    noise: float
    runs: tuple[str, ...]
    treated: tuple[float, ...]
    control: tuple[float, ...]


class Verdict(NamedTuple):
    """What the data say of a claim.

    Attributes:
        shown: the contrast that speaks least for the claim.
        p: the largest of all contrasts, as it is, and ``corrected`` by Holm's method over the claims that count together.
        contrasts: all of them.
        runs: folders in the store that the claim rests on.
    """

    claim: Claim
    verdict: str
    shown: Measured
    p: float
    corrected: float
    contrasts: tuple[Measured, ...]
    runs: tuple[str, ...]


class Table:
    """The tidy table, looked up by what claims ask of it."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        key = ["chapter", "condition", "quantity", "answer"]
        self._places: dict[Any, Any] = {**rows.groupby(key[:3]).indices, **rows.groupby(key).indices}

    def find(self, claim: Claim, condition: str, score: Sequence[str]) -> Found:
        """The values of a score of a condition of the claim's chapter.

        Raises:
            SubliminalError: the table has none; the message names what was asked for and what there is.
        """
        key = (claim.chapter, condition, *score)
        if key not in self._places:
            raise SubliminalError(f"claim {claim.id!r} asks for {self._lacking(key)}")
        rows = self._rows.iloc[self._places[key]]
        names = dict.fromkeys(name for told in rows["run"] for name in told.split())
        return Found(rows["value"].tolist(), rows["seed"].tolist(), rows["samples"].tolist(), list(names))

    def _lacking(self, key: Sequence[str]) -> str:
        """The first part of a key that the table does not have, beside what it has in its place."""
        rows = self._rows
        for name, asked in zip(("chapter", "condition", "quantity", "answer"), key, strict=False):
            known = [str(value) for value in dict.fromkeys(rows[name])]
            if asked not in known:
                whose = "" if name == "chapter" else f" of chapter {key[0]!r}"
                told = ", ".join(map(repr, known[:12])) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
                return f"{name} {asked!r}{whose}, and the table has {told or 'none'}: record it there, or name one of these"
            rows = rows[rows[name] == asked]
        return f"{key} and the table does not have it"


class _Spread(NamedTuple):
    error: float
    free: float


def _spread(treated: Sequence[float], control: Sequence[float]) -> _Spread:
    """Standard error of a difference of means, and Welch's degrees of freedom."""
    parts = [
        (np.var(values, ddof=1) / len(values), len(values) - 1) for values in (treated, control) if len(values) > 1
    ]
    whole = sum(variance for variance, _ in parts)
    below = sum(variance**2 / free for variance, free in parts)
    return _Spread(float(np.sqrt(whole)), float(whole**2 / below) if below else _NAN)


def _noise(found: Found, times: float = 1.0) -> float:
    """Sampling variance of a share that stands alone."""
    if len(found.values) != 1 or not found.samples[0]:
        return 0.0
    # Of none or all of some trials the error is not zero either: half a trial is added to each side.
    trials = found.samples[0]
    share = (found.values[0] * trials + 0.5) / (trials + 1)
    return times**2 * max(0.0, share * (1 - share)) / trials


def _counted(claim: Claim, contrasts: Sequence[Contrast], table: Table) -> Measured:
    """How much there is of what must not be there, over all conditions of a claim."""
    asked = dict.fromkeys(
        side
        for c in contrasts
        for side in ((c.condition, c.score), (c.control, c.control_score))
        if side[0] is not None
    )
    found = [table.find(claim, str(condition), score) for condition, score in asked]
    runs = tuple(dict.fromkeys(name for one in found for name in one.runs))
    of = sum(len(one.values) if claim.test == "filter" else sum(one.samples) for one in found)
    count = sum(sum(one.values) for one in found)
    return Measured(contrasts[0], count, _NAN, _NAN, _NAN, (of, 0), 0.0, _NAN, 0.0, runs, (), ())


def _p_value(claim: Claim, treated: Found, control: Found) -> float:
    """One-sided, of the claim's test; NaN where it tests nothing or seeds are too few."""
    if claim.alpha is None and claim.test != "at least":
        return _NAN
    if claim.paired:
        return statistics.greater(_paired(claim, treated, control), [0.0])
    if claim.control is None or (claim.test in LEVELS and claim.test not in _TESTED):
        return _NAN
    times = 1.0 if claim.test == "times" else claim.times
    above = statistics.greater(treated.values, [times * value for value in control.values])
    return 1 - above if claim.test == "less" else above


def _paired(claim: Claim, treated: Found, control: Found) -> list[float]:
    if treated.seeds != control.seeds:
        raise SubliminalError(
            f"claim {claim.id!r} pairs seeds {treated.seeds} with {control.seeds}: record the same seeds for both"
        )
    return [one - two for one, two in zip(treated.values, control.values, strict=True)]


def _measure(claim: Claim, contrast: Contrast, table: Table) -> Measured:
    """What the table says of one contrast."""
    one = table.find(claim, contrast.condition, contrast.score)
    two = Found([], [], [], [])
    if contrast.control is not None:
        two = table.find(claim, contrast.control, contrast.control_score)
    treated, other = one.values, [claim.times * value for value in two.values]
    error, free = _spread(_paired(claim, one, two), []) if claim.paired else _spread(treated, other)
    effect, p = float(np.mean(treated) - (np.mean(other) if other else 0.0)), _p_value(claim, one, two)
    low = high = _NAN
    if claim.test in _EXTREMES:
        # The least of some values scatters as the values do, not as their mean.
        effect, error = min(treated) - (max(other) if other else 0.0), error * float(np.sqrt(len(treated)))
    elif claim.test == "equivalent":
        _, low, high, p, _ = statistics.equivalent(treated, other, claim.bound)
    elif len(treated) > 1:
        reach = float(stats.t.ppf(0.975, free)) * error
        low, high = effect - reach, effect + reach
    noise = float(np.sqrt(_noise(one) + _noise(two, claim.times)))
    runs, seeds = tuple(dict.fromkeys([*one.runs, *two.runs])), (len(treated), len(other))
    return Measured(contrast, effect, low, high, p, seeds, error, free, noise, runs, tuple(treated), tuple(other))


def _room(claim: Claim, found: Measured) -> float:
    """How much a contrast speaks for its claim: by its p-value, or by how far it lies from the level."""
    if claim.test == "at most":
        return -found.effect
    return found.effect if claim.test in LEVELS else -np.inf if np.isnan(found.p) else -found.p


def _judge(claim: Claim, found: Measured, corrected: float) -> str:
    effect, low, high = found.effect, found.low, found.high
    if claim.test in COUNTS:
        return REPRODUCED if effect == 0 else NOT_REPRODUCED
    # A level that is compared with nothing is not tested.
    tested = claim.test not in LEVELS or (claim.control is not None and claim.test in _TESTED)
    shown = claim.alpha is None or not tested or corrected < claim.alpha
    if claim.test == "equivalent":
        if shown:
            return REPRODUCED
        return NOT_REPRODUCED if low > claim.bound or high < -claim.bound else INCONCLUSIVE
    if claim.test == "at most":
        return REPRODUCED if effect <= claim.bound else NOT_REPRODUCED if low > claim.bound else INCONCLUSIVE
    size, most = (-effect, -low) if claim.test == "less" else (effect, high)
    enough = size > claim.bound if claim.test == "apart" else size >= claim.bound
    if enough and shown:
        return REPRODUCED
    return NOT_REPRODUCED if most < claim.bound else INCONCLUSIVE


def _gather(claim: Claim, profile: Profile, table: Table) -> Verdict:
    """What a claim is made of, with no correction and no verdict yet."""
    choices = contrasts(claim, profile)
    found = [_counted(claim, choices, table)] if claim.test in COUNTS else [_measure(claim, c, table) for c in choices]
    runs = tuple(dict.fromkeys(name for one in found for name in one.runs))
    shown = min(found, key=lambda one: _room(claim, one))
    p = float(np.max([one.p for one in found]))
    return Verdict(claim, "", shown, p, _NAN, tuple(found), runs)


def evaluate(rows: pd.DataFrame, claims: Iterable[Claim], profile: Profile) -> list[Verdict]:
    """The verdict on each claim, in order.

    A claim that is made of many contrasts holds if it holds of each of them, and is ruled out if one of them is.

    Args:
        rows: of the book's table, or of one chapter.

    Raises:
        SubliminalError: the table lacks what a claim asks for.
    """
    table = Table(rows)
    found = [_gather(claim, profile, table) for claim in claims]
    families: dict[str | None, list[int]] = {}
    for n, verdict in enumerate(found):
        if verdict.claim.uncorrected or verdict.claim.alpha is None:
            found[n] = verdict._replace(corrected=verdict.p)
        elif not np.isnan(verdict.p):
            families.setdefault(None if verdict.claim.headline else verdict.claim.chapter, []).append(n)
    for members in families.values():
        for n, corrected in zip(members, statistics.holm([found[n].p for n in members]), strict=True):
            found[n] = found[n]._replace(corrected=corrected)
    return [v._replace(verdict=_least([_judge(v.claim, one, v.corrected) for one in v.contrasts])) for v in found]


def _least(verdicts: Sequence[str]) -> str:
    return max(verdicts, key=VERDICTS.index)
