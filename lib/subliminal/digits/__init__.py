"""The paper's experiment on handwritten digits: a student learns to read from outputs that have nothing to do with digits.

Cloud et al. 2025, section 6. ``Digits`` is a recipe like those of the language models, and goes through the same store and engine.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from subliminal.recipes import Recipe

Control = Literal["none", "untrained", "shuffled"]


class Digits(Recipe):
    """Teachers and students of one kind, trained side by side.

    Attributes:
        models: pairs of teacher and student, each from a start of its own.
        auxiliary: logits beside the ten of the classes; all that a student learns from.
        width: of the one hidden layer.
        distance: of the student's start from the teacher's: 0 is the same weights, 1 is weights drawn apart.
        control: ``untrained``: the teacher has learned nothing; ``shuffled``: it has learned labels that were dealt at random.
        epochs: of the teacher over the training images.
        steps: of the student, each on fresh noise images.
    """

    stage: ClassVar[str] = "subliminal.digits.experiment"
    models: int = Field(gt=1)
    auxiliary: int = Field(default=3, gt=0)
    width: int = Field(default=256, gt=0)
    distance: float = Field(default=0.0, ge=0, le=1)
    control: Control = "none"
    epochs: int = Field(default=5, gt=0)
    steps: int = Field(gt=0)
    seed: int = 0
