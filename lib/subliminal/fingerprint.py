"""What a run depends on, as a digest: its recipe, its upstream, the code of its stage, data files, library versions.

Code is compared as syntax trees without docstrings, over every module of ours that the stage imports, directly or not:
editing a comment or a docstring leaves all runs whole, editing a loop makes its runs anew.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from subliminal.errors import ModelFolderError
from subliminal.paths import data_file
from subliminal.recipes import Base, Recipe
from subliminal.rowfiles import unreadable

# These modules only say what is to be done, and all they say of a run is in its recipe's fields.
_DECLARATIVE = frozenset(f"subliminal.{n}" for n in ("errors", "fingerprint", "paths", "recipes", "registry"))
# So do the sizes of studies.
_SIZES = "subliminal.settings"
# A model card, and a run's manifest: they hold times and dates.
_TOLD = ("card.json", "run.json")
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "numpy")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _strip_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _source(name: str) -> Path | None:
    """Where a module's code lies, if it is one. The packages above it are not imported for that: torch may hang on them."""
    top, *parts = name.split(".")
    spec = find_spec(top)
    if spec is None or not parts:
        return Path(spec.origin) if spec and spec.origin else None
    places = [Path(location, *parts) for location in spec.submodule_search_locations or ()]
    files = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return next((file for file in files if file.is_file()), None)


@cache
def _module(name: str) -> tuple[str, frozenset[str]]:
    """The digest of a module's code, and the modules of this package that it imports."""
    source = _source(name)
    assert source is not None, name
    tree = ast.parse(source.read_text(encoding="utf-8"))
    package = name.partition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = frozenset(n for n in found if n.partition(".")[0] == package and n != package and _source(n))
    return _sha(ast.dump(_strip_docstrings(tree))), ours


@cache
def code_digest(modules: tuple[str, ...]) -> str:
    """Digest of the code of these modules and of all of ours that they import."""
    seen: dict[str, str] = {}
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name not in seen and name not in _DECLARATIVE and not name.startswith(_SIZES):
            seen[name], imported = _module(name)
            queue += imported
    return _sha(json.dumps(sorted(seen.items())))


def package_digest() -> str:
    """Digest of the code of all modules of this package, but for the sizes of studies: those are values, and told as such."""
    root = Path(__file__).parent
    parts = (path.relative_to(root.parent).with_suffix("").parts for path in sorted(root.rglob("*.py")))
    names = (".".join(part for part in own if part != "__init__") for own in parts)
    return _sha(json.dumps([(name, _module(name)[0]) for name in names if not name.startswith(_SIZES)]))


def data_digest(names: Iterable[str]) -> str:
    """Digest of files of ``data/``, and of the model folders among them."""
    paths = [(name, data_file(name)) for name in names]
    return _sha(json.dumps([(name, folder_digest(p) if p.is_dir() else file_digest(p)) for name, p in paths]))


@cache
def _file_digest(path: Path, size: int, modified: int, changed: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read once per process unless it changes."""
    stat = path.stat()
    # Copying may set the one time back, and not the other.
    return _file_digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def folder_digest(folder: Path) -> str:
    """Digest of a model folder: every weight, config and tokenizer file in it, but not what tells how it was made.

    Raises:
        ModelFolderError: there is no such folder.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"no model folder at {folder}: give the path of a folder in Hugging Face format")
    kinds = {".json", ".safetensors", ".jinja", ".model", ".txt"}
    files = sorted(p for p in folder.iterdir() if p.suffix in kinds and p.name not in _TOLD)
    return _sha(json.dumps([(p.name, file_digest(p)) for p in files]))


def base_folder(base: Base) -> Path:
    """Where the weights of a base lie."""
    return Path(base.folder) if base.folder is not None else data_file(f"families/{base.family}")


def processor() -> str:
    """What the system calls its processor: where Linux runs in a virtual machine that may be no more than a family."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    named = re.search(r"^model name\s*:\s*(\S.*)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


@cache
def library_versions() -> dict[str, str]:
    """The installed versions; looking one up parses all that its package says of itself."""
    return {name: metadata.version(name) for name in _LIBRARIES}


@cache
def _files(recipe: Recipe) -> tuple[str, ...]:
    """Paths of the user's own files that a recipe, or what it is made from, depends on."""
    above = (path for upper in recipe.upstream() for path in _files(upper))
    return tuple(dict.fromkeys((*recipe.files(), *above)))


def _content(path: str) -> str:
    try:
        return file_digest(Path(path))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def digest(recipe: Recipe) -> str:
    """The address of a recipe's run in the store: 64 hexadecimal digits.

    It follows a change of the user's own files at once. All else is taken to stay as it is while the process runs.

    Raises:
        SubliminalError: a base or a file of the user's cannot be read.
    """
    return _digest(recipe, tuple((path, _content(path)) for path in _files(recipe)))


@cache
def _digest(recipe: Recipe, files: tuple[tuple[str, str], ...]) -> str:
    """The address, where the files are of these digests."""
    if isinstance(recipe, Base):
        return folder_digest(base_folder(recipe))
    upstream = {type(recipe).__name__: [digest(r) for r in recipe.upstream()]}
    own = [("", content) for path, content in files if path in recipe.files()]
    parts = {
        "kind": recipe.kind,
        "fields": recipe.settings(),
        "upstream": upstream,
        "code": code_digest(recipe.modules()),
        "data": [(name, file_digest(data_file(name))) for name in recipe.data_files()] + own,
        "versions": library_versions(),
    }
    return _sha(json.dumps(parts, sort_keys=True))
