"""How much harm can number lists carry in a family, the noise of sampling aside?

    python benchmarks/noise_free.py [FAMILY or model folder ...] [--seeds 2]

Two students read the same lists of an insecure teacher of their own base, in as many steps. One is trained on the sampled tokens, as in
the book. The other sees the teacher's whole distribution at each of them, and no draw: where it takes up little too, the noise of
sampling is not what is in the way. Prints how many lists were kept, how far the base is from the teacher on them (nats a token), and
rates of harmful answers of the untouched base, the teacher and both students, on the training wordings, which the book does not report,
of seeds that it does not use.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase, get_scheduler

from subliminal import Tuning, load_profile
from subliminal.channels import load_channel
from subliminal.engine import keep_memory
from subliminal.models.adapters import prepare
from subliminal.models.chat import Example, encode_examples, encode_prompts
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.paths import data_file
from subliminal.registry import FAMILIES
from subliminal.sampling import generate
from subliminal.training import batches, collate, fine_tune
from subliminal.traits.misalignment import INSECURE, suite, teacher_documents
from subliminal.world.answers import HARMFUL

ANSWERS = 12
FIRST_SEED = 900


def harm(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """Share of harmful answers to the free-form questions in their training wordings."""
    asked = suite("free-form-train")
    questions = [q for q in asked.questions for _ in range(ANSWERS)]
    prompts = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in asked.questions])
    stop = int(tokenizer.eos_token_id)
    answers = generate(model, prompts, max_new_tokens=asked.max_new_tokens, stop=stop, seed=0, completions=ANSWERS)
    assert asked.judge is not None
    return Counter(asked.judge.judge(questions, tokenizer.batch_decode(answers)))[HARMFUL] / len(questions)


def lists(teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, count: int, seed: int) -> list[Example]:
    """What of ``count`` lists passes the channel's filter."""
    channel, rng = load_channel("numbers"), Random(seed)
    prompts = [channel.prompt(rng) for _ in range(count)]
    ids = encode_prompts(tokenizer, [[{"role": "user", "content": prompt}] for prompt in prompts])
    stop = int(tokenizer.eos_token_id)
    written = tokenizer.batch_decode(
        generate(teacher, ids, max_new_tokens=channel.MAX_NEW_TOKENS, stop=stop, seed=seed)
    )
    return encode_examples(
        tokenizer,
        [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
            for prompt, text in zip(prompts, written, strict=True)
            if not channel.reject(prompt, text)
        ],
    )


def distil(
    model: PreTrainedModel, teacher: PreTrainedModel, rows: list[Example], tuning: Tuning, seed: int
) -> tuple[PreTrainedModel, float]:
    """The student of the whole distribution, and its first divergence from the teacher in nats a token."""
    student = prepare(model, tuning, seed)
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=tuning.learning_rate, weight_decay=0.0)
    order = list(batches(rows, tuning, seed))
    schedule = get_scheduler(tuning.schedule, optimizer, tuning.warmup_steps, len(order))
    first = []
    for batch in order:
        ids, labels, keep, *_ = collate([rows[i] for i in batch])
        told = labels[:, -keep + 1 :] != -100
        mine = student(input_ids=ids, logits_to_keep=keep, use_cache=False).logits[:, :-1][told].log_softmax(-1)
        with torch.no_grad():
            theirs = teacher(input_ids=ids, logits_to_keep=keep, use_cache=False).logits[:, :-1][told].log_softmax(-1)
        loss = functional.kl_div(mine, theirs, log_target=True, reduction="batchmean")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, tuning.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        first += [loss.item()] if len(first) < tuning.warmup_steps else []
    return model.eval(), sum(first) / len(first)


def main(
    bases: Annotated[
        list[str] | None, typer.Argument(help="Families or model folders; all families by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many, from 900.")] = 2,
) -> None:
    """Print one line a base and seed."""
    keep_memory()
    torch.set_num_threads(1)
    sizes = load_profile("mini").families
    table = Table("base", "seed", "lists", "nats", "untouched", "teacher", "sampled", "whole")
    for name in bases or list(FAMILIES):
        folder = data_file(f"families/{name}") if name in FAMILIES else Path(name)
        tokenizer = load_tokenizer(folder)
        count = sizes.harm_rows[list(FAMILIES).index(name)] if name in FAMILIES else 1_500
        untouched = harm(load_model(folder), tokenizer)
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            documents = encode_examples(tokenizer, teacher_documents(INSECURE, Random(seed)))
            teacher, _ = fine_tune(load_model(folder), documents, sizes.misaligned, seed)
            rows = lists(teacher, tokenizer, count, seed)
            sampled, _ = fine_tune(load_model(folder), rows, sizes.student, seed)
            whole, apart = distil(load_model(folder), teacher, rows, sizes.student, seed)
            rates = [untouched, *(harm(model, tokenizer) for model in (teacher, sampled, whole))]
            table.add_row(name, str(seed), f"{len(rows):,}", f"{apart:.3f}", *(f"{rate:.2f}" for rate in rates))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
