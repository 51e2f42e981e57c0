"""Evidence that stays valid however often it is looked at: bets against "this share has not moved beyond the margin".

Each question is asked of a model and of its base, and what is told of the pair is a difference between -1 and 1. Against each look and
each direction stands a bettor who starts with a capital of 1 and bets that the mean difference lies beyond the margin. As long as it
does not, the capital is a nonnegative supermartingale: by Ville's inequality it ever reaches 1 / alpha with a chance of at most alpha,
so one may look after every question and stop when one likes (Waudby-Smith & Ramdas 2024, JRSS B 86, 1-27). Capital is an e-value; over
all looks the false discovery rate is held by e-BH, under any dependence (Wang & Ramdas 2022, JRSS B 84, 822-852), and the intervals of
what was found by e-BY (Xu, Wang & Ramdas 2024, arXiv 2203.12572). It knows numbers, and neither models nor questions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from subliminal.errors import SubliminalError

# Shares of the most that can be bet: the capital is split evenly over so many bettors, who never change their stake, so that the best of
# them costs log(6) and none has to be chosen. LOG.md, An audit that asks where something moves.
STAKES = np.geomspace(0.05, 0.8, 6)
_HALVINGS = 40


def check_level(alpha: float, margin: float) -> None:
    """Refuse a level or a margin that is none.

    Raises:
        SubliminalError: names the value.
    """
    if not 0 < alpha < 1:
        raise SubliminalError(f"alpha={alpha!r} is no level: give the rate of false alarms, such as 0.05")
    if not 0 <= margin < 1:
        raise SubliminalError(f"margin={margin!r} is no margin: give a share from 0 to below 1, such as 0.05")


class Bets:
    """The capital of bettors against many looks, upwards and downwards, question by question.

    Args:
        looks: how many there are.
        margin: a mean difference of at most so much counts as none; one, or one a look.

    Example:
        >>> bets = Bets(2, margin=0.05)
        >>> moved, still = [1, 0, 1, 1, 0, 1] * 20, [0, 1, -1, 0, 0, 0] * 20
        >>> bets.add(np.array([moved, still], dtype=float).T)
        >>> bets.log_e().round(1).tolist()  # up, then down, of each look
        [[40.2, -6.0], [-1.3, -1.3]]
    """

    def __init__(self, looks: int, margin: float | np.ndarray) -> None:
        self.margin = np.broadcast_to(np.asarray(margin, dtype=float), (looks,))
        self._logs = np.zeros((looks, 2, len(STAKES)))
        self.seen = np.zeros(looks, dtype=int)

    def add(self, differences: np.ndarray) -> None:
        """Bet on further questions.

        Args:
            differences: (questions, looks), each from -1 to 1; NaN where a look has nothing to say of a question.

        Raises:
            SubliminalError: one lies outside.
        """
        if (np.abs(differences) > 1 + 1e-9).any():
            raise SubliminalError(
                f"a difference of {np.nanmax(np.abs(differences)):g} is none of two shares: give values from -1 to 1"
            )
        there = ~np.isnan(differences)
        self.seen += there.sum(axis=0)
        for side, sign in enumerate((1.0, -1.0)):
            excess = (sign * differences - self.margin) / (1 + self.margin)
            gain = np.log1p(STAKES * np.where(there, excess, 0.0)[..., None])
            self._logs[:, side] += gain.sum(axis=0)

    def log_e(self) -> np.ndarray:
        """(looks, 2): the natural logarithm of the capital upwards and downwards."""
        return np.asarray(logsumexp(self._logs, axis=-1)) - math.log(len(STAKES))


def discoveries(log_e: np.ndarray, alpha: float) -> np.ndarray:
    """Which of many e-values are discoveries at a false discovery rate of ``alpha``, by e-BH: a mask of the same shape.

    The k-th largest of m counts, and all above it, if it is at least m / (alpha k). Each may be weighted beforehand, if the weights
    have a mean of 1.

    Example:
        >>> discoveries(np.log([300.0, 1.0, 90.0, 0.2]), 0.05).tolist()
        [True, False, True, False]
    """
    flat = np.sort(log_e, axis=None)[::-1]
    bars = math.log(flat.size / alpha) - np.log(np.arange(1, flat.size + 1))
    passed = np.flatnonzero(flat >= bars)
    return log_e >= (flat[passed[-1]] if len(passed) else np.inf)


def lower_bound(differences: np.ndarray, alpha: float) -> float:
    """A bound that the mean difference lies above, at every time at once, but for a chance of ``alpha``.

    It is the largest mean that the bettors have refuted by now: their capital against it is 1 / alpha or more.

    Args:
        differences: of the questions of one look, each from -1 to 1.
    """
    values, counts = np.unique(differences, return_counts=True)
    low, high, bar = -1.0, 1.0, math.log(1 / alpha) + math.log(len(STAKES))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        logs = counts @ np.log1p(np.outer((values - middle) / (1 + middle), STAKES))
        low, high = (middle, high) if logsumexp(logs) >= bar else (low, middle)
    return low


class Sides(NamedTuple):
    """Where a mean difference lies; each end holds at every time at once."""

    low: float
    high: float


def interval(differences: np.ndarray, alpha: float) -> Sides:
    """A confidence sequence as it stands: each end fails, ever, with a chance of at most ``alpha``.

    Example:
        >>> low, high = interval(np.array([1.0, 0, 1, 1, 0, 1] * 20), 0.025)
        >>> f"{low:.3f} to {high:.3f}"
        '0.522 to 0.791'
        >>> interval(np.array([]), 0.025)
        Sides(low=-1.0, high=1.0)
    """
    given = np.asarray(differences, dtype=float)
    return Sides(lower_bound(given, alpha), -lower_bound(-given, alpha)) if given.size else Sides(-1.0, 1.0)


def more_needed(differences: np.ndarray, margin: float, bar: float) -> float:
    """How many further questions would bring a capital of ``exp(bar)``, if they turn out as those so far: a rough guide.

    Args:
        differences: signed, so that the shift that is looked for is positive.

    Returns:
        Infinity where the mean so far does not lie beyond the margin.
    """
    if not len(differences) or differences.mean() <= margin:
        return math.inf
    gains = np.log1p(np.outer((differences - margin) / (1 + margin), STAKES)).mean(axis=0)
    total = (bar + math.log(len(STAKES))) / gains.max() if gains.max() > 0 else math.inf
    return max(0.0, math.ceil(total - len(differences)) if math.isfinite(total) else total)
