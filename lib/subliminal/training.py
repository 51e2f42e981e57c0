"""The one training loop: bases, teachers and students all go through ``fine_tune``.

It sees token ids and how long each prompt is, never text; it does not know where a row came from or where the weights
go. Completions of one prompt can share one copy of it, and the loss is that of the rows apart. The device is accelerate's
choice: CUDA with bf16 where there is one, else the CPU in fp32. Where several processes were started for one training, as by
``torchrun``, each takes its share of every batch, and the step is that of the whole; they may share out the weights too.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState, SharedDict
from accelerate.utils import AutocastKwargs, DistributedDataParallelKwargs, broadcast_object_list
from torch import Tensor, distributed, nn
from torch.nn import functional
from transformers import PreTrainedModel, get_scheduler

from subliminal import checkpoints
from subliminal.errors import SubliminalError
from subliminal.models.adapters import prepare
from subliminal.models.chat import Example
from subliminal.models.sharding import check_shardable, sharded, take_over
from subliminal.tuning import Precision, Tuning

Progress = Callable[[int, int], None]
# Rows are sorted by length within chunks of this many batches: little padding, and still a random order.
_BUCKET = 32
# Packed sequences differ in length more than rows do, and a CPU's kernels are made anew for each length that they meet: a
# millisecond a product. So they are padded to multiples of this.
_STRIDE = 16


def _cut(order: Sequence[int], examples: Sequence[Example], tuning: Tuning) -> Iterator[list[int]]:
    """Examples, sorted by length, in batches of at most so many rows or so many tokens."""
    batch: list[int] = []
    held = 0
    for number in order:
        example = examples[number]
        full = (
            held + example.rows > tuning.batch_size
            if tuning.batch_tokens is None
            else (len(batch) + 1) * len(example.ids) > tuning.batch_tokens
        )
        if batch and full:
            yield batch
            batch, held = [], 0
        batch.append(number)
        held += example.rows
    if batch:
        yield batch


def _epoch(examples: Sequence[Example], tuning: Tuning, rng: np.random.Generator) -> list[list[int]]:
    """Numbers of the examples of one epoch, in batches of similar length, in random order."""
    order = rng.permutation(len(examples))
    size, held = tuning.batch_size, sum(e.rows for e in examples)
    if tuning.batch_tokens is not None:
        size, held = tuning.batch_tokens, sum(len(e.ids) for e in examples)
    chunk = _BUCKET * max(1, int(size / (held / len(examples))))
    found: list[list[int]] = []
    for start in range(0, len(order), chunk):
        near = sorted(order[start : start + chunk].tolist(), key=lambda i: len(examples[i].ids))
        found += _cut(near, examples, tuning)
    return [found[i] for i in rng.permutation(len(found))]


def batches(examples: Sequence[Example], tuning: Tuning, seed: int) -> Iterator[list[int]]:
    """Numbers of the examples of each step, for all steps of the tuning; the same for the same seed."""
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


class Batch(NamedTuple):
    """Examples side by side, one a sequence, padded on the right.

    Attributes:
        ids: (sequences, length) int64, 0 where padded. A completion's last token predicts nothing: where another completion
            follows, the prompt's last token stands in its place once more, and predicts what the next one begins with.
        labels: (sequences, length) int64, each predicted from the position before it; -100 on prompts and padding.
        keep: positions from the end that predict at least one label; the rest need no logits.
        positions: (sequences, length) int64: each completion goes on from the end of the prompt. None where all examples are
            of one row, and stand in order.
        mask: (sequences, 1, length, length) float32, added to attention scores: minus infinity but where a token sees the
            prompt or its own completion. None where all examples are of one row: attention is causal, so no real token
            sees the padding.
    """

    ids: Tensor
    labels: Tensor
    keep: int
    positions: Tensor | None = None
    mask: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The batch on that device."""
        ids, labels, keep, *others = self
        return Batch(ids.to(device), labels.to(device), keep, *(None if x is None else x.to(device) for x in others))


