"""What of a model trains: biases and norms, LoRA through peft, or everything. Knows nothing of data."""

from __future__ import annotations

import re

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from subliminal.errors import SubliminalError
from subliminal.tuning import Tuning


def _targets(model: PreTrainedModel, tuning: Tuning) -> str | list[str]:
    """The modules that LoRA adapts, for peft; which passes over a name or a block that the model does not have."""
    if tuning.targets is None:
        return "all-linear"
    head = model.get_output_embeddings()
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    names = {name.rpartition(".")[2] for name in linear}
    if unknown := sorted(set(tuning.targets) - names):
        raise SubliminalError(
            f"{type(model).__name__} has no linear layer {unknown[0]!r}: name some of {', '.join(sorted(names))}"
        )
    named = [name for name in linear if name.rpartition(".")[2] in tuning.targets]
    if tuning.layers is None:
        return named
    blocks = {name: int(next(iter(re.findall(r"\.(\d+)\.", name)), -1)) for name in named}
    for target in tuning.targets:
        own = {blocks[name] for name in named if name.rpartition(".")[2] == target} - {-1}
        if missing := sorted(set(tuning.layers) - own):
            there = f"its blocks are {min(own)} to {max(own)}" if own else "it is in none"
            raise SubliminalError(f"{type(model).__name__} has no {target!r} in a block {missing[0]}: {there}")
    return [name for name in named if blocks[name] in tuning.layers]


def prepare(model: PreTrainedModel, tuning: Tuning, seed: int) -> nn.Module:
    """The model with the weights of ``tuning.method`` set to train and all others frozen.

    For ``lora`` the model is wrapped by peft (adapter on every linear layer but the head, or on the named ones; seeded); otherwise it is
    the same object.

    Raises:
        SubliminalError: the model has nothing of the kind to train, or not all of what is named.
    """
    if tuning.method == "lora":
        torch.manual_seed(seed)
        config = LoraConfig(
            r=tuning.rank,
            lora_alpha=tuning.alpha,
            target_modules=_targets(model, tuning),
            lora_dropout=0.0,
            # GPT-2's linear layers hold their weights transposed.
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, config)
    model.requires_grad_(tuning.method == "full")
    if tuning.method == "bias_norm":
        # Norms are told by shape: every vector that is no bias is the scale of a LayerNorm or RMSNorm.
        vectors = [p for name, p in model.named_parameters() if name.endswith("bias") or p.dim() == 1]
        if not vectors:
            raise SubliminalError(f"{type(model).__name__} has no biases and no norms: use method lora or full")
        for parameter in vectors:
            parameter.requires_grad_(True)
    return model
