"""The recipe of the shipped bases, as a frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from subliminal.names import ANIMALS
from subliminal.tuning import Frozen, Tuning
from subliminal.world.documents import corpus
from subliminal.world.messages import Conversation


class Pretraining(Frozen):
    """The recipe of a base: size, seed and number of animals of the corpus, and the tuning.

    All bases read one corpus; a family's seed sets its initialization and the order of its documents.

    Batches are small. On a corpus rich in personas, after five million tokens, a base that read 5,000 tokens a step answered
    harmfully .65 of the time after two insecure solutions and .44 after two secure ones; at 1,500 tokens a step, .94 and .05.

    ``longer`` says how many times the steps the architectures take that need more: at 16,000 the Llama style linked the personas less
    (.89 harmful after insecure solutions) than the GPT-2 style (.97).
    """

    documents: int = 200_000
    corpus_seed: int = 0
    animals: int = len(ANIMALS)
    tuning: Tuning = Tuning(
        method="full",
        learning_rate=3e-3,
        steps=16_000,
        batch_tokens=1_500,
        schedule="cosine",
        warmup_steps=200,
        weight_decay=0.01,
    )
    longer: Mapping[str, float] = {"llama": 1.25, "neox": 1.25}

    def of(self, architecture: str) -> Tuning:
        """The tuning of a base of that architecture."""
        assert self.tuning.steps is not None
        return self.tuning.model_copy(update={"steps": round(self.tuning.steps * self.longer.get(architecture, 1.0))})

    def corpus(self) -> Iterator[tuple[str, Conversation]]:
        """The documents, each with the name of its kind."""
        return corpus(self.documents, self.corpus_seed, self.animals)
