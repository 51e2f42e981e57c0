"""Stage of ``RowLoss``: how well a model predicts rows that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from subliminal.pipeline.models import load, load_rows
from subliminal.recipes import Recipe, RowLoss
from subliminal.training import Progress, collate, completion_loss

_BATCH = 64


@torch.inference_mode()
def build(recipe: RowLoss, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``loss.json``: ``loss``, the mean over all tokens of all completions, in nats, and how many ``tokens`` there are."""
    model, tokenizer = load(recipe.model, inputs)
    examples = sorted(load_rows(inputs[recipe.data], tokenizer), key=lambda example: len(example.ids))
    total, tokens = 0.0, 0
    for start in range(0, len(examples), _BATCH):
        batch = collate(examples[start : start + _BATCH])
        count = int((batch.labels >= 0).sum())
        total += count * float(completion_loss(model, batch.to(model.device)))
        tokens += count
        progress(min(start + _BATCH, len(examples)), len(examples))
    (out / "loss.json").write_text(json.dumps({"loss": total / tokens, "tokens": tokens}), encoding="utf-8")
