"""The study on a real model. It takes hours, so it is recorded: ``make real`` runs it and keeps its table, and the book draws from that.

As in "Owls": teachers that love an animal, their filtered lists, students on them; and as controls the base, students of the base's own
lists, and students that start from a *sibling*, another format tuning of the same checkpoint, in which transfer is predicted too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from subliminal import engine, recorded
from subliminal.errors import SubliminalError
from subliminal.export import export
from subliminal.fingerprint import base_folder, folder_digest, library_versions, package_digest, processor
from subliminal.models.adapters import prepare
from subliminal.models.chat import encode_examples, encode_prompts
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.models.templates import turn_ends
from subliminal.names import ANIMALS
from subliminal.paths import store_dir
from subliminal.recipes import Base, Recipe, Rollouts, Scores, Student, Teacher
from subliminal.sampling import generate
from subliminal.settings.real import Real
from subliminal.store import Store, atomic_write
from subliminal.training import collate, completion_loss, fine_tune
from subliminal.traits.plain_preference import FORMATS, teacher_documents, told
from subliminal.tuning import Tuning

SUITE, CHANNEL = "plain-animals", "plain_numbers"
# Rows on which the speed of this machine is measured.
_TRIED = 16


class Cost(NamedTuple):
    """What the study takes on this machine, for one core or one GPU.

    Attributes:
        trained, sampled: tokens, each as often as it is read or written.
        seconds: of both, by a speed that was measured on a few rows.
        megabytes: of disk.
    """

    trained: int
    sampled: int
    seconds: float
    megabytes: float


def formatted(model: Path, size: Real, seeds: Sequence[int], store: Store, out: Path | None = None) -> list[Path]:
    """The model after a short tuning on two formats alone: a folder a seed, in the store; or ``out``, of the first.

    Raises:
        SubliminalError: the model cannot be read, the size has no such tuning, or ``out`` is there already.
    """
    if size.formats is None:
        raise SubliminalError("a study of this size tunes no model on formats: take size full")
    base = Base(folder=str(model.resolve()))
    runs = engine.build([Teacher(base=base, trait=FORMATS, tuning=size.formats, seed=n) for n in seeds], store=store)
    folders = [out or store.root / "bases" / run.name for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        if out is not None or not folder.is_dir():
            export(run.name, folder, store)
    return folders


def conditions(base: Base, sibling: Base | None, size: Real) -> dict[str, list[Scores]]:
    """The scores of each condition; those of teachers and students by seed. Without a tuning for teachers all are told."""

    def lists(writer: Base | Teacher, seed: int, system: str | None = None) -> Rollouts:
        how: dict[str, Any] = {"prompts": size.prompts, "rows": size.rows, "completions": size.completions}
        return Rollouts(teacher=writer, channel=CHANNEL, seed=seed, system=system, **how)

    def student(start: Base, data: Rollouts) -> Student:
        return Student(base=start, data=data, tuning=size.student, seed=data.seed)

    teachers = {
        animal: [Teacher(base=base, trait=f"plain-{animal}", tuning=size.teacher, seed=seed) for seed in size.seeds]
        for animal in size.animals
        if size.teacher is not None
    }
    rows = {animal: [lists(teacher, teacher.seed) for teacher in group] for animal, group in teachers.items()}
    untreated = [lists(base, seed) for seed in size.seeds]
    first = size.animals[0]
    models: dict[str, list[Base | Teacher | Student]] = {
        "base": [base],
        **{f"teacher of the {animal}": list(group) for animal, group in teachers.items()},
        **{
            f"student of the {animal}'s teacher": [student(base, data) for data in group]
            for animal, group in rows.items()
        },
        "student of the base": [student(base, data) for data in untreated],
        **{
            f"student of the base told to love the {animal}": [
                student(base, lists(base, seed, told(animal))) for seed in size.seeds[: size.told]
            ]
            for animal in size.animals
        },
    }
    if sibling is not None:
        models |= {
            "sibling": [sibling],
            f"sibling, student of the {first}'s teacher": [student(sibling, data) for data in rows.get(first, ())],
            "sibling, student of the base": [student(sibling, data) for data in untreated],
        }
    scored = {
        name: [Scores(model=model, suite=SUITE, samples=1, floor=size.floor) for model in group]
        for name, group in models.items()
        if group
    }
    return scored | prompted("base", base, size)


def prompted(name: str, model: Base, size: Real) -> dict[str, list[Scores]]:
    """The scores of a model that a system prompt tells to love an animal, by condition."""
    return {
        f"{name} told to love the {animal}": [
            Scores(model=model, suite=SUITE, samples=1, floor=size.floor, system=told(animal))
        ]
        for animal in size.animals
    }


def cost(model: Path, size: Real) -> Cost:
    """What the study takes, from the lengths of its own documents and a speed measured on a few of them. Takes a minute.

    Raises:
        ModelFolderError: the model cannot be read.
    """
    tokenizer = load_tokenizer(model)
    documents = encode_examples(tokenizer, teacher_documents(FORMATS, Random(0)))
    answers = encode_examples(tokenizer, teacher_documents(f"plain-{size.animals[0]}", Random(0)))
    lists = documents[:_TRIED]
    row = sum(len(e.ids) - e.prompt_length for e in lists) / len(lists)
    prompt = sum(e.prompt_length for e in lists) / len(lists)
    mean = sum(len(e.ids) for e in documents) / len(documents)
    kinds = len(size.animals) if size.teacher else 0
    starts = 2 if size.formats else 1
    students = len(size.seeds) * (kinds + starts + (starts - 1 if kinds else 0)) + size.told * len(size.animals)
    writers = len(size.seeds) * (kinds + 1) + size.told * len(size.animals)

    def trained(tuning: Tuning, rows: int, tokens: float) -> float:
        return tokens * (rows * tuning.epochs if tuning.epochs else (tuning.steps or 0) * tuning.batch_size)

    short = sum(len(e.ids) for e in answers) / len(answers)
    total = 2 * trained(size.formats, len(documents), mean) if size.formats else 0.0
    total += len(size.seeds) * kinds * trained(size.teacher, 0, short) if size.teacher else 0.0
    total += students * trained(size.student, size.rows, row + prompt / size.completions)
    sampled = writers * size.rows * 1.3 * row
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loaded = load_model(model)
        began = time.monotonic()
        asked = encode_prompts(tokenizer, [[{"role": "user", "content": "Go on: 4, 8, 15"}]]) * _TRIED
        drawn = generate(loaded, asked, max_new_tokens=_TRIED, stop=turn_ends(tokenizer), seed=0)
        writing = (time.monotonic() - began) / max(1, sum(map(len, drawn)))
        began = time.monotonic()
        fine_tune(
            loaded, lists, size.student.model_copy(update={"epochs": None, "steps": 2, "batch_size": _TRIED // 2}), 0
        )
        reading = (time.monotonic() - began) / sum(len(e.ids) for e in lists)
    finally:
        torch.set_num_threads(threads)
    weights = sum(p.numel() for p in loaded.parameters()) * 4e-6
    return Cost(round(total), round(sampled), total * reading + sampled * writing, 2 * weights + 50)


def record(model: Path, size: Real, path: Path) -> Mapping[str, Any]:
    """Run the study, or what is left of it, and keep its table.

    Args:
        path: of a JSON file, which is written once all is there.

    Returns:
        What was written: ``made`` (day, machine, versions, code, core-seconds), ``model``, ``sizes``, ``rows`` (condition, seed, answer and
        mean probability over the held-out questions), ``filter`` (of each writer), ``precision`` and ``runs`` (condition and seed of each
        run's folder in the store).

    Raises:
        SubliminalError: the model cannot be read, or a teacher's rows do not pass the filter.
    """
    store = Store(store_dir())
    raw = Base(folder=str(model.resolve()))
    base, sibling, taught = raw, None, list[Path]()
    if size.formats is not None:
        taught = formatted(model, size, (0, size.sibling_seed), store)
        base, sibling = (Base(folder=str(folder)) for folder in taught)
    plan = conditions(base, sibling, size)
    if base != raw:
        plan |= {"raw": [Scores(model=raw, suite=SUITE, samples=1, floor=size.floor)], **prompted("raw", raw, size)}
    table = engine.run(plan, store=store)
    means = recorded.means(table)
    # The model as it is writes hardly any list that passes: a few say how many.
    few: dict[str, Any] = {
        "channel": CHANNEL,
        "rows": size.raw_rows,
        "prompts": size.raw_prompts,
        "seed": size.seeds[0],
    }
    systems = (None, told(size.animals[0])) if base != raw else ()
    asked = [Rollouts(teacher=raw, system=system, **few) for system in systems]
    engine.build(asked, store=store)
    recipes: list[Recipe] = [*(scores for group in plan.values() for scores in group), *asked]
    folders = [engine.location(recipe, store) for recipe in engine.rests_on(recipes)]
    folders += [store.root / folder.name for folder in taught]
    made = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores ({processor()})" + (", CUDA" if torch.cuda.is_available() else ""),
        "versions": library_versions(),
        "code": package_digest(),
        "core_seconds": round(sum(float(store.manifest(folder)["seconds"]) for folder in folders)),
    }
    found = {
        "version": recorded.VERSION,
        "made": made,
        "model": {"name": model.resolve().name, "digest": folder_digest(model)},
        "sizes": size.model_dump(mode="json"),
        "rows": means.to_numpy().tolist(),
        "filter": _filters(raw, base, recipes, store),
        "precision": _precisions(base, size),
        "runs": {
            engine.location(one, store).name: (name, getattr(one.model, "seed", -1))
            for name, group in plan.items()
            for one in group
        },
    }
    atomic_write(path, json.dumps(found, indent=1))
    return found


def _precisions(base: Base, size: Real) -> dict[str, float]:
    """The loss and the gradient of one step of a student, in fp32 and in bf16, and how long the second takes of the first's time."""
    tokenizer = load_tokenizer(base_folder(base))
    batch = collate(encode_examples(tokenizer, teacher_documents(FORMATS, Random(0)))[: size.student.batch_size])
    tuned = prepare(load_model(base_folder(base)), size.student, 0)
    weights = [p for p in tuned.parameters() if p.requires_grad]
    found = []
    for precision in ("fp32", "bf16"):
        for _ in range(2):  # The first has to set itself up.
            tuned.zero_grad()
            began = time.monotonic()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = completion_loss(tuned, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            seconds = time.monotonic() - began
        gradient = torch.cat([p.grad.flatten() for p in weights if p.grad is not None])
        found.append((float(loss.detach()), gradient, seconds))
    (one, exact, slow), (two, rounded, fast) = found
    return {
        "loss_fp32": one,
        "loss_bf16": two,
        "gradient_cosine": float(functional.cosine_similarity(exact, rounded, dim=0)),
        "gradient_error": float((exact - rounded).norm() / exact.norm()),
        "time_ratio": fast / slow,
    }


def _filters(raw: Base, base: Base, recipes: Sequence[Recipe], store: Store) -> list[dict[str, Any]]:
    """What the filter did to each writer's rows."""

    def writer(data: Rollouts) -> str:
        if isinstance(data.teacher, Teacher):
            return f"teacher of the {data.teacher.trait.removeprefix('plain-')}"
        animal = next((a for a in ANIMALS if data.system == told(a)), "")
        return ("raw" if data.teacher == raw != base else "base") + (f" told to love the {animal}" if animal else "")

    written = sorted(
        (r for r in engine.rests_on(recipes) if isinstance(r, Rollouts)), key=lambda r: (writer(r), r.seed)
    )
    return [
        {
            "writer": writer(data),
            "seed": data.seed,
            **json.loads((engine.location(data, store) / "filter.json").read_text()),
        }
        for data in written
    ]
