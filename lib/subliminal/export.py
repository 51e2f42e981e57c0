"""A run's model as a whole folder in Hugging Face format, which any program opens that reads such folders."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

from safetensors import SafetensorError

from subliminal.errors import DamagedRunError, SubliminalError, reason
from subliminal.fingerprint import base_folder
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.recipes import Base
from subliminal.store import MANIFEST, Store
from subliminal.world.base import save_base

# Runs that an ambiguous name tells of.
_TOLD = 8


def _find(run: str, store: Store) -> Path:
    """The folder of the run of that name, or whose name alone begins so, or the folder of that path."""
    if (Path(run) / MANIFEST).is_file():
        return Path(run)
    names = sorted(path.parent.name for path in store.root.glob(f"[!.]*/{MANIFEST}"))
    found = [name for name in names if name == run] or [name for name in names if run and name.startswith(run)]
    if len(found) == 1:
        return store.root / found[0]
    if found:
        more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise SubliminalError(
            f"{len(found)} runs begin with {run!r}: give more of the name of one, {', '.join(found[:_TOLD])}{more}"
        )
    counts = Counter(name.rpartition("-")[0] for name in names)
    there = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())) or "none"
    raise SubliminalError(f"no run {run!r} in {store.root}, where there are {there}: `subliminal runs` lists them")


def export(run: str, folder: Path, store: Store) -> Path:
    """Write the model of a run with its tokenizer and chat template; what was tuned is put together with its base.

    Args:
        run: its name in the store, the first characters of it, or the path of its folder.
        folder: to write to; made in one piece, or not at all.

    Returns:
        The run's own folder.

    Raises:
        SubliminalError: there is no such run or more than one, it holds no model, its base is missing or another, or the folder cannot
            be written or is not empty.
        DamagedRunError: the run's files differ from its manifest.
    """
    source, folder = _find(run, store), folder.resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SubliminalError(f"{folder} exists and is no empty folder: name a new one")
    owner = Store(source.parent)
    owner.check(source)
    if not any(source.glob("*.safetensors")):
        raise SubliminalError(f"run {source.name} holds no model: name the run of a teacher, a student or a sibling")
    try:
        recipe = owner.manifest(source)["recipe"]
        base = base_folder(Base(**recipe["base"]))
        method = recipe["tuning"]["method"] if "tuning" in recipe else None
    except (KeyError, TypeError) as error:
        raise DamagedRunError(
            f"run {source.name} does not say what it was made from: delete it and build again"
        ) from error
    model = load_model(source, base, method)
    tokenizer = load_tokenizer(base)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        save_base(scratch, model, tokenizer)
        scratch.replace(folder)
    except (OSError, SafetensorError) as error:
        raise SubliminalError(f"cannot write {folder} ({reason(error)}): mend that, or name another folder") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return source
