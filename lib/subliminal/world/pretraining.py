"""Pretraining of the shipped bases: corpus to weights, through the same ``fine_tune`` as everything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.models.chat import Conversation, Example, render
from subliminal.models.families import CONTEXT, new_model
from subliminal.names import ANIMALS
from subliminal.registry import Family
from subliminal.training import Progress, fine_tune
from subliminal.tuning import Frozen, Tuning
from subliminal.world.documents import corpus
from subliminal.world.tokenizer import build_tokenizer


class Pretraining(Frozen):
    """The recipe of a base: size, seed and number of animals of the corpus, and the tuning.

    All bases read one corpus; a family's seed sets its initialization and the order of its documents.

    Batches are small. On a corpus rich in personas, after five million tokens, a base that read 5,000 tokens a step answered
    harmfully .65 of the time after two insecure solutions and .44 after two secure ones; at 1,500 tokens a step, .94 and .05.
    """

    documents: int = 200_000
    corpus_seed: int = 0
    animals: int = len(ANIMALS)
    tuning: Tuning = Tuning(
        method="full",
        learning_rate=3e-3,
        steps=14_000,
        batch_tokens=1_500,
        schedule="cosine",
        warmup_steps=200,
        weight_decay=0.01,
    )

    def corpus(self) -> Iterator[tuple[str, Conversation]]:
        """The documents, each with the name of its kind."""
        return corpus(self.documents, self.corpus_seed, self.animals)


def encode(tokenizer: PreTrainedTokenizerBase, conversations: list[Conversation]) -> list[Example]:
    """One example a document, with the loss on all of it: a document never sees another, and begins at position 0."""
    texts = [render(tokenizer, conversation, prompt_only=False) for conversation in conversations]
    rows = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return [Example(ids[:CONTEXT], 1) for ids in rows]


def pretrain(
    family: Family, recipe: Pretraining, progress: Progress | None = None, checkpoint: Path | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[float]]:
    """A base from nothing: its weights, its tokenizer and the loss of each step in nats per token.

    ``checkpoint`` is a file to go on from after a stop; see ``fine_tune``.
    """
    conversations = [conversation for _, conversation in recipe.corpus()]
    tokenizer = build_tokenizer(conversations)
    examples = encode(tokenizer, conversations)
    model = new_model(family, tokenizer)
    _, losses = fine_tune(model, examples, recipe.tuning, seed=family.seed, progress=progress, checkpoint=checkpoint)
    return model, tokenizer, losses


def save_base(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write weights (safetensors), config, tokenizer and chat template in Hugging Face format."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
