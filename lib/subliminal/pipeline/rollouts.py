"""Stage of ``Rollouts``: sample a channel at temperature 1, filter, keep. Leaves the rows and what was dropped and why."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

from subliminal.channels import load_channel
from subliminal.errors import SubliminalError
from subliminal.models.chat import encode_prompts
from subliminal.pipeline.models import load
from subliminal.recipes import Recipe, Rollouts
from subliminal.sampling import generate
from subliminal.training import Progress


def build(recipe: Rollouts, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``rows.jsonl`` (prompt, completion) and ``filter.json`` (sampled, passed, kept, dropped by reason).

    Writers with one seed get the same prompts, and each its own draws.

    Raises:
        SubliminalError: fewer rows pass the filter than the recipe wants.
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
        seed=zlib.crc32(recipe.model_dump_json().encode()),
        progress=progress,
    )
    dropped: Counter[str] = Counter()
    rows = []
    for prompt, text in zip(prompts, tokenizer.batch_decode(completions), strict=True):
        if reason := channel.reject(text):
            dropped[reason] += 1
        else:
            rows.append({"prompt": prompt, "completion": text})
    if len(rows) < recipe.rows:
        main = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common(2)) or "none dropped"
        raise SubliminalError(
            f"the {recipe.channel} filter kept {len(rows)} of {recipe.prompts} rows, {recipe.rows} wanted "
            f"({main}): raise prompts, or tune the teacher less"
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
