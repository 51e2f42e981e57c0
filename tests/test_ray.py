"""Runs on a Ray cluster of two nodes on this machine, one CPU each."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from subliminal import Base, Recipe, Scores, SubliminalError, Teacher, Tuning, build, run
from subliminal.errors import SubliminalWarning
from subliminal.store import Store
from tests.test_engine import Note

ray = pytest.importorskip("ray", reason="ray is not installed: pip install './lib[ray]'")

pytestmark = pytest.mark.xdist_group("ray")
ROOT = Path(__file__).resolve().parents[1]
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


class Place(Recipe):
    """A run that says where it was made, and that may die or fail on the way."""

    stage: ClassVar[str] = "tests.ray_stage"
    name: str
    tally: str
    seconds: float = 0.0
    dies: int = 0
    fails: bool = False


@pytest.fixture(scope="module")
def nodes():
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        head = {**NODE, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
        cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
        cluster.add_node(**NODE)
        patch.setenv("RAY_ADDRESS", cluster.address)
        patch.setenv("SUBLIMINAL_BACKEND", "ray")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def place(tmp_path):
    """Makes recipes that keep one tally."""
    tally = tmp_path / "tally"
    tally.touch()
    return lambda name, **how: Place(name=name, tally=str(tally), **how)


def where(folder):
    """The worker that made a run, and its node."""
    return [int(number) for number in (folder / "where.txt").read_text().split()]


def at_work(store):
    """The runs that are being made, each with its worker."""
    found = {}
    for told in store.root.glob(".scratch-place-*/where.txt"):
        if text := told.read_text():
            found[told.parent] = int(text.split()[0])
    return found


@contextmanager
def once(condition, action):
    """Do something on the side as soon as something is the case, while the block runs."""
    done = threading.Event()

    def watch():
        while not done.wait(0.05):
            if found := condition():
                action(found)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_study_is_the_one_that_processes_here_make(nodes, store, tmp_path, base_folder, monkeypatch):
    base = Base(folder=str(base_folder))
    tuning = Tuning(learning_rate=1e-3, steps=2, batch_size=4)
    teachers = [Teacher(base=base, trait="owl", tuning=tuning, seed=seed) for seed in range(2)]
    study = {"base": [Scores(model=base, suite="animals", samples=2)]}
    study["teachers"] = [Scores(model=teacher, suite="animals", samples=2) for teacher in teachers]
    there = run(study, store=store)
    monkeypatch.setenv("SUBLIMINAL_BACKEND", "loky")
    here = Store(tmp_path / "here")
    pd.testing.assert_frame_equal(there, run(study, store=here, jobs=1))
    assert {p.name for p in store.root.glob("*/run.json")} == {p.name for p in here.root.glob("*/run.json")}


def test_both_nodes_work_and_nothing_but_runs_is_left(nodes, store, place):
    folders = build([place(f"{n}", seconds=1) for n in range(4)], store=store)
    assert len({where(folder)[1] for folder in folders}) == 2
    assert {p.name for p in store.root.iterdir()} == {".locks", *(folder.name for folder in folders)}
    assert not list((store.root / ".locks").glob("shared-*"))


def test_a_relative_store_is_the_one_of_the_process_that_asks(nodes, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (folder,) = build([place("a")], store=Store(Path("runs")))
    assert folder == Path("runs", folder.name)
    assert (tmp_path / "runs" / folder.name / "run.json").is_file()


def test_no_more_runs_than_asked_for_stand_side_by_side(nodes, store, place):
    seen = []
    with once(lambda: seen.append(len(at_work(store))), print):
        build([place(f"{n}", seconds=0.3) for n in range(4)], store=store, jobs=1)
    assert max(seen) == 1


def test_notes_of_how_far_a_run_is_come_back_through_the_store(nodes, store, place, tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_PROGRESS", str(tmp_path))
    seen = []

    def notes():
        from subliminal import progress

        if (plan := progress._notes(tmp_path).get(progress.PLAN)) and "notes" in plan:
            seen.extend(progress._notes(Path(plan["notes"])).values())

    with once(notes, print):
        build([place("a", seconds=1.5), place("b", seconds=1.5)], store=store)
    assert {"label": "place", "done": 1, "total": 2} in seen


def test_a_failed_run_is_one_line_and_keeps_its_finished_neighbours(nodes, store, place):
    quick, slow, failing = place("a"), place("b", seconds=60), place("c", seconds=2, fails=True)
    build([quick], store=store)
    with pytest.raises(SubliminalError) as caught:
        build([quick, slow, failing], store=store)
    assert str(caught.value) == "c fails as it was told to"
    assert type(caught.value) is SubliminalError
    nothing_goes_on(store)
    assert len(list(store.root.glob("place-*"))) == 1


def test_what_a_run_warns_of_reaches_the_caller(nodes, store):
    with pytest.warns(SubliminalWarning, match="^note: b warns as it was told to$"):
        build([Note(text="b", warns=True)], store=store)


def test_a_bug_comes_with_its_traceback(nodes, store, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ray_stage\.py"):
        build([Place(name="a", tally=str(tmp_path / "none" / "tally"))], store=store)


def nothing_goes_on(store, seconds=20):
    """Scratch folders are free for the next build as soon as no worker holds them."""
    deadline = time.monotonic() + seconds
    while list(store.root.glob(".scratch-*")):
        assert time.monotonic() < deadline, "a worker goes on after its build is gone"
        store.clear_scratch()
        time.sleep(0.1)


def test_a_run_whose_worker_is_killed_is_begun_again(nodes, store, place):
    def kill(found):
        os.kill(next(iter(found.values())), signal.SIGKILL)

    wanted = [place(f"{n}", seconds=2) for n in range(3)]
    again = pytest.warns(SubliminalWarning, match="^place: its worker on the cluster died, and it is begun again: .*$")
    with again, once(lambda: len(at_work(store)) == 2 and at_work(store), kill):
        folders = build(wanted, store=store)
    assert all(Store(store.root).check(folder) for folder in folders)
    assert len(Path(wanted[0].tally).read_text().split()) == 4


@pytest.mark.filterwarnings("ignore::subliminal.errors.SubliminalWarning")
def test_a_run_whose_workers_die_every_time_is_one_line_and_the_next_build_goes_on(nodes, store, place):
    wanted = [place("a"), place("b", dies=3)]
    with pytest.raises(SubliminalError) as caught:
        build(wanted, store=store)
    assert str(caught.value).startswith("place: its worker on the cluster died 3 times, last: ")
    assert str(caught.value).endswith(" (finished runs are kept, and the same call goes on from them)")
    assert "\n" not in str(caught.value)
    assert len(list(store.root.glob("place-*"))) == 1
    build(wanted, store=store)
    assert sorted(Path(wanted[0].tally).read_text().split()) == ["a", "b", "b", "b", "b"]


def test_the_runs_of_a_lost_node_are_begun_again_on_another(nodes, store, place):
    lost = nodes.add_node(**NODE)
    daemon = lost.all_processes["raylet"][0].process.pid

    def at_work_there():
        return any(told.read_text().endswith(f" {daemon}") for told in store.root.glob(".scratch-place-*/where.txt"))

    again = pytest.warns(SubliminalWarning, match="its worker on the cluster died, and it is begun again")
    with again, once(at_work_there, lambda found: nodes.remove_node(lost, allow_graceful=False)):
        folders = build([place(f"{n}", seconds=3) for n in range(3)], store=store)
    assert all(Store(store.root).check(folder) for folder in folders)
    assert daemon not in {where(folder)[1] for folder in folders}


def test_a_node_that_does_not_see_the_store_refuses_and_makes_nothing(nodes, store, place, tmp_path):
    """The third node has another disk where the store is, as it would on a machine of its own."""
    build([place("first")], store=store)
    start = f"{sys.executable} -m ray.scripts.scripts start --address={nodes.address} --num-cpus=1 --block"
    script = f"mount -t tmpfs none {store.root} && exec {start} --object-store-memory={NODE['object_store_memory']}"
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", store.root], capture_output=True).returncode:
        pytest.skip("a disk of its own for one node takes the right to mount")
    joined = len(ray.nodes())
    with (tmp_path / "log").open("w") as log:
        node = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while len(ray.nodes()) == joined:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.2)
        with pytest.raises(SubliminalError, match=f"^node .* does not see the store {store.root}: name one on a disk"):
            build([place(f"{n}", seconds=4) for n in range(6)], store=store)
        theirs = Path(f"/proc/{node.pid}/root{store.root}")
        assert list(store.root.glob("place-*"))
        assert not list(theirs.iterdir())
    finally:
        node.terminate()
        node.wait()


def test_a_node_that_lacks_a_package_is_one_line(nodes, store, place, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("from tests.test_ray import Place\n\n\nclass Other(Place):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    from only_here import Other

    with pytest.raises(
        SubliminalError, match=r"cannot read a task \(ModuleNotFoundError: No module named 'only_here'\)"
    ):
        build([Other(name="a", tally=place("a").tally)], store=store)


_SLOW = """
import sys
from pathlib import Path
from subliminal.engine import build
from subliminal.store import Store
from tests.test_ray import Place
if __name__ == "__main__":
    runs = [Place(name=str(n), tally=sys.argv[2], seconds=0.2 if n < 2 else 30) for n in range(4)]
    build(runs, store=Store(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_whole_runs_and_no_work_going_on(nodes, store, tmp_path, how):
    script, tally = tmp_path / "slow.py", tmp_path / "tally"
    script.write_text(_SLOW)
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen([sys.executable, str(script), str(store.root), str(tally)], stdout=err, stderr=err)
    deadline = time.monotonic() + 120
    while len(list(store.root.glob("place-*/run.json"))) < 2 or len(at_work(store)) < 2:
        assert time.monotonic() < deadline, "the build did not get to its slow runs"
        time.sleep(0.05)
    process.send_signal(how)
    process.wait(timeout=20)
    assert process.returncode != 0
    assert how is signal.SIGKILL or "KeyboardInterrupt" in (tmp_path / "err").read_text()
    nothing_goes_on(store)
    assert all(Store(store.root).check(folder) for folder in store.root.glob("place-*"))
    assert len(list(store.root.glob("place-*"))) == 2


def test_a_cluster_without_room_for_a_run_is_one_line(nodes, store, place, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_THREADS", "7")
    with pytest.raises(
        SubliminalError, match=r"^no node of the Ray cluster has 7 CPU, .* set SUBLIMINAL_THREADS lower"
    ):
        build([place("a")], store=store)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:10001", "nowhere"])
def test_where_there_is_no_cluster_one_line_says_how_to_name_one(store, tmp_path, address):
    script = tmp_path / "asks.py"
    script.write_text(_SLOW)
    environment = {**os.environ, "RAY_ADDRESS": address, "SUBLIMINAL_BACKEND": "ray"}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(script), str(store.root), str(tmp_path)], env=environment, capture_output=True, text=True
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"subliminal.errors.SubliminalError: cannot join a Ray cluster at RAY_ADDRESS={address} (")
    assert last.endswith("give its host:port in RAY_ADDRESS, or unset SUBLIMINAL_BACKEND")
    assert time.monotonic() - started < 60
