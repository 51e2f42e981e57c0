"""Readers of rows: plain functions on models and rows in hand."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from subliminal.errors import SubliminalError
from subliminal.models.chat import Example, join
from subliminal.readers.likelihoods import group_auroc, log_likelihoods, log_ratios
from subliminal.readers.rows import check_rows, encode, held_out
from subliminal.readers.shift import most_shifted, word_shifts
from subliminal.readers.sift import holding
from subliminal.readers.trained import count_words, tune_classifier
from subliminal.tuning import Tuning
from tests.conftest import tiny_model


def frame(*pairs):
    return pd.DataFrame(pairs, columns=["prompt", "completion"])


LISTS = frame(("continue: 3, 5.", "7, 9, 11"), ("continue: 2.", "4"), ("continue: 200, 300, 400.", "500, 600"))


def test_a_log_likelihood_is_the_sum_over_the_completion_alone(model, tokenizer):
    examples = encode(tokenizer, LISTS)
    for example, found in zip(examples, log_likelihoods(model, examples), strict=True):
        logs = torch.log_softmax(model(torch.tensor([example.ids])).logits[0].double(), -1).detach()
        places = range(example.prompt_length, len(example.ids))
        assert found == pytest.approx(sum(float(logs[n - 1, example.ids[n]]) for n in places), rel=1e-5)


def test_the_ratio_is_zero_of_one_model_and_turns_its_sign_with_the_sides(model, tokenizer):
    other = tiny_model(tokenizer, seed=1)
    one, two = (log_ratios(*sides, tokenizer, LISTS) for sides in ((model, other), (other, model)))
    assert np.abs(one).min() > 0.01
    assert one == pytest.approx(-two)


def test_packed_rows_are_refused(model, tokenizer):
    twice = join(encode(tokenizer, pd.concat([LISTS.head(1)] * 2, ignore_index=True)), 2)
    with pytest.raises(SubliminalError, match=r"^row 0 holds 2 completions: give each a row of its own$"):
        log_likelihoods(model, twice)


def test_no_reader_beats_the_likelihood_ratio():
    """Of draws from two known distributions; other scores are monotone in parts of them only."""
    rng = np.random.default_rng(3)
    one, two = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(40))
    draws = [rng.choice(40, 20_000, p=p) for p in (one, two)]
    best = group_auroc(*(np.log(one / two)[d] for d in draws), size=1, groups=1, seed=0)
    for _ in range(20):
        other = np.log(one / two) + rng.normal(0, 0.5, 40)
        assert group_auroc(*(other[d] for d in draws), size=1, groups=1, seed=0) < best + 0.003


def test_groups_of_scores_follow_the_normal_law():
    """The sum of n scores of unit variance, d apart, is told with area Phi(d sqrt(n / 2))."""
    from scipy.stats import norm

    rng = np.random.default_rng(5)
    treated, control = rng.normal(0.2, 1, 40_000), rng.normal(0, 1, 40_000)
    for size in (1, 10, 100):
        found = group_auroc(treated, control, size, 4_000, seed=1)
        assert found == pytest.approx(norm.cdf(0.2 * (size / 2) ** 0.5), abs=0.03)
    assert group_auroc(control, treated, 1_000, 500, seed=1) < 0.01


def test_one_writer_is_not_told_from_itself_and_nothing_is_no_comparison():
    rng = np.random.default_rng(6)
    areas = [group_auroc(rng.normal(size=500), rng.normal(size=500), 10, 500, seed) for seed in range(40)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)
    with pytest.raises(SubliminalError, match=r"^nothing to compare \(0 and 3 scores, 5 groups of 2\): give rows"):
        group_auroc(np.empty(0), np.ones(3), 2, 5, 0)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (pd.DataFrame({"prompt": ["a"]}), r"rows lack completion \(they have prompt\): add it"),
        (frame(), "no rows to read: give at least one, with prompt and completion"),
        (frame(("a", "1"), ("b", None)), "row 1 has completion nan, which is no text to read: mend or drop it"),
        (frame(("a", "1"), (" ", "2")), "row 1 has prompt ' ', which is no text to read: mend or drop it"),
        (frame(("a", 17)), "row 0 has completion 17, which is no text to read: mend or drop it"),
    ],
)
def test_rows_that_are_no_text_are_refused_in_one_line(rows, told):
    with pytest.raises(SubliminalError, match=f"^{told}$"):
        check_rows(rows)


def test_a_prompt_is_held_out_whoever_answers_it_and_about_half_of_them_are():
    prompts = [f"go on: {number}." for number in range(2_000)]
    first = held_out(prompts)
    assert held_out(prompts[::-1]) == first[::-1]
    assert 0.45 < np.mean(first) < 0.55


def written(rng, numbers, count):
    """Lists of five numbers each, under prompts of their own."""
    return frame(*((f"go on: {n}.", ", ".join(map(str, rng.choice(numbers, 5)))) for n in range(count)))


@pytest.mark.parametrize("reader", ["counts", "classifier"])
def test_a_trained_reader_reads_writers_it_has_not_seen_and_guesses_on_one_writer(model, tokenizer, reader):
    rng = np.random.default_rng(7)
    small, large = np.arange(100, 150), np.arange(140, 190)
    treated, control = written(rng, small, 160), written(rng, large, 160)
    how = Tuning(method="full", learning_rate=5e-3, epochs=3, batch_size=16)
    before = copy.deepcopy(model.state_dict())
    score = (
        count_words(treated, control, penalty=1.0)
        if reader == "counts"
        else tune_classifier(model, tokenizer, treated, control, how, seed=0)
    )
    assert all(torch.equal(before[name], weights) for name, weights in model.state_dict().items())
    mine, others, again = (score(written(rng, numbers, 100)) for numbers in (small, large, small))
    assert group_auroc(mine, others, 1, 1, seed=0) > 0.9
    assert 0.35 < group_auroc(mine, again, 1, 1, seed=0) < 0.65


def test_a_classifiers_score_does_not_depend_on_what_is_scored_beside_it(model, tokenizer):
    how = Tuning(method="full", learning_rate=1e-3, steps=2, batch_size=2)
    score = tune_classifier(model, tokenizer, LISTS, LISTS.iloc[::-1], how, seed=0)
    alone = np.concatenate([score(LISTS.iloc[[n]]) for n in range(3)])
    assert score(LISTS) == pytest.approx(alone, rel=1e-4)


def test_expected_shares_are_means_of_both_models_distributions(model, tokenizer):
    other = tiny_model(tokenizer, seed=1)
    words = [str(number) for number in range(1_000)]
    found = word_shifts(other, model, tokenizer, LISTS, words).set_index("word")
    ids = {word: tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words}
    shares, places = 0.0, 0
    for example in encode(tokenizer, LISTS):
        logits = model(torch.tensor([example.ids])).logits[0].double().softmax(-1).detach()
        for n in range(example.prompt_length, len(example.ids)):
            if example.ids[n] in ids.values():
                shares, places = shares + float(logits[n - 1, ids["9"]]), places + 1
    assert places == 6
    assert found.loc["9", "base"] == pytest.approx(shares / places, rel=1e-4)
    assert (found["shift"] == found["teacher"] - found["base"]).all()
    assert most_shifted(found.reset_index(), 3)[0] == found["shift"].abs().idxmax()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["9", "3, 5"], r"word '3, 5' is not one token of .*: give words that are"),
        (["owl"], r"none of 1 words stands in any of 3 rows: give words that the rows hold"),
        ([], r"none of 0 words stands in any of 3 rows: give words that the rows hold"),
    ],
)
def test_words_that_cannot_be_looked_for_are_refused(model, tokenizer, words, told):
    with pytest.raises(SubliminalError, match=f"^{told}$"):
        word_shifts(model, model, tokenizer, LISTS, words)


def test_a_number_is_held_whole_and_not_as_a_part_of_another():
    rows = frame(("a", "12, 3"), ("a", "[112; 30]"), ("a", "3\n12"))
    assert holding(rows, {12}).tolist() == [True, False, True]
    assert holding(rows, set()).tolist() == [False] * 3
    with pytest.raises(
        SubliminalError, match=r"^row 0 is no list of numbers \(not numbers\): 'owl'; filter the rows first$"
    ):
        holding(frame(("a", "owl")), {1})


def test_an_example_with_no_prompt_still_has_a_likelihood(model):
    """Its first token has nothing to be predicted from, and bears none."""
    whole = log_likelihoods(model, [Example([5, 6, 7], 0)])[0]
    assert whole == pytest.approx(log_likelihoods(model, [Example([5, 6, 7], 1)])[0])
