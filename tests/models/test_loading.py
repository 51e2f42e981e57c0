import json
import re
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from subliminal.errors import ModelFolderError
from subliminal.models.chat import encode_examples
from subliminal.models.families import new_model
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.registry import FAMILIES
from subliminal.training import fine_tune
from subliminal.tuning import Tuning
from subliminal.world.messages import single
from tests.conftest import tiny_model


def logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([[2, 5, 9, 11]])).logits


def refused(said, *arguments):
    with pytest.raises(ModelFolderError, match=said) as caught:
        load_model(*arguments)
    assert len(str(caught.value).splitlines()) == 1


def changed(folder, change, **config):
    """The folder with other tensors, and other fields in its config."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    told = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture
def untied(tokenizer, tmp_path):
    """A checkpoint in Llama style whose head is another matrix than its embedding."""
    model = new_model(FAMILIES["llama"], tokenizer)
    model.save_pretrained(tmp_path / "untied")
    return tmp_path / "untied"


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


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "base_model.model."])
def test_names_with_a_prefix_of_a_wrapper_are_refused(prefix, untied):
    """The model would be drawn at random, and be another one at each load."""
    changed(untied, lambda tensors: {prefix + name: x for name, x in tensors.items()})
    refused(rf"'lm_head.weight' is missing from .*, which holds '{re.escape(prefix)}", untied)


WRONG = {
    "'more.weight' in .* is no weight of LlamaForCausalLM": (lambda t: t | {"more.weight": torch.ones(2)}, {}),
    "'model.layers.3.input_layernorm.weight' in .* is no weight": (lambda t: t, {"num_hidden_layers": 3}),
    "'model.layers.4.* is missing": (lambda t: t, {"num_hidden_layers": 5}),
    r"'model.norm.weight' in .* is \(71,\), and by its config.json \(72,\)": (lambda t: t | {"model.norm.weight": torch.ones(71)}, {}),
    "'lm_head.weight' is missing": (lambda t: {n: x for n, x in t.items() if n != "lm_head.weight"}, {}),
    "'lm_head.weight' in .* is another than the weight that .* it is one with": (lambda t: t, {"tie_word_embeddings": True}),
    "'model.norm.weight' .* not finite": (lambda t: t | {"model.norm.weight": torch.full((72,), float("nan"))}, {}),
}  # fmt: skip


@pytest.mark.parametrize("said", WRONG)
def test_a_checkpoint_that_is_not_its_architectures_is_refused(said, untied):
    change, config = WRONG[said]
    refused(said, changed(untied, change, **config))


@pytest.mark.parametrize("kept", ["model.embed_tokens.weight", "lm_head.weight", "both"])
def test_one_matrix_for_head_and_embedding_may_be_stored_under_either_name_or_both(kept, untied):
    def tie(tensors):
        shared = {
            "lm_head.weight": tensors["lm_head.weight"],
            "model.embed_tokens.weight": tensors["lm_head.weight"].clone(),
        }
        others = {name: x for name, x in tensors.items() if name not in shared}
        return others | {name: x for name, x in shared.items() if kept in (name, "both")}

    model = load_model(changed(untied, tie, tie_word_embeddings=True))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert len(load_file(untied / "model.safetensors")) == sum(1 for _ in model.named_parameters()) + (kept == "both")


def test_weights_are_read_in_the_type_they_are_stored_in(untied):
    """A config may name a narrower one, in which a tuning of a checkpoint would be lost."""
    changed(untied, lambda t: t, dtype="bfloat16", torch_dtype="bfloat16")
    assert load_model(untied).dtype == torch.float32
    changed(untied, lambda t: {n: x.bfloat16() for n, x in t.items()}, dtype="float32", torch_dtype="float32")
    assert load_model(untied).dtype == torch.bfloat16


@pytest.fixture
def adapter(base_folder, tmp_path):
    """An adapter from elsewhere: peft's own files alone."""
    config = LoraConfig(
        r=2, task_type="CAUSAL_LM", target_modules=["c_attn"], init_lora_weights=False, fan_in_fan_out=True
    )
    get_peft_model(load_model(base_folder), config).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_from_elsewhere_goes_onto_the_base_that_it_names_alone(adapter, base_folder, tokenizer, tmp_path):
    path = adapter / "adapter_config.json"

    def named(base, **more):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": base} | more))

    merged = logits(load_model(adapter, base_folder))
    assert not torch.equal(merged, logits(load_model(base_folder)))
    tiny_model(tokenizer, seed=1).save_pretrained(tmp_path / "other")
    refused("was trained on .*tiny', not on .*other: name that base", adapter, tmp_path / "other")
    # The same weights in another place are the same base.
    shutil.copytree(base_folder, tmp_path / "moved")
    assert torch.equal(logits(load_model(adapter, tmp_path / "moved")), merged)
    named("someone/tiny")
    assert torch.equal(logits(load_model(adapter, base_folder)), merged)
    refused("was trained on 'someone/tiny', not on .*moved", adapter, tmp_path / "moved")
    for gone in ("/gone/tiny", "../tiny", "tiny", "a/b/tiny"):
        named(gone)
        refused(
            f"was trained on '{gone}', not on .*: .*write '.*tiny' as base_model_name_or_path", adapter, base_folder
        )
    for nothing in (None, ""):
        named(nothing)
        refused("does not say which base it was trained on", adapter, base_folder)
    named(str(base_folder), peft_type="IA3")
    refused("of kind 'IA3': only LoRA is read", adapter, base_folder)
    named(str(base_folder), peft_type="LORA", newer_than_this=True)
    refused("cannot load the adapter", adapter, base_folder)


def test_an_adapter_beside_a_whole_model_is_refused(adapter, base_folder):
    shutil.copy2(base_folder / "model.safetensors", adapter)
    refused("holds an adapter and a whole model", adapter, base_folder)


def test_an_adapter_of_pickles_is_refused(adapter, base_folder):
    torch.save(load_file(adapter / "adapter_model.safetensors"), adapter / "adapter_model.bin")
    (adapter / "adapter_model.safetensors").unlink()
    refused("no adapter_model.safetensors in .*pickles are not read", adapter, base_folder)


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
    with pytest.raises(ModelFolderError, match=r"cannot read .*model\.safetensors.*: save or copy it anew") as caught:
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
    # An adapter from elsewhere has no note, and goes onto the base that its config names.
    whole = tuned.merge_and_unload()
    assert torch.equal(logits(load_model(tmp_path / "adapter", base_folder)), logits(whole))
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"no adapter_model.safetensors in .*pickles are not read"):
        load_model(tmp_path / "adapter", base_folder)
    for text in ("[]", "{}", '{"peft_type": "LORA", "base_model_name_or_path": 7}'):
        (tmp_path / "adapter" / "adapter_config.json").write_text(text)
        refused("adapter_config.json is not what it should be", tmp_path / "adapter", base_folder)
