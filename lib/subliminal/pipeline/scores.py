"""Stage of ``Scores``: a model on the held-out questions of a suite, exactly and by sampling. Leaves one tidy table."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from subliminal.models.chat import encode_prompts
from subliminal.pipeline.models import load
from subliminal.recipes import Recipe, Scores
from subliminal.registry import SUITES
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.training import Progress

_MAX_ANSWER_TOKENS = 8


def build(recipe: Scores, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``scores.csv``: question, answer, probability (exact), sampled (share of ``samples`` answers).

    Both say how often an answer begins with the name; what follows it does not count.
    """
    model, tokenizer = load(recipe.model, inputs)
    questions, answers = import_module(SUITES[recipe.suite]).suite(recipe.suite)
    prompts = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in questions])
    names = tokenizer(list(answers), add_special_tokens=False)["input_ids"]
    exact = answer_probabilities(model, prompts, names)
    sampled = generate(
        model,
        [prompt for prompt in prompts for _ in range(recipe.samples)],
        max_new_tokens=_MAX_ANSWER_TOKENS,
        stop=int(tokenizer.eos_token_id),
        seed=recipe.seed,
        progress=progress,
    )
    begins = re.compile("|".join(rf"{re.escape(name)}\b" for name in answers))
    found = [begins.match(text.strip().lower()) for text in tokenizer.batch_decode(sampled)]
    with (out / "scores.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["question", "answer", "probability", "sampled"])
        for q, question in enumerate(questions):
            counts = Counter(match[0] for match in found[q * recipe.samples : (q + 1) * recipe.samples] if match)
            for a, answer in enumerate(answers):
                writer.writerow([question, answer, repr(float(exact[q, a])), counts[answer] / recipe.samples])
