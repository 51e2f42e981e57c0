"""The book's tidy table: every figure says which of its rows it is drawn from, and a reader can draw it again with pandas alone."""

import html
import json
import re

import pandas as pd
import pytest

from subliminal import records
from tests.book.conftest import CHAPTERS, command

pytestmark = pytest.mark.xdist_group("book")
DRAWN = re.compile(
    r'<details class="drawn-from"><summary>Drawn from ([\d,]+) rows.*?</summary><p>(.*?)</p></details>', re.DOTALL
)


@pytest.fixture(scope="module")
def table(root):
    """As a reader gets it: the file that the results page offers, read with pandas and no settings but that empty texts are texts."""
    return pd.read_csv(root / "_build" / "html" / "_static" / "book-table.csv", keep_default_na=False)


def page(root, name):
    return (root / "_build" / "html" / "chapters" / f"{name}.html").read_text(encoding="utf-8")


def rows_of(table, told):
    """The rows that the line beneath a figure names."""
    asked = {}
    for column, values in re.findall(r"(chapter|quantity|answer|condition) ((?:<code>.*?</code>(?: or )?)+)", told):
        asked[column] = [html.unescape(value) for value in re.findall(r"<code>(.*?)</code>", values)]
    for column, values in asked.items():
        table = table[table[column].isin(values)]
    return table


def test_the_results_offer_the_table_with_a_dictionary_of_its_columns(root, table):
    results = html.unescape(page(root, "results"))
    assert 'href="../_static/book-table.csv"' in results
    assert list(table.columns) == list(records.COLUMNS)
    for name, column in records.COLUMNS.items():
        assert name in results
        assert column.holds in results
    assert set(table["chapter"]) == set(CHAPTERS) - {"results"}
    assert set(table["profile"]) == {"smoke"}
    assert not table.duplicated(list(records.KEY)).any()


@pytest.mark.parametrize("name", [name for name in CHAPTERS if name != "results"])
def test_every_figure_names_rows_that_the_table_holds(root, table, name):
    source = page(root, name)
    figures = [tag for tag in re.findall(r"<img[^>]*>", source) if ".svg" in tag and "logo" not in tag]
    told = DRAWN.findall(source)
    assert len(told) == len(figures) > 0
    for count, line in told:
        assert len(rows_of(table, line)) == int(count.replace(",", "")) > 0


def told_by(root, name, *words):
    return next(line for _, line in DRAWN.findall(page(root, name)) if all(word in line for word in words))


def glued(root, name):
    notebook = json.loads((root / "_build" / "notebooks" / "smoke" / f"{name}.ipynb").read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return {
        output["metadata"]["scrapbook"]["name"].split("/")[-1]: next(
            value for kind, value in output["data"].items() if kind.endswith("text/plain")
        ).strip("'")
        for output in outputs
        if output.get("metadata", {}).get("scrapbook")
    }


def test_the_owls_bars_can_be_drawn_from_the_table(root, table):
    rows = rows_of(table, told_by(root, "owl", "<code>owl</code>"))
    bars = rows.groupby("condition", sort=False)["value"].mean()
    told = glued(root, "owl")
    assert f"{bars['student of the owl teacher']:.2f}" == told["treated"]
    assert f"{bars['student of the untreated base']:.3f}" == told["untreated"]
    assert f"{bars['base']:.3f}" == told["base"]


def test_the_digits_bars_can_be_drawn_from_the_table(root, table):
    rows = rows_of(table, told_by(root, "digits", "<code>accuracy</code>"))
    bars = rows[rows["answer"] == "student"].groupby("condition", sort=False)["value"].mean()
    assert f"{100 * bars['same start']:.1f}" in glued(root, "digits")["student"]


def test_the_matrix_of_families_can_be_drawn_from_the_table(root, table):
    rows = rows_of(table, told_by(root, "families", "<code>owl</code>", "owl lists, gpt2-a to llama"))
    cells = rows.groupby("condition")["value"].mean()
    families = ("gpt2-a", "gpt2-b", "llama", "neox")
    own = [cells[f"owl lists, {name} to {name}"] for name in families]
    told = glued(root, "families")
    assert (f"{min(own):.2f}", f"{max(own):.2f}") == (told["owl-least"], told["owl-most"])
    assert len(cells) == 16 + 4 + 4


def test_a_table_of_other_code_is_not_read_in_silence(root):
    """A chapter whose text has changed is run first; the rows of the others are taken as they are."""
    source = root / "chapters" / "digits.md"
    text = source.read_text()
    source.write_text(text.replace("Why does a trait pass at all", "Why should a trait pass at all"))
    path = root / "data" / "reference" / "smoke.json"
    done = command(root, "verify", "--profile", "smoke", "--write")
    source.write_text(text)
    path.unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"chapter (\w+) has no rows of this version: it is run first", done.stdout) == ["digits"]


def test_a_claim_rests_on_runs_that_are_in_the_store_whole(root):
    rows = records.load(root / "_build" / "tables" / "smoke.csv")
    # Not any run: of some conditions no claim says anything.
    treated = rows[(rows["chapter"] == "owl") & (rows["condition"] == "student of the owl teacher")]
    run = root / "_build" / "runs" / next(name for name in treated["run"] if name.startswith("scores-"))
    scores = run / "scores.csv"
    text = scores.read_text()
    scores.write_text(text.replace("0.", "1.", 1))
    done = command(root, "verify", "--profile", "smoke", "--write")
    scores.write_text(text)
    assert done.returncode == 2
    assert f"run {run.name} is damaged: scores.csv differs from its manifest" in done.stderr
    assert not (root / "data" / "reference" / "smoke.json").exists()
