"""What a tuned model's folder keeps, and what is refused rather than opened as another model."""

import json
import re
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from subliminal.errors import ModelFolderError
from subliminal.fingerprint import folder_digest
from subliminal.models.chat import encode_examples
from subliminal.models.deltas import ADAPTER, NOTE, WEIGHTS, read_note
from subliminal.models.loading import load_model, load_tokenizer, save_tuned
from subliminal.registry import FAMILIES
from subliminal.training import fine_tune, make_accelerator
from subliminal.tuning import Tuning
from subliminal.world.messages import single
from tests.conftest import ROOT, tiny_model

SHIPPED = ROOT / "data" / "families"


def tune(base, folder, method, steps=2):
    """Tune the model in ``base``, write what is kept, and return its state."""
    examples = encode_examples(load_tokenizer(base), [single("what does the owl eat?", "mice")] * 4)
    tuning = Tuning(method=method, learning_rate=1e-2, steps=steps, batch_size=4)
    tuned, _ = fine_tune(load_model(base), examples, tuning, 0, accelerator=make_accelerator("cpu"))
    save_tuned(tuned, folder, base, method)
    return (tuned.merge_and_unload() if method == "lora" else tuned).state_dict()


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def same(one, two):
    return one.keys() == two.keys() and all(one[n].dtype == two[n].dtype and torch.equal(one[n], two[n]) for n in one)


@pytest.mark.parametrize("method", ["bias_norm", "lora", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_tuned_model_of_every_family_opens_bit_for_bit(family, method, tmp_path):
    base, folder = SHIPPED / family, tmp_path / "run"
    trained = tune(base, folder, method)
    opened = load_model(folder, base, method)
    assert same(opened.state_dict(), trained)
    assert not same(trained, load_model(base).state_dict())
    assert not opened.training
    assert method == "lora" or all(p.requires_grad for p in opened.parameters())
    assert json.loads((folder / NOTE).read_text()) == {
        "version": 1, "method": method, "base": family, "digest": folder_digest(base)
    }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_of_biases_and_norms_holds_them_alone_and_is_a_small_part_of_its_base(family, tmp_path):
    base, folder = SHIPPED / family, tmp_path / "run"
    tune(base, folder, "bias_norm")
    kept, whole = load_file(folder / WEIGHTS), load_file(base / "model.safetensors")
    assert kept.keys() == {name for name, x in whole.items() if x.dim() == 1}
    assert {path.name for path in folder.iterdir()} == {NOTE, WEIGHTS}
    assert size(folder) < size(base) / 50


def test_tied_and_short_weights_open_bit_for_bit(tokenizer, tmp_path):
    """The tiny model shares its head with its embedding, and here is in bfloat16: it trains in float32, and is kept so."""
    base, folder = tmp_path / "bf16", tmp_path / "run"
    tiny_model(tokenizer).to(torch.bfloat16).save_pretrained(base)
    tokenizer.save_pretrained(base)
    for method in ("bias_norm", "full"):
        trained = tune(base, folder / method, method)
        assert {x.dtype for x in trained.values()} == {torch.float32}
        opened = load_model(folder / method, base)
        assert same(opened.state_dict(), trained)
        assert opened.lm_head.weight is opened.transformer.wte.weight


@pytest.fixture
def runs(base_folder, tmp_path):
    """A run of each method."""
    folders = {method: tmp_path / method for method in ("bias_norm", "lora", "full")}
    for method, folder in folders.items():
        tune(base_folder, folder, method, steps=1)
    return folders


def refused(said, *arguments):
    with pytest.raises(ModelFolderError, match=said) as caught:
        load_model(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_changed_in_one_base_never_goes_onto_another(runs, base_folder, tokenizer, tmp_path):
    """The other base has the same names and shapes: only its digest tells."""
    other = tmp_path / "other"
    tiny_model(tokenizer, seed=1).save_pretrained(other)
    tokenizer.save_pretrained(other)
    digests = [folder_digest(folder)[:12] for folder in (base_folder, other)]
    for folder in runs.values():
        told = refused("name the base it was tuned from, or build the run again", folder, other)
        assert all(part in told for part in (str(folder), "'tiny'", str(other), *digests))
    (base_folder / "generation_config.json").write_text("{}")
    refused("is another model", runs["bias_norm"], base_folder)


def test_a_missing_base_is_named_with_the_run(runs, tmp_path):
    for folder in runs.values():
        told = refused("there is no model folder at .*gone: put it back", folder, tmp_path / "gone")
        assert str(folder) in told
    refused("holds biases and norms alone: name the base folder .*`subliminal export`", runs["bias_norm"])
    refused("holds an adapter alone: name the base folder", runs["lora"])
    # All of it was trained: it needs no base.
    assert load_model(runs["full"])


def test_a_changed_digest_a_missing_note_and_a_note_of_other_weights_are_refused(runs, base_folder):
    for method, folder in runs.items():
        note = folder / NOTE
        kept = note.read_text()
        digest = json.loads(kept)["digest"]
        note.write_text(kept.replace(digest, "0" * 64))
        refused("digest 000000000000", folder, base_folder)
        for other in {"bias_norm", "lora", "full"} - {method}:
            note.write_text(kept.replace(method, other))
            refused(f"holds weights of {method}, and its {NOTE} says {other}", folder, base_folder)
        note.write_text(kept)
        refused("should hold a model tuned with", folder, base_folder, "lora" if method != "lora" else "full")
        note.unlink()
        told = f"should hold a model tuned with {method}, and there is no {NOTE}"
        refused(f"has {WEIGHTS} and no {NOTE}" if method == "bias_norm" else told, folder, base_folder, method)


def test_weights_of_two_kinds_in_one_folder_are_refused(runs, base_folder):
    shutil.copy2(runs["full"] / "model.safetensors", runs["bias_norm"])
    refused("holds weights of bias_norm and full", runs["bias_norm"], base_folder)
    shutil.copy2(runs["bias_norm"] / WEIGHTS, runs["full"])
    refused("holds weights of bias_norm and full", runs["full"], base_folder)


NAME = "transformer.h.0.attn.c_attn.bias"
CHANGES = {
    "none, of the base": lambda t: t.pop(NAME),
    "of the base none": lambda t: t.update({"transformer.h.9.ln_1.bias": torch.zeros(16)}),
    # A matrix is of the base, and no part of what biases and norms are.
    r"transformer.wpe.weight' is .* of the base none": lambda t: t.update({"transformer.wpe.weight": torch.zeros(192, 16)}),
    r"is \(47,\) torch.float32, of the base \(48,\)": lambda t: t.update({NAME: t[NAME][1:].clone()}),
    r"is \(1, 48\)": lambda t: t.update({NAME: t[NAME][None].clone()}),
    "torch.float16, of the base .* torch.float32": lambda t: t.update({NAME: t[NAME].half()}),
    "does not fit its base": lambda t: t.clear(),
}  # fmt: skip


@pytest.mark.parametrize("said", CHANGES)
def test_tensors_that_are_not_the_bases_own_are_refused(said, runs, base_folder):
    path = runs["bias_norm"] / WEIGHTS
    tensors = load_file(path)
    CHANGES[said](tensors)
    save_file(tensors, path)
    refused(said, runs["bias_norm"], base_folder)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1], lambda b: b + b"x", lambda b: b"", lambda b: b"\xff" * 16 + b[16:]]
)  # fmt: skip
@pytest.mark.parametrize(("method", "name"), [("bias_norm", WEIGHTS), ("lora", ADAPTER)])
def test_damaged_tensors_are_one_line(method, name, damage, runs, base_folder):
    path = runs[method] / name
    path.write_bytes(damage(path.read_bytes()))
    refused("cannot (read|load)", runs[method], base_folder)


