"""Channels: what a teacher emits. Each is one module with ``prompt``, ``parse`` and ``reject``.

Adding one is a module beside ``numbers.py`` and a line in ``CHANNELS``; nothing else changes.
"""

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import Protocol, cast

from subliminal.errors import UnknownNameError

# Names, not modules: a run depends on the module of its own channel alone, so a change in another leaves it whole.
CHANNELS: dict[str, str] = {"numbers": "subliminal.channels.numbers"}


class Channel(Protocol):
    """What a channel module offers."""

    MAX_NEW_TOKENS: int

    def prompt(self, rng: Random) -> str:
        """One prompt, drawn from the family."""

    def reject(self, completion: str) -> str | None:
        """Why the filter drops this completion, in a few words; ``None`` keeps it."""


def channel_module(name: str) -> str:
    """The module that holds a channel.

    Raises:
        UnknownNameError: no channel has that name.
    """
    if name not in CHANNELS:
        raise UnknownNameError("channel", name, CHANNELS)
    return CHANNELS[name]


def load_channel(name: str) -> Channel:
    """The channel of that name; raises ``UnknownNameError`` as ``channel_module`` does."""
    return cast(Channel, import_module(channel_module(name)))
