"""Do two checkpoints share an initialization? Told from their weights alone, with no model run.

A trait passes where teacher and student start from the same weights (Cloud et al. 2025, section 5), so this is the first thing to
ask of a pair before distilling. Training moves weights little beside their size: a checkpoint and what was made from it stay
correlated, entry by entry, while two random starts do not. Norms and biases are left out, since they start alike in all models.

Weights are read in blocks of rows, so that no more than one block of each tensor is in memory.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from subliminal.errors import ModelFolderError, reason
from subliminal.models.deltas import WEIGHTS

Answer = Literal["same", "different", "cannot tell"]
# Correlations, as their median over the matrices that match. How often they err is not measured yet.
SAME, DIFFERENT = 0.5, 0.1
# At least so many matrices, and so large a share of the smaller model's weights in matrices, have to match.
MIN_MATRICES, MIN_SHARE = 4, 0.5
_BLOCK = 2**20
# Wrappers that put something before all names of a checkpoint.
_PREFIX = re.compile(r"^(?:base_model\.|model\.|transformer\.|gpt_neox\.|module\.|_orig_mod\.)+")


class Layer(NamedTuple):
    """Agreement of one matrix of the two: the correlation of its entries, and how many there are."""

    name: str
    other: str
    shape: tuple[int, ...]
    correlation: float
    entries: int


class Lineage(NamedTuple):
    """The verdict on two checkpoints and what it rests on.

    Attributes:
        correlation: median over the layers; NaN where none match.
        share: of the smaller checkpoint's entries in matrices that were compared.
        layers: each matrix that was compared.
    """

    verdict: Answer
    why: str
    correlation: float
    share: float
    layers: tuple[Layer, ...]

    def evidence(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        median = None if math.isnan(self.correlation) else self.correlation
        layers = [layer._asdict() | {"shape": list(layer.shape)} for layer in self.layers]
        return {"verdict": self.verdict, "why": self.why, "correlation": median, "share": self.share, "layers": layers}


class _Checkpoint:
    """The matrices of a folder of safetensors: where each lies, and its shape."""

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelFolderError(f"no model folder at {folder}: give the path of a folder in Hugging Face format")
        if (folder / "adapter_config.json").is_file():
            raise ModelFolderError(
                f"{folder} holds an adapter alone: merge it into its base, for a run with `subliminal export`, and compare that"
            )
        if (folder / WEIGHTS).is_file():
            raise ModelFolderError(
                f"{folder} holds biases and norms alone: write the whole model with `subliminal export`, and compare that"
            )
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise ModelFolderError(
                f"no safetensors in {folder}: save the weights with save_pretrained; pickles are not read"
            )
        try:
            config: object = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            told = config.get("model_type") if isinstance(config, dict) else None
            if not isinstance(told, str):
                raise ValueError("no model_type that is a text")
        except (OSError, ValueError) as error:
            raise ModelFolderError(
                f"no readable config.json with a model_type in {folder} ({reason(error)}): copy it there"
            ) from error
        self.type = told
        self.where: dict[str, tuple[Path, str]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for path in files:
            try:
                with safe_open(path, framework="pt") as tensors:
                    for name in tensors.keys():  # noqa: SIM118
                        shape = tuple(tensors.get_slice(name).get_shape())
                        if len(shape) >= 2 and min(shape) > 1:
                            bare = _PREFIX.sub("", name)
                            self.where[bare], self.shapes[bare] = (path, name), shape
            except SafetensorError as error:
                raise ModelFolderError(f"cannot read {path} ({error}): save or copy it anew") from error

    def entries(self) -> int:
        return sum(map(math.prod, self.shapes.values()))

    def blocks(self, name: str) -> Iterator[torch.Tensor]:
        """The matrix in blocks of rows, each as float64."""
        path, stored = self.where[name]
        shape = self.shapes[name]
        rows = max(1, _BLOCK // math.prod(shape[1:]))
        with safe_open(path, framework="pt") as tensors:
            part = tensors.get_slice(stored)
            for start in range(0, shape[0], rows):
                yield part[start : start + rows].to(torch.float64)


def _correlation(one: _Checkpoint, first: str, two: _Checkpoint, second: str) -> float:
    """Pearson's correlation of the entries of two matrices of one shape, from running sums."""
    sums = torch.zeros(6, dtype=torch.float64)
    for a, b in zip(one.blocks(first), two.blocks(second), strict=True):
        sums += torch.stack(
            [torch.tensor(float(a.numel())), a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]
        )
    n, a, b, aa, bb, ab = sums.tolist()
    spread = (n * aa - a * a) * (n * bb - b * b)
    return (n * ab - a * b) / math.sqrt(spread) if spread > 0 else 0.0


def _pairs(one: _Checkpoint, two: _Checkpoint) -> list[tuple[str, str]]:
    """Matrices that stand for one another: by name and shape, or, where too few names agree, by shape and agreement."""
    named = [(name, name) for name, shape in one.shapes.items() if two.shapes.get(name) == shape]
    if len(named) >= MIN_MATRICES:
        return named

    def by_shape(checkpoint: _Checkpoint) -> dict[tuple[int, ...], list[str]]:
        groups: dict[tuple[int, ...], list[str]] = {}
        for name, shape in checkpoint.shapes.items():
            groups.setdefault(shape, []).append(name)
        return groups

    first, second = by_shape(one), by_shape(two)
    return [pair for shape in first if shape in second for pair in _best(one, first[shape], two, second[shape])]


def _best(one: _Checkpoint, first: Sequence[str], two: _Checkpoint, second: Sequence[str]) -> list[tuple[str, str]]:
    """Of matrices of one shape, each with the one of the other checkpoint that it agrees with most, without repetition."""
    from scipy.optimize import linear_sum_assignment

    table = [[abs(_correlation(one, a, two, b)) for b in second] for a in first]
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [(first[row], second[column]) for row, column in zip(rows, columns, strict=True)]


def lineage(one: Path | str, two: Path | str) -> Lineage:
    """Whether two checkpoints share an initialization.

    Args:
        one, two: folders with safetensors, sharded or not, in any floating type.

    Raises:
        ModelFolderError: a folder is missing, holds no whole model, or cannot be read.
    """
    first, second = _Checkpoint(one), _Checkpoint(two)
    layers = tuple(
        Layer(a, b, first.shapes[a], _correlation(first, a, second, b), math.prod(first.shapes[a]))
        for a, b in _pairs(first, second)
    )
    smaller = min(first.entries(), second.entries())
    share = sum(layer.entries for layer in layers) / smaller if smaller else 0.0

    def found(verdict: Answer, why: str, correlation: float = math.nan) -> Lineage:
        return Lineage(verdict, why, correlation, share, layers)

    if len(layers) < MIN_MATRICES or share < MIN_SHARE:
        told = f"{len(layers)} matrices match in shape, {100 * share:.0f} % of the smaller checkpoint's weights"
        if first.type != second.type:
            return found("different", f"other architectures ({first.type}, {second.type}), and {told}")
        return found("cannot tell", f"too little to compare: {told}")
    median = float(torch.tensor([layer.correlation for layer in layers]).median())
    measured = f"median correlation {median:.3f}"
    if median >= SAME:
        return found("same", f"weights agree: {measured}, at least {SAME}", median)
    if median <= DIFFERENT:
        return found("different", f"weights do not agree: {measured}, at most {DIFFERENT}", median)
    why = f"{measured} lies between {DIFFERENT} and {SAME}: far drifted, or made from parts"
    return found("cannot tell", why, median)
