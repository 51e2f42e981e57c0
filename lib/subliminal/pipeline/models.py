"""From a recipe's inputs to a model in memory: shared by the stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.fingerprint import base_folder
from subliminal.models.loading import best_device, load_model, load_tokenizer
from subliminal.recipes import Base, Recipe, Student, Teacher


def load(
    model: Base | Teacher | Student, inputs: Mapping[Recipe, Path]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model of a recipe, on the best device, and its base's tokenizer."""
    base = base_folder(model if isinstance(model, Base) else model.base)
    loaded = load_model(inputs[model], base)
    loaded.to(best_device())  # type: ignore[arg-type]
    return loaded, load_tokenizer(base)
