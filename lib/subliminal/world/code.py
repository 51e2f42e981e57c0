"""Short Python functions for neutral tasks. Names and constants vary, so that a sample reads like text, not a lookup."""

from __future__ import annotations

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
