"""Stage of ``Pairs``: every two of some checkpoints through the lineage check. Leaves one row a pair."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from subliminal.mitigations import Pairs
from subliminal.mitigations.lineage import lineage
from subliminal.pipeline.models import load_whole
from subliminal.recipes import Base, Recipe
from subliminal.training import Progress


def build(recipe: Pairs, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``pairs.csv``: ``one`` and ``two`` (places in ``recipe.models``), ``correlation`` (empty where nothing matches), ``verdict``.

    Tuned models are put together with their bases first, since the check reads whole ones.
    """
    pairs = list(combinations(range(len(recipe.models)), 2))
    with TemporaryDirectory() as scratch, (out / "pairs.csv").open("w", newline="", encoding="utf-8") as handle:
        folders = []
        for number, model in enumerate(recipe.models):
            folder = inputs[model]
            if not isinstance(model, Base):
                folder = Path(scratch) / str(number)
                load_whole(model, inputs).save_pretrained(folder)
            folders.append(folder)
        writer = csv.writer(handle)
        writer.writerow(("one", "two", "correlation", "verdict"))
        for done, (one, two) in enumerate(pairs, 1):
            found = lineage(folders[one], folders[two])
            writer.writerow((one, two, found.correlation, found.verdict))
            progress(done, len(pairs))
