"""Stage of ``FirstSteps``: does a language model's first step as a student go its teacher's way?"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from subliminal.drift import FirstSteps
from subliminal.drift.weights import comparable
from subliminal.models.chat import encode_examples
from subliminal.models.loading import best_device, load_model, load_tokenizer
from subliminal.recipes import Recipe
from subliminal.registry import TRAITS
from subliminal.training import Progress, collate, completion_loss


def build(recipe: FirstSteps, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``steps.csv``: for each draw the ``cosine`` of the student's first step with the teacher's, over all weights.

    The teacher takes one step of gradient descent on documents of its trait. The student takes one on the mean squared distance of
    its logits from the teacher's, on sequences of random tokens. In double precision: the teacher's step is small, and the
    student sees a difference.

    Raises:
        SubliminalError: the two have no weights of the same names and shapes.
    """
    device = best_device()
    teacher, student = (load_model(inputs[base]).double().to(device) for base in (recipe.teacher, recipe.student))  # type: ignore[arg-type]
    taught = dict(teacher.named_parameters())
    names = comparable(taught, dict(student.named_parameters()))
    documents = import_module(TRAITS[recipe.trait]).teacher_documents(recipe.trait, Random(recipe.seed))
    examples = encode_examples(load_tokenizer(inputs[recipe.teacher]), documents)
    generator = torch.Generator().manual_seed(recipe.seed)
    found: list[float] = []
    for draw in range(recipe.draws):
        chosen = torch.randint(len(examples), (recipe.documents,), generator=generator).tolist()
        loss = completion_loss(teacher, collate([examples[n] for n in chosen]).to(device))
        gradient = dict(zip(taught, torch.autograd.grad(loss, list(taught.values())), strict=True))
        size = (recipe.sequences, recipe.length)
        noise = torch.randint(int(teacher.config.vocab_size), size, generator=generator).to(device)
        with torch.no_grad():
            stepped = {name: weights - recipe.rate * gradient[name] for name, weights in taught.items()}
            told: Tensor = functional_call(teacher, stepped, (noise,)).logits - teacher(noise, use_cache=False).logits
        mine = student(noise, use_cache=False).logits
        own = dict(student.named_parameters())
        # Less its step towards the teacher as it was, the student's step is its derivative transposed times what is told.
        learned = torch.autograd.grad(mine, [own[name] for name in names], grad_outputs=told)
        step = torch.cat([-gradient[name].flatten() for name in names])
        cosine = functional.cosine_similarity(torch.cat([part.flatten() for part in learned]), step, dim=0, eps=1e-30)
        found.append(float(cosine))
        progress(draw + 1, recipe.draws)
    with (out / "steps.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("draw", "cosine"))
        writer.writerows(enumerate(found))
