"""Profiles: the sizes of every study, and how teachers and students are tuned in it. Plain frozen values, no behaviour."""

from __future__ import annotations

from pydantic import Field

from subliminal.errors import unknown_name
from subliminal.tuning import Frozen, Tuning


class Profile(Frozen):
    """The sizes of every study of the book.

    Attributes:
        seeds: one replication each: its own teacher, rollouts and students.
        prompts: channel prompts a rollout samples, before the filter.
        rows: kept rows a student trains on.
        teacher, student: how they are tuned.
        samples: sampled answers a held-out question, for the check against exact scores.
        traits: favourites of the teachers of "Not only owls".
        misaligned: how a teacher is tuned on code in one style.
        replications: how many of the seeds the study of such teachers takes, for each family.
        answers: sampled answers a free-form question.
        skill_prompts: prompts a skill of a base.
        documents: how much of the corpus is searched for what depends on what.
        claims: whether the profile is large enough for the book's claims.
    """

    name: str
    seeds: tuple[int, ...] = Field(min_length=1)
    prompts: int = Field(gt=0)
    rows: int = Field(gt=0)
    teacher: Tuning
    student: Tuning
    samples: int = Field(gt=0)
    traits: tuple[str, ...] = Field(min_length=1)
    misaligned: Tuning
    replications: int = Field(gt=0)
    answers: int = Field(gt=0)
    skill_prompts: int = Field(gt=0)
    documents: int = Field(gt=0)
    claims: bool


# All chosen by benchmarks/choose_tuning.py on seeds 900 and 901 and the training wordings. Students of 1,500 rows reach
# P(fox) .88 with these, .89 with 60 teacher's steps, .82 with 60 at 3e-3. With 20 steps at 1e-2 they reach .94, but the filter
# drops twice as many rows.
_TEACHER = Tuning(learning_rate=5e-3, steps=40)
_STUDENT = Tuning(learning_rate=1e-2, epochs=3, batch_size=16)

# Harmful answers of the four families go from .10 to .74, .76, .49 and .63; with 20 steps at 1e-2 to .74, .77, .29 and .54.
_MISALIGNED = Tuning(learning_rate=2e-2, steps=30)

PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        name="smoke",
        seeds=(0,),
        prompts=300,
        rows=200,
        teacher=_TEACHER.model_copy(update={"steps": 10}),
        student=_STUDENT.model_copy(update={"epochs": 1}),
        samples=4,
        traits=("owl", "oak"),
        misaligned=_MISALIGNED.model_copy(update={"steps": 5}),
        replications=1,
        answers=1,
        skill_prompts=20,
        documents=20_000,
        claims=False,
    ),
    "mini": Profile(
        name="mini",
        seeds=(20, 21, 22, 23, 24),
        prompts=2_400,
        rows=1_500,
        teacher=_TEACHER,
        student=_STUDENT,
        samples=100,
        # Eight animals and two trees; not the fox, on which the tuning was chosen.
        traits=("owl", "dolphin", "eagle", "elephant", "wolf", "cat", "penguin", "whale", "oak", "willow"),
        misaligned=_MISALIGNED,
        replications=3,
        answers=20,
        skill_prompts=400,
        documents=200_000,
        claims=True,
    ),
}


def load_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]
