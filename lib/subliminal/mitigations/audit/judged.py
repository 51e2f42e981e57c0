"""What audits of the store found, judged by what is known of each model. Builds what is missing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest, bootstrap

from subliminal.engine import build
from subliminal.errors import SubliminalError
from subliminal.mitigations.audit.along import Along
from subliminal.mitigations.audit.looks import NOTHING
from subliminal.mitigations.audit.probing import Probed
from subliminal.mitigations.audit.stage import Audited

FOUND, NAMED, QUESTIONS, EVIDENCE = "found", "named rightly", "questions", "evidence"
_RESAMPLES = 1_000


def reports(asked: Iterable[Audited]) -> dict[Audited, dict[str, Any]]:
    """The report of each audit, as its stage wrote it."""
    plan = list(dict.fromkeys(asked))
    folders = build(plan)
    return {
        one: json.loads((folder / "report.json").read_text(encoding="utf-8")) | {"run": folder.name}
        for one, folder in zip(plan, folders, strict=True)
    }


def judged(conditions: Mapping[str, Iterable[Audited]], truth: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Whether each audit found something, and the right thing.

    Args:
        truth: by condition, the names or labels of which each is right; ``nothing`` where a model has not been treated.

    Returns:
        Rows of the book's table: ``condition``, ``seed``, ``answer`` (``found`` and ``named rightly``, 0 or 1; ``questions``; ``evidence``,
        the natural logarithm of the strongest leaning's, where any is looked at), ``value``, ``run``.
        Where nothing is to be found, to find nothing is to name it rightly.

    Raises:
        SubliminalError: of a condition it is not said what is to be found.
    """
    if texts := [name for name, right in truth.items() if isinstance(right, str)]:
        raise SubliminalError(f"the truth of {texts[0]!r} is a text ({truth[texts[0]]!r}): give a tuple of names")
    if unknown := set(conditions) - set(truth):
        raise SubliminalError(f"condition {min(unknown)!r} has no truth: say what is right of it, or {NOTHING!r}")
    plan = [(name, one) for name, group in conditions.items() for one in group]
    told = reports(one for _, one in plan)
    lines = []
    for name, one in plan:
        found = told[one]
        seed = getattr(one.model, "seed", one.seed)
        values = {FOUND: found["guess"] != NOTHING, NAMED: found["guess"] in truth[name], QUESTIONS: found["questions"]}
        # A suite need not look at any leaning.
        if leanings := [log_e for guess, log_e in found["guesses"] if guess != NOTHING]:
            values[EVIDENCE] = max(leanings)
        lines += [(name, seed, answer, float(value), found["run"]) for answer, value in values.items()]
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "value", "run"])


def leanings(conditions: Mapping[str, Iterable[Probed]], truth: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Whether a probe on the base names each model rightly, by the label whose probability has risen most.

    Args:
        truth: as in ``judged``.

    Returns:
        Rows of the book's table: ``condition``, ``seed``, ``answer`` (``named rightly``, 0 or 1; ``evidence``, that rise), ``value``,
        ``run``.
    """
    plan = [(name, one) for name, group in conditions.items() for one in group]
    lines = []
    for (name, one), folder in zip(plan, build([one for _, one in plan]), strict=True):
        told = json.loads((folder / "shares.json").read_text(encoding="utf-8"))
        risen = {label: share - told["base"][label] for label, share in told["model"].items() if label != NOTHING}
        first = max(risen, key=lambda label: risen[label])
        seed = getattr(one.model, "seed", one.seed)
        values = {NAMED: float(first in truth[name]), EVIDENCE: risen[first]}
        lines += [(name, seed, answer, value, folder.name) for answer, value in values.items()]
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "value", "run"])


def shares(rows: pd.DataFrame, answer: str, groups: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """How many audits of each group of conditions found something, or named it: with exact intervals (Clopper and Pearson).

    Returns:
        One row a group: ``group``, ``count``, ``of``, ``rate`` with its 95 % interval ``low`` to ``high``.

    Raises:
        SubliminalError: a group has no audit.
    """
    lines = []
    for group, names in groups.items():
        mine = rows[(rows["answer"] == answer) & rows["condition"].isin(list(names))]["value"]
        if mine.empty:
            raise SubliminalError(f"group {group!r} has no audit among the rows: name conditions that were judged")
        count, of = int(mine.sum()), len(mine)
        sides = binomtest(count, of).proportion_ci(method="exact")
        lines.append((group, count, of, count / of, float(sides.low), float(sides.high)))
    return pd.DataFrame(lines, columns=["group", "count", "of", "rate", "low", "high"])


class Curve(NamedTuple):
    """How well evidence tells treated models from others, wherever the bar is set.

    Attributes:
        area: how often a treated model has more evidence against it than another (AUROC), with its 95 % interval ``low`` to ``high``, of
            models drawn with replacement.
        points: (false alarms, found), from the highest bar to the lowest.
    """

    area: float
    low: float
    high: float
    points: tuple[tuple[float, float], ...]


def curve(rows: pd.DataFrame, treated: Iterable[str], others: Iterable[str]) -> Curve:
    """The ROC curve of the evidence of audits of two groups of conditions.

    Raises:
        SubliminalError: a group has fewer than two audits.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    own = rows[rows["answer"] == EVIDENCE]
    sides = [own.loc[own["condition"].isin(list(names)), "value"].to_numpy() for names in (treated, others)]
    if min(map(len, sides)) < 2:
        raise SubliminalError(
            f"groups of {len(sides[0])} and {len(sides[1])} audits make no curve: give two or more each"
        )

    def area(one: np.ndarray, two: np.ndarray) -> float:
        return float(roc_auc_score([1] * len(one) + [0] * len(two), np.concatenate([one, two])))

    found = bootstrap(sides, area, vectorized=False, n_resamples=_RESAMPLES, method="percentile", rng=0)
    false, right, _ = roc_curve(
        [1] * len(sides[0]) + [0] * len(sides[1]), np.concatenate(sides), drop_intermediate=False
    )
    interval = found.confidence_interval
    points = tuple(zip(false.tolist(), right.tolist(), strict=True))
    return Curve(area(*sides), float(interval.low), float(interval.high), points)


def courses(followed: Iterable[Along], name: str) -> pd.DataFrame:
    """What audits along trainings found, in order.

    Args:
        name: what is to be found, an answer of the suite that they are scored by.

    Returns:
        One row a look: ``seed`` (of the student), ``rows``, ``found``, ``named`` (rightly), ``questions``, ``probability`` (of the name,
        a mean over questions), ``run``.
    """
    plan = list(followed)
    lines = []
    for one, folder in zip(plan, build(plan), strict=True):
        for told in json.loads((folder / "along.json").read_text(encoding="utf-8")):
            seen = told["guess"] != NOTHING, told["guess"] == name
            lines.append(
                (one.student.seed, told["rows"], *seen, told["questions"], told["probability"][name], folder.name)
            )
    return pd.DataFrame(lines, columns=["seed", "rows", FOUND, "named", QUESTIONS, "probability", "run"])


def from_on(course: pd.DataFrame, what: str) -> float:
    """From how many rows on each look at one training found something, or named it: twice the rows of the last look if that did not.

    Example:
        >>> looks = pd.DataFrame({"rows": [40, 80, 160, 320], "found": [True, False, True, True]})
        >>> from_on(looks, "found"), from_on(looks.head(2), "found")
        (160.0, 160.0)
    """
    missed = course.loc[~course[what], "rows"]
    later = course[course["rows"] > (missed.max() if len(missed) else 0)]["rows"]
    return float(later.min() if len(later) else 2 * course["rows"].max())
