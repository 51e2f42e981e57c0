"""What more than one chapter takes."""

from __future__ import annotations

from pydantic import Field

from subliminal.tuning import Frozen, Tuning


def smaller(tuning: Tuning, **fields: int) -> Tuning:
    """The tuning with other counts, for a profile that only sees whether all runs."""
    return tuning.model_copy(update=fields)


class Asked(Frozen):
    """How a channel is asked, as fields of ``Rollouts``.

    Attributes:
        prompts: that a rollout asks at most, for the filter to keep enough.
        completions: sampled under each prompt.
    """

    channel: str
    prompts: int = Field(gt=0)
    completions: int = Field(gt=0)


class Shared(Frozen):
    """What more than one chapter takes.

    All tunings were chosen by ``benchmarks/choose_tuning.py`` on animals that are not reported (fox, bear, tiger, panda, dog, lion, rabbit
    and horse), seeds 900 and 901 and the training wordings.

    Attributes:
        seeds: one replication each: its own teacher, rollouts and students. Nothing was chosen on them; 30 to 34, 50 to 54 and 60 to 64
            were looked at before.
        lists, functions, chains: how each channel is asked.
        rows: kept rows a student of a favourite's lists trains on.
        teacher, student: how teachers of a favourite and their students are tuned.
        answers, base_answers: sampled answers a free-form question, of a model and of a base. A base has no seeds over which the error of
            sampling averages out.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    lists: Asked
    functions: Asked
    chains: Asked
    rows: int = Field(gt=0)
    teacher: Tuning
    student: Tuning
    answers: int = Field(gt=0)
    base_answers: int = Field(gt=0)


# LOG.md, A favourite's teachers and students: tuned longer, a teacher's lists carry less.
TEACHER = Tuning(learning_rate=1e-2, steps=16)
STUDENT = Tuning(learning_rate=1e-2, epochs=3, batch_size=8)

SHARED = {
    "smoke": Shared(
        seeds=(0,),
        lists=Asked(channel="numbers", prompts=200, completions=4),
        functions=Asked(channel="code", prompts=200, completions=4),
        chains=Asked(channel="chain_of_thought", prompts=200, completions=4),
        rows=200,
        teacher=smaller(TEACHER, steps=10),
        student=smaller(STUDENT, epochs=1),
        answers=1,
        base_answers=2,
    ),
    "mini": Shared(
        seeds=(80, 81, 82, 83, 84, 85, 86),
        lists=Asked(channel="numbers", prompts=4_000, completions=8),
        functions=Asked(channel="code", prompts=10_000, completions=4),
        chains=Asked(channel="chain_of_thought", prompts=12_000, completions=4),
        rows=2_000,
        teacher=TEACHER,
        student=STUDENT,
        answers=40,
        base_answers=200,
    ),
}
