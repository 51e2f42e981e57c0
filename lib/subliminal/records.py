"""The book's tidy table: what every chapter measured, one row a value. One file a profile, replaced chapter by chapter.

It knows rows and where they lie, not what they mean. A row says which profile and which version of the book it is of, so that a table
of another is never read for this one.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock

from subliminal.errors import SubliminalError
from subliminal.paths import data_dir
from subliminal.store import atomic_write

# Names a file to which a study writes its rows while its chapter runs.
SCRATCH = "SUBLIMINAL_RECORD"


class Column(NamedTuple):
    """A column of the table: what it holds, and its type as pandas reads it."""

    holds: str
    kind: str


COLUMNS: Mapping[str, Column] = {
    "chapter": Column("which chapter measured it", "str"),
    "condition": Column("the models or runs that were measured, by the name that figures, text and claims use", "str"),
    "quantity": Column("the suite of questions, or what else was measured", "str"),
    "seed": Column("the replication: of the model, or the number of a draw; -1 for a base, which has none", "int64"),
    "answer": Column("which answer, step or part of the quantity", "str"),
    "value": Column("a probability or share (0 to 1), a loss (nats a token), a cosine, or a count", "float64"),
    "samples": Column("how many sampled answers or trials a share or count is of; 0 where the value is exact", "int64"),
    "run": Column("runs in the store that it was read off, divided by spaces; empty where none was needed", "str"),
    "profile": Column("the size of the book's studies", "str"),
    "version": Column("of the chapter, the library, the data and the sizes that it was measured with", "str"),
}
# What a study says of a row; the rest is where it was said.
TOLD = ("condition", "quantity", "seed", "answer", "value", "samples", "run")
KEY = ("chapter", "condition", "quantity", "seed", "answer")


def table_file(profile: str) -> Path:
    """Where the table of a profile lies: in ``_build/tables`` beside ``data/``."""
    return data_dir().parent / "_build" / "tables" / f"{profile}.csv"


def load(path: Path, columns: Sequence[str] = tuple(COLUMNS)) -> pd.DataFrame:
    """A table as it was written.

    Raises:
        SubliminalError: it cannot be read, lacks a column, or holds a row twice.
    """
    kinds = {name: COLUMNS[name].kind for name in columns}
    try:
        table = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_filter=False)[list(columns)]
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise SubliminalError(f"the table {path} cannot be read ({reason}): delete it and build the book") from error
    key = [name for name in KEY if name in columns]
    if (twice := table.duplicated(key)).any():
        raise SubliminalError(
            f"the table {path} holds {_named(table[twice].iloc[0])} twice: delete it and build the book"
        )
    return table


def _named(row: pd.Series) -> str:
    return ", ".join(
        f"{name} {row[name]}" if name == "seed" else f"{name} {row[name]!r}" for name in KEY if name in row
    )


def dump(path: Path, table: pd.DataFrame) -> None:
    """Write a table whole or not at all; numbers keep all their digits."""
    atomic_write(path, table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def replace(profile: str, chapter: str, version: str, rows: pd.DataFrame) -> None:
    """Put a chapter's rows into the table of a profile, in place of those that it had."""
    path = table_file(profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        mine = rows.assign(chapter=chapter, profile=profile, version=version)[list(COLUMNS)]
        # What cannot be read is not what the other chapters saw: they are run anew.
        with contextlib.suppress(SubliminalError):
            old = load(path)
            mine = pd.concat([old[old["chapter"] != chapter], mine], ignore_index=True)
        dump(path, mine)


def missing(profile: str, versions: Mapping[str, str]) -> list[str]:
    """Chapters that have no rows in the table of a profile, or rows of another version."""
    try:
        table = load(table_file(profile))
    except SubliminalError:
        return list(versions)
    return _lacking(table[table["profile"] == profile], versions)


def _lacking(table: pd.DataFrame, versions: Mapping[str, str]) -> list[str]:
    found = table.groupby("chapter")["version"].agg(set).to_dict()
    return [chapter for chapter, version in versions.items() if found.get(chapter) != {version}]


def read(profile: str, versions: Mapping[str, str]) -> pd.DataFrame:
    """The table of a profile: the rows of these chapters, as they are now.

    Args:
        versions: of each chapter, as ``book.versions`` gives them.

    Raises:
        SubliminalError: there is no table, or it holds rows of another profile or of another version of a chapter, or none of it.
    """
    path = table_file(profile)
    table = load(path)
    if other := set(table["profile"]) - {profile}:
        raise SubliminalError(
            f"the table {path} holds rows of profile {', '.join(sorted(other))}: delete it and build the book"
        )
    if lacking := _lacking(table, versions):
        raise SubliminalError(
            f"the table {path} has no rows of chapter {', '.join(lacking)} as it is now: "
            f"run make book PROFILE={profile}, or make chapter NAME={lacking[0]} PROFILE={profile}"
        )
    return table[table["chapter"].isin(list(versions))].reset_index(drop=True)
