"""Stage of ``Teacher``: a base fine-tuned on the trait's documents. Leaves the model and its loss curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from random import Random

from subliminal.checkpoints import beside, remove
from subliminal.models.chat import encode_examples
from subliminal.models.loading import load_model, load_tokenizer, save_tuned
from subliminal.recipes import Recipe, Teacher
from subliminal.registry import TRAITS
from subliminal.training import Progress, fine_tune


def build(recipe: Teacher, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write what was tuned of the model and ``losses.json``."""
    folder = inputs[recipe.base]
    tokenizer = load_tokenizer(folder)
    documents = import_module(TRAITS[recipe.trait]).teacher_documents(recipe.trait, Random(recipe.seed))
    examples = encode_examples(tokenizer, documents)
    base, checkpoint = load_model(folder, trains=recipe.tuning.method), beside(out)
    model, losses = fine_tune(base, examples, recipe.tuning, recipe.seed, progress=progress, checkpoint=checkpoint)
    save_tuned(model, out, folder, recipe.tuning.method)
    remove(checkpoint)
    (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
