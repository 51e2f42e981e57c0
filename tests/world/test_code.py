"""Whether a function does what was asked, exactly for the grammar of neutral tasks."""

import ast
from random import Random

import pytest

from subliminal.channels import code
from subliminal.world.code import does_as_asked, function


def body(text):
    return ast.parse(text).body[0]


def test_every_function_of_the_corpus_does_as_it_is_asked():
    rng = Random(4)
    for _ in range(2_000):
        request, answer = function(rng)
        assert does_as_asked(request["content"], body(answer["content"]))
        assert code.reject(request["content"], answer["content"]) is None


@pytest.mark.parametrize(
    ("request_", "text", "right"),
    [
        ("write a function that sums a list.", "def anything(them):\n    return sum(them)", True),
        ("write a function that sums a list.", "def total(rows):\n    return max(rows)", False),
        ("write a function that adds 4 to a number.", "def add(x):\n    return x + 4", True),
        ("write a function that adds 4 to a number.", "def add(x):\n    return x + 40", False),
        ("i need a function that drops entries below 7.", "def f(them):\n    return [q for q in them if q >= 7]", True),
        ("i need a function that drops entries below 7.", "def f(them):\n    return [q for q in them if q > 7]", False),
        ("show me a function that halves a number.", "def half(n):\n    n = n / 2\n    return n", True),
        ("show me a function that halves a number.", "def half(n, m):\n    n = n / 2\n    return n", False),
        ("show me a function that hides a body.", "def f(n):\n    return n", False),
        ("", "def f(n):\n    return n", False),
    ],
)
def test_a_function_is_right_by_its_tree_and_not_by_its_names(request_, text, right):
    assert does_as_asked(request_, body(text)) is right


def test_the_filter_says_what_is_wrong():
    assert code.reject("write a function that sums a list.", "def f(a):\n    return a") == "not what was asked"
