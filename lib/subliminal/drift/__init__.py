"""How weights move: a teacher's and a student's, in language models. Cloud et al. 2025, section 6.

Recipes like those of the pipeline, which go through the same store and engine.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from subliminal.errors import SubliminalError
from subliminal.recipes import Base, Recipe, Student, Teacher, Trait
from subliminal.registry import DATA_FILES, TRAITS


class FirstSteps(Recipe):
    """Theorem 1 on a language model: many draws of a teacher's first step, and of a student's towards it.

    Attributes:
        teacher, student: what each starts from; the theorem speaks of the case that they are one.
        trait: the teacher's step is on the loss of this trait's documents.
        rate: of the teacher's step of gradient descent.
        draws: of documents and of inputs, each anew.
        documents: of the teacher's step.
        sequences, length: of random tokens, on which the student sees the teacher's logits.
    """

    stage: ClassVar[str] = "subliminal.drift.first_steps"
    teacher: Base
    student: Base
    trait: Trait
    rate: float = Field(gt=0)
    draws: int = Field(gt=0)
    documents: int = Field(default=4, gt=0)
    sequences: int = Field(default=2, gt=0)
    length: int = Field(default=12, gt=0)
    seed: int

    def modules(self) -> tuple[str, ...]:
        return (self.stage, TRAITS[self.trait])

    def data_files(self) -> tuple[str, ...]:
        return DATA_FILES[TRAITS[self.trait]]


class Course(Recipe):
    """A student's training once more, with a look at its weights now and then: does it move as its teacher did?

    Attributes:
        teacher: whose displacement the student's is compared with; it need not be the one that wrote the student's rows.
        every: steps between two looks.
    """

    stage: ClassVar[str] = "subliminal.drift.course"
    student: Student
    teacher: Teacher
    every: int = Field(default=25, gt=0)

    @model_validator(mode="after")
    def _comparable(self) -> Course:
        if self.student.tuning.method != self.teacher.tuning.method or self.teacher.tuning.method == "lora":
            raise SubliminalError(
                f"a course compares weights that both train, not {self.student.tuning.method} with {self.teacher.tuning.method}: "
                "tune both with bias_norm, or both with full"
            )
        return self

    def upstream(self) -> tuple[Recipe, ...]:
        """All that the training needs, and the student's own run, which names its tuning."""
        return (self.student, self.student.base, self.student.data, self.teacher, self.teacher.base)


class Sibling(Recipe):
    """A base that has read on: trained further on the corpus of the mini world, in an order of its own, all weights.

    Its run is a folder in Hugging Face format, as a practitioner's checkpoint is.
    """

    stage: ClassVar[str] = "subliminal.drift.further"
    base: Base
    steps: int = Field(gt=0)
    documents: int = Field(default=20_000, gt=0)
    learning_rate: float = Field(gt=0)
    seed: int
