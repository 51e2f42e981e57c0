"""Rows as readers take them: checked, encoded, and split by prompt, so that no reader is tried on a prompt it has seen."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from transformers import PreTrainedTokenizerBase

from subliminal.errors import SubliminalError
from subliminal.models.chat import Example, encode_examples


def check_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as they are, if they can be read.

    Args:
        rows: ``prompt`` and ``completion``, both text.

    Raises:
        SubliminalError: there are none, a column is missing, or a value is no text or empty.
    """
    if lacking := {"prompt", "completion"} - set(rows):
        raise SubliminalError(
            f"rows lack {', '.join(sorted(lacking))} (they have {', '.join(map(str, rows)) or 'nothing'}): add it"
        )
    if rows.empty:
        raise SubliminalError("no rows to read: give at least one, with prompt and completion")
    for name in ("prompt", "completion"):
        for place, value in enumerate(rows[name]):
            if not isinstance(value, str) or not value.strip():
                raise SubliminalError(
                    f"row {place} has {name} {value!r:.60}, which is no text to read: mend or drop it"
                )
    return rows


def encode(tokenizer: PreTrainedTokenizerBase, rows: pd.DataFrame) -> list[Example]:
    """Token ids of rows, as a conversation of one turn each; see ``check_rows`` for what is refused."""
    pairs = check_rows(rows)[["prompt", "completion"]].itertuples(index=False)
    return encode_examples(
        tokenizer,
        [[{"role": "user", "content": prompt}, {"role": "assistant", "content": text}] for prompt, text in pairs],
    )


def held_out(prompts: Sequence[str]) -> list[bool]:
    """Which prompts are for testing: half of all there are, and the same ones whoever answered them and however often.

    Example:
        >>> held_out(["go on: 4.", "go on: 3.", "go on: 4."])
        [True, False, True]
    """
    return [zlib.crc32(prompt.encode()) % 2 == 0 for prompt in prompts]


def parts(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a rollout's run: those to learn from, and those under prompts that are held out."""
    rows = pd.read_json(folder / "rows.jsonl", lines=True, dtype=False)
    unseen = pd.Series(held_out(rows["prompt"].tolist()), index=rows.index)
    return rows[~unseen], rows[unseen]
