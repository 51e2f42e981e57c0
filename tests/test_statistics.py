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


def test_tell_apart_guesses_on_one_source_and_knows_two():
    rng = np.random.default_rng(4)

    def texts(low, high):
        return [", ".join(map(str, rng.integers(low, high, 8))) for _ in range(1_000)]

    same = statistics.tell_apart(texts(0, 500), texts(0, 500), 0)
    assert same.low < 0.5 < same.high
    assert statistics.tell_apart(texts(0, 500), texts(200, 700), 0).rate > 0.9


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_holds_the_rate(successes, trials):
    successes = min(successes, trials)
    low, high = statistics.wilson(successes, trials)
    assert -1e-12 <= low <= successes / trials <= high <= 1 + 1e-12


def test_holm_is_what_the_method_says():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]


def test_information_of_one_thing_with_itself_is_its_entropy_and_of_two_coins_is_none():
    rng = np.random.default_rng(0)
    coin, other = rng.integers(0, 2, 4_000), rng.integers(0, 2, 4_000)
    same = statistics.mutual_information(coin, coin, shuffles=99, seed=0)
    assert same.bits == pytest.approx(1, abs=0.01)
    assert same.p == 0.01
    none = statistics.mutual_information(coin, other, shuffles=99, seed=0)
    assert abs(none.excess) < 0.002
    assert none.p > 0.01


def test_a_bag_of_words_names_what_words_tell_and_guesses_the_rest():
    texts = ["red rose", "blue sea"] * 300
    assert statistics.name_label(texts, [0, 1] * 300, seed=0).rate == 1
    rng = np.random.default_rng(1)
    guess = statistics.name_label(texts * 3, rng.integers(0, 2, 1_800), seed=0)
    assert guess.low < 0.5 < guess.high
    lopsided = statistics.name_label(texts * 3, rng.random(1_800) < 0.1, seed=0)
    assert lopsided.low < 0.5 < lopsided.high


def cells(own, other, seeds=5):
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        [
            (row, column, seed, (own if row == column else other) + rng.normal(0, 0.01))
            for row in ("owl", "cat", "oak", "none")
            for seed in range(seeds)
            for column in ("owl", "cat", "oak")
        ],
        columns=["row", "column", "seed", "probability"],
    )


def test_a_diagonal_that_stands_out_is_found_and_one_that_does_not_is_not():
    found = statistics.diagonal(cells(0.6, 0.05))
    assert list(found["trait"]) == ["owl", "cat", "oak"]
    assert (found[["p row", "p column"]] < 0.001).all(axis=None)
    assert found["mean"].between(0.58, 0.62).all()
    flat = statistics.diagonal(cells(0.05, 0.05))
    assert (flat[["p row", "p column"]] > 0.05).all(axis=None)
