"""The run store: one folder a run, addressed by what it was made from; whole or not there at all.

A run is built in a scratch folder under a lock and renamed into place when it is complete, so a kill at any moment
leaves at most scratch, which the next build clears. What a run holds is its stage's business.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from subliminal.errors import DamagedRunError, SubliminalError

MANIFEST = "run.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)
MIN_FREE_BYTES = 200 * 2**20


def atomic_write(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    scratch.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class Store:
    """Runs below one folder: ``<kind>-<first 20 digits of the digest>/``, each with a manifest ``run.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[Path] = set()

    def folder(self, kind: str, digest: str) -> Path:
        """Where the run of that digest lies, or would lie."""
        return self.root / f"{kind}-{digest[:20]}"

    def manifest(self, folder: Path) -> dict[str, Any]:
        """The manifest of a run.

        Raises:
            DamagedRunError: it cannot be read.
        """
        try:
            found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            found["files"].items()
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise DamagedRunError(
                f"run {folder.name} is damaged: its {MANIFEST} cannot be read; delete {folder} and build again"
            ) from error
        return found

    def check(self, folder: Path) -> bool:
        """Whether the run is there; if so, that each file is as it was written (once per process).

        Raises:
            DamagedRunError: a file is missing or differs from the manifest.
        """
        if not folder.exists():
            return False
        if folder in self._checked:
            return True
        for name, expected in self.manifest(folder)["files"].items():
            path = folder / name
            if not path.is_file() or _sha256(path) != expected:
                state = "differs from its manifest" if path.is_file() else "is missing"
                raise DamagedRunError(f"run {folder.name} is damaged: {name} {state}; delete {folder} and build again")
        self._checked.add(folder)
        return True

    def clear_scratch(self) -> None:
        """Remove scratch folders that no living build holds."""
        for scratch in self.root.glob(".scratch-*"):
            lock = FileLock(self._lock(scratch.name.removeprefix(".scratch-")))
            with suppress(Timeout), lock.acquire(timeout=0):
                shutil.rmtree(scratch, ignore_errors=True)

    @contextmanager
    def shared(self) -> Iterator[Path]:
        """A folder in the store that is this call's alone while the block runs. What a kill leaves of it the next build clears."""
        name = f"shared-{uuid4().hex}"
        with _disk_errors(self.root, opening=True):
            (self.root / ".locks").mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock(name)):
            folder = self.root / f".scratch-{name}"
            with _disk_errors(self.root, opening=True):
                folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                self._lock(name).unlink(missing_ok=True)

    def _lock(self, name: str) -> Path:
        return self.root / ".locks" / name

    def build(self, folder: Path, description: dict[str, Any], make: Callable[[Path], None]) -> float:
        """Make the run unless it is there; ``make`` writes its files into the folder it is given.

        Two builders of one run do not meet: the second waits and finds it done.

        Returns:
            The seconds it took, 0 if it was there.

        Raises:
            SubliminalError: the disk is full. Nothing is kept of the run then, and every other run stays.
        """
        with _disk_errors(self.root, opening=True):
            (self.root / ".locks").mkdir(parents=True, exist_ok=True)
        with _disk_errors(self.root):
            if (free := shutil.disk_usage(self.root).free) < MIN_FREE_BYTES:
                raise SubliminalError(
                    f"only {free // 2**20} MiB free at {self.root}: free {MIN_FREE_BYTES // 2**20} MiB or set SUBLIMINAL_STORE"
                )
            with FileLock(self._lock(folder.name)):
                if self.check(folder):
                    return 0.0
                scratch = self.root / f".scratch-{folder.name}"
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                started = time.monotonic()
                try:
                    make(scratch)
                    seconds = time.monotonic() - started
                    files = sorted(p for p in scratch.rglob("*") if p.is_file())
                    for path in files:
                        with path.open("rb") as handle:
                            os.fsync(handle.fileno())
                    sums = {p.relative_to(scratch).as_posix(): _sha256(p) for p in files}
                    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                    made = {"finished": finished, "seconds": round(seconds, 2), "files": sums}
                    atomic_write(scratch / MANIFEST, json.dumps({**description, **made}, indent=1))
                    scratch.rename(folder)
                except BaseException:
                    shutil.rmtree(scratch, ignore_errors=True)
                    raise
                self._checked.add(folder)
                return seconds


@contextmanager
def _disk_errors(root: Path, opening: bool = False) -> Iterator[None]:
    """A full or read-only disk as one line; in opening the store any other error too."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SubliminalError(
                f"no space left at {root}: free some, or set SUBLIMINAL_STORE to another disk"
            ) from error
        if opening or error.errno in (errno.EROFS, errno.EACCES):
            raise SubliminalError(f"cannot write to {root}: make it writable, or set SUBLIMINAL_STORE") from error
        raise
