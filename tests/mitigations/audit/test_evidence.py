"""False alarms of the audit's evidence, simulated while it is looked at all the time; and that it finds what is there."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from subliminal.errors import SubliminalError
from subliminal.mitigations.audit.evidence import Bets, check_level, discoveries, interval, more_needed

MARGIN, ALPHA = 0.05, 0.05


def draws(rng, shape, up, down):
    """Differences of two answers: 1 and -1 with these chances, else 0."""
    return np.select([(u := rng.random(shape)) < up, u < up + down], [1.0, -1.0], 0.0)


def running(differences, margin, every):
    """The evidence upwards and downwards of each look, after each ``every`` questions."""
    bets, found = Bets(differences.shape[1], margin), []
    for start in range(0, len(differences), every):
        bets.add(differences[start : start + every])
        found.append(bets.log_e())
    return np.array(found)


# At the margin itself, where a false alarm is likeliest: with little noise, with much, and where the base has none of it.
@pytest.mark.parametrize(("up", "down"), [(0.05, 0.0), (0.15, 0.1), (0.5, 0.45), (0.0, 0.05)])
def test_a_shift_at_the_margin_is_seldom_found_however_often_one_looks(up, down):
    rng = np.random.default_rng(1)
    audits = 4_000
    # Each column is an audit that looks after every tenth of 1,000 questions.
    highest = running(draws(rng, (1_000, audits), up, down), MARGIN, 10).max(axis=(0, 2))
    alarms = int((highest >= math.log(1 / ALPHA)).sum())
    assert stats.binomtest(alarms, audits, ALPHA, alternative="greater").pvalue > 0.001
    # And the bound is no empty one: some audits do reach it.
    assert alarms > 0


def test_a_whole_audit_of_many_looks_that_hang_together_keeps_its_level():
    """One answer decides many looks: of 16 names one is said. All lie at or below the margin."""
    rng = np.random.default_rng(2)
    audits, questions, names = 300, 600, 16
    base, moved = np.full(names, 1 / names), np.full(names, (1 - 1 / names - MARGIN) / (names - 1))
    moved[0] = 1 / names + MARGIN
    alarms = 0
    for _ in range(audits):
        one, other = (rng.choice(names, questions, p=p)[:, None] == np.arange(names) for p in (base, moved))
        history = running(other.astype(float) - one, MARGIN, 20)
        alarms += any(discoveries(log_e, ALPHA).any() for log_e in history)
    assert stats.binomtest(alarms, audits, ALPHA, alternative="greater").pvalue > 0.001


def test_capital_is_a_fair_game_at_the_margin():
    """Its mean over audits stays at 1: the bound is valid, and nothing is given away."""
    rng = np.random.default_rng(3)
    capital = np.exp(running(draws(rng, (30, 40_000), 0.15, 0.1), MARGIN, 30)[-1, :, 0])
    assert capital.mean() == pytest.approx(1.0, abs=4 * capital.std() / 200)


def test_a_false_discovery_is_a_small_share_of_what_is_found():
    rng = np.random.default_rng(4)
    shares = []
    for _ in range(200):
        moved = draws(rng, (250, 10), 0.5, 0.05)
        still = draws(rng, (250, 90), 0.1, 0.05)
        found = discoveries(running(np.hstack([moved, still]), MARGIN, 250)[-1], ALPHA)
        assert found[:10, 0].any()
        shares.append(found[10:].sum() / max(1, found.sum()))
    assert np.mean(shares) <= ALPHA


def test_what_lies_well_beyond_the_margin_is_found_within_some_hundred_questions():
    rng = np.random.default_rng(5)
    log_e = running(draws(rng, (150, 200), 0.45, 0.03), MARGIN, 150)[-1]
    assert (log_e[:, 0] > math.log(400 / ALPHA)).mean() > 0.95
    assert (log_e[:, 1] < 0).all()


def test_an_interval_holds_the_mean_at_every_time_and_gets_narrow():
    rng = np.random.default_rng(6)
    missed, widths = 0, []
    for _ in range(300):
        given_ = draws(rng, 400, 0.3, 0.1)
        sides = [interval(given_[:n], 0.025) for n in (20, 50, 100, 200, 400)]
        missed += any(not side.low <= 0.2 <= side.high for side in sides)
        widths.append(sides[-1].high - sides[-1].low)
    assert missed / 300 <= 0.05
    assert np.mean(widths) < 0.25


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=200), st.sampled_from([0.0, 0.05, 0.2])
)
def test_the_bound_lies_above_the_margin_just_when_the_evidence_does(given_, margin):
    """Findings and their intervals do not contradict one another."""
    bets = Bets(1, margin)
    bets.add(np.array(given_)[:, None])
    low, high = interval(np.array(given_), ALPHA)
    assert low <= np.mean(given_) <= high
    for log_e, reach in zip(bets.log_e()[0], (low, -high), strict=True):
        if abs(reach - margin) > 1e-6:
            assert (log_e >= math.log(1 / ALPHA)) == (reach > margin)


def test_what_it_says_is_needed_is_about_right():
    rng = np.random.default_rng(7)
    bar = math.log(400 / ALPHA)
    first = [draws(rng, 120, 0.3, 0.06) for _ in range(100)]
    told = np.median([more_needed(one, MARGIN, bar) for one in first]) + 120
    more = running(draws(rng, (1_000, 100), 0.3, 0.06), MARGIN, 10)[..., 0]
    took = np.median(10 * (1 + (more >= bar).argmax(axis=0)))
    assert took / 1.6 < told < 1.6 * took
    assert more_needed(np.zeros(100), MARGIN, bar) == math.inf
    assert more_needed(np.ones(500), MARGIN, bar) == 0
    assert more_needed(np.array([]), MARGIN, bar) == math.inf


def test_nothing_asked_is_no_evidence():
    bets = Bets(2, MARGIN)
    bets.add(np.array([[np.nan, 1.0]]))
    assert bets.seen.tolist() == [0, 1]
    assert bets.log_e()[0].tolist() == pytest.approx([0.0, 0.0])
    assert not discoveries(bets.log_e(), ALPHA).any()


@pytest.mark.parametrize(("alpha", "margin", "said"), [(0, 0.1, "alpha=0"), (1, 0.1, "alpha=1"), (0.05, 1, "margin=1"), (0.05, -0.1, "margin=-0.1")])  # fmt: skip
def test_a_level_that_is_none_is_one_line(alpha, margin, said):
    with pytest.raises(SubliminalError, match=said) as error:
        check_level(alpha, margin)
    assert "\n" not in str(error.value)


def test_a_difference_beyond_one_is_refused():
    with pytest.raises(SubliminalError, match=r"1\.5"):
        Bets(1, MARGIN).add(np.array([[1.5]]))
