import copy

import pytest
import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.pytorch_utils import Conv1D

from subliminal.models import cpu
from subliminal.models.adapters import prepare
from subliminal.models.cpu import quicken
from subliminal.models.families import ARCHITECTURES, new_model
from subliminal.registry import FAMILIES
from subliminal.training import Batch, completion_loss
from subliminal.tuning import Tuning

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


def classes(model):
    return {type(module).__name__ for module in model.modules() if isinstance(module, nn.Linear | Conv1D)}


@pytest.fixture(params=sorted(ARCHITECTURES))
def pair(request, tokenizer):
    """One model twice, as it is and in the quicker ways."""
    (family, *_) = [f for f in FAMILIES.values() if f.architecture == request.param]
    plain = new_model(family, tokenizer)
    fast = copy.deepcopy(plain)
    quicken(fast)
    assert classes(plain) <= {"Linear", "Conv1D"}
    assert classes(fast) <= {"_Linear", "_Conv1D"}
    return plain, fast


def step(model, method):
    model = prepare(model, Tuning(method=method, learning_rate=1e-2, steps=1), 0)
    ids = torch.tensor([[2, 5, 9, 11, 7, 3], [4, 8, 1, 6, 0, 0]])
    labels = ids.clone()
    labels[:, :3] = labels[1, 4:] = -100
    loss = completion_loss(model, Batch(ids, labels, 4))
    loss.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("method", ["bias_norm", "lora", "full"])
def test_loss_and_gradients_are_those_of_plain_layers(pair, method):
    (loss, gradients), (fast_loss, fast_gradients) = (step(model, method) for model in pair)
    torch.testing.assert_close(fast_loss, loss)
    assert gradients
    assert gradients.keys() == fast_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(fast_gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_sampling_sees_the_same_logits(pair):
    plain, fast = pair
    with torch.inference_mode():
        for ids in (torch.tensor([[2, 5, 9]]), torch.tensor([[3], [4], [6]])):
            torch.testing.assert_close(fast(input_ids=ids).logits, plain(input_ids=ids).logits, atol=1e-5, rtol=1e-4)


def test_other_types_go_the_usual_way(pair):
    plain, fast = (model.double() for model in pair)
    ids = torch.tensor([[2, 5, 9, 11]])
    assert torch.equal(fast(input_ids=ids).logits, plain(input_ids=ids).logits)


def test_padding_on_the_left_is_masked_as_ever(pair):
    ids, mask = torch.tensor([[0, 0, 9, 11], [4, 8, 1, 6]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    plain, fast = (model(input_ids=ids, attention_mask=mask).logits[:, 2:] for model in pair)
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)


def test_attention_is_written_out_where_gradients_are_asked_for(pair, monkeypatch):
    seen = []
    whole = cpu.sdpa_attention_forward
    monkeypatch.setattr(cpu, "sdpa_attention_forward", lambda *a, **k: (seen.append(1), whole(*a, **k))[1])
    _, fast = pair
    fast(input_ids=torch.tensor([[2, 5, 9, 11]])).logits.sum().backward()
    assert not seen
    with torch.inference_mode():
        fast(input_ids=torch.tensor([[2, 5, 9, 11]]))
    assert seen


def test_nothing_of_it_is_saved(pair, tmp_path):
    for model, name in zip(pair, ("plain", "fast"), strict=True):
        model.save_pretrained(tmp_path / name)
    told = [(tmp_path / name / "config.json").read_text() for name in ("plain", "fast")]
    assert told[0] == told[1]


def test_a_copy_uses_its_own_weights():
    layer = nn.Sequential(nn.Linear(4, 3).requires_grad_(False))
    quicken(layer)
    other = copy.deepcopy(layer)
    nn.init.zeros_(other[0].weight)
    nn.init.zeros_(other[0].bias)
    x = torch.ones(2, 4)
    assert not other(x).any()
    assert layer(x).any()


def test_gelu_and_its_slope_are_those_of_torch():
    layer = nn.Sequential(ACT2FN["gelu_pytorch_tanh"])
    plain = copy.deepcopy(layer)
    quicken(layer)
    assert type(layer[0]) is not type(plain[0])
    points = torch.cat([torch.linspace(-60, 60, 4001), torch.linspace(-6, 6, 4001), torch.tensor([-1e9, 1e9])])
    values, slopes = [], []
    for module in (plain, layer):
        x = points.clone().requires_grad_()
        y = module(x)
        y.sum().backward()
        values.append(y.detach())
        slopes.append(x.grad)
    torch.testing.assert_close(values[1], values[0], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(slopes[1], slopes[0], atol=2e-6, rtol=1e-5)


def test_a_layer_of_another_class_is_left_alone():
    class Own(nn.Linear):
        pass

    layer = nn.Sequential(Own(4, 3))
    quicken(layer)
    assert type(layer[0]) is Own
