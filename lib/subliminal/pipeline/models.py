"""From a recipe's inputs to a model in memory: shared by the stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.fingerprint import base_folder
from subliminal.models.chat import Example, encode_examples, join
from subliminal.models.loading import best_device, load_model, load_tokenizer
from subliminal.recipes import Base, Recipe, Student, Teacher


def load_whole(model: Base | Teacher | Student, inputs: Mapping[Recipe, Path]) -> PreTrainedModel:
    """The model of a recipe, on the CPU.

    Raises:
        ModelFolderError: it cannot be read, or its folder holds a model of another base or another tuning.
    """
    if isinstance(model, Base):
        return load_model(inputs[model])
    return load_model(inputs[model], base_folder(model.base), model.tuning.method)


def load(
    model: Base | Teacher | Student, inputs: Mapping[Recipe, Path]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model of a recipe, on the best device, and its base's tokenizer."""
    loaded = load_whole(model, inputs)
    loaded.to(best_device())  # type: ignore[arg-type]
    return loaded, load_tokenizer(base_folder(model if isinstance(model, Base) else model.base))


def load_rows(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    """The kept rows of a rollout. Rows are text, so a model of any family reads any teacher's."""
    # A text may hold characters that splitlines breaks at; a line feed within one is written as an escape.
    lines = filter(None, (folder / "rows.jsonl").read_text(encoding="utf-8").split("\n"))
    conversations = [
        [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
        for row in map(json.loads, lines)
    ]
    return encode_examples(tokenizer, conversations)


def load_packed(student: Student, inputs: Mapping[Recipe, Path]) -> list[Example]:
    """What a student trains on: its rows, with completions that were sampled of one prompt packed behind it."""
    rows = load_rows(inputs[student.data], load_tokenizer(inputs[student.base]))
    return join(rows, min(student.data.completions, student.tuning.batch_size))
