import math

from hypothesis import given
from hypothesis import strategies as st

from subliminal import prose


@given(st.floats(0, 1))
def test_a_p_value_is_never_shown_as_zero(p):
    shown = prose.p_value(p)
    assert shown.startswith("< ") or float(shown) > 0


def test_what_is_not_there_is_said():
    nan = math.nan
    assert (prose.number(nan), prose.percent(nan), prose.p_value(nan)) == ("n/a",) * 3
    assert prose.interval(nan, nan) == "no interval from one seed"


@given(st.floats(0, 1))
def test_a_bound_is_never_below_its_value(value):
    assert value - 1e-6 <= float(prose.at_most(value)) <= value + 0.01


def test_numbers_are_rounded():
    assert (prose.number(0.876), prose.percent(0.876), prose.interval(0.1, 0.25), prose.p_value(0.0123)) == (
        "0.88", "88\N{NO-BREAK SPACE}%", "0.10 to 0.25", "0.012"
    )  # fmt: skip
    assert prose.p_value(0.0000123) == "0.000012"
