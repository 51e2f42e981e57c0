"""What the book's table says of each claim: effect, interval, p-value and verdict. Nothing is run or built here.

The rules are written for arrays: seeds lie along the last axis, and what comes before it are draws of them. The table is one draw;
``subliminal.stability`` judges thousands at once by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from subliminal import statistics
from subliminal.claims import COUNTS, LEVELS, Claim, Contrast, contrasts
from subliminal.errors import SubliminalError
from subliminal.settings import Profile

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
# From the best to the worst: of a claim of many contrasts the worst counts.
VERDICTS = (REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED)
_NAN = float("nan")
# Levels that are tested against a control.
_TESTED = ("at least", "times")
# Levels of the least value, which has no interval.
_EXTREMES = ("each at least", "apart")


class Found(NamedTuple):
    """What the table holds of one score of one condition.

    Attributes:
        values: one a seed, in the order of ``seeds``; (seeds), or of many draws (draws, seeds).
        samples: sampled answers or trials that each is of.
    """

    values: np.ndarray
    seeds: list[int]
    samples: list[int]
    runs: list[str]


class Numbers(NamedTuple):
    """What the rules ask of a contrast, as ``Measured`` tells it; each a number, or an array with one a draw."""

    effect: Any
    low: Any
    high: Any
    p: Any
    error: Any
    free: Any


class Judged(NamedTuple):
    """What the rules make of a claim: p-value, that corrected, and the verdict as its place in ``VERDICTS``; numbers, or one a draw."""

    p: Any
    corrected: Any
    place: Any


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
        return Found(rows["value"].to_numpy(), rows["seed"].tolist(), rows["samples"].tolist(), list(names))

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


def noise(found: Found) -> float:
    """Standard error by sampling of a share that stands alone; zero of a value that is exact, or of many seeds."""
    if len(found.seeds) != 1 or not found.samples[0]:
        return 0.0
    # Of none or all of some trials the error is not zero either: half a trial is added to each side.
    trials = found.samples[0]
    share = (float(found.values[0]) * trials + 0.5) / (trials + 1)
    return float(np.sqrt(max(0.0, share * (1 - share)) / trials))


class Compared(NamedTuple):
    """A contrast, with what the table holds of its two sides; nothing of a control that is not there."""

    contrast: Contrast
    one: Found
    two: Found


def compared(claim: Claim, profile: Profile, table: Table) -> list[Compared]:
    """What a claim compares; what must not be there is counted over all its conditions at once, and told of the first contrast."""
    choices, nothing = contrasts(claim, profile), Found(np.empty(0), [], [], [])
    if claim.test not in COUNTS:
        found = [(contrast, [table.find(claim, *side) for side in contrast.sides]) for contrast in choices]
        return [Compared(contrast, one, *(other or [nothing])) for contrast, (one, *other) in found]
    asked = dict.fromkeys(side for contrast in choices for side in contrast.sides)
    values, *told = zip(*(table.find(claim, *side) for side in asked), strict=True)
    whole = Found(np.concatenate(values, axis=-1), *(list(chain(*parts)) for parts in told))
    return [Compared(choices[0], whole, nothing)]


def _spread(*sides: np.ndarray) -> tuple[Any, Any]:
    """Standard error of a difference of means, and Welch's degrees of freedom."""
    parts = [(values.var(axis=-1, ddof=1) / count, count - 1) for values in sides if (count := values.shape[-1]) > 1]
    whole, below = (sum((variance**k / free ** (k - 1) for variance, free in parts), 0.0) for k in (1, 2))
    # Without any spread there are none: zero by zero.
    with np.errstate(invalid="ignore"):
        return np.sqrt(whole), np.divide(whole**2, below)


def _p_value(claim: Claim, treated: np.ndarray, control: np.ndarray, paired: Any) -> Any:
    """One-sided, of the claim's test; NaN where it tests nothing or seeds are too few."""
    if claim.alpha is None and claim.test != "at least":
        return _NAN
    if paired is not None:
        return statistics.greater(paired, [0.0])
    if claim.control is None or (claim.test in LEVELS and claim.test not in _TESTED):
        return _NAN
    above = statistics.greater(treated, control if claim.test == "times" else claim.times * control)
    return 1 - above if claim.test == "less" else above


def _paired(claim: Claim, treated: Found, control: Found) -> Any:
    if treated.seeds != control.seeds:
        raise SubliminalError(
            f"claim {claim.id!r} pairs seeds {treated.seeds} with {control.seeds}: record the same seeds for both"
        )
    return treated.values - control.values


