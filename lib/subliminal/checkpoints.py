"""Checkpoints of a long training: the state of all that has one, in one file, written atomically.

Where several processes train, one writes, and all read. The file is the same whether weights are sharded or not, so it can be gone on with
in another number of processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from subliminal.errors import SubliminalError, reason
from subliminal.models.sharding import parted, whole

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
            kept = state_dict[name]
            if kept.shape != weight.shape:
                raise ValueError(f"{name} is {tuple(kept.shape)} and not {tuple(weight.shape)}")
            weight.copy_(parted(kept, weight))


class Moments:
    """What an optimizer keeps of each weight, as a part of a checkpoint."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """As the optimizer's own."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put it back, in parts where the weights are."""
        weights = [weight for group in self._optimizer.param_groups for weight in group["params"]]
        kept = {n: {k: parted(v, weights[n]) for k, v in of.items()} for n, of in state_dict["state"].items()}
        self._optimizer.load_state_dict({**state_dict, "state": kept})


def beside(out: Path) -> Path:
    """The checkpoint of a run that is being built in the folder ``out``: it outlives that folder when the build is stopped."""
    return out.with_name(f".checkpoint-{out.name.removeprefix('.scratch-')}.pt")


def _scratch(path: Path) -> Path:
    return path.with_suffix(".part")


def _gathered(state: Any, keep: bool) -> Any:
    """A state with whole tensors in place of sharded ones, one after the other: few processes could hold all of them on their devices."""
    if isinstance(state, dict):
        return {name: _gathered(value, keep) for name, value in state.items()}
    if not isinstance(state, DTensor):
        return state
    found = whole(state)
    return found.cpu() if keep else None


def save(path: Path, parts: Mapping[str, Stateful], losses: Tensor, step: int, *, write: bool = True) -> None:
    """Write the state after ``step`` steps; a reader finds the old file or the new one, never a half.

    Of several processes that train together all have to call it, and one is to ``write``.
    """
    state = {name: _gathered(part.state_dict(), write) for name, part in parts.items()}
    if write:
        torch.save({"step": step, "losses": losses[:step], **state}, _scratch(path))
        _scratch(path).replace(path)


def remove(path: Path) -> None:
    """Leave nothing of a checkpoint, nor of one that was being written when its process was killed."""
    for left in (path, _scratch(path)):
        left.unlink(missing_ok=True)


def restore(path: Path, parts: Mapping[str, Stateful], losses: Tensor) -> int:
    """Put back what ``save`` wrote, in place, and say how many steps are done; 0 without a file.

    Raises:
        SubliminalError: the file is damaged.
    """
    if not path.exists():
        return 0
    try:
        # Not onto the device that it was of: that may be another process's.
        state = torch.load(path, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        losses[: state["step"]] = state["losses"]
    except Exception as error:  # An archive, a pickle and three parts, each with errors of its own.
        raise SubliminalError(f"cannot go on from {path} ({reason(error)}): delete it, and begin anew") from error
    return int(state["step"])
