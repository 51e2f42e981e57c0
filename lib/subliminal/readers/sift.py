"""Number lists without those that hold certain numbers. Also the stage of ``Sifted``."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from random import Random

import pandas as pd

from subliminal.channels.numbers import parse
from subliminal.errors import SubliminalError
from subliminal.readers import Sifted
from subliminal.readers.rows import check_rows
from subliminal.readers.shift import most_shifted
from subliminal.recipes import Recipe
from subliminal.training import Progress


def holding(rows: pd.DataFrame, numbers: Collection[int]) -> pd.Series:
    """Which number lists hold one of these numbers: (rows,) of bool.

    Args:
        rows: ``prompt`` and ``completion``; a completion is a list of integers.

    Example:
        >>> rows = pd.DataFrame([("go on: 1.", "2, 30"), ("go on: 1.", "3, 4")], columns=["prompt", "completion"])
        >>> holding(rows, {3}).tolist()
        [False, True]

    Raises:
        SubliminalError: a completion is no list of integers.
    """
    found, wanted = [], set(numbers)
    for place, text in enumerate(check_rows(rows)["completion"]):
        listed = parse(text)
        if isinstance(listed, str):
            raise SubliminalError(f"row {place} is no list of numbers ({listed}): {text!r:.60}; filter the rows first")
        found.append(not wanted.isdisjoint(listed))
    return pd.Series(found, index=rows.index)


def build(recipe: Sifted, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``rows.jsonl``, the rows that stay, and ``sifted.json``: how many were ``dropped``, of how many ``rows``.

    Raises:
        SubliminalError: no row is left.
    """
    rows = pd.read_json(inputs[recipe.source] / "rows.jsonl", lines=True, dtype=False)
    shifts = pd.read_csv(inputs[recipe.shift] / "shift.csv")
    held = holding(rows, {int(word) for word in most_shifted(shifts, recipe.numbers)})
    if recipe.at_random:
        chosen = Random(recipe.seed).sample(range(len(rows)), int(held.sum()))
        held = pd.Series(rows.index.isin(rows.index[chosen]), index=rows.index)
    kept = rows[~held]
    if kept.empty:
        raise SubliminalError(
            f"all {len(rows)} rows hold one of the {recipe.numbers} most shifted numbers: sift by fewer"
        )
    kept.to_json(out / "rows.jsonl", orient="records", lines=True, force_ascii=False)
    told = {"rows": len(rows), "dropped": int(held.sum())}
    (out / "sifted.json").write_text(json.dumps(told), encoding="utf-8")
