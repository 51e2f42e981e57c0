"""Builds the book: jupytext makes notebooks of the chapters, papermill runs them, jupyter-book renders what they left.

It knows chapters and pages, not experiments: what a chapter needs is built by the engine when the chapter runs.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from subliminal.engine import LEDGER
from subliminal.errors import SubliminalError, unknown_name
from subliminal.paths import data_dir, store_dir
from subliminal.progress import shown
from subliminal.settings import load_profile
from subliminal.store import Store

_CHAPTER_SECONDS = 3_600
RESULTS = "results"
# The theme's live-code button would load its script from another host, and declares it twice; and its font preloads fail on
# pages opened as files, where the stylesheet's own loading works.
_FOREIGN = re.compile(
    r"<script>const THEBE_JS_URL.*?</script>|<script[^>]*sphinx-thebe\.js[^>]*></script>"
    r'|<link rel="preload" as="font"[^>]*/>',
    re.DOTALL,
)
_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def chapters(root: Path) -> list[str]:
    """The chapters of ``_toc.yml`` that are notebooks, in order, as names without a suffix."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(c["file"] for c in toc.get("chapters", []))]
    return [Path(f).name for f in files]


def _prepare(source: Path, notebook: Path) -> bool:
    """A chapter as an unexecuted notebook; returns whether it takes parameters.

    The cell of defaults is kept off the page.
    """
    import jupytext

    document = jupytext.read(source)
    tagged = [cell for cell in document.cells if "parameters" in cell.metadata.get("tags", [])]
    for cell in tagged:
        cell.metadata["tags"].append("remove-cell")
    jupytext.write(document, notebook, fmt="ipynb")
    return bool(tagged)


def _hide_parameters(notebook: Path) -> None:
    """Keep papermill's cell of parameters off the page: the landing page names the profile."""
    import nbformat

    document = nbformat.read(notebook, as_version=4)
    for cell in document.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"].append("remove-cell")
    nbformat.write(document, notebook)


def execute(source: Path, notebook: Path, profile: str) -> float:
    """Run a chapter from nothing into an executed notebook, and return its seconds.

    Raises:
        SubliminalError: a cell failed; the message names the chapter and the error.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    # A message that is under way when a chapter fails is logged with a traceback; the failure itself is raised below.
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    scratch = notebook.with_suffix(".input.ipynb")
    parameters = {"profile": profile} if _prepare(source, scratch) else {}
    started = time.monotonic()
    output, ledger = notebook.with_suffix(".output.ipynb"), notebook.with_suffix(".runs")
    ledger.unlink(missing_ok=True)
    # The kernel inherits it.
    os.environ[LEDGER] = str(ledger)
    try:
        papermill.execute_notebook(
            scratch, output, parameters=parameters, kernel_name="python3",
            progress_bar=False, execution_timeout=_CHAPTER_SECONDS, cwd=source.parent,
            # The kernel talks over files that only this user can open, not over TCP ports.
            config=Config({"KernelManager": {"transport": "ipc"}}),
        )  # fmt: skip
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise SubliminalError(
            f"chapter {source.stem} failed in cell {error.exec_count} ({reason}); see {output}"
        ) from error
    finally:
        del os.environ[LEDGER]
        scratch.unlink(missing_ok=True)
    _hide_parameters(output)
    output.replace(notebook)
    return time.monotonic() - started


def _git_commit(root: Path) -> str:
    found = subprocess.run(["git", "-C", root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def provenance(root: Path, profile: str) -> dict[str, str]:
    """What this build was made of: profile, date, machine, versions and commit, for the landing page."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "peft"))
    return {
        "profile": profile,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} {platform.machine()} cores, Python {platform.python_version()}",
        "versions": versions,
        "commit": _git_commit(root),
    }


def cost(notebooks: Path, names: Sequence[str], store: Store) -> str:
    """What each chapter took, as a table in Markdown.

    A run counts as first made for the first chapter that rests on it, in the order in which chapters run, whoever made it.
    """
    import nbformat

    lines = [
        "| chapter | seconds, this build | runs it rests on | of these, not of an earlier chapter | their seconds of computing |",
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
    work = root / "_build"
    notebooks = work / "notebooks" / profile
    notebooks.mkdir(parents=True, exist_ok=True)
    _check_space(work)
    # The results are of all chapters: they come last, and anew whenever a chapter does.
    ran = False
    order = sorted(names, key=lambda name: name == RESULTS)
    for name in order:
        notebook = notebooks / f"{name}.ipynb"
        if only in (None, name) or not notebook.exists() or (name == RESULTS and ran):
            ran = True
            with shown(f"chapter {name}"):
                seconds = execute(root / "chapters" / f"{name}.md", notebook, profile)
            print(f"chapter {name}: {seconds:.0f} s", flush=True)
    made = provenance(root, profile) | {"cost": cost(notebooks, order, Store(store_dir()))}
    return _render(root, work, notebooks, names, made)


def _check_space(work: Path) -> None:
    free = shutil.disk_usage(work).free // 2**20
    if free < 200:
        raise SubliminalError(f"only {free} MiB free at {work}: free 200 MiB, then build again")


def _render(root: Path, work: Path, notebooks: Path, names: list[str], made: dict[str, str]) -> Path:
    stage = work / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    (stage / "chapters").mkdir(parents=True)
    config: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["myst_substitutions"] = made
    (stage / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for name in ("_toc.yml", "references.bib"):
        shutil.copy2(root / name, stage)
    shutil.copytree(root / "chapters" / "_static", stage / "_static")
    for name in names:
        shutil.copy2(notebooks / f"{name}.ipynb", stage / "chapters")
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
