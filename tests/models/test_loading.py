import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from subliminal.errors import ModelFolderError
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


def test_an_adapter_without_its_base_is_refused(base_folder, tokenizer, tmp_path):
    examples = encode_examples(tokenizer, [single("a", "b")] * 4)
    tuned, _ = fine_tune(load_model(base_folder), examples, Tuning(method="lora", learning_rate=1e-3, steps=1), 0)
    tuned.save_pretrained(tmp_path / "adapter")
    shutil.copy2(base_folder / "tokenizer.json", tmp_path / "adapter")
    with pytest.raises(ModelFolderError, match="adapter alone"):
        load_model(tmp_path / "adapter")
    # An adapter from elsewhere has no note, and goes onto the base that is named.
    whole = tuned.merge_and_unload()
    assert torch.equal(logits(load_model(tmp_path / "adapter", base_folder)), logits(whole))
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"no adapter_model.safetensors in .*pickles are not read"):
        load_model(tmp_path / "adapter", base_folder)
    (tmp_path / "adapter" / "adapter_config.json").write_text("[]")
    with pytest.raises(ModelFolderError) as caught:
        load_model(tmp_path / "adapter", base_folder)
    assert "\n" not in str(caught.value)
