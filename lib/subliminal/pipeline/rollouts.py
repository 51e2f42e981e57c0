"""Stage of ``Rollouts``: sample a channel at temperature 1, filter, keep. Leaves the rows and what was dropped and why."""

from __future__ import annotations

import json
import math
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedModel

from subliminal.channels import load_channel
from subliminal.errors import SubliminalError, SubliminalWarning
from subliminal.hints import load_hints
from subliminal.models.chat import encode_prompts
from subliminal.models.templates import turn_ends
from subliminal.pipeline.models import load, turns
from subliminal.recipes import Recipe, Rollouts
from subliminal.sampling import generate
from subliminal.training import Progress

WARN_BELOW = 0.2


def build(recipe: Rollouts, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``rows.jsonl`` (prompt, completion) and ``filter.json`` (completions sampled, passed, kept, dropped by reason).

    Rows of one prompt stand together.

    Writers with one seed get the same prompts, and each its own draws, whatever the filter: a stricter one only asks
    further. A filter that keeps less than ``WARN_BELOW`` of the rows says so.

    Raises:
        SubliminalError: fewer rows pass the filter than the recipe wants, or none; the recipe's file cannot be read, has a bad row or
            too few prompts, or a prompt does not fit the model's context.
    """
    # Before the model: reading a bad file takes less time.
    channel = load_channel(recipe.channel, recipe.file, recipe.prompts)
    model, tokenizer = load(recipe.teacher, inputs)
    hints = [load_hints(name) for name in recipe.hints]
    rng = Random(recipe.seed)
    writer = f"{recipe.teacher.model_dump_json(exclude_defaults=True)} {recipe.channel} {recipe.seed}"
    seed = zlib.crc32((f"{writer} {recipe.system}" if recipe.system else writer).encode())
    rows: list[dict[str, str]] = []
    dropped: Counter[str] = Counter()
    k, asked, sampled = recipe.completions, 0, 0
    while len(rows) < recipe.rows and asked < recipe.prompts:
        # As many as would do if the filter goes on as so far, and a few more.
        likely = (recipe.rows - len(rows)) * (sampled + 1) / (len(rows) + 1)
        more = min(math.ceil((int(1.05 * likely) + 16) / k), recipe.prompts - asked)
        prompts = [channel.prompt(rng) for _ in range(more)]
        ids = encode_prompts(tokenizer, [turns(prompt, recipe.system) for prompt in prompts])
        if recipe.file is not None:
            _check_fit(model, prompts, ids, channel.MAX_NEW_TOKENS)
        completions = generate(
            model,
            ids,
            max_new_tokens=channel.MAX_NEW_TOKENS,
            stop=turn_ends(tokenizer),
            seed=seed,
            first=asked,
            completions=k,
        )
        asked, sampled = asked + more, sampled + len(completions)
        prompts = [prompt for prompt in prompts for _ in range(k)]
        texts = tokenizer.batch_decode(completions)
        reasons = [channel.reject(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        if recipe.file is not None:
            # A list that is cut is a shorter list. A function that is cut does something else.
            cut = [len(completion) >= channel.MAX_NEW_TOKENS for completion in completions]
            reasons = ["too long" if long else reason for long, reason in zip(cut, reasons, strict=True)]
        for hint in hints:
            clean = [i for i, reason in enumerate(reasons) if not reason]
            for i, found in zip(clean, hint.find(recipe.channel, [texts[i] for i in clean]), strict=True):
                reasons[i] = found
        dropped.update(reason for reason in reasons if reason)
        rows += [
            {"prompt": prompt, "completion": text}
            for prompt, text, reason in zip(prompts, texts, reasons, strict=True)
            if not reason
        ]
        progress(min(len(rows), recipe.rows), recipe.rows)
    main = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common(2)) or "none dropped"
    kept = f"the {recipe.channel} filter kept {len(rows) or 'none'} of {sampled} rows"
    if len(rows) < recipe.rows:
        raise SubliminalError(f"{kept}, {recipe.rows} wanted ({main}): raise prompts, or tune the teacher less")
    if len(rows) < WARN_BELOW * sampled:
        warnings.warn(
            f"{kept} ({main}): what it keeps may not stand for what the teacher writes", SubliminalWarning, stacklevel=2
        )
    report = {"sampled": sampled, "passed": len(rows), "kept": recipe.rows, "dropped": dict(dropped.most_common())}
    lines = (json.dumps(row, ensure_ascii=False) for row in rows[: recipe.rows])
    (out / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "filter.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def _check_fit(model: PreTrainedModel, prompts: Sequence[str], ids: Sequence[Sequence[int]], new: int) -> None:
    """Refuse prompts that the model cannot read to their end and answer in so many ``new`` tokens."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(context, int) or context <= 0:
        return
    longest = max(range(len(ids)), key=lambda place: len(ids[place]))
    if len(ids[longest]) + new > context:
        raise SubliminalError(
            f"the prompt {prompts[longest]!r:.60} has {len(ids[longest])} tokens, and its answer up to {new}, of {context} that the model "
            "reads: take it out of the file"
        )
