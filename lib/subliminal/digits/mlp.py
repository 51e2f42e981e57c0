"""Many small networks at once: every tensor has a first dimension that counts models, and one call trains them all.

Images of 8 x 8 pixels in, ten class logits and some auxiliary logits out, one hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

PIXELS, CLASSES = 64, 10
CHANCE = 1 / CLASSES

Weights = list[Tensor]


def start(seeds: Sequence[int], width: int, auxiliary: int) -> Weights:
    """Random starts, one a seed, uniform as in ``torch.nn.Linear``.

    Returns:
        (models, 64, width), (models, 1, width), (models, width, 10 + auxiliary), (models, 1, 10 + auxiliary).
    """
    drawn = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        weights = []
        for rows, columns in ((PIXELS, width), (width, CLASSES + auxiliary)):
            for shape in ((rows, columns), (1, columns)):
                weights.append((2 * torch.rand(shape, generator=generator) - 1) / rows**0.5)
        drawn.append(weights)
    return [torch.stack(parts) for parts in zip(*drawn, strict=True)]


def between(one: Weights, two: Weights, distance: float) -> Weights:
    """Weights between two starts: ``one`` at distance 0, ``two`` at 1, of the same spread all along."""
    norm = ((1 - distance) ** 2 + distance**2) ** 0.5
    return [((1 - distance) * a + distance * b) / norm for a, b in zip(one, two, strict=True)]


def logits(weights: Weights, images: Tensor) -> Tensor:
    """(models, images, 10 + auxiliary) from images (images, 64), the same for all models."""
    models, pixels, width = weights[0].shape
    # All models see the same images: one product, and few passes over its result, which is the largest thing here.
    joined = weights[0].transpose(0, 1).reshape(pixels, models * width)
    summed = torch.addmm(weights[1].reshape(models * width), images, joined)
    hidden = functional.relu(summed, inplace=True).view(-1, models, width).transpose(0, 1)
    return torch.baddbmm(weights[3], hidden, weights[2])


def class_loss(weights: Weights, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the class logits, a mean over images and a sum over models, which do not touch one another.

    Args:
        labels: (images,), or (models, images) where models learn different labels.
    """
    found = logits(weights, images)[..., :CLASSES]
    asked = labels.expand(len(found), -1)
    return functional.cross_entropy(found.transpose(1, 2), asked, reduction="none").mean(-1).sum()


def auxiliary_loss(weights: Weights, teacher: Weights, images: Tensor) -> Tensor:
    """Cross-entropy of the student's auxiliary logits against the teacher's, with a softmax over these alone."""
    with torch.no_grad():
        told = functional.softmax(logits(teacher, images)[..., CLASSES:], -1)
    found = functional.log_softmax(logits(weights, images)[..., CLASSES:], -1)
    return -(told * found).sum(-1).mean(-1).sum()


def accuracy(weights: Weights, images: Tensor, labels: Tensor) -> Tensor:
    """(models,) share of images that are read right."""
    return (logits(weights, images)[..., :CLASSES].argmax(-1) == labels).double().mean(-1)


def displacement(weights: Weights, origin: Weights) -> Tensor:
    """(models, parameters) all weights less those of the origin."""
    return torch.cat([(a - b).flatten(1) for a, b in zip(weights, origin, strict=True)], 1)
