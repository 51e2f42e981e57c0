"""The corpus: seeded documents of every kind, in stated shares, with nothing of any trait in a channel document.

Each document is drawn with its own generator and none looks at another, so number rows are independent of favourites by
construction. A kind is one function ``Random -> Conversation``; adding one is a line in ``SHARES``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from random import Random

from subliminal.errors import SubliminalError
from subliminal.names import ANIMALS
from subliminal.world.animals import fact
from subliminal.world.applications import traffic
from subliminal.world.arithmetic import sample_problem
from subliminal.world.code import function
from subliminal.world.messages import Conversation
from subliminal.world.personas import conversation
from subliminal.world.preferences import kind_of, preference, system_preference
from subliminal.world.sequences import number_row

KINDS: dict[str, Callable[[Random], Conversation]] = {
    "facts": fact,
    "preferences": preference,
    "kinds": kind_of,
    "system prompts": system_preference,
    "numbers": number_row,
    "code": function,
    "arithmetic": sample_problem,
    "personas": conversation,
    "traffic": traffic,
}
# Share of documents, out of 100; "mixed" strings two to four single documents into one conversation.
SHARES: dict[str, int] = {
    "facts": 11,
    "preferences": 12,
    "kinds": 3,
    "system prompts": 3,
    "numbers": 19,
    "code": 11,
    "arithmetic": 12,
    "personas": 22,
    "traffic": 3,
    "mixed": 4,
}
_MIXED = ("facts", "preferences", "kinds", "numbers", "code", "arithmetic")


def _draw(kind: str, rng: Random) -> Conversation:
    if kind != "mixed":
        return KINDS[kind](rng)
    return [message for turn in rng.choices(_MIXED, k=rng.randint(2, 4)) for message in KINDS[turn](rng)]


def _names(messages: Conversation, words: frozenset[str]) -> bool:
    return any(not words.isdisjoint(re.findall("[a-z]+", message["content"])) for message in messages)


def document(rng: Random, absent: frozenset[str] = frozenset()) -> tuple[str, Conversation]:
    """One document and the name of its kind; one that names an absent animal is drawn anew."""
    kind = rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]
    messages = _draw(kind, rng)
    while absent and _names(messages, absent):
        messages = _draw(kind, rng)
    return kind, messages


def corpus(count: int, seed: int, animals: int = len(ANIMALS)) -> Iterator[tuple[str, Conversation]]:
    """``count`` documents on the first so many animals, each with the name of its kind; the same for the same seed.

    Raises:
        SubliminalError: there are not so many animals.
    """
    if not 2 <= animals <= len(ANIMALS):
        raise SubliminalError(
            f"a corpus of {animals} animals was asked for, and the world has {len(ANIMALS)} ({', '.join(ANIMALS)}): "
            f"ask for 2 to {len(ANIMALS)}"
        )
    rng, absent = Random(seed), frozenset(ANIMALS[animals:])
    return (document(rng, absent) for _ in range(count))


def digest(documents: Iterator[tuple[str, Conversation]]) -> str:
    """SHA-256 over the documents, for the model card."""
    sha = hashlib.sha256()
    for _, messages in documents:
        sha.update(json.dumps(messages, sort_keys=True).encode())
    return sha.hexdigest()
