import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal import statistics
from subliminal.errors import SubliminalError, UnknownNameError

floats = st.lists(st.floats(-10, 10), min_size=2, max_size=20)


@given(floats)
def test_the_interval_holds_the_mean_and_is_symmetric(values):
    estimate = statistics.mean_interval(values)
    assert estimate.low <= estimate.mean <= estimate.high
    assert estimate.mean - estimate.low == pytest.approx(estimate.high - estimate.mean, abs=1e-9)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = sum(e.low <= 0 <= e.high for e in (statistics.mean_interval(rng.normal(size=5)) for _ in range(4_000)))
    assert 0.94 < hits / 4_000 < 0.96


def test_one_value_has_no_interval_and_none_is_an_error():
    assert np.isnan(statistics.mean_interval([0.5]).low)
    with pytest.raises(SubliminalError, match="no values"):
        statistics.mean_interval([])


def test_the_one_sided_test_rejects_at_its_level_when_nothing_differs():
    rng = np.random.default_rng(1)
    p = [statistics.greater(rng.normal(size=5), rng.normal(size=5)) for _ in range(4_000)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.06
    p = [statistics.greater(rng.normal(size=5), [0.0]) for _ in range(4_000)]
    assert 0.04 < np.mean(np.array(p) < 0.05) < 0.06


def test_the_one_sided_test_has_a_direction():
    low, high = [0.1, 0.11, 0.09], [0.8, 0.82, 0.79]
    assert statistics.greater(high, low) < 1e-4
    assert statistics.greater(low, high) > 0.999
    assert statistics.greater(high, [0.1]) < 1e-3
    assert np.isnan(statistics.greater([0.8], low))


@pytest.fixture
def table():
    rng = np.random.default_rng(2)
    rows = []
    for condition, level, seeds in (("treated", 0.7, range(4)), ("control", 0.1, range(4)), ("base", 0.05, [-1])):
        for seed in seeds:
            for question in "qr":
                p = level + rng.normal() * 0.01
                rows += [
                    (condition, seed, question, "owl", p, p),
                    (condition, seed, question, "cat", 0.95 - p, 0.9 - p),
                ]
    return pd.DataFrame(rows, columns=["condition", "seed", "question", "answer", "probability", "sampled"])


def test_per_seed_averages_over_questions(table):
    seeds = statistics.per_seed(table, "owl")
    assert list(seeds["condition"].unique()) == ["treated", "control", "base"]
    assert len(seeds) == 9
    one = table[(table["condition"] == "treated") & (table["seed"] == 2) & (table["answer"] == "owl")]
    row = seeds[(seeds["condition"] == "treated") & (seeds["seed"] == 2)].iloc[0]
    assert row["probability"] == pytest.approx(one["probability"].mean())
    assert seeds["mass"].tolist() == pytest.approx([0.95] * 9)
    with pytest.raises(SubliminalError, match="no answer 'dragon'"):
        statistics.per_seed(table, "dragon")


def test_compare_tests_each_control_against_the_treated(table):
    compared = statistics.compare(statistics.per_seed(table, "owl"), "treated").set_index("condition")
    assert np.isnan(compared.loc["treated", "p"])
    assert (compared.loc[["control", "base"], "p"] < 1e-4).all()
    assert compared.loc["treated", "least"] > compared.loc["control", "most"]
    with pytest.raises(UnknownNameError, match="unknown condition 'cured'"):
        statistics.compare(statistics.per_seed(table, "owl"), "cured")


def test_sampling_z_is_standard_normal_when_sampling_is_right_and_large_when_it_is_not():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.05, 0.9, size=(400, 10))
    frame = pd.DataFrame(
        [("c", m, q, "owl", p[m, q], rng.binomial(100, p[m, q]) / 100) for m in range(400) for q in range(10)],
        columns=["condition", "seed", "question", "answer", "probability", "sampled"],
    )
    z = statistics.sampling_z(frame, "owl", 100)
    assert abs(z.mean()) < 0.2
    assert 0.9 < z.std() < 1.1
    assert statistics.sampling_z(frame.assign(sampled=frame["sampled"] + 0.1), "owl", 100).mean() > 3


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_holds_the_rate(successes, trials):
    successes = min(successes, trials)
    low, high = statistics.wilson(successes, trials)
    assert -1e-12 <= low <= successes / trials <= high <= 1 + 1e-12


