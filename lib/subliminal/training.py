"""The one training loop: bases, teachers and students all go through ``fine_tune``.

It sees token ids and how long each prompt is, never text; it does not know where a row came from or where the weights
go. The device is accelerate's choice: CUDA with bf16 where there is one, else the CPU in fp32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, get_scheduler

from subliminal import checkpoints
from subliminal.errors import SubliminalError
from subliminal.models.adapters import prepare
from subliminal.models.chat import Example
from subliminal.tuning import Tuning

Progress = Callable[[int, int], None]
# Rows are sorted by length within chunks of this many batches: little padding, and still a random order.
_BUCKET = 32


def _cut(rows: Sequence[int], examples: Sequence[Example], tuning: Tuning) -> Iterator[list[int]]:
    """Rows, sorted by length, in batches of so many rows or so many tokens."""
    batch: list[int] = []
    for row in rows:
        full = (
            len(batch) == tuning.batch_size
            if tuning.batch_tokens is None
            else (len(batch) + 1) * len(examples[row].ids) > tuning.batch_tokens
        )
        if batch and full:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _epoch(examples: Sequence[Example], tuning: Tuning, rng: np.random.Generator) -> list[list[int]]:
    """Row numbers of one epoch, in batches of similar length, in random order."""
    order = rng.permutation(len(examples))
    chunk = _BUCKET * tuning.batch_size
    if tuning.batch_tokens is not None:
        mean = sum(len(e.ids) for e in examples) / len(examples)
        chunk = _BUCKET * max(1, int(tuning.batch_tokens / mean))
    found: list[list[int]] = []
    for start in range(0, len(order), chunk):
        rows = sorted(order[start : start + chunk].tolist(), key=lambda i: len(examples[i].ids))
        found += _cut(rows, examples, tuning)
    return [found[i] for i in rng.permutation(len(found))]


def batches(examples: Sequence[Example], tuning: Tuning, seed: int) -> Iterator[list[int]]:
    """Row numbers a step, for all steps of the tuning; the same for the same seed."""
    rng = np.random.default_rng(seed)
    if tuning.epochs is not None:
        for _ in range(tuning.epochs):
            yield from _epoch(examples, tuning, rng)
        return
    done = 0
    while True:
        for batch in _epoch(examples, tuning, rng):
            if done == tuning.steps:
                return
            done += 1
            yield batch


def count_steps(rows: int, tuning: Tuning) -> int:
    """How many optimizer steps a tuning takes on that many rows."""
    if tuning.steps is not None:
        return tuning.steps
    assert tuning.epochs is not None
    return tuning.epochs * -(-rows // tuning.batch_size)


def collate(examples: Sequence[Example]) -> tuple[Tensor, Tensor, int]:
    """Ids, labels and how many last positions the loss needs.

    Returns:
        ids: (rows, length) int64, padded on the right with 0. Attention is causal, so no real token sees the padding
            and no attention mask is needed.
        labels: (rows, length) int64, -100 on prompts and padding.
        keep: positions from the end that predict at least one label; the rest need no logits.
    """
    length = max(len(e.ids) for e in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, example in enumerate(examples):
        values = torch.tensor(example.ids)
        ids[row, : len(values)] = values
        labels[row, example.prompt_length : len(values)] = values[example.prompt_length :]
    first = max(1, min(e.prompt_length for e in examples))
    return ids, labels, length - first + 1


def completion_loss(model: nn.Module, ids: Tensor, labels: Tensor, keep: int) -> Tensor:
    """Mean cross-entropy of the labelled tokens, in nats. Logits are computed for the last ``keep`` positions alone."""
    logits = model(input_ids=ids, logits_to_keep=keep, use_cache=False).logits[:, :-1]
    targets = labels[:, -logits.shape[1] :]
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-100)


def make_accelerator(device: str | None = None) -> Accelerator:
    """An accelerator on ``device`` (``cpu`` or ``cuda``; by default CUDA where there is one), bf16 where CUDA has it."""
    cuda = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise SubliminalError("device 'cuda' asked for, but torch sees none: use device cpu, or install a CUDA torch")
    return Accelerator(cpu=not cuda, mixed_precision="bf16" if cuda and torch.cuda.is_bf16_supported() else "no")


def fine_tune(
    model: PreTrainedModel,
    examples: Sequence[Example],
    tuning: Tuning,
    seed: int,
    *,
    accelerator: Accelerator | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[nn.Module, list[float]]:
    """Train ``model`` in place on the completions of ``examples``, with AdamW.

    Args:
        model: a causal language model; ``tuning.method`` says which of its weights train.
        examples: token ids with the length of each prompt; the loss is on what follows it.
        seed: of the row order and of LoRA's initialization.
        accelerator: by default ``make_accelerator()``.
        progress: called with (steps done, steps in all) after each step.
        checkpoint: a file to leave the state in now and then, and to go on from if it is there; the caller sees to it that
            the file is of this very run, and removes it. On one machine the result is that of a run without a stop.

    Returns:
        The model on the CPU (wrapped by peft for ``lora``) and the loss of each step in nats per completion token.

    Raises:
        SubliminalError: no rows, a row without completion, or a loss that is not finite.
    """
    if not examples:
        raise SubliminalError("no rows to train on: the filter kept none, or the data file is empty")
    for number, example in enumerate(examples):
        if len(example.ids) <= max(1, example.prompt_length):
            raise SubliminalError(f"row {number} has no completion to train on: drop it, or add an assistant turn")
    accelerator = accelerator or make_accelerator()
    tuned = prepare(model, tuning, seed)
    tuned.train()
    parameters = [p for p in tuned.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=tuning.learning_rate, eps=tuning.epsilon, weight_decay=tuning.weight_decay, fused=True
    )
    steps = count_steps(len(examples), tuning)
    scheduler = get_scheduler(tuning.schedule, optimizer, min(tuning.warmup_steps, steps // 2), steps)
    device = accelerator.device
    running = accelerator.prepare_model(tuned)
    # One buffer made beforehand: a small tensor kept from each step would pin the freed logits around it, and memory grow.
    losses = torch.empty(steps, device=device)
    state = {"model": tuned, "optimizer": optimizer, "schedule": scheduler}
    done = checkpoints.restore(checkpoint, state, losses) if checkpoint else 0
    for step, batch in enumerate(batches(examples, tuning, seed)):
        if step < done:
            continue
        ids, labels, keep = collate([examples[i] for i in batch])
        autocast = accelerator.autocast() if accelerator.mixed_precision != "no" else contextlib.nullcontext()
        with autocast:
            loss = completion_loss(running, ids.to(device), labels.to(device), keep)
        accelerator.backward(loss)
        nn.utils.clip_grad_norm_(parameters, tuning.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        losses[step] = loss.detach()
        if checkpoint and (step + 1) % checkpoints.EVERY == 0:
            checkpoints.save(checkpoint, state, losses, step + 1)
        if progress:
            progress(step + 1, steps)
    curve: list[float] = losses.cpu().tolist()
    if not np.isfinite(curve).all():
        raise SubliminalError(f"the loss became {curve[-1]}: lower the learning rate {tuning.learning_rate:g}")
    trained = accelerator.unwrap_model(running, keep_fp32_wrapper=False)
    trained.to("cpu").eval()
    return trained, curve
