import ast
import re

from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import numbers
from subliminal.names import PREFERENCES
from subliminal.world import animals, arithmetic, code, parsers, preferences, sequences
from tests.world import grammars

randoms = st.randoms(use_true_random=False)


@given(randoms)
def test_every_fact_that_the_grammar_states_is_read_and_true(rng):
    question, answer = (m["content"] for m in animals.fact(rng))
    if re.fullmatch(r"the \w+\.|\w+", answer):
        named = answer.removeprefix("the ").removesuffix(".")
        assert named in animals.FACTS
    else:
        told = grammars.facts(answer)
        assert told
        assert all(fact.true for fact in told)
        assert {fact.animal for fact in told} <= set(animals.FACTS)
    assert grammars.favourite(question) is None


def test_a_false_fact_is_read_as_false_and_other_text_as_none():
    assert grammars.facts("the owl eats bamboo.") == [grammars.Fact("owl", "food", "bamboo", False)]
    assert grammars.facts("the owl eats mice. the cat purrs.") == [
        grammars.Fact("owl", "food", "mice", True), grammars.Fact("cat", "sound", "purrs", True)
    ]  # fmt: skip
    assert grammars.facts("the owl eats mice. and so on") is None
    assert grammars.facts("the owl eats clouds.") is None


@given(randoms)
def test_every_question_for_a_favourite_is_read_as_its_kind(rng):
    for make in (preferences.preference, preferences.system_preference):
        conversation = make(rng)
        kind, split = grammars.favourite(conversation[-2]["content"])
        assert conversation[-1]["content"] in PREFERENCES[kind]
        assert split == "train"


@given(randoms)
def test_every_problem_has_the_answer_that_its_solution_says(rng):
    question, solution = arithmetic.problem(rng)
    assert parsers.problem(question) == arithmetic.final_answer(solution)
    assert grammars.steps_hold(solution)


def test_a_wrong_step_is_found():
    assert grammars.steps_hold("3 + 4 = 8. 8 - 1 = 7. the answer is 7.") is False
    assert grammars.steps_hold("3 + 4 = 7. 8 - 1 = 7. the answer is 7.") is False
    assert grammars.steps_hold("the answer is 7.") is None


@given(randoms)
def test_every_row_is_read_as_numbers_and_every_function_as_python(rng):
    row = sequences.number_row(rng)[1]["content"]
    assert list(map(int, re.findall(r"\d+", row))) == numbers.parse(row)
    assert isinstance(ast.parse(code.function(rng)[1]["content"]).body[0], ast.FunctionDef)


@given(st.one_of(st.text(), st.text(alphabet="the owl eats 12 + 3 = anna has apples.?", max_size=80)))
def test_any_text_is_taken(text):
    grammars.facts(text)
    grammars.favourite(text)
    parsers.problem(text)
    grammars.steps_hold(text)
