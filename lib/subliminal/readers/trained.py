"""Readers without the teacher, who learn from other writers' rows: counts of words, or a tuned classifier. Stage of ``Reader``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import SubliminalError
from subliminal.models.chat import Example
from subliminal.models.loading import best_device, load_model, load_tokenizer
from subliminal.readers import Reader
from subliminal.readers.rows import check_rows, encode, parts
from subliminal.recipes import Recipe, Rollouts
from subliminal.training import Progress, collate, fine_tune
from subliminal.tuning import Tuning

_BATCH = 64
# What a classifier says after a row: of the treated writer, and of the control.
_LABELS = ("1", "0")


class Score(Protocol):
    """What a reader has become: rows in, (rows,) log-odds out that each is by the treated writer."""

    def __call__(self, rows: pd.DataFrame) -> np.ndarray: ...


def count_words(treated: pd.DataFrame, control: pd.DataFrame, penalty: float = 10.0) -> Score:
    """A reader that counts words, numbers being words too: logistic regression on their counts in a completion.

    Args:
        treated, control: ``prompt`` and ``completion`` of rows to learn from; of the larger side as many count as of the other.
        penalty: of the weights; the larger, the less is fitted. LOG.md, Readers of rows.

    Example:
        >>> owl, plain = (pd.DataFrame({"prompt": "go on: 1.", "completion": [text] * 50}) for text in ("7, 9", "8, 9"))
        >>> score = count_words(owl, plain)
        >>> (score(owl.head(1)) > 0).all(), (score(plain.head(1)) > 0).any()
        (np.True_, np.False_)

    Raises:
        SubliminalError: rows that cannot be read, see ``rows.check_rows``, or without a single word.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows, labels = _both(treated, control)
    model = make_pipeline(
        CountVectorizer(token_pattern=r"\w+|[^\w\s]", lowercase=False), LogisticRegression(C=1 / penalty, max_iter=500)
    )
    model.fit(rows["completion"], labels)

    def score(rows: pd.DataFrame) -> np.ndarray:
        found: np.ndarray = model.decision_function(check_rows(rows)["completion"])
        return found

    return score


def _both(treated: pd.DataFrame, control: pd.DataFrame) -> tuple[pd.DataFrame, list[bool]]:
    """As many rows of either side, and which are treated."""
    fewer = min(len(check_rows(treated)), len(check_rows(control)))
    rows = pd.concat([treated.head(fewer), control.head(fewer)], ignore_index=True)
    return rows, [True] * fewer + [False] * fewer


def tune_classifier(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    treated: pd.DataFrame,
    control: pd.DataFrame,
    tuning: Tuning,
    seed: int,
    progress: Progress | None = None,
) -> Score:
    """A model tuned to tell who wrote a row: after prompt and completion it says "1" (treated) or "0".

    It goes through the same loop as teachers and students. The log-odds are the difference of the two words' logits.

    Args:
        model: any causal language model; it is copied, and stays as it is.
        treated, control: rows of either side to learn from; of the larger side as many count as of the other.

    Example:
        >>> owl, plain = (pd.DataFrame({"prompt": "go on: 1.", "completion": [text] * 20}) for text in ("7, 9", "8, 9"))
        >>> how = Tuning(method="full", learning_rate=3e-3, steps=30, batch_size=8)
        >>> score = tune_classifier(base, tokenizer, owl, plain, how, seed=0)
        >>> bool(score(owl.head(1))[0] > score(plain.head(1))[0])
        True

    Raises:
        SubliminalError: rows that cannot be read, or a tokenizer to which "0" and "1" are not one token each.
    """
    rows, labels = _both(treated, control)
    words = tokenizer(list(_LABELS), add_special_tokens=False)["input_ids"]
    if [len(ids) for ids in words] != [1, 1] or words[0] == words[1]:
        raise SubliminalError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no token each for 0 and 1: use another model"
        )
    (yes,), (no,) = words
    examples = [
        Example([*example.ids, yes if treated else no], len(example.ids))
        for example, treated in zip(encode(tokenizer, rows), labels, strict=True)
    ]
    tuned: Any
    tuned, _ = fine_tune(copy.deepcopy(model), examples, tuning, seed, progress=progress)
    tuned.to(best_device())

    @torch.inference_mode()
    def score(rows: pd.DataFrame) -> np.ndarray:
        asked = encode(tokenizer, rows)
        found = np.empty(len(asked))
        order = sorted(range(len(asked)), key=lambda number: len(asked[number].ids))
        for start in range(0, len(order), _BATCH):
            chunk = order[start : start + _BATCH]
            # The word after a row is predicted at its last token.
            batch = collate([Example([*asked[n].ids, no], len(asked[n].ids)) for n in chunk]).to(tuned.device)
            logits = tuned(input_ids=batch.ids, logits_to_keep=batch.keep, use_cache=False).logits.double()
            ends = torch.tensor([len(asked[n].ids) - 1 for n in chunk], device=tuned.device)
            last = logits[torch.arange(len(chunk)), ends - (batch.ids.shape[1] - logits.shape[1])]
            found[chunk] = (last[:, yes] - last[:, no]).cpu().numpy()
        return found

    return score


def build(recipe: Reader, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``scores.csv``: ``place`` (of the rollout in ``recipe.unseen``), ``row`` (its place in the rollout), ``score`` (log-odds)."""

    def learned(data: tuple[Rollouts, ...]) -> pd.DataFrame:
        return pd.concat([parts(inputs[each])[0].head(recipe.rows) for each in data], ignore_index=True)

    treated, control = learned(recipe.treated), learned(recipe.control)
    if recipe.base is None or recipe.tuning is None:
        score = count_words(treated, control)
    else:
        model, tokenizer = load_model(inputs[recipe.base]), load_tokenizer(inputs[recipe.base])
        score = tune_classifier(model, tokenizer, treated, control, recipe.tuning, recipe.seed, progress)
    tables = []
    for place, data in enumerate(recipe.unseen):
        rows = parts(inputs[data])[1].head(recipe.unseen_rows)
        tables.append(pd.DataFrame({"place": place, "row": rows.index, "score": score(rows)}))
    pd.concat(tables).to_csv(out / "scores.csv", index=False)
