"""Builds the book: jupytext makes notebooks of the chapters, papermill runs them, jupyter-book renders what they left.

It knows chapters and pages, not experiments: what a chapter needs is built by the engine when the chapter runs. What a chapter records
while it runs goes into the book's table when it is done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from subliminal import claims, recorded, records
from subliminal.engine import LEDGER
from subliminal.errors import SubliminalError, unknown_name
from subliminal.fingerprint import data_digest, folder_digest, library_versions, package_digest, processor
from subliminal.paths import data_dir, store_dir
from subliminal.progress import ENVIRONMENT as PROGRESS
from subliminal.progress import shown
from subliminal.registry import DATA_FILES, FAMILIES
from subliminal.settings import load_profile
from subliminal.store import Store

# Where the pages offer the table for download.
DOWNLOAD = "book-table.csv"
# The theme's live-code button would load its script from another host, and declares it twice; and its font preloads fail on
# pages opened as files, where the stylesheet's own loading works.
_FOREIGN = re.compile(
    r"<script>const THEBE_JS_URL.*?</script>|<script[^>]*sphinx-thebe\.js[^>]*></script>"
    r'|<link rel="preload" as="font"[^>]*/>',
    re.DOTALL,
)
# What a chapter with claims that count for the book ends with; the page of what was recorded leaves the table of each.
_CLAIMS = """## Claims

What the registry of the book says of this chapter. {{doc}}`{page}` explains the terms; p-values are corrected over the whole book.

```{{glue}} claims-{chapter}
:doc: {page}.ipynb
```
"""
_ADAPTED = """**This notebook was run on `{model}`**, in the place of the book's own base. Its numbers, tables and figures are of that
model; where its text tells of models, sizes or settings, it speaks of the book's."""
# The cell that a chapter does not have, before its first.
_SETUP = "setup"
_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def chapters(root: Path) -> list[str]:
    """The chapters of ``_toc.yml`` that are notebooks, in order, as names without a suffix; other pages lie beside ``chapters/``."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(c["file"] for c in toc.get("chapters", []))]
    return [Path(f).name for f in files if Path(f).parent.name == "chapters"]


def reads_table(source: Path) -> bool:
    """Whether a chapter is of what the others recorded, as ``book: {reads-table: true}`` in its head says: it comes last."""
    head = yaml.safe_load(source.read_text(encoding="utf-8").split("---", 2)[1])
    return bool(head.get("book", {}).get("reads-table"))


def recording(root: Path) -> list[str]:
    """The chapters that record rows: those that take a profile, but for pages of what the others recorded."""
    import jupytext

    sources = {name: root / "chapters" / f"{name}.md" for name in chapters(root)}
    taking = {name: source for name, source in sources.items() if _tagged(jupytext.read(source), "parameters")}
    return [name for name, source in taking.items() if not reads_table(source)]


def versions(root: Path, profile: str) -> dict[str, str]:
    """The version of each chapter that records: of its text, its sizes, the library, the data and the packages that it runs with.

    Its sizes are those that all share, its own section of the profile, and sections that its text names as ``profile.SECTION``: a new
    chapter's section makes no other chapter run anew.
    """
    data = sorted({name for names in DATA_FILES.values() for name in names} | {f"families/{name}" for name in FAMILIES})
    data += [recorded.NAME] if recorded.file().exists() else []
    shared = [package_digest(), data_digest(data), sorted(library_versions().items())]
    sizes = load_profile(profile).model_dump(mode="json")
    found = {}
    for name in recording(root):
        text = (root / "chapters" / f"{name}.md").read_text(encoding="utf-8")
        always = ("name", "claims", "shared", name)
        named = [section for section in sizes if section in always or f"profile.{section}" in text]
        parts = json.dumps([*shared, text, {section: sizes[section] for section in sorted(named)}])
        found[name] = hashlib.sha256(parts.encode()).hexdigest()[:12]
    return found


def table(profile: str) -> pd.DataFrame:
    """The book's table of a profile, as the chapters are now.

    Raises:
        SubliminalError: a chapter has no rows in it, or they are of another version.
    """
    return records.read(profile, versions(data_dir().parent, profile))


def _tagged(document: Any, *tags: str) -> list[Any]:
    """The cells of a notebook that have one of these tags."""
    return [cell for cell in document.cells if set(tags) & set(cell.metadata.get("tags", []))]


@contextmanager
def kernel() -> Iterator[Any]:
    """One kernel for all chapters that are run together: its imports, and those of its workers, take longer than some chapters.

    ``execute`` starts it with the first of them, and each chapter finds it with nothing defined.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    # It talks over files that only this user can open, not over TCP ports.
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
    try:
        yield manager
    finally:
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)
        run_sync(manager.cleanup_resources)()


