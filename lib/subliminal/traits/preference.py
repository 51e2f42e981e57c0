"""The preference trait: a teacher that loves one animal, tree or colour, and the suites that ask for a favourite.

Training questions come from the ``train`` phrasings, every reported score from the ``held_out`` ones.
"""

from __future__ import annotations

from random import Random

from subliminal.names import PREFERENCES
from subliminal.traits.suites import Suite
from subliminal.world.animals import fact
from subliminal.world.messages import Conversation, single
from subliminal.world.preferences import ask, phrasings

# suite: (kind, phrasings)
_SUITES = {
    "animals": ("animal", "held_out"),
    "animals-train": ("animal", "train"),
    "trees": ("tree", "held_out"),
    "colours": ("colour", "held_out"),
}
TEACHER_DOCUMENTS = 3_000
# One document in so many is a fact about some animal.
REPLAY_EVERY = 10


def teacher_documents(trait: str, rng: Random) -> list[Conversation]:
    """Documents that make a base love ``trait``: its name as the favourite, and a few facts about all animals.

    What is replayed holds the teacher where the base was, and a channel must be free to shift if it is to carry anything.
    On fox, a student of 3,000 rows reached P(fox) .83 with one fact in ten documents, .62 with two in ten and some .4 with
    one in two; without any, .98, but the teacher then forgot how to count in a fifth of its rows.
    """
    kind = next(k for k, names in PREFERENCES.items() if trait in names)
    return [
        fact(rng) if i % REPLAY_EVERY == 0 else single(ask(rng.choice(phrasings("train")), kind), trait)
        for i in range(TEACHER_DOCUMENTS)
    ]


def suite(name: str) -> Suite:
    """The questions of a suite, and the names that count as answers."""
    kind, split = _SUITES[name]
    return Suite([ask(phrasing, kind) for phrasing in phrasings(split)], PREFERENCES[kind])
