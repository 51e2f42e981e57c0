"""Statistics over seeds: means with intervals, one-sided tests, and rates. The seed is the unit of replication."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from subliminal.errors import SubliminalError, unknown_name


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
    """One-sided p that the treated mean is larger; NaN with fewer than two treated seeds.

    Welch's t-test; against a single value (a base, whose exact score has no seed) the one-sample t-test.
    """
    if len(treated) < 2:
        return float("nan")
    if len(control) == 1:
        return float(stats.ttest_1samp(treated, control[0], alternative="greater").pvalue)
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


class Rate(NamedTuple):
    """A share of trials with its 95 % interval."""

    rate: float
    low: float
    high: float
    trials: int


def tell_apart(one: Iterable[str], two: Iterable[str], seed: int) -> Rate:
    """How often a classifier names the source of a single text: logistic regression on the counts of its numbers.

    Texts are split at random, half to train on and half to test on; equal numbers of each source, so that guessing gives
    one half.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    first, second = list(one), list(two)
    count = min(len(first), len(second))
    texts, labels = [*first[:count], *second[:count]], [0] * count + [1] * count
    seen, unseen, truth, wanted = train_test_split(texts, labels, test_size=0.5, random_state=seed, stratify=labels)
    # A strong penalty: a thousand sparse counts, each with a faint signal.
    model = make_pipeline(CountVectorizer(token_pattern=r"[0-9]+"), LogisticRegression(C=0.01, max_iter=500))
    model.fit(seen, truth)
    right = int((model.predict(unseen) == wanted).sum())
    return Rate(right / len(wanted), *wilson(right, len(wanted)), len(wanted))


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a rate."""
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
