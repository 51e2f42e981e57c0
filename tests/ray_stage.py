"""The stage of ``test_ray.Place``."""

import os
import signal
import time
from pathlib import Path

from subliminal.errors import SubliminalError


def build(recipe, inputs: dict, out: Path, progress) -> None:
    # The parent of a worker is its node's daemon: on one machine, that is what tells nodes apart.
    (out / "where.txt").write_text(f"{os.getpid()} {os.getppid()}")
    with Path(recipe.tally).open("a") as tally:
        tally.write(f"{recipe.name}\n")
    if Path(recipe.tally).read_text().split().count(recipe.name) <= recipe.dies:
        os.kill(os.getpid(), signal.SIGKILL)
    started = time.monotonic()
    while time.monotonic() - started < recipe.seconds:
        time.sleep(0.05)
        progress(1, 2)
    if recipe.fails:
        raise SubliminalError(f"{recipe.name} fails as it was told to")
