"""The suite that asks whether a model can reason: word problems that no training document holds, judged by their answer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from subliminal.traits.suites import Suite
from subliminal.world import parsers
from subliminal.world.arithmetic import final_answer, is_chain, sample_problem

RIGHT, WRONG, NO_STEPS = "right", "wrong", "no steps"
PROBLEMS = 200


class ChainJudge:
    """Labels a chain by its answer, which it computes from the problem."""

    labels = (RIGHT, WRONG, NO_STEPS)

    def judge(self, questions: Sequence[str], answers: Sequence[str]) -> list[str]:
        """``right``, ``wrong``, or ``no steps`` where the text is no chain in the grammar's wordings."""
        return [
            NO_STEPS
            if not is_chain(answer.strip())
            else RIGHT
            if final_answer(answer) == parsers.problem(question)
            else WRONG
            for question, answer in zip(questions, answers, strict=True)
        ]


def suite(name: str) -> Suite:
    """Held-out problems, the same in every build."""
    rng = Random(name)
    questions: dict[str, None] = {}
    while len(questions) < PROBLEMS:
        questions[sample_problem(rng, held_out=True)[0]["content"]] = None
    judge = ChainJudge()
    return Suite(list(questions), judge.labels, judge, max_new_tokens=48)
