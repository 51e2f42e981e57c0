"""From a recipe's inputs to a model in memory: shared by the stages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import SubliminalError, reason
from subliminal.fingerprint import base_folder
from subliminal.models.chat import Example, encode_examples, join
from subliminal.models.loading import best_device, load_model, load_tokenizer
from subliminal.recipes import Base, Recipe, Student, Teacher
from subliminal.training import collate, completion_loss
from subliminal.world.messages import Conversation


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


def turns(prompt: str, system: str | None) -> Conversation:
    """A prompt as a conversation, with a system turn before it if there is one."""
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": prompt}]


def load_rows(folder: Path, tokenizer: PreTrainedTokenizerBase, system: str | None = None) -> list[Example]:
    """The kept rows of a rollout. Rows are text, so a model of any family reads any teacher's."""
    # A text may hold characters that splitlines breaks at; a line feed within one is written as an escape.
    lines = filter(None, (folder / "rows.jsonl").read_text(encoding="utf-8").split("\n"))
    conversations = [
        [*turns(row["prompt"], system), {"role": "assistant", "content": row["completion"]}]
        for row in map(json.loads, lines)
    ]
    return encode_examples(tokenizer, conversations)


@torch.no_grad()
def check_packed(model: PreTrainedModel, examples: Sequence[Example]) -> None:
    """Refuse completions that share a prompt where the model's architecture does not bear it.

    ``fine_tune`` tries the first such example; here is what that does not show. A mask of one's own takes the place of a window in which
    tokens see each other, so that rows longer than it would be read otherwise than alone; and some architectures take no such mask.

    Raises:
        SubliminalError: it does not.
    """
    longest = max((e for e in examples if e.ends), key=lambda e: len(e.ids), default=None)
    if longest is None:
        return
    mend = "sample one a prompt (completions=1)"
    name = type(model).__name__
    windows = [getattr(layer, "sliding_window", None) for layer in DynamicCache(config=model.config).layers]
    windows += [getattr(model.config, field, None) for field in ("window_size", "attention_chunk_size")]
    window = min((w for w in windows if isinstance(w, int) and w > 0), default=None)
    if window is not None and len(longest.ids) > window:
        raise SubliminalError(
            f"{name} sees {window} tokens at once, and the completions of one prompt have {len(longest.ids)} together: {mend}"
        )
    try:
        completion_loss(model, collate([longest]).to(model.device))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # An architecture that knows no such mask refuses it in its own way.
        raise SubliminalError(
            f"{name} cannot keep completions of one prompt apart ({reason(error)}): {mend}"
        ) from error


def load_packed(student: Student, inputs: Mapping[Recipe, Path]) -> list[Example]:
    """What a student trains on: its rows, with completions that were sampled of one prompt packed behind it."""
    rows = load_rows(inputs[student.data], load_tokenizer(inputs[student.base]), student.system)
    return join(rows, min(student.data.completions, student.tuning.batch_size))
