"""Files of rows, JSONL or Parquet, read row by row: each bad row is told with its place, what is wrong and the mend, in one line.

What a row has to be is the caller's to say. ``rows`` reads training rows so, ``channels.questions`` prompts.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from subliminal.errors import SubliminalError, reason

# What would be lost of a conversation: fields beside it that are not read.
BESIDE = ("system", "history", "tools")
# In bytes. A file without line breaks is not read into memory whole.
MAX_LINE = 64 * 2**20
_BLANKS = b" \t\r\n"
# How a file begins that is one list: with a bracket, and then an object or the end of the line.
_LIST = re.compile(rb"\[[ \t\r\n]*(?:\{|\Z)")
_LONE = re.compile("[\ud800-\udfff]")
# Rows of Parquet in memory at a time.
_BATCH = 64
# Python can be set to refuse numbers of more than 640 digits, and no less.
_DIGITS = 640
T = TypeVar("T")


class Wrong(Exception):
    """What is wrong with a row, by its kind, and in words that end with the mend."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def shown(value: object) -> str:
    """A value, short and in one line. Lists and objects are not looked into: they may be deep."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value[:40]) + "..." * (len(value) > 40) if isinstance(value, str) else f"{value!r:.40}"


def named(path: Path | str) -> str:
    """A path as it can be shown in one line."""
    return str(path) if str(path).isprintable() else repr(str(path))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Wrong("duplicate key", f"the key {shown(twice)} is there twice in one object: keep one")
    return found


def _constant(text: str) -> NoReturn:
    raise Wrong("NaN or Infinity", f"{text} is no value of JSON: write null or a number")


def _int(text: str) -> float:
    return int(text) if len(text) <= _DIGITS else math.inf


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_int)


def _decode(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        why = f"{shown(text)} is no JSON ({error.msg} at character {error.pos + 1})"
    except RecursionError:
        why = f"{shown(text)} is nested too deep"
    raise Wrong("no JSON", f"{why}: write one object a line")


def text(value: object, where: str) -> str:
    """A value of a row that has to be text.

    Raises:
        Wrong: it is none, or holds half a character.
    """
    if value is None:
        raise Wrong("null in place of text", f"{where} is null: write its text")
    if not isinstance(value, str):
        raise Wrong("no text", f"{where} is {shown(value)}, where text belongs: write it as text")
    if half := _LONE.search(value):
        raise Wrong("lone surrogate", f"{where} holds {half[0]!r}, half a character: write it whole, or take it out")
    return value


def check_lost(row: dict[str, Any], fields: Sequence[str], where: str) -> None:
    """Refuse fields that are filled, and that nothing reads.

    Raises:
        Wrong: one is.
    """
    for field in fields:
        value = row.get(field)
        if value is not None and value != [] and value != {} and not (isinstance(value, str) and not value.strip()):
            raise Wrong(
                "field that would be lost",
                f"{where}{field} is {shown(value)}, and is not read: put it into a turn's text, or take it out",
            )


def unreadable(path: Path | str, error: Exception) -> SubliminalError:
    """The error for a file that cannot be opened. A path may hold what no file name can: that is a ``ValueError``."""
    return SubliminalError(
        f"{named(path)} cannot be read ({printable(error)}): give the path of a JSONL or Parquet file"
    )


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def printable(error: Exception) -> str:
    """What a library says, in what can be shown: of a damaged file it may quote bytes."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
    return "".join(letter if letter.isprintable() else "?" for letter in told)


