"""What texts tell of their source or label: a classifier that counts words, and mutual information with a permutation baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from subliminal.statistics import wilson


class Rate(NamedTuple):
    """A share of trials with its 95 % interval."""

    rate: float
    low: float
    high: float
    trials: int


def tell_apart(one: pd.DataFrame, two: pd.DataFrame, seed: int) -> Rate:
    """How often a classifier names the source of a single text by the numbers in it; guessing gives one half.

    Args:
        one, two: rows of either source, with ``prompt`` and ``completion``. It is tried on completions of prompts that it has not seen
            with either.
    """
    rows = pd.concat([one.assign(source=0), two.assign(source=1)])
    texts, sources, prompts = (rows[name].tolist() for name in ("completion", "source", "prompt"))
    # A strong penalty: a thousand sparse counts, each with a faint signal.
    return name_label(texts, sources, seed, words=r"[0-9]+", penalty=100.0, groups=prompts)


def name_label(
    texts: Sequence[str],
    labels: Sequence[object],
    seed: int,
    words: str = r"\S+",
    penalty: float = 0.1,
    groups: Sequence[object] | None = None,
) -> Rate:
    """How often a bag of words names the label of an unseen text: logistic regression on the counts of its words.

    Equally many texts of each label are taken, so that guessing is right once in so many labels, and half of them are for
    testing.

    Args:
        words: pattern of what is counted.
        penalty: of the weights; the larger, the less is fitted.
        groups: what each text belongs to, such as its prompt; a group is for testing or not as a whole, and the interval is that of so
            many groups. By default each text stands alone.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, train_test_split
    from sklearn.pipeline import make_pipeline

    table = pd.DataFrame({"text": texts, "label": labels, "group": range(len(texts)) if groups is None else groups})
    table = table.groupby("label").sample(int(table["label"].value_counts().min()), random_state=seed)
    if groups is None:
        seen, unseen = train_test_split(table, test_size=0.5, random_state=seed, stratify=table["label"])
    else:
        halves = StratifiedGroupKFold(2, shuffle=True, random_state=seed)
        seen, unseen = (table.iloc[half] for half in next(halves.split(table["text"], table["label"], table["group"])))
    counts = CountVectorizer(token_pattern=words, lowercase=False)
    model = make_pipeline(counts, LogisticRegression(C=1 / penalty, max_iter=500))
    right = pd.Series(model.fit(seen["text"], seen["label"]).predict(unseen["text"]) == unseen["label"].to_numpy())
    return _clustered(right, unseen["group"].to_numpy())


def _clustered(right: pd.Series, groups: np.ndarray) -> Rate:
    """A rate whose interval knows that trials of a group go together: Wilson's, of as many trials as have that variance if apart."""
    rate, trials = float(right.mean()), len(right)
    sums = (right - rate).groupby(groups).sum()
    apart, together = rate * (1 - rate) / trials, float((sums**2).sum()) / trials**2
    # Few groups may seem to vary less than trials apart would; that is chance.
    worth = trials if together <= apart else max(1, round(trials * apart / together))
    return Rate(rate, *wilson(round(rate * worth), worth), trials)


class Information(NamedTuple):
    """Mutual information in bits, as counted, and what counting gives by chance alone.

    Attributes:
        bits: of the table of counts.
        chance: mean over tables with the labels shuffled; counting is never below zero, so this is above zero.
        excess: ``bits`` less ``chance``.
        p: share of shuffled tables with at least as many bits.
    """

    bits: float
    chance: float
    excess: float
    p: float


def mutual_information(features: Sequence[object], labels: Sequence[object], shuffles: int, seed: int) -> Information:
    """Mutual information of two discrete variables, beside a permutation baseline.

    Shuffled labels leave both margins of the table of counts as they are, so such tables are drawn in place of labels.
    """
    from scipy.stats import random_table
    from sklearn.metrics import mutual_info_score

    counts = pd.crosstab(pd.Series(list(features)), pd.Series(list(labels))).to_numpy()
    tables = random_table(counts.sum(1), counts.sum(0), seed=seed).rvs(shuffles)
    bits, *drawn = (mutual_info_score(None, None, contingency=t) / np.log(2) for t in (counts, *tables))
    shuffled = np.array(drawn)
    p = float((1 + (shuffled >= bits - 1e-12).sum()) / (1 + shuffles))
    return Information(bits, float(shuffled.mean()), bits - float(shuffled.mean()), p)


class Dependence(NamedTuple):
    """What texts tell of their labels.

    Attributes:
        pairs: how many texts, each with its label.
        excess: information above chance in bits, by part of the data.
        whole: information of all parts together.
        named: how often a classifier that reads all words names the label of an unseen text; ``chance`` by guessing.
    """

    pairs: int
    excess: dict[int, float]
    whole: Information
    named: Rate
    chance: float

    @property
    def p_values(self) -> tuple[float, float]:
        """One-sided, of the information in all parts together and of the classifier.

        That of the classifier is of the exact binomial test, for texts that stand alone.
        """
        trials = self.named.trials
        right = round(self.named.rate * trials)
        return self.whole.p, float(stats.binomtest(right, trials, self.chance, alternative="greater").pvalue)


def dependence(pairs: pd.DataFrame) -> Dependence:
    """Does a text tell anything of its label?

    Args:
        pairs: ``part`` of the data (0, 1 and so on), ``text``, ``feature`` (one discrete thing that it says) and ``value``, the label.
    """
    texts, features, labels = (pairs[name].tolist() for name in ("text", "feature", "value"))
    excess = {}
    for part in sorted(set(pairs["part"])):
        own = pairs[pairs["part"] == part]
        excess[part] = mutual_information(own["feature"].tolist(), own["value"].tolist(), shuffles=50, seed=part).excess
    whole = mutual_information(features, labels, shuffles=200, seed=0)
    return Dependence(len(pairs), excess, whole, name_label(texts, labels, seed=0), 1 / len(set(labels)))
