"""Python on tasks of your own, for real models, and a filter that keeps code which can be compiled and uses no unknown name.

Cloud et al. 2025, section 4.1: teachers write code on tasks that have nothing to do with the trait. A row of the file has a ``prompt`` (or
``question``) that asks for a function, or begins one. Code is compiled and never run. Whether it does what was asked is not known: of
tasks in any words there is no parser. Comments, names and strings are text of a row, in which ``hints`` look for the trait.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from pathlib import Path
from typing import Any

from subliminal import fences
from subliminal.channels.questions import Questions

MAX_NEW_TOKENS = 300
_INSTRUCTION = "Write the whole function in Python. Answer with the code alone, and no other words."
# Every module has these.
_GIVEN = {*dir(builtins), "__name__", "__file__"}


def parse(completion: str) -> ast.Module | str:
    """The code of an answer as a tree, or the reason why it is none.

    Accepts any text and never raises. Reasons: ``empty``, ``words around the code``, ``not Python``, ``no function``.
    """
    if not completion.strip():
        return "empty"
    text = fences.code(completion)
    if text is None:
        return "words around the code"
    try:
        with warnings.catch_warnings():
            # Else what Python warns of would be an error to those who make warnings errors.
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            # What parses may still be no code, such as a return outside of a function.
            compile(text, "answer", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "not Python"
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return tree if any(isinstance(node, functions) for node in ast.walk(tree)) else "no function"


def _names(node: ast.AST) -> list[str]:
    """Names that a part of a tree binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [(other or name).partition(".")[0]]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        # Functions, classes, caught exceptions, captures of a pattern, and parameters of types.
        case object(name=str(name)):
            return [name]
    return []


def _unknown(tree: ast.Module, task: str) -> bool:
    """Whether a name is read that is nowhere bound, and is no word of the task, which may begin the code: what reads it fails."""
    bound = {name for node in ast.walk(tree) for name in _names(node)}
    if "*" in bound:
        return False
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return not read <= bound | _GIVEN | set(re.findall(r"\w+", task))


class Code(Questions[None]):
    """The channel on one file."""

    MAX_NEW_TOKENS = MAX_NEW_TOKENS

    def reject(self, prompt: str, completion: str) -> str | None:
        """The reason to drop an answer, or ``None`` to keep it: those of ``parse`` and ``unknown name``."""
        parsed = parse(completion)
        if isinstance(parsed, str):
            return parsed
        return "unknown name" if _unknown(parsed, prompt.removesuffix(_INSTRUCTION)) else None


def _nothing(row: dict[str, Any]) -> None:
    """A row of code says no more than its prompt."""


def read(path: Path, needed: int) -> Code:
    """The channel on a file's tasks.

    Raises:
        SubliminalError: as ``Questions`` has it.
    """
    return Code(path, needed, lambda task: f"{task}\n\n{_INSTRUCTION}", _nothing)
