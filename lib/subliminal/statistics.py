"""Statistics over seeds: means with intervals, one-sided tests, and rates. The seed is the unit of replication."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from subliminal.errors import SubliminalError, unknown_name

_POWER = 0.8


class Estimate(NamedTuple):
    """A mean over seeds with its interval; the interval is NaN for a single seed."""

    mean: float
    low: float
    high: float
    seeds: int


def mean_interval(values: Sequence[float]) -> Estimate:
    """Mean and 95 % t-interval over seeds.

    Raises:
        SubliminalError: no values.
    """
    if len(values) == 0:
        raise SubliminalError("no values to average: the study has no seeds")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Estimate(mean, float("nan"), float("nan"), 1)
    half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return Estimate(mean, mean - half, mean + half, len(values))


def greater(treated: ArrayLike, control: ArrayLike) -> Any:
    """One-sided p that the treated mean is larger; NaN with fewer than two treated seeds.

    Welch's t-test; against a single value (a base, whose exact score has no seed) the one-sample t-test. Seeds lie along the last axis:
    of many draws at once (..., seeds) there is a p each (...).
    """
    one, two = np.asarray(treated), np.asarray(control)
    return np.float64("nan") if one.shape[-1] < 2 else _tested(one, two, "greater").pvalue


def _tested(one: np.ndarray, two: np.ndarray, alternative: str) -> Any:
    if two.shape[-1] == 1:
        return stats.ttest_1samp(one, two, axis=-1, alternative=alternative)
    return stats.ttest_ind(one, two, axis=-1, equal_var=False, alternative=alternative)


class Within(NamedTuple):
    """Whether two means differ by less than a bound; each a number, or an array with one a draw (...).

    Attributes:
        difference: of the means, with its 90 % interval ``low`` to ``high``.
        p: the larger of the two one-sided p-values.
    """

    difference: Any
    low: Any
    high: Any
    p: Any


def equivalent(one: ArrayLike, two: ArrayLike, bound: float) -> Within:
    """Two one-sided Welch tests (TOST): p below .05 says that the means differ by less than ``bound``.

    That is the case just when the 90 % interval lies within the bound. Against a single value (a base) the tests are
    one-sample t-tests. All but the difference is NaN with fewer than two values in ``one``. Seeds lie along the last axis: of many
    draws at once (..., seeds) there is one of each (...).
    """
    first, other = np.asarray(one), np.asarray(two)
    difference = first.mean(axis=-1) - other.mean(axis=-1)
    if first.shape[-1] < 2:
        return Within(difference, *[np.float64("nan")] * 3)
    above_it, below_it = greater(first + bound, other), 1 - greater(first - bound, other)
    low, high = _tested(first, other, "two-sided").confidence_interval(0.90)
    # The one-sample test's interval is of the mean itself.
    single = other[..., 0] if other.shape[-1] == 1 else 0.0
    return Within(difference, low - single, high - single, np.maximum(above_it, below_it))


def equivalence_needs(one: Sequence[float], two: Sequence[float], bound: float) -> float:
    """Seeds a condition for a power of 80 % in ``equivalent``, if difference and spread are what they are here.

    Returns:
        The least number, or infinity or NaN, as ``seeds_needed``.
    """
    # The side nearer to its bound decides.
    side = 1 if np.mean(one) < np.mean(two) else -1
    return seeds_needed([side * value + bound for value in one], [side * value for value in two], 0.05)


def gone_from(pairs: Sequence[tuple[Sequence[float], Sequence[float]]], bound: float) -> int | None:
    """From which place on each pair is shown to be ``equivalent`` (p < .05); ``None`` if not even the last is."""
    alike = [equivalent(one, two, bound).p < 0.05 for one, two in pairs]
    return next((place for place in range(len(alike)) if all(alike[place:])), None)


def seeds_needed(one: Sequence[float], two: Sequence[float], alpha: float) -> float:
    """Seeds a condition for a one-sided test at ``alpha`` that the first mean is larger, with a power of 80 %.

    The difference and the spread are taken to be those of the values at hand; with so few of them this is a rough guide.

    Returns:
        The least number, or infinity where it is not larger here, or NaN with fewer than two values in ``one``. Against a
        single value the test is the one-sample t-test.
    """
    if len(one) < 2:
        return float("nan")
    single = len(two) == 1
    gap = float(np.mean(one) - np.mean(two))
    spread = float(np.sqrt(np.var(one, ddof=1) if single else (np.var(one, ddof=1) + np.var(two, ddof=1)) / 2))
    if gap <= 0:
        return float("inf")

    def power(seeds: int) -> float:
        free = seeds - 1 if single else 2 * seeds - 2
        shift = gap / max(spread, 1e-12) * np.sqrt(seeds if single else seeds / 2)
        # Where the difference is so large that the distribution has no number any more, the power is 1.
        return float(np.nan_to_num(stats.nct.sf(stats.t.isf(alpha, free), free, shift), nan=1.0))

    counts = range(2, 10_000)
    found = bisect.bisect_left(counts, _POWER, key=power)
    return counts[found] if found < len(counts) else float("inf")


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


def compare(seeds: pd.DataFrame, treated: str) -> pd.DataFrame:
    """Each condition of a ``per_seed`` table against the treated one.

    Returns:
        One row a condition, in order of appearance: ``condition``, ``seeds``, ``mean`` with its 95 % interval ``low`` to
        ``high``, ``least`` and ``most`` over seeds, the least ``mass`` of any seed, and ``p``, one-sided, that the treated
        mean is larger (NaN for the treated condition itself).

    Raises:
        SubliminalError: the treated condition is not in the table.
    """
    values = {name: group["probability"].tolist() for name, group in seeds.groupby("condition", sort=False)}
    if treated not in values:
        raise unknown_name("condition", treated, map(str, values))
    table = []
    for name, own in values.items():
        estimate = mean_interval(own)
        p = float("nan") if name == treated else greater(values[treated], own)
        mass = seeds.loc[seeds["condition"] == name, "mass"].min()
        table.append((name, estimate.seeds, *estimate[:3], min(own), max(own), mass, p))
    columns = ["condition", "seeds", "mean", "low", "high", "least", "most", "mass", "p"]
    return pd.DataFrame(table, columns=columns)


def by_group(table: pd.DataFrame, answer: str, groups: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """The rate of an answer by group of questions, for each model.

    Args:
        table: scores of one suite.
        groups: the questions of each.

    Returns:
        One row a group, condition and seed, in order of appearance: ``group``, ``condition``, ``seed``, ``probability``, ``run``.

    Raises:
        SubliminalError: a question has no group.
    """
    chosen = table[table["answer"] == answer]
    group_of = {question: name for name, questions in groups.items() for question in questions}
    chosen = chosen.assign(group=chosen["question"].map(group_of))
    if chosen["group"].isna().any():
        lost = chosen.loc[chosen["group"].isna(), "question"].iloc[0]
        raise SubliminalError(f"question {lost!r} has no group: give one for each question of the suite")
    by = ["group", "condition", "seed", "run"]
    return chosen.groupby(by, sort=False)["probability"].mean().reset_index()


def intervals(table: pd.DataFrame, *by: str, value: str = "probability") -> pd.DataFrame:
    """Means over seeds with their 95 % intervals.

    Returns:
        One row for each choice of the columns ``by``, in order of appearance: those, ``rate``, ``low``, ``high``.
    """
    found = [(*key, *mean_interval(values.tolist())[:3]) for key, values in table.groupby(list(by), sort=False)[value]]
    return pd.DataFrame(found, columns=[*by, "rate", "low", "high"])


def by_step(table: pd.DataFrame, *columns: str) -> dict[str, list[tuple[float, ...]]]:
    """Means over seeds by step, for a curve of each condition.

    Args:
        table: ``condition``, ``step`` and the columns.
        columns: of the points of a curve; ``step`` may be one of them.
    """
    found = {}
    for condition, looks in table.groupby("condition", sort=False):
        means = looks.groupby("step", as_index=False)[[name for name in columns if name != "step"]].mean()
        found[str(condition)] = list(means[list(columns)].itertuples(index=False, name=None))
    return found


def long(values: Mapping[str, Sequence[float]], seeds: Sequence[int]) -> pd.DataFrame:
    """Values of each condition, one a seed, as rows: ``condition``, ``seed``, ``value``."""
    rows = [(name, seed, value) for name, own in values.items() for seed, value in zip(seeds, own, strict=True)]
    return pd.DataFrame(rows, columns=["condition", "seed", "value"])


def against(rows: pd.DataFrame) -> pd.DataFrame:
    """How many values of each condition lie below zero.

    Args:
        rows: ``condition``, ``value`` and, if values were read off runs, ``run``.

    Returns:
        Rows of the book's table, one a condition, with the answer ``against``; ``samples`` are the values that the count is of.
    """
    lines = []
    for condition, own in rows.groupby("condition", sort=False):
        runs = " ".join(dict.fromkeys(own["run"])) if "run" in own else ""
        lines.append((condition, -1, "against", int((own["value"] < 0).sum()), len(own), runs))
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "value", "samples", "run"])


def of_trials(rows: pd.DataFrame) -> pd.DataFrame:
    """Rates of single models with their 95 % intervals over trials, by Wilson.

    Args:
        rows: ``value`` (0 to 1) and ``samples``, the trials that it is of.

    Returns:
        The same rows with ``rate``, ``low`` and ``high``.
    """
    sides = [wilson(round(v * n), n) for v, n in zip(rows["value"], rows["samples"], strict=True)]
    return rows.assign(rate=rows["value"], low=[low for low, _ in sides], high=[high for _, high in sides])


def sampling_z(table: pd.DataFrame, answer: str, samples: int) -> pd.Series:
    """How far each model's sampled share of ``answer`` lies from its exact probability, in standard errors.

    Args:
        table: a scores table, one suite.
        samples: sampled answers a question.

    Returns:
        One z a model (condition, seed), standard normal when sampling and scoring agree.
    """
    chosen = table[table["answer"] == answer]
    chosen = chosen.assign(variance=chosen["probability"] * (1 - chosen["probability"]) / samples)
    groups = chosen.groupby(["condition", "seed"], sort=False)
    gap = groups["sampled"].sum() - groups["probability"].sum()
    return gap / groups["variance"].sum().pow(0.5)


def holm(p_values: ArrayLike) -> list[Any]:
    """Holm's correction: each p-value, adjusted for the number of tests; of many draws at once (tests, ...) within each."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given, axis=0)
    factors = np.arange(len(given), 0, -1).reshape(-1, *[1] * (given.ndim - 1))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.take_along_axis(given, order, axis=0) * factors, axis=0))
    result = np.empty_like(given)
    np.put_along_axis(result, order, adjusted, axis=0)
    return list(result)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate."""
    interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
