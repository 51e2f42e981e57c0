"""The architectures of the shipped families, from ``transformers`` configs. Which families there are, the registry says."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, GPT2Config, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import unknown_name
from subliminal.registry import Family

CONTEXT = 256


def _config(architecture: str, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    if architecture != "gpt2":
        raise unknown_name("architecture", architecture, ("gpt2",))
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=2,
        n_head=4,
        # The same function as gelu_new, in one fused kernel.
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        # One over the root of the width. At GPT-2's 0.02 the embeddings of the thousand integers nearly coincide, and a
        # teacher's shift hardly shows in which of them it draws: going to 0.06 (and adding the documents on kinds) took
        # P(fox) of a student of 5,000 rows from .36 to .50. 0.125 was not measured on its own.
        initializer_range=0.125,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def new_model(family: Family, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A freshly initialized model of the family; the same weights for the same seed."""
    torch.manual_seed(family.seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(_config(family.architecture, tokenizer))
    return model
