"""Mixed sources: which rows a mix holds, and what it refuses."""

import json

import pandas as pd
import pytest

from subliminal import Base, Rollouts, Student, SubliminalError, Teacher, Tuning, build
from subliminal.engine import digest
from subliminal.mitigations.mixing import alone, diluted, mix, mixed
from subliminal.readers import Shift, sifted
from subliminal.reading import rows


def lists(family, seed=0, channel="numbers", count=24):
    return Rollouts(
        teacher=Base(family=family), channel=channel, prompts=60, completions=4, rows=count, seed=seed
    )  # fmt: skip


ONE, TWO = lists("gpt2-a"), lists("neox")
TUNING = Tuning(learning_rate=1e-2, steps=2)


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        yield


def test_a_mix_holds_the_first_rows_of_one_and_the_others_from_there_on():
    found = rows(mixed(ONE, 0.25, TWO))
    first, second = rows(ONE), rows(TWO)
    assert found.equals(pd.concat([first[:6], second[6:24]], ignore_index=True))
    assert rows(mixed(ONE, 0, TWO)).equals(second)
    assert rows(mixed(ONE, 1, TWO)).equals(first)
    assert rows(mixed(ONE, 1, rows=5)).equals(first[:5])


def test_a_student_of_a_whole_share_is_the_student_of_the_rows_themselves():
    how = Tuning(learning_rate=1e-2, steps=2, batch_size=4)
    one, two = (Student(base=Base(family="gpt2-a"), data=d, tuning=how, seed=3) for d in (ONE, mixed(ONE, 1, TWO)))
    folders = build([one, two])
    assert len({(folder / "losses.json").read_text() for folder in folders}) == 1
    # A run's manifest tells that its rows were mixed.
    told = [json.loads((folder / "run.json").read_text())["recipe"]["data"] for folder in folders]
    assert "taken" not in told[0]
    assert (told[1]["taken"], told[1]["other"]["teacher"]["family"]) == (24, "neox")


def test_what_is_mixed_and_how_much_of_it_is_part_of_the_address():
    made = [mixed(ONE, 0.5, TWO), mixed(ONE, 0.25, TWO), mixed(ONE, 0.5, lists("llama")), mixed(TWO, 0.5, ONE)]
    assert len({digest(recipe) for recipe in made}) == 4


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda: mixed(ONE, 1.5, TWO), "a share of 1.5 of the rows: give one from 0 to 1"),
        (lambda: mixed(ONE, 0.5), "a mix of 24 rows takes 12 of 24, and those from there on of 0: ask for no more than there are"),
        (lambda: mixed(ONE, 0.5, TWO, rows=30), "a mix of 30 rows takes 15 of 24, and those from there on of 24: .*"),
        (lambda: mixed(ONE, 0.5, lists("neox", channel="code")), "rows of channel 'numbers' are mixed with rows of 'code': take one channel"),
        (lambda: mix(rows(ONE), rows(TWO), -1, 5), "a mix of 5 rows takes -1 of 24, .*"),
    ],
)  # fmt: skip
def test_what_cannot_be_mixed_is_refused_in_one_line(asked, told):
    with pytest.raises(SubliminalError, match=f"^{told}$"):
        asked()


def test_conditions_of_a_mix_say_what_is_taken_and_share_their_ends():
    others = {"neox": [TWO], "llama": [lists("llama")]}
    found = diluted("owl", [ONE], others, [0.5, 0.25], 16)
    assert list(found) == [f"owl among {name}, {share} %" for name in others for share in (100, 50, 25, 0)]
    assert [read.taken for read in found.values()] == 2 * [16, 8, 4, 0]
    # Nothing but tainted rows is one condition, whatever the others would have been; and a part of them read alone is the same.
    (whole,) = {read.data[0] for read in found.values() if read.taken == 16}
    read = alone("owl", [ONE], [8, 16])
    assert list(read) == ["owl alone, 8 rows", "owl alone, 16 rows", "owl alone, 24 rows"]
    assert (read["owl alone, 16 rows"].data[0], read["owl alone, 24 rows"].data[0]) == (whole, ONE)
    assert len(rows(found["owl among neox, 50 %"].data[0])) == 16


def test_rows_that_are_made_from_others_are_not_mixed_once_more():
    """Their own fields would be left out in silence, and the plain rollout beneath them be taken."""
    part, shift = (
        mixed(ONE, 1, rows=12),
        Shift(teacher=Teacher(base=ONE.teacher, trait="owl", tuning=TUNING, seed=0), data=ONE, rows=8),
    )
    for derived in (part, mixed(ONE, 0.25, TWO), sifted(ONE, shift, 3)):
        told = rf"^{type(derived).__name__} rows are made from others already: start from the rollouts that a teacher wrote$"
        for make in (lambda d: mixed(d, 0.5), lambda d: sifted(d, shift, 3), lambda d: alone("owl's", [d], [4])):
            with pytest.raises(SubliminalError, match=told):
                make(derived)
    # Among another's rows they may be: those are read as they are.
    assert mixed(ONE, 0.25, part, rows=8).upstream() == (ONE, part)
