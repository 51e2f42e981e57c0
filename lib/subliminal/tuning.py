"""How a model is tuned, as a frozen value. No behaviour."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from subliminal.errors import SubliminalError

Method = Literal["bias_norm", "lora", "full"]


class Frozen(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tuning(Frozen):
    """How ``fine_tune`` runs. Exactly one of ``epochs`` and ``steps`` is given.

    Attributes:
        method: which weights train: ``bias_norm`` (biases and norms), ``lora`` (peft, all linear layers) or ``full``.
        learning_rate: peak rate of AdamW.
        batch_size: rows a step.
        batch_tokens: tokens a step, padding included, in place of ``batch_size``; goes with ``steps``.
        schedule: decay after ``warmup_steps`` of linear warm-up.
        rank, alpha: of LoRA; unused otherwise.
        max_grad_norm: clip of the gradient's norm.
        epsilon: of AdamW; a weight whose gradients are smaller than it moves less than ``learning_rate`` a step.
    """

    method: Method = "bias_norm"
    learning_rate: float = Field(gt=0)
    epochs: int | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=32, gt=0)
    batch_tokens: int | None = Field(default=None, gt=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_steps: int = Field(default=5, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    rank: int = Field(default=8, gt=0)
    alpha: int = Field(default=8, gt=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    epsilon: float = Field(default=1e-8, gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> Tuning:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"give epochs or steps, not both or none (epochs={self.epochs}, steps={self.steps})")
        if self.batch_tokens is not None and self.steps is None:
            raise ValueError("batch_tokens goes with steps: how many steps an epoch takes depends on the rows")
        return self


def one_line(error: ValidationError) -> SubliminalError:
    """A pydantic error as one line: the first field that is wrong, its value and what is expected."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or error.title
    return SubliminalError(f"bad setting {field}={first['input']!r}: {first['msg']}")
