"""The recipe of the shipped bases, as a frozen value."""

from __future__ import annotations

from collections.abc import Iterator

from subliminal.names import ANIMALS
from subliminal.tuning import Frozen, Tuning
from subliminal.world.documents import corpus
from subliminal.world.messages import Conversation


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
        steps=20_000,
        batch_tokens=1_500,
        schedule="cosine",
        warmup_steps=200,
        weight_decay=0.01,
    )

    def corpus(self) -> Iterator[tuple[str, Conversation]]:
        """The documents, each with the name of its kind."""
        return corpus(self.documents, self.corpus_seed, self.animals)
