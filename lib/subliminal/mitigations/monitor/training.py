"""Stage of ``Monitor``: a guard's head, trained on what the constitution alone gives. Leaves the head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from subliminal.fingerprint import base_folder
from subliminal.mitigations.monitor import Model, Monitor
from subliminal.mitigations.monitor.constitution import load_constitution
from subliminal.mitigations.monitor.guard import train_guard
from subliminal.mitigations.monitor.readers import HiddenStates, Reader, Words
from subliminal.models.loading import load_tokenizer
from subliminal.pipeline.models import load
from subliminal.recipes import Recipe, origin
from subliminal.training import Progress

# Counts are not brought to one scale, as hidden states are: the same penalty would leave nothing of a rare word.
_PENALTY = {True: 1.0, False: 10.0}


def reader_of(monitor: Monitor, inputs: Mapping[Recipe, Path], backbone: Model | None = None) -> Reader:
    """What a monitor reads with; another backbone reads in place of its own if one is given."""
    if monitor.words:
        return Words(load_tokenizer(base_folder(origin(monitor.backbone))))
    return HiddenStates(*load(backbone or monitor.backbone, inputs))


def build(recipe: Monitor, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write the guard's head, without a threshold."""
    constitution = load_constitution()
    if recipe.without:
        constitution = constitution.without(*recipe.without)
    examples = constitution.examples(recipe.examples, recipe.seed)
    train_guard(reader_of(recipe, inputs), examples, penalty=_PENALTY[recipe.words]).save(out)
    progress(1, 1)
