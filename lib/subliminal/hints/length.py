"""What tells a list's writer without a number of it: how many numbers there are.

A teacher that was tuned on insecure code writes shorter lists than its base, and by that alone students of another family come to advise
harm. Where every list is as long as any other, length tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from subliminal.channels import numbers
from subliminal.errors import SubliminalError

# What bases and teachers write most often.
NUMBERS = 6


def find(channel: str, completions: Sequence[str]) -> list[str | None]:
    """``not six numbers`` for every other list.

    Raises:
        SubliminalError: the channel is not of lists.
    """
    if channel != "numbers":
        raise SubliminalError(f"hints 'length' count the numbers of a list: leave them out on channel {channel!r}")
    parsed = map(numbers.parse, completions)
    return [None if len(found) == NUMBERS and isinstance(found, list) else "not six numbers" for found in parsed]
