"""What the README says of adding a chapter: a file, a line in the table of contents, a section of sizes, its claims. Nothing else."""

import re

import pandas as pd
import pytest
import yaml

from tests.book.conftest import build, command

pytestmark = pytest.mark.xdist_group("book")
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Likes of a base

```{code-cell} ipython3
:tags: [parameters]

profile = "mini"
```

```{code-cell} ipython3
from subliminal import Base, Study, pages, prose
from subliminal.designs import scores

study = Study("likes", profile)
```

## What we state before the run

```{code-cell} ipython3
pages.stated(study)
```

```{code-cell} ipython3
families = {name: [Base(family=name)] for name in study.sizes.families}
table = study.run(scores(families, "animals"))
pages.table(prose.targets(study.verdicts()))
```
"""
SECTION = '''class Likes(Frozen):
    """Sizes of "Likes of a base"."""

    families: tuple[str, ...] = Field(min_length=1)


_LIKES = {"smoke": Likes(families=("gpt2-a", "llama")), "mini": Likes(families=("gpt2-a", "llama"))}


class Profile(Frozen):'''
CLAIM = {"chapter": "likes", "condition": "gpt2-a", "score": ["animals", "owl"]}
CLAIMS = [
    CLAIM | {
        "id": "likes-alike", "headline": True, "sentence": "Two bases like owls about as much.", "control": "llama",
        "test": "equivalent", "bound": 0.5,
    },
    CLAIM | {"id": "likes-little", "sentence": "no great love of owls", "test": "at most", "bound": 0.3, "unit": "share"},
]  # fmt: skip
STATEMENT = {"id": "little", "text": "A base gives owl at most {bound}.", "claims": ["likes-little"]}


@pytest.fixture
def extended(root):
    """The smoke book with one chapter more; afterwards as it was."""
    edited = {name: root / name for name in ("_toc.yml", "data/claims.yml", "lib/subliminal/settings/__init__.py")}
    before = {name: path.read_text() for name, path in edited.items()}
    chapter = root / "chapters" / "likes.md"
    registry = yaml.safe_load(before["data/claims.yml"])
    registry["claims"] += CLAIMS
    registry["statements"]["likes"] = [STATEMENT]
    sizes = before["lib/subliminal/settings/__init__.py"]
    for old, new in (
        ("from subliminal.errors import", "from pydantic import Field\n\nfrom subliminal.errors import"),
        ("class Profile(Frozen):", SECTION),
        ("    monitor: Monitor\n\n\nPROFILES", "    monitor: Monitor\n    likes: Likes\n\n\nPROFILES"),
        ("monitor=MONITOR[name],", "monitor=MONITOR[name],\n        likes=_LIKES[name],"),
    ):
        assert old in sizes
        sizes = sizes.replace(old, new)
    try:
        chapter.write_text(CHAPTER)
        edited["_toc.yml"].write_text(before["_toc.yml"].rstrip() + "\n  - file: chapters/likes\n")
        edited["data/claims.yml"].write_text(yaml.safe_dump(registry))
        edited["lib/subliminal/settings/__init__.py"].write_text(sizes)
        yield root
    finally:
        chapter.unlink()
        for name, path in edited.items():
            path.write_text(before[name])
    done = build(root, "--chapter", "results")
    assert done.returncode == 0, done.stderr


def test_a_chapter_is_a_file_a_line_a_section_and_its_claims(extended):
    done = build(extended, "--chapter", "likes")
    assert done.returncode == 0, done.stderr
    # Neither its section of sizes nor its claims make another chapter run anew.
    assert re.findall(r"^chapter (\w+): \d+ s$", done.stdout, re.MULTILINE) == ["likes", "results"]
    pages = extended / "_build" / "html" / "chapters"
    page, results = ((pages / f"{name}.html").read_text(encoding="utf-8") for name in ("likes", "results"))
    assert "A base gives owl at most 0.3." in page
    assert "no great love of owls" in page
    assert "Two bases like owls about as much." in page[page.index('<div class="verdicts"') :]
    assert 'href="likes.html#claims"' in results
    assert "<code>likes-alike</code>" in results
    table = pd.read_csv(extended / "_build" / "html" / "_static" / "book-table.csv", keep_default_na=False)
    mine = table[(table["chapter"] == "likes") & (table["answer"] == "owl")]
    assert set(mine["condition"]) == {"gpt2-a", "llama"}
    assert f"{mine.set_index('condition').loc['gpt2-a', 'value']:.3f}"[:4] in page


def test_a_claim_on_what_the_chapter_does_not_record_is_one_line(extended):
    path = extended / "data" / "claims.yml"
    text = path.read_text()
    path.write_text(text.replace("control: llama", "control: neox"))
    done = command(extended, "verify", "--profile", "smoke", "--write")
    path.write_text(text)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert (
        "claim 'likes-alike' asks for condition 'neox' of chapter 'likes', and the table has 'gpt2-a', 'llama'"
        in done.stderr
    )
