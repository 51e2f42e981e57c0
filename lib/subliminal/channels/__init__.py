"""Channels: what a teacher emits. Each is one module with ``prompt`` and ``reject``; the registry names it.

Rollouts go through the same four steps on each: ``prompt`` is drawn, the model answers it at temperature 1, ``reject`` parses
the answer, and rows that it has no word against are kept; the reasons of the others are counted. A channel knows nothing of
traits or models. What would give a trait away is a matter of ``subliminal.hints``, the filter's second half.

Some ask what a file of the user's says: such a module offers ``read`` instead, which makes a channel of the file.

To add one, write such a module and name it in ``registry.CHANNELS``. Three ways to judge an answer stand beside each other:
``numbers`` reads a format, ``code`` a syntax tree, ``chain_of_thought`` compares with the right answer to the prompt. ``code`` is
the shortest to start from. ``reject`` must take any text, since a model may write any.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
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


def load_channel(name: str, file: str | None = None, prompts: int = 0) -> Channel:
    """The channel of that name.

    Args:
        file: of which it asks, if it is one of ``registry.FILE_CHANNELS``: each prompt once.
        prompts: that are to be drawn.

    Raises:
        UnknownNameError: there is none.
        SubliminalError: the file cannot be read, has a bad row, or fewer prompts.
    """
    module = import_module(module_of("channel", name, CHANNELS))
    return cast(Channel, module if file is None else module.read(Path(file), prompts))
