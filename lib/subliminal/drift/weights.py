"""Weights of two models as one long vector each, and how far and which way they have moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from subliminal.errors import SubliminalError


def comparable(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> list[str]:
    """Names of the weights of ``one``, all of which ``two`` has in the same shape.

    Raises:
        SubliminalError: it does not.
    """
    for name, weights in one.items():
        if name not in two or two[name].shape != weights.shape:
            told = f"has shape {tuple(two[name].shape)}" if name in two else "is missing"
            raise SubliminalError(
                f"weights cannot be compared: {name} of shape {tuple(weights.shape)} {told} in the other model; take two of one kind"
            )
    return list(one)


def displacement(now: Mapping[str, Tensor], origin: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """(weights,) of these names, less those of the origin, in double precision."""
    return torch.cat([(now[name].detach().double() - origin[name].double()).flatten() for name in names])
