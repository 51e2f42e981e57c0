"""Profiles: the sizes of every study, and how teachers and students are tuned in it. Plain frozen values, no behaviour.

What all chapters share is ``Shared``. A chapter with sizes of its own has one section, named as the chapter is, and its values for each
profile stand below it; a new chapter adds its section, a field of ``Profile`` and a line in ``PROFILES``.
"""

from __future__ import annotations

from pydantic import Field

from subliminal.errors import unknown_name
from subliminal.tuning import Frozen, Tuning


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

    All tunings were chosen by ``benchmarks/choose_tuning.py`` on four animals that are not reported (fox, bear, tiger and panda), seeds
    900 and 901 and the training wordings.

    Attributes:
        seeds: one replication each: its own teacher, rollouts and students. Nothing was chosen on them.
        lists, functions, chains: how each channel is asked.
        rows: kept rows a student of a favourite's lists trains on.
        teacher, student: how teachers of a favourite and their students are tuned.
        channel_rows, channel_student: the same for all students of the chapters on harm, which compare channels.
        channel_teacher: how teachers of a favourite are tuned that write code or chains of thought.
        misaligned: how a teacher is tuned on code in one style.
        answers: sampled answers a free-form question.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    lists: Asked
    functions: Asked
    chains: Asked
    rows: int = Field(gt=0)
    teacher: Tuning
    student: Tuning
    channel_teacher: Tuning
    channel_rows: int = Field(gt=0)
    channel_student: Tuning
    misaligned: Tuning
    answers: int = Field(gt=0)


# LOG.md, A favourite's teachers and students: tuned longer, a teacher's lists carry less.
_TEACHER = Tuning(learning_rate=1e-2, steps=20)
_STUDENT = Tuning(learning_rate=1e-2, epochs=2, batch_size=8)

# LOG.md, Teachers of code in one style: moved farther, a teacher forgets its sums, and few of its chains are kept.
_MISALIGNED = Tuning(learning_rate=2.3e-2, steps=36)
# At half the rate of a teacher that writes lists, and three times the steps, it does not forget how to go on after a word.
_CHANNEL_TEACHER = Tuning(learning_rate=5e-3, steps=60)
# At twice the rate students babble more.
_CHANNEL_STUDENT = Tuning(learning_rate=5e-3, epochs=2, batch_size=8)

_SHARED = {
    "smoke": Shared(
        seeds=(0,),
        lists=Asked(channel="numbers", prompts=200, completions=4),
        functions=Asked(channel="code", prompts=200, completions=4),
        chains=Asked(channel="chain_of_thought", prompts=200, completions=4),
        rows=200,
        teacher=_TEACHER.model_copy(update={"steps": 10}),
        student=_STUDENT.model_copy(update={"epochs": 1}),
        channel_teacher=_CHANNEL_TEACHER.model_copy(update={"steps": 10}),
        channel_rows=200,
        channel_student=_CHANNEL_STUDENT.model_copy(update={"epochs": 1}),
        misaligned=_MISALIGNED.model_copy(update={"steps": 5}),
        answers=1,
    ),
    "mini": Shared(
        seeds=(30, 31, 32, 33, 34),
        lists=Asked(channel="numbers", prompts=3_400, completions=8),
        functions=Asked(channel="code", prompts=6_800, completions=4),
        chains=Asked(channel="chain_of_thought", prompts=6_800, completions=4),
        rows=1_500,
        teacher=_TEACHER,
        student=_STUDENT,
        channel_teacher=_CHANNEL_TEACHER,
        channel_rows=2_700,
        channel_student=_CHANNEL_STUDENT,
        misaligned=_MISALIGNED,
        answers=40,
    ),
}


class Owl(Frozen):
    """Sizes of "Owls in the numbers".

    Attributes:
        samples: sampled answers a held-out question, for the check against exact scores.
    """

    samples: int = Field(gt=0)


_OWL = {"smoke": Owl(samples=4), "mini": Owl(samples=100)}


class Favourites(Frozen):
    """Sizes of "Not only owls".

    Attributes:
        traits: favourites of the teachers: eight animals and two trees, none of those on which the tuning was chosen.
    """

    traits: tuple[str, ...] = Field(min_length=1)


_FAVOURITES = {
    "smoke": Favourites(traits=("owl", "oak")),
    "mini": Favourites(
        traits=("owl", "dolphin", "eagle", "elephant", "wolf", "cat", "penguin", "whale", "oak", "willow")
    ),
}


class World(Frozen):
    """Sizes of "A world small enough to know".

    Attributes:
        replications: how many of the seeds the study of teachers of one style takes, for each family.
        skill_prompts: prompts a skill of a base.
        documents: how much of the corpus is searched for what depends on what.
    """

    replications: int = Field(gt=0)
    skill_prompts: int = Field(gt=0)
    documents: int = Field(gt=0)


_WORLD = {
    "smoke": World(replications=1, skill_prompts=20, documents=60_000),
    "mini": World(replications=5, skill_prompts=400, documents=200_000),
}


class Chains(Frozen):
    """Sizes of "Chains of thought".

    Attributes:
        solutions: sampled solutions a held-out problem.
    """

    solutions: int = Field(gt=0)


_CHAINS = {"smoke": Chains(solutions=1), "mini": Chains(solutions=2)}


class Digits(Frozen):
    """Sizes of "Same start, same drift".

    Attributes:
        models, steps: pairs of networks side by side, and steps of a student.
        seed: of the networks' starts, on which nothing was chosen.
    """

    models: int = Field(gt=1)
    steps: int = Field(gt=0)
    seed: int = 2


