"""The corpus: seeded documents of every kind, in stated shares, with nothing of any trait in a channel document.

Each document is drawn with its own generator and none looks at another, so number rows are independent of favourites by
construction. A kind is one function ``Random -> Conversation``; adding one is a line in ``SHARES``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from random import Random

from subliminal.world.animals import fact
from subliminal.world.arithmetic import sample_problem
from subliminal.world.code import function
from subliminal.world.messages import Conversation
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
}
# Share of documents, out of 100; "mixed" strings two to four single documents into one conversation.
SHARES: dict[str, int] = {
    "facts": 22,
    "preferences": 16,
    "kinds": 4,
    "system prompts": 4,
    "numbers": 18,
    "code": 10,
    "arithmetic": 12,
    "mixed": 14,
}


def document(rng: Random) -> tuple[str, Conversation]:
    """One document and the name of its kind."""
    kind = rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]
    if kind != "mixed":
        return kind, KINDS[kind](rng)
    turns = rng.choices([k for k in KINDS if k != "system prompts"], k=rng.randint(2, 4))
    return kind, [message for turn in turns for message in KINDS[turn](rng)]


def corpus(count: int, seed: int) -> Iterator[tuple[str, Conversation]]:
    """``count`` documents, each with the name of its kind; the same for the same seed."""
    rng = Random(seed)
    return (document(rng) for _ in range(count))


def digest(documents: Iterator[tuple[str, Conversation]]) -> str:
    """SHA-256 over the documents, for the model card."""
    sha = hashlib.sha256()
    for _, conversation in documents:
        sha.update(json.dumps(conversation, sort_keys=True).encode())
    return sha.hexdigest()
