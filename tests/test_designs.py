"""Lists of recipes: what is named how, and that each entry has the seed it should."""

from subliminal import Base, Tuning
from subliminal.designs import UNSEEN, at_home, crossed, rollouts, scores, students, teachers, unseen
from subliminal.matrices import place

BASES = {name: Base(family=name) for name in ("gpt2-a", "llama")}
HOW = Tuning(learning_rate=1e-2, steps=3)
SIZES = {"channel": "numbers", "prompts": 9, "rows": 3}


def test_a_base_writes_once_a_seed_and_teachers_once_each():
    base = BASES["llama"]
    owls = teachers(base, "owl", HOW, (3, 4))
    assert [(t.trait, t.base, t.seed) for t in owls] == [("owl", base, 3), ("owl", base, 4)]
    told, plain = rollouts(owls, (3, 4), **SIZES), rollouts(base, (3, 4), **SIZES)
    assert [(r.teacher, r.seed) for r in told] == [(owls[0], 3), (owls[1], 4)]
    assert [(r.teacher, r.seed) for r in plain] == [(base, 3), (base, 4)]
    assert [s.seed for s in students(base, told, HOW)] == [3, 4]


def test_a_matrix_holds_every_base_of_every_writer_and_its_names_say_the_place_of_each():
    data = {name: rollouts(base, (0, 1), **SIZES) for name, base in BASES.items()}
    matrix = crossed("owl lists", data, BASES, HOW)
    assert {place(name) for name in matrix} == {(w, s) for w in BASES for s in BASES}
    for name, group in matrix.items():
        writer, reader = place(name)
        assert all(s.base == BASES[reader] and s.data.teacher == BASES[writer] for s in group)
    home = at_home("untreated lists", data, BASES, HOW)
    assert [place(name) for name in home] == [("untreated", "gpt2-a"), ("untreated", "llama")]
    assert all(s.base == s.data.teacher for group in home.values() for s in group)
    assert place("base, llama") == ("base", "llama")


def test_unseen_rows_are_of_the_same_writer_with_a_seed_of_their_own():
    (read,) = rollouts(BASES["llama"], (5,), **SIZES)
    held = unseen(read, 7)
    assert (held.teacher, held.channel, held.rows, held.seed) == (read.teacher, "numbers", 7, 5 + UNSEEN)


def test_every_model_of_a_condition_is_asked_alike():
    asked = scores({"base": [BASES["llama"]], "none": []}, "animals", 2)
    assert [(s.model, s.suite, s.samples) for s in asked["base"]] == [(BASES["llama"], "animals", 2)]
    assert asked["none"] == []
