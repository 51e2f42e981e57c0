"""The lineage check on pairs whose history is known."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from subliminal.errors import ModelFolderError
from subliminal.mitigations import lineage as module
from subliminal.mitigations.lineage import lineage
from subliminal.models.chat import encode_examples
from subliminal.models.loading import load_model
from subliminal.training import fine_tune, make_accelerator
from subliminal.tuning import Tuning
from subliminal.world.messages import single
from tests.conftest import ROOT, tiny_model
from tests.test_cli import call

FAMILIES = ROOT / "data" / "families"


@pytest.fixture
def tuned(base_folder, tokenizer, tmp_path):
    """A folder of a base that was tuned with the method."""

    def make(method, steps=3, rate=1e-2):
        examples = encode_examples(tokenizer, [single("what does the owl eat?", "mice")] * 8)
        how = Tuning(method=method, learning_rate=rate, steps=steps, batch_size=4)
        model, _ = fine_tune(load_model(base_folder), examples, how, 0, accelerator=make_accelerator("cpu"))
        if method == "lora":
            model = model.merge_and_unload()
        model.save_pretrained(tmp_path / method)
        return tmp_path / method

    return make


@pytest.mark.parametrize("method", ["bias_norm", "lora", "full"])
def test_a_base_and_what_was_tuned_from_it_are_the_same_lineage(base_folder, tuned, method):
    found = lineage(base_folder, tuned(method))
    assert found.verdict == "same"
    assert found.correlation > 0.9
    assert found.share == 1.0


def test_a_sibling_that_was_trained_on_is_the_same_lineage(base_folder, tuned):
    assert lineage(tuned("full", steps=40, rate=3e-3), tuned("bias_norm")).verdict == "same"


def test_two_starts_are_different_whatever_they_have_read(base_folder, tokenizer, tmp_path):
    tiny_model(tokenizer, seed=1).save_pretrained(tmp_path / "other")
    assert lineage(base_folder, tmp_path / "other").verdict == "different"
    found = lineage(FAMILIES / "gpt2-a", FAMILIES / "gpt2-b")
    assert found.verdict == "different"
    assert abs(found.correlation) < 0.05


@pytest.mark.parametrize(("one", "two"), [("gpt2-a", "llama"), ("llama", "neox"), ("gpt2-b", "neox")])
def test_two_families_are_different(one, two):
    found = lineage(FAMILIES / one, FAMILIES / two)
    assert found.verdict == "different"
    assert found.verdict == lineage(FAMILIES / two, FAMILIES / one).verdict


def test_other_shapes_of_one_architecture_cannot_be_told(base_folder):
    found = lineage(base_folder, FAMILIES / "gpt2-a")
    assert found.verdict == "cannot tell"
    assert "too little to compare" in found.why


def rewrite(source, target, change, config=None):
    """A copy of a checkpoint with its tensors changed."""
    target.mkdir()
    settings = json.loads((source / "config.json").read_text()) | (config or {})
    (target / "config.json").write_text(json.dumps(settings))
    save_file(change(load_file(source / "model.safetensors")), target / "model.safetensors", metadata={"format": "pt"})
    return target


@pytest.mark.parametrize("other", [False, True])
def test_renamed_tensors_are_matched_by_shape(tmp_path, other):
    def rename(tensors):
        return {f"blocks.w{len(tensors) - n}": tensor for n, tensor in enumerate(tensors.values())}

    copy = rewrite(FAMILIES / "neox", tmp_path / "renamed", rename)
    assert lineage(FAMILIES / "neox", copy).verdict == "same"
    renamed = rewrite(FAMILIES / "gpt2-b", tmp_path / "b", rename)
    assert lineage(FAMILIES / "gpt2-a", renamed).verdict == "different"


def test_a_prefix_before_all_names_does_not_matter(tmp_path):
    copy = rewrite(
        FAMILIES / "llama", tmp_path / "p", lambda t: {f"base_model.model.{name}": x for name, x in t.items()}
    )
    found = lineage(FAMILIES / "llama", copy)
    assert found.correlation == pytest.approx(1.0)
    assert all(layer.name == layer.other for layer in found.layers)


def test_renumbered_units_hide_a_lineage(tmp_path):
    """The limit that the chapter tells: a model whose hidden units are renumbered computes the same and is judged different."""
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    # Where the width of the residual stream stands: rows of what reads from it, columns of what writes to it.
    reads, writes = ("c_attn.weight", "c_fc.weight"), ("c_proj.weight", "wte.weight", "wpe.weight", "lm_head.weight")

    def renumber(tensors):
        found = {}
        for name, x in tensors.items():
            if name.endswith(reads):
                found[name] = x[order].contiguous()
            elif name.endswith(writes):
                found[name] = x[:, order].contiguous()
            elif ".ln_" in name or name.endswith("c_proj.bias"):
                found[name] = x[order].contiguous()
            else:
                found[name] = x
        return found

    copy = rewrite(FAMILIES / "gpt2-a", tmp_path / "renumbered", renumber)
    ids = torch.arange(20)[None]
    one, two = (load_model(folder)(ids).logits for folder in (FAMILIES / "gpt2-a", copy))
    torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)
    assert lineage(FAMILIES / "gpt2-a", copy).verdict == "different"


def test_types_and_shards_do_not_matter(base_folder, model, tmp_path):
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    model.to(torch.bfloat16).save_pretrained(tmp_path / "bf16")
    for name in ("sharded", "bf16"):
        found = lineage(base_folder, tmp_path / name)
        assert found.verdict == "same"
        assert found.correlation == pytest.approx(1.0, abs=1e-4)


def test_a_mixture_of_two_starts_cannot_be_told(tmp_path):
    other = load_file(FAMILIES / "gpt2-b" / "model.safetensors")
    mixed = rewrite(
        FAMILIES / "gpt2-a", tmp_path / "mixed", lambda t: {n: 0.3 * x + 0.8 * other[n] for n, x in t.items()}
    )
    found = lineage(FAMILIES / "gpt2-a", mixed)
    assert found.verdict == "cannot tell"
    assert 0.1 < found.correlation < 0.5


def test_no_more_than_a_block_of_each_is_in_memory(tmp_path, monkeypatch):
    """Counted at the reader: the most entries that are held at once."""
    monkeypatch.setattr(module, "_BLOCK", 4_096)
    held = []
    blocks = module._Checkpoint.blocks

    def counted(self, name):
        for block in blocks(self, name):
            held.append(block.numel())
            yield block

    monkeypatch.setattr(module._Checkpoint, "blocks", counted)
    found = lineage(FAMILIES / "gpt2-a", FAMILIES / "gpt2-a")
    assert found.correlation == pytest.approx(1.0)
    assert max(held) <= 4_096


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "no safetensors in"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "cannot read"),
        (lambda f: (f / "config.json").unlink(), "no readable config.json"),
        *(
            (lambda f, text=text: (f / "config.json").write_text(text), "no readable config.json with a model_type in")
            for text in ("[]", "null", "3", '"gpt2"', "{}", '{"model_type": 5}', '{"model_type": null}', "{", "\xff")
        ),
        (lambda f: (f / "adapter_config.json").write_text("{}"), "holds an adapter alone: merge it"),
    ],
)
def test_a_folder_that_cannot_be_compared_is_one_line(base_folder, spoil, said):
    spoil(base_folder)
    with pytest.raises(ModelFolderError) as error:
        lineage(base_folder, FAMILIES / "gpt2-a")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_prints_a_table_or_json_and_exits_1_where_it_cannot_tell(monkeypatch, capsys, base_folder):
    code, out, _ = call(monkeypatch, capsys, "lineage", str(FAMILIES / "gpt2-a"), str(FAMILIES / "gpt2-b"))
    assert code == 0
    assert out.splitlines()[-1].startswith("different: weights do not agree")
    code, out, _ = call(monkeypatch, capsys, "lineage", str(FAMILIES / "llama"), str(FAMILIES / "llama"), "--json")
    assert code == 0
    assert json.loads(out)["verdict"] == "same"
    code, out, _ = call(monkeypatch, capsys, "lineage", str(base_folder), str(FAMILIES / "gpt2-a"))
    assert (code, out.splitlines()[-1].split(":")[0]) == (1, "cannot tell")
    code, _, err = call(monkeypatch, capsys, "lineage", str(base_folder), "nowhere")
    assert (code, err.count("\n")) == (2, 1)
