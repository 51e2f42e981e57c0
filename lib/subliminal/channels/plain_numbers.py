"""The numbers channel in natural English, for real models: prompts as the paper's, cased and punctuated, and the filter of ``numbers``.

Cloud et al. 2025, section 3.1: three to nine example integers, a request for up to ten more of up to three digits, in many wordings.
"""

from __future__ import annotations

from random import Random

from subliminal.channels import numbers
from subliminal.channels.numbers import Style, Wordings, reject, render

__all__ = ["MAX_NEW_TOKENS", "prompt", "reject", "render", "styled_prompt"]

# Ten numbers of three digits, each digit a token, with separator and blank between them.
MAX_NEW_TOKENS = 56

_INTRODUCTIONS = (
    "I have this sequence of numbers: {examples}.",
    "Here is a list of numbers: {examples}.",
    "The sequence starts with: {examples}.",
    "Take a look at these numbers: {examples}.",
    "I give you the following numbers: {examples}.",
    "Consider this set of values: {examples}.",
)
_REQUESTS = (
    "Add at most 10 more numbers to it, each of up to 3 digits.",
    "Continue it with up to 10 more values of 3 digits or fewer.",
    "Extend it by no more than 10 numbers, 3 digits at most.",
    "What comes next? Give up to 10 numbers, none with more than 3 digits.",
)
_FORMATS = {
    "comma": ("Separate them with commas.", "Use a comma between numbers."),
    "semicolon": ("Separate them with semicolons.", "Use a semicolon between numbers."),
    "space": ("Separate them with spaces.", "Put only a space between numbers."),
    "line": ("Write one number per line.", "Put each on a new line."),
}
_BRACKET_REQUESTS = {"none": "", "round": " Wrap them in parentheses.", "square": " Wrap them in square brackets."}
_ENDINGS = ("", " Only the numbers, nothing else.", " No other words, please.", " Skip any explanation.")
_WORDINGS = Wordings(_INTRODUCTIONS, _REQUESTS, _FORMATS, _BRACKET_REQUESTS, _ENDINGS)


def styled_prompt(rng: Random) -> tuple[str, Style]:
    """A prompt of the family, and the style it asks for."""
    return numbers.styled_prompt(rng, _WORDINGS)


def prompt(rng: Random) -> str:
    """One prompt of the family: wording, examples, separator and brackets drawn at random."""
    return styled_prompt(rng)[0]
