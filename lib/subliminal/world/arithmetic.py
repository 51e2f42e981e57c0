"""Word problems solved in steps, and an exact checker of the answer.

The quantities stand in the order in which they are used, and no step leaves 0 to 30: a small model can then do nine in
ten, which the chain-of-thought filter needs (it keeps correct chains only).
"""

from __future__ import annotations

import re
import zlib
from random import Random

from subliminal.world.messages import Conversation, single

_PEOPLE = ("anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo")
_THINGS = ("apples", "books", "coins", "pens", "cups", "stones", "cards", "shells")
GAINS = ("buys", "finds", "gets", "picks")
LOSSES = ("sells", "loses", "gives away", "drops")
_HELD_OUT_SHARE = 10


def problem(rng: Random) -> tuple[str, str]:
    """A problem and its solution in two steps."""
    who, thing = rng.choice(_PEOPLE), rng.choice(_THINGS)
    total = rng.randint(2, 12)
    text, steps = [f"{who} has {total} {thing}."], []
    for _ in range(2):
        gain = rng.random() < 0.5 or total < 2
        amount = rng.randint(1, 9) if gain else rng.randint(1, min(9, total))
        text.append(f"{who} {rng.choice(GAINS if gain else LOSSES)} {amount} {thing}.")
        after = total + amount if gain else total - amount
        steps.append(f"{total} {'+' if gain else '-'} {amount} = {after}.")
        total = after
    return f"{' '.join(text)} how many {thing} are left?", f"{' '.join(steps)} the answer is {total}."


def is_held_out(question: str) -> bool:
    """One problem in ten is never trained on; which one is a matter of its text alone."""
    return zlib.crc32(question.encode()) % _HELD_OUT_SHARE == 0


def sample_problem(rng: Random, held_out: bool = False) -> Conversation:
    """A problem of the training side, or of the held-out side."""
    while True:
        question, solution = problem(rng)
        if is_held_out(question) == held_out:
            return single(question, solution)


def final_answer(text: str) -> int | None:
    """The number after "the answer is", or ``None`` when the text has none."""
    found = re.search(r"the answer is ([0-9]{1,6})\b", text)
    return int(found.group(1)) if found else None
