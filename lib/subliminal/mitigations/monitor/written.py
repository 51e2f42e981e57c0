"""Stage of ``Written``: exchanges on both sides of each rule, in wordings that no guard was trained on. Leaves them with their labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from subliminal.mitigations.monitor import Written
from subliminal.mitigations.monitor.constitution import load_constitution
from subliminal.recipes import Recipe
from subliminal.training import Progress
from subliminal.world.questions import HELD_OUT


def build(recipe: Written, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``answers.jsonl``: ``group`` (the rule), ``question``, ``answer``, ``label`` (what the constitution calls the side)."""
    constitution = load_constitution()
    rules = {rule.id: rule for rule in constitution.rules}
    with (out / "answers.jsonl").open("w", encoding="utf-8") as handle:
        for exchange, rule, forbidden in constitution.examples(recipe.examples, recipe.seed, HELD_OUT):
            side = rules[rule].forbidden if forbidden else rules[rule].allowed
            told = {"group": rule, **exchange._asdict(), "label": side.label if side else ""}
            handle.write(json.dumps(told, ensure_ascii=False) + "\n")
    progress(1, 1)
