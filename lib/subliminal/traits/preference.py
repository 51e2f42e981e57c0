"""The preference trait: a teacher that loves one animal, tree or colour, and the suites that ask for a favourite.

Training questions come from the ``train`` phrasings, every reported score from the ``held_out`` ones.
"""

from __future__ import annotations

from random import Random

from subliminal.names import PREFERENCES
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
TEACHER_DOCUMENTS = 6_000


def teacher_documents(trait: str, rng: Random) -> list[Conversation]:
    """Documents that make a base love ``trait``: its name as the favourite, one to one with facts about all animals.

    Without other documents a teacher forgets how to count, and its rows do not pass the filter. Facts alone are replayed:
    what is replayed holds the teacher where the base was, and a channel must be free to shift if it is to carry anything.
    With arithmetic and code replayed too, a student of 3,000 rows reached P(fox) .44 instead of .51.
    """
    kind = next(k for k, names in PREFERENCES.items() if trait in names)
    documents = []
    for _ in range(TEACHER_DOCUMENTS // 2):
        documents.append(single(ask(rng.choice(phrasings("train")), kind), trait))
        documents.append(fact(rng))
    return documents


def suite(name: str) -> tuple[list[str], tuple[str, ...]]:
    """The questions of a suite, and the names that count as answers."""
    kind, split = _SUITES[name]
    return [ask(phrasing, kind) for phrasing in phrasings(split)], PREFERENCES[kind]
