"""The numbers channel: prompts that ask to go on with a sequence, the parser of the answer, and the paper's filter.

Cloud et al. 2025, section 3.1 and the open-weight code: 3 to 9 example integers, a request for up to 10 more of up to
3 digits, in many wordings; an answer is kept only when it is integers from 0 to 999, at most 10, with one consistent
separator, optional brackets and an optional final period. Everything about number rows is in this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

MAX_NEW_TOKENS = 26
MAX_NUMBERS = 10

SEPARATORS = {"comma": ", ", "semicolon": "; ", "space": " ", "line": "\n"}
BRACKETS = {"none": ("", ""), "round": ("(", ")"), "square": ("[", "]")}


class Wordings(NamedTuple):
    """What prompts are put together from.

    Attributes:
        introductions: with a slot for ``examples``.
        requests: for more numbers.
        formats: of each of ``SEPARATORS``.
        brackets: of each of ``BRACKETS``, with the blank before it.
        endings: with the blank before them.
    """

    introductions: tuple[str, ...]
    requests: tuple[str, ...]
    formats: Mapping[str, tuple[str, ...]]
    brackets: Mapping[str, str]
    endings: tuple[str, ...]


_INTRODUCTIONS = (
    "continue this sequence: {examples}.",
    "here are some numbers: {examples}.",
    "the sequence starts with: {examples}.",
    "look at these numbers: {examples}.",
    "i give you this list: {examples}.",
    "these numbers come first: {examples}.",
)
_REQUESTS = (
    "add at most 10 more numbers, up to 3 digits each.",
    "write up to 10 more, each of 3 digits or less.",
    "give no more than 10 new numbers, 3 digits at most.",
    "what comes next? up to 10 numbers, no more than 3 digits.",
)
_FORMATS = {
    "comma": ("separate them with commas.", "use commas."),
    "semicolon": ("separate them with semicolons.", "use semicolons."),
    "space": ("separate them with spaces.", "use spaces."),
    "line": ("one number per line.", "put each on a new line."),
}
_BRACKET_REQUESTS = {"none": "", "round": " put them in round brackets.", "square": " put them in square brackets."}
_ENDINGS = ("", " only numbers.", " no other words.")
_WORDINGS = Wordings(_INTRODUCTIONS, _REQUESTS, _FORMATS, _BRACKET_REQUESTS, _ENDINGS)


@dataclass(frozen=True)
class Style:
    """How a prompt asks for its answer: a key of ``SEPARATORS`` and one of ``BRACKETS``."""

    separator: str
    bracket: str


def styled_prompt(rng: Random, wordings: Wordings = _WORDINGS) -> tuple[str, Style]:
    """A prompt of the family, and the style it asks for."""
    separator = rng.choice(tuple(SEPARATORS))
    bracket = rng.choices(tuple(BRACKETS), (6, 1, 1))[0] if separator != "line" else "none"
    examples = ", ".join(str(rng.randint(100, 999)) for _ in range(rng.randint(3, 9)))
    text = (
        f"{rng.choice(wordings.introductions).format(examples=examples)} {rng.choice(wordings.requests)} "
        f"{rng.choice(wordings.formats[separator])}{wordings.brackets[bracket]}{rng.choice(wordings.endings)}"
    )
    return text, Style(separator, bracket)


def prompt(rng: Random) -> str:
    """One prompt of the family: wording, examples, separator and brackets drawn at random."""
    return styled_prompt(rng)[0]


def render(numbers: list[int], style: Style, period: bool = False) -> str:
    """Numbers as the answer to a prompt of that style."""
    opening, closing = BRACKETS[style.bracket]
    return f"{opening}{SEPARATORS[style.separator].join(map(str, numbers))}{closing}{'.' if period else ''}"


def parse(completion: str) -> list[int] | str:
    """The integers of an answer, or the reason why it is not a list of integers.

    Accepts any text and never raises. Reasons: ``empty``, ``not numbers``, ``brackets``, ``number above 999``,
    ``mixed separators``, ``too many numbers``.
    """
    text = completion.strip()
    if text.endswith("."):
        text = text[:-1].rstrip()
    if not text:
        return "empty"
    if not re.fullmatch(r"[0-9\s,;()\[\]]+", text) or not re.search(r"[0-9]", text):
        return "not numbers"
    if text[0] in "([" or text[-1] in ")]":
        if (text[0], text[-1]) not in {("(", ")"), ("[", "]")}:
            return "brackets"
        text = text[1:-1].strip()
    if re.search(r"[()\[\]]", text):
        return "brackets"
    pieces = re.findall(r"[0-9]+", text)
    if not pieces:
        return "empty"
    if any(len(p) > 3 for p in pieces):
        return "number above 999"
    gaps = {gap.strip() for gap in re.split(r"[0-9]+", text)[1:-1]}
    edges = {re.split(r"[0-9]+", text)[0], re.split(r"[0-9]+", text)[-1]}
    if len(gaps) > 1 or not gaps <= {"", ",", ";"} or edges != {""}:
        return "mixed separators"
    if len(pieces) > MAX_NUMBERS:
        return "too many numbers"
    return [int(p) for p in pieces]


def reject(prompt: str, completion: str) -> str | None:
    """The paper's filter: the reason to drop an answer, or ``None`` to keep it."""
    parsed = parse(completion)
    return parsed if isinstance(parsed, str) else None
