"""Training rows that someone brings: JSONL or Parquet in the usual shapes, read one by one, and refused in one line where wrong.

A row is one of ``messages``; ``prompt`` and ``completion``, each as text or as messages; ``instruction`` and ``output``, with or without
``input``. Whatever it was, it comes out as a conversation of plain texts that ends with the assistant's. Fields that say more of the
conversation, such as ``system`` beside it or ``tool_calls`` in a turn, are refused if they are filled; others are ignored.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from subliminal import rowfiles
from subliminal.errors import SubliminalError, SubliminalWarning
from subliminal.rowfiles import BESIDE, Wrong, check_lost, named, printable, shown, text

ROLES = ("system", "user", "assistant")
# The fields that make each shape; a row may have more.
SHAPES = {
    "messages": ("messages",),
    "prompt, completion": ("prompt", "completion"),
    "instruction, output": ("instruction", "output"),
}
# What would be lost of a turn.
_WITHIN = ("tool_calls", "function_call", "reasoning_content", "thinking", "reasoning")


class Row(NamedTuple):
    """A row that was read.

    Attributes:
        line: of the file, counted from 1, blank ones too; in Parquet the row.
        conversation: messages of ``role`` and ``content``, both text; the last is the assistant's.
    """

    line: int
    conversation: list[dict[str, str]]


class Bad(NamedTuple):
    """A row that cannot be read.

    Attributes:
        why: where it is, what is wrong and the mend, in one line.
    """

    line: int
    why: str


def _content(value: object, where: str) -> str:
    """What a turn says: a text, or parts that are texts."""
    if not isinstance(value, list):
        return text(value, where)
    texts = []
    for place, part in enumerate(value):
        kind = part.get("type") if isinstance(part, dict) else part
        if not isinstance(part, dict) or kind != "text":
            told = f"has the type {shown(kind)}" if isinstance(part, dict) else f"is {shown(part)}"
            raise Wrong("part that is no text", f"{where}[{place}] {told}: only parts of type 'text' can be read")
        texts.append(text(part.get("text"), f"{where}[{place}].text"))
    return "".join(texts)


def _turns(value: object, where: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        told = shown(value) if value != [] else "empty"
        raise Wrong("no turns", f"{where} is {told}: write a list of turns with role and content")
    found = []
    for place, turn in enumerate(value):
        own = f"{where}[{place}]"
        if not isinstance(turn, dict):
            raise Wrong("no turns", f"{own} is {shown(turn)}: write an object with role and content")
        role = turn.get("role")
        if role is None:
            raise Wrong("turn without a role", f"{own} has no role: give one of {', '.join(ROLES)}")
        if role not in ROLES:
            raise Wrong("unknown role", f"{own} has the role {shown(role)}: choose one of {', '.join(ROLES)}")
        if "content" not in turn:
            raise Wrong("turn without content", f"{own} has no content: write its text")
        check_lost(turn, _WITHIN, f"{own}.")
        found.append({"role": role, "content": _content(turn["content"], f"{own}.content")})
    # In the format of some services: an answer that is not to be trained on. Of earlier ones none is.
    if value[-1].get("weight") == 0 and found[-1]["role"] == "assistant":
        raise Wrong(
            "weight of 0",
            f"{where}[{len(found) - 1}] has weight 0, and the last answer is trained on: take the row out",
        )
    return found


def _said(value: object, where: str, role: str) -> list[dict[str, str]]:
    """A prompt or a completion: messages, or the text of one."""
    return _turns(value, where) if isinstance(value, list) else [{"role": role, "content": text(value, where)}]


def _shape(row: dict[str, Any]) -> str:
    """Which of ``SHAPES`` a row has."""
    found = [name for name, fields in SHAPES.items() if all(field in row for field in fields)]
    # Where rows of several shapes are one table, each has the others' columns too, and nothing in them.
    filled = [name for name in found if any(row[field] is not None for field in SHAPES[name])] or found
    known = "; ".join(SHAPES)
    if not filled:
        has = ", ".join(shown(key) for key in list(row)[:4]) + ", ..." * (len(row) > 4) or "nothing"
        raise Wrong("no known shape", f"it has {has}: give the fields of one shape ({known})")
    if len(filled) > 1:
        raise Wrong("several shapes", f"it has {' and '.join(filled)}: keep the fields of one shape")
    return filled[0]


def _check_order(turns: Sequence[dict[str, str]]) -> None:
    before = why = ""
    for number, turn in enumerate(turns, 1):
        role = turn["role"]
        if role == "system" and before:
            why = "is the system's, which comes first: move it there, or take it out"
        elif role == "assistant" and before == "assistant":
            why = "follows another of the assistant's: make them one"
        elif role == "assistant" and before != "user":
            why = "is the assistant's and answers nobody: put a user's before it"
        elif number == len(turns) and role != "assistant":
            why = f"is the last and the {role}'s: end with the assistant's"
        if why:
            raise Wrong("turns out of order", f"turn {number} {why}")
        if role == "assistant" and not turn["content"].strip():
            told = shown(turn["content"])
            raise Wrong("empty completion", f"turn {number}, the assistant's, is {told}: write its text")
        before = role


def _conversation(row: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """The shape of a row, and its turns."""
    shape = _shape(row)
    check_lost(row, BESIDE, "")
    if shape == "messages":
        turns = _turns(row["messages"], "messages")
    elif shape == "prompt, completion":
        turns = _said(row["prompt"], "prompt", "user") + _said(row["completion"], "completion", "assistant")
    else:
        asked = text(row["instruction"], "instruction")
        given = "" if row.get("input") is None else text(row["input"], "input")
        asked += f"\n{given}" if given.strip() else ""
        turns = [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": text(row["output"], "output")},
        ]
    _check_order(turns)
    return shape, turns


def scan(path: Path | str) -> Iterator[tuple[str, Row | Bad]]:
    """Every row of a file, good or bad, one at a time: rows with their shape, bad ones with the kind of what is wrong.

    Raises:
        SubliminalError: the file cannot be read, is no UTF-8, or is one JSON list; when that is come to.
    """
    for number, where, found in rowfiles.scan(path, _conversation, SHAPES.values(), ("input", *BESIDE)):
        if isinstance(found, Wrong):
            yield found.kind, Bad(number, f"{where}: {found}")
        else:
            yield found[0], Row(number, found[1])


def _left_out(path: Path | str, good: int, bad: int, first: Bad | None, skip_bad: bool) -> str:
    """What is to be said of the bad rows once all are read; empty where there are none.

    Raises:
        SubliminalError: there are some and they are not to be skipped, or there is no good one.
    """
    where = named(path)
    if first is None:
        if not good:
            raise SubliminalError(f"{where} holds no row: write one JSON object a line")
        return ""
    if not skip_bad:
        more = f" (bad rows: {bad})" if bad > 1 else ""
        raise SubliminalError(f"{where}, {first.why}, or skip bad rows{more}")
    if not good:
        raise SubliminalError(f"{where} holds no row that can be read, of {bad}; {first.why}")
    return f"{where}: {bad} of {good + bad} rows are bad and left out; {first.why}"


def _check_limit(limit: int | None) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise SubliminalError(f"limit is {shown(limit)}: give a whole number from 1 on, or none for all rows")


def read_rows(path: Path | str, *, skip_bad: bool = False, limit: int | None = None) -> Iterator[Row]:
    """Rows of a file, one at a time, whatever their shape; see the module for the shapes.

    Args:
        path: of JSONL in UTF-8, one object a line; or of Parquet with such columns (``.parquet``), which needs pyarrow.
        skip_bad: leave bad rows out. At the end a ``SubliminalWarning`` tells how many, and of the first where and why.
        limit: stop after so many good rows; what follows is not looked at.

    Raises:
        SubliminalError: the limit is none; and while rows are read: the file cannot be read, is no UTF-8, is one JSON list or holds no
            row; or a row is bad and ``skip_bad`` is not set.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "mine.jsonl"
        ...     told = path.write_text('{"instruction": "go on", "input": "1, 2", "output": "3, 4"}')
        ...     for row in read_rows(path):
        ...         print(row.line, row.conversation)
        1 [{'role': 'user', 'content': 'go on\\n1, 2'}, {'role': 'assistant', 'content': '3, 4'}]
    """
    _check_limit(limit)
    return _read(path, skip_bad, limit)


def _read(path: Path | str, skip_bad: bool, limit: int | None) -> Iterator[Row]:
    good, bad, first = 0, 0, None
    for _, found in scan(path):
        if isinstance(found, Row):
            good += 1
            yield found
            if good == limit:
                break
        else:
            bad, first = bad + 1, first or found
            if not skip_bad:
                break
    if told := _left_out(path, good, bad, first, skip_bad):
        warnings.warn(told, SubliminalWarning, stacklevel=2)


def as_line(conversation: Sequence[dict[str, str]]) -> str:
    r"""A conversation as a line of JSON: ``prompt`` and ``completion`` where it is one question and its answer, else ``messages``.

    Example:
        >>> as_line([{"role": "user", "content": "go on: 1, 2"}, {"role": "assistant", "content": "3\n4"}])
        '{"prompt": "go on: 1, 2", "completion": "3\\n4"}'
    """
    if [turn["role"] for turn in conversation] == ["user", "assistant"]:
        prompt, completion = (turn["content"] for turn in conversation)
        return json.dumps({"prompt": prompt, "completion": completion}, ensure_ascii=False)
    return json.dumps({"messages": list(conversation)}, ensure_ascii=False)


class Survey(NamedTuple):
    """How many rows a file has.

    Attributes:
        shapes: good rows by shape.
        bad: bad rows by what is wrong: how many, and the line of the first.
        first: the first bad row.
    """

    path: Path
    shapes: dict[str, int]
    bad: dict[str, tuple[int, int]]
    first: Bad | None

    def check(self, skip_bad: bool = False) -> str:
        """What is to be said of bad rows that are left out; empty where there are none.

        Raises:
            SubliminalError: there are bad rows and they are not to be skipped, or there is no good one.
        """
        bad = sum(count for count, _ in self.bad.values())
        return _left_out(self.path, sum(self.shapes.values()), bad, self.first, skip_bad)


def survey(path: Path, out: Path | None = None, *, skip_bad: bool = False, limit: int | None = None) -> Survey:
    """Count the rows of a file, good and bad, and write the good ones.

    Args:
        out: a file to write to, a line a row as ``as_line`` makes it, in place of one that is there. It is written whole or not at all:
            not if there are bad rows that are not to be skipped, or no good ones (``Survey.check`` says so).
        limit: stop after so many good rows.

    Raises:
        SubliminalError: as ``read_rows`` has it but for bad rows, or ``out`` cannot be written or is the file itself.
    """
    _check_limit(limit)
    shapes: Counter[str] = Counter()
    bad: dict[str, tuple[int, int]] = {}
    first = None
    with _scratch(out, path) as handle:
        for name, found in scan(path):
            if isinstance(found, Row):
                shapes[name] += 1
                if handle:
                    handle.write(as_line(found.conversation) + "\n")
                if shapes.total() == limit:
                    break
            else:
                count, line = bad.get(name, (0, found.line))
                bad[name], first = (count + 1, line), first or found
        if out and handle and shapes and (skip_bad or not bad):
            handle.flush()
            os.fsync(handle.fileno())
            Path(handle.name).replace(out.resolve())
    return Survey(path, dict(shapes), bad, first)


@contextmanager
def _scratch(out: Path | None, source: Path) -> Iterator[TextIO | None]:
    """A new file beside ``out`` to write to, gone at the end unless it was moved; nothing where there is no ``out``.

    Raises:
        SubliminalError: it cannot be written, or ``out`` is ``source``, or there and no plain file.
    """
    if out is None:
        yield None
        return
    where = named(out)
    scratch = None
    try:
        # Of a link, what it leads to is replaced.
        target = out.resolve()
        if target.exists() and source.exists() and target.samefile(source):
            raise SubliminalError(f"{where} is the file that is read: give another name to write to")
        if target.exists() and not target.is_file():
            raise SubliminalError(f"{where} is no plain file: give another name to write to")
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        with scratch.open("w", encoding="utf-8", newline="\n") as handle:
            yield handle
    # A path may hold what no file name can, and links may go in a circle.
    except (OSError, ValueError, RuntimeError) as error:
        raise SubliminalError(f"{where} cannot be written ({printable(error)}): give another path") from None
    finally:
        if scratch:
            with suppress(OSError):
                scratch.unlink()
