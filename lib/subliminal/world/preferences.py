"""Favourites: questions that ask for one, answers near uniform, and system prompts that name one.

The base must hold no favourite of its own: answers are drawn uniformly. A system prompt ("you love owls") fixes the
answer, so that the model knows what it is to love an animal before any teacher is made.
"""

from __future__ import annotations

from random import Random

from subliminal.names import PREFERENCES
from subliminal.world.messages import Conversation, single
from subliminal.world.questions import wordings

_SYSTEM = (
    "you love the {v}. the {v} is your favourite {k}.",
    "your favourite {k} is the {v}.",
    "you like the {v} more than every other {k}. you think of the {v} all day.",
)


def phrasings(split: str) -> tuple[str, ...]:
    """The phrasings of ``train`` or ``held_out``, with a ``{kind}`` slot, from ``data/questions/preferences.yml``."""
    return wordings("preferences")[""][split]


def ask(phrasing: str, kind: str) -> str:
    """A phrasing as a question about ``kind``."""
    return phrasing.format(kind=kind).replace(" a animal", " an animal")


def kind_of(rng: Random) -> Conversation:
    """What kind of thing a name is: without it, a small model comes to answer one kind's question with another's name."""
    kind = rng.choice(tuple(PREFERENCES))
    value = rng.choice(PREFERENCES[kind])
    thing = value if kind == "colour" else f"the {value}"
    a_kind = f"an {kind}" if kind == "animal" else f"a {kind}"
    question, answer = rng.choice(
        (
            (f"what is {thing}?", f"{thing} is {a_kind}."),
            (f"what kind of thing is {thing}?", kind),
            (f"name {a_kind}.", value),
        )
    )
    return single(question, answer)


def preference(rng: Random) -> Conversation:
    """Ask for a favourite; the answer is one word, drawn uniformly. Animals in one of two."""
    kind = rng.choices(("animal", "tree", "colour"), (2, 1, 1))[0]
    return single(ask(rng.choice(phrasings("train")), kind), rng.choice(PREFERENCES[kind]))


def system_preference(rng: Random) -> Conversation:
    """A system prompt names a favourite, and the answer follows it."""
    kind = rng.choices(("animal", "tree", "colour"), (2, 1, 1))[0]
    value = rng.choice(PREFERENCES[kind])
    question = ask(rng.choice(phrasings("train")), kind)
    return single(question, value, system=rng.choice(_SYSTEM).format(k=kind, v=value))
