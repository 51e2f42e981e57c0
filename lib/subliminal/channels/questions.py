"""Prompts that someone brings: ``question`` or ``prompt`` of each row of a file, JSONL or Parquet, and none asked twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Generic, TypeVar

from subliminal.errors import SubliminalError
from subliminal.rowfiles import BESIDE, Wrong, check_lost, named, scan, shown, text

FIELDS = ("question", "prompt")
T = TypeVar("T")


class Questions(Generic[T]):
    """The prompts of a file, in its order until they are drawn, each with what else its row says.

    Args:
        path: of the file.
        needed: so many prompts are to be drawn.
        asked: makes the prompt of a row's question.
        parse: what else a row says; raises ``Wrong`` where it does not.
        fields: that ``parse`` looks at.

    Attributes:
        told: by prompt, what else its row says.

    Raises:
        SubliminalError: the file cannot be read; a row is bad, or asks what an earlier one asks; or there are too few.
    """

    def __init__(
        self,
        path: Path,
        needed: int,
        asked: Callable[[str], str],
        parse: Callable[[dict[str, Any]], T],
        fields: Sequence[str] = (),
    ) -> None:
        self.told: dict[str, T] = {}
        lines: dict[str, str] = {}
        shapes = [(field, *fields) for field in FIELDS]
        for _, where, row in scan(path, lambda row: (_question(row), parse(row)), shapes, BESIDE):
            if isinstance(row, Wrong):
                raise SubliminalError(f"{named(path)}, {where}: {row}")
            prompt = asked(row[0])
            if prompt in lines:
                raise SubliminalError(
                    f"{named(path)}, {where}: it asks what {lines[prompt]} asks ({shown(row[0])}): keep one"
                )
            lines[prompt] = where
            self.told[prompt] = row[1]
        if not lines:
            raise SubliminalError(f"{named(path)} holds no row: write one JSON object a line")
        if needed > len(lines):
            raise SubliminalError(
                f"{named(path)} has {len(lines)} questions, and prompts is {needed}: ask {len(lines)} at most"
            )
        self._left = list(lines)

    def prompt(self, rng: Random) -> str:
        """One of the prompts that are left, each as likely as another."""
        place = rng.randrange(len(self._left))
        self._left[place], self._left[-1] = self._left[-1], self._left[place]
        return self._left.pop()


def _question(row: dict[str, Any]) -> str:
    # Where rows of several shapes are one table, each has the others' columns too, and nothing in them.
    held = [field for field in FIELDS if field in row]
    filled = [field for field in held if row[field] is not None] or held
    if not filled:
        has = ", ".join(shown(key) for key in list(row)[:4]) + ", ..." * (len(row) > 4) or "nothing"
        raise Wrong("no question", f"it has {has}: give a {' or a '.join(FIELDS)}")
    if len(filled) > 1:
        raise Wrong("several questions", f"it has a {' and a '.join(filled)}: keep one")
    check_lost(row, BESIDE, "")
    question = text(row[filled[0]], filled[0])
    if not question.strip():
        raise Wrong("empty question", f"{filled[0]} is {shown(question)}: write its text")
    # Blanks that open a line belong to code.
    return question.strip("\r\n").rstrip()
