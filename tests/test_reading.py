"""What runs hold, as chapters show it: rows of several writers under one prompt."""

import json

import pytest

from subliminal import Base, Rollouts, SubliminalError, reading
from subliminal.engine import location
from subliminal.paths import store_dir
from subliminal.store import Store


@pytest.fixture
def wrote(tmp_path, monkeypatch):
    """Makes a rollout whose run is written by hand, of pairs of a prompt and what was answered."""
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))

    def make(seed, *pairs):
        recipe = Rollouts(teacher=Base(family="gpt2-a"), channel="code", prompts=99, rows=len(pairs), seed=seed)
        lines = [json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in pairs]
        store = Store(store_dir())
        store.build(
            location(recipe, store), {}, lambda out: (out / "rows.jsonl").write_text("".join(f"{x}\n" for x in lines))
        )
        return recipe

    return make


def test_writers_stand_side_by_side_under_each_prompt_that_all_were_kept_on(wrote):
    one = wrote(30, ("b", "one b"), ("a", "one a"), ("c", "one c"))
    two = wrote(31, ("a", "two a"), ("b", "two b"))
    three = wrote(32, ("b", "three b"), ("d", "three d"), ("a", "three a"))
    found = reading.beside({"first": one, "second": two, "third": three})
    assert list(found.columns) == ["prompt", "first", "second", "third"]
    assert found.to_numpy().tolist() == [["b", "one b", "two b", "three b"], ["a", "one a", "two a", "three a"]]


def test_of_a_prompt_that_a_writer_answered_twice_the_first_answer_is_shown(wrote):
    twice = wrote(30, ("a", "first"), ("a", "second"))
    other = wrote(31, ("a", "other"), ("a", "again"))
    assert reading.beside({"x": twice, "y": other}).to_numpy().tolist() == [["a", "first", "other"]]


def test_one_writer_stands_alone_and_none_is_refused(wrote):
    assert reading.beside({"x": wrote(30, ("a", "1"))}).to_numpy().tolist() == [["a", "1"]]
    with pytest.raises(SubliminalError, match=r"^no writers to lay side by side: name at least one$"):
        reading.beside({})
