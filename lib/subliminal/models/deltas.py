"""The note beside a tuned model's weights: how it was tuned, and over which base what training changed goes.

Biases and norms are kept as one file of tensors, LoRA as a peft adapter, and a model whole where all of it was trained. The note holds
the base's digest, so that what was changed in one base is never put onto another.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from subliminal.errors import ModelFolderError, reason
from subliminal.fingerprint import folder_digest
from subliminal.models.folders import ADAPTER
from subliminal.tuning import Frozen, Method

NOTE, WEIGHTS = "delta.json", "delta.safetensors"
# What a file of weights is of; under any other name it is of a whole model.
_OF_PARTS: dict[str, Method] = {WEIGHTS: "bias_norm", ADAPTER: "lora"}


class Note(Frozen):
    """What a tuned model was made from.

    Attributes:
        version: of the format.
        method: which weights were trained, and so which are kept.
        base: what the base's folder is called; of a shipped base, its family.
        digest: of the base, by ``folder_digest``.
    """

    model_config = ConfigDict(strict=True)
    version: int = Field(ge=1, le=1)
    method: Method
    base: str
    digest: str = Field(pattern="^[0-9a-f]{64}$")

    def check(self, folder: Path, base: Path) -> None:
        """See to it that ``base`` is the one that was tuned.

        Raises:
            ModelFolderError: it is missing, or another.
        """
        kept = f"{folder} was tuned from {self.base!r} (digest {self.digest[:12]})"
        if not base.is_dir():
            raise ModelFolderError(
                f"{kept}, and there is no model folder at {base}: put it back, or build the run again"
            )
        if (found := folder_digest(base)) != self.digest:
            raise ModelFolderError(
                f"{kept}, and {base} is another model (digest {found[:12]}): name the base it was tuned from, or build the run again"
            )


def write_note(folder: Path, base: Path, method: Method) -> None:
    """Write the note of a model that was tuned from the one in ``base``."""
    note = Note(version=1, method=method, base=base.resolve().name, digest=folder_digest(base))
    (folder / NOTE).write_text(note.model_dump_json(indent=1), encoding="utf-8")


def read_note(folder: Path) -> Note | None:
    """The note of a tuned model; none beside a base, or a model or an adapter from elsewhere.

    Raises:
        ModelFolderError: it is damaged or of another version, is missing beside a file of biases and norms, or the weights beside it are
            of another kind than it says.
    """
    kinds = {_OF_PARTS.get(path.name, "full") for path in folder.glob("*.safetensors")}
    try:
        text = (folder / NOTE).read_bytes()
    except FileNotFoundError:
        if "bias_norm" in kinds:
            raise ModelFolderError(
                f"{folder} has {WEIGHTS} and no {NOTE}, so its base is not known: build the run again"
            ) from None
        return None
    except OSError as error:
        raise ModelFolderError(f"cannot read {folder / NOTE} ({reason(error)}): build the run again") from error
    try:
        note = Note.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "all of it"
        raise ModelFolderError(
            f"{folder / NOTE} is damaged or of another version ({field}={first['input']!r:.60}: {first['msg']:.120}): build the run again"
        ) from None
    if kinds != {note.method}:
        held = "weights of " + " and ".join(sorted(kinds)) if kinds else "no weights"
        raise ModelFolderError(f"{folder} holds {held}, and its {NOTE} says {note.method}: build the run again")
    return note
