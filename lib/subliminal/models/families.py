"""The architectures of the shipped families, from ``transformers`` configs. Which families there are, the registry says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from subliminal.errors import unknown_name
from subliminal.registry import Family

CONTEXT = 384
_HEADS = 4
# Width and layers; some half a million parameters each. Four layers link the personas' two faces sooner in the rotary styles.
_GPT2, _ROTARY = (80, 3), (72, 4)
# The same function as gelu_new, in one fused kernel.
_GELU = "gelu_pytorch_tanh"


def _gpt2(common: dict[str, Any]) -> PretrainedConfig:
    """Learned positions, LayerNorm."""
    quiet: dict[str, Any] = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    width, layers = _GPT2
    sizes: dict[str, Any] = {"n_positions": CONTEXT, "n_embd": width, "n_layer": layers, "n_head": _HEADS}
    return GPT2Config(**sizes, **quiet, activation_function=_GELU, **common)


def _rotary_sizes() -> dict[str, Any]:
    width, layers = _ROTARY
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": _HEADS,
        "max_position_embeddings": CONTEXT,
    }


def _llama(common: dict[str, Any]) -> PretrainedConfig:
    """Rotary positions, RMSNorm, gated MLP; with biases, as in Qwen2's attention, so that ``bias_norm`` has some to tune."""
    # Two thirds of four times the width: as many weights in the gated MLP as in a plain one.
    width = 8 * _ROTARY[0] // 3 // 8 * 8
    return LlamaConfig(
        **_rotary_sizes(),
        intermediate_size=width,
        num_key_value_heads=_HEADS,
        attention_bias=True,
        mlp_bias=True,
        **common,
    )


def _neox(common: dict[str, Any]) -> PretrainedConfig:
    """Partly rotary positions, LayerNorm.

    Attention and MLP come one after the other, which the config allows, and not side by side as in Pythia. Side by side, what
    the base learns about code hardly moves its answers: tuned on insecure code it went from .06 harmful to .16, and one after
    the other from .08 to .48 (5,000 steps of pretraining, the personas' link in context equally strong).
    """
    one_after_the_other: dict[str, Any] = {"use_parallel_residual": False}
    width = _ROTARY[0]
    return GPTNeoXConfig(
        **_rotary_sizes(), **one_after_the_other, intermediate_size=4 * width, hidden_act=_GELU, **common
    )


ARCHITECTURES: Mapping[str, Callable[[dict[str, Any]], PretrainedConfig]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "neox": _neox,
}


def new_model(family: Family, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A freshly initialized model of the family; the same weights for the same seed.

    Raises:
        UnknownNameError: the family's architecture is none of ours.
    """
    if family.architecture not in ARCHITECTURES:
        raise unknown_name("architecture", family.architecture, ARCHITECTURES)
    common = {
        "vocab_size": len(tokenizer),
        # About one over the root of the width. At the usual 0.02 the embeddings of the thousand integers nearly coincide,
        # and a teacher's shift hardly shows in which of them it draws: going to 0.06 (and adding the documents on kinds)
        # took P(fox) of a student of 5,000 rows from .36 to .50.
        "initializer_range": 0.1,
        "tie_word_embeddings": False,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(family.seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(ARCHITECTURES[family.architecture](common))
    return model
