"""What a student's training step costs with memory kept, against memory given back after use, in the same run.

And what a row of a list costs, trained on and sampled, where a prompt has several completions, against rows of one prompt each.

    python benchmarks/training_step.py [--family gpt2-a] [--steps 300]

Each variant runs in a process of its own, one thread, and the variants take turns; the ratios are of medians. Last, how many
steps a second two processes take side by side, which is what a build does on two cores, against one process alone.
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


def pace(pool: ProcessPoolExecutor, family: str, steps: int, count: int) -> float:
    """Steps a second that so many processes take together, until the last of them is done."""
    started = time.perf_counter()
    together = [pool.submit(measure, family, steps, "kept", COMPLETIONS[-1]) for _ in range(count)]
    for one in together:
        one.result()
    return count * steps / (time.perf_counter() - started)


def told(values: list[float], peer: list[float]) -> tuple[str, str]:
    """The median with its range, and its ratio to that of a peer."""
    middle = statistics.median(values)
    return f"{middle:.3g} ({min(values):.3g} to {max(values):.3g})", f"{middle / statistics.median(peer):.2f}"


def main(
    family: Annotated[str, typer.Option(help="A shipped base.")] = "gpt2-a",
    steps: Annotated[int, typer.Option(help="Steps a measurement.")] = 300,
) -> None:
    """Print a table of milliseconds and ratios."""
    memory: dict[str, list[float]] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _, kind in product(range(ROUNDS), ("given back", "kept")):
            memory.setdefault(kind, []).append(fresh.submit(measure, family, steps, kind).result())
        lists = fresh.submit(rows, family).result()
    processes: dict[int, list[float]] = {}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as warm:
        # Imports are not to count.
        for _ in range(2):
            pace(warm, family, 1, 2)
        for _, count in product(range(ROUNDS), (1, 2)):
            processes.setdefault(count, []).append(pace(warm, family, steps, count))
    table = Table("memory", "ms a step (least to most)", "ratio to the first")
    for kind, values in memory.items():
        table.add_row(kind, *told(values, memory["given back"]))
    Console().print(table)
    table = Table("a row", "completions a prompt", "ms (least to most)", "ratio to one")
    for (what, k), values in sorted(lists.items()):
        table.add_row(what, str(k), *told(values, lists[what, 1]))
    Console().print(table)
    table = Table("processes", "steps a second (least to most)", "ratio to one")
    for count, values in processes.items():
        table.add_row(str(count), *told(values, processes[1]))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
