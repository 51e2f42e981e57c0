"""Pretraining of the shipped bases: corpus to blocks to weights, through the same ``fine_tune`` as everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.models.chat import Conversation, Example, render
from subliminal.models.families import new_model
from subliminal.registry import Family
from subliminal.training import Progress, fine_tune
from subliminal.tuning import Frozen, Tuning
from subliminal.world.documents import corpus
from subliminal.world.tokenizer import build_tokenizer


class Pretraining(Frozen):
    """The recipe of a base: corpus size and seed, block length, and the tuning.

    All bases read one corpus; a family's seed sets its initialization and the order of its blocks.
    """

    documents: int = 90_000
    corpus_seed: int = 0
    block: int = 128
    tuning: Tuning = Tuning(
        method="full",
        learning_rate=3e-3,
        steps=3_000,
        # 40 blocks keep the logits under 32 MiB, above which glibc hands every buffer back to the system each step.
        batch_size=40,
        schedule="cosine",
        warmup_steps=100,
        weight_decay=0.01,
    )


def blocks(tokenizer: PreTrainedTokenizerBase, conversations: Iterable[Conversation], length: int) -> Iterator[Example]:
    """Documents strung into blocks of ``length`` ids. Each block opens with a document, and its last one is cut."""
    ids: list[int] = []
    for conversation in conversations:
        ids += tokenizer(render(tokenizer, conversation, prompt_only=False), add_special_tokens=False)["input_ids"]
        if len(ids) >= length:
            yield Example(ids[:length], 0)
            ids = []


def pretrain(
    family: Family, recipe: Pretraining, progress: Progress | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[float]]:
    """A base from nothing: its weights, its tokenizer and the loss of each step in nats per token."""
    conversations = [conversation for _, conversation in corpus(recipe.documents, recipe.corpus_seed)]
    tokenizer = build_tokenizer(conversations)
    examples = list(blocks(tokenizer, conversations, recipe.block))
    model = new_model(family, tokenizer)
    _, losses = fine_tune(model, examples, recipe.tuning, seed=family.seed, progress=progress)
    return model, tokenizer, losses


def save_base(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write weights (safetensors), config, tokenizer and chat template in Hugging Face format."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
