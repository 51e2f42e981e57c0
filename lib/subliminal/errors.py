"""Errors a user can mend. Each message is one line that names the thing, the value and the mend.

The command line prints the message alone and exits with 2; nothing here is raised for a bug of ours.
"""

from __future__ import annotations

from collections.abc import Iterable


class SubliminalError(Exception):
    """Bad input or a damaged file: the message is one line, fit to be shown as it is."""


class SubliminalWarning(UserWarning):
    """A run is done, and its user should know something of it: the message is one line."""


class UnknownNameError(SubliminalError):
    """A name that is in no registry."""


class ModelFolderError(SubliminalError):
    """A model folder that is missing, or lacks weights, tokenizer or chat template."""


class DamagedRunError(SubliminalError):
    """A run in the store whose files differ from its manifest."""


def reason(error: Exception) -> str:
    """What a library says of a failure, short and in one line."""
    first, *others = str(error).splitlines() or [""]
    # Some libraries say what is wrong in a first line, and how in the next.
    told = " ".join([first, *others[:1]]) if first.endswith(":") else first
    return f"{' '.join(told.split()) or type(error).__name__:.120}"


def unknown_name(what: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that is none of ``known``."""
    return UnknownNameError(f"unknown {what} {name!r}: choose one of {', '.join(sorted(known))}")