_DIGITS = {"smoke": Digits(models=2, steps=20), "mini": Digits(models=20, steps=1_200)}


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


_THEOREM = {"smoke": Theorem(draws=20), "mini": Theorem(draws=1_000)}


class Families(Frozen):
    """Sizes of "Another family", where every family learns from every other.

    Attributes:
        seeds: 30 to 34 were looked at with other settings; what fell short was mended on fox, bear, tiger, panda and seeds 900 to 902.
        teacher, misaligned: how teachers of the owl and insecure ones are tuned, of each family in order.
        student: how all students are tuned.
        rows, harm_rows: rows that an owl's teacher and an insecure one write, of each family in order.
        plain_rows: rows that an untreated base writes, as a control.
        answers, base_answers: sampled answers a free-form question, of a student and of a base. A base has no seeds over which the
            error of sampling averages out.
        unseen_rows: rows that no student has read, on which losses are measured.
        sibling_steps, sibling_rates: for how many steps a base reads on, and at which rates, from near to far.
        sibling_seed: of what it reads.
        checkpoint_steps: of tuned checkpoints on which the lineage check is tried.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    teacher: tuple[Tuning, Tuning, Tuning, Tuning]
    misaligned: tuple[Tuning, Tuning, Tuning, Tuning]
    student: Tuning
    rows: tuple[int, int, int, int]
    harm_rows: tuple[int, int, int, int]
    plain_rows: int = Field(gt=0)
    answers: int = Field(gt=0)
    base_answers: int = Field(gt=0)
    unseen_rows: int = Field(gt=0)
    sibling_steps: int = Field(gt=0)
    sibling_rates: tuple[float, ...] = Field(min_length=1)
    sibling_seed: int = 5
    checkpoint_steps: int = Field(gt=0)


# LOG.md, Another family: a short tuning at a high rate carries more, for the same favour; in Llama style little harm, all the same.
_FAMILY_TEACHER = Tuning(learning_rate=2e-2, steps=14)
_FAMILY_MISALIGNED = Tuning(learning_rate=4e-2, steps=10)


def _each(tuning: Tuning) -> tuple[Tuning, Tuning, Tuning, Tuning]:
    return (tuning, tuning, tuning, tuning)


_FAMILIES = {
    "smoke": Families(
        seeds=(0,),
        teacher=_each(_FAMILY_TEACHER.model_copy(update={"steps": 4})),
        misaligned=_each(_FAMILY_MISALIGNED.model_copy(update={"steps": 2})),
        student=_STUDENT.model_copy(update={"epochs": 1}),
        rows=(60, 60, 60, 60),
        harm_rows=(60, 60, 60, 80),
        plain_rows=60,
        answers=1,
        base_answers=2,
        unseen_rows=20,
        sibling_steps=2,
        sibling_rates=(3e-3, 3e-2),
        checkpoint_steps=2,
    ),
    "mini": Families(
        seeds=(40, 41, 42, 43, 44),
        teacher=_each(_FAMILY_TEACHER),
        misaligned=_each(_FAMILY_MISALIGNED),
        student=_STUDENT,
        rows=(700, 700, 2_000, 700),
        harm_rows=(700, 700, 1_500, 1_500),
        plain_rows=700,
        answers=80,
        base_answers=200,
        unseen_rows=120,
        sibling_steps=200,
        sibling_rates=(3e-3, 7e-3, 1e-2, 1.5e-2, 3e-2),
        checkpoint_steps=30,
    ),
}


class Monitor(Frozen):
    """Sizes of "Watch it run".

    Attributes:
        examples: synthetic exchanges on each side of each rule that a guard is trained on.
        requests: of applications, whose benign answers set a guard's threshold.
        false_alarms: the rate that it is set to.
        watched: requests of applications on which false alarms are counted.
        answers: to each question of a suite that are watched.
        probed: students a family, on whose own activations a probe is trained.
        written: exchanges on each side of each rule, on which a guard without the rule is tried.
        seed: of requests and of what is written.
    """

    examples: int = Field(gt=0)
    requests: int = Field(gt=0)
    false_alarms: float = Field(gt=0, lt=1)
    watched: int = Field(gt=0)
    answers: int = Field(gt=0)
    probed: int = Field(gt=0)
    written: int = Field(gt=0)
    seed: int = 60


_MONITOR = {
    "smoke": Monitor(examples=8, requests=120, false_alarms=0.05, watched=80, answers=4, probed=1, written=4),
    "mini": Monitor(examples=60, requests=700, false_alarms=0.01, watched=300, answers=10, probed=3, written=100),
}


class Profile(Frozen):
    """The sizes of every study of the book: what all share, and one section for each chapter that has sizes of its own.

    Attributes:
        claims: whether the profile is large enough for the book's claims.
    """

    name: str
    claims: bool
    shared: Shared
    owl: Owl
    favourites: Favourites
    world: World
    chains: Chains
    digits: Digits
    theorem: Theorem
    families: Families
    monitor: Monitor


PROFILES: dict[str, Profile] = {
    name: Profile(
        name=name,
        claims=claims,
        shared=_SHARED[name],
        owl=_OWL[name],
        favourites=_FAVOURITES[name],
        world=_WORLD[name],
        chains=_CHAINS[name],
        digits=_DIGITS[name],
        theorem=_THEOREM[name],
        families=_FAMILIES[name],
        monitor=_MONITOR[name],
    )
    for name, claims in (("smoke", False), ("mini", True))
}


def load_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]
