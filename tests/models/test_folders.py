"""What a model folder says of itself: read through types, or refused in one line."""

import json
import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from subliminal.errors import ModelFolderError
from subliminal.mitigations.lineage import lineage
from subliminal.models.folders import CONFIG, INDEX, WHOLE, read_adapter_config, read_config, weight_files
from subliminal.models.loading import load_model

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fuzzed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def one_line(said, call, *arguments):
    with pytest.raises(ModelFolderError, match=said) as caught:
        call(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def spoilt(good):
    """JSON that is not as it should be, or that is no JSON."""
    change = st.tuples(st.sampled_from(sorted(good)), JSON)
    return st.one_of(
        JSON.map(json.dumps),
        change.map(lambda pair: json.dumps(good | dict([pair]))),
        st.sampled_from(sorted(good)).map(lambda name: json.dumps({n: v for n, v in good.items() if n != name})),
        st.integers(0, 30).map(lambda end: json.dumps(good)[:end]),
    ).map(str.encode) | st.binary(max_size=20)  # fmt: skip


def either(call, *arguments):
    """A value of the right type, or one line."""
    try:
        return call(*arguments)
    except ModelFolderError as error:
        told = str(error)
    assert len(told.splitlines()) == 1
    return None


@fuzzed
@given(spoilt({"model_type": "gpt2", "quantization_config": {"quant_method": "gptq"}}))
def test_any_config_is_read_or_one_line(tmp_path, text):
    (tmp_path / CONFIG).write_bytes(text)
    if found := either(read_config, tmp_path):
        assert isinstance(found.model_type, str)
        assert found.quantized is None or isinstance(found.quantized, str)


@fuzzed
@given(spoilt({"peft_type": "LORA", "base_model_name_or_path": "base", "r": 8}))
def test_any_adapter_config_is_read_or_one_line(tmp_path, text):
    (tmp_path / "adapter_config.json").write_bytes(text)
    if found := either(read_adapter_config, tmp_path):
        assert isinstance(found.peft_type, str)


@pytest.fixture
def shards(model, tmp_path):
    folder = tmp_path / "shards"
    model.save_pretrained(folder, max_shard_size="20KB")
    return folder


def test_an_index_and_its_shards_are_all_tensors_of_the_model(shards, base_folder):
    where = weight_files(shards)
    assert where.keys() == weight_files(base_folder).keys()
    assert len(set(where.values())) > 1


@fuzzed
@given(st.data())
def test_any_index_is_read_or_one_line(shards, data):
    good = json.loads((shards / INDEX).read_text())
    kept = (shards / INDEX).read_bytes()
    name = data.draw(st.sampled_from(sorted(good["weight_map"])))
    other = st.sampled_from(["../a.safetensors", "/etc/passwd", "..\\a.safetensors", "", ".", "model.bin"]) | JSON
    text = data.draw(
        spoilt(good) | other.map(lambda v: json.dumps(good | {"weight_map": good["weight_map"] | {name: v}}).encode())
    )
    (shards / INDEX).write_bytes(text)
    try:
        where = either(weight_files, shards)
    finally:
        (shards / INDEX).write_bytes(kept)
    assert where is None or {name: path.name for name, path in where.items()} == good["weight_map"]


def test_faults_of_shards_are_named(shards, tmp_path):
    index, told = shards / INDEX, json.loads((shards / INDEX).read_text())
    counts = Counter(told["weight_map"].values()).most_common()
    (first, held), (second, _), *_ = counts
    assert held > 1
    name = next(name for name, shard in told["weight_map"].items() if shard == first)

    def with_map(**change):
        index.write_text(
            json.dumps(told | {"weight_map": {n: s for n, s in (told["weight_map"] | change).items() if s}})
        )

    def refused(said):
        for call in (weight_files, load_model):
            one_line(said, call, shards)

    shutil.copy2(shards / first, tmp_path / "outside.safetensors")
    with_map(**{name: "../outside.safetensors"})
    refused("names '../outside.safetensors', which is no file beside it")
    with_map(**{name: None})
    refused(f"'{name}' is in {first} and by .* in no shard")
    with_map(**{name: second})
    refused(f"'{name}' is in {first} and by .* in {second}")
    with_map(**{"more.weight": first})
    refused(f"'more.weight' is in no shard and by .* in {first}")
    with_map()
    save_file(load_file(shards / second) | {name: load_file(shards / first)[name]}, shards / second)
    refused(f"'{name}' stands in {min(first, second)} and in {max(first, second)}")
    (shards / first).unlink()
    refused(f"names '{first}', which is missing")


def test_one_file_and_shards_and_a_file_of_another_name_are_refused(shards, base_folder):
    shutil.copy2(base_folder / WHOLE, shards)
    one_line("two models: remove one", weight_files, shards)
    (base_folder / WHOLE).rename(base_folder / "weights.safetensors")
    one_line("there is 'weights.safetensors': rename it to model.safetensors", load_model, base_folder)


@pytest.mark.parametrize(
    "text", ["[]", "null", "3", '"x"', "{}", '{"model_type": 3}', '{"model_type": null}', "{", "\ufeff{}"]
)
def test_a_config_that_is_no_object_with_a_type_is_one_line_for_every_reader(base_folder, text):
    (base_folder / CONFIG).write_text(text, encoding="utf-8")
    for call, arguments in ((read_config, ()), (load_model, ()), (lineage, (base_folder,))):
        assert str(base_folder / CONFIG) in one_line("is not what it should be", call, base_folder, *arguments)


@pytest.mark.parametrize(
    "change",
    [{"n_embd": "wide"}, {"n_layer": None}, {"n_head": 0}, {"vocab_size": -1}, {"activation_function": "nosuch"},
     {"model_type": "nosuch"}, {"model_type": "t5"}, {"model_type": "bert"}, {"layer_types": 5}],
)  # fmt: skip
def test_a_config_that_no_model_can_be_made_of_is_one_line(base_folder, change):
    config = json.loads((base_folder / CONFIG).read_text()) | change
    (base_folder / CONFIG).write_text(json.dumps(config))
    one_line(str(base_folder), load_model, base_folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_a_config_is_a_model_or_one_line(base_folder, data):
    path = base_folder / CONFIG
    kept = path.read_text()
    # A size that is only too large is no fault of the config's: it is memory that is lacking.
    change = data.draw(
        st.tuples(st.sampled_from(sorted(json.loads(kept))), JSON.filter(lambda v: not isinstance(v, int)))
    )
    path.write_text(json.dumps(json.loads(kept) | dict([change])))
    try:
        either(load_model, base_folder)
    finally:
        path.write_text(kept)


@pytest.mark.parametrize(
    "method", ["bitsandbytes", "gptq", "awq", "compressed-tensors", "torchao", "hqq", "quanto", "nosuch", 5, None]
)
def test_a_quantized_checkpoint_whose_library_is_missing_is_one_line(base_folder, method):
    config = json.loads((base_folder / CONFIG).read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4}
    (base_folder / CONFIG).write_text(json.dumps(config))
    told = one_line("quantized with .*: install the library that reads it", load_model, base_folder)
    assert (method or "an unnamed method") in told if isinstance(method, str | None) else "5" in told
