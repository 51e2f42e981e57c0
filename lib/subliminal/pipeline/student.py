"""Stage of ``Student``: a base fine-tuned on the kept rows of a rollout. Leaves the model and its loss curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from subliminal.checkpoints import beside, remove
from subliminal.models.loading import load_model, save_tuned
from subliminal.pipeline.models import check_packed, load_packed
from subliminal.recipes import Recipe, Student
from subliminal.training import Progress, fine_tune


def build(recipe: Student, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write what was tuned of the model and ``losses.json``."""
    folder = inputs[recipe.base]
    examples = load_packed(recipe, inputs)
    base = load_model(folder, trains=recipe.tuning.method)
    check_packed(base, examples)
    checkpoint = beside(out)
    model, losses = fine_tune(base, examples, recipe.tuning, recipe.seed, progress=progress, checkpoint=checkpoint)
    save_tuned(model, out, folder, recipe.tuning.method)
    remove(checkpoint)
    (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
