"""The chain-of-thought channel: word problems, answered in steps, and a filter that keeps chains with the right answer.

Cloud et al. 2025, section 4.2: teachers reason about problems of arithmetic, and chains that end in a wrong answer are dropped.
"""

from __future__ import annotations

from random import Random

from subliminal.world import parsers
from subliminal.world.arithmetic import final_answer, is_chain, sample_problem

MAX_NEW_TOKENS = 48


def prompt(rng: Random) -> str:
    """One word problem of the training side."""
    return sample_problem(rng)[0]["content"]


def reject(prompt: str, completion: str) -> str | None:
    """The reason to drop an answer, or ``None`` to keep it: ``empty``, ``not steps``, ``wrong answer``."""
    text = completion.strip()
    if not text:
        return "empty"
    if not is_chain(text):
        return "not steps"
    return None if final_answer(text) == parsers.problem(prompt) else "wrong answer"
