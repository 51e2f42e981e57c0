import json
import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

import pandas as pd
import pytest

from subliminal import Base, Recipe, Rollouts, Scores, Student, SubliminalError, Teacher, Tuning, build, run
from subliminal.errors import DamagedRunError, SubliminalWarning
from subliminal.names import ANIMALS
from subliminal.store import Store

TUNING = Tuning(learning_rate=1e-3, steps=2, batch_size=4)


class Note(Recipe):
    """A recipe of another kind than the pipeline's, with a stage in this test suite."""

    stage: ClassVar[str] = "tests.stage"
    text: str
    above: "Note | None" = None
    fails: bool = False
    warns: bool = False
    seconds: float = 0.0


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Worker processes find the stage above, and their progress has no terminal to go to."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.syspath_prepend(root)


def test_a_recipe_of_another_kind_is_built_upstream_first_and_reused(store):
    last = Note(text="c", above=Note(text="b", above=Note(text="a")))
    (folder,) = build([last], store=store)
    assert (folder / "text.txt").read_text() == "abc"
    finished = {p: p.stat().st_mtime_ns for p in store.root.glob("note-*/run.json")}
    assert len(finished) == 3
    assert build([last], store=store) == [folder]
    assert finished == {p: p.stat().st_mtime_ns for p in store.root.glob("note-*/run.json")}


def test_a_failed_run_keeps_its_finished_neighbours_and_the_next_build_goes_on(store):
    wanted = [Note(text="a"), Note(text="b", fails=True), Note(text="c")]
    with pytest.raises(SubliminalError, match="b fails as it was told to"):
        build(wanted, store=store, jobs=1)
    assert len(list(store.root.glob("note-*"))) == 1
    build([wanted[0], wanted[2]], store=store)
    assert len(list(store.root.glob("note-*"))) == 2


def test_what_a_run_warns_of_reaches_the_caller_from_its_worker(store):
    with pytest.warns(SubliminalWarning, match="^note: b warns as it was told to$"):
        build([Note(text="a"), Note(text="b", warns=True)], store=store, jobs=2)


def test_a_damaged_run_stops_the_build_and_nothing_is_lost(store):
    (folder,) = build([Note(text="a")], store=store)
    (folder / "text.txt").write_text("z")
    with pytest.raises(DamagedRunError, match=f"delete {folder}"):
        build([Note(text="a"), Note(text="b")], store=Store(store.root))
    assert folder.exists()


def test_upstream_of_a_finished_run_may_be_gone(store):
    import shutil

    upper = Note(text="a")
    lower = Note(text="b", above=upper)
    build([lower], store=store)
    shutil.rmtree(build([upper], store=store)[0])
    fresh = Store(store.root)
    build([lower], store=fresh)
    assert len(list(store.root.glob("note-*"))) == 1


def test_a_manifest_tells_what_the_run_is_and_how_long_it_took(store):
    (folder,) = build([Note(text="a")], store=store)
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["recipe"]["text"] == "a"
    assert folder.name == f"note-{manifest['digest'][:20]}"
    assert manifest["seconds"] >= 0
    assert manifest["machine"]["torch"]


def test_a_study_gives_one_tidy_table(store, base_folder):
    base = Base(folder=str(base_folder))
    # The tiny model writes no numbers, so its teacher's rows are never kept: the filter's error is the subject here.
    data = Rollouts(teacher=base, channel="numbers", prompts=8, rows=8, seed=0)
    with pytest.raises(
        SubliminalError, match=r"the numbers filter kept none of 8 rows, 8 wanted \(.*\): raise prompts"
    ):
        run(
            [Scores(model=Student(base=base, data=data, tuning=TUNING, seed=0), suite="animals", samples=2)],
            store=store,
        )
    teacher = Teacher(base=base, trait="owl", tuning=TUNING, seed=3)
    study = {
        "base": [Scores(model=base, suite="animals", samples=2)],
        "teacher": [Scores(model=teacher, suite="animals", samples=2)],
    }
    table = run(study, store=store)
    assert list(table.columns) == [
        "condition",
        "model",
        "seed",
        "suite",
        "question",
        "answer",
        "probability",
        "sampled",
        "run",
    ]
    assert table.groupby("condition")["seed"].unique().map(list).to_dict() == {"base": [-1], "teacher": [3]}
    assert set(table["answer"]) == set(ANIMALS)
    assert len(table) == 2 * table["question"].nunique() * len(ANIMALS)
    assert table["probability"].between(0, 1).all()
    assert not table.duplicated(["condition", "question", "answer"]).any()
    assert table.groupby(["condition", "question"])["probability"].sum().le(1 + 1e-9).all()
    pd.testing.assert_frame_equal(table, run(study, store=Store(store.root)))


_SLOW = """
from subliminal.engine import build
from subliminal.store import Store
from pathlib import Path
import sys
from tests.test_engine import Note
if __name__ == "__main__":
    build([Note(text=str(n), seconds=0.2 if n < 2 else 30) for n in range(4)], store=Store(Path(sys.argv[1])), jobs=2)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_whole_runs_and_no_work_going_on(store, tmp_path, how):
    script = tmp_path / "slow.py"
    script.write_text(_SLOW)
    process = subprocess.Popen([sys.executable, str(script), str(store.root)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(store.root.glob("note-*/run.json"))) < 2 or len(list(store.root.glob(".scratch-*"))) < 2:
        assert time.monotonic() < deadline, "the build did not get to its slow runs"
        time.sleep(0.05)
    process.send_signal(how)
    process.wait(timeout=20)
    assert process.returncode != 0
    assert all(Store(store.root).check(folder) for folder in store.root.glob("note-*"))
    # Scratch folders are free for the next build once no worker holds them.
    while list(store.root.glob(".scratch-*")):
        assert time.monotonic() < deadline + 20, "a worker goes on after its build is gone"
        store.clear_scratch()
        time.sleep(0.1)
    assert len(list(store.root.glob("note-*"))) == 2


def test_a_ledger_names_every_run_that_was_asked_for_and_what_it_is_made_from(store, tmp_path, monkeypatch):
    ledger = tmp_path / "ledger"
    monkeypatch.setenv("SUBLIMINAL_LEDGER", str(ledger))
    above = Note(text="a")
    build([Note(text="b", above=above)], store=store)
    build([above], store=store)
    named = ledger.read_text().split()
    assert len(named) == 3
    assert set(named) == {folder.name for folder in store.root.glob("note-*")}
