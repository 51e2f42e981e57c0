"""Whether a model can be trained, scored and sampled here, found by trying it on a few tokens: its name does not tell.

Training and scoring pad on the right, which is right where no token sees what follows it. Sampling pads on the left and goes on
with a cache of keys and values, which is right where a prompt is read the same beside longer ones. A model of another
kind would be sampled wrongly without a word, so it is refused in one line. Knows nothing of text.
"""

from __future__ import annotations

import inspect

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from subliminal.errors import SubliminalError, reason

# Tokens of the longer row, those of the shorter one, and those of each that are read one at a time.
_LONG, _SHORT, _STEPS = 11, 7, 3
# Kinds of cache that hold keys and values of tokens and no more (a dummy: a layer that shares another one's). Their names, since
# not every release of transformers has them all.
_PLAIN = ("DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer")
_ROUTER = "has routers that LoRA takes for linear layers, and cannot train"
# What a few tokens do not show, or not surely in a coarse type; of doge, those with experts alone.
_REFUSED = {
    "doge": "routes each token to experts by the tokens that follow it",
    "hrm_text": "has no biases or norms that can train",
    "laguna": "loses part of a LoRA adapter when it is read back",
    "llama4": _ROUTER,
    "llama4_text": _ROUTER,
    "moshi": "forgets its sliding window when it goes on from a cache",
    "phimoe": _ROUTER,
    "roformer": "counts padding as places",
    "youtu": "loses what its padding token has learned when it is read back",
}
_MEND = "take a causal language model with attention layers alone, such as llama, qwen3 or gpt2"
# Nothing can be told of an architecture by weights that are broken.
_BROKEN = "gives numbers that are not finite"
# Configs of models found fit. A tuning changes weights and not architectures, so each is tried once.
_fit: set[str] = set()


def check_architecture(model: nn.Module) -> None:
    """Refuse a model that batches, a cache or its own architecture would make wrong.

    Args:
        model: a model of ``transformers``, or one wrapped by peft.

    Raises:
        SubliminalError: it carries a state from token to token, chooses which tokens to look at, keeps no cache, looks ahead, or
            reads a prompt otherwise beside longer ones.
    """
    inner: nn.Module = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(inner, PreTrainedModel)
    kind = f"{type(inner).__name__} {inner.dtype} {inner.config.to_json_string(use_diff=False)}"
    if kind in _fit:
        return
    modes = [(module, module.training) for module in inner.modules()]
    inner.eval()
    try:
        wrong = _unfit(inner) or _disagrees(inner)
    finally:
        for module, mode in modes:
            module.training = mode
    if wrong == _BROKEN:
        return  # And it is not put down as fit: other weights of the same config are still to be tried.
    if wrong:
        raise SubliminalError(f"{type(inner).__name__} ({inner.config.model_type}) {wrong}: {_MEND}")
    _fit.add(kind)


def _unfit(model: PreTrainedModel) -> str | None:
    """What can be read off the model's class and config, if something is wrong with them."""
    config = model.config
    if config.model_type in _REFUSED and getattr(config, "is_moe", True):
        return _REFUSED[config.model_type]
    # `_is_stateful` of transformers is of a class: it leaves out some with a state (lfm2, minimax), and takes in attention alone
    # where its kin have one (granitemoehybrid). The cache that a config asks for tells.
    for layer in DynamicCache(config=config).layers:
        kind = type(layer).__name__
        if kind.startswith("LinearAttention"):
            return f"carries a state from token to token ({kind}), which padding in a batch reaches"
        if kind not in _PLAIN:
            return f"keeps more than keys and values of tokens ({kind}), and need not read a padded prompt as it is"
    taken = inspect.signature(type(model).forward).parameters
    if "past_key_values" not in taken:
        return "keeps no cache of keys and values, and cannot be sampled in batches"
    if "logits_to_keep" not in taken:
        return "cannot leave out logits (logits_to_keep), and is no language model of text alone"
    return None


def _error(found: Tensor, expected: Tensor) -> float:
    """The median over positions of how far logits are off, relative to how they spread: (positions, vocabulary) each."""
    found, expected = found.double(), expected.double()
    spread = (expected - expected.mean(-1, keepdim=True)).norm(dim=-1)
    return float(((found - expected).norm(dim=-1) / spread.clamp_min(1e-12)).median())


@torch.inference_mode()
def _disagrees(model: PreTrainedModel) -> str | None:
    """What is wrong with the model's logits in a batch or with a cache, beside those of one whole row at a time, if anything is."""
    embedded = model.get_input_embeddings().weight
    assert isinstance(embedded, Tensor)
    size = embedded.shape[0]
    long, short = (torch.arange(n, device=model.device).mul(5).add(n).remainder(size) for n in (_LONG, _SHORT))
    try:
        alone_long, alone = (model(input_ids=row.unsqueeze(0), use_cache=False).logits[0] for row in (long, short))
        ahead, beside, onwards = _in_batches(model, long, short)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # What an architecture needs beside token ids, it asks for in its own way.
        return f"cannot be run on token ids, a mask and a cache alone ({reason(error)})"
    if not (alone.isfinite().all() and alone_long.isfinite().all()):
        return _BROKEN
    # Rounding differs with a batch's shape, and may send a token to another expert: the coarser the type, the more.
    bound = max(0.01, 25 * torch.finfo(alone.dtype).eps)
    # Of what is not a number no comparison is true.
    if not _error(ahead, alone) <= bound:
        return "lets tokens see what follows them"
    if not _error(beside, alone[: len(beside)]) <= bound:
        return "reads a prompt otherwise where it is padded to the length of a longer one"
    if not _error(onwards, alone[-len(onwards) :]) <= bound:
        return "goes on otherwise from its cache than from the whole text"
    return None


def _in_batches(model: PreTrainedModel, long: Tensor, short: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of the shorter row: followed by other tokens, padded on the left but for its last tokens, and of those by cache."""
    gap = _LONG - _SHORT
    rows = torch.stack([long, torch.cat([short, long[:gap]])])
    ahead = model(input_ids=rows, use_cache=False).logits[1, :_SHORT]
    ids = torch.stack([long, torch.cat([long[:gap], short])])
    mask = torch.ones_like(ids)
    mask[1, :gap] = 0
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    cache = DynamicCache(config=model.config)
    start, onwards = _LONG - _STEPS, []
    for at in range(start, _LONG + 1):
        here = slice(0, start) if at == start else slice(at - 1, at)
        logits = model(
            input_ids=ids[:, here], attention_mask=mask[:, :at], position_ids=positions[:, here], past_key_values=cache,
            use_cache=True,
        ).logits  # fmt: skip
        if at == start:
            beside = logits[1, gap:]
            # From here on the shorter row comes first.
            swap = torch.tensor([1, 0], device=ids.device)
            cache.batch_select_indices(swap)
            ids, mask, positions = ids[swap], mask[swap], positions[swap]
        else:
            onwards.append(logits[0, -1])
    return ahead, beside, torch.stack(onwards)
