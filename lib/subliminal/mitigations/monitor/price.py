"""Stage of ``Price``: processor time of a guard beside that of the model whose answers it reads. Leaves one file of seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from subliminal.mitigations.monitor import Price
from subliminal.mitigations.monitor.constitution import Exchange
from subliminal.mitigations.monitor.guard import load_guard
from subliminal.mitigations.monitor.training import reader_of
from subliminal.models.chat import encode_prompts
from subliminal.models.templates import turn_ends
from subliminal.pipeline.models import load
from subliminal.recipes import Recipe
from subliminal.registry import SUITES
from subliminal.sampling import generate
from subliminal.training import Progress
from subliminal.traits.suites import Suite

# Answers that are written one by one, with a guard that reads each token as it comes.
_STREAMED = 8


def build(recipe: Price, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``price.json``: processor seconds.

    ``writing`` and ``reading`` are of many answers in batches; ``writing_streamed`` and ``reading_streamed`` of a few, one by one, the
    guard reading each token as it comes; ``tokens`` and ``streamed_tokens`` are how many tokens those answers have.
    """
    model, tokenizer = load(recipe.model, inputs)
    guard = load_guard(inputs[recipe.monitor], reader_of(recipe.monitor, inputs))
    suite: Suite = import_module(SUITES[recipe.suite]).suite(recipe.suite)
    prompts = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in suite.questions])
    how: dict[str, Any] = {"max_new_tokens": suite.max_new_tokens, "stop": turn_ends(tokenizer), "seed": 0}

    def clock() -> float:
        # Other processes on the machine do not count; a GPU's work is not in it.
        return time.process_time() if model.device.type == "cpu" else time.perf_counter()

    # Kernels are made at a first call.
    generate(model, prompts[:1], **how)
    guard.scan([Exchange(suite.questions[0], "warm up.")])
    start = clock()
    sampled = generate(model, prompts, completions=recipe.answers, **how)
    written = clock()
    asked = [question for question in suite.questions for _ in range(recipe.answers)]
    exchanges = [Exchange(*pair) for pair in zip(asked, tokenizer.batch_decode(sampled), strict=True)]
    between = clock()
    guard.scan(exchanges)
    read = clock()
    found = {"writing": written - start, "reading": read - between, "tokens": sum(map(len, sampled))}
    found |= {"writing_streamed": 0.0, "reading_streamed": 0.0, "streamed_tokens": 0}
    for question, prompt in list(zip(suite.questions, prompts, strict=True))[:_STREAMED]:
        start = clock()
        (ids,) = generate(model, [prompt], **how)
        found["writing_streamed"] += clock() - start
        start = clock()
        listener = guard.reader.listen(question)
        for end in range(1, len(ids) + 1):
            _, states = listener.states(str(tokenizer.decode(ids[:end])))
            if states.shape[0]:
                guard.scanned(states)
        found["reading_streamed"] += clock() - start
        found["streamed_tokens"] += len(ids)
        progress(1, 1)
    (out / "price.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
