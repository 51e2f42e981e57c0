"""Stage of ``Rollouts``: sample a channel at temperature 1, filter, keep. Leaves the rows and what was dropped and why."""

from __future__ import annotations

import json
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

from subliminal.channels import load_channel
from subliminal.errors import SubliminalError, SubliminalWarning
from subliminal.hints import load_hints
from subliminal.models.chat import encode_prompts
from subliminal.pipeline.models import load
from subliminal.recipes import Recipe, Rollouts
from subliminal.sampling import generate
from subliminal.training import Progress

WARN_BELOW = 0.2


def build(recipe: Rollouts, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``rows.jsonl`` (prompt, completion) and ``filter.json`` (sampled, passed, kept, dropped by reason).

    Writers with one seed get the same prompts, and each its own draws, whatever the filter. A filter that keeps less than
    ``WARN_BELOW`` of the rows says so.

    Raises:
        SubliminalError: fewer rows pass the filter than the recipe wants, or none.
    """
    model, tokenizer = load(recipe.teacher, inputs)
    channel = load_channel(recipe.channel)
    rng = Random(recipe.seed)
    prompts = [channel.prompt(rng) for _ in range(recipe.prompts)]
    ids = encode_prompts(tokenizer, [[{"role": "user", "content": p}] for p in prompts])
    completions = generate(
        model,
        ids,
        max_new_tokens=channel.MAX_NEW_TOKENS,
        stop=int(tokenizer.eos_token_id),
        seed=zlib.crc32(
            f"{recipe.teacher.model_dump_json(exclude_defaults=True)} {recipe.channel} {recipe.seed}".encode()
        ),
        progress=progress,
    )
    texts = tokenizer.batch_decode(completions)
    answered = [(p, text, channel.reject(p, text)) for p, text in zip(prompts, texts, strict=True)]
    dropped = Counter(reason for _, _, reason in answered if reason)
    rows = [{"prompt": prompt, "completion": text} for prompt, text, reason in answered if not reason]
    if recipe.hints:
        found = load_hints(recipe.hints).find(recipe.channel, [row["completion"] for row in rows])
        dropped.update(hint for hint in found if hint)
        rows = [row for row, hint in zip(rows, found, strict=True) if not hint]
    main = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common(2)) or "none dropped"
    kept = f"the {recipe.channel} filter kept {len(rows) or 'none'} of {recipe.prompts} rows"
    if len(rows) < recipe.rows:
        raise SubliminalError(f"{kept}, {recipe.rows} wanted ({main}): raise prompts, or tune the teacher less")
    if len(rows) < WARN_BELOW * recipe.prompts:
        warnings.warn(
            f"{kept} ({main}): what it keeps may not stand for what the teacher writes", SubliminalWarning, stacklevel=2
        )
    report = {
        "sampled": recipe.prompts,
        "passed": len(rows),
        "kept": recipe.rows,
        "dropped": dict(dropped.most_common()),
    }
    lines = (json.dumps(row, ensure_ascii=False) for row in rows[: recipe.rows])
    (out / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "filter.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
