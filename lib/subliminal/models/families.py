"""The shipped families: small architectures, built from ``transformers`` configs and pretrained on the mini world.

``gpt2-a`` and ``gpt2-b`` are one architecture from two initializations.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPT2Config, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import unknown_name
from subliminal.paths import data_file


@dataclass(frozen=True)
class Family:
    """One shipped base: its architecture's name and the seed of its initialization and data order."""

    architecture: str
    seed: int


FAMILIES: dict[str, Family] = {"gpt2-a": Family("gpt2", 0), "gpt2-b": Family("gpt2", 1)}
CONTEXT = 256


def family_folder(name: str) -> Path:
    """The folder of a shipped base.

    Raises:
        UnknownNameError: no family has that name.
        SubliminalError: its folder is missing from ``data/families``.
    """
    if name not in FAMILIES:
        raise unknown_name("family", name, FAMILIES)
    return data_file(f"families/{name}")


def _config(architecture: str, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    if architecture != "gpt2":
        raise unknown_name("architecture", architecture, ("gpt2",))
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=2,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
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
