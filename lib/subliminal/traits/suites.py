"""What a suite of held-out questions is: exact where answers are names, judged where they are sentences."""

from __future__ import annotations

from typing import NamedTuple

from subliminal.judges import Judge


class Suite(NamedTuple):
    """Questions, the answers that are told apart, and how.

    Attributes:
        answers: names, whose probability is read off the model; or, with a judge, its labels.
        judge: labels sampled answers.
        max_new_tokens: of a sampled answer.
    """

    questions: list[str]
    answers: tuple[str, ...]
    judge: Judge | None = None
    max_new_tokens: int = 8