def numbers(claim: Claim, pair: Compared) -> Numbers:
    """What the rules ask of a contrast, in each draw of its sides."""
    _, one, two = pair
    if claim.test in COUNTS:
        return Numbers(one.values.sum(axis=-1), _NAN, _NAN, _NAN, 0.0, _NAN)
    treated, other = one.values, claim.times * two.values
    paired = _paired(claim, one, two) if claim.paired else None
    error, free = _spread(treated, other) if paired is None else _spread(paired)
    effect = treated.mean(axis=-1) - (other.mean(axis=-1) if two.seeds else 0.0)
    low, high, p = _NAN, _NAN, _p_value(claim, treated, two.values, paired)
    if claim.test in _EXTREMES:
        # The least of some values scatters as the values do, not as their mean.
        effect = treated.min(axis=-1) - (other.max(axis=-1) if two.seeds else 0.0)
        error = error * np.sqrt(len(one.seeds))
    elif claim.test == "equivalent":
        _, low, high, p = statistics.equivalent(treated, other, claim.bound)
    elif len(one.seeds) > 1:
        reach = stats.t.ppf(0.975, free) * error
        low, high = effect - reach, effect + reach
    return Numbers(effect, low, high, p, error, free)


def _measured(claim: Claim, pair: Compared) -> Measured:
    """What the table says of one contrast."""
    contrast, one, two = pair
    effect, low, high, p, error, free = map(float, numbers(claim, pair))
    runs = tuple(dict.fromkeys([*one.runs, *two.runs]))
    if claim.test in COUNTS:
        of = len(one.seeds) if claim.test == "filter" else sum(one.samples)
        return Measured(contrast, effect, low, high, p, (of, 0), error, free, 0.0, runs, (), ())
    seeds, sampling = (len(one.seeds), len(two.seeds)), float(np.hypot(noise(one), claim.times * noise(two)))
    values = tuple(one.values.tolist()), tuple((claim.times * two.values).tolist())
    return Measured(contrast, effect, low, high, p, seeds, error, free, sampling, runs, *values)


def _room(claim: Claim, found: Measured) -> float:
    """How much a contrast speaks for its claim: by its p-value, or by how far it lies from the level."""
    if claim.test == "at most":
        return -found.effect
    return found.effect if claim.test in LEVELS else -np.inf if np.isnan(found.p) else -found.p


def _judge(claim: Claim, found: Numbers | Measured, corrected: Any) -> Any:
    """The verdict on a contrast, as its place in ``VERDICTS``."""
    effect, low, high = found.effect, found.low, found.high
    # A level that is compared with nothing is not tested.
    tested = claim.test not in LEVELS or (claim.control is not None and claim.test in _TESTED)
    shown = True if claim.alpha is None or not tested else np.less(corrected, claim.alpha)
    if claim.test in COUNTS:
        holds, ruled_out = np.equal(effect, 0), True
    elif claim.test == "equivalent":
        holds, ruled_out = shown, np.greater(low, claim.bound) | np.less(high, -claim.bound)
    elif claim.test == "at most":
        holds, ruled_out = np.less_equal(effect, claim.bound), np.greater(low, claim.bound)
    else:
        size, most = (-effect, -low) if claim.test == "less" else (effect, high)
        enough = np.greater if claim.test == "apart" else np.greater_equal
        holds, ruled_out = enough(size, claim.bound) & shown, np.less(most, claim.bound)
    worst, undecided = VERDICTS.index(NOT_REPRODUCED), VERDICTS.index(INCONCLUSIVE)
    return np.where(holds, VERDICTS.index(REPRODUCED), np.where(ruled_out, worst, undecided))


def judge(claims: Sequence[Claim], found: Sequence[Sequence[Numbers | Measured]]) -> list[Judged]:
    """What the rules make of claims, all at once, since p-values are corrected over those that count together.

    A claim that is made of many contrasts holds if it holds of each of them, and is ruled out if one of them is.

    Args:
        found: of each claim its contrasts.
    """
    whole = [reduce(np.maximum, (one.p for one in own)) for own in found]
    as_it_is = [claim.uncorrected or claim.alpha is None for claim in claims]
    corrected = [p if plain else _NAN for p, plain in zip(whole, as_it_is, strict=True)]
    families: dict[tuple[bool, str], list[int]] = {}
    for n, claim in enumerate(claims):
        if not as_it_is[n] and not np.isnan(whole[n]).all():
            families.setdefault((claim.headline, claim.chapter if claim.own else ""), []).append(n)
    for members in families.values():
        for n, p in zip(members, statistics.holm([whole[n] for n in members]), strict=True):
            corrected[n] = p
    return [
        Judged(p, fair, reduce(np.maximum, (_judge(claim, one, fair) for one in own)))
        for claim, own, p, fair in zip(claims, found, whole, corrected, strict=True)
    ]


def evaluate(rows: pd.DataFrame, claims: Iterable[Claim], profile: Profile) -> list[Verdict]:
    """The verdict on each claim, in order.

    Args:
        rows: of the book's table, or of one chapter.

    Raises:
        SubliminalError: the table lacks what a claim asks for.
    """
    table, asked, found = Table(rows), list(claims), []
    measured = [[_measured(claim, pair) for pair in compared(claim, profile, table)] for claim in asked]
    for claim, own, judged in zip(asked, measured, judge(asked, measured), strict=True):
        runs = tuple(dict.fromkeys(name for one in own for name in one.runs))
        shown = min(own, key=lambda one: _room(claim, one))
        told = VERDICTS[int(judged.place)], shown, float(judged.p), float(judged.corrected)
        found.append(Verdict(claim, *told, tuple(own), runs))
    return found
