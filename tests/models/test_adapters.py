import pytest
from torch import nn

from subliminal.models.adapters import prepare
from subliminal.tuning import Tuning


def trained_names(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_bias_norm_trains_biases_and_layer_norms_alone(model):
    trained = trained_names(prepare(model, Tuning(learning_rate=1, steps=1), 0))
    assert "transformer.ln_f.weight" in trained
    assert trained
    assert all(name.endswith("bias") or ".ln_" in name for name in trained)


def test_full_trains_everything(model):
    everything = {name for name, _ in model.named_parameters()}
    assert trained_names(prepare(model, Tuning(method="full", learning_rate=1, steps=1), 0)) == everything


def test_lora_trains_the_adapter_alone_and_starts_at_the_base(model):
    tuned = prepare(model, Tuning(method="lora", learning_rate=1, steps=1), 0)
    trained = trained_names(tuned)
    assert trained
    assert all("lora_" in name for name in trained)
    assert all(not p.any() for name, p in tuned.named_parameters() if "lora_B" in name)


def test_a_model_without_biases_and_norms_is_refused():
    with pytest.raises(Exception, match="no biases and no norms: use method lora or full"):
        prepare(nn.Sequential(nn.Linear(3, 3, bias=False)), Tuning(learning_rate=1, steps=1), 0)
