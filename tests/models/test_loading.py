import json
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from subliminal.errors import ModelFolderError, SubliminalWarning
from subliminal.models.chat import encode_examples
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.training import fine_tune
from subliminal.tuning import Tuning
from subliminal.world.messages import single


def logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([[2, 5, 9, 11]])).logits


def test_a_saved_base_loads_with_the_same_function_and_tokens(base_folder, model, tokenizer):
    assert torch.equal(logits(load_model(base_folder)), logits(model))
    text = "what does the owl eat?"
    assert load_tokenizer(base_folder)(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert load_tokenizer(base_folder).chat_template == tokenizer.chat_template


def test_a_model_that_lacks_a_tensor_is_refused(base_folder):
    """The library below would draw it at random, and only warn."""
    path = base_folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["transformer.ln_f.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"'transformer.ln_f.weight' is missing from the model in"):
        load_model(base_folder)


def test_weights_that_the_model_does_not_have_are_refused(base_folder):
    """The library below would leave them out: a value head, or every name behind a wrapper's prefix."""
    path = base_folder / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"v_head.weight": torch.ones(3)}, path, metadata={"format": "pt"})
    with pytest.raises(
        ModelFolderError, match=r"'v_head.weight' in .* is no weight of a GPT2LMHeadModel: it would be left out"
    ):
        load_model(base_folder)
    for prefix in ("module.", "_orig_mod.", "base_model.model."):
        save_file({prefix + name: x for name, x in tensors.items()}, path, metadata={"format": "pt"})
        with pytest.raises(ModelFolderError, match=r"is missing from the model in .* more: save it anew"):
            load_model(base_folder)


def test_weights_of_another_shape_are_refused(base_folder):
    path = base_folder / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.ln_f.weight"] = torch.ones(7)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match="cannot load the model in") as caught:
        load_model(base_folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "null",
        "3",
        '{"model_type": 7}',
        '{"model_type": "nothing-like-it"}',
        '{"auto_map": {"AutoConfig": "x.Y"}}',
        "\xff",
    ],
)
def test_a_config_of_another_kind_is_one_line(base_folder, config):
    (base_folder / "config.json").write_text(config, encoding="latin-1")
    with pytest.raises(ModelFolderError) as caught:
        load_model(base_folder)
    assert "\n" not in str(caught.value)


def test_a_quantized_checkpoint_whose_library_is_not_there_is_one_line(base_folder):
    config = json.loads((base_folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (base_folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFolderError, match="cannot load the model in") as caught:
        load_model(base_folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["bias_norm", "full"])
def test_weights_of_a_bfloat16_checkpoint_move_when_they_are_tuned(base_folder, model, tokenizer, method):
    """In bfloat16 updates of this size round to nothing: 70 to 98 % of the weights stayed as they were."""
    model.to(torch.bfloat16).save_pretrained(base_folder)
    loaded = load_model(base_folder, trains=method)
    before = {name: x.detach().clone() for name, x in loaded.named_parameters()}
    assert loaded.dtype == torch.float32
    examples = encode_examples(
        tokenizer, [single("what does the owl eat?", "mice"), single("name an animal.", "fox")] * 4
    )
    rate = 2e-4 if method == "bias_norm" else 2e-5
    tuned, _ = fine_tune(loaded, examples, Tuning(method=method, learning_rate=rate, steps=20), 0)
    moved = [
        (x != before[name]).float().mean()
        for name, x in tuned.named_parameters()
        if x.requires_grad and "wte" not in name and "wpe" not in name and "lm_head" not in name
    ]
    assert torch.stack(moved).mean() > 0.9


def test_sharded_safetensors_load(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path / "sharded")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert torch.equal(logits(load_model(tmp_path / "sharded")), logits(model))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ModelFolderError, match=r"no model folder at .*nowhere"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ModelFolderError, match=r"no model folder at .*nowhere"):
        load_tokenizer(tmp_path / "nowhere")


def test_a_folder_of_pickles_is_refused(base_folder, model):
    (base_folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), base_folder / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match=r"no safetensors in .*pickles are not read"):
        load_model(base_folder)


def test_a_folder_without_chat_template_is_refused(base_folder):
    (base_folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelFolderError, match=r"no chat template in .*add chat_template.jinja"):
        load_tokenizer(base_folder)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"\xff" * 16 + b[16:], lambda b: b""])
def test_damaged_weights_are_one_line(base_folder, damage):
    path = base_folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelFolderError, match="save it anew") as caught:
        load_model(base_folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "load"), [("config.json", load_model), ("tokenizer.json", load_tokenizer)])
def test_a_damaged_config_or_tokenizer_is_one_line(base_folder, name, load):
    (base_folder / name).write_text("{")
    with pytest.raises(ModelFolderError) as caught:
        load(base_folder)
    assert "\n" not in str(caught.value)


@pytest.fixture
def adapter(base_folder, tokenizer, tmp_path):
    """An adapter from elsewhere, without a note, and the model that it was saved from."""
    examples = encode_examples(tokenizer, [single("a", "b")] * 4)
    tuned, _ = fine_tune(load_model(base_folder), examples, Tuning(method="lora", learning_rate=1e-3, steps=1), 0)
    tuned.save_pretrained(tmp_path / "adapter")
    return tuned


def configure(folder, **fields):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_an_adapter_goes_onto_its_own_base_alone(adapter, base_folder, model, tmp_path):
    """By the path that its config names, where that is here; else nobody can tell, and it is said."""
    other, folder = tmp_path / "other", tmp_path / "adapter"
    shutil.copytree(base_folder, other)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SubliminalWarning)
        load_model(folder, other)
    with torch.no_grad():
        model.transformer.ln_f.weight.mul_(2)
    model.save_pretrained(other)
    with pytest.raises(
        ModelFolderError, match=r"is of the base in .*tiny, and .*other is another model: name its own base"
    ):
        load_model(folder, other)
    configure(folder, base_model_name_or_path="somebody/a-base")
    with pytest.warns(
        SubliminalWarning, match=r"somebody/a-base, which is not here: whether .*other is that model cannot be told"
    ):
        load_model(folder, other)
    configure(folder, base_model_name_or_path=None)
    with pytest.warns(SubliminalWarning, match="a base that it does not name"):
        load_model(folder, other)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"peft_type": "IA3"}, "adapter of kind 'IA3': give a LoRA adapter"),
        ({"peft_type": 3}, "adapter of kind 3"),
        ({"base_model_name_or_path": ["a"]}, "base_model_name_or_path is .*no text"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(adapter, base_folder, tmp_path, fields, said):
    configure(tmp_path / "adapter", **fields)
    with pytest.raises(ModelFolderError, match=said):
        load_model(tmp_path / "adapter", base_folder)


def test_an_adapter_without_its_base_is_refused(adapter, base_folder, tmp_path):
    shutil.copy2(base_folder / "tokenizer.json", tmp_path / "adapter")
    with pytest.raises(ModelFolderError, match="adapter alone"):
        load_model(tmp_path / "adapter")
    # An adapter from elsewhere has no note, and goes onto the base that is named.
    whole = adapter.merge_and_unload()
    assert torch.equal(logits(load_model(tmp_path / "adapter", base_folder)), logits(whole))
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"no adapter_model.safetensors in .*pickles are not read"):
        load_model(tmp_path / "adapter", base_folder)
    (tmp_path / "adapter" / "adapter_config.json").write_text("[]")
    with pytest.raises(ModelFolderError) as caught:
        load_model(tmp_path / "adapter", base_folder)
    assert "\n" not in str(caught.value)
