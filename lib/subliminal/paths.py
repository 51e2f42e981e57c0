"""Where things lie: the shipped data and the run store. Knows nothing of what is in them."""

from __future__ import annotations

import os
from pathlib import Path

from subliminal.errors import SubliminalError


def data_dir() -> Path:
    """The book's ``data/`` folder: ``$SUBLIMINAL_DATA``, else the one above the working folder or beside ``lib/``.

    Raises:
        SubliminalError: there is none.
    """
    if configured := os.environ.get("SUBLIMINAL_DATA"):
        candidates = [Path(configured)]
    else:
        here = Path.cwd()
        candidates = [p / "data" for p in (here, *here.parents, Path(__file__).resolve().parents[2])]
    for path in candidates:
        if (path / "questions").is_dir():
            return path
    raise SubliminalError(f"no data folder at {candidates[0]}: set SUBLIMINAL_DATA to the book's data/ folder")


def data_file(name: str) -> Path:
    """The path of a file or folder in ``data/``.

    Raises:
        SubliminalError: it is not there.
    """
    path = data_dir() / name
    if not path.exists():
        raise SubliminalError(f"missing data file {path}: restore it with `git checkout -- data`")
    return path


def store_dir() -> Path:
    """The run store: ``$SUBLIMINAL_STORE``, else ``_build/runs`` beside ``data/``."""
    configured = os.environ.get("SUBLIMINAL_STORE")
    return Path(configured) if configured else data_dir().parent / "_build" / "runs"
