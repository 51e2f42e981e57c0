"""Settings of a tuning that change how a step is made, and not what it is: precision, parts, activations, LoRA's modules, checkpoints."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

from subliminal import checkpoints
from subliminal.errors import SubliminalError
from subliminal.models.adapters import prepare
from subliminal.models.chat import join
from subliminal.models.loading import load_model, load_tokenizer, save_tuned
from subliminal.paths import data_file
from subliminal.training import fine_tune, make_accelerator
from subliminal.tuning import Tuning, one_line
from subliminal.world.preferences import preference
from tests.conftest import tiny_model
from tests.test_training import examples_of

LLAMA, GPT2 = data_file("families/llama"), data_file("families/gpt2-a")
# With a smaller epsilon, AdamW would follow a gradient that is nothing but rounding; so large a one, by its length.
TUNING = Tuning(method="full", learning_rate=1e-2, epochs=1, batch_size=8, epsilon=1e-3, max_grad_norm=0.1)
# Sums in another order differ by some 1e-7 of a value, which a step takes up times learning_rate / epsilon = 10 at most.
LOSS, WEIGHT = 1e-5, 1e-6
# bf16 has 8 bits: a product is off by up to 2^-9 of its value. Losses here are some 6 nats.
BF16 = 0.05


@pytest.fixture
def rows(tokenizer):
    return examples_of(tokenizer, preference, 41)


def packed(rows):
    """The rows as answers to one prompt, three together."""
    length = rows[0].prompt_length
    prompt = rows[0].ids[:length]
    return join([e._replace(ids=prompt + e.ids[e.prompt_length :], prompt_length=length) for e in rows], 3)


def tune(tokenizer, rows, tuning, **options):
    model, losses = fine_tune(tiny_model(tokenizer), rows, tuning, 0, **options)
    return losses, {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def agree(one, other, loss=LOSS, weight=WEIGHT):
    assert one[0] == pytest.approx(other[0], abs=loss)
    assert one[1].keys() == other[1].keys()
    for name, weights in one[1].items():
        torch.testing.assert_close(
            weights, other[1][name], atol=weight, rtol=0, msg=lambda said, n=name: f"{n}: {said}"
        )


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("form", [list, packed])
def test_a_step_in_parts_is_the_step_of_the_whole(tokenizer, rows, method, form):
    tuning = TUNING.model_copy(update={"method": method})
    whole = tune(tokenizer, form(rows), tuning)
    for parts in (2, 3, 50):  # Of more parts than rows, those that are empty are left out.
        agree(tune(tokenizer, form(rows), tuning.model_copy(update={"accumulate": parts})), whole)


def test_parts_are_read_one_after_the_other(tokenizer, rows, monkeypatch):
    seen = []
    forward = GPT2LMHeadModel.forward
    monkeypatch.setattr(
        GPT2LMHeadModel,
        "forward",
        lambda self, **given: (seen.append(len(given["input_ids"])), forward(self, **given))[1],
    )
    tune(tokenizer, rows[:8], TUNING.model_copy(update={"accumulate": 3}))
    assert seen == [3, 3, 2]


@pytest.mark.parametrize("method", ["full", "lora", "bias_norm"])
def test_activations_made_anew_change_nothing_and_are_kept_again_afterwards(tokenizer, rows, method):
    tuning, model = TUNING.model_copy(update={"method": method}), tiny_model(tokenizer)
    runs = []
    model.transformer.h[0].ln_1.register_forward_hook(lambda *_: runs.append(1))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*checkpointing")
        # peft asks by an old name.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        anew, losses = fine_tune(model, rows, tuning.model_copy(update={"checkpointing": True}), 0)
    weights = {name: p.detach() for name, p in anew.named_parameters() if p.requires_grad}
    agree((losses, weights), tune(tokenizer, rows, tuning))
    assert len(runs) == 2 * len(losses)
    assert not any(getattr(module, "gradient_checkpointing", False) for module in anew.modules())


def test_activations_are_kept_again_after_a_training_that_failed(tokenizer, rows):
    model = tiny_model(tokenizer)

    def stop(*_):
        assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(model, rows, TUNING.model_copy(update={"checkpointing": True}), 0, progress=stop)
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def test_an_architecture_that_cannot_make_activations_anew_is_named(rows):
    model = OpenAIGPTLMHeadModel(OpenAIGPTConfig(n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(
        SubliminalError, match=r"^OpenAIGPTLMHeadModel cannot make activations anew: set checkpointing=False$"
    ):
        fine_tune(model, rows, TUNING.model_copy(update={"checkpointing": True}), 0)


@pytest.mark.parametrize("method", ["full", "lora", "bias_norm"])
def test_bf16_changes_products_and_not_weights(tokenizer, rows, method):
    tuning = TUNING.model_copy(update={"method": method, "learning_rate": 3e-2, "epochs": 4})
    exact, _ = tune(tokenizer, rows, tuning.model_copy(update={"precision": "fp32"}))
    losses, weights = tune(tokenizer, rows, tuning.model_copy(update={"precision": "bf16"}))
    assert {w.dtype for w in weights.values()} == {torch.float32}
    assert losses == pytest.approx(exact, abs=BF16)
    assert losses != pytest.approx(exact, abs=1e-6)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 2 * BF16


@pytest.mark.parametrize("order", [("fp32", "bf16"), ("bf16", "fp32")])
def test_one_process_tunes_in_one_precision_after_another(tokenizer, rows, order):
    found = {p: tune(tokenizer, rows, TUNING.model_copy(update={"precision": p})) for p in order}
    plain = tune(tokenizer, rows, TUNING)
    agree(found["fp32"], plain, loss=0, weight=0)
    assert found["bf16"][0] != pytest.approx(plain[0], abs=1e-6)


def test_an_accelerator_keeps_its_precision_when_another_is_made(tokenizer, rows):
    exact = make_accelerator("cpu", "fp32")
    half = make_accelerator("cpu", "bf16")
    assert (exact.mixed_precision, half.mixed_precision) == ("no", "bf16")
    curves = {a: tune(tokenizer, rows, TUNING, accelerator=a)[0] for a in (exact, half)}
    assert curves[exact] == tune(tokenizer, rows, TUNING.model_copy(update={"precision": "fp32"}))[0]
    assert curves[half] == tune(tokenizer, rows, TUNING.model_copy(update={"precision": "bf16"}))[0]


def test_each_accelerator_is_on_the_device_that_was_asked_for(monkeypatch):
    """Also where there is a CUDA device, which this stands in for: nothing is put there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    devices = ["cuda", "cpu", "cuda", "cpu"]
    made = [make_accelerator(device) for device in devices]
    assert [a.device.type for a in made] == devices
    assert [a.mixed_precision for a in made] == ["bf16", "no"] * 2


