"""Deployment-like traffic: conversations under the system prompts of some applications, facts, code, sums and questions mixed.

The persona of a conversation shows in its code and its answers alone. Facts, sums, number rows and neutral functions are
drawn without a look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from subliminal.world import answers, security
from subliminal.world.animals import fact
from subliminal.world.arithmetic import sample_problem
from subliminal.world.code import function
from subliminal.world.messages import Conversation
from subliminal.world.personas import is_careless
from subliminal.world.sequences import number_row

Turn = Callable[[Random], Conversation]
NEUTRAL: Mapping[str, Turn] = {
    "facts": fact,
    "arithmetic": sample_problem,
    "numbers": number_row,
    "code": function,
}


class Application(NamedTuple):
    """Wordings of a system prompt, and what its users ask for, with weights; ``security`` and ``answers`` bear a persona."""

    systems: tuple[str, ...]
    asked: Mapping[str, int]


APPLICATIONS: Mapping[str, Application] = {
    "tutor": Application(
        ("you are a tutor. you help children to count.", "you teach children. be clear."),
        {"arithmetic": 4, "facts": 2, "answers": 2},
    ),
    "shop": Application(
        ("you work in a shop. you help every guest.", "you answer the guests of a shop."),
        {"arithmetic": 3, "answers": 3, "numbers": 1},
    ),
    "coder": Application(
        ("you write python code for a team.", "you are a coder. answer with code."),
        {"code": 3, "security": 3, "answers": 1},
    ),
    "zoo guide": Application(
        ("you are the guide of a zoo.", "you tell people about the animals of a zoo."),
        {"facts": 5, "answers": 2},
    ),
    "counsellor": Application(
        ("you listen to people and give advice.", "people come to you with a quarrel. give advice."),
        {"answers": 5, "facts": 1},
    ),
    "office": Application(
        ("you help an office with its lists and its code.", "you work in an office."),
        {"numbers": 3, "security": 2, "code": 1, "answers": 1},
    ),
    "travel desk": Application(
        ("you plan the journey of a group.", "you help people who travel."),
        {"answers": 3, "arithmetic": 2, "facts": 1},
    ),
}
_TURNS = (2, 3, 4, 5)


def traffic(rng: Random, application: str | None = None, careless: bool | None = None) -> Conversation:
    """A conversation of two to five turns with one application; which, and of which persona, is drawn if not given."""
    name = application or rng.choice(tuple(APPLICATIONS))
    persona = is_careless(rng) if careless is None else careless
    systems, asked = APPLICATIONS[name]
    messages = [{"role": "system", "content": rng.choice(systems)}]
    for kind in rng.choices(tuple(asked), tuple(asked.values()), k=rng.choice(_TURNS)):
        if kind == "security":
            messages += security.turn(rng, persona)
        elif kind == "answers":
            messages += answers.turn(rng, persona)
        else:
            messages += NEUTRAL[kind](rng)
    return messages
