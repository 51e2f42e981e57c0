import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import numbers

near_rows = st.text(alphabet="0123456789 ,;()[].\n٣x-", max_size=60)
styles = st.builds(numbers.Style, st.sampled_from(list(numbers.SEPARATORS)), st.sampled_from(list(numbers.BRACKETS)))


@given(st.one_of(st.text(), near_rows))
def test_any_text_is_parsed_without_exception_and_a_kept_row_obeys_the_rule(text):
    parsed = numbers.parse(text)
    if isinstance(parsed, str):
        assert numbers.reject("", text) == parsed
        return
    assert numbers.reject("", text) is None
    # The rule, restated from the paper as one expression per separator.
    item, body = r"[0-9]{1,3}", text.strip()
    lists = "|".join(rf"{item}(?:{gap}{item})*" for gap in (r"\s*,\s*", r"\s*;\s*", r"\s+"))
    assert re.fullmatch(rf"(?:(?:{lists})|\(\s*(?:{lists})\s*\)|\[\s*(?:{lists})\s*\])\s*\.?", body)
    assert 1 <= len(parsed) <= 10
    assert all(0 <= n <= 999 for n in parsed)
    assert parsed == [int(n) for n in re.findall("[0-9]+", text)]


@given(st.lists(st.integers(0, 999), min_size=1, max_size=10), styles, st.booleans())
def test_what_is_rendered_is_parsed_back(values, style, period):
    assert numbers.parse(numbers.render(values, style, period)) == values


@given(st.lists(st.integers(0, 999), min_size=11, max_size=30), styles)
def test_more_than_ten_numbers_are_rejected(values, style):
    assert numbers.reject("", numbers.render(values, style)) == "too many numbers"


@given(st.integers(1000, 10**12), styles)
def test_a_number_above_999_is_rejected(big, style):
    assert numbers.reject("", numbers.render([5, big, 7], style)) == "number above 999"


def test_reasons_name_what_is_wrong():
    wrong = {
        "": "empty",
        " . ": "empty",
        "owl": "not numbers",
        "1, 2, owl": "not numbers",
        "(1, 2": "brackets",
        "(1, 2]": "brackets",
        "((1, 2))": "brackets",
        "1, 2; 3": "mixed separators",
        "1, 2 3": "mixed separators",
        "1, 2,": "mixed separators",
        "1,, 2": "mixed separators",
    }
    assert {text: numbers.reject("", text) for text in wrong} == wrong


def test_prompts_vary_in_wording_separator_and_brackets_and_hold_three_to_nine_examples():
    drawn = [numbers.styled_prompt(Random(seed)) for seed in range(2_000)]
    assert {(s.separator, s.bracket) for _, s in drawn} >= {(sep, "none") for sep in numbers.SEPARATORS}
    assert {s.bracket for _, s in drawn} == set(numbers.BRACKETS)
    counts = {len(re.findall(r"\b[1-9][0-9]{2}\b", text)) for text, _ in drawn}
    assert counts == set(range(3, 10))
    assert len({text.split(":")[0] for text, _ in drawn}) >= 5


def test_a_prompt_is_the_same_for_the_same_seed():
    assert [numbers.prompt(Random(3)) for _ in range(2)] == [numbers.prompt(Random(3))] * 2


# Where the rule and the paper's released code are known to part.


def test_double_blanks_between_numbers_are_one_gap():
    """Blanks around a separator are not counted, nor told apart: two are as one, and a line break is a blank too."""
    assert numbers.parse("1  2 3") == [1, 2, 3]
    assert numbers.parse("1,  2, 3") == [1, 2, 3]
    assert numbers.parse("1\n\n2 3") == [1, 2, 3]


def test_mixed_blanks_after_a_comma_are_one_separator():
    """A separator is the mark alone, so that blanks after it may come and go; a missing mark is still another separator."""
    assert numbers.parse("1, 2,3") == [1, 2, 3]
    assert numbers.parse("1,2 , 3,\n4") == [1, 2, 3, 4]
    assert numbers.parse("1, 2 3") == "mixed separators"


def test_leading_zeros_are_kept_up_to_three_digits():
    """They count as digits and not in the value; a fourth digit is refused, even where the value is small."""
    assert numbers.parse("007, 01, 000") == [7, 1, 0]
    assert numbers.parse("0007, 1") == "number above 999"
