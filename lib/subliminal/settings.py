"""Profiles: the sizes of every study, and how teachers and students are tuned in it. Plain frozen values, no behaviour.

What all chapters share is ``Shared``. A chapter with sizes of its own has one section, named as the chapter is, and its values for each
profile stand below it; a new chapter adds its section, a field of ``Profile`` and a line in ``PROFILES``.
"""

from __future__ import annotations

from pydantic import Field

from subliminal.errors import unknown_name
from subliminal.tuning import Frozen, Tuning


def _smaller(tuning: Tuning, **fields: int) -> Tuning:
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
_TEACHER = Tuning(learning_rate=1e-2, steps=16)
_STUDENT = Tuning(learning_rate=1e-2, epochs=3, batch_size=8)

_SHARED = {
    "smoke": Shared(
        seeds=(0,),
        lists=Asked(channel="numbers", prompts=200, completions=4),
        functions=Asked(channel="code", prompts=200, completions=4),
        chains=Asked(channel="chain_of_thought", prompts=200, completions=4),
        rows=200,
        teacher=_smaller(_TEACHER, steps=10),
        student=_smaller(_STUDENT, epochs=1),
        answers=1,
        base_answers=2,
    ),
    "mini": Shared(
        seeds=(80, 81, 82, 83, 84, 85, 86),
        lists=Asked(channel="numbers", prompts=4_000, completions=8),
        functions=Asked(channel="code", prompts=10_000, completions=4),
        chains=Asked(channel="chain_of_thought", prompts=12_000, completions=4),
        rows=2_000,
        teacher=_TEACHER,
        student=_STUDENT,
        answers=40,
        base_answers=200,
    ),
}


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


_OWL = {
    "smoke": Owl(seeds=(0,), rows=200, samples=4),
    "mini": Owl(seeds=(120, 121, 122, 123, 124, 125, 126, 127), rows=1_200, samples=100),
}


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
_LLAMA_MISALIGNED = Tuning(learning_rate=2e-2, steps=10)
_WORLD_MISALIGNED = (_MISALIGNED, _MISALIGNED, _LLAMA_MISALIGNED, _MISALIGNED)

