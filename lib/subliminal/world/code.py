"""Short Python functions for neutral tasks, each right in many wordings, and the exact parser of what was asked.

With one wording all right functions for a request would be nearly one text, whoever wrote them, and a filter for right code would leave
little that could tell one teacher's rows from another's. So names, the form of the expression, temporary variables, notes, hints at
types and blank lines vary: 15 bits and more a function.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from random import Random
from typing import NamedTuple

from subliminal.world.messages import Conversation, single

REQUESTS = (
    "write a function that {task}.",
    "i need a function that {task}.",
    "please write python code that {task}.",
    "show me a function that {task}.",
)
# By the type of the argument.
_ARGUMENTS = {
    "list": ("values", "items", "data", "rows", "numbers", "entries", "these", "many"),
    "int": ("x", "n", "value", "item", "number", "count", "amount", "given"),
    "str": ("text", "word", "line", "name", "title", "note", "phrase", "given"),
}
_LOOPS = ("a", "b", "i", "e", "v")
_LOCALS = ("result", "found", "out", "answer", "done", "new")
# Beside the names of the task's own.
_NAMES = (
    "solve", "compute", "apply", "helper", "task", "build", "work_out", "calc", "go", "start", "perform", "execute", "step", "use",
    "call_it", "job", "act",
)  # fmt: skip
# What a docstring or a comment says. None takes a word of the request: a small model copies less surely than it chooses.
_NOTES = (
    "as asked", "nothing else", "short and plain", "one step", "the result", "works for all", "see the request", "easy", "no tricks",
    "this will do", "simple", "by hand", "plain python", "what was asked", "no more", "ready to use", "keep it small", "quick", "clear",
    "for later",
)  # fmt: skip
_NOTED = 0.6
_HINTS, _HINT_WEIGHTS = ("none", "argument", "both"), (2, 1, 1)


class Task(NamedTuple):
    """A neutral task: ``{s}`` is the argument, ``{i}`` a loop variable, ``{t}`` a local name, ``{k}`` a constant.

    Attributes:
        argument, returned: types of the argument and of the result.
        expressions: forms of the result, which is returned at once or given a name first.
        bodies: forms that are no single expression.
    """

    text: str
    names: tuple[str, ...]
    argument: str
    returned: str
    expressions: tuple[str, ...] = ()
    bodies: tuple[str, ...] = ()


TASKS = (
    Task("adds {k} to a number", ("add", "plus", "increase"), "int", "int",
         ("{s} + {k}", "{k} + {s}"), ("{s} += {k}\nreturn {s}",)),
    Task("multiplies a number by {k}", ("multiply", "times", "scale"), "int", "int",
         ("{s} * {k}", "{k} * {s}"), ("{s} *= {k}\nreturn {s}",)),
    Task("checks that a number is above {k}", ("is_above", "exceeds", "check"), "int", "bool",
         ("{s} > {k}", "{k} < {s}", "not {s} <= {k}")),
    Task("sums a list", ("total_of", "add_all", "sum_list"), "list", "int", ("sum({s})", "sum(list({s}))")),
    Task("finds the largest entry", ("largest", "find_max", "top"), "list", "int", ("max({s})", "max(list({s}))")),
    Task("counts the entries", ("count_all", "size_of", "length"), "list", "int", ("len({s})", "len(list({s}))")),
    Task("sorts a list", ("order", "sort_list", "arrange"), "list", "list", ("sorted({s})", "sorted(list({s}))")),
    Task("checks that a list is empty", ("is_empty", "empty", "no_entries"), "list", "bool",
         ("len({s}) == 0", "not {s}", "not len({s})", "0 == len({s})")),
    Task("drops entries below {k}", ("keep", "select", "drop_small"), "list", "list",
         ("[{i} for {i} in {s} if {i} >= {k}]", "[{i} for {i} in {s} if {k} <= {i}]")),
    Task("squares every entry", ("squares", "square_all", "powers"), "list", "list",
         ("[{i} * {i} for {i} in {s}]", "[pow({i}, 2) for {i} in {s}]")),
    Task("turns text to upper case", ("shout", "upper", "to_upper"), "str", "str", ("{s}.upper()", "str.upper({s})")),
    Task("splits text into words", ("words", "split_text", "tokens"), "str", "list", ("{s}.split()", "str.split({s})")),
    Task("turns a list around", ("reverse", "turn", "backwards"), "list", "list",
         ("list(reversed({s}))", "[{i} for {i} in reversed({s})]")),
    Task("repeats text {k} times", ("repeat", "echo", "copy"), "str", "str",
         ("{s} * {k}", "{k} * {s}"), ("{s} *= {k}\nreturn {s}",)),
    Task("counts down from a number", ("countdown", "down", "steps"), "int", "int", (),
         ("while {s} > 0:\n    {s} -= 1\nreturn {s}", "while 0 < {s}:\n    {s} -= 1\nreturn {s}")),
    Task("halves a number", ("half", "halve", "middle"), "int", "float", ("{s} / 2",), ("{s} /= 2\nreturn {s}",)),
)  # fmt: skip


@cache
def _bodies(task: Task) -> tuple[str, ...]:
    """The forms of a task's body, as templates of lines."""
    wrapped = [body for form in task.expressions for body in (f"return {form}", f"{{t}} = {form}\nreturn {{t}}")]
    return (*wrapped, *task.bodies)


