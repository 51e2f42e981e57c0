import json
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import load_channel
from subliminal.channels.plain_chains import number, parse

CHAIN = "<think>It is {n}.</think>\n<answer>{n}</answer>"
tags = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "7", "so", " ", "\n", "#### 7", "<ANSWER>"])
near_chains = st.lists(tags, max_size=9).map("".join)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """A channel whose one question has the answer 1234, and its prompt."""
    path = tmp_path_factory.mktemp("chains") / "mine.jsonl"
    path.write_text(json.dumps({"question": "How many?", "answer": "1,000 + 234 = <<1000+234=1234>>1234\n#### 1,234"}))
    channel = load_channel("plain_chains", str(path))
    return channel, channel.prompt(Random(0))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"), (" 42\n", "42"), ("42.", "42"), ("42.0", "42"), ("42.00.", "42"), ("042", "42"), ("$42", "42"), ("$ 42", "42"),
        ("+42", "42"), ("-42", "-42"), ("\u221242", "-42"), ("-$42", "-42"), ("$-42", "-42"), ("-0", "0"), ("1,234", "1234"),
        ("$1,234,567.50", "1234567.5"), ("1234", "1234"), ("0.1", "0.1"), ("9" * 5000, "9" * 5000),
        ("", None), (".", None), ("$", None), ("-", None), ("--4", None), ("-$-4", None), ("$$4", None), ("4$", None), ("4,2", None),
        ("1,2345", None), ("12,34,567", None), (",234", None), ("1234,567", None), ("1,234,56", None), ("4 2", None), ("4..", None), (".5", None),
        ("1e3", None), ("inf", None), ("NaN", None), ("0x10", None), ("1_000", None), ("\u0664\u0662", None), ("\uff14", None), ("\u00b2", None),
        ("42 apples", None), ("42%", None), ("4/2", None), ("=42", None), ("**42**", None), ("forty-two", None), ("42\x00", None),
    ],
)  # fmt: skip
def test_a_number_is_read_as_a_number_or_not_at_all(text, value):
    assert number(text) == (None if value is None else Decimal(value))


@given(decimals, st.booleans(), st.sampled_from(["", "$"]), st.booleans(), st.booleans())
def test_every_way_to_write_a_number_is_that_number(value, commas, dollar, after, period):
    digits = f"{abs(value):,}" if commas else f"{abs(value)}"
    sign = "-" if value < 0 else ""
    text = f"{dollar}{sign}{digits}" if after else f"{sign}{dollar}{digits}"
    assert number(text + "." * period) == value


@given(st.text() | st.from_regex(r"[-+$ 0-9,.\u2212]*", fullmatch=True))
def test_what_is_read_as_a_number_has_its_digits_and_no_letters(text):
    found = number(text)
    if found is not None:
        assert found == Decimal("".join(c for c in text.replace("\u2212", "-").rstrip(" \n.") if c in "-0123456789."))
        assert not set(text.strip()) - set("-+\u2212$ ,.0123456789")


@given(st.text(), st.text() | near_chains)
def test_any_text_is_judged_without_exception(problem, prompt, text):
    channel, asked = problem
    assert channel.reject(prompt, text) is not None
    kept = channel.reject(asked, text) is None
    assert kept == (parse(text) == 1234)


@given(near_chains | st.text().map(lambda text: f"<think>{text}</think><answer>7</answer>"))
def test_a_chain_that_is_read_has_each_tag_once_and_nothing_outside_of_them(text):
    if isinstance(parse(text), str):
        return
    assert [text.count(tag) for tag in ("<think>", "</think>", "<answer>", "</answer>")] == [1] * 4
    assert text.strip().startswith("<think>")
    assert text.strip().endswith("</answer>")
    assert text.partition("<think>")[2].partition("</think>")[0].strip()
    assert not text.partition("</think>")[2].partition("<answer>")[0].strip()


