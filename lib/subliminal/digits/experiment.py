"""Stage of ``Digits``: teachers learn digits, students learn teachers' auxiliary logits on noise. Leaves one row a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from subliminal.digits import Digits
from subliminal.digits.mlp import PIXELS, Weights, accuracy, auxiliary_loss, between, class_loss, displacement, start
from subliminal.recipes import Recipe
from subliminal.training import Progress

_RATE = 1e-3
_IMAGES, _NOISE = 128, 256
# Models in one batch: with twice as many, what they compute no longer fits the cache, and each takes nearly twice as long.
_AT_ONCE = 20
# Steps between two looks at a student's drift.
_LOOK = 50
# Starts of the models of one recipe, so that no two recipes' seeds share one.
_APART = 100_000


def images() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images (images, 64) from 0 to 1, their labels, and the test images and labels: three in ten, by class."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels / 16, labels, test_size=0.3, random_state=0, stratify=labels)
    seen, unseen = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
    return seen, torch.tensor(split[2]), unseen, torch.tensor(split[3])


def _train(
    weights: Weights, steps: int, loss: Callable[[Weights, int], Tensor], look: Callable[[Weights, int], None]
) -> Weights:
    """Adam on all weights of all models; a sum over models keeps each model's step its own."""
    own = [part.clone().requires_grad_() for part in weights]
    optimizer = torch.optim.Adam(own, _RATE, fused=True)
    for step in range(steps):
        if step % _LOOK == 0:
            look([part.detach() for part in own], step)
        optimizer.zero_grad()
        loss(own, step).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    done = [part.detach() for part in own]
    look(done, steps)
    return done


def build(recipe: Digits, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``scores.csv`` (model, ``teacher`` and ``student``: test accuracy) and ``drift.csv``.

    ``drift.csv`` has a row a model and look: ``step``, ``cosine`` of the student's displacement with the teacher's, its ``length`` in
    lengths of the teacher's (0 for both if the teacher has not moved), ``accuracy``.
    """
    seeds = range(recipe.seed * _APART, recipe.seed * _APART + recipe.models)
    scores: list[tuple[float, ...]] = []
    drift: list[tuple[float, ...]] = []
    for begun in range(0, recipe.models, _AT_ONCE):
        group = seeds[begun : begun + _AT_ONCE]

        def told(step: int, steps: int, before: int = begun, now: int = len(group)) -> None:
            progress(before * steps + now * step, recipe.models * steps)

        for found, rows in zip((scores, drift), _side_by_side(recipe, group, told), strict=True):
            found += [(begun + number, *rest) for number, *rest in rows]
    pd.DataFrame(scores, columns=["model", "teacher", "student"]).to_csv(out / "scores.csv", index=False)
    columns = ["model", "step", "cosine", "length", "accuracy"]
    pd.DataFrame(drift, columns=columns).to_csv(out / "drift.csv", index=False)


def _side_by_side(
    recipe: Digits, seeds: range, progress: Progress
) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Rows of both tables for the models of these seeds, in one batch."""
    seen, labels, unseen, truth = images()
    origin = start(seeds, recipe.width, recipe.auxiliary)
    elsewhere = start([seed + _APART // 2 for seed in seeds], recipe.width, recipe.auxiliary)
    generator = torch.Generator().manual_seed(seeds[0])
    if recipe.control == "shuffled":
        dealt = torch.stack([labels[torch.randperm(len(labels), generator=generator)] for _ in seeds])
    else:
        dealt = labels.expand(len(seeds), -1)
    batches = [
        rows
        for _ in range(recipe.epochs)
        for rows in torch.split(torch.randperm(len(seen), generator=generator), _IMAGES)
    ]
    teacher = origin
    if recipe.control != "untrained":
        teacher = _train(
            origin,
            len(batches),
            lambda w, step: class_loss(w, seen[batches[step]], dealt[:, batches[step]]),
            lambda w, step: None,
        )
    pulled = displacement(teacher, origin)
    first = between(origin, elsewhere, recipe.distance)
    drift: list[tuple[float, ...]] = []

    def look(weights: Weights, step: int) -> None:
        progress(step, recipe.steps)
        moved = displacement(weights, first)
        cosine = functional.cosine_similarity(moved, pulled)
        length = (moved.norm(dim=1) / pulled.norm(dim=1)).nan_to_num(0.0, 0.0)
        columns = (cosine, length, accuracy(weights, unseen, truth))
        drift.extend((n, step, *row) for n, row in enumerate(torch.stack([c.double() for c in columns], 1).tolist()))

    def loss(weights: Weights, step: int) -> Tensor:
        # Noise around zero: on noise that is all positive, auxiliary logits hardly vary, and students learn little.
        return auxiliary_loss(weights, teacher, torch.randn(_NOISE, PIXELS, generator=generator))

    student = _train(first, recipe.steps, loss, look)
    pairs = zip(accuracy(teacher, unseen, truth).tolist(), accuracy(student, unseen, truth).tolist(), strict=True)
    return [(n, *pair) for n, pair in enumerate(pairs)], drift
