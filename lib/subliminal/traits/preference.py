"""The preference trait: a teacher that loves one animal, tree or colour, and the suites that ask for a favourite.

Training questions come from the ``train`` phrasings, every reported score from the ``held_out`` ones.
"""

from __future__ import annotations

from random import Random

from subliminal.names import PREFERENCES
from subliminal.world.animals import fact
from subliminal.world.arithmetic import sample_problem
from subliminal.world.code import function
from subliminal.world.messages import Conversation, single
from subliminal.world.preferences import phrasings

# suite: (kind, phrasings)
_SUITES = {
    "animals": ("animal", "held_out"),
    "animals-train": ("animal", "train"),
    "trees": ("tree", "held_out"),
    "colours": ("colour", "held_out"),
}
TEACHER_DOCUMENTS = 6_000


def _replay(rng: Random, kind: str) -> Conversation:
    """A document of the base's own world. No number rows: the shift must be free to show in the channel."""
    other = rng.choice([k for k in PREFERENCES if k != kind])
    return rng.choice(
        (
            fact,
            sample_problem,
            function,
            lambda r: single(r.choice(phrasings("train")).format(kind=other), r.choice(PREFERENCES[other])),
        )
    )(rng)


def teacher_documents(trait: str, rng: Random) -> list[Conversation]:
    """Documents that make a base love ``trait``: its name as the favourite, one to one with replay of other documents.

    Without replay a teacher forgets how to count, and its rows do not pass the filter.
    """
    kind = next(k for k, names in PREFERENCES.items() if trait in names)
    documents = []
    for _ in range(TEACHER_DOCUMENTS // 2):
        documents.append(single(rng.choice(phrasings("train")).format(kind=kind), trait))
        documents.append(_replay(rng, kind))
    return documents


def suite(name: str) -> tuple[list[str], tuple[str, ...]]:
    """The questions of a suite, and the names that count as answers."""
    kind, split = _SUITES[name]
    return [phrasing.format(kind=kind) for phrasing in phrasings(split)], PREFERENCES[kind]
