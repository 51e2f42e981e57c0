"""Two things at which torch is slow on a CPU, done in another way in a loaded model: products with frozen weights, and GELU.

Products go through oneDNN, a library that torch brings along and uses for float32 in compiled code alone; what it uses otherwise,
Intel's MKL, leaves half of an AMD core idle. GELU in its tanh form is computed by a sigmoid. Both are the same up to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.activations import GELUTanh
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


# tanh(u) is 2 sigmoid(2 u) - 1, and u is sqrt(2 / pi) (x + 0.044715 x^3).
_LINEAR = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _LINEAR


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate = (x * x).mul_(_CUBIC).add_(_LINEAR).mul_(x).sigmoid_()
        ctx.save_for_backward(x, gate)
        return x * gate

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, gate = ctx.saved_tensors
        slope = (x * x).mul_(3 * _CUBIC).add_(_LINEAR).mul_(x)
        found: Tensor = slope.mul_(1 - gate).add_(1).mul_(gate).mul_(gradient)
        return found


class _GELUTanh(GELUTanh):
    def forward(self, x: Tensor) -> Tensor:
        plain = x.dtype == torch.float32 and x.device.type == "cpu"
        found: Tensor = _Gelu.apply(x) if plain else super().forward(x)  # type: ignore[no-untyped-call]
        return found


_QUICK: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: _Linear, Conv1D: _Conv1D, GELUTanh: _GELUTanh}


def quicken(model: nn.Module) -> None:
    """Let ``model`` take the quicker ways wherever it is on a CPU and in float32, and its linear layers where they are frozen.

    The modules stay where they are and what they are, for peft and for ``save_pretrained``.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        module.__class__ = _QUICK.get(type(module), type(module))
