"""What of a model trains: biases and norms, LoRA through peft, or everything. Knows nothing of data."""

from __future__ import annotations

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from subliminal.errors import SubliminalError
from subliminal.tuning import Tuning


def prepare(model: PreTrainedModel, tuning: Tuning, seed: int) -> nn.Module:
    """The model with the weights of ``tuning.method`` set to train and all others frozen.

    For ``lora`` the model is wrapped by peft (adapter on every linear layer but the head, seeded); otherwise it is the
    same object. What trains is in float32: at a usual rate most steps of a weight in bfloat16 would round to none. So is all of the
    model, but for the frozen weights under an adapter, which may be in bfloat16 (not in float16, where small gradients vanish).

    Raises:
        SubliminalError: the model has nothing of the kind to train.
    """
    if tuning.method != "lora" or model.dtype == torch.float16:
        model.float()
    if tuning.method == "lora":
        torch.manual_seed(seed)
        config = LoraConfig(
            r=tuning.rank,
            lora_alpha=tuning.alpha,
            target_modules="all-linear",
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