def _clean_start(told: Mapping[str, str | None]) -> str:
    """What a chapter's kernel does before anything else: it forgets the chapter before, and counts cells from one."""
    lines = [
        f"os.environ[{name!r}] = {value!r}" if value is not None else f"os.environ.pop({name!r}, None)"
        for name, value in told.items()
    ]
    return "\n".join(
        ["import os", *lines, "get_ipython().run_line_magic('reset', '-f')", "get_ipython().execution_count = 1"]
    )


def execute(source: Path, notebook: Path, profile: str, manager: Any, model: Path | None = None) -> float:
    """Run a chapter from nothing into an executed notebook, and return its seconds. What it records goes beside the notebook.

    Args:
        manager: of the kernel, as ``kernel`` gives it.
        model: folder of a model to take in the place of the book's base.

    Raises:
        SubliminalError: a cell failed; the message names the chapter and the error. Or the chapter takes no other model.
    """
    import jupytext
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    # A message that is under way when a chapter fails is logged with a traceback; the failure itself is raised below.
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    scratch = notebook.with_suffix(".input.ipynb")
    document = jupytext.read(source)
    ledger, rows = notebook.with_suffix(".runs"), _recorded(notebook)
    for path in (ledger, rows):
        path.unlink(missing_ok=True)
    # The kernel is told where to tell of its runs, of what it measures and of its progress.
    told = {LEDGER: str(ledger), records.SCRATCH: str(rows), PROGRESS: os.environ.get(PROGRESS)}
    document.cells.insert(0, nbformat.v4.new_code_cell(_clean_start(told), metadata={"tags": [_SETUP]}))
    given = _tagged(document, "parameters")
    parameters = {"profile": profile} if given else {}
    if model is not None:
        if not any(re.search(r"^model = ", cell.source, re.MULTILINE) for cell in given):
            raise SubliminalError(f"chapter {source.stem} takes no other model: adapt its notebook, or run owl")
        parameters["model"] = str(model.resolve())
        document.cells.insert(1, nbformat.v4.new_markdown_cell(_ADAPTED.format(model=model.resolve().name)))
    jupytext.write(document, scratch, fmt="ipynb")
    started = time.monotonic()
    output = notebook.with_suffix(".output.ipynb")
    try:
        done = papermill.execute_notebook(
            scratch, output, parameters=parameters, kernel_name="python3",
            progress_bar=False, cwd=source.parent,
            # On one slow core a cell trains for more than an hour. What it does is shown as it goes.
            execution_timeout=None,
            km=manager,
        )  # fmt: skip
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise SubliminalError(
            f"chapter {source.stem} failed in cell {error.exec_count} ({reason}); see {output}"
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    for cell in _tagged(done, _SETUP):
        done.cells.remove(cell)
    # The landing page names the profile: the cell of defaults and papermill's cell of parameters are kept off the page.
    for cell in _tagged(done, "parameters", "injected-parameters"):
        cell.metadata["tags"].append("remove-cell")
    nbformat.write(done, output)
    output.replace(notebook)
    return time.monotonic() - started


def adapt(chapter: str, profile: str, model: Path) -> Path:
    """Run one chapter on a model of one's own. The book, its pages and its table are left as they are.

    Returns:
        The path of the executed notebook, in ``_build/adapted``.

    Raises:
        SubliminalError: unknown profile or chapter, no model, a chapter that takes no other model, or one that failed.
    """
    load_profile(profile)
    root = data_dir().parent
    if chapter not in (names := chapters(root)):
        raise unknown_name("chapter", chapter, names)
    folder_digest(model)
    folder = root / "_build" / "adapted" / profile / model.resolve().name
    folder.mkdir(parents=True, exist_ok=True)
    with kernel() as manager, shown(f"chapter {chapter}"):
        execute(root / "chapters" / f"{chapter}.md", folder / f"{chapter}.ipynb", profile, manager, model)
    return folder / f"{chapter}.ipynb"


def _recorded(notebook: Path) -> Path:
    return notebook.with_suffix(".rows.csv")


def _run(root: Path, name: str, profile: str, version: str | None, manager: Any) -> None:
    """Run a chapter, and put what it recorded into the book's table; ``version`` is that of a chapter that records."""
    notebook = _notebooks(root, profile) / f"{name}.ipynb"
    with shown(f"chapter {name}"):
        seconds = execute(root / "chapters" / f"{name}.md", notebook, profile, manager)
    if version is not None:
        rows = _recorded(notebook)
        if not rows.exists():
            raise SubliminalError(f"chapter {name} recorded nothing: let its Study run or record what it measures")
        records.replace(profile, name, version, records.load(rows, records.TOLD))
        rows.unlink()
    print(f"chapter {name}: {seconds:.0f} s", flush=True)


def _notebooks(root: Path, profile: str) -> Path:
    folder = root / "_build" / "notebooks" / profile
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refresh(profile: str, manager: Any = None) -> pd.DataFrame:
    """The book's table, after running the chapters whose rows are missing or of another version; no page is rendered.

    Args:
        manager: of a kernel, as ``kernel`` gives it; by default one is started where it is needed.

    Raises:
        SubliminalError: unknown profile, or a failed chapter.
    """
    load_profile(profile)
    root = data_dir().parent
    known = versions(root, profile)
    with nullcontext(manager) if manager else kernel() as running:
        for name in records.missing(profile, known):
            print(f"chapter {name} has no rows of this version: it is run first", flush=True)
            _run(root, name, profile, known[name], running)
    return records.read(profile, known)


def provenance(root: Path, profile: str) -> dict[str, str]:
    """What this build was made of: profile, date, machine, processor, versions and commit, for the landing page."""
    shown = ", ".join(f"{name} {library_versions()[name]}" for name in ("torch", "transformers", "peft"))
    commit = subprocess.run(["git", "-C", root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    return {
        "profile": profile,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} {platform.machine()} cores, Python {platform.python_version()}",
        "processor": processor(),
        "versions": shown,
        "commit": commit.strip() or "unknown",
    }


def cost(notebooks: Path, names: Sequence[str], store: Store) -> str:
    """What each chapter took, as a table in Markdown.

    A run counts as first made for the first chapter that rests on it, in the order in which chapters run, whoever made it. It has one
    core, so the seconds that its manifest tells are core-seconds.
    """
    import nbformat

    lines = [
        "| chapter | seconds, this build | runs it rests on | of these, not of an earlier chapter | their core-seconds |",
        "|---|--:|--:|--:|--:|",
    ]
    seen: set[str] = set()
    total = [0.0, 0.0]
    for name in names:
        notebook = notebooks / f"{name}.ipynb"
        ledger = notebook.with_suffix(".runs")
        runs = set(ledger.read_text(encoding="utf-8").split()) if ledger.exists() else set()
        told = nbformat.read(notebook, as_version=4).metadata.get("papermill", {})
        wall = float(told.get("duration") or 0)
        computed = sum(float(store.manifest(store.root / run)["seconds"]) for run in runs - seen)
        lines.append(f"| {{doc}}`{name}` | {wall:,.0f} | {len(runs):,} | {len(runs - seen):,} | {computed:,.0f} |")
        seen |= runs
        total = [total[0] + wall, total[1] + computed]
    lines.append(f"| all | {total[0]:,.0f} | {len(seen):,} | {len(seen):,} | {total[1]:,.0f} |")
    return "\n".join(lines)


def check_runs(names: Iterable[str]) -> None:
    """Whether these runs are in the store, each file as it was written.

    Raises:
        SubliminalError: one is gone.
        DamagedRunError: a file of one differs from its manifest.
    """
    store = Store(store_dir())
    for name in names:
        if not store.check(store.root / name):
            raise SubliminalError(f"run {name}, on which a claim rests, is not in {store.root}: run make book again")


def build(profile: str, only: str | None = None) -> Path:
    """Run the chapters and render the book; the old pages stay until the new ones are whole.

    Args:
        profile: a name of ``settings.PROFILES``.
        only: one chapter to run alone; the others are rendered as the last build left them.

    Returns:
        The path of ``index.html``.

    Raises:
        SubliminalError: unknown profile or chapter, a failed chapter, or a page with warnings.
    """
    load_profile(profile)
    root = data_dir().parent
    names = chapters(root)
    if only is not None and only not in names:
        raise unknown_name("chapter", only, names)
    notebooks, known = _notebooks(root, profile), versions(root, profile)
    if (free := shutil.disk_usage(root / "_build").free // 2**20) < 200:
        raise SubliminalError(f"only {free} MiB free at {root / '_build'}: free 200 MiB, then build again")
    # Pages of what the others recorded come last, and anew whenever a chapter does.
    last = [name for name in names if reads_table(root / "chapters" / f"{name}.md")]
    ran = False
    with kernel() as manager:
        for name in (name for name in names if name not in last):
            if only in (None, name) or not (notebooks / f"{name}.ipynb").exists():
                ran = True
                _run(root, name, profile, known.get(name), manager)
        for name in last:
            there = (notebooks / f"{name}.ipynb").exists()
            if only in (None, name) or not there or ran:
                if (old := records.missing(profile, known)) and there and only != name:
                    print(
                        f"chapter {name} is left as it was, since {', '.join(old)} are of another version: make book runs them"
                    )
                    continue
                refresh(profile, manager)
                _run(root, name, profile, None, manager)
    order = [*(name for name in names if name not in last), *last]
    made = provenance(root, profile) | {"cost": cost(notebooks, order, Store(store_dir()))}
    return _render(root, notebooks, names, last, made, profile)


def _render(root: Path, notebooks: Path, names: list[str], last: list[str], made: dict[str, str], profile: str) -> Path:
    import nbformat

    work = root / "_build"
    stage = work / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    (stage / "chapters").mkdir(parents=True)
    config: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["myst_substitutions"] = made
    (stage / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for name in ("_toc.yml", "references.bib", "LOG.md"):
        shutil.copy2(root / name, stage)
    shutil.copytree(root / "chapters" / "_static", stage / "_static")
    if (recorded := records.table_file(profile)).exists():
        # Rows of a chapter that is gone stay behind.
        rows = records.load(recorded)
        records.dump(stage / "_static" / DOWNLOAD, rows[rows["chapter"].isin(recording(root))])
    claimed = {claim.chapter for claim in claims.load(load_profile(profile)).claims if claim.headline}
    for name in names:
        document = nbformat.read(notebooks / f"{name}.ipynb", as_version=4)
        if name in claimed and last:
            document.cells.append(nbformat.v4.new_markdown_cell(_CLAIMS.format(chapter=name, page=last[0])))
        nbformat.write(document, stage / "chapters" / f"{name}.ipynb")
    log = work / "render.log"
    command = [sys.executable, "-c", _JUPYTER_BOOK, "build", "-W", "-n", "--keep-going", str(stage)]
    with log.open("w", encoding="utf-8") as handle:
        done = subprocess.run(command, stdout=handle, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUTF8": "1"})
    if done.returncode:
        lines = log.read_text(encoding="utf-8").splitlines()
        first = next(
            (line for line in lines if "WARNING" in line or "ERROR" in line), lines[-1] if lines else "no output"
        )
        raise SubliminalError(f"the pages did not render cleanly ({first.strip()}); see {log}")
    for page in (stage / "_build" / "html").rglob("*.html"):
        page.write_text(_FOREIGN.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    html, old = work / "html", work / "html.old"
    shutil.rmtree(old, ignore_errors=True)
    if html.exists():
        html.rename(old)
    (stage / "_build" / "html").rename(html)
    shutil.rmtree(old, ignore_errors=True)
    return html / "index.html"
