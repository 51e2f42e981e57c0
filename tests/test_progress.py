import io
import json

import pytest
from rich.console import Console

from subliminal import progress


def test_a_reporter_leaves_the_newest_count_for_whoever_shows_it(tmp_path):
    report = progress.reporter(tmp_path / "run.json", "student")
    report(1, 10)
    report(10, 10)
    assert json.loads((tmp_path / "run.json").read_text()) == {"label": "student", "done": 10, "total": 10}


def test_a_reporter_whose_parent_is_gone_ends_its_work(tmp_path, monkeypatch):
    report = progress.reporter(tmp_path / "run.json", "student")
    monkeypatch.setattr("os.getppid", lambda: 1)
    with pytest.raises(SystemExit):
        report(1, 10)


def test_a_terminal_shows_bars_with_time_left(tmp_path, monkeypatch):
    import threading

    progress.write_note(tmp_path / progress.PLAN, label="start", done=3, total=7)
    progress.write_note(tmp_path / "run.json", label="student seed 1", done=5, total=10)
    (tmp_path / "half.json").write_text("{")
    stop, shown = threading.Event(), io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    stop.set()
    progress._watch(tmp_path, "building runs", stop, console)
    text = shown.getvalue()
    assert "building runs" in text
    assert "3/7" in text
    assert "student seed 1" in text
    assert "left" in text


def test_a_log_gets_a_line_for_each_finished_run(tmp_path):
    import threading

    progress.write_note(tmp_path / progress.PLAN, label="student seed 1 (20 s)", done=3, total=7)
    stop, shown = threading.Event(), io.StringIO()
    stop.set()
    progress._watch(tmp_path, "building runs", stop, Console(file=shown, force_terminal=False, width=120))
    assert shown.getvalue() == "building runs: 3 of 7 runs, last student seed 1 (20 s)\n"


def test_a_log_also_tells_of_a_second_and_smaller_plan(tmp_path):
    shown, turns = io.StringIO(), iter([(6, 7), (0, 3), (0, 3), (2, 3), (2, 3)])

    class Stop:
        left = 5

        def wait(self, seconds):
            self.left -= 1
            done, total = next(turns)
            progress.write_note(tmp_path / progress.PLAN, label="scores", done=done, total=total)
            return not self.left

    progress._watch(tmp_path, "building runs", Stop(), Console(file=shown, force_terminal=False, width=120))
    told = [line.split(",")[0] for line in shown.getvalue().splitlines()]
    assert told == ["building runs: 6 of 7 runs", "building runs: 2 of 3 runs"]


def test_inner_displays_use_the_outer_one(monkeypatch, tmp_path):
    monkeypatch.setenv(progress.ENVIRONMENT, str(tmp_path))
    with progress.shown("inner") as folder:
        assert folder == tmp_path


def test_notes_of_workers_on_other_nodes_are_shown_too(tmp_path):
    import threading

    elsewhere = tmp_path / "shared"
    elsewhere.mkdir()
    progress.write_note(tmp_path / progress.PLAN, label="start", done=3, total=7, notes=str(elsewhere))
    progress.write_note(elsewhere / "run.json", label="student seed 1", done=5, total=10)
    stop, shown = threading.Event(), io.StringIO()
    stop.set()
    progress._watch(tmp_path, "building runs", stop, Console(file=shown, force_terminal=True, width=120))
    assert "student seed 1" in shown.getvalue()
    assert "5/10" in shown.getvalue()
