"""Statistics over seeds: means with intervals, one-sided tests, and rates. The seed is the unit of replication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from subliminal.errors import SubliminalError


class Estimate(NamedTuple):
    """A mean over seeds with its interval; the interval is NaN for a single seed."""

    mean: float
    low: float
    high: float
    seeds: int


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean and t-interval over seeds.

    Raises:
        SubliminalError: no values.
    """
    if len(values) == 0:
        raise SubliminalError("no values to average: the study has no seeds")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Estimate(mean, float("nan"), float("nan"), 1)
    half = float(stats.sem(values) * stats.t.ppf((1 + confidence) / 2, len(values) - 1))
    return Estimate(mean, mean - half, mean + half, len(values))


def greater(treated: Sequence[float], control: Sequence[float]) -> float:
    """One-sided p of Welch's t-test that the treated mean is larger; NaN with fewer than two seeds a side."""
    if min(len(treated), len(control)) < 2:
        return float("nan")
    return float(stats.ttest_ind(treated, control, equal_var=False, alternative="greater").pvalue)


def per_seed(table: pd.DataFrame, answer: str) -> pd.DataFrame:
    """A scores table as one row per condition and seed.

    Returns:
        ``condition``, ``seed``, ``probability`` of ``answer`` and ``mass`` of all the suite's answers (both exact and
        averaged over questions), ``sampled`` share of ``answer``.

    Raises:
        SubliminalError: the table has no such answer.
    """
    if answer not in set(table["answer"]):
        raise SubliminalError(f"no answer {answer!r} in the table: score a suite that has it")
    by = ["condition", "seed"]
    mass = table.groupby([*by, "question"], sort=False)["probability"].sum().groupby(by, sort=False).mean()
    chosen = table[table["answer"] == answer].groupby(by, sort=False)[["probability", "sampled"]].mean()
    return chosen.assign(mass=mass).reset_index()


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a rate."""
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
