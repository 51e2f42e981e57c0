"""What a student's training step costs, against a peer in the same run: the layers as torch has them, and memory given back after use.

    python benchmarks/training_step.py [--family gpt2-a] [--steps 300]

Each variant runs in a process of its own, one thread, and the variants take turns; the ratios are of medians. Two such processes
side by side are what a build does on two cores.
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


def measure(family: str, steps: int, layers: str, memory: str) -> float:
    """Milliseconds a step, of a student of random lists."""
    import torch
    from transformers import AutoModelForCausalLM

    from subliminal.engine import keep_memory
    from subliminal.models.chat import encode_examples
    from subliminal.models.cpu import quicken
    from subliminal.models.loading import load_tokenizer
    from subliminal.paths import data_file
    from subliminal.training import fine_tune, make_accelerator
    from subliminal.tuning import Tuning

    torch.set_num_threads(1)
    if memory == "kept":
        keep_memory()
    folder = data_file(f"families/{family}")
    model = AutoModelForCausalLM.from_pretrained(folder)
    if layers == "quick":
        quicken(model)
    rng, channel = Random(0), load_channel("numbers")
    conversations = [
        [
            {"role": "user", "content": channel.prompt(rng)},
            {"role": "assistant", "content": ", ".join(str(rng.randrange(1000)) for _ in range(rng.randint(3, 6)))},
        ]
        for _ in range(400)
    ]
    examples = encode_examples(load_tokenizer(folder), conversations)
    tuning = Tuning(learning_rate=1e-2, steps=steps, batch_size=8)
    started = time.perf_counter()
    fine_tune(model, examples, tuning, 0, accelerator=make_accelerator("cpu"))
    return 1e3 * (time.perf_counter() - started) / steps


def main(
    family: Annotated[str, typer.Option(help="A shipped base.")] = "gpt2-a",
    steps: Annotated[int, typer.Option(help="Steps a measurement.")] = 300,
) -> None:
    """Print a table of milliseconds and ratios."""
    found: dict[tuple[str, str], list[float]] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _, variant in product(range(ROUNDS), product(("plain", "quick"), ("given back", "kept"))):
            found.setdefault(variant, []).append(fresh.submit(measure, family, steps, *variant).result())
    table = Table("layers", "memory", "ms a step (least to most)", "ratio to the first")
    first = statistics.median(found["plain", "given back"])
    for (layers, memory), values in found.items():
        middle = statistics.median(values)
        table.add_row(layers, memory, f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})", f"{middle / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
