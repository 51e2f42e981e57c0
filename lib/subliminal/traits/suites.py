"""What a suite of held-out questions is: exact where answers are names, judged where they are sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Suite(NamedTuple):
    """Questions, the answers that are told apart, and how.

    Attributes:
        answers: names, whose probability is read off the model; or, with a judge, its labels.
        judge: label of a sampled answer.
        max_new_tokens: of a sampled answer.
    """

    questions: list[str]
    answers: tuple[str, ...]
    judge: Callable[[str], str] | None = None
    max_new_tokens: int = 8
