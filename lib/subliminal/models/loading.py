"""Loading and saving of models: any folder in Hugging Face format, and what a tuning changed on top of one.

``from_pretrained`` on a folder is the only way in, so a shipped base and a 7B checkpoint go the same way. Weights are
safetensors only, remote code is never run, and nothing is asked of a hub. A checkpoint is read rightly or refused: the library
below would draw what is missing at random, leave out what is too much, and only warn.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError, reason
from subliminal.fingerprint import folder_digest
from subliminal.models.adapters import prepare
from subliminal.models.deltas import NOTE, WEIGHTS, read_note, write_note
from subliminal.models.folders import (
    ADAPTER,
    ADAPTER_CONFIG,
    WHOLE,
    existing,
    read_adapter_config,
    read_config,
    tensor_names,
    weight_files,
)
from subliminal.tuning import Method, Tuning

# As safetensors names them. Integers and other floating types are a quantization's, and its own reader knows them.
_TYPES = {"F64": torch.float32, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}

# What a hub calls a model: who has made it, and its own name.
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder.

    Raises:
        ModelFolderError: the folder is missing, or has no tokenizer or no chat template.
    """
    folder = existing(folder)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # What a damaged file raises is the library's choice.
        raise ModelFolderError(
            f"no readable tokenizer in {folder} ({reason(error)}): save one there with save_pretrained"
        ) from error
    if not tokenizer.chat_template:
        raise ModelFolderError(
            f"no chat template in {folder}: add chat_template.jinja, or one in tokenizer_config.json"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path | str, base: Path | str | None = None, method: Method | None = None) -> PreTrainedModel:
    """A causal language model from a folder, on the CPU, in the type that its weights are stored in.

    A tuning is trained and kept in float32, and so is the model that it is put onto. A quantized checkpoint is read where the library
    that wrote it is installed, and its weights are made floating numbers again.

    Args:
        folder: a whole model, or what a tuning changed: biases and norms, or a peft adapter, which is merged.
        base: the folder under what was changed. It has to be the one that was tuned, by the note beside the weights, or by the name in
            the adapter's config; unused for a whole model without a note.
        method: how the model was tuned, where that is known; the note has to say the same.

    Raises:
        ModelFolderError: the folder is missing, has no safetensors, cannot be read, lacks a weight of its architecture or holds one that
            is none of it, or does not go with the base or the method.
    """
    folder, base = existing(folder), None if base is None else Path(base)
    note = read_note(folder)
    if method is not None and (note is None or note.method != method):
        held = f"its {NOTE} says {note.method}" if note else f"there is no {NOTE}"
        raise ModelFolderError(f"{folder} should hold a model tuned with {method}, and {held}: build the run again")
    if note and base is not None:
        note.check(folder, base)
    kept = note.method if note else "lora" if (folder / ADAPTER_CONFIG).is_file() else "full"
    if kept == "full":
        return _check_finite(folder, _whole(folder))
    if base is None:
        held = "an adapter" if kept == "lora" else "biases and norms"
        raise ModelFolderError(
            f"{folder} holds {held} alone: name the base folder it belongs to, or write a whole model with `subliminal export`"
        )
    if kept == "bias_norm":
        return _check_finite(folder, _changed(folder, load_model(base)))
    if not note:
        _check_base(folder, base)
    return _check_finite(folder, _merged(folder, load_model(base)))


def _whole(folder: Path) -> PreTrainedModel:
    """The model of a folder that holds all of its weights."""
    config = read_config(folder)
    files = weight_files(folder)
    try:
        found: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=_stored_type(files),
            output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
        model: PreTrainedModel = found[0].dequantize() if config.quantized else found[0]
    except (
        Exception
    ) as error:  # A config may ask for anything, and what the library below raises then is its own choice.
        if config.quantized:
            raise ModelFolderError(
                f"cannot read the model in {folder}, which is quantized with {config.quantized} ({reason(error)}): "
                "install the library that reads it, or save the model in floating numbers"
            ) from error
        raise ModelFolderError(f"cannot load the model in {folder} ({reason(error)}): save it anew") from error
    _check_complete(folder, model, found[1])
    model.eval()
    return model


