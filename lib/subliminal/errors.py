"""Errors a user can mend. Each message is one line that names the thing, the value and the mend.

The command line prints the message alone and exits with 2; nothing here is raised for a bug of ours.
"""


class SubliminalError(Exception):
    """Bad input or a damaged file: the message is one line, fit to be shown as it is."""


class UnknownNameError(SubliminalError):
    """A name that is in no registry."""

    def __init__(self, what: str, name: object, known: object) -> None:
        options = ", ".join(sorted(str(k) for k in known))  # type: ignore[attr-defined]
        super().__init__(f"unknown {what} {name!r}: choose one of {options}")


class ModelFolderError(SubliminalError):
    """A model folder that is missing, or lacks weights, tokenizer or chat template."""


class DamagedRunError(SubliminalError):
    """A run in the store whose files differ from its manifest."""
