import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subliminal.errors import DamagedRunError, SubliminalError
from subliminal.store import MANIFEST, Store, atomic_write


def write(text):
    def make(out):
        (out / "sub").mkdir()
        (out / "sub" / "file.txt").write_text(text)

    return make


def test_a_run_is_made_once_and_reused(store):
    folder = store.folder("student", "a" * 64)
    assert not store.check(folder)
    store.build(folder, {"kind": "student"}, write("one"))
    assert store.build(folder, {}, write("two")) == 0.0
    assert (folder / "sub" / "file.txt").read_text() == "one"
    assert store.manifest(folder)["kind"] == "student"
    assert set(store.manifest(folder)["files"]) == {"sub/file.txt"}
    assert not list(store.root.glob(".scratch-*"))


@settings(max_examples=30, deadline=None)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255), which=st.sampled_from(["sub/file.txt", MANIFEST]))
def test_any_changed_byte_of_a_run_is_noticed(tmp_path_factory, position, byte, which):
    store = Store(tmp_path_factory.mktemp("runs"))
    folder = store.folder("student", "a" * 64)
    store.build(folder, {}, write("some text"))
    path = folder / which
    content = bytearray(path.read_bytes())
    position %= len(content)
    if content[position] == byte:
        return
    content[position] = byte
    path.write_bytes(bytes(content))
    try:
        noticed = not Store(store.root).check(folder)
    except DamagedRunError:
        noticed = True
    # A manifest may change in a byte that says nothing of the files, such as a digit of the seconds.
    assert noticed or which == MANIFEST


@pytest.mark.parametrize("damage", ["delete", "truncate", "manifest"])
def test_a_damaged_run_is_named_with_the_mend(store, damage):
    folder = store.folder("student", "a" * 64)
    store.build(folder, {}, write("some text"))
    if damage == "delete":
        (folder / "sub" / "file.txt").unlink()
    elif damage == "truncate":
        (folder / "sub" / "file.txt").write_text("some")
    else:
        (folder / MANIFEST).write_text("{")
    with pytest.raises(DamagedRunError, match=rf"run {folder.name} is damaged: .*; delete .* and build again"):
        Store(store.root).check(folder)
    assert folder.exists()


def test_a_failed_build_leaves_nothing_and_keeps_the_others(store):
    kept, failed = store.folder("student", "a" * 64), store.folder("student", "b" * 64)
    store.build(kept, {}, write("kept"))

    def fails(out):
        (out / "half.txt").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.build(failed, {}, fails)
    assert not failed.exists()
    assert Store(store.root).check(kept)
    assert {p.name for p in store.root.iterdir()} == {kept.name, ".locks"}


def test_a_full_disk_is_one_line_and_leaves_nothing(store, monkeypatch):
    folder = store.folder("student", "a" * 64)

    def full(out):
        (out / "half.txt").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SubliminalError, match=r"no space left at .*: free some, or set SUBLIMINAL_STORE"):
        store.build(folder, {}, full)
    assert not folder.exists()
    monkeypatch.setattr("subliminal.store.MIN_FREE_BYTES", 2**62)
    with pytest.raises(SubliminalError, match=r"MiB free at .*: free .* or set SUBLIMINAL_STORE"):
        store.build(folder, {}, write("x"))


def test_a_store_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "runs")
    with pytest.raises(SubliminalError, match="make it writable, or set SUBLIMINAL_STORE"):
        store.build(store.folder("student", "a" * 64), {}, write("x"))


def test_two_builders_of_one_run_make_it_once(store):
    folder, made = store.folder("student", "a" * 64), []

    def slow(out):
        made.append(1)
        time.sleep(0.2)
        (out / "file.txt").write_text("x")

    threads = [threading.Thread(target=Store(store.root).build, args=(folder, {}, slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert Store(store.root).check(folder)


_BUILDER = """
import sys, time
from pathlib import Path
from subliminal.store import Store
store = Store(Path(sys.argv[1]))
def make(out):
    for n in range(40):
        (out / f"{n}.txt").write_text("x" * 4096)
        time.sleep(0.0005)
print("ready", flush=True)
for n in range(1000):
    store.build(store.folder("student", f"{n:064d}"[::-1]), {}, make)
"""


def test_a_kill_at_any_moment_loses_no_finished_run_and_leaves_no_half_one(store):
    for attempt in range(8):
        process = subprocess.Popen([sys.executable, "-c", _BUILDER, str(store.root)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        before = set(store.root.glob("student-*"))
        time.sleep(0.05 + 0.037 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        whole = set(store.root.glob("student-*"))
        assert before <= whole
        assert all(Store(store.root).check(folder) for folder in whole)
        store.clear_scratch()
        assert not list(store.root.glob(".scratch-*"))
    assert whole


def test_scratch_of_a_living_build_is_not_cleared(store):
    folder, inside, go = store.folder("student", "a" * 64), threading.Event(), threading.Event()

    def waits(out):
        inside.set()
        assert go.wait(5)
        (out / "file.txt").write_text("x")

    thread = threading.Thread(target=store.build, args=(folder, {}, waits))
    thread.start()
    assert inside.wait(5)
    Store(store.root).clear_scratch()
    assert list(store.root.glob(".scratch-*"))
    go.set()
    thread.join()
    assert Store(store.root).check(folder)


def test_atomic_write_replaces_whole_and_leaves_no_scratch(tmp_path):
    path = tmp_path / "new" / "file.txt"
    atomic_write(path, "one")
    atomic_write(path, "two")
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["file.txt"]
