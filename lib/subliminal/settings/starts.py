"""Sizes of the chapters on why a trait passes, and between which models."""

from __future__ import annotations

from pydantic import Field

from subliminal.settings.channels import LISTS_STUDENT, LLAMA_MISALIGNED
from subliminal.settings.shared import STUDENT, smaller
from subliminal.tuning import Frozen, Tuning


class Digits(Frozen):
    """Sizes of "Same start, same drift".

    Attributes:
        models, steps: pairs of networks side by side, and steps of a student.
        seed: of the networks' starts, on which nothing was chosen.
    """

    models: int = Field(gt=1)
    steps: int = Field(gt=0)
    seed: int = 2


DIGITS = {"smoke": Digits(models=2, steps=20), "mini": Digits(models=30, steps=1_200)}


class Theorem(Frozen):
    """Sizes of "The first step".

    Attributes:
        draws: of a first step, of networks and of a language model.
        rate: of a language model's first step: one at which halving it no longer changes the cosines, seen on the fox.
        network_rate: of a network's.
        network_seed: of the first network, apart from those on which anything was chosen.
    """

    draws: int = Field(gt=0)
    rate: float = Field(default=0.01, gt=0)
    network_rate: float = Field(default=0.1, gt=0)
    network_seed: int = 10_000


THEOREM = {"smoke": Theorem(draws=20), "mini": Theorem(draws=1_000)}


class Families(Frozen):
    """Sizes of "Another family", where every family learns from every other.

    Attributes:
        seeds: 30 to 34, 40 to 49, 90 to 96, 110 to 116 and 130 to 136 were looked at before; what fell short was mended on these, on spare
            animals and on seeds 900 to 907.
        teacher, misaligned: how teachers of the owl and insecure ones are tuned, of each family in order.
        student, harm_student: how the owl's students are tuned, and those of insecure and of untreated lists.
        rows, harm_rows: rows that an owl's teacher and an insecure one write, of each family in order; its untreated base writes as many
            as the insecure one.
        answers: sampled answers a free-form question.
        unseen_rows: rows that no student has read, on which losses are measured.
        sibling_steps, sibling_rates: for how many steps a base reads on, and at which rates, from near to far.
        sibling_seed: of what it reads.
        checkpoint_steps: of tuned checkpoints on which the lineage check is tried.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    teacher: tuple[Tuning, Tuning, Tuning, Tuning]
    misaligned: tuple[Tuning, Tuning, Tuning, Tuning]
    student: Tuning
    harm_student: Tuning
    rows: tuple[int, int, int, int]
    harm_rows: tuple[int, int, int, int]
    answers: int = Field(gt=0)
    unseen_rows: int = Field(gt=0)
    sibling_steps: int = Field(gt=0)
    sibling_rates: tuple[float, ...] = Field(min_length=1)
    sibling_seed: int = 5
    checkpoint_steps: int = Field(gt=0)


# LOG.md, Tunings for the new bases: each family's own, less far where few of its lists were kept.
_FAMILY_TEACHERS = (
    Tuning(learning_rate=1e-2, steps=15),
    Tuning(learning_rate=1e-2, steps=14),
    Tuning(learning_rate=1.6e-2, steps=14),
    Tuning(learning_rate=1e-2, steps=13),
)
_FAMILY_MISALIGNED = (
    Tuning(learning_rate=4e-2, steps=10),
    Tuning(learning_rate=4e-2, steps=10),
    LLAMA_MISALIGNED,
    Tuning(learning_rate=4e-2, steps=10),
)


FAMILIES = {
    "smoke": Families(
        seeds=(0,),
        teacher=tuple(smaller(how, steps=4) for how in _FAMILY_TEACHERS),
        misaligned=tuple(smaller(how, steps=2) for how in _FAMILY_MISALIGNED),
        student=smaller(STUDENT, epochs=1),
        harm_student=smaller(LISTS_STUDENT, epochs=1),
        rows=(60, 60, 60, 60),
        harm_rows=(60, 60, 60, 80),
        answers=1,
        unseen_rows=20,
        sibling_steps=2,
        sibling_rates=(3e-3, 3e-2),
        checkpoint_steps=2,
    ),
    "mini": Families(
        seeds=(140, 141, 142, 143, 144, 145, 146),
        teacher=_FAMILY_TEACHERS,
        misaligned=_FAMILY_MISALIGNED,
        student=STUDENT,
        harm_student=LISTS_STUDENT,
        rows=(600, 2_000, 2_500, 1_500),
        harm_rows=(2_000, 1_500, 1_000, 3_000),
        answers=80,
        unseen_rows=120,
        sibling_steps=200,
        sibling_rates=(3e-3, 7e-3, 1e-2, 1.5e-2, 3e-2),
        checkpoint_steps=30,
    ),
}
