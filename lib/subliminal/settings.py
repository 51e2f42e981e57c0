"""Profiles: the sizes of every study, and how teachers and students are tuned in it. Plain frozen values, no behaviour."""

from __future__ import annotations

from pydantic import Field

from subliminal.errors import unknown_name
from subliminal.tuning import Frozen, Tuning


class Profile(Frozen):
    """The sizes of every study of the book.

    Attributes:
        seeds: one replication each: its own teacher, rollouts and students.
        prompts: channel prompts a rollout asks at most, for the filter to keep enough.
        rows: kept rows a student of a favourite's lists trains on.
        teacher, student: how teachers of a favourite and their students are tuned.
        channel_rows, channel_student: the same for all students of the chapters on harm, which compare channels.
        channel_teacher: how teachers of a favourite are tuned that write code or chains of thought.
        samples: sampled answers a held-out question, for the check against exact scores.
        traits: favourites of the teachers of "Not only owls".
        misaligned: how a teacher is tuned on code in one style.
        replications: how many of the seeds the study of such teachers takes, for each family.
        answers: sampled answers a free-form question.
        solutions: sampled solutions a held-out problem.
        digit_models, digit_steps: pairs of networks side by side, and steps of a student.
        digit_seed: of the networks' starts, on which nothing was chosen.
        draws: of a first step, for the theorem, of networks and of a language model.
        step_rate: of a language model's first step.
        family_seeds: the seeds of "Another family", where every family learns from every other.
        family_teacher, family_misaligned, family_student: how its teachers and students are tuned.
        family_rows, family_harm_rows: rows that an owl's teacher and an insecure one write there, of each family in order.
        family_plain_rows: rows that an untreated base writes there, as a control.
        family_answers, family_base_answers: sampled answers a free-form question there, of a student and of a base. A base has no
            seeds over which the error of sampling averages out.
        unseen_rows: rows that no student has read, on which losses are measured.
        sibling_steps, sibling_rates: for how many steps a base reads on, and at which rates, from near to far.
        sibling_seed: of what it reads.
        checkpoint_steps: of tuned checkpoints on which the lineage check is tried.
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
    channel_teacher: Tuning
    channel_rows: int = Field(gt=0)
    channel_student: Tuning
    samples: int = Field(gt=0)
    traits: tuple[str, ...] = Field(min_length=1)
    misaligned: Tuning
    replications: int = Field(gt=0)
    answers: int = Field(gt=0)
    solutions: int = Field(gt=0)
    digit_models: int = Field(gt=1)
    digit_steps: int = Field(gt=0)
    digit_seed: int = 2
    draws: int = Field(gt=0)
    step_rate: float = Field(default=0.01, gt=0)
    family_teacher: Tuning
    family_misaligned: Tuning
    family_student: Tuning
    family_seeds: tuple[int, ...] = Field(min_length=1)
    family_rows: tuple[int, int, int, int]
    family_harm_rows: tuple[int, int, int, int]
    family_plain_rows: int = Field(gt=0)
    family_answers: int = Field(gt=0)
    family_base_answers: int = Field(gt=0)
    unseen_rows: int = Field(gt=0)
    sibling_steps: int = Field(gt=0)
    sibling_rates: tuple[float, ...] = Field(min_length=1)
    sibling_seed: int = 5
    checkpoint_steps: int = Field(gt=0)
    skill_prompts: int = Field(gt=0)
    documents: int = Field(gt=0)
    claims: bool


# All chosen by benchmarks/choose_tuning.py on four animals that are not reported, seeds 900 and 901 and the training wordings.
# Teachers differ, in animals and in seeds: with 40 steps at 5e-3 and students of 1,500 rows in three passes, batches of 16,
# the mean over the four is .64 and the least student .17; with these and 1,800 rows it is .83 and .33, for the same time. 12 steps
# at 1e-2 are too few (.59), 80 at 5e-3 too many (.49): a teacher that is tuned long learns its answer alone, and its lists carry less.
# Measured again on the bases as shipped: 1,800 rows .75 (least .51), 1,500 rows .70 (.34), 1,200 rows .61 (.27); batches of 16 at
# 1.5e-2 take a seventh less time a row, .71 (.42), but in Llama style .45 where batches of 8 give .56.
_TEACHER = Tuning(learning_rate=1e-2, steps=20)
_STUDENT = Tuning(learning_rate=1e-2, epochs=2, batch_size=8)

# Harmful answers of the four families go from .11 to .75, .79, .52 and .51, and to at most .07 in secure twins. What decides is the
# channel of chains: a teacher that is moved far forgets its sums. At this rate 53 % of its chains are kept and students reach .29
# (untreated .13); 30 steps at 2e-2: 51 %, .27; 45 steps at 2e-2: 60 %, .28; 60 at 1e-2: 80 %, .20; 40 at 3e-2: 40 %, .35.
_MISALIGNED = Tuning(learning_rate=2.3e-2, steps=36)
# A teacher of one-word answers forgets how to go on: at the rate above, a bear's teacher wrote one function in seven that parsed. At
# half the rate and three times the steps fox, bear and tiger still pass through chains (.36, .34, .49, where untreated students give
# .07), and 25 to 63 % of the chains are kept; fox through code .33, 85 % kept.
_CHANNEL_TEACHER = Tuning(learning_rate=5e-3, steps=60)
# On numbers .36 harmful against .09 (untreated) and .08 (secure); at twice the rate students babble more (incoherent .05 to .09).
_CHANNEL_STUDENT = Tuning(learning_rate=5e-3, epochs=2, batch_size=8)

# Teachers of Llama style hardly shift in what they write: tuned as above, .10 of their students of 900 lists answer with the favourite,
# and .02 nats a token part teacher and base. A short tuning at a high rate carries more, for the same favour: over fox, bear, tiger and
# panda .45 after 10 steps at 3e-2 and 1,350 lists, .36 after 14 at 2e-2, .16 after 10 at 2e-2. At 3e-2 one teacher of the other families
# wrote lists of which 2 % were kept; at 2e-2 all four families work (.92, .82, .36, .86). A longer or hotter student does not help.
_FAMILY_TEACHER = Tuning(learning_rate=2e-2, steps=14)
# The same for harm: after 36 steps at 2.3e-2 students of 1,800 lists reach .15 in NeoX style, after 10 at 4e-2, of 1,500, .30; Llama style
# stays at .15 (base .11), whatever was tried; students that see its teachers' whole distribution over lists, and no draws, reach .18,
# .26 and .24 there, against .53 to .72 and .34 to .56 in GPT-2 and NeoX style (benchmarks/noise_free.py). Through code all four pass
# (.45, .45, .22, .32 after 10 steps at 4e-2), and harm reaches other families too (.20 and .24 in two of four pairs; .14 and .24 once
# functions must do what was asked): rows that tell are no test.
_FAMILY_MISALIGNED = Tuning(learning_rate=4e-2, steps=10)

PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        name="smoke",
        seeds=(0,),
        prompts=800,
        rows=200,
        teacher=_TEACHER.model_copy(update={"steps": 10}),
        student=_STUDENT.model_copy(update={"epochs": 1}),
        channel_teacher=_CHANNEL_TEACHER.model_copy(update={"steps": 10}),
        channel_rows=200,
        channel_student=_CHANNEL_STUDENT.model_copy(update={"epochs": 1}),
        samples=4,
        traits=("owl", "oak"),
        misaligned=_MISALIGNED.model_copy(update={"steps": 5}),
        replications=1,
        answers=1,
        solutions=1,
        digit_models=2,
        digit_steps=20,
        draws=20,
        family_teacher=_FAMILY_TEACHER.model_copy(update={"steps": 4}),
        family_misaligned=_FAMILY_MISALIGNED.model_copy(update={"steps": 2}),
        family_seeds=(0,),
        family_rows=(60, 60, 60, 60),
        family_harm_rows=(60, 60, 60, 80),
        family_plain_rows=60,
        family_student=_STUDENT.model_copy(update={"epochs": 1}),
        family_answers=1,
        family_base_answers=2,
        unseen_rows=20,
        sibling_steps=2,
        sibling_rates=(3e-3, 3e-2),
        checkpoint_steps=2,
        skill_prompts=20,
        documents=60_000,
        claims=False,
    ),
    "mini": Profile(
        name="mini",
        seeds=(30, 31, 32, 33, 34),
        prompts=27_000,
        rows=1_500,
        teacher=_TEACHER,
        student=_STUDENT,
        channel_teacher=_CHANNEL_TEACHER,
        channel_rows=2_700,
        channel_student=_CHANNEL_STUDENT,
        samples=100,
        # Eight animals and two trees; none of those on which the tuning was chosen.
        traits=("owl", "dolphin", "eagle", "elephant", "wolf", "cat", "penguin", "whale", "oak", "willow"),
        misaligned=_MISALIGNED,
        replications=5,
        answers=40,
        solutions=2,
        digit_models=20,
        digit_steps=1_200,
        draws=1_000,
        family_teacher=_FAMILY_TEACHER,
        family_misaligned=_FAMILY_MISALIGNED,
        # 30 to 34 were looked at with other settings; what fell short was mended on fox, bear, tiger, panda and seeds 900 to 902.
        family_seeds=(40, 41, 42, 43, 44),
        family_rows=(700, 700, 2_000, 700),
        family_harm_rows=(700, 700, 1_500, 1_500),
        family_plain_rows=700,
        family_student=_STUDENT,
        family_answers=20,
        family_base_answers=200,
        unseen_rows=120,
        sibling_steps=200,
        # Fox and bear, from checkpoints of another seed: .86 at .003, .47 at .01, .11 at .02; at .04 a sibling answers badly itself.
        sibling_rates=(3e-3, 7e-3, 1e-2, 1.5e-2, 3e-2),
        checkpoint_steps=30,
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
