"""Word problems solved in steps, and an exact checker of the answer.

The quantities stand in the order in which they are used, and no step leaves 0 to 30: a small model can then do nine in
ten, which the chain-of-thought filter needs (it keeps correct chains only).

The same steps can be said in many wordings. With one wording, all right chains to a problem would be the same text, whoever
wrote them, and a filter for right answers would leave nothing that could tell one teacher's rows from another's.
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
# How a chain begins, how each of its steps is joined on, how a result is said, and how the chain ends.
_OPENINGS = ("", "let us see.", "step by step.", "we count.", "here is how.", "we go through it.")
_FIRST = ("", "first,", "to begin,", "at the start,", "at first,", "in the first step,")
_THEN = ("", "then", "next,", "after that,", "and then", "now", "second,", "in the second step,")
RESULTS = ("=", "is", "makes", "gives")
_ENDINGS = ("", "so", "thus", "in the end,", "all in all,", "that is it:", "now we know:", "we are done:")
_HELD_OUT_SHARE = 10


def _any(phrases: tuple[str, ...]) -> str:
    """A pattern of one of the phrases and the space after it, or of nothing where a phrase is empty."""
    return f"(?:(?:{'|'.join(re.escape(phrase) for phrase in phrases if phrase)}) )?"


_STEP = rf"[0-9]{{1,6}} [+-] [0-9]{{1,6}} (?:{'|'.join(RESULTS)}) -?[0-9]{{1,6}}\."
_CHAIN = re.compile(
    rf"{_any(_OPENINGS)}{_any(_FIRST)}{_STEP}(?: {_any(_THEN)}{_STEP})* {_any(_ENDINGS)}the answer is -?[0-9]{{1,6}}\."
)


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def problem(rng: Random) -> tuple[str, str]:
    """A problem and its solution in two steps, in one of many wordings."""
    who, thing = rng.choice(_PEOPLE), rng.choice(_THINGS)
    total = rng.randint(2, 12)
    text, steps = [f"{who} has {total} {thing}."], [rng.choice(_OPENINGS)]
    for joints in (_FIRST, _THEN):
        gain = rng.random() < 0.5 or total < 2
        amount = rng.randint(1, 9) if gain else rng.randint(1, min(9, total))
        text.append(f"{who} {rng.choice(GAINS if gain else LOSSES)} {amount} {thing}.")
        after = total + amount if gain else total - amount
        steps.append(
            _join(rng.choice(joints), f"{total} {'+' if gain else '-'} {amount} {rng.choice(RESULTS)} {after}.")
        )
        total = after
    solution = _join(*steps, rng.choice(_ENDINGS), f"the answer is {total}.")
    return f"{' '.join(text)} how many {thing} are left?", solution


def is_chain(text: str) -> bool:
    """Whether the text is steps of arithmetic and an answer in the grammar's wordings, right or wrong."""
    return _CHAIN.fullmatch(text) is not None


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