def test_holm_is_what_the_method_says():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []
    many = np.random.default_rng(0).uniform(size=(6, 20))
    each = [statistics.holm(one) for one in many.T]
    assert np.array_equal(statistics.holm(many), np.transpose(each))


def test_equivalence_is_shown_just_when_the_interval_lies_within_the_bound():
    rng = np.random.default_rng(4)
    seen = set()
    for shift in np.linspace(-0.05, 0.05, 41):
        one, two = rng.normal(0.1, 0.01, 5), rng.normal(0.1 + shift, 0.01, 5)
        found = statistics.equivalent(one, two, 0.03)
        assert found.low < found.difference < found.high
        assert (found.p < 0.05) == (found.low > -0.03 and found.high < 0.03)
        seen.add(bool(found.p < 0.05))
    assert seen == {True, False}


def test_equivalence_is_claimed_in_error_no_more_often_than_it_says():
    rng = np.random.default_rng(5)
    at_the_bound = [
        statistics.equivalent(rng.normal(0.03, 0.01, 5), rng.normal(0, 0.01, 5), 0.03).p for _ in range(2_000)
    ]
    assert 0.03 < np.mean(np.array(at_the_bound) < 0.05) < 0.065


def test_equivalence_of_one_seed_is_not_known():
    sides = [0.1], [0.12, 0.1], 0.03
    found = statistics.equivalent(*sides)
    assert found.difference == pytest.approx(-0.01)
    assert np.isnan([found.low, found.high, found.p, statistics.equivalence_needs(*sides)]).all()


def test_as_many_seeds_as_are_said_to_be_needed_give_the_power():
    one, two = [0.2, 0.26, 0.22, 0.3, 0.27], [0.15, 0.2, 0.1, 0.16, 0.19]
    seeds = int(statistics.seeds_needed(one, two, alpha=0.01))
    rng, spread = np.random.default_rng(6), np.sqrt((np.var(one, ddof=1) + np.var(two, ddof=1)) / 2)
    for count, low, high in ((seeds, 0.78, 0.95), (seeds - 2, 0.0, 0.8)):
        draws = [
            statistics.greater(rng.normal(np.mean(one), spread, count), rng.normal(np.mean(two), spread, count))
            for _ in range(2_000)
        ]
        assert low < np.mean(np.array(draws) < 0.01) < high


def test_against_a_single_value_as_many_seeds_give_the_power_too():
    one = [0.2, 0.26, 0.22, 0.3, 0.27]
    seeds = int(statistics.seeds_needed(one, [0.2], alpha=0.01))
    rng = np.random.default_rng(7)
    draws = [statistics.greater(rng.normal(np.mean(one), np.std(one, ddof=1), seeds), [0.2]) for _ in range(2_000)]
    assert 0.78 < np.mean(np.array(draws) < 0.01) < 0.95


def test_equivalence_to_a_single_value_is_a_one_sample_test():
    sides = [0.1, 0.11, 0.09, 0.105], [0.1], 0.05
    found = statistics.equivalent(*sides)
    assert found.low < found.difference < found.high
    assert found.p < 0.01
    assert statistics.equivalence_needs(*sides) == 3
    assert statistics.equivalent([0.2, 0.21, 0.19], [0.1], 0.05).p > 0.9


def test_no_number_of_seeds_shows_a_difference_the_other_way():
    assert np.isinf(statistics.seeds_needed([0.1, 0.11], [0.2, 0.21], 0.05))
    assert np.isnan(statistics.seeds_needed([0.1], [0.2, 0.21], 0.05))


