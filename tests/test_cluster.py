"""What of a cluster can be tested without Ray; the rest is in ``test_ray``."""

import dataclasses
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from subliminal import SubliminalError, build, cluster, engine
from subliminal.errors import UnknownNameError
from subliminal.store import Store
from tests.test_engine import Note


@pytest.fixture
def home(store):
    with store.shared() as shared:
        yield cluster.Home.here(shared)


@pytest.fixture
def environment():
    """``enter`` changes the process that it is called in."""
    before, folder = dict(os.environ), Path.cwd()
    yield
    os.environ.clear()
    os.environ.update(before)
    os.chdir(folder)


def test_without_ray_one_line_says_how_to_install_it(store, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_BACKEND", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        SubliminalError, match=r"^SUBLIMINAL_BACKEND=ray needs ray: pip install './lib\[ray\]' on all nodes"
    ):
        build([Note(text="a")], store=store)
    assert [p.name for p in store.root.iterdir()] == [".locks"]


def test_an_unknown_backend_is_refused_by_name(store, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_BACKEND", "rai")
    with pytest.raises(UnknownNameError, match=r"^unknown SUBLIMINAL_BACKEND 'rai': choose one of loky, ray$"):
        build([Note(text="a")], store=store)


@pytest.mark.parametrize("told", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_threads_that_is_none_is_refused(told, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_THREADS", told)
    with pytest.raises(SubliminalError, match=f"^SUBLIMINAL_THREADS is '{told}': give a whole number from 1 on$"):
        cluster.threads()


def test_a_worker_takes_over_folder_data_and_threads(home, tmp_path, monkeypatch, environment):
    monkeypatch.setenv("SUBLIMINAL_THREADS", "3")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asking = dataclasses.replace(cluster.Home.here(home.shared), folder=tmp_path)
    for name in ("SUBLIMINAL_DATA", "SUBLIMINAL_THREADS"):
        monkeypatch.delenv(name, raising=False)
    asking.enter()
    assert cluster.threads() == 3
    assert Path.cwd() == tmp_path
    assert Path(os.environ["SUBLIMINAL_DATA"]).is_absolute()
    # What an earlier call has told is taken back.
    home = dataclasses.replace(asking, environment={"SUBLIMINAL_THREADS": None})
    home.enter()
    assert cluster.threads() == 1


def test_a_worker_that_sees_another_disk_refuses_and_makes_nothing(home, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_NEW_SEEN_AFTER", 0.0)
    elsewhere = dataclasses.replace(home, shared=tmp_path / "elsewhere" / home.shared.name)
    with pytest.raises(
        SubliminalError, match=r"^node .* does not see the store .*elsewhere: name one on a disk that all nodes"
    ):
        elsewhere.enter()
    assert not (tmp_path / "elsewhere").exists()


def test_a_worker_with_other_versions_refuses(home):
    other = dataclasses.replace(home, versions={**home.versions, "torch": "1.0"})
    with pytest.raises(
        SubliminalError, match=r"^node .* has torch .*, not 1\.0: install the same versions on all nodes$"
    ):
        other.enter()


def test_a_worker_that_would_make_another_run_refuses(store, tmp_path):
    with pytest.raises(
        SubliminalError, match=r"would make note-.* where note-0 is asked for \(note\): give all nodes the same"
    ):
        engine._build_there(Note(text="a"), "note-0", store.root, tmp_path)
    assert not store.root.exists()


def test_a_folder_that_another_node_made_may_be_seen_late(tmp_path):
    late = tmp_path / "late"
    timer = threading.Timer(0.3, late.mkdir)
    timer.start()
    cluster.await_folder(late, seconds=10)
    timer.join()
    with pytest.raises(SubliminalError, match=r"does not see .*never, made by another"):
        cluster.await_folder(tmp_path / "never", seconds=0)


def test_on_a_cluster_with_gpus_a_run_has_one_to_itself():
    def room(*nodes):
        return cluster._room(SimpleNamespace(nodes=lambda: [{"Alive": bool(n), "Resources": n} for n in nodes]))

    assert room({"CPU": 4.0}) == ({"CPU": 1.0}, "")
    assert room({"CPU": 4.0}, {"CPU": 2.0, "GPU": 1.0}) == ({"CPU": 1.0, "GPU": 1.0}, "")
    assert room({"CPU": 0.0}, {}) == (
        {"CPU": 1.0},
        "no node of the Ray cluster has 1 CPU, which each run asks for (the largest has 0 CPU): "
        "set SUBLIMINAL_THREADS lower, or add a node",
    )


def test_what_a_kill_leaves_of_a_shared_folder_the_next_build_clears(store):
    with store.shared() as living:
        (store.root / ".scratch-shared-dead").mkdir()
        Store(store.root).clear_scratch()
        assert [p.name for p in store.root.glob(".scratch-*")] == [living.name]
    assert not list(store.root.glob(".scratch-*"))
    assert not list((store.root / ".locks").glob("shared-*[!d]"))
