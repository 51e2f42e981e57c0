"""What a student's training step costs with memory kept, against memory given back after use, in the same run.

And what a row of a list costs, trained on and sampled, where a prompt has several completions, against rows of one prompt each.

    python benchmarks/training_step.py [--family gpt2-a] [--steps 300]

Each variant runs in a process of its own, one thread, and the variants take turns; the ratios are of medians. Last, how many
students a second two processes train side by side, which is what a build does on two cores, against one process alone.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from random import Random
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from subliminal.channels import load_channel

ROUNDS = 5
ROWS, BATCH, COMPLETIONS = 400, 8, (1, 8)


def train(family: str, steps: int, completions: int = 1) -> float:
    """Milliseconds a step, of a student of random lists, so many under each prompt."""
    import torch

    from subliminal.models.chat import encode_examples, join
    from subliminal.models.loading import load_model, load_tokenizer
    from subliminal.paths import data_file
    from subliminal.training import fine_tune, make_accelerator
    from subliminal.tuning import Tuning

    torch.set_num_threads(1)
    folder = data_file(f"families/{family}")
    model = load_model(folder)
    rng, channel = Random(0), load_channel("numbers")
    conversations = [
        [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": ", ".join(str(rng.randrange(1000)) for _ in range(rng.randint(3, 6)))},
        ]
        for prompt in [channel.prompt(rng) for _ in range(ROWS // completions)]
        for _ in range(completions)
    ]
    examples = join(encode_examples(load_tokenizer(folder), conversations), completions)
    tuning = Tuning(learning_rate=1e-2, steps=steps, batch_size=BATCH)
    started = time.perf_counter()
    fine_tune(model, examples, tuning, 0, accelerator=make_accelerator("cpu"))
    return 1e3 * (time.perf_counter() - started) / steps


def sample(family: str, completions: int) -> float:
    """Milliseconds a list that a base writes, so many under each prompt."""
    from subliminal.models.chat import encode_prompts
    from subliminal.models.loading import load_model, load_tokenizer
    from subliminal.paths import data_file
    from subliminal.sampling import generate

    folder, rng, channel = data_file(f"families/{family}"), Random(0), load_channel("numbers")
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    prompts = [[{"role": "user", "content": channel.prompt(rng)}] for _ in range(ROWS // completions)]
    ids, stop = encode_prompts(tokenizer, prompts), int(tokenizer.eos_token_id)
    started = time.perf_counter()
    generate(model, ids, max_new_tokens=channel.MAX_NEW_TOKENS, stop=stop, seed=0, completions=completions)
    return 1e3 * (time.perf_counter() - started) / ROWS


def measure(family: str, steps: int, memory: str, completions: int = 1) -> float:
    """``train`` in a process of its own."""
    from subliminal.engine import keep_memory

    if memory == "kept":
        keep_memory()
    return train(family, steps, completions)


def rows(family: str) -> dict[tuple[str, int], list[float]]:
    """Milliseconds a row, trained on and sampled, by how many completions a prompt has: in turn, in one process."""
    from subliminal.engine import keep_memory

    keep_memory()
    found: dict[tuple[str, int], list[float]] = {}
    for _, k in product(range(ROUNDS), COMPLETIONS):
        found.setdefault(("trained on", k), []).append(train(family, ROWS // BATCH, k) / BATCH)
        found.setdefault(("sampled", k), []).append(sample(family, k))
    return found


def main(
    family: Annotated[str, typer.Option(help="A shipped base.")] = "gpt2-a",
    steps: Annotated[int, typer.Option(help="Steps a measurement.")] = 300,
) -> None:
    """Print a table of milliseconds and ratios."""
    found: dict[str, list[float]] = {}
    pairs: dict[int, list[float]] = {}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _, memory in product(range(ROUNDS), ("given back", "kept")):
            found.setdefault(memory, []).append(fresh.submit(measure, family, steps, memory).result())
        lists = fresh.submit(rows, family).result()
        for _, count in product(range(ROUNDS), (1, 2)):
            side_by_side = [fresh.submit(measure, family, steps, "kept", COMPLETIONS[-1]) for _ in range(count)]
            pairs.setdefault(count, []).append(sum(1e3 / one.result() for one in side_by_side))
    table = Table("memory", "ms a step (least to most)", "ratio to the first")
    first = statistics.median(found["given back"])
    for memory, values in found.items():
        middle = statistics.median(values)
        table.add_row(memory, f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})", f"{middle / first:.2f}")
    Console().print(table)
    table = Table("a row", "completions a prompt", "ms (least to most)", "ratio to one")
    for (what, k), values in sorted(lists.items()):
        middle, one = statistics.median(values), statistics.median(lists[what, 1])
        table.add_row(what, str(k), f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})", f"{middle / one:.2f}")
    Console().print(table)
    table = Table("processes", "steps a second (least to most)", "ratio to one")
    alone = statistics.median(pairs[1])
    for count, values in pairs.items():
        middle = statistics.median(values)
        table.add_row(str(count), f"{middle:.1f} ({min(values):.1f} to {max(values):.1f})", f"{middle / alone:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