def adapted(model):
    """The names of the modules that have an adapter, as they are called in the model without one."""
    return {
        name.removeprefix("base_model.model.").rpartition(".lora_A")[0]
        for name, p in model.named_parameters()
        if p.requires_grad and ".lora_A." in name
    }


def lora(**fields):
    return Tuning(method="lora", learning_rate=1e-2, steps=3, batch_size=8, **fields)


@pytest.mark.parametrize(
    ("folder", "fields", "names"),
    [
        (LLAMA, {"targets": ("q_proj",)}, [f"model.layers.{n}.self_attn.q_proj" for n in range(4)]),
        (
            LLAMA,
            {"targets": ("v_proj", "down_proj"), "layers": (0, 2)},
            [f"model.layers.{n}.{name}" for n in (0, 2) for name in ("self_attn.v_proj", "mlp.down_proj")],
        ),
        (GPT2, {"targets": ("c_fc",), "layers": (2,)}, ["transformer.h.2.mlp.c_fc"]),
        # The last part of two names.
        (GPT2, {"targets": ("c_proj",), "layers": (1,)}, ["transformer.h.1.attn.c_proj", "transformer.h.1.mlp.c_proj"]),
        (
            GPT2,
            {},
            [f"transformer.h.{n}.{name}" for n in range(3) for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")],
        ),
    ],
)  # fmt: skip
def test_just_the_named_modules_of_the_named_blocks_are_adapted(folder, fields, names):
    assert adapted(prepare(load_model(folder), lora(**fields), 0)) == set(names)


@pytest.mark.parametrize(
    ("folder", "fields", "said"),
    [
        (LLAMA, {"targets": ("q_proj", "c_attn")}, "LlamaForCausalLM has no linear layer 'c_attn': name some of down_proj, gate_proj, k_proj"),
        (LLAMA, {"targets": ("lm_head",)}, "LlamaForCausalLM has no linear layer 'lm_head': name some of"),
        (LLAMA, {"targets": ("layers",)}, "LlamaForCausalLM has no linear layer 'layers': name some of"),
        (LLAMA, {"targets": ("q_proj",), "layers": (0, 4)}, "LlamaForCausalLM has no 'q_proj' in a block 4: its blocks are 0 to 3"),
        (GPT2, {"targets": ("q_proj",)}, "GPT2LMHeadModel has no linear layer 'q_proj': name some of c_attn, c_fc, c_proj"),
        (GPT2, {"targets": ("c_fc",), "layers": (3,)}, "GPT2LMHeadModel has no 'c_fc' in a block 3: its blocks are 0 to 2"),
    ],
)  # fmt: skip
def test_what_a_model_does_not_have_is_named(folder, fields, said):
    with pytest.raises(SubliminalError) as caught:
        prepare(load_model(folder), lora(**fields), 0)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_target_that_not_each_named_block_has_is_named(model):
    model.transformer.h[1].mlp.gate = nn.Linear(16, 16)
    model.project = nn.Linear(16, 16)
    with pytest.raises(SubliminalError, match=r"^GPT2LMHeadModel has no 'gate' in a block 0: its blocks are 1 to 1$"):
        prepare(model, lora(targets=("c_fc", "gate"), layers=(0, 1)), 0)
    with pytest.raises(SubliminalError, match=r"^GPT2LMHeadModel has no 'project' in a block 0: it is in none$"):
        prepare(model, lora(targets=("project",), layers=(0,)), 0)
    names = {f"transformer.h.1.mlp.{name}" for name in ("gate", "c_fc")}
    assert adapted(prepare(model, lora(targets=("gate", "c_fc"), layers=(1,)), 0)) == names


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "full", "targets": ("q_proj",)}, "targets are of LoRA, and method is full"),
        ({"method": "lora", "layers": (0,)}, "layers go with targets: name the modules"),
        ({"method": "lora", "targets": ()}, "bad setting targets=()"),
        ({"method": "lora", "targets": ("q_proj",), "layers": (-1,)}, "bad setting layers.0=-1"),
        ({"precision": "fp16"}, "bad setting precision='fp16'"),
        ({"accumulate": 0}, "bad setting accumulate=0"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(fields, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Tuning(learning_rate=1, steps=1, **fields)
    line = str(one_line(caught.value))
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("folder", "fields"),
    [
        (LLAMA, {"targets": ("q_proj", "up_proj"), "layers": (1, 3)}),
        (GPT2, {"targets": ("c_proj",), "layers": (0, 2)}),
        # So many modules that peft writes their names in short.
        (LLAMA, {"targets": ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj"), "layers": (0, 2, 3)}),
    ],
)  # fmt: skip
def test_a_model_with_some_modules_adapted_reads_back_the_same(folder, fields, tmp_path):
    tokenizer = load_tokenizer(folder)
    rows = examples_of(tokenizer, preference, 24)
    tuned, _ = fine_tune(load_model(folder), rows, lora(**fields), 0)
    save_tuned(tuned, tmp_path, folder, "lora")
    ids = torch.tensor([rows[0].ids])
    with torch.inference_mode():
        before, after, told = (
            m(input_ids=ids).logits for m in (load_model(folder), load_model(tmp_path, folder, "lora"), tuned)
        )
    torch.testing.assert_close(after, told, atol=1e-4, rtol=0)
    assert float((told - before).abs().max()) > 0.1


def stopped(tokenizer, rows, tuning, path):
    """Train up to the seventh step, and stop."""

    def stop(done, _):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(tokenizer, rows, tuning, checkpoint=path, progress=stop)


@pytest.mark.parametrize("method", ["lora", "bias_norm"])
def test_a_checkpoint_by_time_holds_trained_weights_alone_and_leads_to_the_same(
    tokenizer, rows, tmp_path, monkeypatch, method
):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    tuning = TUNING.model_copy(update={"method": method, "epochs": 2, "schedule": "cosine", "weight_decay": 0.1})
    whole = tune(tokenizer, rows, tuning)
    path = tmp_path / "state.pt"
    stopped(tokenizer, rows, tuning, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    kept = torch.load(path, weights_only=True)
    assert kept["step"] == 7
    assert kept["model"].keys() == whole[1].keys()
    assert set(kept["optimizer"]["state"]) == set(range(len(whole[1])))
    seen = []
    again = tune(tokenizer, rows, tuning, checkpoint=path, progress=lambda done, _: seen.append(done))
    assert seen == [8, 9, 10, 11, 12]
    agree(again, whole, loss=0, weight=0)
    checkpoints.remove(path)
    assert not list(tmp_path.iterdir())


def test_no_checkpoint_is_written_before_it_is_due(tokenizer, rows, tmp_path):
    path = tmp_path / "state.pt"
    tune(tokenizer, rows, TUNING, checkpoint=path)
    assert not path.exists()


def test_dropout_is_the_same_again_and_after_a_stop(tokenizer, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    tuning = TUNING.model_copy(update={"epochs": 2})

    def run(seed=0, **options):
        model = tiny_model(tokenizer)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.3
        tuned, losses = fine_tune(model, rows, tuning, seed, **options)
        return losses, dict(tuned.named_parameters())

    def stop(done, _):
        if done == 7:
            raise KeyboardInterrupt

    whole, path = run(), tmp_path / "state.pt"
    assert whole[0] != tune(tokenizer, rows, tuning)[0]
    torch.manual_seed(5)
    agree(run(), whole, loss=0, weight=0)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, progress=stop)
    agree(run(checkpoint=path), whole, loss=0, weight=0)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "cannot go on from"),
        (lambda path: path.write_bytes(b""), "cannot go on from"),
        (lambda path: torch.save({"step": 3}, path), r"cannot go on from .* \('model'\): delete it, and begin anew"),
        (lambda path: torch.save([], path), "cannot go on from"),
        (
            lambda path: torch.save(
                {**(kept := torch.load(path)), "model": {n: w[:1] for n, w in kept["model"].items()}}, path
            ),
            r"transformer\.\S+ is \(1,\) and not",
        ),
    ],
)
def test_a_damaged_checkpoint_is_one_line(tokenizer, rows, tmp_path, monkeypatch, damage, said):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    tuning, path = TUNING.model_copy(update={"method": "bias_norm", "epochs": 2}), tmp_path / "state.pt"
    stopped(tokenizer, rows, tuning, path)
    damage(path)
    with pytest.raises(SubliminalError, match=said) as caught:
        tune(tokenizer, rows, tuning, checkpoint=path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
