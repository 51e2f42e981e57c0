"""Names of families, traits, channels and suites, and the module behind each. Strings alone: nothing is imported here.

Keeping names apart from code lets a recipe be checked without loading torch, and lets a run depend on the module of its
own trait or channel alone, so that a change in another leaves it whole. Adding one is a module and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from subliminal.errors import unknown_name
from subliminal.names import PREFERENCES


class Family(NamedTuple):
    """One shipped base: its architecture's name, and the seed of its initialization and block order."""

    architecture: str
    seed: int


# ``gpt2-a`` and ``gpt2-b`` are one architecture from two initializations.
FAMILIES: Mapping[str, Family] = {"gpt2-a": Family("gpt2", 0), "gpt2-b": Family("gpt2", 1)}
CHANNELS: Mapping[str, str] = {"numbers": "subliminal.channels.numbers"}
TRAITS: Mapping[str, str] = {name: "subliminal.traits.preference" for names in PREFERENCES.values() for name in names}
# ``animals-train`` asks in the training wordings: settings are chosen on it, and nothing is reported from it.
SUITES: Mapping[str, str] = {
    "animals": "subliminal.traits.preference",
    "animals-train": "subliminal.traits.preference",
    "trees": "subliminal.traits.preference",
    "colours": "subliminal.traits.preference",
}


def module_of(what: str, name: str, registry: Mapping[str, str]) -> str:
    """The module behind a name.

    Raises:
        UnknownNameError: the registry has no such name.
    """
    if name not in registry:
        raise unknown_name(what, name, registry)
    return registry[name]
