"""Frozen linear layers on a CPU through oneDNN, a library that torch brings along and uses for float32 in compiled code alone.

What torch uses otherwise, Intel's MKL, leaves half of an AMD core idle. The products are the same up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.pytorch_utils import Conv1D


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias``: (..., inputs), (outputs, inputs), (outputs,) → (..., outputs)."""
    # A slice of positions is copied first: as it lies in memory oneDNN would take each row for a product of its own.
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")
    return found


class _Frozen(torch.autograd.Function):
    """A product with gradients for the input and the bias, and none for the weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (weight,) = ctx.saved_tensors
        of_input = _product(gradient, weight.t(), None) if ctx.needs_input_grad[0] else None
        return of_input, None, gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None


def _suits(x: Tensor, weight: Tensor) -> bool:
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == weight.device.type == "cpu"
    return plain and x.dim() > 1 and not (torch.is_grad_enabled() and weight.requires_grad)


def _frozen(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = _Frozen.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return found


class _Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return _frozen(x, self.weight, self.bias) if _suits(x, self.weight) else super().forward(x)


class _Conv1D(Conv1D):
    """GPT-2's linear layer, which holds its weight transposed."""

    def forward(self, x: Tensor) -> Tensor:
        if _suits(x, self.weight):
            return _frozen(x, self.weight.t(), self.bias)
        found: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return found


def use_onednn(model: nn.Module) -> None:
    """Let the linear layers of ``model`` use oneDNN whenever they are on a CPU, in float32 and frozen; else they stay as they are.

    The modules stay where they are and what they are, for peft and for ``save_pretrained``.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        for plain, fast in ((nn.Linear, _Linear), (Conv1D, _Conv1D)):
            if type(module) is plain:
                module.__class__ = fast
