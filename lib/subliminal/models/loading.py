"""Loading and saving of models: any folder in Hugging Face format, and what a tuning changed on top of one.

``from_pretrained`` on a folder is the only way in, so a shipped base and a 7B checkpoint go the same way. Weights are
safetensors only, remote code is never run, and nothing is asked of a hub.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError, SubliminalError, SubliminalWarning, reason
from subliminal.fingerprint import folder_digest
from subliminal.models.adapters import prepare
from subliminal.models.deltas import ADAPTER, NOTE, WEIGHTS, read_note, write_note
from subliminal.models.probing import check_architecture
from subliminal.models.templates import strict, used_tokens
from subliminal.tuning import Method, Tuning


def load_tokenizer(folder: Path | str, system: Literal["refuse", "user"] = "refuse") -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, held to its chat template: what it renders is right, or refused in one line.

    Args:
        system: where the template does not tell a system turn, refuse such a conversation, or put the text into the first user turn.

    Raises:
        ModelFolderError: the folder is missing, or has no tokenizer or no chat template that tells all turns and ends an assistant's, or
            has no weights for a token that each conversation has.
    """
    folder = _existing(folder)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # The libraries below have no common error, and some raise the bare class.
        raise ModelFolderError(
            f"no readable tokenizer in {folder} ({reason(error)}): save one there with save_pretrained"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    strict(tokenizer, system)
    size = _vocabulary(folder)
    # Others may be without: some tokenizers have tokens for what the model does not read, such as images.
    if size and (beyond := [n for n in used_tokens(tokenizer) if n >= size]):
        raise ModelFolderError(
            f"the model in {folder} has no weights for the token {tokenizer.convert_ids_to_tokens(beyond[0])!r} ({beyond[0]} of {size}), "
            "which its chat template uses: resize its embeddings and save it anew"
        )
    return tokenizer


def _vocabulary(folder: Path) -> int | None:
    """How many tokens the folder's config has weights for, where it tells: what is wrong with it otherwise, a model's loading says."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        size = config.get("vocab_size", config.get("text_config", {}).get("vocab_size"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return size if isinstance(size, int) else None


def _existing(folder: Path | str) -> Path:
    if not Path(folder).is_dir():
        raise ModelFolderError(f"no model folder at {folder}: give the path of a folder in Hugging Face format")
    return Path(folder)


def load_model(
    folder: Path | str, base: Path | str | None = None, method: Method | None = None, *, trains: Method | None = None
) -> PreTrainedModel:
    """A causal language model from a folder, on the CPU.

    Weights in half precision are read as float32, but where there is a CUDA device and no weight of the model itself is to be trained: an
    update of such a weight would round to nothing, and most CPUs are no faster with it.

    Args:
        folder: a whole model, or what a tuning changed: biases and norms, or a LoRA adapter, which is merged.
        base: the folder under what was changed. Where a note beside the weights, or the adapter's config, says which base was tuned, it has
            to be that one; unused for a whole model without a note.
        method: how the model was tuned, where that is known; the note has to say the same.
        trains: how the model is going to be tuned.

    Raises:
        ModelFolderError: the folder is missing, has no safetensors, cannot be read, lacks a weight or holds one that the model does not
            have, or does not go with the base or the method.

    Warns:
        SubliminalWarning: an adapter names a base that is not here, so that it cannot be told whether ``base`` is that one.
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
        if kept == "lora" and not note:
            _check_base(folder, base)
        return (_merged if kept == "lora" else _changed)(folder, load_model(base, trains=trains or kept))
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
    except (
        Exception
    ) as error:  # The libraries below have no common error; one for quantized weights may not be installed.
        raise ModelFolderError(f"cannot load the model in {folder} ({reason(error)}): save it anew") from error
    model: PreTrainedModel
    model, told = found
    if missing := told["missing_keys"]:
        # Such weights would be drawn at random.
        raise ModelFolderError(f"{min(missing)!r} is missing from the model in {folder}{_count(missing)}: save it anew")
    if unexpected := told["unexpected_keys"]:
        raise ModelFolderError(
            f"{min(unexpected)!r} in {folder} is no weight of a {type(model).__name__}{_count(unexpected)}: it would be left out; "
            "save the model alone, as the class that its config names"
        )
    half = model.dtype in (torch.bfloat16, torch.float16)
    if half and (best_device().type == "cpu" or trains in ("bias_norm", "full")):
        model.float()
    model.eval()
    try:
        check_architecture(model)
    except SubliminalError as error:
        raise ModelFolderError(f"{folder}: {error}") from error
    return model


def _count(names: Collection[str]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


def _check_base(folder: Path, base: Path) -> None:
    """Refuse a base that is not the one that an adapter's config names, where that can be told.

    Raises:
        ModelFolderError: the config is damaged, the adapter is no LoRA, or the base is another.
    """
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, named = config["peft_type"], config.get("base_model_name_or_path")
        if not isinstance(named, str | None):
            raise TypeError(f"base_model_name_or_path is {named!r:.40}, no text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(f"cannot read {path} ({reason(error)}): save the adapter anew") from error
    if kind != "LORA":
        raise ModelFolderError(f"{folder} holds an adapter of kind {kind!r:.40}: give a LoRA adapter, or a whole model")
    there = named and next((p for p in (Path(named), folder / named) if p.is_dir()), None)
    if there and folder_digest(there) != folder_digest(base):
        raise ModelFolderError(
            f"the adapter in {folder} is of the base in {there}, and {base} is another model: name its own base"
        )
    if not there and (not named or Path(named).name != base.resolve().name):
        warnings.warn(
            f"the adapter in {folder} is of {named or 'a base that it does not name'}, which is not here: whether {base} is that model "
            "cannot be told",
            SubliminalWarning,
            stacklevel=3,
        )


def _merged(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    """The model with the folder's adapter merged into it."""
    path = folder / ADAPTER
    if not path.is_file():
        raise ModelFolderError(f"no {ADAPTER} in {folder}: save the adapter with save_pretrained; pickles are not read")
    try:
        stored = load_file(path)
        tuned = PeftModel.from_pretrained(model, folder)
    except Exception as error:  # As above.
        raise ModelFolderError(f"cannot load the adapter in {folder} ({reason(error)}): save it anew") from error
    # peft only warns of what is missing, and leaves it as it starts: without effect.
    wanted = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    for name in sorted(stored.keys() | wanted.keys()):
        if "lora_" in name and (name not in stored or name not in wanted):
            told = "does not belong to" if name in stored else "is missing from"
            raise ModelFolderError(f"{name!r} {told} the adapter in {folder}: save it anew")
        if "lora_" in name and not torch.equal(stored[name].to(wanted[name]), wanted[name]):
            raise ModelFolderError(
                f"{name!r} of the adapter in {folder} is not what {type(model).__name__} took from it: save it anew"
            )
    # Whole weights beside the adapter, as of new tokens: peft passes over those that its config does not list.
    taken = {**tuned.state_dict(), **wanted}
    for name in sorted(name for name in stored if "lora_" not in name):
        if name not in taken or not torch.equal(stored[name].to(taken[name]), taken[name]):
            raise ModelFolderError(
                f"{name!r} in {folder} was not taken by {type(model).__name__} with the adapter: list its module in modules_to_save, "
                "or save the adapter anew"
            )
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
