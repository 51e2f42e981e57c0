"""Networks that read digits: what a batch of them is, and that a student's first step goes its teacher's way."""

import pandas as pd
import pytest
import torch

from subliminal import SubliminalError, build
from subliminal.digits import Digits, experiment, mlp
from subliminal.digits.theorem import alignment


def test_models_of_a_batch_are_what_each_is_alone():
    weights = mlp.start([3, 4], 16, 3)
    images = torch.rand(5, mlp.PIXELS)
    both = mlp.logits(weights, images)
    assert both.shape == (2, 5, 13)
    for n in range(2):
        alone = [part[n] for part in weights]
        expected = torch.relu(images @ alone[0] + alone[1]) @ alone[2] + alone[3]
        torch.testing.assert_close(both[n], expected)
    assert all(torch.equal(a[1], b[0]) for a, b in zip(weights, mlp.start([4], 16, 3), strict=True))


def test_the_loss_of_a_batch_is_the_sum_of_its_models_losses():
    weights, images, labels = mlp.start([0, 1], 8, 3), torch.rand(6, mlp.PIXELS), torch.arange(6)
    each = [mlp.class_loss([part[n : n + 1] for part in weights], images, labels) for n in range(2)]
    torch.testing.assert_close(mlp.class_loss(weights, images, labels), sum(each))
    dealt = torch.stack([labels, labels.flip(0)])
    one = mlp.class_loss([part[1:] for part in weights], images, labels.flip(0))
    torch.testing.assert_close(mlp.class_loss(weights, images, dealt), each[0] + one)


def test_starts_in_between_reach_from_the_one_to_the_other_and_keep_their_spread():
    one, two = mlp.start([0], 256, 3), mlp.start([1], 256, 3)
    for distance, expected in ((0.0, one), (1.0, two)):
        assert all(torch.equal(a, b) for a, b in zip(mlp.between(one, two, distance), expected, strict=True))
    half = mlp.between(one, two, 0.5)
    assert half[0].std() == pytest.approx(one[0].std().item(), rel=0.03)


def test_a_student_that_is_at_its_teacher_does_not_move():
    weights = [part.requires_grad_() for part in mlp.start([0], 16, 3)]
    loss = mlp.auxiliary_loss(weights, [part.detach() for part in weights], torch.randn(32, mlp.PIXELS))
    assert all(gradient.abs().max() < 1e-6 for gradient in torch.autograd.grad(loss, weights))


def test_the_test_images_are_apart_and_of_all_classes():
    seen, labels, unseen, truth = experiment.images()
    assert len(seen) == len(labels) > len(unseen) == len(truth) > 500
    assert set(truth.tolist()) == set(range(10))
    assert not {tuple(row) for row in unseen.tolist()} & {tuple(row) for row in seen.tolist()}


@pytest.mark.parametrize("rate", [1e-4, 0.1])
def test_from_the_same_start_no_small_step_goes_against_the_teachers(rate):
    assert alignment(range(300), rate).min() > 0
    other = alignment(range(300), rate, same=False)
    assert 0.35 < (other < 0).double().mean() < 0.65


def test_the_theorem_breaks_where_the_step_is_large():
    assert (alignment(range(300), 300.0) < 0).any()


def test_a_students_whole_experiment(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path))
    study = {
        "same": Digits(models=3, steps=400, seed=9),
        "other": Digits(models=3, steps=400, distance=1.0, seed=9),
        "untrained": Digits(models=3, steps=100, control="untrained", seed=9),
        "shuffled": Digits(models=3, steps=400, control="shuffled", seed=9),
    }
    folders = dict(zip(study, build(study.values()), strict=True))
    scores = {name: pd.read_csv(folder / "scores.csv") for name, folder in folders.items()}
    assert scores["same"]["student"].min() > 0.3
    assert scores["same"]["teacher"].min() > 0.8
    assert all(scores[name]["student"].mean() < 0.25 for name in ("other", "untrained", "shuffled"))
    drift = {
        name: pd.read_csv(folder / "drift.csv").groupby("step")["cosine"].mean() for name, folder in folders.items()
    }
    assert drift["same"].iloc[-1] > 0.5 > abs(drift["other"].iloc[-1])
    assert list(drift["same"].index) == [*range(0, 400, 50), 400]
    lengths = {n: pd.read_csv(f / "drift.csv").groupby("step")["length"].mean() for n, f in folders.items()}
    assert lengths["same"].iloc[0] == 0 < lengths["same"].iloc[-1]
    # A teacher that has not moved has no way.
    assert lengths["untrained"].max() == 0


@pytest.mark.parametrize("fields", [{"distance": 2}, {"control": "none at all"}, {"models": 1}, {"auxiliary": 0}])
def test_bad_settings_are_one_line(fields):
    (name,) = fields
    with pytest.raises(SubliminalError, match=f"bad setting {name}="):
        Digits(**{"models": 2, "steps": 10, **fields})
