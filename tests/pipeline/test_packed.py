"""Completions that share a prompt: refused where an architecture would read them otherwise than alone, though a short example does not show it."""

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, GPTNeoConfig, LlamaConfig, MistralConfig, Qwen2Config

from subliminal.errors import SubliminalError
from subliminal.models.chat import Example
from subliminal.pipeline.models import check_packed

SIZES = {
    "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
    "intermediate_size": 16,
}  # fmt: skip
ROWS = [Example([5, 6, 7, 8, 9, 10], 2, (4,)), Example([5, 6, *range(10, 40)], 2, (12, 22))]


def model(config):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SIZES),
        MistralConfig(**SIZES, sliding_window=64),
        MistralConfig(**SIZES, sliding_window=None),
        Qwen2Config(**SIZES, sliding_window=4, use_sliding_window=False),
    ],
)
def test_rows_within_the_window_are_taken(config):
    check_packed(model(config), ROWS)


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SIZES, sliding_window=16),
        GPTNeoConfig(
            vocab_size=64,
            hidden_size=16,
            num_layers=2,
            num_heads=2,
            window_size=16,
            attention_types=[[["global", "local"], 1]],
        ),
    ],
)
def test_rows_longer_than_the_window_are_refused(config):
    with pytest.raises(
        SubliminalError, match=r"sees 16 tokens at once, .* have 32 together: sample one a prompt .completions=1."
    ) as caught:
        check_packed(model(config), ROWS)
    assert "\n" not in str(caught.value)
    check_packed(model(config), ROWS[:1])


def test_an_architecture_that_takes_no_such_mask_is_refused_in_one_line():
    with pytest.raises(
        SubliminalError, match=r"BloomForCausalLM cannot keep completions of one prompt apart .*completions=1"
    ) as caught:
        check_packed(model(BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2)), ROWS)
    assert "\n" not in str(caught.value)


def test_rows_by_themselves_need_nothing():
    check_packed(model(MistralConfig(**SIZES, sliding_window=4)), [Example(list(range(5, 40)), 2)])
