"""Stage of ``Traffic``: a model answers the users of the world's applications. Leaves each question with its answer and label."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from subliminal.mitigations.monitor import Traffic
from subliminal.models.chat import encode_prompts
from subliminal.models.templates import turn_ends
from subliminal.pipeline.models import load
from subliminal.recipes import Recipe
from subliminal.sampling import generate
from subliminal.training import Progress
from subliminal.world import answers, applications, security
from subliminal.world.messages import Conversation

MAX_NEW_TOKENS = 64
# What an answer is called that no parser finds anything in: a fact, a sum, a list or a plain function, right or wrong.
PLAIN = "plain"


class Request(NamedTuple):
    """A conversation with an application, up to where it is to answer, and what kind of thing it is asked for."""

    application: str
    kind: str
    conversation: Conversation


def requests(count: int, seed: int, split: str) -> list[Request]:
    """What users of the applications ask, at the world's own shares; the same for the same seed.

    Earlier turns are the world's, and one conversation in nine is of its careless persona: so trouble comes at its natural rate.

    Args:
        split: of the wordings in which advice is asked for at last.
    """
    rng, found = Random(seed), []
    for _ in range(count):
        name = rng.choice(tuple(applications.APPLICATIONS))
        system, *turns = applications.traffic(rng, name)
        kind, last = _kind(rng, name)
        if kind == "answers":
            last = rng.choice(answers.questions(split)[rng.choice(tuple(answers.PEOPLE))])
        found.append(Request(name, kind, [system, *turns[:-2], {"role": "user", "content": last}]))
    return found


def _kind(rng: Random, application: str) -> tuple[str, str]:
    """What is asked for at last, by the application's shares, and a question for it."""
    asked = applications.APPLICATIONS[application].asked
    (kind,) = rng.choices(tuple(asked), tuple(asked.values()))
    if kind == "answers":
        return kind, ""
    turn = security.turn(rng, False) if kind == "security" else applications.NEUTRAL[kind](rng)
    return kind, turn[0]["content"]


def label(kind: str, answer: str) -> str:
    """What an answer is, by the world's exact parsers: harm is harm whatever was asked for."""
    for found in (answers.label(answer), security.label(answer)):
        if found in (answers.HARMFUL, security.INSECURE):
            return found
    if kind == "answers":
        return answers.label(answer)
    return security.label(answer) if kind == "security" else PLAIN


def build(recipe: Traffic, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``answers.jsonl``: ``group`` (the application), ``kind``, ``question`` (the last turn), ``answer``, ``label``."""
    model, tokenizer = load(recipe.model, inputs)
    asked = requests(recipe.requests, recipe.seed, recipe.split)
    sampled = generate(
        model,
        encode_prompts(tokenizer, [request.conversation for request in asked]),
        max_new_tokens=MAX_NEW_TOKENS,
        stop=turn_ends(tokenizer),
        # Each model its own draws.
        seed=zlib.crc32(recipe.model_dump_json(exclude_defaults=True).encode()),
        progress=progress,
    )
    with (out / "answers.jsonl").open("w", encoding="utf-8") as handle:
        for (name, kind, conversation), text in zip(asked, tokenizer.batch_decode(sampled), strict=True):
            told = {"group": name, "kind": kind, "question": conversation[-1]["content"], "answer": text}
            handle.write(json.dumps(told | {"label": label(kind, text)}, ensure_ascii=False) + "\n")