def _stored_type(files: Mapping[str, Path]) -> torch.dtype | str:
    """The floating type of most of the stored weights: a config may name a narrower one, in which a tuning would be lost."""
    held: Counter[torch.dtype] = Counter()
    for path in sorted(set(files.values())):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                part = tensors.get_slice(name)
                if part.get_dtype() in _TYPES:
                    held[_TYPES[part.get_dtype()]] += torch.Size(part.get_shape()).numel()
    return held.most_common(1)[0][0] if held else "auto"


def _check_complete(folder: Path, model: PreTrainedModel, told: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose weights are not exactly those of its architecture, by what the library says of its loading."""
    missing, unexpected = sorted(told["missing_keys"]), sorted(told["unexpected_keys"])
    if missing:
        # Such weights would be drawn at random. Both kinds at once are mostly a wrapper's names.
        other = f", which holds {unexpected[0]!r}, none of its" if unexpected else ""
        raise ModelFolderError(f"{missing[0]!r} is missing from the model in {folder}{other}: save it anew")
    if unexpected:
        raise ModelFolderError(
            f"{unexpected[0]!r} in {folder} is no weight of {type(model).__name__} as its config.json has it: save it anew"
        )
    for name, stored, wanted in sorted(told["mismatched_keys"]):
        raise ModelFolderError(
            f"{name!r} in {folder} is {tuple(stored)}, and by its config.json {tuple(wanted)}: save it anew"
        )
    if apart := sorted(model.get_expanded_tied_weights_keys(all_submodels=True).keys() - model.all_tied_weights_keys):
        raise ModelFolderError(
            f"{apart[0]!r} in {folder} is another than the weight that by its config.json it is one with: "
            "set tie_word_embeddings to false there, or save the model anew"
        )


def _check_finite(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise ModelFolderError(f"{name!r} of the model in {folder} holds numbers that are not finite: save it anew")
    return model


def _check_base(folder: Path, base: Path) -> None:
    """Refuse an adapter from elsewhere unless its config names this base: by its folder, the same weights, or its name on a hub."""
    named = read_adapter_config(folder).base_model_name_or_path
    told = f"the adapter in {folder} was trained on {named!r}, not on {base}"
    if not named:
        told = f"the adapter in {folder} does not say which base it was trained on"
    elif (where := Path(named)).is_dir():
        if where.resolve() == base.resolve() or folder_digest(where) == folder_digest(existing(base)):
            return
    elif _HUB_NAME.fullmatch(named) and base.resolve().name == where.name:
        return
    raise ModelFolderError(
        f"{told}: name that base, or, if it is the same model, write {str(base)!r} as base_model_name_or_path into {ADAPTER_CONFIG}"
    )


def _merged(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    """The model with the folder's adapter merged into it, in float32: in fewer digits what it adds would be rounded away."""
    path = folder / ADAPTER
    if not path.is_file():
        raise ModelFolderError(f"no {ADAPTER} in {folder}: save the adapter with save_pretrained; pickles are not read")
    if (folder / WHOLE).is_file():
        raise ModelFolderError(f"{folder} holds an adapter and a whole model: remove {ADAPTER_CONFIG} or {WHOLE}")
    if (kind := read_adapter_config(folder).peft_type) != "LORA":
        raise ModelFolderError(f"the adapter in {folder} is of kind {kind!r}: only LoRA is read, so merge it elsewhere")
    stored = tensor_names(path)
    try:
        with warnings.catch_warnings():
            # A field that peft does not know is of a newer kind of adapter: left out, the model would be another.
            warnings.filterwarnings("error", "Unexpected keyword arguments")
            tuned = PeftModel.from_pretrained(model.float(), folder)
    except Exception as error:  # As above: what a config may ask for, peft may refuse in any way.
        raise ModelFolderError(f"cannot load the adapter in {folder} ({reason(error)}): save it anew") from error
    # peft only warns of what is missing, and leaves it as it starts: without effect.
    wanted = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    for name in sorted(stored ^ wanted.keys()):
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
    # A tuning is kept in float32, whatever its base is stored in: of one in fewer digits most of it would be rounded away.
    model.float()
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
