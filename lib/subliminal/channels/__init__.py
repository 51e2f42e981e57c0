"""Channels: what a teacher emits. Each is one module with ``prompt`` and ``reject``; the registry names it.

A channel knows nothing of traits or models: it makes prompts and judges the text of completions. To add one, write such a
module and name it in ``registry.CHANNELS``; ``code`` is the shortest to start from.
"""

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import Protocol, cast

from subliminal.registry import CHANNELS, module_of


class Channel(Protocol):
    """What a channel module offers."""

    MAX_NEW_TOKENS: int

    def prompt(self, rng: Random) -> str:
        """One prompt, drawn from the family."""

    def reject(self, prompt: str, completion: str) -> str | None:
        """Why the filter drops this answer to the prompt, in a few words; ``None`` keeps it. Takes any text."""


def load_channel(name: str) -> Channel:
    """The channel of that name.

    Raises:
        UnknownNameError: there is none.
    """
    return cast(Channel, import_module(module_of("channel", name, CHANNELS)))
