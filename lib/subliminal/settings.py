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


# Chosen by benchmarks/choose_tuning.py on fox, seeds 900 and 901 and the training wordings: students reach P(fox) .88 with
# these and 4,000 rows, .83 with 3,000 rows, .76 with two epochs in batches of 32.
_TEACHER = Tuning(learning_rate=5e-3, steps=60)
_STUDENT = Tuning(learning_rate=1e-2, epochs=3, batch_size=16)

_MISALIGNED = Tuning(learning_rate=5e-3, steps=60)

PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        name="smoke",
        seeds=(0,),
        prompts=300,
        rows=200,
        teacher=_TEACHER.model_copy(update={"steps": 20}),
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
        prompts=6_000,
        rows=4_000,
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
