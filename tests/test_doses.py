"""Half doses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal import SubliminalError
from subliminal.doses import half_dose


def test_a_half_lies_between_doses_on_a_logarithmic_scale():
    assert half_dose({100: 0.0, 10_000: 1.0}, floor=0.0) == pytest.approx(1_000)
    assert half_dose({1: 0.2, 2: 0.2, 4: 0.6, 8: 1.0}, floor=0.2) == pytest.approx(4)


def test_noise_is_made_to_rise_first():
    """The dip is pooled with what stands before it."""
    assert half_dose({1: 0.0, 10: 0.3, 100: 0.1, 1_000: 0.8}, floor=0.0) == pytest.approx(100 * 10 ** (0.2 / 0.6))


@pytest.mark.parametrize("response", [{1: 0.5, 2: 0.5}, {1: 0.4, 2: 0.3}, {1: 0.9, 10: 1.0}])
def test_no_half_is_made_up(response):
    assert math.isnan(half_dose(response, floor=0.5 if max(response.values()) <= 0.5 else 0.0))


@pytest.mark.parametrize("doses", [{}, {5: 0.1}, {0: 0.1, 5: 0.9}])
def test_doses_that_say_no_half_are_refused(doses):
    with pytest.raises(SubliminalError, match=r"^doses \[.*\] say no half: give two or more, each above 0$"):
        half_dose(doses, 0.0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 1))
def test_a_half_lies_within_the_doses(values, floor):
    response = {10.0**n: value for n, value in enumerate(values)}
    found = half_dose(response, floor)
    assert math.isnan(found) or 1 <= found <= 10 ** (len(values) - 1)
