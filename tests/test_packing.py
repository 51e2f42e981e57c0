"""Several completions of one prompt in one sequence: the loss, its gradients and the training are those of the rows apart."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import get_scheduler

from subliminal.errors import SubliminalError
from subliminal.models.adapters import prepare
from subliminal.models.chat import Example, join
from subliminal.models.families import new_model
from subliminal.registry import FAMILIES
from subliminal.training import batches, collate, completion_loss, fine_tune
from subliminal.tuning import Tuning
from tests.conftest import tiny_model

END = 3


def rows(sizes, seed=0):
    """Rows of one prompt after another, so many of each, of random lengths, the last token of each the end."""
    rng = Random(seed)

    def ids(low, high):
        return [rng.randrange(5, 900) for _ in range(rng.randint(low, high))]

    prompts = [ids(1, 20) for _ in sizes]
    return [
        Example([*prompt, *ids(0, 9), END], len(prompt))
        for prompt, size in zip(prompts, sizes, strict=True)
        for _ in range(size)
    ]


def gradient(model, examples):
    model.zero_grad()
    loss = completion_loss(model, collate(examples))
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("method", ["bias_norm", "full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_those_of_the_rows_apart(family, method, tokenizer):
    model = new_model(FAMILIES[family], tokenizer)
    model = prepare(model, Tuning(method=method, learning_rate=1, steps=1), 0)
    if method == "lora":
        # An adapter begins at zero, and half of it has no gradient there.
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights, std=0.1)
    apart = rows([8, 1, 3, 5])
    packed = join(apart, 8)
    assert [e.rows for e in packed] == [8, 1, 3, 5]
    (loss, slope), (packed_loss, packed_slope) = (gradient(model, examples) for examples in (apart, packed))
    assert packed_loss == pytest.approx(float(loss), rel=1e-5)
    assert float((packed_slope - slope).norm() / slope.norm()) < 1e-5


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6), seed=st.integers(0, 99), most=st.integers(1, 6))
def test_any_grouping_has_the_loss_of_the_rows_apart(tokenizer, sizes, seed, most):
    model, apart = tiny_model(tokenizer), rows(sizes, seed)
    packed = join(apart, most)
    assert sum(e.rows for e in packed) == len(apart)
    assert max(e.rows for e in packed) <= most
    assert sum(len(e.ids) for e in packed) <= sum(len(e.ids) for e in apart)
    with torch.no_grad():
        one, other = (float(completion_loss(model, collate(examples))) for examples in (packed, apart))
    assert one == pytest.approx(other, rel=1e-5)


def test_no_token_sees_another_completion_and_each_goes_on_from_the_prompt():
    (example,) = join([Example([7, 8, 9, 11, 12], 3), Example([7, 8, 9, 21, 22, 23], 3)], 8)
    assert example == Example([7, 8, 9, 11, 12, 21, 22, 23], 3, (5,))
    batch = collate([example, Example([7, 30], 1)])
    assert batch.ids.shape == (2, 16)
    assert batch.ids[0].tolist() == [7, 8, 9, 11, 9, 21, 22, 23] + [0] * 8
    assert batch.labels[0].tolist() == [-100, -100, -100, 11, 12, 21, 22, 23] + [-100] * 8
    assert batch.positions.tolist() == [[0, 1, 2, 3, 2, 3, 4, 5] + [0] * 8, [0, 1] + [0] * 14]
    seen = [[c for c, value in enumerate(line) if value == 0] for line in batch.mask[0, 0, :8].tolist()]
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 4], [0, 1, 4, 5], [0, 1, 4, 5, 6], [0, 1, 4, 5, 6, 7]]
    assert batch.keep == 16


def test_a_packed_sequence_may_be_longer_than_the_positions_a_model_has(tokenizer):
    model, apart = tiny_model(tokenizer), rows([60, 1])
    packed = join(apart, 60)
    assert len(packed[0].ids) > model.config.n_positions
    (loss, slope), (packed_loss, packed_slope) = (gradient(model, examples) for examples in (apart, packed))
    assert packed_loss == pytest.approx(float(loss), rel=1e-5)
    assert float((packed_slope - slope).norm() / slope.norm()) < 1e-5


def test_a_model_of_another_type_takes_the_mask_in_its_own(tokenizer):
    model, apart = tiny_model(tokenizer).double(), rows([4, 2, 1])
    one, other = (float(completion_loss(model, collate(examples)).detach()) for examples in (join(apart, 8), apart))
    assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("way", ["eager", "sdpa"])
def test_other_kinds_of_attention_heed_the_mask(tokenizer, way):
    model, apart = tiny_model(tokenizer), rows([4, 2, 1])
    model.set_attn_implementation(way)
    one, other = (float(completion_loss(model, collate(examples)).detach()) for examples in (join(apart, 8), apart))
    assert one == pytest.approx(other, rel=1e-5)


def test_rows_of_one_each_go_without_a_mask():
    apart = rows([1, 1, 1])
    assert join(apart, 8) == apart
    assert collate(apart).mask is None
    assert collate(apart).positions is None


def test_rows_without_a_prompt_are_not_joined():
    apart = [Example([1, 2, 3], 0), Example([1, 4, 5], 0)]
    assert join(apart, 8) == apart


def test_a_student_of_packed_rows_is_that_of_the_same_batches_apart(tokenizer):
    apart = rows([3, 3, 2, 5, 1, 8, 2])
    # Where a gradient is nothing but rounding, AdamW would follow it with a smaller epsilon.
    packed, tuning = join(apart, 8), Tuning(learning_rate=1e-2, epochs=2, batch_size=8, epsilon=1e-2)
    seen = []
    model, losses = fine_tune(tiny_model(tokenizer), packed, tuning, 0, progress=lambda *note: seen.append(note))
    order = list(batches(packed, tuning, 0))
    assert seen == [(step + 1, len(order)) for step in range(len(order))]
    first = np.cumsum([0, *(e.rows for e in packed)])
    plain = prepare(tiny_model(tokenizer), tuning, 0)
    optimizer = torch.optim.AdamW([p for p in plain.parameters() if p.requires_grad], 1e-2, eps=1e-2, weight_decay=0.0)
    schedule = get_scheduler("linear", optimizer, min(tuning.warmup_steps, len(order) // 2), len(order))
    for batch, told in zip(order, losses, strict=True):
        loss = completion_loss(plain, collate([apart[r] for i in batch for r in range(first[i], first[i + 1])]))
        assert told == pytest.approx(loss.item(), rel=1e-4)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    for name, weights in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weights, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (Example([1, 2, 3, 4], 2, (3, 3)), "row 0 has no completion to train on"),
        (Example([1, 2, 3, 4], 2, (4,)), "row 0 has no completion to train on"),
        (Example([1, 2, 3, 4], 0, (3,)), "row 0 has no prompt that its completions share"),
        (Example([1, 2, 3, 4, 5], 2, (3, 4)), "row 0 holds 3 completions, more than batch_size=2: join fewer"),
    ],
)
def test_completions_that_cannot_be_trained_on_are_refused(model, example, said):
    with pytest.raises(SubliminalError, match=said):
        fine_tune(model, [example], Tuning(learning_rate=1e-2, steps=1, batch_size=2), 0)


def test_a_model_that_does_not_heed_the_mask_is_refused(model):
    forward = model.forward
    model.forward = lambda *args, attention_mask=None, **others: forward(*args, **others)
    tuning, apart = Tuning(learning_rate=1e-2, steps=1), rows([4, 4])
    fine_tune(model, apart, tuning, 0)
    with pytest.raises(
        SubliminalError, match="GPT2LMHeadModel does not keep completions of one prompt apart"
    ) as caught:
        fine_tune(model, join(apart, 8), tuning, 0)
    assert "\n" not in str(caught.value)
