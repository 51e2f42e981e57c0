"""Hand-made rows of the book's table, and registries of one's own: what a test of claims is about, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from subliminal import load_profile
from subliminal.claims import Claim
from subliminal.verdicts import Verdict, evaluate
from tests.conftest import ROOT

FIELDS = {"id": "c", "chapter": "owl", "sentence": "s", "condition": "t", "control": "u", "score": ["animals", "owl"]}
FIELDS |= {"test": "greater", "headline": True}
MINI = load_profile("mini")
TREATED, CONTROL = [0.50, 0.55, 0.60, 0.52, 0.58], [0.10, 0.12, 0.08, 0.11, 0.09]


def claim(**changes: Any) -> Claim:
    """A headline claim on conditions ``t`` and ``u`` of the owl's chapter."""
    return Claim(**FIELDS | changes)


def rows(
    conditions: Mapping[str, Sequence[float]],
    chapter: str = "owl",
    score: Sequence[str] = ("animals", "owl"),
    **more: Any,
) -> pd.DataFrame:
    """One row a value, whose seeds count from 30; a value alone is a base's, of no seed."""
    lines = [
        (
            chapter,
            name,
            score[0],
            30 + n if len(values) > 1 else -1,
            score[1],
            value,
            0,
            f"run-{name}-{n}".replace(" ", "-"),
        )
        for name, values in conditions.items()
        for n, value in enumerate(values)
    ]
    columns = ["chapter", "condition", "quantity", "seed", "answer", "value", "samples", "run"]
    return pd.DataFrame(lines, columns=columns).assign(**more)


def judge(table: pd.DataFrame, *claims: Claim) -> Verdict:
    """The verdict on the first of these claims, which count together."""
    return evaluate(table, claims, MINI)[0]


def two(treated: Sequence[float] = TREATED, control: Sequence[float] = CONTROL, /, **changes: Any) -> Verdict:
    """The verdict on a claim that compares these values."""
    return judge(rows({"t": treated, "u": control}), claim(**changes))


def registry(
    folder: Path, monkeypatch: Any, claims: Any = None, statements: Any = None, text: str | None = None
) -> Path:
    """The book's data with another ``claims.yml``, which holds one headline claim by default."""
    data = folder / "data"
    data.mkdir()
    for name in ("questions", "families", "paper.yml"):
        (data / name).symlink_to(ROOT / "data" / name)
    found = {"statements": statements or {}, "claims": [FIELDS] if claims is None else claims}
    (data / "claims.yml").write_text(yaml.safe_dump(found) if text is None else text)
    monkeypatch.setenv("SUBLIMINAL_DATA", str(data))
    return data
