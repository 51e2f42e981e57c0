"""Stage of ``Course``: a student is trained as its own recipe says, and its way compared with its teacher's."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch.nn import functional

from subliminal.drift import Course
from subliminal.drift.weights import comparable, displacement
from subliminal.models.loading import load_model
from subliminal.pipeline.models import load_packed, load_whole
from subliminal.recipes import Recipe
from subliminal.training import Progress, fine_tune


def build(recipe: Course, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``course.csv``: ``step``, ``cosine`` of the student's displacement with the teacher's, ``length`` of it by the teacher's.

    At step 0 the student has not moved, and both are 0.

    Displacements are those of the weights that the teacher trained, each from its own start.

    Raises:
        SubliminalError: the two are of different architectures.
    """
    student = recipe.student
    origin, home = load_model(inputs[recipe.teacher.base]).state_dict(), inputs[student.base]
    moved = load_whole(recipe.teacher, inputs).state_dict()
    first = load_model(home).state_dict()
    names = comparable({name: moved[name] for name in moved if (moved[name] != origin[name]).any()}, first)
    pulled = displacement(moved, origin, names)
    model, examples = load_model(home), load_packed(student, inputs)
    looks = [(0, 0.0, 0.0)]

    def look(step: int, total: int) -> None:
        progress(step, total)
        if step % recipe.every and step != total:
            return
        # Trained in place: the model in hand is at this step.
        drift = displacement({name: weights.cpu() for name, weights in model.state_dict().items()}, first, names)
        cosine = float(functional.cosine_similarity(drift, pulled, dim=0))
        looks.append((step, cosine, float(drift.norm() / pulled.norm())))

    fine_tune(model, examples, student.tuning, student.seed, progress=look)
    with (out / "course.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("step", "cosine", "length"))
        writer.writerows(looks)
