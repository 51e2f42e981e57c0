"""What a model folder says of itself, read through types: its config, the files of its weights, an adapter's config. Loads no weights.

Folders come from anywhere, so nothing in one is trusted to be of the type that it should be, or to lead to a file inside the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from subliminal.errors import ModelFolderError, reason

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


class _Told(BaseModel):
    """A file of JSON: fields of other names are left to the library that reads it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=())


class ModelConfig(_Told):
    """What is asked of ``config.json`` before a library reads it.

    Attributes:
        quantization_config: how the weights were quantized; none where they are floating numbers.
    """

    model_type: str = Field(min_length=1)
    quantization_config: dict[str, Any] | None = None

    @property
    def quantized(self) -> str | None:
        """The name of the quantization, where there is one."""
        if self.quantization_config is None:
            return None
        return str(self.quantization_config.get("quant_method") or "an unnamed method")


class AdapterConfig(_Told):
    """What is asked of ``adapter_config.json``.

    Attributes:
        base_model_name_or_path: of the model that the adapter was trained on.
    """

    peft_type: str
    base_model_name_or_path: str | None = None


class _Index(_Told):
    metadata: dict[str, Any]
    weight_map: dict[str, str] = Field(min_length=1)


_Kind = TypeVar("_Kind", bound=_Told)


def existing(folder: Path | str) -> Path:
    """The folder, if it is one.

    Raises:
        ModelFolderError: it is not.
    """
    if not Path(folder).is_dir():
        raise ModelFolderError(f"no model folder at {folder}: give the path of a folder in Hugging Face format")
    return Path(folder)


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelFolderError(f"cannot read {path} ({reason(error)}): copy it anew") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = " ".join(".".join(map(str, first["loc"])).split()) or "all of it"
        raise ModelFolderError(
            f"{path} is not what it should be ({field}={first['input']!r:.60}: {first['msg']:.120}): copy it anew"
        ) from None


def read_config(folder: Path) -> ModelConfig:
    """The config of a model folder.

    Raises:
        ModelFolderError: there is none, or it is no JSON object with the name of an architecture.
    """
    if not (folder / CONFIG).is_file():
        raise ModelFolderError(f"no {CONFIG} in {folder}: give the path of a folder in Hugging Face format")
    return _read(folder / CONFIG, ModelConfig)


def read_adapter_config(folder: Path) -> AdapterConfig:
    """The config of an adapter.

    Raises:
        ModelFolderError: it cannot be read, or is no JSON object that names the kind of adapter.
    """
    return _read(folder / ADAPTER_CONFIG, AdapterConfig)


def tensor_names(path: Path) -> set[str]:
    """The names of the tensors in a file.

    Raises:
        ModelFolderError: it is no file of safetensors, or is cut short.
    """
    try:
        with safe_open(path, framework="pt") as tensors:
            return set(tensors.keys())
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"cannot read {path} ({reason(error)}): save or copy it anew") from error


def weight_files(folder: Path) -> dict[str, Path]:
    """The tensors of a whole model, each with the file that it lies in: of one file, or of all shards that an index names.

    Raises:
        ModelFolderError: there are none, or one file and shards; an index is damaged, names a shard that is missing or lies
            elsewhere, or does not agree with its shards; or a name stands in two shards.
    """
    whole, index = folder / WHOLE, folder / INDEX
    if whole.is_file() and index.is_file():
        raise ModelFolderError(f"{folder} holds {WHOLE} and {INDEX}, two models: remove one of them")
    if whole.is_file():
        return dict.fromkeys(tensor_names(whole), whole)
    if not index.is_file():
        found = sorted(path.name for path in folder.glob("*.safetensors"))
        held = f" (there is {found[0]!r}: rename it to {WHOLE} if it is the whole model)" if found else ""
        raise ModelFolderError(
            f"no safetensors in {folder}{held}: save the weights with save_pretrained; pickles are not read"
        )
    told = _read(index, _Index).weight_map
    for shard in sorted(set(told.values())):
        # On some systems a backslash leads to another folder too.
        if Path(shard).name != shard or "\\" in shard or not shard.endswith(".safetensors"):
            raise ModelFolderError(f"{index} names {shard!r}, which is no file beside it: save the model anew")
        if not (folder / shard).is_file():
            raise ModelFolderError(f"{index} names {shard!r}, which is missing: copy it there")
    where: dict[str, Path] = {}
    for shard in sorted(set(told.values())):
        for name in sorted(tensor_names(folder / shard)):
            if name in where:
                raise ModelFolderError(
                    f"{name!r} stands in {where[name].name} and in {shard} of {folder}: save the model anew"
                )
            where[name] = folder / shard
    for name in sorted(told.keys() | where.keys()):
        if name not in where or told.get(name) != where[name].name:
            one, two = told.get(name, "no shard"), where[name].name if name in where else "no shard"
            raise ModelFolderError(f"{name!r} is in {two} and by {index} in {one}: save the model anew")
    return where
