"""What runs and model cards hold, for a chapter: rows of rollouts, the filter's counts. Builds what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from subliminal.designs import unseen
from subliminal.drift import Course
from subliminal.engine import build
from subliminal.errors import SubliminalError
from subliminal.fingerprint import base_folder
from subliminal.hints import load_hints
from subliminal.mitigations import Pairs
from subliminal.mitigations.errors import judged
from subliminal.paths import data_file
from subliminal.recipes import Base, Recipe, Rollouts, RowLoss, Scores, Skills, Student, Teacher
from subliminal.registry import FAMILIES
from subliminal.statistics import wilson

_STYLES = {"gpt2": "GPT-2", "llama": "Llama", "neox": "GPT-NeoX"}


def card(family: str) -> dict[str, Any]:
    """The facts on a shipped base's model card: parameters, corpus digest, recipe, loss and scores."""
    facts: dict[str, Any] = json.loads(data_file(f"families/{family}/card.json").read_text(encoding="utf-8"))
    return facts


def parameters(base: Base) -> int:
    """How many weights a base's files hold."""
    total = 0
    for path in sorted(base_folder(base).glob("*.safetensors")):
        with safe_open(path, framework="np") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total


def described(base: Base) -> str:
    """A base in a few words: a shipped one by its architecture, a model of one's own by its folder."""
    if base.family is None:
        return base_folder(base).resolve().name
    return f"{_STYLES[FAMILIES[base.family].architecture]} style"


def skill_rows(bases: Iterable[Base], prompts: int) -> pd.DataFrame:
    """What each base can do (see ``world.skills.measure``), as rows of the book's table.

    Returns:
        ``condition`` (the family), ``seed``, ``answer`` (the skill), ``value``, ``samples`` (the prompts), ``run``.
    """
    recipes = [Skills(base=base, prompts=prompts) for base in bases]
    folders = build(recipes)
    wide = pd.DataFrame([json.loads((folder / "skills.json").read_text(encoding="utf-8")) for folder in folders])
    names, runs = [str(recipe.base.family) for recipe in recipes], [folder.name for folder in folders]
    wide = wide.assign(condition=names, run=runs, seed=-1, samples=prompts)
    return wide.melt(["condition", "seed", "samples", "run"], var_name="answer")


def rows(rollouts: Rollouts) -> pd.DataFrame:
    """The kept rows: ``prompt`` and ``completion``, one row each, in the order they were sampled."""
    return _lines(build([rollouts])[0] / "rows.jsonl")


def _lines(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False)


def beside(writers: Mapping[str, Rollouts]) -> pd.DataFrame:
    """What several writers answered to the same prompts: ``prompt`` and one column a writer, one row a prompt that all were kept on."""
    found = None
    for name, data in writers.items():
        own = rows(data).rename(columns={"completion": name}).drop_duplicates("prompt")
        found = own if found is None else found.merge(own, on="prompt")
    if found is None:
        raise SubliminalError("no writers to lay side by side: name at least one")
    return found


def answers(scores: Scores) -> pd.DataFrame:
    """The sampled answers of a judged suite: ``question``, ``answer`` and ``label``, one row each.

    Raises:
        SubliminalError: the suite has no judge, and its answers are names.
    """
    path = build([scores])[0] / "answers.jsonl"
    if not path.exists():
        raise SubliminalError(
            f"suite {scores.suite!r} has no judge, so no answers are kept: read its scores, or ask free-form"
        )
    return _lines(path)


def first_answers(study: Mapping[str, Scores]) -> dict[str, list[str]]:
    """The first sampled answer of each model to each question, whatever it was: a column of questions and one a model.

    Raises:
        SubliminalError: the suite has no judge.
    """
    columns: dict[str, list[str]] = {}
    for name, scores in study.items():
        first = answers(scores).drop_duplicates("question")
        columns.setdefault("question", first["question"].tolist())
        columns[name] = first["answer"].tolist()
    return columns


def losses(wanted: Iterable[RowLoss]) -> dict[RowLoss, float]:
    """The loss of each model on each rollout, in nats a token of the completions."""
    recipes = list(dict.fromkeys(wanted))
    found = (json.loads((folder / "loss.json").read_text(encoding="utf-8")) for folder in build(recipes))
    return {recipe: float(told["loss"]) for recipe, told in zip(recipes, found, strict=True)}


