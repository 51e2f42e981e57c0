"""How stable a verdict is: beside what theory says of it, and that a draw is judged as the table is."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from subliminal.stability import DRAWS, stability
from subliminal.verdicts import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, evaluate
from tests.tables import CONTROL, MINI, TREATED, claim, rows

NAN = math.nan


def room(table, *claims):
    found = evaluate(table, claims, MINI)
    return found, stability(table, found, MINI)


def alone(conditions, **changes):
    """The verdict on a claim by itself, and the chance that it stays."""
    table = conditions if isinstance(conditions, pd.DataFrame) else rows(conditions)
    (found,), told = room(table, claim(**changes))
    return found.verdict, told.chances["c"]


def near(chance):
    """Within four standard errors of so many draws."""
    return pytest.approx(chance, abs=4 * math.sqrt(max(chance * (1 - chance), 1e-3) / DRAWS))


def spread_out(seeds, mean, spread):
    """Values that have just this mean and this standard deviation."""
    values = stats.norm.ppf((np.arange(seeds) + 0.5) / seeds)
    return (mean + spread * (values - values.mean()) / values.std(ddof=1)).tolist()


def test_far_from_its_limit_a_verdict_stays():
    assert alone({"t": TREATED, "u": CONTROL}, bound=0.1) == (REPRODUCED, 1.0)
    assert alone({"t": CONTROL, "u": TREATED}, bound=0.1) == (NOT_REPRODUCED, 1.0)


@pytest.mark.parametrize("test", ["greater", "less"])
def test_at_its_bound_a_verdict_is_a_coin(test):
    sides = [spread_out(5, 0.5, 0.02), spread_out(5, 0.1, 0.02)]
    verdict, chance = alone(
        dict(zip("tu", sides if test == "greater" else sides[::-1], strict=True)), test=test, bound=0.3999
    )
    assert verdict == REPRODUCED
    assert 0.47 < chance < 0.53


@pytest.mark.parametrize("effect", [0.02, 0.04, 0.08])
def test_against_a_base_it_is_the_power_of_the_one_sample_test(effect):
    treated = spread_out(5, 0.1 + effect, 0.04)
    power = stats.nct.sf(stats.t.isf(0.05, 4), 4, effect / 0.04 * math.sqrt(5))
    verdict, chance = alone({"t": treated, "u": [0.1]}, bound=0)
    shown = verdict == REPRODUCED
    assert shown or verdict == INCONCLUSIVE
    # An effect below zero that is ruled out is rare here, and no verdict of the two.
    assert chance == (near(power) if shown else pytest.approx(1 - power, abs=0.04))


@pytest.mark.parametrize("effect", [0.008, 0.012])
def test_against_seeds_it_is_the_power_of_welchs_test(effect):
    """Of equal spreads and many seeds, where Welch's test is Student's."""
    sides = {"t": spread_out(100, 0.1 + effect, 0.04), "u": spread_out(100, 0.1, 0.04)}
    power = stats.nct.sf(stats.t.isf(0.05, 198), 198, effect / 0.04 * math.sqrt(50))
    verdict, chance = alone(sides, bound=0)
    assert chance == near(power if verdict == REPRODUCED else 1 - power)


@pytest.mark.parametrize("effect", [0.0, 0.02, 0.03])
def test_of_equivalence_it_is_the_power_of_two_one_sided_tests(effect):
    error, bound = 0.02 / math.sqrt(5), 0.05
    reach = stats.t.isf(0.05, 4) * error / 2

    def holds(chi):
        """With this spread: chi of four degrees of freedom, whose root mean square is 2."""
        top, low = (bound - reach * chi - effect) / error, (-bound + reach * chi - effect) / error
        return np.maximum(stats.norm.cdf(top) - stats.norm.cdf(low), 0)

    verdict, chance = alone({"t": spread_out(5, 0.1 + effect, 0.02), "u": [0.1]}, test="equivalent", bound=bound)
    assert verdict == REPRODUCED
    assert chance == near(stats.chi(4).expect(holds))


def test_a_paired_claim_keeps_the_values_of_a_seed_together():
    base, gain = [0.1, 0.5, 0.9, 0.3, 0.7], [0.02, 0.03, 0.02, 0.04, 0.03]
    sides = {"t": [one + more for one, more in zip(base, gain, strict=True)], "u": base}
    power = stats.nct.sf(stats.t.isf(0.001, 4), 4, np.mean(gain) / np.std(gain, ddof=1) * math.sqrt(5))
    assert alone(sides, paired=True, alpha=0.001) == (REPRODUCED, near(power))


def test_scores_of_one_condition_are_of_the_same_models():
    """Two claims on what adds up to one: a draw of the first is a draw of the other."""
    yes = spread_out(5, 0.6, 0.1)
    table = pd.concat([rows({"t": yes}, score=("q", "yes")), rows({"t": [1 - v for v in yes]}, score=("q", "no"))])
    level = {"control": None, "bound": 0.6 - 1e-6}
    high = claim(score=["q", "yes"], test="at least", **level)
    low = claim(id="d", score=["q", "no"], test="at most", **level | {"bound": 0.4 + 1e-6})
    _, told = room(table, high, low)
    assert told.none == told.chances["c"] == told.chances["d"] == pytest.approx(0.5, abs=0.04)
    assert told.turned == pytest.approx(2 * (1 - told.none))


def test_each_draw_is_corrected_by_itself():
    """Two claims of one p-value: both hold where it is below half the level, and none does elsewhere."""
    table = rows({"t": spread_out(5, 0.17, 0.04), "u": [0.1]})
    found, told = room(table, claim(bound=0), claim(id="d", bound=0))
    assert {v.verdict for v in found} == {REPRODUCED}
    power = stats.nct.sf(stats.t.isf(0.025, 4), 4, 0.07 / 0.04 * math.sqrt(5))
    assert told.chances["c"] == told.chances["d"] == told.none == near(power)
    apart = room(table, claim(bound=0), claim(id="d", bound=0, headline=False))[1]
    assert apart.chances["c"] == near(stats.nct.sf(stats.t.isf(0.05, 4), 4, 0.07 / 0.04 * math.sqrt(5)))


@pytest.mark.parametrize(
    ("test", "hints", "verdict", "chance"),
    [("filter", 0.0, REPRODUCED, 1.0), ("filter", 1.0, NOT_REPRODUCED, 1 - math.exp(-1)), ("none", 3.0, NOT_REPRODUCED, 1 - math.exp(-3))],
)  # fmt: skip
def test_what_was_counted_once_may_be_gone_and_what_was_never_seen_is_never_drawn(test, hints, verdict, chance):
    table = rows({"t": [0.0, hints], "u": [0.0, 0.0]}, score=("filter", "hints"), samples=500)
    assert alone(table, test=test, score=["filter", "hints"]) == (verdict, near(chance))


def test_the_least_of_some_values_is_judged_by_the_least():
    verdict, chance = alone({"t": spread_out(5, 0.97, 0.01)}, control=None, test="each at least", bound=0.95)
    assert (verdict, chance) == (REPRODUCED, near(stats.norm.cdf(2) ** 5))


def test_a_share_that_stands_alone_has_the_error_of_its_sampling_and_an_exact_one_none():
    level = {"control": None, "test": "at least"}
    sampled, exact = (rows({"t": [0.5]}, samples=samples) for samples in (400, 0))
    assert alone(sampled, **level, bound=0.45) == (REPRODUCED, near(stats.norm.cdf(2)))
    assert alone(exact, **level, bound=0.5) == (REPRODUCED, 1.0)


@pytest.mark.parametrize("sides", [{"t": [0.9], "u": CONTROL}, {"t": TREATED, "u": [0.1]}, {"t": [0.9], "u": [0.1]}])
def test_of_one_seed_nothing_is_known(sides):
    """A value alone that is of a seed is not exact: another seed would give another."""
    table = rows(sides).assign(seed=lambda made: made["seed"].replace(-1, 30))
    (found,), told = room(table, claim())
    assert [math.isnan(value) for value in (told.chances["c"], told.turned, told.none)] == [True] * 3
    assert told.without_room([found]) == [found]


def test_each_call_gives_the_same_and_what_is_added_changes_no_other_draw():
    table, chosen = rows({"t": spread_out(5, 0.15, 0.04), "u": CONTROL}), claim(bound=0, headline=False)
    first, again = (room(table, chosen)[1] for _ in range(2))
    assert first == again
    more = pd.concat([rows({"t": TREATED, "u": CONTROL}, "code"), table])
    beside = room(more, claim(id="d", chapter="code"), chosen)[1]
    assert 0.2 < beside.chances["c"] == first.chances["c"] < 1


def test_without_room_are_the_headline_claims_that_may_turn_from_the_least_stable_on():
    table = rows({"far": TREATED, "near": spread_out(5, 0.2, 0.04), "nearer": spread_out(5, 0.2, 0.05), "u": [0.1]})
    made = [claim(id=name, condition=name, bound=0.07) for name in ("far", "near", "nearer")]
    own = claim(id="own", condition="nearer", bound=0.07, headline=False)
    found, told = room(table, *made, own)
    assert [v.claim.id for v in told.without_room(found)] == ["nearer", "near"]
    assert told.chances["own"] < 0.99
    assert told.turned == pytest.approx(sum(1 - told.chances[one.id] for one in made))
