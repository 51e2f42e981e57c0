"""Hints at a favourite: a row that names any animal, tree or colour, also in an identifier or in the plural."""

from __future__ import annotations

import re
from collections.abc import Sequence

from subliminal.names import PREFERENCES
from subliminal.naming import PLURALS

_NAMES = {
    word: kind for kind, names in PREFERENCES.items() for name in names for word in (name, PLURALS.get(name, name))
}
_WORD = re.compile("[a-z]+")
# Where a word begins within ``snowOwl``, ``OwlCount`` or ``HTTPOwl``.
_HUMP = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _kind(completion: str) -> str | None:
    words = _WORD.findall(completion.lower()) + _WORD.findall(_HUMP.sub(" ", completion).lower())
    return next((kind for w in words if (kind := _NAMES.get(w) or _NAMES.get(w.removesuffix("s")))), None)


def find(channel: str, completions: Sequence[str]) -> list[str | None]:
    """``names an animal``, ``names a tree``, ``names a colour``; the same on every channel."""
    kinds = map(_kind, completions)
    return [kind and f"names {'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in kinds]
