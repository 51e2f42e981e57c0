"""The smoke book, built once from a copy of the sources."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CHAPTERS = (
    "results",
    "owl",
    "favourites",
    "world",
    "misled",
    "code",
    "chains",
    "digits",
    "theorem",
    "families",
    "real",
    "read",
    "mix",
    "audit",
    "early",
    "monitor",
    "tainted",
)
SOURCES = ("_config.yml", "_toc.yml", "references.bib", "LOG.md", "chapters", "data", "lib")


def command(root, *arguments):
    environment = {
        **os.environ,
        "SUBLIMINAL_DATA": str(root / "data"),
        "SUBLIMINAL_STORE": str(root / "_build" / "runs"),
        # The copy of the library, which tests may edit.
        "PYTHONPATH": str(root / "lib"),
    }
    return subprocess.run(
        [sys.executable, "-m", "subliminal.cli", *arguments],
        cwd=root, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def build(root, *arguments):
    return command(root, "book", "--profile", "smoke", *arguments)


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            # Sockets that a killed build left cannot be copied.
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("kernel-ipc*"))
        else:
            shutil.copy2(source, folder / name)
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
