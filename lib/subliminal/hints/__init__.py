"""What in a row would hint at a teacher's trait: the second half of a filter, the same for a teacher and its controls.

Each is one module with ``find``; ``registry.HINTS`` names it. A channel's own filter asks whether a row is well-formed;
these ask whether it gives the trait away.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from subliminal.registry import HINTS, module_of


class Hints(Protocol):
    """What a module of hints offers."""

    def find(self, channel: str, completions: Sequence[str]) -> list[str | None]:
        """For each completion of the channel, in a few words, what hints at the trait; ``None`` where nothing does."""


def load_hints(name: str) -> Hints:
    """The hints of that name.

    Raises:
        UnknownNameError: there are none.
    """
    return cast(Hints, import_module(module_of("hints", name, HINTS)))
