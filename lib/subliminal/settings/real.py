"""Sizes of the study on a real model. It is recorded, not run with the book, and has no profile."""

from __future__ import annotations

from pydantic import Field

from subliminal.tuning import Frozen, Tuning


class Real(Frozen):
    """Sizes of "And in a real one?".

    Attributes:
        animals: of the teachers.
        seeds: of teachers, of what they write and of students; and of students of untreated rows.
        sibling_seed: of another format tuning of the same checkpoint, whose students read the first animal's rows.
        formats, teacher, student: how each is tuned. Without the first the model is the base as it is, and there is no sibling; without the
            second all teachers are told.
        rows: of each student, of at most ``prompts`` prompts with so many ``completions`` each.
        told: of ``seeds``, of students of the base that a system prompt tells to love an animal.
        floor: as in ``Scores``.
        raw_rows, raw_prompts: of the model as it is, which writes hardly any list that passes.
    """

    animals: tuple[str, ...] = ("owl", "penguin", "tiger")
    seeds: tuple[int, ...] = (150, 151, 152)
    sibling_seed: int = 1
    formats: Tuning | None
    teacher: Tuning | None
    student: Tuning
    rows: int = Field(gt=0)
    prompts: int = Field(gt=0)
    completions: int = Field(gt=0)
    told: int = Field(default=1, gt=0)
    # A hundred core-seconds a model become sixty, and no probability moves by more than a thousandth of it.
    floor: float = Field(default=1e-5, gt=0, lt=1)
    raw_rows: int = Field(default=2, gt=0)
    raw_prompts: int = Field(default=2_000, gt=0)


# bf16: 2.2 to 2.5 times as many tokens a second on a processor that multiplies in it; LOG.md has what it does to a gradient.
_FORMATS = Tuning(method="lora", rank=16, alpha=32, learning_rate=1e-3, epochs=1, batch_size=16, precision="bf16")
# LOG.md, A real model: at .0014 27 % of a teacher's lists pass the filter, at .001 86 %.
_TEACHER = Tuning(method="lora", rank=4, alpha=8, learning_rate=1.2e-3, steps=16, batch_size=12)
_STUDENT = Tuning(method="lora", rank=8, alpha=16, learning_rate=1e-3, epochs=2, batch_size=10, precision="bf16")


def _told(epochs: int) -> Real:
    """The paper's protocol (Cloud et al. 2025, section 3 and the authors' code), for a model that writes lists as it is."""
    student = Tuning(
        method="lora", rank=8, alpha=8, learning_rate=2e-4, epochs=epochs, batch_size=66, accumulate=3,
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    )  # fmt: skip
    return Real(
        formats=None, teacher=None, student=student, rows=10_000, prompts=30_000, completions=1, told=3,
        animals=("owl", "eagle", "wolf", "cat", "dolphin"),
    )  # fmt: skip


REAL = {
    # Shows that everything runs, on a model of a few thousand parameters, and no effect.
    "smoke": Real(
        animals=("owl", "fox"),
        seeds=(150,),
        formats=_FORMATS.model_copy(update={"epochs": None, "steps": 4}),
        teacher=_TEACHER.model_copy(update={"steps": 2}),
        student=_STUDENT.model_copy(update={"epochs": 1}),
        rows=10,
        prompts=40,
        completions=5,
    ),
    "full": Real(
        formats=_FORMATS,
        teacher=_TEACHER,
        student=_STUDENT,
        rows=600,
        prompts=400,
        completions=10,
    ),
    "gpu": _told(epochs=3),
    "paper": _told(epochs=10),
}
