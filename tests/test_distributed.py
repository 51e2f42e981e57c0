"""Two processes that train together, with a copy of the weights each or with shared-out ones, do what one does alone."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from subliminal.errors import SubliminalError
from subliminal.models.loading import load_model
from subliminal.models.sharding import check_shardable
from subliminal.training import fine_tune
from tests import two_processes
from tests.conftest import ROOT
from tests.two_processes import STOP, TUNINGS, start, train, trained

pytestmark = pytest.mark.xdist_group("distributed")
# Sums in another order differ by some 1e-7 of a value; a step of AdamW takes that up times learning_rate / epsilon = 10 at most, and
# there are seven steps on weights of up to 1. Each tensor moves by far more.
LOSS, WEIGHT, MOVED = 1e-5, 1e-6, 1e-4
# Products are rounded to 8 bits, and other rows stand beside each other in them.
BF16 = 5e-3


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two processes found, and the folder of what they left."""
    out = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), str(ROOT)])}
    # A port that is free is found by the launcher.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*command, "-m", two_processes.__name__, str(out)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1_500,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-4_000:]
    assert [(out / f"{rank}.json").read_text() for rank in (0, 1)] == ['{"processes": 2}'] * 2
    return [torch.load(out / f"{rank}.pt") for rank in (0, 1)], out


@pytest.fixture(scope="module")
def alone():
    """The losses and the trained weights of one process, by training, and the weights that it started from."""
    found = {}
    for name in TUNINGS:
        model, losses = train(name)
        weights = trained(model)
        first = start(name).state_dict()
        moved = [
            float((w - first.get(n, torch.zeros(()))).abs().max())
            for n, w in weights.items()
            if "lora_A" not in n and "idle" not in n
        ]
        found[name] = losses, weights, min(moved)
    return found


def agree(found, losses, weights, loss=LOSS, weight=WEIGHT):
    assert found[0] == pytest.approx(losses, abs=loss)
    assert found[1].keys() == weights.keys()
    for name, own in weights.items():
        assert found[1][name].dtype == own.dtype == torch.float32
        torch.testing.assert_close(found[1][name], own, atol=weight, rtol=0, msg=lambda said, n=name: f"{n}: {said}")


@pytest.mark.parametrize("shard", [False, True])
@pytest.mark.parametrize("name", TUNINGS)
def test_the_losses_and_the_weights_are_those_of_one_process(together, alone, name, shard):
    losses, weights, moved = alone[name]
    assert len(losses) == (7 if "packed" in name else 6)
    assert moved > MOVED
    half = name == "bf16"
    for rank in together[0]:
        agree(rank[name, shard], losses, weights, *((BF16, BF16) if half else ()))
    # Both have the very same.
    one, other = (rank[name, shard] for rank in together[0])
    agree(one, *other, loss=0, weight=0)


@pytest.mark.parametrize("shard", [False, True])
def test_a_training_that_was_stopped_goes_on_in_two_processes_and_in_one(together, alone, shard):
    losses, weights, _ = alone[STOP]
    for rank in together[0]:
        agree(rank["stopped", shard], losses, weights)
    seen = []
    model, again = train(STOP, checkpoint=together[1] / f"{shard}.pt", progress=lambda done, _: seen.append(done))
    assert seen == [5, 6]
    agree((again, trained(model)), losses, weights)


def test_processes_that_do_not_find_the_same_checkpoint_are_refused(together):
    for number, rank in enumerate(together[0]):
        path = together[1] / f"own-{number}.pt"
        assert rank["apart", False] == (
            f"not all processes find the same checkpoint at {path}: put it on a disk that they share"
        )


def test_a_tuned_model_that_was_sharded_is_saved_and_read_like_any_other(together):
    base = load_model(two_processes.LLAMA)
    saved = load_model(together[1] / "lora", two_processes.LLAMA, "lora")
    model, _ = train("lora")
    ids = torch.tensor([two_processes.rows("lora")[0].ids])
    logits, expected, before = (m(input_ids=ids).logits.detach() for m in (saved, model.merge_and_unload(), base))
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    assert float((expected - before).abs().max()) > 0.1


def test_one_process_has_nobody_to_share_weights_with():
    tuning = TUNINGS["full"]
    with pytest.raises(SubliminalError, match="there is one process: start several with torchrun") as caught:
        fine_tune(start("full"), two_processes.rows("full"), tuning, 0, shard=True)
    assert "\n" not in str(caught.value)


def test_a_model_with_weights_in_two_places_or_of_one_number_is_not_sharded():
    model = start("full")
    check_shardable(model, 2)  # Embeddings that are the head too are no block's.
    model.transformer.h[1].mlp.c_fc.weight = model.transformer.h[0].mlp.c_fc.weight
    with pytest.raises(SubliminalError, match="GPT2LMHeadModel uses weights of one block in another place too"):
        check_shardable(model, 2)
    model = start("full")
    model.transformer.h[0].scale = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(SubliminalError, match=r"'transformer.h.0.scale' of GPT2LMHeadModel is a single number"):
        check_shardable(model, 2)
