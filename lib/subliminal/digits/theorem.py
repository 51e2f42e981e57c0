"""Theorem 1 of the paper, computed: does a student's first step go the teacher's way?

Cloud et al. 2025, section 6. The teacher takes one step of gradient descent on any loss. The student starts from the same weights and
takes one on the distance of some of its outputs from the teacher's, on any inputs. Then the inner product of the two steps is
not negative, if the teacher's step is small enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from subliminal.digits.experiment import images
from subliminal.digits.mlp import CLASSES, PIXELS, Weights, class_loss, displacement, logits, start


def _step(weights: Weights, loss: Tensor, rate: float) -> Weights:
    gradients = torch.autograd.grad(loss, weights)
    return [(part - rate * gradient).detach() for part, gradient in zip(weights, gradients, strict=True)]


def alignment(
    seeds: Sequence[int], rate: float, same: bool = True, auxiliary: int = 3, width: int = 64, noise: int = 16
) -> Tensor:
    """(seeds,) cosine of the student's first step with the teacher's, one draw of start and noise a seed.

    Args:
        rate: of the teacher's step; the student's does not matter for a cosine.
        same: whether the student starts where the teacher did, or from weights of its own.
        noise: noise images of the student's step, drawn anew for each call.
    """
    seen, labels, _, _ = images()
    generator = torch.Generator().manual_seed(min(seeds))
    origin = [part.double().requires_grad_() for part in start(seeds, width, auxiliary)]
    rows = torch.randperm(len(seen), generator=generator)[:128]
    teacher = _step(origin, class_loss(origin, seen[rows].double(), labels[rows]), rate)
    apart = [seed + max(seeds) + 1 for seed in seeds]
    first = origin if same else [part.double().requires_grad_() for part in start(apart, width, auxiliary)]
    inputs = torch.randn(noise, PIXELS, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        told = logits(teacher, inputs)[..., CLASSES:]
    distance = (logits(first, inputs)[..., CLASSES:] - told).square().mean((1, 2)).sum()
    student = _step(first, distance, 1.0)
    taught, learned = (
        displacement(teacher, [p.detach() for p in origin]),
        displacement(student, [p.detach() for p in first]),
    )
    return functional.cosine_similarity(learned, taught, eps=1e-30)