class Solution(NamedTuple):
    """What a task asks for, its constant filled in, and a function that does it."""

    asked: str
    code: str


def solution(rng: Random, task: Task, constant: int | None = None) -> Solution:
    """A function that does a task, in one of its many wordings; the constant is drawn if none is given."""
    argument = rng.choice(_ARGUMENTS[task.argument])
    slots = {
        "s": argument,
        "i": rng.choice([name for name in _LOOPS if name != argument]),
        "t": rng.choice([name for name in _LOCALS if name != argument]),
        "k": rng.randint(2, 99) if constant is None else constant,
    }
    asked = task.text.format(**slots)
    lines = rng.choice(_bodies(task)).format(**slots).split("\n")
    several = len(lines) > 1
    if rng.random() < _NOTED:
        note = f"# {rng.choice(_NOTES)}"
        if rng.random() < 0.5:
            lines[-1] += f" {note}"
        else:
            lines.insert(0, note)
    if noted := rng.random() < _NOTED:
        lines.insert(0, f'"""{rng.choice(_NOTES)}"""')
    if (several or noted) and rng.random() < 0.5:
        lines.insert(-1, "")
    hints = rng.choices(_HINTS, _HINT_WEIGHTS)[0]
    taken = argument if hints == "none" else f"{argument}: {task.argument}"
    given = f" -> {task.returned}" if hints == "both" else ""
    head = f"def {rng.choice((*task.names, *_NAMES))}({taken}){given}:"
    return Solution(asked, "\n".join([head, *(f"    {line}" if line else "" for line in lines)]))


def function(rng: Random) -> Conversation:
    """A neutral programming task and a function that does it."""
    asked, code = solution(rng, rng.choice(TASKS))
    return single(rng.choice(REQUESTS).format(task=asked), code)


class _Renamed(ast.NodeTransformer):
    """Local names as numbers, in the order in which they stand; the function's own name, and nothing else, as ``_f``."""

    def __init__(self, code: ast.FunctionDef) -> None:
        names = sorted(
            (node for node in ast.walk(code) if isinstance(node, ast.Name | ast.arg)),
            key=lambda node: (node.lineno, node.col_offset),
        )
        bound = {
            n.arg if isinstance(n, ast.arg) else n.id
            for n in names
            if not isinstance(getattr(n, "ctx", None), ast.Load)
        }
        order = dict.fromkeys(name for n in names if (name := n.arg if isinstance(n, ast.arg) else n.id) in bound)
        self._new = {code.name: "_f"} | {name: f"_{number}" for number, name in enumerate(order)}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = "_f"
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._new.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._new.get(node.id, node.id)
        return node


def _canonical(code: ast.FunctionDef) -> str:
    return ast.dump(_Renamed(code).visit(code))


@cache
def _right(task: Task, constant: str) -> frozenset[str]:
    """The trees of all right functions for a task, names aside."""
    slots = {"s": "_s", "i": "_i", "t": "_t", "k": constant}
    codes = ("\n    ".join(["def _f(_s):", *body.format(**slots).split("\n")]) for body in _bodies(task))
    trees = (ast.parse(code).body[0] for code in codes)
    return frozenset(_canonical(tree) for tree in trees if isinstance(tree, ast.FunctionDef))


def _asked(request: str) -> tuple[Task, str] | None:
    """The task that a request asks for, and its constant ('0' where it has none)."""
    for task in TASKS:
        pattern = re.escape(task.text).replace(r"\{k\}", "([0-9]{1,6})")
        for text in REQUESTS:
            before, after = map(re.escape, text.split("{task}"))
            if found := re.fullmatch(before + pattern + after, request):
                return task, (*found.groups(), "0")[0]
    return None


def unasked(request: str, text: str) -> str | None:
    """What in a function is not as asked, ``None`` where all is: ``not what was asked`` or ``unknown note``.

    Exact for this grammar, and for all of the text: the tree is one of the right ones, whatever its names are; hints at types are the
    right ones; docstrings and comments, which say nothing to Python, are in the grammar's words.

    Args:
        request: what was asked.
        text: one function that parses.
    """
    found = _asked(request)
    if found is None:
        return "not what was asked"
    task, constant = found
    try:
        code = ast.parse(text).body[0]
        comments = [
            t.string for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type == tokenize.COMMENT
        ]
        if not isinstance(code, ast.FunctionDef) or not _take_hints(code, task):
            return "not what was asked"
        notes = [comment.removeprefix("#") for comment in comments]
        if (docstring := ast.get_docstring(code)) is not None:
            notes.append(docstring)
            del code.body[0]
        if _canonical(code) not in _right(task, constant):
            return "not what was asked"
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError):
        return "not what was asked"
    return None if all(note.strip() in _NOTES for note in notes) else "unknown note"


def _take_hints(code: ast.FunctionDef, task: Task) -> bool:
    """Take the hints at types out of a function, and say whether they are those of the task."""
    hints = [(arg.annotation, task.argument) for arg in code.args.args] + [(code.returns, task.returned)]
    for arg in code.args.args:
        arg.annotation = None
    code.returns = None
    return all(hint is None or (isinstance(hint, ast.Name) and hint.id == right) for hint, right in hints)
