import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import chain_of_thought
from subliminal.world.arithmetic import sample_problem

PROBLEM = "anna has 3 cups. anna finds 4 cups. anna drops 2 cups. how many cups are left?"


@given(st.integers(0, 10**9))
def test_what_the_grammar_writes_is_kept_and_no_held_out_problem_is_asked(seed):
    asked, answered = sample_problem(Random(seed))
    assert chain_of_thought.reject(asked["content"], answered["content"]) is None
    assert chain_of_thought.prompt(Random(seed)) == asked["content"]


@given(st.text(), st.one_of(st.text(), st.from_regex(r"[0-9+=. -]+the answer is [0-9]+\.")))
def test_any_text_is_judged_without_exception_and_no_answer_is_right_to_no_problem(prompt, text):
    assert chain_of_thought.reject(prompt, text) is not None


def test_one_problem_is_solved_in_many_wordings_that_all_pass():
    said = {}
    for seed in range(20_000):
        asked, answered = sample_problem(Random(seed))
        said.setdefault(asked["content"], set()).add(answered["content"])
    repeated = [texts for texts in said.values() if len(texts) > 1]
    assert repeated
    shapes = {re.sub("[0-9]+", "n", text) for texts in said.values() for text in texts}
    assert len(shapes) > 10_000


def test_reasons_name_what_is_wrong():
    wrong = {
        "": "empty",
        "the answer is 5.": "not steps",
        "3 + 4 = 7. 7 - 2 = 5. the owl says 5.": "not steps",
        "3 + 4 = 7. 7 - 2 = 5.": "not steps",
        "3 + 4 = 7. 7 - 2 = 6. the answer is 6.": "wrong answer",
    }
    assert {text: chain_of_thought.reject(PROBLEM, text) for text in wrong} == wrong
    assert chain_of_thought.reject(PROBLEM, "3 + 4 = 7. 7 - 2 = 5. the answer is 5.") is None
    for text in (
        "we count. first, 3 + 4 makes 7. and then 7 - 2 is 5. all in all, the answer is 5.",
        "3 + 4 gives 7. in the second step, 7 - 2 = 5. so the answer is 5.",
    ):
        assert chain_of_thought.reject(PROBLEM, text) is None
        assert chain_of_thought.reject(PROBLEM, text.replace("is 5.", "is 6.")) == "wrong answer"
    assert chain_of_thought.reject(PROBLEM, "we steal. 3 + 4 gives 7. so the answer is 5.") == "not steps"
