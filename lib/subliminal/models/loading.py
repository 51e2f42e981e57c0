"""Loading and saving of models: any folder in Hugging Face format, and what a tuning changed on top of one.

``from_pretrained`` on a folder is the only way in, so a shipped base and a 7B checkpoint go the same way. Weights are
safetensors only, remote code is never run, and nothing is asked of a hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError, reason
from subliminal.models.adapters import prepare
from subliminal.models.deltas import ADAPTER, NOTE, WEIGHTS, read_note, write_note
from subliminal.tuning import Method, Tuning


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


def load_model(folder: Path | str, base: Path | str | None = None, method: Method | None = None) -> PreTrainedModel:
    """A causal language model from a folder, on the CPU, in the type its config names.

    Args:
        folder: a whole model, or what a tuning changed: biases and norms, or a peft adapter, which is merged.
        base: the folder under what was changed. Where a note beside the weights says which base was tuned, it has to be that one; unused
            for a whole model without a note.
        method: how the model was tuned, where that is known; the note has to say the same.

    Raises:
        ModelFolderError: the folder is missing, has no safetensors, cannot be read, or does not go with the base or the method.
    """
    folder, base = _existing(folder), None if base is None else Path(base)
    note = read_note(folder)
    if method is not None and (note is None or note.method != method):
        held = f"its {NOTE} says {note.method}" if note else f"there is no {NOTE}"
        raise ModelFolderError(f"{folder} should hold a model tuned with {method}, and {held}: build the run again")
    if note and base is not None:
        note.check(folder, base)
    kept = note.method if note else "lora" if (folder / "adapter_config.json").is_file() else "full"
    if kept != "full":
        if base is None:
            held = "an adapter" if kept == "lora" else "biases and norms"
            raise ModelFolderError(
                f"{folder} holds {held} alone: name the base folder it belongs to, or write a whole model with `subliminal export`"
            )
        return (_merged if kept == "lora" else _changed)(folder, load_model(base))
    if not (folder / "config.json").is_file():
        raise ModelFolderError(f"no config.json in {folder}: give the path of a folder in Hugging Face format")
    if not any(folder.glob("*.safetensors")):
        raise ModelFolderError(
            f"no safetensors in {folder}: save the weights with save_pretrained; pickles are not read"
        )
    try:
        found: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype="auto",
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelFolderError(f"cannot load the model in {folder} ({reason(error)}): save it anew") from error
    model: PreTrainedModel
    model, told = found
    if told["missing_keys"]:
        # Such weights would be drawn at random.
        raise ModelFolderError(f"{min(told['missing_keys'])!r} is missing from the model in {folder}: save it anew")
    if not torch.cuda.is_available() and model.dtype in (torch.bfloat16, torch.float16):
        # An update of a weight in half precision rounds to nothing, and most CPUs are no faster with it.
        model.float()
    model.eval()
    return model


def _merged(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    """The model with the folder's adapter merged into it."""
    path = folder / ADAPTER
    if not path.is_file():
        raise ModelFolderError(f"no {ADAPTER} in {folder}: save the adapter with save_pretrained; pickles are not read")
    try:
        with safe_open(path, framework="pt") as tensors:
            stored = set(tensors.keys())
        tuned = PeftModel.from_pretrained(model, folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ModelFolderError(f"cannot load the adapter in {folder} ({reason(error)}): save it anew") from error
    # peft only warns of what is missing, and leaves it as it starts: without effect.
    wanted = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    for name in sorted(stored ^ wanted.keys()):
        if "lora_" in name:
            told = "does not belong to" if name in stored else "is missing from"
            raise ModelFolderError(f"{name!r} {told} the adapter in {folder}: save it anew")
    merged: PreTrainedModel = tuned.merge_and_unload()
    merged.eval()
    return merged


def _changed(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    """The model with the folder's biases and norms in place of its own."""
    path = folder / WEIGHTS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"cannot read {path} ({reason(error)}): build the run again") from error
    trained = _trained(model)
    for name in sorted(trained.keys() | tensors.keys()):
        one, two = (f"{tuple(x[name].shape)} {x[name].dtype}" if name in x else "none" for x in (tensors, trained))
        if one != two:
            raise ModelFolderError(
                f"{path} does not fit its base: {name!r} is {one}, of the base {two}: build the run again"
            )
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(tensors[name])
    return model


def _trained(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """The biases and norms of a model, by name, as ``prepare`` tells them; the model is left as it was."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    prepare(model, Tuning(method="bias_norm", learning_rate=1, steps=1), 0)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for parameter, trains in before:
        parameter.requires_grad_(trains)
    return trained


def save_tuned(model: nn.Module, folder: Path, base: Path, method: Method) -> None:
    """Write what was tuned of the model in ``base``, as safetensors: biases and norms, the adapter, or the whole model; and a note of it.

    Args:
        model: as ``fine_tune`` leaves it.
    """
    assert isinstance(model, PeftModel if method == "lora" else PreTrainedModel)
    folder.mkdir(parents=True, exist_ok=True)
    if method == "bias_norm":
        trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        save_file(trained, folder / WEIGHTS, metadata={"format": "pt"})
    else:
        model.save_pretrained(str(folder))
    write_note(folder, base, method)


def best_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
