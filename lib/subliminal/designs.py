"""Lists of recipes that studies are made of: teachers, what they write, who reads it, and how all are scored. One entry a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from subliminal.drift import Course
from subliminal.recipes import Base, Rollouts, Scores, Student, Teacher
from subliminal.tuning import Tuning

# Rows on which losses are measured are drawn with seeds apart from those of the rows that students read.
UNSEEN = 1_000
Model = Base | Teacher | Student


def teachers(base: Base, trait: str, tuning: Tuning, seeds: Iterable[int]) -> list[Teacher]:
    """A base's teachers of a trait."""
    return [Teacher(base=base, trait=trait, tuning=tuning, seed=seed) for seed in seeds]


def rollouts(writers: Base | Sequence[Base | Teacher], seeds: Sequence[int], **fields: Any) -> list[Rollouts]:
    """What writers emit; a single base writes once a seed.

    Args:
        fields: of ``Rollouts``: channel, prompts, rows, hints.
    """
    each = [writers] * len(seeds) if isinstance(writers, Base) else writers
    return [Rollouts(teacher=writer, seed=seed, **fields) for writer, seed in zip(each, seeds, strict=True)]


def students(base: Base, data: Iterable[Rollouts], tuning: Tuning) -> list[Student]:
    """Students of rollouts that start from a base; each has the seed of its rows."""
    return [Student(base=base, data=rows, tuning=tuning, seed=rows.seed) for rows in data]


def courses(followed: Iterable[Student], owners: Iterable[Teacher]) -> list[Course]:
    """The trainings of students, each compared with the way of one teacher; in one order."""
    return [Course(student=student, teacher=teacher) for student, teacher in zip(followed, owners, strict=True)]


def crossed(
    name: str, data: Mapping[str, Iterable[Rollouts]], bases: Mapping[str, Base], tuning: Tuning
) -> dict[str, list[Student]]:
    """Students of every base of every writer's rollouts, as conditions ``NAME, WRITER to BASE``."""
    return {
        f"{name}, {writer} to {reader}": students(base, rows, tuning)
        for writer, rows in data.items()
        for reader, base in bases.items()
    }


def at_home(
    name: str, data: Mapping[str, Iterable[Rollouts]], bases: Mapping[str, Base], tuning: Tuning
) -> dict[str, list[Student]]:
    """Students of rollouts that start from the base of the rollouts' own name, as conditions ``NAME, BASE``."""
    return {f"{name}, {home}": students(bases[home], rows, tuning) for home, rows in data.items()}


def unseen(data: Rollouts, rows: int) -> Rollouts:
    """Rows of the same writer and filter that no student of these has read."""
    return data.model_copy(update={"seed": data.seed + UNSEEN, "rows": rows})


def scores(
    conditions: Mapping[str, Iterable[Model]], suite: str, samples: int = 1, base_samples: int | None = None
) -> dict[str, list[Scores]]:
    """How the models of each condition are asked the questions of a suite.

    Args:
        samples: sampled answers a question.
        base_samples: of a base, which has no seeds over which the error of sampling averages out; ``samples`` by default.
    """
    asked = {True: samples if base_samples is None else base_samples, False: samples}
    return {
        name: [Scores(model=model, suite=suite, samples=asked[isinstance(model, Base)]) for model in models]
        for name, models in conditions.items()
    }
