"""What the book's chapters are, read off their sources; that they build is tested in ``tests/book``."""

import pytest

from subliminal import book

HEAD = """---
jupytext: {{text_representation: {{extension: .md, format_name: myst}}}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
{}---

# A page
"""
CELL = '\n```{{code-cell}} ipython3\n{}profile = "mini"\n```\n'
WRITTEN = {
    "option": ":tags: [parameters]\n\n",
    "flow": "---\ntags: [hide-input, parameters]\n---\n",
    "block": "---\ntags:\n  - parameters\n---\n",
}


@pytest.fixture
def root(tmp_path):
    """A table of contents of a first page, chapters that take a profile and one that reads the table, and a page beside them."""
    (tmp_path / "chapters").mkdir()
    pages = {"index": HEAD.format("")} | {name: HEAD.format("") + CELL.format(tags) for name, tags in WRITTEN.items()}
    pages["last"] = HEAD.format("book: {reads-table: true}\n") + CELL.format(WRITTEN["option"])
    for name, text in pages.items():
        (tmp_path / "chapters" / f"{name}.md").write_text(text)
    entries = "".join(f"  - file: {name}\n" for name in [*(f"chapters/{n}" for n in pages if n != "index"), "LOG"])
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/index\nchapters:\n{entries}")
    return tmp_path


def test_a_page_beside_the_chapters_is_none(root):
    assert book.chapters(root) == ["index", *WRITTEN, "last"]


def test_a_chapter_that_takes_a_profile_records_however_its_tag_is_written(root):
    assert book.recording(root) == list(WRITTEN)
