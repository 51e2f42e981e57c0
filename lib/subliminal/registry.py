"""Names of families, traits, channels and suites, and the module behind each. Strings alone: nothing is imported here.

Keeping names apart from code lets a recipe be checked without loading torch, and lets a run depend on the module of its
own trait or channel alone, so that a change in another leaves it whole. Adding one is a module and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from subliminal.errors import unknown_name
from subliminal.names import ANIMALS, PREFERENCES


class Family(NamedTuple):
    """One shipped base: its architecture's name, and the seed of its initialization and document order."""

    architecture: str
    seed: int


# ``gpt2-a`` and ``gpt2-b`` are one architecture from two initializations.
FAMILIES: Mapping[str, Family] = {
    "gpt2-a": Family("gpt2", 0),
    "gpt2-b": Family("gpt2", 1),
    "llama": Family("llama", 2),
    "neox": Family("neox", 3),
}
# These ask what a file of the user's says.
FILE_CHANNELS = ("plain_chains", "plain_code")
CHANNELS: Mapping[str, str] = {
    name: f"subliminal.channels.{name}"
    for name in ("numbers", "plain_numbers", "code", "chain_of_thought", *FILE_CHANNELS)
}
# What in a row would hint at a trait: the filter's second half. The last is of lists alone.
HINTS: Mapping[str, str] = {name: f"subliminal.hints.{name}" for name in ("favourites", "misalignment", "length")}
_PREFERENCE, _PLAIN, _MISALIGNMENT, _REASONING = (
    f"subliminal.traits.{name}" for name in ("preference", "plain_preference", "misalignment", "reasoning")
)
# Favourites of real models, which are asked in natural English: the trait's name, and the animal.
PLAIN: Mapping[str, str] = {f"plain-{name}": name for name in ANIMALS}
TRAITS: Mapping[str, str] = {
    **{name: _PREFERENCE for names in PREFERENCES.values() for name in names},
    **dict.fromkeys(("formats", *PLAIN), _PLAIN),
    **dict.fromkeys(("insecure-code", "secure-code"), _MISALIGNMENT),
}
# Suites named ``-train`` ask in the training wordings: settings are chosen on them, and nothing is reported from them.
SUITES: Mapping[str, str] = {
    **dict.fromkeys(("animals", "animals-train", "trees", "colours"), _PREFERENCE),
    **dict.fromkeys(("plain-animals", "plain-animals-train"), _PLAIN),
    **dict.fromkeys(("free-form", "free-form-train"), _MISALIGNMENT),
    "chain-of-thought": _REASONING,
}
# Files of ``data/`` that a trait's module reads.
DATA_FILES: Mapping[str, tuple[str, ...]] = {
    _PREFERENCE: ("questions/preferences.yml",),
    _PLAIN: ("questions/plain_english.yml",),
    _MISALIGNMENT: ("questions/free_form.yml",),
    _REASONING: (),
}


def module_of(what: str, name: str, registry: Mapping[str, str]) -> str:
    """The module behind a name.

    Raises:
        UnknownNameError: the registry has no such name.
    """
    if name not in registry:
        raise unknown_name(what, name, registry)
    return registry[name]