def _lines(handle: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Lines that are not blank: number, what is in it, and whether that is all. Only a line feed ends a line."""
    number = 0
    while line := handle.readline(MAX_LINE):
        number += 1
        rest, whole = line, True
        while len(rest) == MAX_LINE and not rest.endswith(b"\n"):
            rest = handle.readline(MAX_LINE)
            whole = whole and not rest.strip(_BLANKS)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.strip(_BLANKS)
        if line or not whole:
            yield number, line, whole


def _scan_json(path: Path, parse: Callable[[dict[str, Any]], T]) -> Iterator[tuple[int, T | Wrong]]:
    first = True
    with _open(path) as handle:
        for number, line, whole in _lines(handle):
            try:
                if not whole:
                    raise Wrong("line too long", f"it has more than {MAX_LINE} bytes: write one object a line")
                row = _decode(line.decode("utf-8"))
                if not isinstance(row, dict):
                    raise Wrong("no object", f"it is {shown(row)}: write one object a line")
                yield number, parse(row)
            except UnicodeDecodeError as error:
                # Never skipped: of a file in another encoding that would drop the rows with certain letters alone.
                raise SubliminalError(
                    f"{named(path)}, line {number}: byte {line[error.start]:#x} is no UTF-8: unpack the file, or save it as UTF-8"
                ) from None
            except Wrong as wrong:
                if first and wrong.kind != "no object" and _LIST.match(line):
                    raise SubliminalError(f"{named(path)} is one JSON list: write one object a line") from None
                yield number, wrong
            first = False


def _scan_parquet(
    path: Path, parse: Callable[[dict[str, Any]], T], shapes: Collection[Sequence[str]], others: Collection[str]
) -> Iterator[tuple[int, T | Wrong]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise SubliminalError(
            f"{named(path)} is Parquet, and pyarrow is not installed: pip install pyarrow, or write one JSON object a line"
        ) from None
    try:
        # Opened here: pyarrow's own message for a file that is not there has several lines.
        with _open(path) as handle, parquet.ParquetFile(handle, pre_buffer=False) as table:
            columns = table.schema_arrow.names
            known = {field for fields in shapes for field in fields} | {*others}
            wanted = [name for name in dict.fromkeys(columns) if name in known]
            if twice := [name for name in wanted if columns.count(name) > 1]:
                raise SubliminalError(f"{named(path)} has the column {twice[0]!r} twice: keep one")
            if not any(set(fields) <= set(wanted) for fields in shapes):
                has = ", ".join(map(shown, columns[:4])) + ", ..." * (len(columns) > 4) or "none"
                told = "; ".join(", ".join(fields) for fields in shapes)
                raise SubliminalError(f"{named(path)} has the columns {has}: give those of one shape ({told})")
            batches = table.iter_batches(batch_size=_BATCH, columns=wanted)
            for number, row in enumerate((row for batch in batches for row in batch.to_pylist()), 1):
                try:
                    yield number, parse(row)
                except Wrong as wrong:
                    yield number, wrong
    # Text that is no UTF-8 and dates out of range are no errors of pyarrow's own.
    except (pyarrow.ArrowException, ValueError, ArithmeticError) as error:
        raise SubliminalError(
            f"{named(path)} is no Parquet that can be read ({printable(error)}): write it anew"
        ) from None


def scan(
    path: Path | str,
    parse: Callable[[dict[str, Any]], T],
    shapes: Collection[Sequence[str]],
    others: Collection[str] = (),
) -> Iterator[tuple[int, str, T | Wrong]]:
    """Every row of a file, good or bad, one at a time: its number, where it is in words, and what ``parse`` makes of it.

    Args:
        path: of JSONL in UTF-8, one object a line; or of Parquet (``.parquet``), which needs pyarrow.
        parse: takes a row's fields, and raises ``Wrong`` where they are none.
        shapes: sets of fields, of which a row has one; of Parquet these columns and ``others`` are read.

    Returns:
        The line, counted from 1, blank ones too, or in Parquet the row; ``line 3`` or ``row 3``; the parsed row, or what is wrong.

    Raises:
        SubliminalError: the file cannot be read, is no UTF-8, is one JSON list, or lacks columns; when that is come to.
    """
    path = Path(path)
    parquet = path.suffix.lower() == ".parquet"
    try:
        found = _scan_parquet(path, parse, shapes, others) if parquet else _scan_json(path, parse)
        for number, row in found:
            yield number, f"{'row' if parquet else 'line'} {number}", row
    except OSError as error:
        raise SubliminalError(f"{named(path)} cannot be read ({printable(error)}): copy it anew") from None
