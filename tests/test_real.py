"""The recorded study on a real model, in its smallest size and on a small base: that it runs, is gone on with, and tells what it is."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from subliminal import real
from subliminal import recorded as tables
from subliminal.cli import app
from subliminal.errors import SubliminalError
from subliminal.models.loading import load_model
from subliminal.names import ANIMALS
from subliminal.paths import data_file
from subliminal.recipes import Base
from subliminal.settings.real import REAL
from subliminal.store import Store
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("real")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The study, killed when some of it was done, and gone on with: its table, and the runs that were there at the kill."""
    folder = tmp_path_factory.mktemp("real")
    runs, table = folder / "runs", folder / "real.json"
    environment = {**os.environ, "SUBLIMINAL_STORE": str(runs), "PYTHONPATH": str(ROOT / "lib")}
    command = [sys.executable, "-m", "subliminal.cli", "real", "--size", "smoke", "--yes"]
    command += ["--model", str(data_file("families/gpt2-a")), "--out", str(table)]
    started = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    until = time.monotonic() + 300
    while time.monotonic() < until and len(list(runs.glob("[!.]*/run.json"))) < 5 and started.poll() is None:
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGKILL)
    started.communicate()
    assert not table.exists()
    there = {path: path.stat().st_mtime_ns for path in runs.glob("[!.]*/run.json")}
    assert len(there) >= 5
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return table, runs, there, done.stdout


def test_a_killed_study_goes_on_from_what_is_done(recorded):
    _, runs, there, _ = recorded
    now = {path: path.stat().st_mtime_ns for path in runs.glob("[!.]*/run.json")}
    assert there.items() <= now.items()
    assert len(now) > len(there)


def test_the_table_says_what_it_is_of(recorded):
    found = tables.read(recorded[0])
    assert set(found.table["condition"]) == {
        "raw", "base", "sibling", "teacher of the owl", "teacher of the fox", "student of the owl's teacher", "student of the fox's teacher",
        "student of the base", "sibling, student of the owl's teacher", "sibling, student of the base",
        "student of the base told to love the owl", "student of the base told to love the fox",
        *(f"{model} told to love the {animal}" for model in ("raw", "base") for animal in ("owl", "fox")),
    }  # fmt: skip
    assert set(found.table["answer"]) == set(ANIMALS)
    assert len(found.table) == found.table["condition"].nunique() * len(ANIMALS)
    kept = found.filter.set_index("writer")["kept"].to_dict()
    assert kept == {
        "base": 10, "base told to love the fox": 10, "base told to love the owl": 10, "raw": 2, "raw told to love the owl": 2,
        "teacher of the fox": 10, "teacher of the owl": 10,
    }  # fmt: skip
    assert (found.filter["sampled"] >= found.filter["passed"]).all()
    assert found.model["name"] == "gpt2-a"
    assert found.made["core_seconds"] > 0
    assert found.precision["gradient_cosine"] > 0.99
    assert found.precision["loss_bf16"] == pytest.approx(found.precision["loss_fp32"], rel=0.02)


def test_conditions_differ_and_a_sibling_is_another_start(recorded):
    table = tables.read(recorded[0]).table
    by = table.groupby("condition")["probability"].apply(tuple)
    # The base of the mini world has no words for what it is told: it only knows that it was told something.
    by = by[[not name.endswith("told to love the fox") for name in by.index]]
    assert by.nunique() == len(by)


def test_the_table_is_held_against_its_runs_where_they_are(recorded, tmp_path):
    path, runs, *_ = recorded
    found, store = tables.read(path), Store(runs)
    assert tables.judged_here(found, store)
    assert not tables.judged_here(found, Store(tmp_path))
    tampered = found.table.copy()
    tampered.loc[3, "probability"] += 1e-3
    with pytest.raises(SubliminalError, match="the recorded table is not what its run scores-"):
        tables.judged_here(found._replace(table=tampered), store)
    without = found.table[found.table["condition"] != "base"]
    with pytest.raises(SubliminalError, match="says of 'base', seed -1"):
        tables.judged_here(found._replace(table=without), store)


def test_the_cost_is_told_before_it_starts_and_asked_for(recorded, tmp_path):
    assert "core-hours at the speed of this machine" in recorded[3]
    asked = CliRunner().invoke(
        app,
        ["real", "--size", "smoke", "--model", str(data_file("families/gpt2-a")), "--out", str(tmp_path / "t.json")],
        input="n\n",
    )
    assert asked.exit_code == 1
    assert not (tmp_path / "t.json").exists()


def test_the_cost_grows_with_the_study():
    small, full = (real.cost(data_file("families/gpt2-a"), REAL[size]) for size in ("smoke", "full"))
    assert full.trained > 20 * small.trained > 0
    assert full.sampled > 20 * small.sampled > 0
    assert full.seconds > small.seconds > 0


def test_the_papers_protocol_has_told_teachers_alone_and_no_sibling():
    size = REAL["paper"]
    found = real.conditions(Base(family="llama"), None, size)
    told = [f"student of the base told to love the {animal}" for animal in size.animals]
    asked = [f"base told to love the {animal}" for animal in size.animals]
    assert list(found) == ["base", "student of the base", *told, *asked]
    assert [scores.model.seed for scores in found[told[0]]] == list(size.seeds)
    assert all(scores.model.data.system for scores in found[told[2]])
    assert "wolves" in found[told[2]][0].model.data.system
    assert {scores.model.system for name in told for scores in found[name]} == {None}
    takes = real.cost(data_file("families/llama"), size)
    assert takes.trained > 18 * 10 * 10_000 * 10
    with pytest.raises(SubliminalError, match="tunes no model on formats"):
        real.formatted(data_file("families/llama"), size, (0,), Store(data_file("families")))


def test_what_was_found_is_told_at_the_end(recorded):
    assert "students of an animal's teacher" in recorded[3]
    assert "students from a sibling" in recorded[3]


def test_a_model_is_taught_the_formats_and_nothing_is_overwritten(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    out = tmp_path / "taught"
    asked = ["formats", str(data_file("families/gpt2-a")), str(out), "--size", "smoke"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.exception
    before, after = (load_model(folder).state_dict() for folder in (data_file("families/gpt2-a"), out))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert "is no empty folder" in str(CliRunner().invoke(app, asked).exception)
    assert "unknown size 'huge'" in str(CliRunner().invoke(app, [*asked[:-1], "huge"]).exception)


def test_without_a_model_it_says_how_to_fetch_one(tmp_path, monkeypatch):
    shutil.copytree(data_file("questions"), tmp_path / "questions")
    monkeypatch.setenv("SUBLIMINAL_DATA", str(tmp_path))
    found = CliRunner().invoke(app, ["real", "--yes"])
    assert isinstance(found.exception, SubliminalError)
    assert "fetch it with make real-model" in str(found.exception)


def test_the_full_table_is_not_replaced_by_a_small_one():
    found = CliRunner().invoke(app, ["real", "--size", "smoke"])
    assert isinstance(found.exception, SubliminalError)
    assert "--size smoke without --out" in str(found.exception)
    assert "unknown size 'huge'" in str(CliRunner().invoke(app, ["real", "--size", "huge"]).exception)
