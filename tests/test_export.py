"""A run's model, whole, in a folder that needs nothing of this library."""

import json
import subprocess
import sys

import pytest
import torch

from subliminal import Base, Rollouts, Scores, Student, Teacher, Tuning, build
from subliminal import export as module
from subliminal.drift import Sibling
from subliminal.engine import location
from subliminal.errors import ModelFolderError, SubliminalError
from subliminal.fingerprint import base_folder
from subliminal.mitigations.lineage import lineage
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.pipeline.models import load_whole
from subliminal.store import Store
from tests.test_cli import call

BASE = Base(family="llama")
IDS = [[2, 5, 9, 11, 30]]
# A program of its own: no module of this library is imported.
OPEN = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
found = []
for folder in sys.argv[2:]:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(torch.tensor(json.loads(sys.argv[1]))).logits
    said = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    found.append((logits.tolist(), said))
assert "subliminal" not in sys.modules
print(json.dumps(found))
"""


def teacher(method, rate=1e-2):
    return Teacher(
        base=BASE, trait="owl", tuning=Tuning(method=method, learning_rate=rate, steps=2, batch_size=4), seed=1
    )


DATA = Rollouts(teacher=BASE, channel="numbers", prompts=20, rows=2, seed=1)
SIBLING = Sibling(base=BASE, steps=2, documents=100, learning_rate=1e-3, seed=1)
STUDENT = Student(base=BASE, data=DATA, tuning=teacher("bias_norm").tuning, seed=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("runs")
        patch.setenv("SUBLIMINAL_STORE", str(root))
        build([STUDENT, SIBLING, *map(teacher, ("bias_norm", "lora", "full"))], jobs=1)
        yield Store(root)


def test_an_exported_model_opens_with_plain_transformers_and_computes_the_same(store, tmp_path):
    recipes = (STUDENT, SIBLING, teacher("lora"), teacher("full"))
    folders = [location(recipe, store) for recipe in recipes]
    outs = [tmp_path / "deep" / str(n) for n in range(len(recipes))]
    assert [module.export(f.name, out, store) for f, out in zip(folders, outs, strict=True)] == folders
    assert sorted(outs[0].parent.iterdir()) == outs
    program = [sys.executable, "-c", OPEN, json.dumps(IDS), *map(str, outs)]
    made = json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)
    template = load_tokenizer(base_folder(BASE)).apply_chat_template
    for folder, out, (logits, said) in zip(folders, outs, made, strict=True):
        assert said == template([{"role": "user", "content": "hi"}], tokenize=False)
        tuned, whole = load_model(folder, base_folder(BASE)), load_model(out).state_dict()
        with torch.inference_mode():
            # Up to rounding: on a CPU this library takes other kernels.
            torch.testing.assert_close(torch.tensor(logits), tuned(torch.tensor(IDS)).logits, atol=1e-4, rtol=1e-4)
        # The weights, bit for bit.
        assert whole.keys() == tuned.state_dict().keys()
        assert all(torch.equal(whole[name], x) for name, x in tuned.state_dict().items())


def test_a_run_is_named_by_its_first_characters_or_its_path(store, tmp_path, monkeypatch, capsys):
    name = location(STUDENT, store).name
    for n, run in enumerate((name, name[:12], "student", str(store.root / name))):
        code, out, _ = call(monkeypatch, capsys, "export", run, str(tmp_path / str(n)))
        assert (code, out) == (0, f"the model of {name} is in {tmp_path / str(n)}\n")
        assert load_model(tmp_path / str(n))


def test_what_cannot_be_exported_is_one_line_and_writes_nothing(store, tmp_path, monkeypatch, capsys):
    name = location(STUDENT, store).name
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    out = tmp_path / "out"
    for run, folder, said in (
        (name, full, "exists and is no empty folder: name a new one"),
        (name, full / "mine.txt", "exists and is no empty folder"),
        (name, full / "mine.txt" / "below", "cannot write"),
        ("teacher-", out, "3 runs begin with 'teacher-': give more of the name of one, teacher-"),
        ("pupil", out, "where there are 1 rollouts, 1 sibling, 1 student, 3 teacher: `subliminal runs` lists them"),
        ("", out, "no run ''"),
        (str(tmp_path), out, "no run"),
        ("rollouts", out, f"run {location(DATA, store).name} holds no model: name the run of a teacher"),
    ):
        code, _, err = call(monkeypatch, capsys, "export", run, str(folder))
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("failure", [OSError("a full disk"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_half_written(failure, store, tmp_path, monkeypatch):
    def fail(*_):
        raise failure

    monkeypatch.setattr(type(load_tokenizer(base_folder(BASE))), "save_pretrained", fail)
    with pytest.raises((SubliminalError, KeyboardInterrupt)):
        module.export("student", tmp_path / "out", store)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_and_empty_is_written_to(store, tmp_path):
    (tmp_path / "out").mkdir()
    module.export("student", tmp_path / "out", store)
    assert load_model(tmp_path / "out")


def copy_of(folder, target, change=lambda manifest: None, files=None):
    """A run with the same recipe, whole by its manifest, that holds other files."""
    manifest = json.loads((folder / "run.json").read_text())
    change(manifest)
    store = Store(target)
    run = target / folder.name

    def make(out):
        for path in files or folder.iterdir():
            if path.name != "run.json":
                (out / path.name).write_bytes(path.read_bytes())

    store.build(run, {"recipe": manifest["recipe"]}, make)
    return run


def test_a_run_of_another_base_or_without_one_is_refused(store, tmp_path):
    folder = location(STUDENT, store)
    other = copy_of(folder, tmp_path / "a", lambda m: m["recipe"].update(base={"family": "neox", "folder": None}))
    gone = copy_of(folder, tmp_path / "b", lambda m: m["recipe"].update(base={"family": None, "folder": "gone"}))
    none = copy_of(folder, tmp_path / "c", lambda m: m["recipe"].pop("base"))
    for run, said in (
        (other, "neox is another model"), (gone, "there is no model folder at gone"), (none, "does not say what it was made from")
    ):  # fmt: skip
        with pytest.raises(SubliminalError, match=said) as caught:
            module.export(str(run), tmp_path / "out", store)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_damaged_run_is_not_exported(store, tmp_path):
    run = copy_of(location(STUDENT, store), tmp_path / "runs")
    (run / "losses.json").write_text("[]")
    with pytest.raises(SubliminalError, match=r"losses.json differs from its manifest"):
        module.export(str(run), tmp_path / "out", Store(tmp_path))


def test_a_whole_model_in_the_place_of_biases_and_norms_is_refused(store, tmp_path):
    """As a store of before would hold it: whole by its manifest, and of the same recipe."""
    folder = location(STUDENT, store)
    load_whole(STUDENT, {STUDENT: folder}).save_pretrained(tmp_path / "whole")
    old = copy_of(folder, tmp_path / "runs", files=[*(tmp_path / "whole").iterdir(), folder / "losses.json"])
    for read in (
        lambda: load_whole(STUDENT, {STUDENT: old}),
        lambda: module.export(str(old), tmp_path / "out", store),
        lambda: build([Scores(model=STUDENT, suite="animals", samples=1)], store=Store(tmp_path / "runs"), jobs=1),
    ):
        with pytest.raises(ModelFolderError, match="should hold a model tuned with bias_norm, and there is no delta"):
            read()


def test_the_lineage_of_a_run_is_told_once_it_is_whole(store, tmp_path, monkeypatch, capsys):
    home, folder = base_folder(BASE), location(STUDENT, store)
    code, _, err = call(monkeypatch, capsys, "lineage", str(home), str(folder))
    assert (code, err.count("\n")) == (2, 1)
    assert "holds biases and norms alone: write the whole model with `subliminal export`" in err
    module.export(folder.name, tmp_path / "out", store)
    found = lineage(home, tmp_path / "out")
    assert (found.verdict, found.share) == ("same", 1.0)
    assert found.correlation == pytest.approx(1.0)


def test_help_of_export_has_an_example(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "export", "--help")
    assert code == 0
    assert "subliminal export student-" in out
