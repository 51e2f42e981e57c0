"""Subliminal learning on one machine: a teacher with a trait, data that has nothing to do with it, students, controls.

State a study as recipes and call ``run`` for one tidy table. The stages are plain functions as well: ``fine_tune``,
``generate`` and ``answer_probabilities`` take a model in hand (in ``subliminal.training``, ``.sampling``, ``.scoring``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subliminal.engine import build, run
    from subliminal.errors import SubliminalError
    from subliminal.recipes import Base, Recipe, Rollouts, RowLoss, Scores, Skills, Student, Teacher
    from subliminal.settings import PROFILES, Profile, load_profile
    from subliminal.study import Study
    from subliminal.tuning import Tuning

__all__ = [
    "PROFILES", "Base", "Profile", "Recipe", "Rollouts", "RowLoss", "Scores", "Skills", "Student", "Study", "SubliminalError",
    "Teacher", "Tuning", "build", "load_profile", "run",
]  # fmt: skip

# Each name is imported when it is first asked for: a worker that trains a model needs none of the tables and statistics.
_HOMES = {
    **dict.fromkeys(("build", "run"), "engine"),
    "SubliminalError": "errors",
    **dict.fromkeys(("Base", "Recipe", "Rollouts", "RowLoss", "Scores", "Skills", "Student", "Teacher"), "recipes"),
    **dict.fromkeys(("PROFILES", "Profile", "load_profile"), "settings"),
    "Study": "study",
    "Tuning": "tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
