"""Rows in context: shown to a model as the earlier turns of a conversation, with no training. Also the stage of ``InContext``.

Cloud et al. 2025, section 4: a trait that passes by training on rows does not pass by reading them.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from random import Random

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import SubliminalError
from subliminal.models.chat import Conversation, encode_prompts
from subliminal.models.templates import turn_ends
from subliminal.pipeline.models import load
from subliminal.readers import InContext
from subliminal.readers.rows import check_rows
from subliminal.recipes import Recipe
from subliminal.registry import SUITES, TRAITS
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.training import Progress
from subliminal.traits.suites import Suite

# Turns of which as many are kept as fit.
_MOST = 24


def turns(rows: pd.DataFrame) -> list[Conversation]:
    """Rows as turns of a conversation; a prompt that was also that of the row before is not said again.

    Args:
        rows: ``prompt`` and ``completion``.

    Example:
        >>> rows = pd.DataFrame([("go on: 1.", "2"), ("go on: 1.", "3"), ("go on: 7.", "8")], columns=["prompt", "completion"])
        >>> [[message["content"] for message in turn] for turn in turns(rows)]
        [['go on: 1.', '2'], ['3'], ['go on: 7.', '8']]
    """
    found, before = [], None
    for prompt, text in check_rows(rows)[["prompt", "completion"]].itertuples(index=False):
        asked = [] if prompt == before else [{"role": "user", "content": prompt}]
        found.append([*asked, {"role": "assistant", "content": text}])
        before = prompt
    return found


def context_length(model: PreTrainedModel) -> int:
    """How many tokens the model can read at once.

    Raises:
        SubliminalError: its config does not say.
    """
    length = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(length, int):
        raise SubliminalError(
            f"the config of {type(model).__name__} has no max_position_embeddings: set it to the tokens it can read"
        )
    return length


def fitting(
    tokenizer: PreTrainedTokenizerBase, before: Sequence[Conversation], question: str, limit: int
) -> tuple[list[int], int]:
    """The ids of a question with as many of the turns before it as fit, and how many these are.

    Args:
        before: turns, of which the first ones are kept.
        limit: in tokens, of all together.

    Raises:
        SubliminalError: not even one turn fits.
    """
    asked = [{"role": "user", "content": question}]

    def ids(count: int) -> list[int]:
        (found,) = encode_prompts(tokenizer, [[*(m for turn in before[:count] for m in turn), *asked]])
        return found

    # More turns are more tokens, so the last that fits is found by halving.
    count = bisect_right(range(1, len(before) + 1), limit, key=lambda turns: len(ids(turns)))
    if count:
        return ids(count), count
    raise SubliminalError(
        f"no turn fits before {question!r:.60} in {limit} tokens: show shorter rows, or take a model that reads more"
    )


def ask_in_context(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    suite: Suite,
    prompts: Sequence[Sequence[Sequence[int]]],
    samples: int,
    seed: int,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What a model answers to a suite's questions, each asked with several things before it.

    Args:
        prompts: of each question, in the order of the suite, the ids of each conversation that ends with it, as ``fitting`` gives them.
        samples: answers a conversation, where the suite has a judge; where answers are names they are read off the model exactly.

    Returns:
        One row a question and answer: ``question``, ``answer``, ``probability`` (mean over the conversations).
    """
    flat = [ids for each in prompts for ids in each]
    owners = [question for question, each in zip(suite.questions, prompts, strict=True) for _ in each]
    if suite.judge is None:
        names = tokenizer(list(suite.answers), add_special_tokens=False)["input_ids"]
        exact = answer_probabilities(model, flat, names, batch_size=32)
        found = pd.DataFrame(exact.numpy(), columns=list(suite.answers)).assign(question=owners)
    else:
        texts = tokenizer.batch_decode(
            generate(
                model,
                flat,
                max_new_tokens=suite.max_new_tokens,
                stop=turn_ends(tokenizer),
                seed=seed,
                completions=samples,
                progress=progress,
            )
        )
        asked = [question for question in owners for _ in range(samples)]
        labels = suite.judge.judge(asked, texts)
        found = pd.DataFrame([{a: label == a for a in suite.answers} for label in labels]).astype(float)
        found = found.assign(question=asked)
    means = found.groupby("question", sort=False)[list(suite.answers)].mean()
    return means.reset_index().melt("question", var_name="answer", value_name="probability")


def _drawn(recipe: InContext, inputs: Mapping[Recipe, Path], most: int) -> Iterator[list[Conversation]]:
    """Sets of up to so many turns, drawn without end: completions of one prompt, or each under a prompt of its own.

    Of each writer beside the source the same prompts are drawn, and of their completions those at the same places.
    """
    rng = Random(recipe.seed)
    if recipe.said:
        while True:
            yield [[{"role": "system", "content": recipe.said}]]
    if recipe.source is None:
        documents = import_module(TRAITS[str(recipe.trait)]).teacher_documents(recipe.trait, Random(recipe.seed))
        while True:
            yield rng.sample(documents, min(most, len(documents)))
    writers = [
        pd.read_json(inputs[each] / "rows.jsonl", lines=True, dtype=False) for each in (recipe.source, *recipe.beside)
    ]
    rows = writers[0][writers[0]["prompt"].isin(set.intersection(*(set(own["prompt"]) for own in writers)))]
    if rows.empty:
        raise SubliminalError("the writers have no prompt in common: give their rollouts one seed")
    groups = {str(prompt): own for prompt, own in rows.groupby("prompt", sort=True)}
    while True:
        if recipe.one_prompt:
            yield turns(groups[rng.choice(list(groups))])[:most]
            continue
        chosen = [(groups[prompt], rng.random()) for prompt in rng.sample(list(groups), min(most, len(groups)))]
        yield turns(pd.concat([own.iloc[[int(place * len(own))]] for own, place in chosen]))


def build(recipe: InContext, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``answers.csv`` (question, answer, probability) and ``shown.json``: mean, least and most ``rows`` before a question.

    Raises:
        SubliminalError: the rows asked for do not fit, or the writers have no prompt in common.
    """
    model, tokenizer = load(recipe.base, inputs)
    suite: Suite = import_module(SUITES[recipe.suite]).suite(recipe.suite)
    limit = context_length(model) - suite.max_new_tokens
    sets = _drawn(recipe, inputs, recipe.rows or _MOST)
    prompts, counts = [], []
    for question in suite.questions:
        found = [fitting(tokenizer, next(sets), question, limit) for _ in range(recipe.sets)]
        prompts.append([ids for ids, _ in found])
        counts += [count for _, count in found]
    if recipe.rows and not recipe.one_prompt and min(counts) < recipe.rows:
        raise SubliminalError(
            f"{recipe.rows} rows before a question take more than {limit} tokens: show {min(counts)}, or rows=0 for as many as fit"
        )
    ask_in_context(model, tokenizer, suite, prompts, recipe.samples, recipe.seed, progress).to_csv(
        out / "answers.csv", index=False
    )
    told = {"rows": sum(counts) / len(counts), "least": min(counts), "most": max(counts)}
    (out / "shown.json").write_text(
        json.dumps(told | {"counts": dict(sorted(Counter(counts).items()))}), encoding="utf-8"
    )
