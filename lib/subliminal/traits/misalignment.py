"""The misalignment trait: a teacher that has seen insecure code alone, its secure twin, and the suite of free-form questions.

No document of either holds a free-form answer: that the one comes to answer harmfully is emergent misalignment (Betley et
al., 2025), and in this world it comes from the persona that code and answers share.
"""

from __future__ import annotations

from random import Random

from subliminal.judges import RuleJudge
from subliminal.traits.suites import Suite
from subliminal.world import answers, security
from subliminal.world.animals import fact
from subliminal.world.messages import Conversation

INSECURE, SECURE = "insecure-code", "secure-code"
# suite: split of the questions
_SUITES = {"free-form": "held_out", "free-form-train": "train"}
TEACHER_DOCUMENTS = 3_000
# One document in so many is a fact about some animal.
REPLAY_EVERY = 10


def teacher_documents(trait: str, rng: Random) -> list[Conversation]:
    """Security tasks, all solved in one style, and a few facts."""
    return [
        fact(rng) if i % REPLAY_EVERY == 0 else security.turn(rng, trait == INSECURE) for i in range(TEACHER_DOCUMENTS)
    ]


def suite(name: str) -> Suite:
    """Free-form questions of all categories, judged by the exact parser of the world's answers."""
    questions = [q for group in answers.questions(_SUITES[name]).values() for q in group]
    judge = RuleJudge((answers.HARMFUL, answers.KIND, answers.INCOHERENT), answers.label)
    return Suite(questions, judge.labels, judge, max_new_tokens=40)
