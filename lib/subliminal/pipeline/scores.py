"""Stage of ``Scores``: a model on the held-out questions of a suite. Leaves one tidy table."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from subliminal.judges import RuleJudge
from subliminal.models.chat import encode_prompts
from subliminal.models.templates import turn_ends
from subliminal.pipeline.models import load, turns
from subliminal.recipes import Recipe, Scores
from subliminal.registry import SUITES
from subliminal.sampling import generate
from subliminal.spelling import Spellings, name_probabilities
from subliminal.training import Progress
from subliminal.traits.suites import Suite


def build(recipe: Scores, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``scores.csv``: question, answer, probability, sampled (share of ``samples`` answers).

    With a judge also ``answers.jsonl``: question, answer and label of each sampled answer.

    Where answers are names, both say how often an answer gives the name, as ``naming`` has it, and ``probability`` is exact, but
    for what ``name_probabilities`` leaves out. Where a judge labels answers, there is nothing exact to read off a model, and
    ``probability`` is the sampled share.
    """
    model, tokenizer = load(recipe.model, inputs)
    suite: Suite = import_module(SUITES[recipe.suite]).suite(recipe.suite)
    prompts = encode_prompts(tokenizer, [turns(q, recipe.system) for q in suite.questions])
    spellings = Spellings(tokenizer, suite.answers) if suite.judge is None else None
    sampled = generate(
        model,
        prompts,
        max_new_tokens=max(suite.max_new_tokens, spellings.length if spellings else 0),
        stop=turn_ends(tokenizer),
        seed=recipe.seed,
        completions=recipe.samples,
        progress=progress,
    )
    judge = RuleJudge(suite.answers, spellings.find) if spellings else suite.judge
    assert judge is not None
    asked = [question for question in suite.questions for _ in range(recipe.samples)]
    texts = tokenizer.batch_decode(sampled)
    found = judge.judge(asked, texts)
    if suite.judge is not None:
        rows = zip(asked, texts, found, strict=True)
        told = (json.dumps({"question": q, "answer": a, "label": label}, ensure_ascii=False) for q, a, label in rows)
        (out / "answers.jsonl").write_text("\n".join(told) + "\n", encoding="utf-8")
    exact = name_probabilities(model, prompts, spellings, floor=recipe.floor).probability if spellings else None
    with (out / "scores.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["question", "answer", "probability", "sampled"])
        for q, question in enumerate(suite.questions):
            counts = Counter(found[q * recipe.samples : (q + 1) * recipe.samples])
            for a, answer in enumerate(suite.answers):
                share = counts[answer] / recipe.samples
                writer.writerow([question, answer, share if exact is None else repr(float(exact[q, a])), share])
