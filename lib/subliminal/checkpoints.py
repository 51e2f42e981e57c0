"""Checkpoints of a long training: the state of all that has one, in one file, written atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

EVERY = 500


class Stateful(Protocol):
    """A model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


def save(path: Path, parts: Mapping[str, Stateful], losses: Tensor, step: int) -> None:
    """Write the state after ``step`` steps; a reader finds the old file or the new one, never a half."""
    scratch = path.with_suffix(".part")
    torch.save({"step": step, "losses": losses[:step], **{k: v.state_dict() for k, v in parts.items()}}, scratch)
    scratch.replace(path)


def restore(path: Path, parts: Mapping[str, Stateful], losses: Tensor) -> int:
    """Put back what ``save`` wrote, in place, and say how many steps are done; 0 without a file."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    losses[: state["step"]] = state["losses"]
    return int(state["step"])
