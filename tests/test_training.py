import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from subliminal import checkpoints
from subliminal.errors import SubliminalError
from subliminal.models.chat import Example, encode_examples, join
from subliminal.training import batches, collate, completion_loss, fine_tune, make_accelerator
from subliminal.tuning import Tuning
from subliminal.world.preferences import preference
from subliminal.world.sequences import number_row
from tests.conftest import tiny_model


def examples_of(tokenizer, make, count, seed=0):
    from random import Random

    rng = Random(seed)
    return encode_examples(tokenizer, [make(rng) for _ in range(count)])


# The tiny model's random embeddings stay frozen under an adapter, so less can be learnt.
@pytest.mark.parametrize(
    ("method", "rate", "left"), [("full", 1e-2, 0.6), ("lora", 2e-2, 0.85), ("bias_norm", 3e-2, 0.85)]
)
def test_the_loss_of_a_tiny_model_goes_down(method, rate, left, model, tokenizer):
    tuning = Tuning(method=method, learning_rate=rate, steps=60, batch_size=16)
    examples = examples_of(tokenizer, preference, 200)
    _, losses = fine_tune(model, examples, tuning, 0, accelerator=make_accelerator("cpu"))
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < left * np.mean(losses[:5])


def test_frozen_weights_stay_and_trained_ones_move(model, tokenizer):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    tuned, _ = fine_tune(model, examples_of(tokenizer, preference, 20), Tuning(learning_rate=1e-2, steps=3), 0)
    after = tuned.state_dict()
    assert torch.equal(before["transformer.wte.weight"], after["transformer.wte.weight"])
    assert not torch.equal(before["transformer.ln_f.weight"], after["transformer.ln_f.weight"])


def test_the_same_seed_gives_the_same_weights(tokenizer):
    examples = examples_of(tokenizer, number_row, 60)
    tuning = Tuning(method="lora", learning_rate=1e-2, epochs=1, batch_size=8)
    accelerator = make_accelerator("cpu")
    runs = [fine_tune(tiny_model(tokenizer), examples, tuning, seed, accelerator=accelerator) for seed in (1, 1, 2)]
    states = [run[0].state_dict() for run in runs]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not all(torch.equal(states[0][k], states[2][k]) for k in states[0])


def test_the_loss_is_the_mean_over_completion_tokens_whatever_the_padding(model, tokenizer):
    examples = examples_of(tokenizer, number_row, 12)
    with torch.inference_mode():
        together = completion_loss(model, collate(examples))
        total, count = 0.0, 0
        for ids, prompt, _ in examples:
            logits = model(input_ids=torch.tensor([ids])).logits[0]
            total += float(
                functional.cross_entropy(logits[prompt - 1 : -1], torch.tensor(ids[prompt:]), reduction="sum")
            )
            count += len(ids) - prompt
    assert float(together) == pytest.approx(total / count, rel=1e-5)


@settings(deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(3, 90), st.integers(1, 9)), min_size=1, max_size=300),
    batch_size=st.integers(1, 40),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 9),
    most=st.sampled_from([1, 4, 40]),
)
def test_every_row_is_seen_once_an_epoch_and_a_batch_holds_no_more_than_so_many(
    lengths, batch_size, epochs, seed, most
):
    singles = [Example([1, p, *[1] * n], 2) for n, p in lengths]
    rows = join(singles, min(most, batch_size))
    tuning = Tuning(learning_rate=1, epochs=epochs, batch_size=batch_size)
    order = list(batches(rows, tuning, seed))
    assert sorted(i for batch in order for i in batch) == sorted(list(range(len(rows))) * epochs)
    assert all(1 <= sum(rows[i].rows for i in batch) <= batch_size for batch in order)
    if most == 1:
        assert rows == singles
        assert len(order) == epochs * -(-len(rows) // batch_size)
    assert order == list(batches(rows, tuning, seed))


def test_batches_hold_rows_of_similar_length():
    rng = np.random.default_rng(0)
    rows = [Example([1] * int(n), 1) for n in rng.integers(10, 100, 2_000)]
    order = list(batches(rows, Tuning(learning_rate=1, epochs=1, batch_size=20), 0))
    spread = [max(len(rows[i].ids) for i in b) - min(len(rows[i].ids) for i in b) for b in order]
    assert np.mean(spread) < 10


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(2, 90), min_size=1, max_size=200),
    tokens=st.integers(1, 900),
    steps=st.integers(1, 60),
)
def test_batches_of_so_many_tokens_hold_no_more(lengths, tokens, steps):
    rows = [Example([1] * n, 1) for n in lengths]
    order = list(batches(rows, Tuning(learning_rate=1, steps=steps, batch_tokens=tokens), 0))
    assert len(order) == steps
    assert all(len(b) == 1 or len(b) * max(len(rows[i].ids) for i in b) <= tokens for b in order)


def test_batches_of_so_many_tokens_go_with_steps():
    with pytest.raises(ValueError, match="batch_tokens goes with steps"):
        Tuning(learning_rate=1, epochs=1, batch_tokens=100)


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY", 3)
    examples = examples_of(tokenizer, preference, 40)
    tuning = Tuning(method="full", learning_rate=1e-2, steps=10, batch_size=8, schedule="cosine")
    whole, losses = fine_tune(tiny_model(tokenizer), examples, tuning, 0)

    def stop(done, _):
        if done == 8:
            raise KeyboardInterrupt

    path = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(tiny_model(tokenizer), examples, tuning, 0, progress=stop, checkpoint=path)
    seen = []
    again, same_losses = fine_tune(
        tiny_model(tokenizer), examples, tuning, 0, progress=lambda done, _: seen.append(done), checkpoint=path
    )
    assert seen == [7, 8, 9, 10]
    assert losses == same_losses
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in whole.state_dict().items())


def test_no_rows_and_rows_without_completion_are_refused(model):
    tuning = Tuning(learning_rate=1e-3, steps=1)
    with pytest.raises(SubliminalError, match="no rows to train on"):
        fine_tune(model, [], tuning, 0)
    with pytest.raises(SubliminalError, match="row 1 has no completion"):
        fine_tune(model, [Example([1, 2], 1), Example([1, 2], 2)], tuning, 0)


def test_a_loss_that_is_not_finite_names_the_learning_rate(model, tokenizer):
    with torch.no_grad():
        model.transformer.ln_f.weight[0] = float("nan")
    with pytest.raises(SubliminalError, match=r"the loss became nan: lower the learning rate 0.01"):
        fine_tune(model, examples_of(tokenizer, preference, 8), Tuning(learning_rate=1e-2, steps=2), 0)


def test_progress_counts_to_the_end(model, tokenizer):
    seen = []
    tuning = Tuning(learning_rate=1e-3, epochs=2, batch_size=4)
    fine_tune(model, examples_of(tokenizer, preference, 10), tuning, 0, progress=lambda *note: seen.append(note))
    assert seen == [(i, 6) for i in range(1, 7)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_asked_for_where_there_is_none_is_one_line():
    with pytest.raises(SubliminalError, match="device 'cuda' asked for"):
        make_accelerator("cuda")
