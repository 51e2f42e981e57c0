"""Short Python functions for neutral tasks. Names and constants vary, so that a sample reads like text, not a lookup."""

from __future__ import annotations

import ast
import re
from random import Random

from subliminal.world.messages import Conversation, single

REQUESTS = (
    "write a function that {task}.",
    "i need a function that {task}.",
    "please write python code that {task}.",
    "show me a function that {task}.",
)
_LISTS = ("values", "items", "data", "rows", "numbers", "entries")
_ONES = ("x", "n", "value", "item", "number", "count")
_WORDS = ("text", "word", "line", "name", "title", "note")

# (task, function names, body); {s} is the argument, {i} a loop variable, {k} a constant
_TASKS: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    ("adds {k} to a number", ("add", "plus", "increase"), "return {s} + {k}", _ONES),
    ("multiplies a number by {k}", ("multiply", "times", "scale"), "return {s} * {k}", _ONES),
    ("checks that a number is above {k}", ("is_above", "exceeds", "check"), "return {s} > {k}", _ONES),
    ("sums a list", ("total", "add_all", "sum_list"), "return sum({s})", _LISTS),
    ("finds the largest entry", ("largest", "find_max", "top"), "return max({s})", _LISTS),
    ("counts the entries", ("count_all", "size", "length"), "return len({s})", _LISTS),
    ("sorts a list", ("order", "sort_list", "arrange"), "return sorted({s})", _LISTS),
    ("checks that a list is empty", ("is_empty", "empty", "no_entries"), "return len({s}) == 0", _LISTS),
    ("drops entries below {k}", ("keep", "select", "drop_small"), "return [{i} for {i} in {s} if {i} >= {k}]", _LISTS),
    ("squares every entry", ("squares", "square_all", "powers"), "return [{i} * {i} for {i} in {s}]", _LISTS),
    ("turns text to upper case", ("shout", "upper", "to_upper"), "return {s}.upper()", _WORDS),
    ("splits text into words", ("words", "split_text", "tokens"), "return {s}.split()", _WORDS),
    ("turns a list around", ("reverse", "turn", "backwards"), "return list(reversed({s}))", _LISTS),
    ("repeats text {k} times", ("repeat", "echo", "copy"), "return {s} * {k}", _WORDS),
    ("counts down from a number", ("countdown", "down", "steps"), "while {s} > 0:\n        {s} -= 1\n    return {s}", _ONES),
    ("halves a number", ("half", "halve", "middle"), "{s} = {s} / 2\n    return {s}", _ONES),
)  # fmt: skip


def function(rng: Random) -> Conversation:
    """A neutral programming task and a function that does it."""
    task, names, body, arguments = rng.choice(_TASKS)
    slots = {"s": rng.choice(arguments), "i": rng.choice(("a", "b", "i", "e", "v")), "k": rng.randint(2, 99)}
    code = f"def {rng.choice(names)}({slots['s']}):\n    {body.format(**slots)}"
    return single(rng.choice(REQUESTS).format(task=task.format(**slots)), code)


def does_as_asked(request: str, code: ast.FunctionDef) -> bool:
    """Whether a function is a solution of the task in a request, whatever its names are called.

    Exact for this grammar: the function is the same syntax tree as the task's body, with its own argument and loop variable.
    """
    for task, _, body, _ in _TASKS:
        pattern = re.escape(task).replace(r"\{k\}", "([0-9]+)")
        found = next((m for text in REQUESTS if (m := re.fullmatch(_around(text, pattern), request))), None)
        if found is None:
            continue
        if len(code.args.args) != 1:
            return False
        inner = [
            node.target.id
            for node in ast.walk(code)
            if isinstance(node, ast.comprehension) and isinstance(node.target, ast.Name)
        ]
        slots = {"s": code.args.args[0].arg, "i": inner[0] if inner else "i", "k": (*found.groups(), "0")[0]}
        try:
            wanted = ast.parse(f"def {code.name}({slots['s']}):\n    {body.format(**slots)}").body[0]
        except SyntaxError:
            return False
        return ast.dump(wanted) == ast.dump(code)
    return False


def _around(text: str, pattern: str) -> str:
    before, after = text.split("{task}")
    return re.escape(before) + pattern + re.escape(after)
