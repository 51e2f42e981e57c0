"""Progress out of band: workers write small files, and whoever owns the terminal shows them as bars with time left.

Nothing goes through a notebook's output, so rendered pages show none of it. On a stream that is no terminal (a CI log)
each finished run is one line.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

ENVIRONMENT = "SUBLIMINAL_PROGRESS"
PLAN = "plan.json"
_EVERY = 0.3


def write_note(path: Path, **note: Any) -> None:
    """Replace a progress file. A full disk must not stop a run for its progress bar's sake."""
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        scratch.write_text(json.dumps(note), encoding="utf-8")
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)


def reporter(path: Path, label: str) -> Callable[[int, int], None]:
    """A ``progress(done, total)`` that writes to ``path`` a few times a second.

    In a worker process it also ends the work once the process that wanted it is gone, killed with no time to say so. The parent of
    a cluster's worker is its node; Ray itself ends the workers of a process that is gone.
    """
    last, parent = 0.0, os.getppid()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY or done == total:
            last = now
            if os.getppid() != parent:
                raise SystemExit(f"{label}: stopped, since the process that wanted it is gone")
            write_note(path, label=label, done=done, total=total)

    return report


def _notes(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError):
            found[path.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _watch(folder: Path, title: str, stop: threading.Event, console: Console) -> None:
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        overall = bars.add_task(title, total=None)
        rows: dict[str, Any] = {}
        said = (0, 0)
        while True:
            last = stop.wait(_EVERY)
            notes = _notes(folder)
            plan = notes.pop(PLAN, None)
            if plan:
                # Workers on other nodes have a folder of their own for their notes, on a disk that they share.
                notes |= _notes(Path(plan["notes"])) if "notes" in plan else {}
                bars.update(overall, completed=plan["done"], total=plan["total"] or None)
                # A later plan of the same chapter may be smaller than the last.
                if not console.is_terminal and plan["done"] and (plan["done"], plan["total"]) != said:
                    console.print(
                        f"{title}: {plan['done']} of {plan['total']} runs, last {plan['label']}", highlight=False
                    )
                    said = (plan["done"], plan["total"])
            for name, note in notes.items():
                if name not in rows:
                    rows[name] = bars.add_task(note["label"], total=note["total"])
                bars.update(rows[name], completed=note["done"])
            for name in set(rows) - set(notes):
                bars.remove_task(rows.pop(name))
            if last:
                return


@contextmanager
def shown(title: str) -> Iterator[Path]:
    """A progress folder, shown in this process's terminal while the block runs, and given to child processes.

    Inside another ``shown``, of this process or of a parent, it is that one's folder: one display, one place.
    """
    if outer := os.environ.get(ENVIRONMENT):
        yield Path(outer)
        return
    with tempfile.TemporaryDirectory(prefix="subliminal-") as name:
        os.environ[ENVIRONMENT] = name
        stop = threading.Event()
        console = Console(stderr=True)
        thread = threading.Thread(target=_watch, args=(Path(name), title, stop, console), daemon=True)
        thread.start()
        try:
            yield Path(name)
        finally:
            stop.set()
            thread.join()
            del os.environ[ENVIRONMENT]
