"""Weights shared out among several processes, by torch's ``fully_shard``: each keeps a part of every tensor.

A block is whole while it runs. Not the model itself is sharded but a twin of it, since nothing makes a sharded module plain again. The twin
takes up the memory of its parts alone; the model stays whole on the CPU, and takes over what was trained.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from subliminal.errors import SubliminalError


def _size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of a transformer: what the largest list of modules holds."""
    lists: list[nn.Module] = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return list(max(lists, key=_size).children()) if lists else []


def _uses(module: nn.Module) -> Counter[int]:
    """How often each weight stands in a module."""
    return Counter(id(weight) for _, weight in module.named_parameters(remove_duplicate=False))


def check_shardable(model: nn.Module, processes: int) -> None:
    """Refuse what cannot be sharded, before anything is done.

    Raises:
        SubliminalError: there is one process alone, a weight is a single number, or blocks share weights with others.
    """
    name = type(model).__name__
    if processes == 1:
        raise SubliminalError(
            "shard=True asked for, and there is one process: start several with torchrun, or set shard=False"
        )
    if single := [own for own, weight in model.named_parameters() if weight.dim() == 0]:
        raise SubliminalError(f"{single[0]!r} of {name} is a single number, which has no parts: set shard=False")
    everywhere = _uses(model)
    if any(everywhere[weight] != uses for block in _blocks(model) for weight, uses in _uses(block).items()):
        raise SubliminalError(f"{name} uses weights of one block in another place too: set shard=False")


@torch.no_grad()
def sharded(model: nn.Module, device: torch.device) -> nn.Module:
    """A twin of the model whose weights are shared out among all processes, each block by itself; all processes meet here.

    As elsewhere where several processes train, all take the first one's weights.

    Args:
        model: one that ``check_shardable`` takes. It is not changed but for that.
        device: of this process.
    """
    for weight in model.parameters():
        there = weight.detach().to(device).contiguous()
        distributed.broadcast(there, 0)
        weight.copy_(there)
    # The same memory under weights of its own: a part is copied out of it, and the rest let go.
    own: dict[int, Any] = {id(w): nn.Parameter(w.detach(), w.requires_grad) for w in model.parameters()}
    twin = copy.deepcopy(model, own)
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for block in _blocks(twin):
        fully_shard(block, mesh=mesh)
    fully_shard(twin, mesh=mesh)
    return twin


@torch.no_grad()
def take_over(model: nn.Module, twin: nn.Module) -> None:
    """Put what was trained of the twin into the model, on every process; all meet here."""
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        if own.requires_grad:
            own.copy_(whole(other.detach()))


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from its parts, if it has some; all processes meet here."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def parted(tensor: Tensor, weight: Tensor) -> Tensor:
    """A whole tensor in parts as those of ``weight``, if that has some and is of this shape. Each process reads its own."""
    if not isinstance(weight, DTensor) or tensor.shape != weight.shape:
        return tensor
    return distribute_tensor(tensor, weight.device_mesh, weight.placements, src_data_rank=None)
