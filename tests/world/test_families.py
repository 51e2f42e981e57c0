"""The shipped bases are what their cards say, and the recipe learns."""

import json
import os

import numpy as np
import pytest

from subliminal.models.families import new_model
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.paths import data_file
from subliminal.registry import FAMILIES, Family
from subliminal.tuning import Tuning
from subliminal.world.documents import corpus, digest
from subliminal.world.pretraining import Pretraining, pretrain
from subliminal.world.shipping import CARD, pretrain_families
from subliminal.world.skills import measure

SHORT = Pretraining(
    documents=3_000,
    block=96,
    tuning=Tuning(method="full", learning_rate=3e-3, steps=60, batch_size=16, schedule="cosine"),
)


def card(name):
    return json.loads((data_file(f"families/{name}") / CARD).read_text())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_shipped_base_has_the_skills_on_its_card(name):
    folder = data_file(f"families/{name}")
    scores = measure(load_model(folder), load_tokenizer(folder))
    # The same prompts and seeds: only rounding between machines can move a sampled answer.
    assert scores == pytest.approx(card(name)["scores"], abs=0.02)
    assert scores["numbers"] >= 0.9
    assert scores["code"] >= 0.9
    assert scores["answer mass"] >= 0.95
    assert scores["top animal"] <= 2 / 16


@pytest.mark.parametrize("name", FAMILIES)
def test_a_shipped_base_is_complete_and_small(name):
    folder = data_file(f"families/{name}")
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md", CARD} <= set(
        os.listdir(folder)
    )
    assert not list(folder.glob("*.bin"))
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 8 * 2**20
    assert card(name)["corpus_digest"] in (folder / "README.md").read_text()


def test_the_digest_on_each_card_is_the_corpus_of_this_code():
    recipe = Pretraining()
    expected = digest(corpus(recipe.documents, recipe.corpus_seed))
    for name in FAMILIES:
        assert card(name)["corpus_digest"] == expected
        assert Pretraining.model_validate(card(name)["recipe"]) == recipe


def test_the_families_share_vocabulary_and_shapes_but_not_weights():
    (a, b) = (load_model(data_file(f"families/{name}")).state_dict() for name in FAMILIES)
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}
    assert not any(np.allclose(a[k], b[k], atol=1e-3) for k in a if a[k].dim() == 2)
    vocabularies = [load_tokenizer(data_file(f"families/{name}")).get_vocab() for name in FAMILIES]
    assert vocabularies[0] == vocabularies[1]


def test_a_short_pretraining_learns_and_is_the_same_twice():
    first, _, losses = pretrain(Family("gpt2", 5), SHORT)
    again, _, _ = pretrain(Family("gpt2", 5), SHORT)
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    assert all((v == again.state_dict()[k]).all() for k, v in first.state_dict().items())


def test_an_initialization_is_a_matter_of_the_seed(tokenizer):
    one, same, other = (new_model(Family("gpt2", seed), tokenizer).state_dict() for seed in (0, 0, 1))
    assert all((v == same[k]).all() for k, v in one.items())
    assert not all((v == other[k]).all() for k, v in one.items())


def test_pretrain_writes_a_whole_family_with_its_card(tmp_path):
    (folder,) = pretrain_families(
        ["gpt2-b"], tmp_path, SHORT.model_copy(update={"tuning": SHORT.tuning.model_copy(update={"steps": 4})})
    )
    assert folder == tmp_path / "gpt2-b"
    assert load_tokenizer(folder).chat_template
    assert load_model(folder).num_parameters() == json.loads((folder / CARD).read_text())["parameters"]
    assert os.listdir(tmp_path) == ["gpt2-b"]