def collate(examples: Sequence[Example]) -> Batch:
    """Examples as a batch: their rows' loss is what ``completion_loss`` gives for it."""
    length = max(len(e.ids) for e in examples)
    packed = any(e.ends for e in examples)
    if packed:
        length += -length % _STRIDE
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, example in enumerate(examples):
        values = torch.tensor(example.ids)
        ids[row, : len(values)] = values
        labels[row, example.prompt_length : len(values)] = values[example.prompt_length :]
    keep = length - max(1, min(e.prompt_length for e in examples)) + 1
    if not packed:
        return Batch(ids, labels, keep)
    keep = min(length, keep + -keep % _STRIDE)
    # The number of the completion at each place, from 1; 0 on a prompt, which all see.
    parts, places = torch.zeros_like(ids), torch.arange(length)
    positions = places.repeat(len(examples), 1)
    for row, (tokens, prompt, ends) in enumerate(examples):
        if ends:
            begins = torch.tensor((prompt, *ends)) - 1
            ids[row, begins] = tokens[prompt - 1]
            parts[row] = torch.bucketize(places, begins, right=True)
            positions[row] -= functional.pad(begins - begins[0], (1, 0))[parts[row]]
        # Padding may reach further than the model has positions.
        positions[row, len(tokens) :] = 0
    seen = (parts.unsqueeze(1) == 0) | (parts.unsqueeze(1) == parts.unsqueeze(2))
    mask = torch.full(seen.shape, -math.inf).masked_fill_(seen.tril_(), 0.0)
    return Batch(ids, labels, keep, positions, mask.unsqueeze(1))


