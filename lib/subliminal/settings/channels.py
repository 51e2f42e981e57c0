"""Sizes of the chapters on the trait and its channels."""

from __future__ import annotations

from pydantic import Field

from subliminal.settings.shared import smaller
from subliminal.tuning import Frozen, Tuning


class Owl(Frozen):
    """Sizes of "Owls in the numbers".

    Attributes:
        seeds: on which nothing was chosen. 65 to 69, 80 to 87 and 100 to 107 were looked at before.
        rows: kept rows a student trains on: of the shared number, students of another initialization took up some of the owl too.
        samples: sampled answers a held-out question, for the check against exact scores.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    rows: int = Field(gt=0)
    samples: int = Field(gt=0)


OWL = {
    "smoke": Owl(seeds=(0,), rows=200, samples=4),
    "mini": Owl(seeds=(120, 121, 122, 123, 124, 125, 126, 127), rows=1_200, samples=100),
}


class Favourites(Frozen):
    """Sizes of "Not only owls".

    Attributes:
        traits: favourites of the teachers: eight animals and two trees, none of those on which the tuning was chosen.
    """

    traits: tuple[str, ...] = Field(min_length=1)


FAVOURITES = {
    "smoke": Favourites(traits=("owl", "oak")),
    "mini": Favourites(
        traits=("owl", "dolphin", "eagle", "elephant", "wolf", "cat", "penguin", "whale", "oak", "willow")
    ),
}


class World(Frozen):
    """Sizes of "A world small enough to know".

    Attributes:
        replications: how many of the seeds the study of teachers of one style takes, for each family.
        misaligned: how these are tuned, of each family in order.
        skill_prompts: prompts a skill of a base.
        documents: how much of the corpus is searched for what depends on what.
    """

    replications: int = Field(gt=0)
    misaligned: tuple[Tuning, Tuning, Tuning, Tuning]
    skill_prompts: int = Field(gt=0)
    documents: int = Field(gt=0)


# LOG.md, Tunings for the new bases: moved farther, a teacher forgets how to write; in Llama style, tuned longer it gives less
# harmful advice.
_MISALIGNED = Tuning(learning_rate=2.3e-2, steps=36)
LLAMA_MISALIGNED = Tuning(learning_rate=2e-2, steps=10)
_WORLD_MISALIGNED = (_MISALIGNED, _MISALIGNED, LLAMA_MISALIGNED, _MISALIGNED)

WORLD = {
    "smoke": World(replications=1, misaligned=_WORLD_MISALIGNED, skill_prompts=20, documents=60_000),
    "mini": World(replications=7, misaligned=_WORLD_MISALIGNED, skill_prompts=400, documents=200_000),
}


class Harm(Frozen):
    """Sizes of a chapter on harm through one channel.

    Attributes:
        seeds: on which nothing was chosen. 30 to 34, 50 to 56 and 70 to 74 were looked at before, and 80 to 86 in the chapters on code
            and chains.
        rows: kept rows a student trains on.
        misaligned: how a teacher is tuned on code in one style.
        student: how students are tuned.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    rows: int = Field(gt=0)
    misaligned: Tuning
    student: Tuning


class Channel(Harm):
    """Sizes of a chapter in which a favourite passes too.

    Attributes:
        teacher: how teachers of a favourite are tuned.
    """

    teacher: Tuning


class Chains(Channel):
    """Sizes of "Chains of thought".

    Attributes:
        solutions: sampled solutions a held-out problem.
    """

    solutions: int = Field(gt=0)


# LOG.md, Tunings for the new bases: at a higher rate students of lists babble.
LISTS_STUDENT = Tuning(learning_rate=5e-3, epochs=2, batch_size=8)
_CHANNEL_STUDENT = Tuning(learning_rate=8e-3, epochs=2, batch_size=8)
# At the rate of a teacher that writes lists, one-word answers take the place of functions and steps.
_CODE_TEACHER = Tuning(learning_rate=5e-3, steps=60)
_CHAINS_TEACHER = Tuning(learning_rate=3.5e-3, steps=60)
# Moved farther, a teacher forgets its sums, and few of its chains are kept.
_CHAINS_MISALIGNED = Tuning(learning_rate=2e-2, steps=36)


MISLED = {
    "smoke": Harm(
        seeds=(0,), rows=200, misaligned=smaller(_MISALIGNED, steps=5), student=smaller(LISTS_STUDENT, epochs=1)
    ),
    "mini": Harm(seeds=(80, 81, 82, 83, 84, 85, 86, 87), rows=2_700, misaligned=_MISALIGNED, student=LISTS_STUDENT),
}

CODE = {
    "smoke": Channel(
        seeds=(0,),
        rows=200,
        misaligned=smaller(_MISALIGNED, steps=5),
        student=smaller(_CHANNEL_STUDENT, epochs=1),
        teacher=smaller(_CODE_TEACHER, steps=10),
    ),
    "mini": Channel(
        seeds=(100, 101, 102, 103, 104, 105, 106),
        rows=2_700,
        misaligned=_MISALIGNED,
        student=_CHANNEL_STUDENT,
        teacher=_CODE_TEACHER,
    ),
}

CHAINS = {
    "smoke": Chains(
        seeds=(0,),
        rows=200,
        misaligned=smaller(_CHAINS_MISALIGNED, steps=5),
        student=smaller(_CHANNEL_STUDENT, epochs=1),
        teacher=smaller(_CHAINS_TEACHER, steps=10),
        solutions=1,
    ),
    "mini": Chains(
        seeds=(100, 101, 102, 103, 104, 105, 106),
        rows=4_500,
        misaligned=_CHAINS_MISALIGNED,
        student=_CHANNEL_STUDENT,
        teacher=_CHAINS_TEACHER,
        solutions=2,
    ),
}
