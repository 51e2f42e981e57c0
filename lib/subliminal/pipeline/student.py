"""Stage of ``Student``: a base fine-tuned on the kept rows of a rollout. Leaves the model and its loss curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from subliminal.models.loading import load_model, save_tuned
from subliminal.pipeline.models import load_packed
from subliminal.recipes import Recipe, Student
from subliminal.training import Progress, fine_tune


def build(recipe: Student, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write the tuned model and ``losses.json``."""
    model = load_model(inputs[recipe.base])
    tuned, losses = fine_tune(model, load_packed(recipe, inputs), recipe.tuning, recipe.seed, progress=progress)
    save_tuned(tuned, out)
    (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
