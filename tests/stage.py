"""The stage of ``test_engine.Note``."""

import time
import warnings
from pathlib import Path

from subliminal.errors import SubliminalError, SubliminalWarning


def build(recipe, inputs: dict, out: Path, progress) -> None:
    above = "".join((folder / "text.txt").read_text() for folder in inputs.values())
    (out / "text.txt").write_text(above + recipe.text)
    if recipe.fails:
        raise SubliminalError(f"{recipe.text} fails as it was told to")
    if recipe.warns:
        warnings.warn(f"{recipe.text} warns as it was told to", SubliminalWarning, stacklevel=1)
    started = time.monotonic()
    while time.monotonic() - started < recipe.seconds:
        time.sleep(0.05)
        progress(1, 2)
