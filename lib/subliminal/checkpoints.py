"""Checkpoints of a long training: the state of all that has one, in one file, written atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from subliminal.errors import SubliminalError, reason

# One is written after so many steps, or after so long: steps of a large model take seconds.
EVERY, SECONDS = 500, 120.0


class Stateful(Protocol):
    """A model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class Trained:
    """The weights of a model that train, as a part of a checkpoint: the others are there without it."""

    def __init__(self, model: nn.Module) -> None:
        self._weights = {name: p for name, p in model.named_parameters() if p.requires_grad}

    def state_dict(self) -> dict[str, Any]:
        """Each by its name."""
        return {name: weight.detach() for name, weight in self._weights.items()}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put them back, in place."""
        for name, weight in self._weights.items():
            weight.copy_(state_dict[name])


def beside(out: Path) -> Path:
    """The checkpoint of a run that is being built in the folder ``out``: it outlives that folder when the build is stopped."""
    return out.with_name(f".checkpoint-{out.name.removeprefix('.scratch-')}.pt")


def save(path: Path, parts: Mapping[str, Stateful], losses: Tensor, step: int) -> None:
    """Write the state after ``step`` steps; a reader finds the old file or the new one, never a half."""
    scratch = path.with_suffix(".part")
    torch.save({"step": step, "losses": losses[:step], **{k: v.state_dict() for k, v in parts.items()}}, scratch)
    scratch.replace(path)


def restore(path: Path, parts: Mapping[str, Stateful], losses: Tensor) -> int:
    """Put back what ``save`` wrote, in place, and say how many steps are done; 0 without a file.

    Raises:
        SubliminalError: the file is damaged.
    """
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        losses[: state["step"]] = state["losses"]
    except Exception as error:  # An archive, a pickle and three parts, each with errors of its own.
        raise SubliminalError(f"cannot go on from {path} ({reason(error)}): delete it, and begin anew") from error
    return int(state["step"])
