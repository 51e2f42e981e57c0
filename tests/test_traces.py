import numpy as np
import pandas as pd
import pytest

from subliminal import traces


def test_tell_apart_guesses_on_one_source_and_knows_two():
    rng = np.random.default_rng(4)

    def rows(low, high):
        return lists(rng, [(low, high)] * 1_000)

    same = traces.tell_apart(rows(0, 500), rows(0, 500), 0)
    assert same.low < 0.5 < same.high
    assert traces.tell_apart(rows(0, 500), rows(200, 700), 0).rate > 0.9


def lists(rng, ranges):
    """One list a range, each under a prompt of its own."""
    texts = [", ".join(map(str, rng.integers(low, high, 8))) for low, high in ranges]
    return pd.DataFrame({"prompt": range(len(texts)), "completion": texts})


def test_what_completions_of_one_prompt_share_tells_nothing_of_their_source():
    """Each prompt was answered by one source alone, with numbers of its own: whoever has seen a prompt knows the source."""
    rng = np.random.default_rng(5)
    rates = []
    for seed in range(20):
        low = rng.integers(0, 10_000, 50)
        rows = [
            lists(rng, [(n, n + 5) for n in half for _ in range(20)]).assign(prompt=np.repeat(half, 20))
            for half in (low[:25], low[25:])
        ]
        rates.append(traces.tell_apart(*rows, seed))
    assert np.mean([rate.rate for rate in rates]) < 0.55
    assert sum(rate.low < 0.5 < rate.high for rate in rates) >= 17
    assert all(rate.high - rate.low > 0.15 for rate in rates)


def test_information_of_one_thing_with_itself_is_its_entropy_and_of_two_coins_is_none():
    rng = np.random.default_rng(0)
    coin, other = rng.integers(0, 2, 4_000), rng.integers(0, 2, 4_000)
    same = traces.mutual_information(coin, coin, shuffles=99, seed=0)
    assert same.bits == pytest.approx(1, abs=0.01)
    assert same.p == 0.01
    none = traces.mutual_information(coin, other, shuffles=99, seed=0)
    assert abs(none.excess) < 0.002
    assert none.p > 0.01


def test_a_bag_of_words_names_what_words_tell_and_guesses_the_rest():
    texts = ["red rose", "blue sea"] * 300
    assert traces.name_label(texts, [0, 1] * 300, seed=0).rate == 1
    rng = np.random.default_rng(1)
    guess = traces.name_label(texts * 3, rng.integers(0, 2, 1_800), seed=0)
    assert guess.low < 0.5 < guess.high
    lopsided = traces.name_label(texts * 3, rng.random(1_800) < 0.1, seed=0)
    assert lopsided.low < 0.5 < lopsided.high
