"""A model whose training was stopped goes on from the checkpoint in the store, to the same weights, and leaves no checkpoint behind."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from subliminal import Base, Rollouts, Student, Teacher, Tuning, build, checkpoints
from subliminal.checkpoints import beside
from subliminal.engine import location
from subliminal.fingerprint import base_folder
from subliminal.pipeline import teacher
from subliminal.store import Store
from tests.conftest import ROOT

BASE = Base(family="gpt2-a")
DATA = Rollouts(teacher=BASE, channel="numbers", prompts=80, rows=40, seed=3)
STUDENT = Student(base=BASE, data=DATA, tuning=Tuning(learning_rate=1e-2, epochs=3, batch_size=8), seed=0)

# Killed in the eleventh step, three steps after a checkpoint.
_KILLED = """
import os, signal, sys
from pathlib import Path
from subliminal import build, checkpoints, training
from subliminal.store import Store
from tests.pipeline.test_stopped import STUDENT

steps, collate = [], training.collate

def killing(rows):
    steps.append(rows)
    if len(steps) == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return collate(rows)

checkpoints.EVERY, training.collate = 4, killing
build([STUDENT], store=Store(Path(sys.argv[1])), jobs=1)
"""


def test_a_student_whose_build_was_killed_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "runs")
    (expected,) = build([STUDENT], store=whole, jobs=1)
    rows = location(DATA, store)
    shutil.copytree(location(DATA, whole), rows)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), str(ROOT)])}
    command = [sys.executable, "-c", _KILLED, str(store.root)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-4_000:]
    place = location(STUDENT, store)
    path = beside(store.root / f".scratch-{place.name}")
    assert not place.exists()
    assert torch.load(path)["step"] == 8
    # As a kill in the middle of writing leaves it.
    path.with_suffix(".part").write_bytes(b"half")
    begun, restore = [], checkpoints.restore
    monkeypatch.setattr(checkpoints, "restore", lambda *given: begun.append(restore(*given)) or begun[-1])
    (folder,) = build([STUDENT], store=store, jobs=1)
    assert begun == [8]
    for name in ("delta.safetensors", "losses.json"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes()
    assert len(json.loads((folder / "losses.json").read_text())) == 15
    assert sorted(p.name for p in store.root.iterdir()) == sorted([".locks", rows.name, folder.name])


def test_a_teacher_that_was_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY", 4)
    recipe = Teacher(
        base=BASE, trait="owl", tuning=Tuning(method="lora", learning_rate=1e-2, steps=9, batch_size=8), seed=0
    )
    seen = []

    def run(name, ends=None):
        def progress(done, _):
            seen.append(done)
            if done == ends:
                raise KeyboardInterrupt

        out = tmp_path / name
        out.mkdir(exist_ok=True)
        teacher.build(recipe, {BASE: base_folder(BASE)}, out, progress)
        return [(out / file).read_bytes() for file in ("adapter_model.safetensors", "losses.json")]

    expected = run(".scratch-whole")
    with pytest.raises(KeyboardInterrupt):
        run(".scratch-teacher", ends=6)
    assert (tmp_path / ".checkpoint-teacher.pt").is_file()
    seen.clear()
    assert run(".scratch-teacher") == expected
    assert seen == [5, 6, 7, 8, 9]
    assert not list(tmp_path.glob(".checkpoint-*"))
