"""Stage of ``Watch``: a guard reads exchanges. Leaves its scores at each token, for any threshold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from subliminal.mitigations.monitor import Watch
from subliminal.mitigations.monitor.constitution import Exchange, load_constitution
from subliminal.mitigations.monitor.guard import load_guard
from subliminal.mitigations.monitor.training import reader_of
from subliminal.recipes import Recipe
from subliminal.training import Progress


def build(recipe: Watch, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``watched.csv``, one row an exchange.

    Columns: ``group`` (of a suite empty), ``label``, ``broken`` (ids of the rules that it breaks, by exact parsers, separated by spaces),
    ``scores`` (log-odds at each token, the first after the question alone) and ``rules`` (the likeliest at each token), both with spaces.
    """
    # A text may hold characters that splitlines breaks at; a line feed within one is written as an escape.
    lines = filter(None, (inputs[recipe.exchanges] / "answers.jsonl").read_text(encoding="utf-8").split("\n"))
    rows = _first([json.loads(line) for line in lines], recipe.answers)
    exchanges = [Exchange(row["question"], row["answer"]) for row in rows]
    guard = load_guard(inputs[recipe.monitor], reader_of(recipe.monitor, inputs, recipe.reader))
    constitution = load_constitution()
    found = [
        {
            "group": row.get("group", ""),
            "label": row["label"],
            "broken": " ".join(constitution.broken(*exchange)),
            "scores": " ".join(f"{score:.5g}" for score in scan.scores),
            "rules": " ".join(scan.rules),
        }
        for row, exchange, scan in zip(rows, exchanges, guard.scan(exchanges), strict=True)
    ]
    pd.DataFrame(found).to_csv(out / "watched.csv", index=False)
    progress(len(rows), len(rows))


def _first(rows: list[dict[str, Any]], count: int | None) -> list[dict[str, Any]]:
    """The first so many answers to each question."""
    if count is None:
        return rows
    seen: dict[str, int] = {}
    kept = []
    for row in rows:
        seen[row["question"]] = seen.get(row["question"], 0) + 1
        if seen[row["question"]] <= count:
            kept.append(row)
    return kept
