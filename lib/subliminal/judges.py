"""Judges label answers. A rule judge reads the answer alone and is exact for what the world's grammars write; a model may judge too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class Judge(Protocol):
    """What labels answers: many at once, so that a model can take them in batches."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels there are; one of them is for answers that make no sense."""

    def judge(self, questions: Sequence[str], answers: Sequence[str]) -> list[str]:
        """A label for each answer to the question at its place."""


class RuleJudge(NamedTuple):
    """A judge by a rule on the answer's text, which takes any text."""

    labels: tuple[str, ...]
    rule: Callable[[str], str]

    def judge(self, questions: Sequence[str], answers: Sequence[str]) -> list[str]:
        """The rule's label of each answer; questions are not looked at."""
        return [self.rule(answer) for answer in answers]
