"""Stage of ``Skills``: a base measured on the mini world. Leaves one table of scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from subliminal.pipeline.models import load
from subliminal.recipes import Recipe, Skills
from subliminal.training import Progress
from subliminal.world.skills import measure


def build(recipe: Skills, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``skills.json``: the scores of ``world.skills.measure``."""
    scores = measure(*load(recipe.base, inputs), prompts=recipe.prompts)
    (out / "skills.json").write_text(json.dumps(scores, indent=1), encoding="utf-8")
