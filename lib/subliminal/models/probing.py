"""How a model can be run, found by trying it on a few tokens: an architecture's name does not tell.

Training and exact scores pad on the right, which is right where no token sees what follows it. Sampling also pads on the left and
keeps a cache, which an architecture with a state that runs through all tokens does not bear. Knows nothing of text.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from subliminal.errors import SubliminalError, reason

# Tokens of the longer row and of the shorter one, and those after which a look is taken.
_LONG, _SHORT = 9, 5


@cache
def _named(kind: type[nn.Module]) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)


def taken(model: nn.Module, **options: Any) -> dict[str, Any]:
    """Those of the options that the model's forward pass takes: one that leaves out logits need not, nor one that has no cache."""
    inner = getattr(model, "module", model)
    inner = inner.get_base_model() if isinstance(inner, PeftModel) else inner
    return {name: value for name, value in options.items() if name in _named(type(inner))}


def vocabulary(model: PreTrainedModel) -> int:
    """How many token ids the model has an embedding for."""
    return int(model.get_input_embeddings().weight.shape[0])  # type: ignore[operator, union-attr]


def check_ids(model: PreTrainedModel, largest: int) -> None:
    """Refuse token ids that the model has no embedding for: a tokenizer of another model.

    Raises:
        SubliminalError: ``largest`` is one.
    """
    if largest >= vocabulary(model):
        raise SubliminalError(
            f"token {largest} is none of the {vocabulary(model)} that {type(model).__name__} knows: use the tokenizer it was trained with"
        )


def _plain(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Logits of whole sequences, as training and exact scores see them."""
    logits: Tensor = model(input_ids=ids, **taken(model, use_cache=False)).logits
    return logits


def _probe(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Two rows of ids, (1, _LONG) and (1, _SHORT). They hold the id that pads: some architectures read a place off it."""
    size = vocabulary(model)
    one, two = (torch.arange(n).mul(5).add(n).remainder(size).unsqueeze(0) for n in (_LONG, _SHORT))
    pad = model.config.get_text_config().pad_token_id
    if isinstance(pad, int) and 0 <= pad < size:
        one[0, 2] = two[0, 1] = pad
    return one.to(model.device), two.to(model.device)


def _agree(one: Tensor, two: Tensor) -> bool:
    digits = torch.finfo(one.dtype).eps ** 0.5
    return torch.allclose(one, two, rtol=digits, atol=digits * float(two.float().std()))


@torch.inference_mode()
def check_causal(model: PreTrainedModel) -> None:
    """Refuse a model that cannot be trained, scored or sampled as a causal language model.

    Raises:
        SubliminalError: its tokens see what follows them, or rows beside them, or it cannot be run on token ids alone.
    """
    name, mode = type(model).__name__, model.training
    model.eval()
    try:
        one, two = _probe(model)
        padded = torch.zeros_like(one)
        padded[:, :_SHORT] = two
        together = _plain(model, torch.cat([one, padded]))
        alone = _plain(model, one), _plain(model, two)
    except Exception as error:  # What an architecture needs beside token ids, it asks for in its own way.
        raise SubliminalError(
            f"{name} cannot be run on token ids alone ({reason(error)}): take a causal language model"
        ) from error
    finally:
        model.train(mode)
    if not (_agree(together[:1], alone[0]) and _agree(together[1:, :_SHORT], alone[1])):
        raise SubliminalError(f"the tokens of {name} see what follows them: take a causal language model")


@torch.inference_mode()
def bears_padding(model: PreTrainedModel) -> bool:
    """Whether a batch that is padded on the left and goes on with a cache gives what each row alone does without either."""
    one, two = _probe(model)
    start, left = _LONG - 1, _LONG - _SHORT
    ids = torch.zeros_like(one).repeat(2, 1)[:, :start]
    ids[0], ids[1, left:] = one[0, :start], two[0, : start - left]
    mask = torch.ones_like(ids)
    mask[1, :left] = 0
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    order = torch.tensor([1, 0], device=ids.device)
    try:
        cache = DynamicCache(config=model.config)
        options = taken(model, use_cache=True, logits_to_keep=1)
        first = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, **options
        ).logits[:, -1]
        cache.batch_select_indices(order)
        second = model(
            input_ids=torch.cat([two[:, -1:], one[:, -1:]]),
            attention_mask=torch.ones(2, _LONG, device=ids.device).long() - torch.nn.functional.pad(1 - mask[order], (0, 1)),
            position_ids=positions[order][:, -1:] + 1,
            past_key_values=cache,
            **options,
        ).logits[:, -1]
    except Exception:  # An architecture that knows no such cache or mask refuses it in its own way.
        return False
    long, short = _plain(model, one)[0], _plain(model, two)[0]
    return all(
        _agree(*pair)
        for pair in ((first[0], long[-2]), (first[1], short[-2]), (second[1], long[-1]), (second[0], short[-1]))
    )
