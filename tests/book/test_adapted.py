"""A chapter on a model of one's own: a notebook of its own, and the book stays as it is."""

import nbformat
import pandas as pd
import pytest

from tests.book.conftest import command
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("book")
MODEL = ROOT / "data" / "families" / "llama"


def owl_on(root, model, *arguments):
    return command(root, "book", "--profile", "smoke", "--model", str(model), *arguments)


def test_the_owl_chapter_runs_on_a_model_of_ones_own(root):
    kept = [root / "_build" / "html" / "owl.html", root / "_build" / "tables" / "smoke.csv"]
    before = {path: path.read_bytes() for path in kept if path.exists()}
    assert before
    done = owl_on(root, MODEL, "--chapter", "owl")
    assert done.returncode == 0, done.stderr
    path = root / "_build" / "adapted" / "smoke" / "llama" / "owl.ipynb"
    assert str(path) in done.stdout
    assert {path: path.read_bytes() for path in before} == before
    cells = nbformat.read(path, as_version=4).cells
    assert "was run on `llama`" in cells[0].source
    rows = pd.read_csv(path.with_suffix(".rows.csv"))
    base = rows[(rows["condition"] == "base") & (rows["answer"] == "owl")]["value"].iloc[0]
    table = pd.read_csv(root / "_build" / "tables" / "smoke.csv")
    books = table[(table["chapter"] == "owl") & (table["condition"] == "base") & (table["answer"] == "owl")]
    assert base != books["value"].iloc[0]
    text = "".join(str(out) for cell in cells if cell.cell_type == "code" for out in cell.outputs)
    assert "llama, 0.5 million parameters" in text
    assert "lora" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--chapter", "world"), "chapter world takes no other model"),
        ((), "--model without --chapter"),
        (("--chapter", "owls"), "unknown chapter 'owls'"),
    ],
)
def test_what_cannot_be_run_on_it_is_one_line(root, arguments, told):
    done = owl_on(root, MODEL, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_is_not_there_is_one_line(root):
    done = owl_on(root, root / "nowhere", "--chapter", "owl")
    assert done.returncode == 2
    assert "no model folder at" in done.stderr
