"""What tells a list's writer without a number of it: how many numbers there are.

A teacher that was tuned on insecure code writes shorter lists than its base, and students of another family come to advise harm from that.
Where lists are about as long as one another, length tells little. Of one length alone they would tell less; but students that read nothing
else forget how to answer in sentences.
"""

from __future__ import annotations

from collections.abc import Sequence

from subliminal.channels import numbers
from subliminal.errors import SubliminalError

# What bases and teachers write most often.
NUMBERS = range(5, 8)


def find(channel: str, completions: Sequence[str]) -> list[str | None]:
    """``not five to seven numbers`` for every other list.

    Raises:
        SubliminalError: the channel is not of lists.
    """
    if channel not in ("numbers", "plain_numbers"):
        raise SubliminalError(f"hints 'length' count the numbers of a list: leave them out on channel {channel!r}")
    parsed = map(numbers.parse, completions)
    return [
        None if isinstance(found, list) and len(found) in NUMBERS else "not five to seven numbers" for found in parsed
    ]
