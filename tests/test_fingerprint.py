import ast
import importlib
import os
import sys

import pytest

from subliminal import Base, Rollouts, Scores, Student, SubliminalError, Teacher, Tuning, fingerprint
from subliminal.errors import ModelFolderError
from subliminal.mitigations.mixing import mixed

TUNING = Tuning(learning_rate=1e-2, steps=3)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules: ``stage`` imports ``helper``; ``other`` is apart."""
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "stage.py").write_text('"""Doc."""\nfrom pack import helper\n\ndef build():\n    return helper.x\n')
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "other.py").write_text("y = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [m for m in sys.modules if m.partition(".")[0] == "pack"]:
        del sys.modules[name]


def code(*modules):
    fingerprint.code_digest.cache_clear()
    fingerprint._module.cache_clear()
    importlib.invalidate_caches()
    return fingerprint.code_digest(modules)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_prose_in_code_changes_nothing(package):
    before = code("pack.stage")
    edit(package / "stage.py", "Doc.", "Other words.")
    edit(package / "stage.py", "    return", "    # why\n    return")
    assert code("pack.stage") == before


@pytest.mark.parametrize(("name", "old", "new"), [("stage.py", "helper.x", "helper.x + 1"), ("helper.py", "1", "2")])
def test_code_that_a_stage_runs_changes_its_digest(package, name, old, new):
    before = code("pack.stage")
    edit(package / name, old, new)
    assert code("pack.stage") != before


def test_code_apart_changes_nothing(package):
    before = code("pack.stage")
    edit(package / "other.py", "1", "2")
    assert code("pack.stage") == before


def test_a_stage_depends_on_the_training_loop_and_scores_do_not():
    def modules(start):
        seen, queue = set(), [start]
        while queue:
            name = queue.pop()
            if name not in seen:
                seen.add(name)
                queue += fingerprint._module(name)[1]
        return seen

    assert "subliminal.training" in modules("subliminal.pipeline.student")
    # How weights are kept is part of a run's address: a store of before is never read as one of now.
    for stage in ("student", "teacher", "scores", "rollouts"):
        assert {"subliminal.models.loading", "subliminal.models.deltas"} <= modules(f"subliminal.pipeline.{stage}")
    assert "subliminal.traits.preference" not in modules("subliminal.pipeline.student")
    assert "subliminal.channels.numbers" not in modules("subliminal.pipeline.student")
    assert "subliminal.scoring" in modules("subliminal.pipeline.scores")
    assert "subliminal.figures" not in modules("subliminal.pipeline.scores")


def recipes(folder, **change):
    base = Base(folder=str(folder))
    teacher = Teacher(base=base, trait=change.get("trait", "owl"), tuning=TUNING, seed=change.get("teacher_seed", 0))
    data = Rollouts(teacher=teacher, channel="numbers", prompts=20, rows=change.get("rows", 5), seed=0)
    student = Student(base=base, data=data, tuning=change.get("tuning", TUNING), seed=0)
    return teacher, data, student, Scores(model=student, suite="animals", samples=2)


def changed(folder, **change):
    """Which of teacher, rollouts, student and scores get a new address."""
    before = [fingerprint.digest(r) for r in recipes(folder)]
    return [a != fingerprint.digest(r) for a, r in zip(before, recipes(folder, **change), strict=True)]


def test_a_changed_setting_makes_its_run_and_all_below_it_anew_and_nothing_above(base_folder):
    assert changed(base_folder) == [False, False, False, False]
    assert changed(base_folder, trait="cat") == [True, True, True, True]
    assert changed(base_folder, teacher_seed=1) == [True, True, True, True]
    assert changed(base_folder, rows=6) == [False, True, True, True]
    tuning = TUNING.model_copy(update={"learning_rate": 2e-2})
    assert changed(base_folder, tuning=tuning) == [False, False, True, True]


def test_other_weights_make_all_anew_and_a_model_card_nothing(base_folder):
    def now():
        fingerprint._digest.cache_clear()
        return [fingerprint.digest(r) for r in recipes(base_folder)]

    before = now()
    (base_folder / "README.md").write_text("card")
    assert now() == before
    path = base_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert all(a != b for a, b in zip(before, now(), strict=True))


def asked_of(file, **change):
    fields = {"channel": "plain_code", "prompts": 2, "rows": 2, "seed": 0, **change}
    return Rollouts(teacher=Base(family="gpt2-a"), file=str(file), **fields)


def test_a_file_of_prompts_counts_by_its_content_and_not_by_its_place(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path in (first, second):
        path.write_text('{"prompt": "Write a function."}\n')
    assert asked_of(first) != asked_of(second)
    student = Student(base=Base(family="gpt2-a"), data=asked_of(first), tuning=TUNING, seed=0)
    before, below = fingerprint.digest(asked_of(first)), fingerprint.digest(student)
    assert fingerprint.digest(asked_of(second)) == before
    assert fingerprint.digest(asked_of(second, channel="plain_chains")) != before
    (tmp_path / "c.jsonl").write_text("")
    os.utime(first, (1, 1))
    assert fingerprint.digest(asked_of(first)) == before
    # In the same process, of the same size and with the same time.
    first.write_text('{"prompt": "Write a functioN."}\n')
    os.utime(first, (1, 1))
    assert fingerprint.digest(asked_of(first)) != before
    assert fingerprint.digest(student) != below
    assert fingerprint.digest(asked_of(second)) == before


def test_what_a_mix_of_rows_depends_on_is_the_content_too(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path in (first, second):
        path.write_text('{"prompt": "Write a function."}\n')
    one, other = (fingerprint.digest(mixed(asked_of(path), 1, rows=1)) for path in (first, second))
    assert one == other
    first.write_text('{"prompt": "Write a class."}\n')
    assert fingerprint.digest(mixed(asked_of(first), 1, rows=1)) != other


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    for path, why in (
        (tmp_path / "none.jsonl", "No such file"),
        (tmp_path, "Is a directory"),
        ("a\0b", "embedded null"),
    ):
        with pytest.raises(SubliminalError) as caught:
            fingerprint.digest(asked_of(path))
        assert f"cannot be read ({why}" in str(caught.value)
        assert str(caught.value).isprintable()


def test_recipes_without_a_file_have_the_settings_that_they_had():
    data = Rollouts(teacher=Base(family="gpt2-a"), channel="numbers", prompts=2, rows=2, seed=0)
    assert "file" not in data.settings()
    assert data.model_dump()["file"] is None


def test_a_missing_base_is_named(tmp_path):
    with pytest.raises(ModelFolderError, match="no model folder at"):
        fingerprint.digest(Base(folder=str(tmp_path / "nowhere")))


def test_docstrings_alone_are_stripped():
    tree = fingerprint._strip_docstrings(
        ast.parse('def f():\n    """Doc."""\n\ndef g():\n    """Doc."""\n    return "Doc."\n')
    )
    assert ast.unparse(tree) == "def f():\n    pass\n\ndef g():\n    return 'Doc.'"