def test_rates_by_group_average_a_groups_questions_within_each_seed(table):
    found = statistics.by_group(table.assign(run="r"), "owl", {"one": "q", "two": ["r"]})
    assert list(found.columns) == ["group", "condition", "seed", "run", "probability"]
    assert len(found) == 2 * 9
    mine = found[(found["group"] == "one") & (found["condition"] == "treated")]
    own = table[(table["question"] == "q") & (table["answer"] == "owl") & (table["condition"] == "treated")]
    assert mine["probability"].tolist() == pytest.approx(own["probability"].tolist())
    both = statistics.by_group(table.assign(run="r"), "owl", {"all": ["q", "r"]})
    assert both["probability"].tolist() == pytest.approx(statistics.per_seed(table, "owl")["probability"].tolist())
    with pytest.raises(SubliminalError, match="question 'r' has no group"):
        statistics.by_group(table.assign(run="r"), "owl", {"one": ["q"]})


def test_intervals_are_over_the_seeds_of_each_choice(table):
    groups = statistics.by_group(table.assign(run="r"), "owl", {"one": ["q"], "two": ["r"]})
    found = statistics.intervals(groups, "group", "condition")
    assert list(found.columns) == ["group", "condition", "rate", "low", "high"]
    assert found[["group", "condition"]].to_numpy().tolist() == [
        [group, condition] for condition in ("treated", "control", "base") for group in ("one", "two")
    ]
    mine = found[(found["group"] == "one") & (found["condition"] == "treated")].iloc[0]
    own = table[(table["question"] == "q") & (table["answer"] == "owl") & (table["condition"] == "treated")]
    assert mine["rate"] == pytest.approx(own["probability"].mean())
    assert mine["low"] < mine["rate"] < mine["high"]
    assert tuple(mine[["rate", "low", "high"]]) == statistics.mean_interval(own["probability"].tolist())[:3]
    assert found.loc[found["condition"] == "base", "low"].isna().all()
    named = statistics.intervals(table.rename(columns={"probability": "loss"}), "condition", value="loss")
    assert list(named["condition"]) == ["treated", "control", "base"]
    assert named["rate"][0] == pytest.approx(table.loc[table["condition"] == "treated", "probability"].mean())


def test_a_rate_of_trials_has_the_interval_of_its_trials():
    rows = pd.DataFrame({"condition": ["a", "b"], "value": [0.25, 1.0], "samples": [400, 20]})
    found = statistics.of_trials(rows)
    assert found["rate"].tolist() == [0.25, 1.0]
    assert (found["low"][0], found["high"][0]) == statistics.wilson(100, 400)
    assert (found["low"][1], found["high"][1]) == statistics.wilson(20, 20)
    assert found["condition"].tolist() == ["a", "b"]


def test_an_effect_is_gone_from_the_place_on_from_which_it_stays_gone():
    near, far = ([0.1, 0.11, 0.09, 0.1], [0.1]), ([0.5, 0.55, 0.45, 0.5], [0.1])
    assert statistics.gone_from([far, near, near], 0.05) == 1
    assert statistics.gone_from([near, far, near], 0.05) == 2
    assert statistics.gone_from([near, near], 0.05) == 0
    assert statistics.gone_from([near, far], 0.05) is None


def test_what_goes_against_is_counted_by_condition_beside_all_there_is():
    rows = statistics.long({"a": [-0.1, 0.0, -0.2], "b": [0.1, 0.2, 0.3]}, [0, 1, 2])
    assert rows.to_numpy().tolist()[:2] == [["a", 0, -0.1], ["a", 1, 0.0]]
    found = statistics.against(rows).set_index("condition")
    assert found[["value", "samples"]].to_numpy().tolist() == [[2, 3], [0, 3]]
    assert set(found["answer"]) == {"against"}
    named = statistics.against(rows.assign(run=["x", "y", "x", "z", "z", "z"])).set_index("condition")
    assert named["run"].to_dict() == {"a": "x y", "b": "z"}


def test_a_curve_is_of_means_over_seeds_by_step():
    looks = [("a", 0, 1, 10.0), ("a", 0, 2, 20.0), ("a", 1, 1, 30.0), ("a", 1, 2, 40.0), ("b", 0, 1, 5.0)]
    table = pd.DataFrame(looks, columns=["condition", "seed", "step", "cosine"])
    assert statistics.by_step(table, "step", "cosine") == {"a": [(1, 20.0), (2, 30.0)], "b": [(1, 5.0)]}