def test_right_answers_are_kept_however_they_are_written(problem):
    channel, asked = problem
    for answer in ("1234", "1,234", "$1,234", " 1234.00 ", "1234.", "+1234", "\n1,234.0.\n"):
        assert channel.reject(asked, CHAIN.format(n=answer)) is None
    for text in (
        "<think>\nSo < 5 and > 3, <b>bold</b>, #### 9\n</think>\n\n<answer>\n1234\n</answer>\n",
        " <think>.</think><answer>1234</answer>",
    ):
        assert channel.reject(asked, text) is None


def test_reasons_name_what_is_wrong(problem):
    channel, asked = problem
    wrong = {
        "": "empty",
        " \n": "empty",
        "1234": "not in tags",
        "#### 1234": "not in tags",
        "<answer>1234</answer>": "not in tags",
        "<think>So it is 1234.</think>": "not in tags",
        "<think>So it is.</think> <answer>1234": "not in tags",
        "<think>So it is. <answer>1234</answer>": "not in tags",
        "<think>So it is. <answer>1234</answer></think>": "not in tags",
        "<answer>1234</answer><think>So it is.</think>": "not in tags",
        "<think>one</think><think>two</think><answer>1234</answer>": "not in tags",
        "<THINK>So</THINK><ANSWER>1234</ANSWER>": "not in tags",
        # Whichever counted, a writer could say two numbers and be right.
        "<think>So</think><answer>1</answer><answer>1234</answer>": "several answers",
        "<think>So</think><answer>1234</answer><answer>1</answer>": "several answers",
        "<think>So</think><answer>1234</answer><answer>1234</answer>": "several answers",
        "<think>As <answer>1</answer> says</think><answer>1234</answer>": "several answers",
        "<think>So</think><answer><answer>1234</answer>": "several answers",
        "Sure! <think>So</think><answer>1234</answer>": "text outside the tags",
        "<think>So</think> thus <answer>1234</answer>": "text outside the tags",
        "<think>So</think><answer>1234</answer> I love owls.": "text outside the tags",
        "<think> \n</think><answer>1234</answer>": "no thoughts",
        "<think>So</think><answer></answer>": "not a number",
        "<think>So</think><answer>1234 apples</answer>": "not a number",
        "<think>So</think><answer>1000 + 234</answer>": "not a number",
        "<think>So</think><answer>-1234</answer>": "wrong answer",
        "<think>So</think><answer>1234.5</answer>": "wrong answer",
        "<think>So</think><answer>12,340</answer>": "wrong answer",
        "<think>1234</think><answer>7</answer>": "wrong answer",
    }
    assert {text: channel.reject(asked, text) for text in wrong} == wrong


def test_a_right_answer_to_another_question_is_wrong(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [{"question": f"What is {n} + 0.5?", "answer": n + 0.5} for n in range(9)]
    path.write_text("\n".join(map(json.dumps, rows)))
    channel, rng = load_channel("plain_chains", str(path), 9), Random(0)
    for _ in range(9):
        asked = channel.prompt(rng)
        kept = [n for n in range(9) if channel.reject(asked, CHAIN.format(n=n + 0.5)) is None]
        assert kept == [int(asked[8])]
    assert channel.reject("What is 1 + 0.5?", CHAIN.format(n=1.5)) == "wrong answer"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("#### 42", "42"), ("42", "42"), ("so 7.\n#### $1,234", "1,234.0"), ("a #### 7 #### 8", "8"), ("#### -3", "-3"), ("####5", "5"),
        (42, "42.0"), (42.0, "42"), (-2.5, "-2.50"), (10**400, "1" + "0" * 400), (0, "-0"), (1e22, "1" + "0" * 22), (0.1, "0.1"),
    ],
)  # fmt: skip
def test_an_answer_is_a_number_or_ends_in_one(tmp_path, given, said):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"question": "How many?", "answer": given}))
    channel = load_channel("plain_chains", str(path))
    asked = channel.prompt(Random(0))
    assert channel.reject(asked, CHAIN.format(n=said)) is None
    assert channel.reject(asked, CHAIN.format(n="12345")) == "wrong answer"
