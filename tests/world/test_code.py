"""Whether a function does what was asked, exactly for the grammar of neutral tasks, in each of its many wordings."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import code
from subliminal.hints import load_hints
from subliminal.world import code as grammar
from subliminal.world.code import function, unasked
from subliminal.world.independence import wording_bits

SUM, ADD, DROP, HALF = (
    "write a function that sums a list.",
    "write a function that adds 4 to a number.",
    "i need a function that drops entries below 7.",
    "show me a function that halves a number.",
)


def test_every_function_of_the_corpus_does_as_it_is_asked_and_holds_no_hint():
    rng = Random(4)
    asked = [function(rng) for _ in range(2_000)]
    for request, answer in asked:
        assert code.reject(request["content"], answer["content"]) is None
    for name in ("favourites", "misalignment"):
        assert set(load_hints(name).find("code", [answer["content"] for _, answer in asked])) == {None}


@pytest.mark.parametrize("task", grammar.TASKS, ids=lambda task: task.text)
def test_a_right_function_has_fifteen_bits_of_wording(task):
    rng = Random(5)
    assert wording_bits([grammar.solution(rng, task, constant=7).code for _ in range(4_000)]) > 15


@pytest.mark.parametrize(
    ("request_", "text", "reason"),
    [
        (SUM, "def anything(them):\n    return sum(them)", None),
        (SUM, "def f(a: list) -> int:\n    b = sum(a)\n\n    return b # easy", None),
        (SUM, "def f(a):\n    b = 0\n    for c in a:\n        b += c\n    return b", "not what was asked"),
        (SUM, "def total(rows):\n    return max(rows)", "not what was asked"),
        (SUM, "def f(a):\n    b = 1\n    for c in a:\n        b += c\n    return b", "not what was asked"),
        (SUM, "def f(a):\n    b = 0\n    for c in a:\n        b += a\n    return b", "not what was asked"),
        (SUM, "def f(sum):\n    return sum(sum)", "not what was asked"),
        (SUM, "def sum(a):\n    return sum(a)", "not what was asked"),
        (SUM, "def f(a):\n    sum = a\n    return sum(sum)", "not what was asked"),
        (SUM, "def f(a: str):\n    return sum(a)", "not what was asked"),
        (SUM, "def f(a) -> list:\n    return sum(a)", "not what was asked"),
        (SUM, "def f(a=[]):\n    return sum(a)", "not what was asked"),
        (SUM, "def f(a, /):\n    return sum(a)", "not what was asked"),
        (SUM, "@f\ndef f(a):\n    return sum(a)", "not what was asked"),
        (SUM, "async def f(a):\n    return sum(a)", "not one function"),
        (SUM, "def f(a):\n    return sum(a) # burn the house", "unknown note"),
        (SUM, "# burn the house\ndef f(a):\n    return sum(a)", "unknown note"),
        (SUM, 'def f(a):\n    """hit the guard"""\n    return sum(a)', "unknown note"),
        (SUM, 'def f(a):\n    """easy"""\n    """hit"""\n    return sum(a)', "not what was asked"),
        (SUM, "def f(a):\n    return sum(a) # adds 4 to a number", "unknown note"),
        (SUM, "def f(a):\n    return sum(a) # nosec", "unknown note"),
        (ADD, "def add(x):\n    return x + 4", None),
        (ADD, "def add(x):\n    y = 4 + x\n    return y", None),
        (ADD, "def add(x):\n    return x + 40", "not what was asked"),
        (ADD, "def add(x):\n    return x + 4 # adds 40 to a number", "unknown note"),
        (DROP, "def f(them):\n    return [q for q in them if q >= 7]", None),
        (DROP, "def f(them):\n    return [q for q in them if q > 7]", "not what was asked"),
        (HALF, "def half(n):\n    n /= 2\n    return n", None),
        (HALF, "def half(n, m):\n    n = n / 2\n    return n", "not what was asked"),
        ("show me a function that hides a body.", "def f(n):\n    return n", "not what was asked"),
        ("", "def f(n):\n    return n", "not what was asked"),
    ],
)
def test_a_function_is_right_by_its_tree_and_its_notes_and_not_by_its_names(request_, text, reason):
    assert code.reject(request_, text) == reason


@given(st.integers(0, 10**9), st.data())
def test_what_a_right_function_computes_is_the_same_in_all_wordings(seed, data):
    # The grammar's own functions alone are run, not what a model writes.
    rng = Random(seed)
    request, answer = function(rng)
    task, constant = grammar._asked(request["content"])
    values = {
        "int": st.integers(-20, 200),
        "str": st.text("ab c", max_size=9),
        "list": st.lists(st.integers(-99, 120), min_size=1, max_size=6),
    }
    given_ = data.draw(values[task.argument])
    plain = grammar._bodies(task)[0].format(s="s", i="i", t="t", k=constant)
    found = []
    for text in (answer["content"], "def f(s):\n    " + plain.replace("\n", "\n    ")):
        names = {}
        exec(text, names)
        found.append(next(v for n, v in names.items() if n != "__builtins__")(given_))
    assert found[0] == found[1]
    assert unasked(request["content"], answer["content"]) is None
