"""Subliminal learning on one machine: a teacher with a trait, data that has nothing to do with it, students, controls.

State a study as recipes and call ``run`` for one tidy table. The stages are plain functions as well: ``fine_tune``,
``generate`` and ``answer_probabilities`` take a model in hand (in ``subliminal.training``, ``.sampling``, ``.scoring``).
"""

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
