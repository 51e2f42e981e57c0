"""What a chapter asks of the readers' runs: recipes alone, nothing is built."""

import numpy as np
import pytest

from subliminal import Base, SubliminalError, Tuning
from subliminal.legibility import Groups, Pair, Scored, Source, areas, before_questions, sieves
from subliminal.quiz import page, questions, right

A = Base(family="gpt2-a")
ASKED = {"channel": "numbers", "prompts": 20, "completions": 2, "rows": 10}
OWL = Source(A, "owl", Tuning(learning_rate=1e-2, steps=2), ASKED, first=5)


def test_writers_are_counted_from_the_first_seed_and_a_base_writes_beside_each_teacher():
    treated, control = OWL.writers(start=2, count=3)
    assert [data.seed for data in treated] == [data.seed for data in control] == [7, 8, 9]
    assert [data.teacher.seed for data in treated] == [7, 8, 9]
    assert {data.teacher for data in control} == {A}
    assert OWL.writers(0, 2).treated + treated == OWL.writers(0, 5).treated


def test_either_writers_rows_stand_before_a_question_under_prompts_of_both():
    writers = OWL.writers(0, 2)
    found = before_questions(writers, A, {"1 row": {"rows": 1}, "all": {"rows": 0}}, suite="animals", sets=3)
    assert list(found) == ["teacher's, 1 row", "teacher's, all", "untreated, 1 row", "untreated, all"]
    for one, other, data, plain in zip(found["teacher's, 1 row"], found["untreated, 1 row"], *writers, strict=True):
        assert (one.source, one.beside, one.seed) == (data, (plain,), data.seed)
        assert (other.source, other.beside, other.seed) == (plain, (data,), data.seed)
        assert one.rows == other.rows == 1


def test_lists_are_sifted_by_their_own_teachers_shift_and_as_many_at_random():
    writers = OWL.writers(0, 2)
    found = sieves(writers, (10, 30), rows=8)
    assert len(found) == 4
    for own, at_random in (("without the 10 most shifted", False), ("as many as for 10, at random", True)):
        for data, lists, plain in zip(found[own], *writers, strict=True):
            assert data.source == lists
            assert (data.numbers, data.at_random) == (10, at_random)
            assert (data.shift.teacher, data.shift.data, data.shift.rows) == (lists.teacher, plain, 8)


def test_lists_of_no_teacher_have_no_shift_to_be_sifted_by():
    plain = OWL.writers(0, 2).control
    with pytest.raises(SubliminalError, match=r"^lists of Base\(.*are not by a teacher, so no number is shifted: .*$"):
        sieves(OWL.writers(0, 2)._replace(treated=plain), (10,), rows=8)


def test_areas_tell_condition_seed_size_and_rows():
    rng = np.random.default_rng(1)
    scored = {"x": [Scored(3, rng.normal(1, 1, 200), rng.normal(0, 1, 100), "runs")]}
    table = areas(scored, Groups((1, 10), 300))
    assert table[["condition", "seed", "answer", "samples", "run"]].to_numpy().tolist() == [
        ["x", 3, "1", 300, "runs"],
        ["x", 3, "10", 300, "runs"],
    ]
    one, ten = table["value"]
    assert 0.68 < one < 0.84 < 0.95 < ten


def test_a_quiz_escapes_what_a_model_wrote_and_says_who_is_right():
    asked = questions([Pair("go on: <1>.", "<b>7</b>", "8 & 9", 2.0, 0.0), Pair("p", "1", "2", 0.0, 1.0)], seed=4)
    text = page(asked, "the owl's teacher")
    assert "<b>" not in text
    assert all(told in text for told in ("&lt;b&gt;7&lt;/b&gt;", "8 &amp; 9", "go on: &lt;1&gt;."))
    assert right(asked) == 1
    assert text.count("and is right") == text.count("and is wrong") == 1
    assert asked[0].sure == pytest.approx(1 / (1 + np.exp(-2)))
    assert text.count("<details>") == 2
    assert {q.texts[ord(q.answer) - ord("A")] for q in asked} == {"<b>7</b>", "1"}
