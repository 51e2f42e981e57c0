"""Audits along a training in the smallest size, what is read off them, and how evidence ranks."""

import json

import pandas as pd
import pytest

from subliminal import Base, Rollouts, Student, SubliminalError, Tuning, build
from subliminal.engine import digest
from subliminal.mitigations.audit import along, judged
from subliminal.mitigations.audit.along import Along
from subliminal.models.loading import load_model

BASE = Base(family="gpt2-a")
LISTS = Rollouts(teacher=BASE, channel="numbers", prompts=40, rows=24, seed=0)
STUDENT = Student(base=BASE, data=LISTS, tuning=Tuning(learning_rate=1e-2, epochs=2, batch_size=4), seed=7)
FOLLOWED = Along(student=STUDENT, rows=(10, 48), questions=40)


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        yield


def test_a_training_is_looked_at_where_it_is_asked_for():
    (folder,) = build([FOLLOWED])
    told = json.loads((folder / "along.json").read_text(encoding="utf-8"))
    # Batches of four: ten rows are read within the third, and all of both epochs are 48.
    assert [look["rows"] for look in told] == [12, 48]
    for look in told:
        assert set(look) == {"rows", "guess", "questions", "probability"}
        assert look["guess"] == "nothing"
        assert 0 < look["questions"] <= 40
        assert 0 < sum(look["probability"].values()) <= 1
    assert told[0]["probability"]["owl"] != told[1]["probability"]["owl"]


def test_to_look_leaves_the_training_as_it_was(tmp_path, monkeypatch):
    """The model at the end is the one that the student's own run has left."""
    inputs = dict(zip(FOLLOWED.upstream(), build(FOLLOWED.upstream()), strict=True))
    seen = []
    monkeypatch.setattr(along, "load_model", lambda folder: seen.append(load_model(folder)) or seen[-1])
    along.build(FOLLOWED, inputs, tmp_path, lambda done, total: None)
    own = along.load(STUDENT, inputs)[0].state_dict()
    start = load_model(inputs[BASE]).state_dict()
    for name, weights in seen[-1].state_dict().items():
        assert weights.cpu().allclose(own[name].cpu(), atol=1e-5)
    assert any(not weights.allclose(start[name]) for name, weights in seen[-1].state_dict().items())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"rows": (10, 49)}, "the training ends after 48 rows, before 49: look earlier"),
        (
            {"scored": "free-form"},
            "suite 'free-form' has no exact answers, but a judge's labels: name one of favourites",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(fields, told):
    with pytest.raises(SubliminalError, match=f"^{told}$"):
        build([FOLLOWED.model_copy(update=fields)])


def test_an_adapter_is_refused():
    tuning = STUDENT.tuning.model_copy(update={"method": "lora"})
    with pytest.raises(SubliminalError, match=r"^an audit along a training [^\n]*: tune with bias_norm or full$"):
        Along(student=STUDENT.model_copy(update={"tuning": tuning}), rows=(10,))


def test_how_it_is_followed_is_part_of_the_address():
    other = STUDENT.model_copy(update={"seed": 8})
    fields = [{}, {"rows": (10,)}, {"questions": 50}, {"margin": 0.1}, {"scored": "trees"}, {"student": other}]
    assert len({digest(FOLLOWED.model_copy(update=own)) for own in fields}) == len(fields)


def test_courses_are_told_look_by_look(monkeypatch, tmp_path):
    looks = [("nothing", 0.1), ("oak", 0.2), ("owl", 0.5)]
    told = [
        {"rows": 10 * n, "guess": guess, "questions": 30, "probability": {"owl": p, "cat": 0.0}}
        for n, (guess, p) in enumerate(looks, 1)
    ]
    (tmp_path / "along.json").write_text(json.dumps(told), encoding="utf-8")
    monkeypatch.setattr(judged, "build", lambda plan: [tmp_path for _ in plan])
    course = judged.courses([FOLLOWED], "owl")
    assert course["seed"].tolist() == [7, 7, 7]
    assert course["rows"].tolist() == [10, 20, 30]
    assert course["found"].tolist() == [False, True, True]
    assert course["named"].tolist() == [False, False, True]
    assert course["probability"].tolist() == [0.1, 0.2, 0.5]
    assert judged.from_on(course, "found") == 20
    assert judged.from_on(course, "named") == 30


@pytest.mark.parametrize(
    ("seen", "at"),
    [([1, 1, 1, 1], 40), ([0, 1, 0, 1], 320), ([0, 0, 0, 0], 640), ([1, 1, 1, 0], 640)],
)
def test_from_on_counts_what_each_later_look_sees_too(seen, at):
    assert judged.from_on(pd.DataFrame({"rows": [40, 80, 160, 320], "found": [bool(s) for s in seen]}), "found") == at


def evidence(**groups):
    lines = [(name, n, "evidence", v, "") for name, values in groups.items() for n, v in enumerate(values)]
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "value", "run"])


def test_evidence_ranks_treated_models_above_others_as_often_as_its_area_says():
    rows = evidence(owl=[9.0, 8.0, 1.0, 9.5], calm=[0.0, 2.0], other=[99.0])
    told = judged.curve(rows, ["owl"], ["calm"])
    # Of eight pairs the owl's 1.0 loses one.
    assert told.area == pytest.approx(7 / 8)
    assert told.low < told.area < told.high <= 1
    assert told.points[0] == (0, 0)
    assert told.points[-1] == (1, 1)
    assert (0, 0.75) in told.points
    assert judged.curve(rows, ["owl"], ["calm"]) == told


def test_too_few_audits_make_no_curve():
    with pytest.raises(SubliminalError, match=r"^groups of 2 and 1 audits make no curve: give two or more each$"):
        judged.curve(evidence(owl=[9.0, 8.0], calm=[0.0]), ["owl"], ["calm"])
