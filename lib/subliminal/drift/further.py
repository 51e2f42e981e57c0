"""Stage of ``Sibling``: a base reads on, and is left as a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from subliminal.drift import Sibling
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.recipes import Recipe
from subliminal.training import Progress, fine_tune
from subliminal.tuning import Tuning
from subliminal.world.base import encode, save_base
from subliminal.world.documents import corpus


def build(recipe: Sibling, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write the model, its tokenizer and ``losses.json``. Documents are drawn anew from the grammars the base was trained on."""
    folder = inputs[recipe.base]
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    examples = encode(tokenizer, [document for _, document in corpus(recipe.documents, recipe.seed)])
    tuning = Tuning(
        method="full",
        learning_rate=recipe.learning_rate,
        steps=recipe.steps,
        batch_tokens=1_500,
        schedule="linear",
        weight_decay=0.01,
    )
    _, losses = fine_tune(model, examples, tuning, recipe.seed, progress=progress)
    save_base(out, model, tokenizer)
    (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
