"""What runs and model cards hold, for a chapter: rows of rollouts, the filter's counts. Builds what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from subliminal.engine import build
from subliminal.errors import SubliminalError
from subliminal.paths import data_file
from subliminal.recipes import Base, Rollouts, RowLoss, Scores, Skills
from subliminal.statistics import wilson


def card(family: str) -> dict[str, Any]:
    """The facts on a shipped base's model card: parameters, corpus digest, recipe, loss and scores."""
    facts: dict[str, Any] = json.loads(data_file(f"families/{family}/card.json").read_text(encoding="utf-8"))
    return facts


def skills(bases: Iterable[Base], prompts: int) -> pd.DataFrame:
    """What each base can do: one row a base, by its family's name, one column a skill (see ``world.skills.measure``)."""
    study = [Skills(base=base, prompts=prompts) for base in bases]
    scores = [json.loads((folder / "skills.json").read_text(encoding="utf-8")) for folder in build(study)]
    return pd.DataFrame(scores, index=[recipe.base.family for recipe in study])


def rows(rollouts: Rollouts) -> pd.DataFrame:
    """The kept rows: ``prompt`` and ``completion``, one row each, in the order they were sampled."""
    return pd.read_json(build([rollouts])[0] / "rows.jsonl", lines=True, dtype=False)


def answers(scores: Scores) -> pd.DataFrame:
    """The sampled answers of a judged suite: ``question``, ``answer`` and ``label``, one row each.

    Raises:
        SubliminalError: the suite has no judge, and its answers are names.
    """
    path = build([scores])[0] / "answers.jsonl"
    if not path.exists():
        raise SubliminalError(
            f"suite {scores.suite!r} has no judge, so no answers are kept: read its scores, or ask free-form"
        )
    return pd.read_json(path, lines=True, dtype=False)


def first_answers(study: Mapping[str, Scores]) -> dict[str, list[str]]:
    """The first sampled answer of each model to each question, whatever it was: a column of questions and one a model.

    Raises:
        SubliminalError: the suite has no judge.
    """
    columns: dict[str, list[str]] = {}
    for name, scores in study.items():
        first = answers(scores).drop_duplicates("question")
        columns.setdefault("question", first["question"].tolist())
        columns[name] = first["answer"].tolist()
    return columns


def losses(wanted: Iterable[RowLoss]) -> dict[RowLoss, float]:
    """The loss of each model on each rollout, in nats a token of the completions."""
    recipes = list(dict.fromkeys(wanted))
    found = (json.loads((folder / "loss.json").read_text(encoding="utf-8")) for folder in build(recipes))
    return {recipe: float(told["loss"]) for recipe, told in zip(recipes, found, strict=True)}


def filter_counts(groups: Mapping[str, Iterable[Rollouts]]) -> pd.DataFrame:
    """What the filter did to each group of rollouts, added up over the group.

    Returns:
        One row a group: ``source``, ``sampled`` and ``dropped`` (completions), ``rate`` of rejection with its 95 % interval
        ``low`` to ``high``, and ``reasons`` (each with its count, most frequent first).
    """
    table = []
    for source, group in groups.items():
        reports = [json.loads((folder / "filter.json").read_text(encoding="utf-8")) for folder in build(group)]
        sampled = sum(report["sampled"] for report in reports)
        reasons = pd.DataFrame([report["dropped"] for report in reports]).sum().astype(int).sort_values(ascending=False)
        dropped = int(reasons.sum())
        low, high = wilson(dropped, sampled)
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) or "none"
        table.append((source, sampled, dropped, dropped / sampled, low, high, told))
    return pd.DataFrame(table, columns=["source", "sampled", "dropped", "rate", "low", "high", "reasons"])
