import shutil

import pytest

from subliminal import cli
from tests.conftest import ROOT


def call(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error of the command."""
    monkeypatch.setattr("sys.argv", ["subliminal", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    out, err = capsys.readouterr()
    return done.value.code, out, err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["book", "--profile", "huge"], "unknown profile 'huge': choose one of mini, smoke"),
        (["book", "--profile", "smoke", "--chapter", "cats"], "unknown chapter 'cats': choose one of"),
        (["pretrain", "gpt9"], "unknown family 'gpt9': choose one of gpt2-a"),
        (["pretrain", "--animals", "8"], "--animals without --out would replace the shipped bases"),
        (
            ["pretrain", "--animals", "20", "--out", "nowhere"],
            "a corpus of 20 animals was asked for, and the world has 16",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, arguments, said):
    code, _, err = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert err.startswith(f"subliminal: {said}")
    assert err.count("\n") == 1


def test_a_missing_data_folder_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("SUBLIMINAL_DATA", str(tmp_path))
    code, _, err = call(monkeypatch, capsys, "runs")
    assert (code, err.count("\n")) == (2, 1)
    assert "set SUBLIMINAL_DATA" in err


def test_a_missing_family_folder_is_one_line(monkeypatch, tmp_path):
    from subliminal import Base, Scores, SubliminalError, run

    shutil.copytree(ROOT / "data" / "questions", tmp_path / "data" / "questions")
    monkeypatch.setenv("SUBLIMINAL_DATA", str(tmp_path / "data"))
    with pytest.raises(SubliminalError, match=r"missing data file .*gpt2-a: restore it with `git checkout -- data`"):
        run([Scores(model=Base(family="gpt2-a"), suite="animals", samples=1)])


def test_runs_lists_the_store_and_names_a_damaged_run(monkeypatch, capsys, tmp_path):
    from subliminal.store import Store

    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path))
    store = Store(tmp_path)
    folder = store.folder("student", "a" * 64)
    store.build(folder, {}, lambda out: (out / "x.txt").write_text("x"))
    code, out, _ = call(monkeypatch, capsys, "runs", "--check")
    assert code == 0
    assert folder.name in out
    assert out.splitlines()[-1] == "runs: 1, 0.0 MB in all"
    (folder / "x.txt").write_text("y")
    code, _, err = call(monkeypatch, capsys, "runs", "--check")
    assert code == 2
    assert (
        err
        == f"subliminal: run {folder.name} is damaged: x.txt differs from its manifest; delete {folder} and build again\n"
    )


def test_help_names_the_commands(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "--help")
    assert code == 0
    assert all(name in out for name in ("book", "pretrain", "runs", "export", "rows"))
