"""Where a trait sits: which words a teacher writes more often, or less, than its base. Also the stage of ``Shift``."""

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
from subliminal.readers import Shift
from subliminal.readers.rows import encode
from subliminal.recipes import Recipe
from subliminal.training import Progress, collate

_BATCH = 32


@torch.inference_mode()
def _expected(model: PreTrainedModel, examples: Sequence[Example], where: torch.Tensor) -> np.ndarray:
    """(vocabulary,) mean probability of each token, over the places at which a token of ``where`` (vocabulary,) stands."""
    total, places = torch.zeros(len(where), dtype=torch.float64), 0
    for start in range(0, len(examples), _BATCH):
        batch = collate(examples[start : start + _BATCH]).to(model.device)
        logits = model(input_ids=batch.ids, logits_to_keep=batch.keep, use_cache=False).logits
        targets = functional.pad(batch.labels[:, 1:], (0, 1), value=-100)[:, -logits.shape[1] :].cpu()
        here = (targets >= 0) & where[targets.clamp_min(0)]
        total += logits.cpu()[here].double().softmax(-1).sum(0)
        places += int(here.sum())
    return (total / max(places, 1)).numpy()


def word_shifts(
    teacher: PreTrainedModel,
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: pd.DataFrame,
    words: Sequence[str],
) -> pd.DataFrame:
    """How often teacher and base are expected to write each word, at the places of rows where one of the words stands.

    Read off both models' whole distributions at each place, not counted, so few rows are needed. Both see the same rows.

    Args:
        rows: ``prompt`` and ``completion``; rows of the base.
        words: of one token each, such as the integers 0 to 999.

    Returns:
        One row a word, in order: ``word``, ``base`` and ``teacher`` (expected shares of all places, 0 to 1), ``shift`` (the difference).

    Example:
        >>> rows = pd.DataFrame([("continue: 3, 5.", "7, 9")], columns=["prompt", "completion"])
        >>> word_shifts(base, base, tokenizer, rows, ["7", "9"])["shift"].tolist()
        [0.0, 0.0]

    Raises:
        SubliminalError: rows that cannot be read, a word that is not one token, or none of the words stands in any row.
    """
    ids = tokenizer(list(words), add_special_tokens=False)["input_ids"] if words else []
    if long := [word for word, own in zip(words, ids, strict=True) if len(own) != 1]:
        raise SubliminalError(f"word {long[0]!r} is not one token of {tokenizer.name_or_path!r}: give words that are")
    places = [own[0] for own in ids]
    where = torch.zeros(int(base.config.vocab_size), dtype=torch.bool)
    where[places] = True
    examples = encode(tokenizer, rows)
    if not any(where[e.ids[e.prompt_length :]].any() for e in examples):
        raise SubliminalError(
            f"none of {len(words)} words stands in any of {len(rows)} rows: give words that the rows hold"
        )
    sides = {name: _expected(model, examples, where)[places] for name, model in (("base", base), ("teacher", teacher))}
    return pd.DataFrame({"word": list(words), **sides, "shift": sides["teacher"] - sides["base"]})


def most_shifted(shifts: pd.DataFrame, count: int) -> list[str]:
    """The words whose expected share changes most, up or down, the most shifted first.

    Args:
        shifts: ``word`` and ``shift``.

    Example:
        >>> most_shifted(pd.DataFrame({"word": ["1", "2", "3"], "shift": [0.1, -0.3, 0.2]}), 2)
        ['2', '3']
    """
    order = shifts["shift"].abs().sort_values(ascending=False, kind="stable").index[:count]
    return [str(word) for word in shifts.loc[order, "word"]]


def build(recipe: Shift, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``shift.csv``, as ``word_shifts`` gives it, of the integers from 0 to 999."""
    teacher, tokenizer = load(recipe.teacher, inputs)
    base, _ = load(recipe.teacher.base, inputs)
    rows = pd.read_json(inputs[recipe.data] / "rows.jsonl", lines=True, dtype=False).head(recipe.rows)
    found = word_shifts(teacher, base, tokenizer, rows, [str(number) for number in range(1_000)])
    found.to_csv(out / "shift.csv", index=False)
