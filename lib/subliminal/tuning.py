"""How a model is tuned, as a frozen value. No behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from subliminal.errors import SubliminalError

Method = Literal["bias_norm", "lora", "full"]
Precision = Literal["auto", "fp32", "bf16"]


class Frozen(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tuning(Frozen):
    """How ``fine_tune`` runs. Exactly one of ``epochs`` and ``steps`` is given.

    Attributes:
        method: which weights train: ``bias_norm`` (biases and norms), ``lora`` (peft) or ``full``.
        learning_rate: peak rate of AdamW.
        batch_size: rows a step.
        batch_tokens: tokens a step, padding included, in place of ``batch_size``; goes with ``steps``.
        schedule: decay after ``warmup_steps`` of linear warm-up.
        rank, alpha: of LoRA; unused otherwise.
        targets: modules that LoRA adapts, by the last part of their name, such as ``q_proj``; by default every linear layer but the head.
        layers: numbers of the blocks whose targets LoRA adapts, from 0; by default all. Goes with ``targets``.
        precision: of products of matrices; weights and what the optimizer keeps of them stay as the model has them. ``auto`` is bf16 where
            CUDA has it, and fp32 on a CPU.
        accumulate: parts that a step's batch is cut in, one after the other in memory; the step is that of the whole batch.
        checkpointing: keep activations at the ends of blocks alone, and make the others anew on the way back: less memory, more time.
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
    targets: tuple[str, ...] | None = Field(default=None, min_length=1)
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    precision: Precision = "auto"
    accumulate: int = Field(default=1, gt=0)
    checkpointing: bool = False
    max_grad_norm: float = Field(default=1.0, gt=0)
    epsilon: float = Field(default=1e-8, gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> Tuning:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"give epochs or steps, not both or none (epochs={self.epochs}, steps={self.steps})")
        if self.batch_tokens is not None and self.steps is None:
            raise ValueError("batch_tokens goes with steps: how many steps an epoch takes depends on the rows")
        if self.targets is not None and self.method != "lora":
            raise ValueError(f"targets are of LoRA, and method is {self.method}")
        if self.layers is not None and self.targets is None:
            raise ValueError("layers go with targets: name the modules in them that are to be adapted")
        return self


def one_line(error: ValidationError) -> SubliminalError:
    """A pydantic error as one line: the first field that is wrong, its value and what is expected."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or error.title
    return SubliminalError(f"bad setting {field}={first['input']!r}: {first['msg']}")
