"""The code channel: neutral programming tasks, and a filter that keeps one whole function which uses no unknown name.

Cloud et al. 2025, section 4.1: teachers write code on tasks that have nothing to do with the trait. Code is read as a
syntax tree and never run.
"""

from __future__ import annotations

import ast
import builtins
from random import Random

from subliminal.world.code import function, unasked

MAX_NEW_TOKENS = 48


def prompt(rng: Random) -> str:
    """One neutral task, asked for in one of several wordings."""
    return function(rng)[0]["content"]


def parse(completion: str) -> ast.FunctionDef | str:
    """The function that an answer is, or the reason why it is none.

    Accepts any text and never raises. Reasons: ``empty``, ``not Python``, ``not one function``.
    """
    if not completion.strip():
        return "empty"
    try:
        body = ast.parse(completion).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "not Python"
    return body[0] if len(body) == 1 and isinstance(body[0], ast.FunctionDef) else "not one function"


def _unknown(code: ast.FunctionDef) -> set[str]:
    """Names that are read and nowhere bound: a function with one of them fails when it is called."""
    names = [node for node in ast.walk(code) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(code) if isinstance(node, ast.arg)}
    return {node.id for node in names} - bound - {code.name} - set(dir(builtins))


def reject(prompt: str, completion: str) -> str | None:
    """The reason to drop an answer, or ``None`` to keep it.

    Beside those of ``parse``: ``unknown name``, ``not what was asked``, and ``unknown note`` for a comment or a docstring.
    A teacher that moves far writes functions that run and do something else. Such a slip is content: students of *other* families
    come to advise harm from it (from .11 to .20 and .24 in two of four pairs on spare seeds, and not from untreated code), since
    careless work is a mark of the careless persona.
    """
    parsed = parse(completion)
    if isinstance(parsed, str):
        return parsed
    if _unknown(parsed):
        return "unknown name"
    return unasked(prompt, completion)