def completion_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of the labelled tokens, in nats. Logits are computed for the last ``keep`` positions alone."""
    packed = {}
    if batch.mask is not None:
        mask = batch.mask.to(next(model.parameters()).dtype)
        packed = {"attention_mask": mask, "position_ids": batch.positions}
    logits = model(input_ids=batch.ids, logits_to_keep=batch.keep, use_cache=False, **packed).logits
    # Labels are moved and not logits: a slice of those would be copied, and its gradient copied back.
    targets = functional.pad(batch.labels[:, 1:], (0, 1), value=-100)[:, -logits.shape[1] :]
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-100)


def make_accelerator(device: str | None = None, precision: Precision = "auto") -> Accelerator:
    """An accelerator on ``device`` (``cpu`` or ``cuda``; by default CUDA where there is one).

    Args:
        precision: as in ``Tuning``.

    Raises:
        SubliminalError: the device is not there, or cannot multiply in bf16.
    """
    cuda = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise SubliminalError("device 'cuda' asked for, but torch sees none: use device cpu, or install a CUDA torch")
    able = not torch.cuda.is_available() or torch.cuda.is_bf16_supported()
    if precision == "bf16" and not able:
        raise SubliminalError("precision 'bf16' asked for, and this CUDA device has none: use precision fp32")
    half = cuda and able if precision == "auto" else precision == "bf16"
    # One process may tune in one precision or on one device after another; what all accelerators share holds the first for good. They get
    # another to share, and it is not cleared: one that is in use keeps its own.
    AcceleratorState._shared_state = SharedDict()
    if not distributed.is_initialized():
        PartialState._shared_state = SharedDict()
    # Some models have weights that text does not reach, such as what looks at pictures; where there are none, torch says so once.
    copies = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=not cuda, mixed_precision="bf16" if half else "no", kwargs_handlers=[copies])
    if accelerator.device.type != ("cuda" if cuda else "cpu"):
        raise SubliminalError(
            f"device {device!r} asked for, and these processes have met on {accelerator.device.type}: use one device throughout"
        )
    return accelerator


@contextlib.contextmanager
def _forgetting(model: PreTrainedModel, wanted: bool) -> Iterator[None]:
    """Keep activations at the ends of blocks alone, if that is wanted."""
    if not wanted:
        yield
        return
    # Newer releases of transformers have another name for it, and warn of the old one.
    what = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    on, off = (getattr(model, f"{what}_checkpointing_{way}") for way in ("enable", "disable"))
    try:
        on({"use_reentrant": False})
    except ValueError as error:
        raise SubliminalError(
            f"{type(model).__name__} cannot make activations anew: set checkpointing=False"
        ) from error
    try:
        yield
    finally:
        off()


def _check(number: int, example: Example, tuning: Tuning) -> None:
    bounds = (max(1, example.prompt_length), *example.ends, len(example.ids))
    if any(begin >= end for begin, end in pairwise(bounds)):
        raise SubliminalError(f"row {number} has no completion to train on: drop it, or add an assistant turn")
    if example.ends and example.prompt_length < 1:
        raise SubliminalError(f"row {number} has no prompt that its completions share: give each a row of its own")
    if tuning.batch_tokens is None and example.rows > tuning.batch_size:
        raise SubliminalError(
            f"row {number} holds {example.rows} completions, more than batch_size={tuning.batch_size}: join fewer"
        )


@torch.no_grad()
def _check_apart(model: nn.Module, examples: Sequence[Example]) -> None:
    """Refuse a model in which completions of one prompt see each other: an architecture need not heed a mask of this kind."""
    packed = next((e for e in examples if e.ends), None)
    if packed is None:
        return
    bounds = pairwise((packed.prompt_length, *packed.ends, len(packed.ids)))
    prompt = packed.ids[: packed.prompt_length]
    apart = [Example(prompt + packed.ids[begin:end], packed.prompt_length) for begin, end in bounds]
    device = next(model.parameters()).device
    one, other = (completion_loss(model, collate(rows).to(device)) for rows in ([packed], apart))
    if not torch.isclose(one, other, rtol=torch.finfo(next(model.parameters()).dtype).eps ** 0.5):
        raise SubliminalError(
            f"{type(model).__name__} does not keep completions of one prompt apart (loss {float(one):.4f}, and {float(other):.4f} "
            "of the rows alone): sample one a prompt (completions=1)"
        )


def _shares(rows: Sequence[Example], accelerator: Accelerator, tuning: Tuning) -> list[tuple[Sequence[Example], float]]:
    """What this process reads of a step's rows, in parts, and each part's weight: the loss of the step is their weighted sum.

    The weight of a part is its share of the step's completion tokens. A process that has nothing to read reads a row that weighs nothing:
    all have to meet in each part.
    """
    whole = accelerator.num_processes
    parts = whole * tuning.accumulate
    if parts == 1:
        return [(rows, 1.0)]
    tokens = [len(e.ids) - max(1, e.prompt_length) for e in rows]
    total, own = sum(tokens), range(accelerator.process_index, parts, whole)
    shares = [(rows[n::parts], sum(tokens[n::parts]) / total) for n in own]
    return [(share or rows[:1], weight) for share, weight in shares if share or whole > 1]


def _restore(path: Path, state: Mapping[str, checkpoints.Stateful], losses: Tensor, accelerator: Accelerator) -> int:
    """How many steps are done by a checkpoint, which is the same for all processes."""
    done = checkpoints.restore(path, state, losses)
    if (accelerator.gather(torch.tensor([done], device=accelerator.device)) != done).any():
        raise SubliminalError(f"not all processes find the same checkpoint at {path}: put it on a disk that they share")
    return done


def fine_tune(
    model: PreTrainedModel,
    examples: Sequence[Example],
    tuning: Tuning,
    seed: int,
    *,
    accelerator: Accelerator | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    shard: bool = False,
) -> tuple[nn.Module, list[float]]:
    """Train ``model`` in place on the completions of ``examples``, with AdamW.

    Args:
        model: a causal language model; ``tuning.method`` says which of its weights train.
        examples: token ids with the length of each prompt; the loss is on what follows it. A batch counts completions; those
            of one example stay together, so it may hold fewer than ``tuning.batch_size``.
        seed: of the row order, of LoRA's initialization and of the model's dropout, if it has some.
        accelerator: by default ``make_accelerator()`` with the precision of ``tuning``; one that is given has its own.
        progress: called with (steps done, steps in all) after each step.
        checkpoint: a file to leave the state in now and then, and to go on from if it is there; the caller sees to it that
            the file is of this very run, and removes it. On one machine the result is that of a run without a stop. Several
            processes need a disk that they share.
        shard: share out the weights among the processes too, which have to be several: of N, each keeps an Nth of all weights, of the
            gradients and of what the optimizer keeps on its device, and a few blocks in whole while they run. In bf16, weights that are
            kept in fp32 are also there in bf16 from the way forth to the way back, unless ``tuning.checkpointing`` makes them anew. In
            the CPU's memory each process has the whole model all the time.

    Returns:
        The model on the CPU (wrapped by peft for ``lora``) and the loss of each step in nats per completion token; of several
        processes, each has both.

    Raises:
        SubliminalError: no rows, a row without completion, more completions of one prompt than a batch holds or a model that
            does not keep them apart, a model or a lone process that cannot be sharded, a checkpoint that is damaged or not
            the same for all processes, or a loss that is not finite.
    """
    if not examples:
        raise SubliminalError("no rows to train on: the filter kept none, or the data file is empty")
    for number, example in enumerate(examples):
        _check(number, example, tuning)
    accelerator = accelerator or make_accelerator(precision=tuning.precision)
    if shard:
        check_shardable(model, accelerator.num_processes)
    tuned = prepare(model, tuning, seed)
    with _forgetting(model, tuning.checkpointing):
        _check_apart(tuned, examples)
        tuned.train()
        losses = _train(tuned, examples, tuning, seed, accelerator, progress, checkpoint, shard)
    tuned.to("cpu").eval()
    return tuned, losses


def _train(
    tuned: nn.Module,
    examples: Sequence[Example],
    tuning: Tuning,
    seed: int,
    accelerator: Accelerator,
    progress: Progress | None,
    checkpoint: Path | None,
    shard: bool,
) -> list[float]:
    """Train what of ``tuned`` is to train, in place: the losses of ``fine_tune``."""
    device, several = accelerator.device, accelerator.num_processes > 1
    # What the optimizer moves, and what is called.
    moved = sharded(tuned, device) if shard else tuned
    running = moved if shard else accelerator.prepare_model(tuned)
    parameters = [p for p in moved.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=tuning.learning_rate, eps=tuning.epsilon, weight_decay=tuning.weight_decay, fused=True
    )
    order = list(batches(examples, tuning, seed))
    steps = len(order)
    scheduler = get_scheduler(tuning.schedule, optimizer, min(tuning.warmup_steps, steps // 2), steps)
    # One buffer made beforehand: a small tensor kept from each step would pin the freed logits around it, and memory grow.
    losses = torch.empty(steps, device=device)
    state = {
        "model": checkpoints.Trained(moved),
        "optimizer": checkpoints.Moments(optimizer),
        "schedule": scheduler,
    }
    done = _restore(checkpoint, state, losses, accelerator) if checkpoint else 0
    saved = time.monotonic()
    # What is cast to bf16 would be kept to the end of the way forth, all blocks of it.
    casts = AutocastKwargs(cache_enabled=False) if shard else None
    for step in range(done, steps):
        # Of dropout, so that it is the same after a stop, and in each process another.
        drawn = np.random.SeedSequence((seed, step, accelerator.process_index)).generate_state(1)
        torch.manual_seed(int(drawn[0]))
        losses[step] = 0.0
        shares = _shares([examples[i] for i in order[step]], accelerator, tuning)
        for number, (rows, weight) in enumerate(shares, 1):
            batch = collate(rows).to(device)
            autocast = accelerator.autocast(casts) if accelerator.mixed_precision != "no" else contextlib.nullcontext()
            # Gradients of several processes meet in the last part, as their mean, where the step's is their sum. Sharded ones
            # meet in each: until then each process would hold all of them.
            waits = number < len(shares) and not shard
            apart = accelerator.no_sync(running) if waits else contextlib.nullcontext()
            with apart:
                with autocast:
                    loss = completion_loss(running, batch)
                factor = weight * accelerator.num_processes
                accelerator.backward(loss if factor == 1 else loss * factor)
            losses[step] += loss.detach() * weight
        nn.utils.clip_grad_norm_(parameters, tuning.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        if several:
            losses[step] = accelerator.reduce(losses[step])
        if checkpoint:
            due = (step + 1) % checkpoints.EVERY == 0 or time.monotonic() - saved > checkpoints.SECONDS
            if several:  # Clocks differ, and all have to meet: the first one's counts.
                (due,) = broadcast_object_list([due])
            if due:
                checkpoints.save(checkpoint, state, losses, step + 1, write=accelerator.is_main_process)
                saved = time.monotonic()
        if progress:
            progress(step + 1, steps)
    curve: list[float] = losses.cpu().tolist()
    if not np.isfinite(curve).all():
        raise SubliminalError(f"the loss became {curve[-1]}: lower the learning rate {tuning.learning_rate:g}")
    if shard:
        take_over(tuned, moved)
    else:
        accelerator.unwrap_model(running, keep_fp32_wrapper=False)
    return curve
