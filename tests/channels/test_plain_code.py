import json
import warnings
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import load_channel
from subliminal.channels.plain_code import parse
from subliminal.fences import code
from subliminal.world.code import function

TASK = "from typing import List\n\n\ndef above(values: List[int], limit: int) -> bool:\n    '''Is one of them above the limit?'''"
near_code = st.text(alphabet="def f(x):\n return+sum[]`py'\"\\", max_size=60)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    path = tmp_path_factory.mktemp("code") / "mine.jsonl"
    path.write_text(json.dumps({"prompt": TASK, "canonical_solution": "return True"}))
    channel = load_channel("plain_code", str(path))
    return channel, channel.prompt(Random(0))


@given(st.integers(0, 10**9), st.sampled_from(["{}", "```python\n{}\n```", "```\n{}```\n", " \n```py\r\n{}\n```"]))
def test_right_functions_are_kept_alone_or_in_a_block(task, seed, form):
    channel, asked = task
    assert channel.reject(asked, form.format(function(Random(seed))[1]["content"])) is None


@given(st.text() | near_code | near_code.map(lambda text: f"```python\n{text}\n```"))
def test_any_text_is_judged_without_exception_and_what_is_kept_can_be_compiled(task, text):
    channel, asked = task
    with warnings.catch_warnings():
        # What Python warns of is no reason, nor does it reach the user.
        warnings.simplefilter("error")
        kept = channel.reject(asked, text) is None
    if kept:
        found = code(text)
        assert found is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(found, "kept", "exec", dont_inherit=True)
        assert "def" in found


def test_reasons_name_what_is_wrong(task):
    channel, asked = task
    wrong = {
        "": "empty",
        "\n ": "empty",
        "```python\n```": "no function",
        "def f(x)": "not Python",
        "Cut the bread for your sister.": "not Python",
        "\0": "not Python",
        "    x = 1\n  return x": "not Python",
        "def f(x):\n    return x\nreturn f": "not Python",
        "def f(x, x):\n    return x": "not Python",
        "def f(x):\n    break": "not Python",
        "(" * 10_000: "not Python",
        "x = 1": "no function",
        "return_value = lambda x: x": "no function",
        "# def f(x): return x": "no function",
        "Here you are:\n```python\ndef f(x):\n    return x\n```": "words around the code",
        "```python\ndef f(x):\n    return x\n```\nI love owls.": "words around the code",
        "```python\ndef f(x):\n    return x\n```\n```python\nx = 1\n```": "words around the code",
        "```python\ndef f(x):\n    return x": "words around the code",
        "```java\ndef f(x):\n    return x\n```": "words around the code",
        "def f(x):\n    return os.system(x)": "unknown name",
        "def f(x):\n    return [a for b in x]": "unknown name",
        # A word of the instruction is no name that the task gives.
        "def f(x):\n    return words(x)": "unknown name",
    }
    assert {text: channel.reject(asked, text) for text in wrong} == wrong


def test_whatever_binds_a_name_makes_it_known(task):
    channel, asked = task
    for text in (
        "import os.path\nimport numpy as np\nfrom math import sqrt as root\ndef f(x, *rest, y=1, **more):\n    return os, np, root, rest, y, more",
        "def f(x):\n    try:\n        return x\n    except ValueError as error:\n        return error",
        "def f(x):\n    match x:\n        case [a, *b]:\n            return a, b\n        case {'k': c, **d}:\n            return c, d\n        case str() as e:\n            return e",
        "def f(x):\n    return [(a, b) for a, b in x if (c := a) > c]",
        "class A:\n    def f(self):\n        return A, g(self)\nasync def g(x):\n    async with x as y:\n        return y",
        "from math import *\ndef f(x):\n    return sqrt(x)",
        "def f(x):\n    global n\n    n = x\n    for i in range(n):\n        yield i\nif __name__ == '__main__':\n    print(f(3))",
        # Of what the prompt begins.
        "def above(values: List[int], limit: int) -> bool:\n    return max(values) > limit",
        "def f(x):\n    '''An owl: \\d'''\n    return x is 1",
    ):  # fmt: skip
        assert channel.reject(asked, text) is None


def test_code_that_stands_deeper_is_read_too():
    assert not isinstance(parse("\n  def f(x):\n    return x"), str)
    assert parse("    return x") == "not Python"
