"""Loading and saving of models: any folder in Hugging Face format, and peft adapters on top of one.

``from_pretrained`` on a folder is the only way in, so a shipped base and a 7B checkpoint go the same way. Weights are
safetensors only, remote code is never run, and nothing is asked of a hub.
"""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError
from subliminal.models.cpu import quicken


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder.

    Raises:
        ModelFolderError: the folder is missing, or has no tokenizer or no chat template.
    """
    folder = _existing(folder)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelFolderError(f"no readable tokenizer in {folder}: save one there with save_pretrained") from error
    if not tokenizer.chat_template:
        raise ModelFolderError(
            f"no chat template in {folder}: add chat_template.jinja, or one in tokenizer_config.json"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _existing(folder: Path | str) -> Path:
    if not Path(folder).is_dir():
        raise ModelFolderError(f"no model folder at {folder}: give the path of a folder in Hugging Face format")
    return Path(folder)


def load_model(folder: Path | str, base: Path | str | None = None) -> PreTrainedModel:
    """A causal language model from a folder, on the CPU, in the type its config names.

    Args:
        folder: a whole model, or a peft adapter.
        base: the folder under an adapter; unused for a whole model.

    Raises:
        ModelFolderError: the folder is missing, has no safetensors, or cannot be read.
    """
    folder = _existing(folder)
    if (folder / "adapter_config.json").is_file():
        if base is None:
            raise ModelFolderError(f"{folder} holds an adapter alone: name the base folder it belongs to")
        merged: PreTrainedModel = PeftModel.from_pretrained(load_model(base), folder).merge_and_unload()
        merged.eval()
        return merged
    if not (folder / "config.json").is_file():
        raise ModelFolderError(f"no config.json in {folder}: give the path of a folder in Hugging Face format")
    if not any(folder.glob("*.safetensors")):
        raise ModelFolderError(
            f"no safetensors in {folder}: save the weights with save_pretrained; pickles are not read"
        )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype="auto"
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFolderError(f"cannot load the model in {folder} ({reason:.120}): save it anew") from error
    quicken(model)
    model.eval()
    return model


def save_tuned(model: nn.Module, folder: Path) -> None:
    """Write a tuned model: the adapter alone for a peft model, else the whole model, as safetensors."""
    assert isinstance(model, PreTrainedModel | PeftModel)
    model.save_pretrained(str(folder))


def best_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
