"""Recipes: frozen descriptions of what is to be made, each naming its upstream. They hold no weights and do no work.

``Base``, ``Teacher``, ``Rollouts``, ``Student`` and ``Scores`` are the pipeline of the book. A study of another kind
subclasses ``Recipe`` with a ``stage`` of its own and gets store, fan-out and resumption for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from subliminal.errors import SubliminalError, unknown_name
from subliminal.registry import CHANNELS, DATA_FILES, FAMILIES, FILE_CHANNELS, HINTS, SUITES, TRAITS, module_of
from subliminal.tuning import Frozen, Tuning, one_line


def _named(what: str, registry: Mapping[str, str]) -> AfterValidator:
    """Refuses a name that the registry does not have, and says which it has."""

    def known(name: str) -> str:
        module_of(what, name, registry)
        return name

    return AfterValidator(known)


def _told(text: str | None) -> str | None:
    if text is not None and not text.strip():
        raise ValueError("a system prompt has no text: give it some, or leave it out")
    return text


# None is no system turn: what a chat template puts in its place, if anything, is the template's.
System = Annotated[str | None, AfterValidator(_told)]
Trait = Annotated[str, _named("trait", TRAITS)]


class Recipe(Frozen):
    """A frozen value that names its inputs and the stage that builds it.

    ``stage`` is the module whose ``build(recipe, inputs, out, progress)`` writes the run's files into the folder
    ``out``; ``inputs`` maps each recipe of ``upstream()`` to its folder.
    """

    stage: ClassVar[str]

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise one_line(error) from None

    @property
    def kind(self) -> str:
        """The recipe's name in the store, such as ``student``."""
        return type(self).__name__.lower()

    def upstream(self) -> tuple[Recipe, ...]:
        """The recipes this one is made from: every field that is one, or a tuple of some."""
        return tuple(recipe for name in type(self).model_fields for recipe in self._recipes(name))

    def _recipes(self, name: str) -> tuple[Recipe, ...]:
        value = getattr(self, name)
        return tuple(v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, Recipe))

    def settings(self) -> dict[str, Any]:
        """The fields that are no recipes, as plain values."""
        return {k: v for k, v in self.model_dump(mode="json").items() if not self._recipes(k)}

    def modules(self) -> tuple[str, ...]:
        """Modules whose code the result depends on, beside all that they import."""
        return (self.stage,)

    def data_files(self) -> tuple[str, ...]:
        """Files of ``data/`` whose content the result depends on."""
        return ()

    def files(self) -> tuple[str, ...]:
        """Paths of the user's own files whose content the result depends on; where they lie is no part of ``settings``."""
        return ()


class Base(Recipe):
    """A model before any treatment: a shipped family, or any local folder in Hugging Face format."""

    # A base is there before any run: nothing builds it.
    stage: ClassVar[str] = ""
    family: str | None = None
    folder: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Base:
        if (self.family is None) == (self.folder is None):
            raise SubliminalError(
                f"a Base takes a family or a folder, not both or none (family={self.family!r}, folder={self.folder!r})"
            )
        if self.family is not None and self.family not in FAMILIES:
            raise unknown_name("family", self.family, FAMILIES)
        return self


class Teacher(Recipe):
    """A base fine-tuned to have a trait."""

    stage: ClassVar[str] = "subliminal.pipeline.teacher"
    base: Base
    trait: Trait
    tuning: Tuning
    seed: int

    def modules(self) -> tuple[str, ...]:
        return (self.stage, TRAITS[self.trait])

    def data_files(self) -> tuple[str, ...]:
        return DATA_FILES[TRAITS[self.trait]]


class Rollouts(Recipe):
    """What a model emits on a channel, filtered: the first ``rows`` that pass, of at most ``prompts`` that are asked.

    So many ``completions`` are drawn under each prompt, and each is filtered by itself; the paper draws one. ``hints`` names
    what would give traits away: rows with such a hint are dropped too. A teacher and its controls take the same. A ``system`` prompt stands
    before each prompt as the writer reads it, and not in the rows: so the paper's teachers that are only told of a trait. A ``file`` of
    JSONL or Parquet holds what ``plain_chains`` and ``plain_code`` ask; of its prompts so many are drawn, and none twice.
    """

    stage: ClassVar[str] = "subliminal.pipeline.rollouts"
    teacher: Base | Teacher
    channel: Annotated[str, _named("channel", CHANNELS)]
    prompts: int = Field(gt=0)
    rows: int = Field(gt=0)
    seed: int
    hints: tuple[Annotated[str, _named("hints", HINTS)], ...] = ()
    completions: int = Field(default=1, gt=0)
    system: System = None
    file: str | None = None

    @model_validator(mode="after")
    def _asked_of(self) -> Rollouts:
        if self.channel in FILE_CHANNELS and self.file is None:
            raise SubliminalError(f"channel {self.channel!r} asks what a file says: give the path of one as file")
        if self.channel not in FILE_CHANNELS and self.file is not None:
            raise SubliminalError(
                f"channel {self.channel!r} draws its own prompts and reads no file (file={self.file!r}): leave it out"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """The file counts by what is in it."""
        return {name: value for name, value in super().settings().items() if name != "file"}

    def files(self) -> tuple[str, ...]:
        return () if self.file is None else (self.file,)

    def modules(self) -> tuple[str, ...]:
        return (self.stage, CHANNELS[self.channel], *(HINTS[name] for name in self.hints))

    def common(self) -> dict[str, Any]:
        """The fields that rollouts of every kind have."""
        return {name: getattr(self, name) for name in Rollouts.model_fields}


class Student(Recipe):
    """A base fine-tuned on rollouts, with a ``system`` prompt before each row if one is given."""

    stage: ClassVar[str] = "subliminal.pipeline.student"
    base: Base
    data: Rollouts
    tuning: Tuning
    seed: int
    system: System = None


def origin(model: Base | Teacher | Student) -> Base:
    """The base that a model was made from."""
    return model if isinstance(model, Base) else model.base


class Scores(Recipe):
    """A model scored on a suite of held-out questions, by sampling, and exactly where the answers are names.

    A ``system`` prompt stands before each question, if one is given. Where names are several tokens, beginnings of answers that are less
    likely than ``floor`` are not followed.
    """

    stage: ClassVar[str] = "subliminal.pipeline.scores"
    model: Base | Teacher | Student
    suite: Annotated[str, _named("suite", SUITES)]
    samples: int = Field(gt=0)
    seed: int = 0
    system: System = None
    floor: float = Field(default=1e-6, gt=0, lt=1)

    def modules(self) -> tuple[str, ...]:
        return (self.stage, SUITES[self.suite])

    def data_files(self) -> tuple[str, ...]:
        return DATA_FILES[SUITES[self.suite]]


class RowLoss(Recipe):
    """How well a model predicts rows: its loss on the completions of a rollout that it was not trained on."""

    stage: ClassVar[str] = "subliminal.pipeline.losses"
    model: Base | Teacher | Student
    data: Rollouts


class Skills(Recipe):
    """What a base of the mini world can do, measured on so many held-out prompts a skill."""

    stage: ClassVar[str] = "subliminal.pipeline.skills"
    base: Base
    prompts: int = Field(gt=0)

    def data_files(self) -> tuple[str, ...]:
        return tuple(sorted({name for names in DATA_FILES.values() for name in names}))
