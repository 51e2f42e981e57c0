"""A base from conversations: through the same ``fine_tune`` as everything else.

No grammar is imported here. A card names the corpus by the digest of its text and this code by its own, so that a change to a
grammar that writes the same text leaves a base as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.models.chat import Example, render
from subliminal.models.families import CONTEXT, new_model
from subliminal.registry import Family
from subliminal.training import Progress, fine_tune
from subliminal.tuning import Tuning
from subliminal.world.messages import Conversation
from subliminal.world.tokenizer import build_tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation]) -> list[Example]:
    """One example a document, with the loss on all of it: a document never sees another, and begins at position 0."""
    texts = [render(tokenizer, conversation, prompt_only=False) for conversation in conversations]
    rows = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return [Example(ids[:CONTEXT], 1) for ids in rows]


def pretrain(
    family: Family,
    conversations: Sequence[Conversation],
    tuning: Tuning,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[float]]:
    """A base from nothing: its weights, its tokenizer and the loss of each step in nats per token.

    ``checkpoint`` is a file to go on from after a stop; see ``fine_tune``.
    """
    tokenizer = build_tokenizer(conversations)
    examples = encode(tokenizer, conversations)
    model = new_model(family, tokenizer)
    _, losses = fine_tune(model, examples, tuning, seed=family.seed, progress=progress, checkpoint=checkpoint)
    return model, tokenizer, losses


def save_base(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write weights (safetensors), config, tokenizer and chat template in Hugging Face format."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
