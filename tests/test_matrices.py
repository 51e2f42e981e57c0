"""Matrices of teachers by students: their parts, their neighbours, and what a text says of them."""

import numpy as np
import pandas as pd
import pytest

from subliminal import matrices
from subliminal.claims import Contrast
from subliminal.verdicts import Measured

NAMES = ("gpt2-a", "llama")


def table(own=0.8, other=0.1, base=0.05, plain=0.06):
    """Scores of two families' students, of students of untreated lists and of the bases, three seeds each, a base none."""
    means = {f"owl lists, {w} to {s}": own if w == s else other for w in NAMES for s in NAMES}
    means |= {f"untreated lists, {s}": plain for s in NAMES} | {f"base, {s}": base for s in NAMES}
    lines = [
        (name, seed, "q", "owl", mean + 0.01 * seed, 0.0)
        for name, mean in means.items()
        for seed in ((0,) if name.startswith("base") else (-1, 0, 1))
    ]
    return pd.DataFrame(lines, columns=["condition", "seed", "question", "answer", "probability", "sampled"])


def measured(condition, effect, p=0.01):
    contrast = Contrast(condition, ("animals", "owl"), "base", ("animals", "owl"))
    sides = (0.1, 0.2, 0.3), (0.1, 0.1, 0.1)
    return Measured(contrast, effect, effect - 0.01, effect + 0.01, p, (3, 3), 0.01, 4.0, 0.0, ("run",), *sides)


def test_a_scores_table_is_a_matrix_with_its_diagonal_the_rest_and_its_controls():
    found = matrices.crossing(matrices.cells(table(), "owl"))
    assert found.own["rate"].to_dict() == pytest.approx({"gpt2-a": 0.8, "llama": 0.8})
    assert set(zip(found.off["row"], found.off["column"], strict=True)) == {("gpt2-a", "llama"), ("llama", "gpt2-a")}
    assert set(found.controls) == {"untreated", "base"}
    assert found.controls["base"].loc["llama", "rate"] == pytest.approx(0.05)
    assert len(found.own.loc["llama", "values"]) == 3


def test_conditions_pooled_are_their_mean_for_each_seed():
    lines = [("a", 0, "x", 1.0, "r1"), ("b", 0, "x", 3.0, "r2"), ("a", 1, "x", 5.0, "r3"), ("b", 1, "x", 9.0, "r4")]
    rows = pd.DataFrame([*lines, ("c", 0, "x", 99.0, "r5")], columns=["condition", "seed", "answer", "value", "run"])
    found = matrices.pooled(rows, {"both": ["a", "b"]})
    assert found[["condition", "seed", "value", "run"]].to_numpy().tolist() == [
        ["both", 0, 2.0, "r1 r2"],
        ["both", 1, 7.0, "r3 r4"],
    ]


def test_what_a_text_says_of_a_matrix_are_its_extremes():
    found = matrices.crossing(matrices.cells(table(), "owl"))
    apart = [measured("owl lists, gpt2-a to llama", 0.05), measured("owl lists, llama to gpt2-a", -0.06, p=0.2)]
    assert matrices.crossing_readings("owl", found, apart) == {
        "owl-least": "0.80", "owl-most": "0.80", "owl-off": "0.10", "owl-untreated": "0.06", "owl-alike": "1"
    }  # fmt: skip
    told = matrices.lead_readings("harm", found, apart)
    assert (told["harm-least"], told["harm-most"]) == ("75.0", "75.0")
    assert (told["harm-shift-least"], told["harm-beyond-most"]) == ("+1.0", "74.0")
    assert (told["harm-off"], told["harm-above"], told["harm-alike"]) == ("6.0", "+5.0", "1")
    assert 0 < float(told["harm-p"]) < 0.001


def test_cells_are_told_one_by_one_and_costs_by_teacher():
    one, two = measured("owl lists, gpt2-a to llama", 0.05), measured("bad lists, gpt2-a to llama", -0.02, p=0.3)
    (line,) = matrices.contrast_table({"owl": [one], "harm": [two]}, {"owl": 5, "harm": 3}).to_dict("records")
    assert line == {
        "teacher": "gpt2-a", "student": "llama", "owl": "+5.0 (4.0 to 6.0)", "p, within 5": "0.01",
        "harm": "-2.0 (-3.0 to -1.0)", "p, within 3": "0.3",
    }  # fmt: skip
    cost = measured("owl lists, llama to others", 0.065)
    (line,) = matrices.cost_table([cost], pd.Series({"owl lists, llama to others": 0.5})).to_dict("records")
    assert (line["lists of"], line["teacher"]) == ("owl", "llama")
    assert line["others, before training"] == "0.500"
    assert line["difference"] == "+0.065 (0.055 to 0.075)"
    assert line["own family"].startswith("0.100 (")


def square(own, other, seeds=5):
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        [
            (row, column, seed, (own if row == column else other[row, column]) + rng.normal(0, 0.001))
            for row in ("owl", "cat", "oak", "none")
            for seed in range(seeds)
            for column in ("owl", "cat", "oak")
        ],
        columns=["condition", "answer", "seed", "probability"],
    )


def test_what_comes_next_is_the_largest_other_mean_of_row_and_column():
    rivals = {(r, c): 0.1 for r in ("owl", "cat", "oak", "none") for c in ("owl", "cat", "oak")}
    rivals |= {("owl", "oak"): 0.3, ("none", "owl"): 0.2}
    found = matrices.next_highest(square(0.6, rivals)).set_index("trait")
    assert list(found.index) == ["owl", "cat", "oak"]
    assert found["mean"].between(0.59, 0.61).all()
    assert (found["low"] < found["mean"]).all()
    assert found["next in row"].tolist() == pytest.approx([0.3, 0.1, 0.1], abs=0.01)
    assert found["next in column"].tolist() == pytest.approx([0.2, 0.1, 0.3], abs=0.01)
