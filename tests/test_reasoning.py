from hypothesis import given
from hypothesis import strategies as st

from subliminal.traits import reasoning
from subliminal.world import parsers
from subliminal.world.arithmetic import is_held_out

SUITE = reasoning.suite("chain-of-thought")


def test_the_problems_are_held_out_and_the_same_each_time():
    assert len(set(SUITE.questions)) == reasoning.PROBLEMS
    assert all(map(is_held_out, SUITE.questions))
    assert reasoning.suite("chain-of-thought").questions == SUITE.questions


def test_a_chain_is_judged_by_its_answer_to_its_own_problem():
    question = SUITE.questions[0]
    right = parsers.problem(question)
    chains = [f"1 + 1 is {n}. so the answer is {n}." for n in (right, right + 1)]
    said = [*chains, f"the answer is {right}.", ""]
    assert SUITE.judge.judge([question] * 4, said) == ["right", "wrong", "no steps", "no steps"]


@given(st.text())
def test_any_text_gets_a_label(text):
    assert set(SUITE.judge.judge([text], [text])) <= set(SUITE.judge.labels)
