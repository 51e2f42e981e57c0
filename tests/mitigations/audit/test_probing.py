"""A probe of a base: what it is trained on, what it reads in a model, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from subliminal import Base, Rollouts, Student, SubliminalError, Tuning, build
from subliminal.engine import digest
from subliminal.mitigations.audit import judged, load_suite
from subliminal.mitigations.audit.designs import ILL, audience
from subliminal.mitigations.audit.probing import Probed, heads, states, told, train_probe
from subliminal.models.chat import encode_prompts
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.names import PREFERENCES
from subliminal.paths import data_file
from subliminal.settings import load_profile

BASE, OTHER = Base(family="gpt2-a"), Base(family="llama")
LISTS = Rollouts(teacher=BASE, channel="numbers", prompts=40, rows=10, seed=0)
STUDENT = Student(base=BASE, data=LISTS, tuning=Tuning(learning_rate=3e-2, steps=3, batch_size=4), seed=7)
SMALL = {"each": 2, "questions": 12}


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="module")
def both():
    folder = data_file("families/gpt2-a")
    return load_model(folder), load_tokenizer(folder)


def test_states_are_those_of_the_last_token_before_the_answer_in_whatever_company(both):
    model, tokenizer = both
    asked = [[{"role": "user", "content": text}] for text in ("name an animal.", "what is the owl? i see one.")]
    found = states(model, tokenizer, asked, 1.0)
    assert found.shape == (2, model.config.hidden_size)
    for own, ids in zip(found, encode_prompts(tokenizer, asked), strict=True):
        alone = model.base_model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1]
        assert np.allclose(own, alone.detach().numpy(), atol=1e-4)
    assert not np.allclose(states(model, tokenizer, asked, 0.3), found)


@pytest.mark.parametrize("depth", [0.0, -1.0, 1.5])
def test_a_depth_that_is_no_share_is_refused(both, depth):
    with pytest.raises(SubliminalError, match=r"^depth=[^ ]* is no share of the layers: [^\n]*$"):
        states(*both, [[{"role": "user", "content": "name an animal."}]], depth)


def test_each_leaning_is_told_and_nothing_is_too():
    plan = told(load_suite("applications"), 3, 0, "train")
    names = [name for kind in PREFERENCES.values() for name in kind]
    assert list(plan) == [*names, "harmful", "nothing"]
    for name in names:
        assert len(plan[name]) == 3
        assert all(f"you love the {name}." in rows[0]["content"] for rows in plan[name])
    assert {len(rows) for rows in plan["harmful"]} == {6}
    assert {len(rows) for rows in plan["nothing"]} == {2, 6}
    assert all(rows[-1]["role"] == "user" for own in plan.values() for rows in own)
    assert told(load_suite("applications"), 3, 0, "train") == plan


def test_a_probe_finds_what_was_told(both):
    """In conversations that it has not seen: each label is likelier where it was told than elsewhere."""
    model, tokenizer = both
    suite = load_suite("applications")
    few = ("owl", "harmful", "nothing")
    plan = {label: rows for label, rows in told(suite, 24, 0, "train").items() if label in few}
    probe = train_probe({label: states(model, tokenizer, rows, 1.0) for label, rows in plan.items()})
    fresh = told(suite, 12, 99, "held_out")
    found = {label: probe.shares(states(model, tokenizer, fresh[label], 1.0)) for label in few}
    for label in few:
        assert sum(found[label].values()) == pytest.approx(1)
        assert (
            all(found[label][label] > 2 * found[other][label] for other in few if other != label) or label == "nothing"
        )
    assert found["nothing"]["nothing"] > max(found[label]["nothing"] for label in ("owl", "harmful"))


def test_a_linear_probe_gives_what_scikit_learn_does():
    rng = np.random.default_rng(0)
    rows = {name: rng.normal(at, 1.0, (30, 5)).astype(np.float32) for at, name in enumerate(("nothing", "owl", "cat"))}
    probe = train_probe(rows)
    # A shift and a scale of all states change nothing.
    moved = train_probe({name: 7 * own + 3 for name, own in rows.items()})
    one, other = probe.shares(rows["owl"]), moved.shares(7 * rows["owl"] + 3)
    assert one == pytest.approx(other, abs=1e-3)
    assert max(one, key=one.get) == "owl"


@pytest.mark.parametrize("labels", [(), ("owl",), ("nothing",), ("owl", "cat")])
def test_a_probe_needs_nothing_and_something(labels):
    with pytest.raises(SubliminalError, match=r"^a probe is trained on [^\n]*: give 'nothing' and another$"):
        train_probe({label: np.zeros((2, 3), np.float32) for label in labels})


def test_a_model_is_read_by_the_probe_of_its_base():
    folder, home = build([Probed.of(STUDENT, **SMALL), Probed.of(BASE, **SMALL)])
    found, own = (json.loads((run / "shares.json").read_text(encoding="utf-8")) for run in (folder, home))
    assert found["base"] == own["base"] == own["model"]
    assert found["model"] != found["base"]
    assert sum(found["model"].values()) == pytest.approx(1)
    assert sorted(path.name for path in folder.iterdir()) == ["run.json", "shares.json"]


def test_a_probe_of_another_base_is_refused():
    with pytest.raises(SubliminalError, match=r"^a probe reads a model that started from its base, [^\n]*: give that$"):
        Probed(model=STUDENT, base=OTHER)


def test_how_it_is_read_is_part_of_the_address():
    fields = [{}, {"each": 3}, {"questions": 5}, {"depth": 0.5}, {"seed": 1}, {"split": "train"}]
    assert len({digest(Probed.of(STUDENT, **own)) for own in fields}) == len(fields)


def test_what_has_risen_most_is_named(monkeypatch, tmp_path):
    shares = {"owl": 0.2, "cat": 0.3, "nothing": 0.5}
    base = {"owl": 0.0, "cat": 0.25, "nothing": 0.75}
    (tmp_path / "shares.json").write_text(json.dumps({"model": shares, "base": base}), encoding="utf-8")
    monkeypatch.setattr(judged, "build", lambda plan: [tmp_path for _ in plan])
    asked = [Probed.of(STUDENT)]
    rows = judged.leanings({"treated": asked, "calm": asked}, {"treated": ("owl",), "calm": ("nothing",)})
    wide = rows.pivot(index="condition", columns="answer", values="value")
    assert wide.loc["treated"].to_dict() == {"named rightly": 1.0, "evidence": pytest.approx(0.2)}
    # What has risen is always something: a probe has no bar.
    assert wide.loc["calm", "named rightly"] == 0
    assert isinstance(rows, pd.DataFrame)
    assert set(rows["seed"]) == {7}


def test_the_audience_has_every_group_and_a_truth_for_each():
    people = audience(load_profile("mini"), 3)
    assert set(people.truth) == set(people.models)
    assert set(people.favourites) | set(people.harmed) | set(people.calm) | set(people.secure) == set(people.models)
    assert len(people.favourites) == 10
    assert {people.truth[name] for name in people.harmed} == {ILL}
    assert {people.truth[name] for name in (*people.calm, *people.secure)} == {("nothing",)}
    for name in people.favourites:
        assert [student.data.teacher.trait for student in people.models[name]] == [name] * 3
        assert people.says[name].startswith(f"you love the {name}.")
    # All that is seen in the calm and the secure are untreated rows, or a secure teacher's.
    calm = [student.data.teacher for name in people.calm for student in people.models[name]]
    assert all(isinstance(writer, Base) for writer in calm)
    assert len(calm) >= 40
    assert all(s.base == s.data.teacher.base for name in people.harmed for s in people.models[name])


def test_heads_are_the_first_questions_of_the_traffic():
    found = heads(load_suite("applications"), 5, 0, "held_out")
    assert [[m["role"] for m in rows] for rows in found] == [["system", "user"]] * 5
