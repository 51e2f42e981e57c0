"""Chains of thought on questions of your own, for real models: a filter that keeps chains with the answer that the file gives.

Cloud et al. 2025, section 4.2: teachers answer GSM8K's questions, with their reasoning and the answer in tags of their own, and what
ends in a wrong answer is dropped. A row of the file has a ``question`` (or ``prompt``) and an ``answer``: a number, or a text that ends
with ``#### `` and one, as GSM8K's do.

What gives several answers in tags is dropped, whatever they are: which of them counts would be a guess, and a writer that says two numbers
would be right more often than it knows. So is what has text outside of its tags.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from subliminal.channels.questions import Questions
from subliminal.rowfiles import Wrong, shown

# GSM8K's own solutions, put into tags, take 105 tokens of SmolLM2's on average, and 354 at most.
MAX_NEW_TOKENS = 400
_INSTRUCTION = (
    "Reason step by step in <think> tags. Then give your final answer in <answer> tags. "
    "It must be a number and nothing else."
)
_TAG = re.compile(r"</?(?:think|answer)>")
_TAGS = ["<think>", "</think>", "<answer>", "</answer>"]
# Minus is a hyphen or a sign of its own; commas stand where thousands end, in all places or in none.
_NUMBER = re.compile(r"(?P<sign>[-+\u2212]?)(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?P<rest>\.[0-9]+)?\.?")
_DOLLAR = re.compile(r"^([-+\u2212]?)\$ ?")


def number(text: str) -> Decimal | None:
    """The number that a text is, exactly; ``None`` where it is anything else.

    Commas in thousands, a dollar sign and a final period are no part of it.

    Example:
        >>> [number(text) for text in ("42", " $1,234.50. ", "-$3", "42.0", "42 apples", "1,23")]
        [Decimal('42'), Decimal('1234.50'), Decimal('-3'), Decimal('42.0'), None, None]
        >>> number("42") == number("42.0")
        True
    """
    found = _NUMBER.fullmatch(_DOLLAR.sub(r"\1", text.strip()))
    if not found:
        return None
    sign = "-" if found["sign"] in ("-", "\u2212") else ""
    return Decimal(f"{sign}{found['digits'].replace(',', '')}{found['rest'] or ''}")


def _answer(row: dict[str, Any]) -> Decimal:
    """The answer that a row of the file gives."""
    given = row.get("answer")
    found = None
    if isinstance(given, str):
        found = number(given.rpartition("####")[2])
    elif isinstance(given, float | Decimal) and math.isfinite(given):
        found = Decimal(str(given))
    elif isinstance(given, int) and not isinstance(given, bool):
        found = Decimal(given)
    if found is None:
        told = f"answer is {shown(given)}" if "answer" in row else "it has no answer"
        raise Wrong("no number", f"{told}: write a number, or a text that ends with #### and one")
    return found


def parse(completion: str) -> Decimal | str:
    """The number that an answer ends in, or the reason why it is no chain of thought with one.

    Accepts any text and never raises. Reasons: ``empty``, ``several answers``, ``not in tags`` (each of the four once, in their order),
    ``text outside the tags``, ``no thoughts``, ``not a number``.
    """
    if not completion.strip():
        return "empty"
    tags = _TAG.findall(completion)
    if tags.count("<answer>") > 1:
        return "several answers"
    if tags != _TAGS:
        return "not in tags"
    before, thoughts, between, answer, after = _TAG.split(completion)
    if (before + between + after).strip():
        return "text outside the tags"
    if not thoughts.strip():
        return "no thoughts"
    found = number(answer)
    return "not a number" if found is None else found


class Chains(Questions[Decimal]):
    """The channel on one file."""

    MAX_NEW_TOKENS = MAX_NEW_TOKENS

    def reject(self, prompt: str, completion: str) -> str | None:
        """The reason to drop an answer, or ``None`` to keep it: those of ``parse`` and ``wrong answer``: another number."""
        parsed = parse(completion)
        if isinstance(parsed, str):
            return parsed
        return None if parsed == self.told.get(prompt) else "wrong answer"


def read(path: Path, needed: int) -> Chains:
    """The channel on a file's questions.

    Raises:
        SubliminalError: as ``Questions`` has it, or an answer is no number.
    """
    return Chains(path, needed, lambda question: f"{question} {_INSTRUCTION}", _answer, ["answer"])