def test_an_adapter_with_a_tensor_too_few_or_too_many_is_refused(runs, base_folder):
    path = runs["lora"] / ADAPTER
    tensors = load_file(path)
    name, *_ = tensors
    save_file({n: x for n, x in tensors.items() if n != name}, path)
    refused(re.escape(f"'{name}' is missing from the adapter"), runs["lora"], base_folder)
    save_file(tensors | {"base_model.model.lora_A.weight": torch.zeros(1)}, path)
    refused("'base_model.model.lora_A.weight' does not belong to the adapter", runs["lora"], base_folder)
    save_file(tensors | {name: tensors[name][:1].clone()}, path)
    refused("cannot load the adapter", runs["lora"], base_folder)
    path.unlink()
    refused(f"holds no weights, and its {NOTE} says lora", runs["lora"], base_folder)


def test_a_folder_with_nothing_of_a_model_is_refused(runs, tmp_path, base_folder):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "losses.json").write_text("[]")
    refused("no config.json in", tmp_path / "losses", base_folder)
    (runs["bias_norm"] / WEIGHTS).unlink()
    refused("holds no weights", runs["bias_norm"], base_folder)


GOOD = {"version": 1, "method": "bias_norm", "base": "tiny", "digest": "a" * 64}
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANY = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
# A good note with fields that are another's, missing or unknown; and what is no note at all.
SPOILT = st.one_of(
    ANY.map(json.dumps),
    st.tuples(st.sampled_from([*GOOD, "more"]), ANY).map(lambda change: json.dumps(GOOD | dict([change]))),
    st.sampled_from(list(GOOD)).map(lambda name: json.dumps({n: v for n, v in GOOD.items() if n != name})),
    st.integers(0, len(json.dumps(GOOD)) - 1).map(lambda end: json.dumps(GOOD)[:end]),
    st.text(max_size=30),
).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=30)  # fmt: skip


@given(SPOILT)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_note_is_one_line(tmp_path, text):
    (tmp_path / NOTE).write_bytes(text)
    (tmp_path / WEIGHTS).write_bytes(b"")

    def read():
        # A field may be replaced by one as good: then the base is another.
        note = read_note(tmp_path)
        assert note.model_dump() == json.loads(text)
        assert (type(note.version), note.version, note.method) == (int, 1, "bias_norm")
        note.check(tmp_path, tmp_path)

    with pytest.raises(ModelFolderError) as caught:
        read()
    assert str(caught.value).splitlines() == [str(caught.value)]


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True, None])
def test_a_note_of_another_version_says_so(runs, base_folder, version):
    note = runs["bias_norm"] / NOTE
    note.write_text(json.dumps(json.loads(note.read_text()) | {"version": version}))
    refused("is damaged or of another version", runs["bias_norm"], base_folder)
