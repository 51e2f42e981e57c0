"""Can anyone read in rows who wrote them? Readers, and what they cannot do. Cloud et al. 2025, sections 3 to 5.

Recipes like those of the pipeline, which go through the same store and engine; each stage's work is a plain function as well.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from subliminal.derived import written
from subliminal.errors import SubliminalError
from subliminal.recipes import Base, Recipe, Rollouts, Teacher
from subliminal.registry import CHANNELS, DATA_FILES, SUITES, TRAITS, module_of
from subliminal.tuning import Tuning


class Likelihoods(Recipe):
    """How likely a model finds each row of a rollout: of its prompts that are held out, the first ``rows`` rows."""

    stage: ClassVar[str] = "subliminal.readers.likelihoods"
    model: Base | Teacher
    data: Rollouts
    rows: int = Field(gt=0)


class Reader(Recipe):
    """A reader that has learned from some writers' rows, tried on rows of others, under prompts that it has not seen.

    Attributes:
        base: is tuned to a classifier; without one the reader counts words.
        treated, control: what it learns from, ``rows`` rows of each, under the prompts that are not held out.
        unseen: what it is tried on, the first ``unseen_rows`` rows of each under prompts that are held out.
        tuning: of the classifier.
    """

    stage: ClassVar[str] = "subliminal.readers.trained"
    base: Base | None = None
    treated: tuple[Rollouts, ...] = Field(min_length=1)
    control: tuple[Rollouts, ...] = Field(min_length=1)
    unseen: tuple[Rollouts, ...] = Field(min_length=1)
    rows: int = Field(gt=0)
    unseen_rows: int = Field(gt=0)
    tuning: Tuning | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _whole(self) -> Reader:
        if (self.base is None) != (self.tuning is None):
            raise SubliminalError(
                f"a Reader tunes a base, or counts words (base={self.base!r}, tuning={self.tuning!r}): give both or none"
            )
        if known := set(self.unseen) & {*self.treated, *self.control}:
            raise SubliminalError(
                f"a Reader is tried on rows it learned from ({next(iter(known))!r:.80}): leave them out"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """Also which of the rollouts are which: upstream they stand in one row."""
        return super().settings() | {"parts": [len(self.treated), len(self.control), len(self.unseen)]}


class InContext(Recipe):
    """A base on the questions of a suite, with rows as the earlier turns of the conversation, and no training.

    Attributes:
        source: whose rows are shown; ``beside`` are other writers', so that rows are under prompts on which all of them were kept.
        trait: shows the documents that its teachers are tuned on, in place of rows.
        said: stands there as a system prompt, in place of rows.
        rows: of each conversation, 0 for as many as the context holds.
        one_prompt: the rows are completions of one prompt, which stands there once.
        sets: of rows a question, drawn with ``seed``; writers that are beside each other get the same prompts.
        samples: answers a question and set, where a judge labels them.
    """

    stage: ClassVar[str] = "subliminal.readers.context"
    base: Base
    source: Rollouts | None = None
    beside: tuple[Rollouts, ...] = ()
    trait: str | None = None
    said: str = ""
    suite: str
    rows: int = Field(ge=0)
    one_prompt: bool = False
    sets: int = Field(gt=0)
    samples: int = Field(default=1, gt=0)
    seed: int

    @model_validator(mode="after")
    def _whole(self) -> InContext:
        module_of("suite", self.suite, SUITES)
        if sum((self.source is not None, self.trait is not None, bool(self.said))) != 1:
            raise SubliminalError(
                "InContext shows rows of a source, documents of a trait or a system prompt: give one of them "
                f"(trait={self.trait!r}, said={self.said!r:.40})"
            )
        if self.source is None and (self.one_prompt or self.beside):
            raise SubliminalError("what is no rows has no other writer and no prompt: drop one_prompt and beside")
        if self.said and self.rows != 1:
            raise SubliminalError(f"a system prompt stands there once, not {self.rows} times: give rows=1")
        if self.trait is not None:
            module_of("trait", self.trait, TRAITS)
        return self

    def modules(self) -> tuple[str, ...]:
        return (self.stage, SUITES[self.suite], *([TRAITS[self.trait]] if self.trait else []))

    def data_files(self) -> tuple[str, ...]:
        return tuple(sorted({name for module in self.modules() for name in DATA_FILES.get(module, ())}))


class Shift(Recipe):
    """By how much a teacher shifts each word, on the first ``rows`` rows of a rollout."""

    stage: ClassVar[str] = "subliminal.readers.shift"
    teacher: Teacher
    data: Rollouts
    rows: int = Field(gt=0)

    def upstream(self) -> tuple[Recipe, ...]:
        """The teacher, the base it came from, and the rows."""
        return (self.teacher, self.teacher.base, self.data)


class Sifted(Rollouts):
    """A rollout of number lists without the rows that hold one of the numbers that a teacher shifts most.

    Attributes:
        shift: says which are shifted most.
        numbers: so many of them.
        at_random: drops as many rows as that, and any.
    """

    stage: ClassVar[str] = "subliminal.readers.sift"
    shift: Shift
    numbers: int = Field(gt=0)
    at_random: bool = False

    @model_validator(mode="after")
    def _lists(self) -> Sifted:
        if self.channel != "numbers":
            raise SubliminalError(
                f"numbers are sifted from lists alone, not from channel {self.channel!r}: take numbers"
            )
        return self

    @property
    def source(self) -> Rollouts:
        """The rollout that is sifted."""
        return Rollouts(**self.common())

    def upstream(self) -> tuple[Recipe, ...]:
        return (self.source, self.shift)

    def modules(self) -> tuple[str, ...]:
        return (self.stage, CHANNELS[self.channel])


def sifted(data: Rollouts, shift: Shift, numbers: int, at_random: bool = False) -> Sifted:
    """A rollout, sifted.

    Raises:
        SubliminalError: it is mixed or sifted already, or no rollout of lists.
    """
    return Sifted(**written(data), shift=shift, numbers=numbers, at_random=at_random)
