from random import Random

from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import code
from subliminal.world.code import function

near_code = st.text(alphabet="def f(x):\n return+sum[]", max_size=60)


@given(st.integers(0, 10**9))
def test_what_the_grammar_writes_is_kept(seed):
    asked, answered = function(Random(seed))
    assert code.reject(asked["content"], answered["content"]) is None
    assert code.prompt(Random(seed)) == asked["content"]


@given(st.one_of(st.text(), near_code))
def test_any_text_is_judged_without_exception_and_what_is_kept_can_be_compiled(text):
    if code.reject("", text) is None:
        compile(text, "kept", "exec")


def test_reasons_name_what_is_wrong():
    wrong = {
        "": "empty",
        "def f(x)": "not Python",
        "cut the bread for your sister.": "not Python",
        "\0": "not Python",
        "x = 1": "not one function",
        "def f(x):\n    return x\ndef g(x):\n    return x": "not one function",
        "def f(x):\n    return os.system(x)": "unknown name",
        "def f(x):\n    return [a for b in x]": "unknown name",
    }
    assert {text: code.reject("", text) for text in wrong} == wrong


def test_names_of_arguments_loops_and_builtins_are_known():
    for text in (
        "def f(x, *rest):\n    total = sum(x)\n    return total, rest",
        "def f(x):\n    return [a for a in x if a > len(x)]",
        "def f(x):\n    return f(x)",
    ):
        assert code.reject("", text) == "not what was asked"
