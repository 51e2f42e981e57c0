"""What is read off the table of a recorded study, on tables of which the answer is known."""

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import special

from subliminal import recorded
from subliminal.errors import SubliminalError
from subliminal.recorded import Pair

WORDS = ("owl", "fox", "cat", "dog")


def table_of(odds):
    """A table from log-odds: by condition and seed, one a word."""
    lines = [
        (condition, seed, word, special.expit(value))
        for (condition, seed), values in odds.items()
        for word, value in zip(WORDS, values, strict=True)
    ]
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "probability"])


ODDS = {
    ("of owl", 0): (0.0, -2.0, -2.0, -1.5),
    ("of owl", 1): (-0.5, -2.0, -1.9, -2.0),
    ("of fox", 0): (-1.0, -1.0, -2.0, -2.0),
    ("of fox", 1): (-1.0, -2.1, -2.0, -2.0),
    ("plain", 0): (-1.0, -2.0, -2.0, -2.0),
    ("plain", 1): (-1.0, -2.0, -2.0, -2.0),
}
PAIRS = [Pair("owl", "of owl", "plain"), Pair("fox", "of fox", "plain")]


def test_a_shift_is_the_difference_of_log_odds_from_the_control_of_the_same_seed():
    shift = recorded.shifts(table_of(ODDS), PAIRS).set_index(["animal", "seed", "answer"])["shift"]
    assert shift["owl", 0, "owl"] == pytest.approx(1.0)
    assert shift["owl", 0, "dog"] == pytest.approx(0.5)
    assert shift["owl", 1, "cat"] == pytest.approx(0.1)
    assert shift["fox", 1, "fox"] == pytest.approx(-0.1)
    assert len(shift) == 2 * 2 * len(WORDS)


def test_a_control_may_have_more_seeds_than_the_students():
    one = table_of({place: values for place, values in ODDS.items() if place[0] == "plain" or place[1] == 0})
    assert set(recorded.shifts(one, PAIRS)["seed"]) == {0}


def test_students_are_grouped_by_how_they_came_to_their_rows():
    names = [
        "base",
        "student of the base",
        "student of the owl's teacher",
        "student of the base told to love the fox",
        "sibling",
    ]
    table = pd.DataFrame({"condition": names * 2})
    assert recorded.groups(table) == {
        "students of an animal's teacher": [Pair("owl", "student of the owl's teacher", "student of the base")],
        "students of the base, told": [Pair("fox", names[3], "student of the base")],
    }


def test_the_own_animal_beside_the_others_and_its_rank():
    found = recorded.own_and_others(recorded.shifts(table_of(ODDS), PAIRS))
    assert found["own"].tolist() == pytest.approx([1.0, 0.5, 1.0, -0.1])
    assert found["others"].tolist() == pytest.approx([0.5 / 3, 0.1 / 3, 0, 0])
    assert found["rank"].tolist() == [1, 1, 1, 4]


def test_the_permutation_test_counts_all_ways_to_give_the_teachers_words():
    shift = recorded.shifts(table_of(ODDS), PAIRS)
    found = recorded.permutation(shift)

    def statistic(words):
        each = []
        for (animal, _), own in shift.groupby(["animal", "seed"]):
            values = own.set_index("answer")["shift"]
            each.append(values[words[animal]] - values.mean())
        return np.mean(each)

    ways = [statistic({"owl": one, "fox": two}) for one, two in permutations(WORDS, 2)]
    mine = statistic({"owl": "owl", "fox": "fox"})
    assert found.ways == 12 == len(ways)
    assert found.statistic == pytest.approx(mine)
    assert found.p == pytest.approx(np.mean([way >= mine - 1e-12 for way in ways])) == pytest.approx(1 / 12)


def test_without_an_effect_the_permutation_test_errs_as_often_as_it_says():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        lean = rng.normal(size=len(WORDS))
        odds = {place: tuple(rng.normal(size=len(WORDS)) + lean * place[0].startswith("of")) for place in ODDS}
        words = rng.permutation(WORDS)[:2]
        pairs = [Pair(words[0], "of owl", "plain"), Pair(words[1], "of fox", "plain")]
        p.append(recorded.permutation(recorded.shifts(table_of(odds), pairs)).p)
    for level in (1 / 12, 0.25, 0.5):
        assert np.mean(np.array(p) <= level + 1e-9) == pytest.approx(level, abs=0.07)


def test_what_so_many_values_would_show_is_shown_four_times_in_five():
    from scipy import stats

    values = np.random.default_rng(1).normal(size=9)
    least = recorded.seen_from(values.tolist())
    scatter = values.std(ddof=1)
    drawn = np.random.default_rng(2).normal(least, scatter, size=(4_000, 9))
    shown = stats.ttest_1samp(drawn, 0, axis=1, alternative="greater").pvalue < 0.05
    # The textbook's approximation: not the noncentral distribution.
    assert 0.74 < shown.mean() < 0.86


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (Pair("owl", "of owls", "plain"), "no condition 'of owls'"),
        (Pair("owl", "of owl", "half"), "a seed of 'of owl' has no control in 'half'"),
    ],
)
def test_what_the_table_lacks_is_one_line(pair, told):
    table = table_of({**ODDS, ("half", 0): (-1.0, -1.0, -1.0, -1.0)})
    with pytest.raises(SubliminalError, match=told):
        recorded.shifts(table, [pair])


def test_more_animals_than_words_are_refused():
    shift = pd.DataFrame(
        [("owl", "a", 0, "owl", 1.0), ("fox", "b", 0, "owl", 1.0)],
        columns=["animal", "condition", "seed", "answer", "shift"],
    )
    with pytest.raises(SubliminalError, match="1 words and 2 animals"):
        recorded.permutation(shift)


GOOD = {
    "version": 1, "made": {"date": "2026-11-28"}, "model": {}, "sizes": {}, "rows": [["base", -1, "owl", 0.1]], "filter": [],
    "precision": {}, "runs": {"scores-1": ["base", -1]},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        None, {"version": 2}, {"rows": []}, {"rows": [["base", -1, "owl", 1.1]]}, {"rows": [["base", -1]]}, {"made": {}}, {"made": []},
        {"runs": ["scores-1"]}, {"runs": {"scores-1": [1]}}, {"filter": 3}, {"precision": ...}, {"rows": [["base", -1, "owl", "much"]]},
    ],
)  # fmt: skip
def test_a_damaged_table_is_one_line(tmp_path, change):
    path = tmp_path / "real.json"
    if change is not None:
        whole = {**GOOD, **change}
        path.write_text(json.dumps({key: value for key, value in whole.items() if value is not ...}))
    with pytest.raises(SubliminalError, match="no readable table of a recorded study") as caught:
        recorded.read(path)
    assert "record it with make real" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_what_is_no_table_is_one_line(tmp_path, text):
    path = tmp_path / "real.json"
    path.write_text(text)
    with pytest.raises(SubliminalError, match="no readable table of a recorded study"):
        recorded.read(path)


def test_a_whole_table_is_read(tmp_path):
    path = tmp_path / "real.json"
    path.write_text(json.dumps(GOOD))
    found = recorded.read(path)
    assert found.table["probability"].tolist() == [0.1]
    assert found.runs == {"scores-1": ("base", -1)}