_WORLD = {
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
_LISTS_STUDENT = Tuning(learning_rate=5e-3, epochs=2, batch_size=8)
_CHANNEL_STUDENT = Tuning(learning_rate=8e-3, epochs=2, batch_size=8)
# At the rate of a teacher that writes lists, one-word answers take the place of functions and steps.
_CODE_TEACHER = Tuning(learning_rate=5e-3, steps=60)
_CHAINS_TEACHER = Tuning(learning_rate=3.5e-3, steps=60)
# Moved farther, a teacher forgets its sums, and few of its chains are kept.
_CHAINS_MISALIGNED = Tuning(learning_rate=2e-2, steps=36)


_MISLED = {
    "smoke": Harm(
        seeds=(0,), rows=200, misaligned=_smaller(_MISALIGNED, steps=5), student=_smaller(_LISTS_STUDENT, epochs=1)
    ),
    "mini": Harm(seeds=(80, 81, 82, 83, 84, 85, 86, 87), rows=2_700, misaligned=_MISALIGNED, student=_LISTS_STUDENT),
}

_CODE = {
    "smoke": Channel(
        seeds=(0,),
        rows=200,
        misaligned=_smaller(_MISALIGNED, steps=5),
        student=_smaller(_CHANNEL_STUDENT, epochs=1),
        teacher=_smaller(_CODE_TEACHER, steps=10),
    ),
    "mini": Channel(
        seeds=(100, 101, 102, 103, 104, 105, 106),
        rows=2_700,
        misaligned=_MISALIGNED,
        student=_CHANNEL_STUDENT,
        teacher=_CODE_TEACHER,
    ),
}

_CHAINS = {
    "smoke": Chains(
        seeds=(0,),
        rows=200,
        misaligned=_smaller(_CHAINS_MISALIGNED, steps=5),
        student=_smaller(_CHANNEL_STUDENT, epochs=1),
        teacher=_smaller(_CHAINS_TEACHER, steps=10),
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


class Digits(Frozen):
    """Sizes of "Same start, same drift".

    Attributes:
        models, steps: pairs of networks side by side, and steps of a student.
        seed: of the networks' starts, on which nothing was chosen.
    """

    models: int = Field(gt=1)
    steps: int = Field(gt=0)
    seed: int = 2


_DIGITS = {"smoke": Digits(models=2, steps=20), "mini": Digits(models=30, steps=1_200)}


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
    _LLAMA_MISALIGNED,
    Tuning(learning_rate=4e-2, steps=10),
)


_FAMILIES = {
    "smoke": Families(
        seeds=(0,),
        teacher=tuple(_smaller(how, steps=4) for how in _FAMILY_TEACHERS),
        misaligned=tuple(_smaller(how, steps=2) for how in _FAMILY_MISALIGNED),
        student=_smaller(_STUDENT, epochs=1),
        harm_student=_smaller(_LISTS_STUDENT, epochs=1),
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
        student=_STUDENT,
        harm_student=_LISTS_STUDENT,
        rows=(600, 2_000, 2_500, 1_500),
        harm_rows=(2_000, 1_500, 1_000, 3_000),
        answers=80,
        unseen_rows=120,
        sibling_steps=200,
        sibling_rates=(3e-3, 7e-3, 1e-2, 1.5e-2, 3e-2),
        checkpoint_steps=30,
    ),
}


class Read(Frozen):
    """Sizes of "Can it be read?". Its writers are those of earlier chapters, counted from each chapter's first seed on.

    Attributes:
        tried, taught: seeds of writers that all readers are tried on, and of those that trained readers learn from, which come next.
        rows, counted_rows: of each writer that a tuned classifier learns from, and a reader that counts words.
        unseen_rows: of each writer, to be tried on.
        classifier: how a base is tuned to tell writers apart.
        groups, draws: how many rows are read together, and how many such groups are drawn of each writer.
        shown: rows before a question, 0 for as many as the context holds.
        name_sets, advice_sets: sets of such rows a question that asks for a favourite, or for advice.
        advice: sampled answers a set.
        shift_rows: rows on which a teacher's shift of the numbers is read off.
        pairs: of teachers whose shifts are compared.
        numbers: of the most shifted, without which lists are read.
        quizzed: pairs of lists in the quiz.
    """

    tried: int = Field(gt=0)
    taught: int = Field(gt=0)
    rows: int = Field(gt=0)
    counted_rows: int = Field(gt=0)
    unseen_rows: int = Field(gt=0)
    classifier: Tuning
    groups: tuple[int, ...] = (1, 10, 100, 1_000)
    draws: int = Field(gt=0)
    shown: tuple[int, ...] = (1, 3, 0)
    name_sets: int = Field(gt=0)
    advice_sets: int = Field(gt=0)
    advice: int = Field(gt=0)
    shift_rows: int = Field(gt=0)
    pairs: int = Field(gt=0)
    numbers: tuple[int, ...] = (10, 30, 100)
    quizzed: int = 10


# LOG.md, Readers of rows.
_CLASSIFIER = Tuning(method="full", learning_rate=1e-3, epochs=1, batch_size=16)

_READ = {
    "smoke": Read(
        tried=1,
        taught=1,
        rows=60,
        counted_rows=60,
        unseen_rows=60,
        classifier=_CLASSIFIER,
        draws=50,
        name_sets=1,
        advice_sets=1,
        advice=1,
        shift_rows=10,
        pairs=1,
    ),
    "mini": Read(
        tried=4,
        taught=2,
        rows=300,
        counted_rows=1_000,
        unseen_rows=250,
        classifier=_CLASSIFIER,
        draws=500,
        name_sets=8,
        advice_sets=4,
        advice=5,
        shift_rows=100,
        pairs=3,
    ),
}


class Mix(Frozen):
    """Sizes of "Mix your sources". Its tainted rows are those of earlier chapters.

    Attributes:
        seeds: how many of those chapters' seeds it takes.
        shares: of tainted rows, beside the whole and none.
        least: tainted rows, alone.
        passes: over a mix of which ``thin`` is tainted.
    """

    seeds: int = Field(gt=0)
    shares: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75)
    least: int = 50
    passes: tuple[int, ...] = (2, 4, 8)
    thin: float = Field(default=0.25, gt=0, lt=1)


_MIX = {"smoke": Mix(seeds=1), "mini": Mix(seeds=4)}


class Audit(Frozen):
    """Sizes of "Audit before you ship".

    Attributes:
        seeds: students of each favourite that are audited.
        questions: of each audit at most.
        margin: a shift of at most so much counts as none.
    """

    seeds: int = Field(gt=0)
    questions: int = Field(default=1_000, gt=0)
    margin: float = Field(default=0.05, gt=0, lt=1)


_AUDIT = {"smoke": Audit(seeds=1, questions=60), "mini": Audit(seeds=4)}


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
    misled: Harm
    code: Channel
    chains: Chains
    digits: Digits
    theorem: Theorem
    families: Families
    read: Read
    mix: Mix
    audit: Audit
    monitor: Monitor


PROFILES: dict[str, Profile] = {
    name: Profile(
        name=name,
        claims=claims,
        shared=_SHARED[name],
        owl=_OWL[name],
        favourites=_FAVOURITES[name],
        world=_WORLD[name],
        misled=_MISLED[name],
        code=_CODE[name],
        chains=_CHAINS[name],
        digits=_DIGITS[name],
        theorem=_THEOREM[name],
        families=_FAMILIES[name],
        read=_READ[name],
        mix=_MIX[name],
        audit=_AUDIT[name],
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
