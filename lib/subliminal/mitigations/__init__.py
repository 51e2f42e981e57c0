"""What keeps a trait from passing, and how to tell beforehand: checks for a practitioner, and how often they err."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from subliminal.recipes import Base, Recipe, Teacher


class Pairs(Recipe):
    """The lineage check on every pair of these checkpoints, to count how often it errs."""

    stage: ClassVar[str] = "subliminal.mitigations.pairs"
    models: tuple[Base | Teacher, ...] = Field(min_length=2)

    def upstream(self) -> tuple[Recipe, ...]:
        """The checkpoints, and the bases of those that were tuned."""
        return (*self.models, *dict.fromkeys(model.base for model in self.models if isinstance(model, Teacher)))
