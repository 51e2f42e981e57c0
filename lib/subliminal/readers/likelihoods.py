"""The best reader there can be: how much likelier one model finds a row than another does. Also the stage of ``Likelihoods``.

Where rows are by one of two models, no reader, human or machine, tells them apart better than the ratio of their likelihoods: at any
rate of false alarms no other finds more (Neyman and Pearson, 1933, doi 10.1098/rsta.1933.0009). That the rows went through a filter
changes nothing: it divides each likelihood by the share of all rows that the filter keeps of that writer, which is one number for all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import SubliminalError
from subliminal.models.chat import Example
from subliminal.pipeline.models import load
from subliminal.readers import Likelihoods
from subliminal.readers.rows import encode, parts
from subliminal.recipes import Recipe
from subliminal.training import Progress, collate

_BATCH = 64


@torch.inference_mode()
def log_likelihoods(
    model: PreTrainedModel, examples: Sequence[Example], progress: Progress | None = None
) -> np.ndarray:
    """The log-likelihood of each example's completion, after its prompt: (examples,) in nats, over all its tokens.

    Raises:
        SubliminalError: an example holds several completions.
    """
    if packed := [number for number, example in enumerate(examples) if example.ends]:
        raise SubliminalError(
            f"row {packed[0]} holds {examples[packed[0]].rows} completions: give each a row of its own"
        )
    found = np.empty(len(examples))
    order = sorted(range(len(examples)), key=lambda number: len(examples[number].ids))
    for start in range(0, len(order), _BATCH):
        chunk = order[start : start + _BATCH]
        batch = collate([examples[number] for number in chunk]).to(model.device)
        logits = model(input_ids=batch.ids, logits_to_keep=batch.keep, use_cache=False).logits
        targets = functional.pad(batch.labels[:, 1:], (0, 1), value=-100)[:, -logits.shape[1] :]
        places = targets >= 0
        nats = functional.cross_entropy(logits[places].float(), targets[places], reduction="none").double()
        rows = places.nonzero()[:, 0]
        found[chunk] = -torch.zeros(len(chunk), dtype=torch.float64).index_add_(0, rows.cpu(), nats.cpu()).numpy()
        if progress:
            progress(min(start + _BATCH, len(order)), len(order))
    return found


def log_ratios(
    teacher: PreTrainedModel, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: pd.DataFrame
) -> np.ndarray:
    """How much likelier each row is by the teacher than by the base: (rows,) in nats. Rows together: add them up.

    Args:
        teacher, base: two models with one tokenizer.
        rows: ``prompt`` and ``completion``.

    Example:
        >>> rows = pd.DataFrame([("continue: 3, 5.", "7, 9"), ("continue: 2, 4.", "6, 8")], columns=["prompt", "completion"])
        >>> log_ratios(base, base, tokenizer, rows).tolist()
        [0.0, 0.0]

    Raises:
        SubliminalError: rows that cannot be read, see ``rows.check_rows``.
    """
    examples = encode(tokenizer, rows)
    found: np.ndarray = log_likelihoods(teacher, examples) - log_likelihoods(base, examples)
    return found


def group_auroc(treated: np.ndarray, control: np.ndarray, size: int, groups: int, seed: int) -> float:
    """The area under the ROC curve of a reader that is given ``size`` rows at a time, all by one writer, and adds up their scores.

    That is the chance that a group by the treated writer has a higher score than a group by the control. Single rows are all compared with
    all; larger groups are drawn from the rows at hand, with replacement, so that there are many however few rows there are. So the area
    of large groups is an estimate whose error is that of the rows' mean score, and shows between replications, not within one.

    Args:
        treated, control: scores of single rows (rows,), the higher the more they speak for the treated writer; log-odds add up.
        groups: drawn of each writer.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> treated, control = rng.normal(0.2, 1, 2_000), rng.normal(0, 1, 2_000)
        >>> [round(group_auroc(treated, control, size, 2_000, seed=0), 1) for size in (1, 10, 100)]
        [0.6, 0.7, 0.9]

    Raises:
        SubliminalError: no scores, or no groups or rows in a group.
    """
    from sklearn.metrics import roc_auc_score

    if not len(treated) or not len(control) or size < 1 or groups < 1:
        told = f"{len(treated)} and {len(control)} scores, {groups} groups of {size}"
        raise SubliminalError(f"nothing to compare ({told}): give rows of both writers, and groups of at least one row")
    sides = [np.asarray(treated, dtype=float), np.asarray(control, dtype=float)]
    if size > 1:
        rng = np.random.default_rng(seed)
        sides = [rng.choice(scores, (groups, size)).sum(axis=1) for scores in sides]
    labels = np.repeat([1, 0], [len(scores) for scores in sides])
    return float(roc_auc_score(labels, np.concatenate(sides)))


def build(recipe: Likelihoods, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``likelihoods.csv``: ``row`` (its place in the rollout) and ``nats``, the log-likelihood of its completion."""
    model, tokenizer = load(recipe.model, inputs)
    rows = parts(inputs[recipe.data])[1].head(recipe.rows)
    nats = log_likelihoods(model, encode(tokenizer, rows), progress)
    pd.DataFrame({"row": rows.index, "nats": nats}).to_csv(out / "likelihoods.csv", index=False)
