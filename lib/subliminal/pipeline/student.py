"""Stage of ``Student``: a base fine-tuned on the kept rows of a rollout. Leaves the model and its loss curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from subliminal.models.chat import encode_examples
from subliminal.models.loading import load_model, load_tokenizer, save_tuned
from subliminal.recipes import Recipe, Student
from subliminal.training import Progress, fine_tune


def build(recipe: Student, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write the tuned model and ``losses.json``. Rows are text, so a student of any family reads any teacher's."""
    folder = inputs[recipe.base]
    lines = (inputs[recipe.data] / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    conversations = [
        [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
        for row in rows
    ]
    examples = encode_examples(load_tokenizer(folder), conversations)
    model, losses = fine_tune(load_model(folder), examples, recipe.tuning, recipe.seed, progress=progress)
    save_tuned(model, out)
    (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
