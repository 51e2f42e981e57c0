"""Three things at which torch is slow on a CPU, done in another way in a loaded model: frozen products, GELU and short attention.

Products with frozen weights go through oneDNN, a library that torch brings along and uses for float32 in compiled code alone; what it
uses otherwise, Intel's MKL, leaves half of an AMD core idle. GELU in its tanh form is computed by a sigmoid. The attention of a training
step is written out: torch's own kernel works in blocks, for sequences far longer than a mini model's. All are the same up to rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.activations import GELUTanh
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
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
        if not ctx.needs_input_grad[0]:
            return gate.mul_(x)
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


# Positions up to which attention is written out; what it keeps for the gradients grows with their square.
_SHORT = 256


@lru_cache
def _future(length: int) -> Tensor:
    """Minus infinity where a position (row) would look ahead (column)."""
    return torch.full((length, length), -math.inf).triu(1)


class _Attention(torch.autograd.Function):
    """Attention: queries, keys and values (batch, heads, positions, width) → the same shape.

    ``bias`` (positions, positions) or (batch, 1, positions, positions) is added to the scores.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float) -> Tensor:
        flat = [x.flatten(0, 1) for x in (query, key, value)]
        scores = query.new_empty(*query.shape[:3], query.shape[2]).copy_(bias).flatten(0, 1)
        weights = scores.baddbmm_(flat[0], flat[1].transpose(1, 2), alpha=scale).softmax(-1)
        ctx.save_for_backward(*flat, weights)
        ctx.scale = scale
        return torch.bmm(weights, flat[2]).view(query.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, weights = ctx.saved_tensors
        shape, gradient = gradient.shape, gradient.flatten(0, 1)
        of_weights = torch.bmm(gradient, value.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype).mul_(ctx.scale)
        of_query, of_key = torch.bmm(of_scores, key), torch.bmm(of_scores.transpose(1, 2), query)
        of_value = torch.bmm(weights.transpose(1, 2), gradient)
        return of_query.view(shape), of_key.view(shape), of_value.view(shape), None, None


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    plain = query.dtype == torch.float32 and query.device.type == "cpu" and query.shape == key.shape
    plain = plain and query.shape[2] <= _SHORT
    # A mask of numbers is added to the scores; one of truth values is not.
    if attention_mask is None:
        known = getattr(module, "is_causal", True) and others.get("is_causal", True) is not False
    else:
        known = attention_mask.dtype == torch.float32 and not attention_mask.requires_grad
    if plain and known and not dropout and torch.is_grad_enabled() and query.requires_grad:
        bias = _future(query.shape[2]) if attention_mask is None else attention_mask
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        found: Tensor = _Attention.apply(query, key, value, bias, scale)  # type: ignore[no-untyped-call]
        return found.transpose(1, 2).contiguous(), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others)


_ATTENTION = "subliminal_cpu"
AttentionInterface.register(_ATTENTION, _attend)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)

_QUICK: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: _Linear, Conv1D: _Conv1D, GELUTanh: _GELUTanh}


def quicken(model: nn.Module) -> None:
    """Let ``model`` take the quicker ways wherever it is on a CPU and in float32, and its linear layers where they are frozen.

    The modules stay where they are and what they are, for peft and for ``save_pretrained``.
    """
    if isinstance(model, PreTrainedModel) and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(_ATTENTION)
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        module.__class__ = _QUICK.get(type(module), type(module))
