"""Chapters that an adapter can read, and a library that knows none of them by name."""

import ast
import re

import pytest

from tests.book.conftest import CHAPTERS
from tests.conftest import ROOT

LONGEST = 15
# What knows of chapters, and must not know which there are; sizes alone are named as chapters are.
MODULES = (
    "book",
    "claims",
    "cli",
    "designs",
    "pages",
    "prose",
    "reading",
    "records",
    "stability",
    "study",
    "verdicts",
    "verify",
)


def cells(name):
    """The code cells of a chapter: tags and lines of code."""
    text = (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf-8")
    for body in re.findall(r"```\{code-cell\} ipython3\n(.*?)```", text, re.DOTALL):
        head, tags = "", re.search(r"tags: \[(.*?)\]", body)
        if body.startswith("---"):
            head = body.split("---\n", 2)[1]
        lines = body.removeprefix(f"---\n{head}---\n").splitlines()
        yield tags[1] if tags else "", [line for line in lines if line.strip() and not line.startswith(":tags:")]


@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_no_visible_cell_is_long(name):
    long = [code[0] for tags, code in cells(name) if "remove" not in tags and len(code) > LONGEST]
    assert long == []


def test_a_chapter_of_many_cells_is_no_long_file():
    assert len((ROOT / "chapters" / "families.md").read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("module", MODULES)
def test_the_library_knows_no_chapter_by_name(module):
    tree = ast.parse((ROOT / "lib" / "subliminal" / f"{module}.py").read_text(encoding="utf-8"))
    told = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)} - told
    # A kind of hint is called favourites, and shipped bases lie in data/families.
    assert not [w for w in words for name in CHAPTERS if w == name and (module, w) != ("reading", "favourites")]
