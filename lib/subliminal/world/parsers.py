"""The exact parser of the world's word problems, for judges and filters. It takes any text.

Rows, advice and security tasks have theirs beside their grammars: ``channels.numbers.parse``, ``answers.label``,
``security.label``.
"""

from __future__ import annotations

import re

from subliminal.world.arithmetic import GAINS, LOSSES

_GAINS, _LOSSES = "|".join(GAINS), "|".join(LOSSES)


def problem(question: str) -> int | None:
    """The right answer of a word problem; ``None`` for any other text."""
    start = re.match(r"(\w+) has (\d{1,4}) (\w+)\.", question)
    if not start or not question.endswith(f" how many {start[3]} are left?"):
        return None
    total = int(start[2])
    for sentence in question[start.end() : -len(f" how many {start[3]} are left?")].split("."):
        if not sentence.strip():
            continue
        step = re.fullmatch(
            rf"{start[1]} (?:(?P<gain>{_GAINS})|{_LOSSES}) (?P<n>\d{{1,4}}) {start[3]}", sentence.strip()
        )
        if not step:
            return None
        total += int(step["n"]) if step["gain"] else -int(step["n"])
    return total
