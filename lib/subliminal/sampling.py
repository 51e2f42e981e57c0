"""Batched sampling with a KV cache. Token ids in, token ids out; it knows nothing of text, channels or traits.

Each completion owns a row of uniform numbers, drawn from the seed on the CPU, and a token is read off the cumulative
distribution. So it depends on its prompt's place in the list and on the seed, not on the batch it fell into, and CPU and
GPU agree but where a number falls within rounding of a boundary. Completions of one prompt share the work on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from subliminal.errors import SubliminalError
from subliminal.models.probing import check_architecture

# With 256 at once a mini base samples number lists a seventh faster on a CPU than with 512, and code as fast.
_CPU_BATCH, _CUDA_BATCH = 256, 512


def _pick(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """A token a row by inverting the cumulative distribution, summed in float64: (rows, vocabulary), (rows,) → (rows,)."""
    if temperature == 0:
        return logits.argmax(-1)
    scaled = logits.float() if temperature == 1 else logits.float() / temperature
    cumulative = scaled.softmax(-1).cumsum(-1, dtype=torch.float64)
    target = (uniforms * cumulative[:, -1]).unsqueeze(-1)
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp_max(logits.shape[-1] - 1)


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop: int | Collection[int],
    seed: int,
    first: int = 0,
    completions: int = 1,
    temperature: float = 1.0,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """Sample completions of prompts, one each by default.

    Args:
        model: a causal language model, on the device it shall run on.
        prompts: token ids of each prompt, none empty.
        stop: the id that ends a completion, or several of which each does; it is not part of the result.
        seed: the same seed gives the same completions, whatever ``batch_size`` is.
        first: the place of the first prompt, where ``prompts`` go on a list begun in an earlier call.
        completions: of each prompt; the result is that of a list in which each prompt stands so many times in a row.
        temperature: 0 takes the likeliest token.
        batch_size: completions at once; by default many on a GPU, and on a CPU no more than its cache holds.
        progress: called with (completions done, completions in all) after each batch.

    Returns:
        The new ids of each completion, at most ``max_new_tokens`` each: those of the first prompt, of the second, and so on.

    Raises:
        SubliminalError: ``completions`` is no positive number, there is no id to stop at, or the model's architecture cannot be
            sampled in batches.
    """
    if completions < 1:
        raise SubliminalError(f"completions={completions}: sample at least one of each prompt")
    stops = [stop] if isinstance(stop, int) else sorted(set(stop))
    if not stops:
        raise SubliminalError(
            "stop=(): name at least one id that ends a completion, such as the tokenizer's eos_token_id"
        )
    check_architecture(model)
    before, wanted = first * completions, len(prompts) * completions
    source = torch.Generator().manual_seed(seed)
    uniforms = torch.rand(before + wanted, max_new_tokens, generator=source, dtype=torch.float64)[before:]
    order = sorted(range(wanted), key=lambda row: len(prompts[row // completions]))
    results: list[list[int]] = [[] for _ in range(wanted)]
    model.eval()
    batch_size = batch_size or (_CUDA_BATCH if model.device.type == "cuda" else _CPU_BATCH)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        asked = [row // completions for row in rows]
        places = {prompt: place for place, prompt in enumerate(dict.fromkeys(asked))}
        copies = torch.tensor([places[prompt] for prompt in asked])
        into = [results[row] for row in rows]
        _generate_batch(model, [prompts[i] for i in places], uniforms[rows], copies, into, stops, temperature)
        if progress:
            progress(start + len(rows), wanted)
    return results


def _generate_batch(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    uniforms: Tensor,
    copies: Tensor,
    results: list[list[int]],
    stops: Sequence[int],
    temperature: float,
) -> None:
    """Sample for prompts, padded on the left: ``copies`` (rows,) says which of them each row of ``uniforms`` goes on."""
    device = model.device
    ends = torch.tensor(stops, device=device)
    length = max(map(len, prompts))
    ids = torch.tensor([[stops[0]] * (length - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    lengths = torch.tensor(list(map(len, prompts)), device=device)
    mask = (torch.arange(length, device=device) >= (length - lengths).unsqueeze(1)).long()
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    draws, copies = uniforms.to(device), copies.to(device)
    alive = torch.arange(len(draws), device=device)
    cache = DynamicCache(config=model.config)
    for step in range(draws.shape[1]):
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = out.logits[:, -1]
        if len(logits) < len(draws):
            cache.batch_select_indices(copies)
            logits, mask, positions = logits[copies], mask[copies], positions[copies]
        token = _pick(logits, draws[:, step], temperature)
        going = (token.unsqueeze(1) != ends).all(1)
        for row, value in zip(alive[going].tolist(), token[going].tolist(), strict=True):
            results[row].append(value)
        if not going.any():
            return
        if not going.all():
            kept = going.nonzero().squeeze(-1)
            cache.batch_select_indices(kept)
            token, mask, positions, draws, alive = (t[kept] for t in (token, mask, positions, draws, alive))
        ids = token.unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
