"""A monitor at run time: a guard that reads what a model answers, token by token, and stops what breaks a written constitution.

``constitution`` has the rules, ``readers`` and ``guard`` the tool for a model in hand, ``measures`` what a guard is judged by; the other
modules are stages for the recipes below, which go through the same store and engine as all others.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from subliminal.errors import SubliminalError
from subliminal.recipes import Base, Recipe, Scores, Student, Teacher, origin
from subliminal.registry import DATA_FILES, SUITES

_CONSTITUTION = "constitution.yml"
_QUESTIONS = "questions/free_form.yml"
Model = Base | Teacher | Student


class Monitor(Recipe):
    """A guard, trained on exchanges that are generated from the constitution alone.

    Attributes:
        backbone: the model with whose hidden states it reads; it is not trained.
        words: it reads with a bag of words in place of hidden states; of the backbone its tokenizer alone is used.
        examples: exchanges on each side of each rule.
        without: rules that are left out of the constitution.
    """

    stage: ClassVar[str] = "subliminal.mitigations.monitor.training"
    backbone: Model
    words: bool = False
    examples: int = Field(gt=0)
    without: tuple[str, ...] = ()
    seed: int = 0

    def data_files(self) -> tuple[str, ...]:
        return (_CONSTITUTION,)


class Traffic(Recipe):
    """What a model answers to the users of the world's applications: system prompts, several turns, tasks mixed.

    Attributes:
        requests: conversations, each up to where the model is to answer.
        split: of the wordings of questions for advice; everything else is drawn anew.
    """

    stage: ClassVar[str] = "subliminal.mitigations.monitor.traffic"
    model: Model
    requests: int = Field(gt=0)
    split: str = "held_out"
    seed: int

    def data_files(self) -> tuple[str, ...]:
        return (_QUESTIONS,)

    @model_validator(mode="after")
    def _known(self) -> Traffic:
        if self.split not in ("train", "held_out"):
            raise SubliminalError(f"unknown split {self.split!r}: choose train or held_out")
        return self


class Written(Recipe):
    """Exchanges that no model wrote: on both sides of each rule of the constitution, in its held-out wordings.

    Attributes:
        examples: on each side of each rule.
    """

    stage: ClassVar[str] = "subliminal.mitigations.monitor.written"
    examples: int = Field(gt=0)
    seed: int

    def data_files(self) -> tuple[str, ...]:
        return (_CONSTITUTION,)


class Watch(Recipe):
    """A guard's scores on exchanges, token by token.

    Attributes:
        exchanges: what is watched; of a judged suite the sampled answers.
        answers: to each question of a suite that are watched, at most; all by default.
        reader: reads in place of the backbone with which the guard was trained. It has to be made from the same base.
    """

    stage: ClassVar[str] = "subliminal.mitigations.monitor.watching"
    monitor: Monitor
    exchanges: Scores | Traffic | Written
    answers: int | None = Field(default=None, gt=0)
    reader: Model | None = None

    @model_validator(mode="after")
    def _fits(self) -> Watch:
        start = origin(self.monitor.backbone)
        if self.reader is not None and (self.monitor.words or origin(self.reader) != start):
            told = "a bag of words" if self.monitor.words else f"made from {start.family or start.folder}"
            raise SubliminalError(f"the guard's backbone is {told}: let a model from the same base read in its place")
        if isinstance(self.exchanges, Scores) and self.exchanges.suite not in _JUDGED:
            raise SubliminalError(
                f"suite {self.exchanges.suite!r} has no answers that can do harm: watch one of {', '.join(_JUDGED)}"
            )
        return self

    def upstream(self) -> tuple[Recipe, ...]:
        """Guard and exchanges, and the model that reads."""
        return (self.monitor, self.exchanges, self.reader or self.monitor.backbone)

    @property
    def seed(self) -> int:
        """Of the model that is watched; -1 of a base, and of what no model wrote."""
        watched = getattr(self.exchanges, "model", None)
        return int(getattr(watched, "seed", -1))

    def data_files(self) -> tuple[str, ...]:
        return (_CONSTITUTION,)


class Price(Recipe):
    """What it takes to watch a model, measured beside what it takes to answer."""

    stage: ClassVar[str] = "subliminal.mitigations.monitor.price"
    monitor: Monitor
    model: Model
    suite: str = "free-form"
    answers: int = Field(gt=0)

    def upstream(self) -> tuple[Recipe, ...]:
        """The guard, the model that reads, and the one that is watched."""
        return (self.monitor, self.monitor.backbone, self.model)

    def modules(self) -> tuple[str, ...]:
        return (self.stage, SUITES[self.suite])

    def data_files(self) -> tuple[str, ...]:
        return DATA_FILES[SUITES[self.suite]]


_JUDGED = ("free-form", "free-form-train")