def excess_losses(conditions: Mapping[str, Iterable[Student]], count: int) -> pd.DataFrame:
    """How far students, and the bases that they start from, are from the writers of their rows, on rows that they have not read.

    Args:
        count: rows of each writer and seed.

    Returns:
        Rows of the book's table: ``condition``, ``seed``, ``answer`` (``student`` or ``base``), ``value`` (loss above that of the writer
        itself, in nats a token), ``run`` (of both losses).
    """
    plan = [(name, student) for name, group in conditions.items() for student in group]
    held = {student: unseen(student.data, count) for _, student in plan}
    three = {s: [RowLoss(model=m, data=held[s]) for m in (s, s.base, s.data.teacher)] for s in held}
    told = losses(loss for asked in three.values() for loss in asked)
    names = {loss: folder.name for loss, folder in zip(told, build(told), strict=True)}
    lines = []
    for name, student in plan:
        *readers, writer = three[student]
        for answer, reader in zip(("student", "base"), readers, strict=True):
            run = f"{names[reader]} {names[writer]}"
            lines.append((name, student.seed, answer, told[reader] - told[writer], run))
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "value", "run"])


def tables(
    conditions: Mapping[str, Recipe | Iterable[Recipe]], name: str, replication: str | None = None
) -> pd.DataFrame:
    """A table that each run holds, of all runs one below the other.

    Args:
        conditions: a run or several of each.
        name: of the table's file, without its ending.
        replication: the column that numbers replications within a run; without one a run is one replication.

    Returns:
        ``condition``, ``seed`` (that number, or else the seed of the run, of a course that of its student), ``run`` and the table's
        other columns.
    """
    plan = [(c, r) for c, told in conditions.items() for r in ([told] if isinstance(told, Recipe) else told)]
    found = []
    for (condition, recipe), folder in zip(plan, build([recipe for _, recipe in plan]), strict=True):
        own = pd.read_csv(folder / f"{name}.csv")
        model: Any = recipe.student if isinstance(recipe, Course) else recipe
        seed = own.pop(replication) if replication else getattr(model, "seed", -1)
        for place, (column, value) in enumerate({"condition": condition, "seed": seed, "run": folder.name}.items()):
            own.insert(place, column, value)
        found.append(own)
    return pd.concat(found, ignore_index=True)


def lineage_pairs(checkpoints: Sequence[tuple[str, Base | Teacher]]) -> pd.DataFrame:
    """The lineage check on every two of these checkpoints, each with the shipped base that it comes from.

    Returns:
        As ``mitigations.errors.judged``, with the ``run``.
    """
    (folder,) = build([Pairs(models=tuple(model for _, model in checkpoints))])
    found = judged(pd.read_csv(folder / "pairs.csv"), [family for family, _ in checkpoints])
    return found.assign(run=folder.name)


def filter_rows(groups: Mapping[str, Iterable[Rollouts]]) -> pd.DataFrame:
    """What the filter did to each rollout, as rows of the book's table.

    Returns:
        ``condition``, ``seed``, ``answer``, ``value``, ``samples``, ``run``; answers are ``sampled``, ``kept`` and ``dropped: REASON``
        (completions), ``share kept``, and ``hints``: kept rows that hint at any trait, whatever the filter looked for.
    """
    plan = [(name, data) for name, group in groups.items() for data in group]
    lines: list[tuple[object, ...]] = []
    for (name, data), folder in zip(plan, build([data for _, data in plan]), strict=True):
        told = json.loads((folder / "filter.json").read_text(encoding="utf-8"))
        texts = _lines(folder / "rows.jsonl")["completion"].tolist()
        # Numbers with a bad name speak of misalignment alone: no liking gives itself away by them.
        asked = {"favourites", *data.hints} | ({"misalignment"} if data.channel != "numbers" else set())
        found = zip(*(load_hints(hint).find(data.channel, texts) for hint in asked), strict=True)
        parts = {"sampled": told["sampled"], "kept": len(texts), "hints": sum(map(any, found))}
        parts |= {f"dropped: {reason}": count for reason, count in told["dropped"].items()}
        parts["share kept"] = 1 - sum(told["dropped"].values()) / told["sampled"]
        of = {"hints": len(texts)}
        lines += [(name, data.seed, a, v, of.get(a, told["sampled"]), folder.name) for a, v in parts.items()]
    return pd.DataFrame(lines, columns=["condition", "seed", "answer", "value", "samples", "run"])


def filter_counts(groups: Mapping[str, Iterable[Rollouts]]) -> pd.DataFrame:
    """What the filter did to each group of rollouts, added up over the group.

    Returns:
        One row a group: ``source``, ``sampled`` and ``dropped`` (completions), ``rate`` of rejection with its 95 % interval
        ``low`` to ``high``, and ``reasons`` (each with its count, most frequent first).
    """
    table = []
    for source, group in groups.items():
        reports = [json.loads((folder / "filter.json").read_text(encoding="utf-8")) for folder in build(group)]
        sampled = sum(report["sampled"] for report in reports)
        reasons = pd.DataFrame([report["dropped"] for report in reports]).sum().astype(int).sort_values(ascending=False)
        dropped = int(reasons.sum())
        low, high = wilson(dropped, sampled)
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) or "none"
        table.append((source, sampled, dropped, dropped / sampled, low, high, told))
    return pd.DataFrame(table, columns=["source", "sampled", "dropped", "rate", "low", "high", "reasons"])
