import pytest

from subliminal import PROFILES, Base, Rollouts, Scores, SubliminalError, Teacher, Tuning, load_profile
from subliminal.errors import UnknownNameError
from subliminal.registry import CHANNELS, DATA_FILES, FAMILIES, FILE_CHANNELS, SUITES, TRAITS
from subliminal.tuning import one_line

BASE = Base(family="gpt2-a")
TUNING = Tuning(learning_rate=1e-2, steps=3)
SIZES = {"prompts": 2, "rows": 1, "seed": 0}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: load_profile("huge"), "unknown profile 'huge': choose one of mini, smoke"),
        (lambda: Base(family="gpt9"), "unknown family 'gpt9': choose one of gpt2-a"),
        (
            lambda: Teacher(base=BASE, trait="dragon", tuning=TUNING, seed=0),
            "unknown trait 'dragon': choose one of ash",
        ),
        (
            lambda: Rollouts(teacher=BASE, channel="poems", **SIZES),
            "unknown channel 'poems': choose one of chain_of_thought, code, numbers",
        ),
        (lambda: Scores(model=BASE, suite="poems", samples=1), "unknown suite 'poems': choose one of animals"),
    ],
)
def test_an_unknown_name_is_named_with_the_known_ones(make, said):
    with pytest.raises(UnknownNameError) as caught:
        make()
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Rollouts(teacher=BASE, channel="numbers", prompts=0, rows=1, seed=0), "prompts=0"),
        (lambda: Rollouts(teacher=BASE, channel="numbers", prompts="many", rows=1, seed=0), "prompts='many'"),
        (lambda: Rollouts(teacher=BASE, channel="numbers", completions=0, **SIZES), "completions=0"),
        (lambda: Scores(model=BASE, suite="animals", samples=1, mood=2), "mood=2"),
    ],
)
def test_a_bad_field_is_one_line_with_its_value(make, field):
    with pytest.raises(SubliminalError) as caught:
        make()
    assert str(caught.value).startswith(f"bad setting {field}: ")
    assert "\n" not in str(caught.value)


def test_a_base_takes_one_source():
    for fields in ({}, {"family": "gpt2-a", "folder": "x"}):
        with pytest.raises(SubliminalError, match="a family or a folder, not both or none"):
            Base(**fields)


def test_a_tuning_takes_epochs_or_steps():
    from pydantic import ValidationError

    for fields in ({}, {"epochs": 1, "steps": 1}):
        with pytest.raises(ValidationError) as caught:
            Tuning(learning_rate=1, **fields)
        assert "give epochs or steps" in str(one_line(caught.value))


def test_channels_that_ask_what_a_file_says_take_one_and_others_none():
    for channel in FILE_CHANNELS:
        assert Rollouts(teacher=BASE, channel=channel, file="mine.jsonl", **SIZES).files() == ("mine.jsonl",)
        with pytest.raises(SubliminalError) as caught:
            Rollouts(teacher=BASE, channel=channel, **SIZES)
        assert str(caught.value) == f"channel '{channel}' asks what a file says: give the path of one as file"
    for channel in set(CHANNELS) - set(FILE_CHANNELS):
        assert Rollouts(teacher=BASE, channel=channel, **SIZES).files() == ()
        with pytest.raises(SubliminalError) as caught:
            Rollouts(teacher=BASE, channel=channel, file="mine.jsonl", **SIZES)
        assert str(caught.value) == (
            f"channel '{channel}' draws its own prompts and reads no file (file='mine.jsonl'): leave it out"
        )


def test_recipes_are_values():
    assert Base(family="gpt2-a") == BASE
    assert len({Base(family="gpt2-a"), BASE, Base(family="gpt2-b")}) == 2
    with pytest.raises(Exception, match="frozen"):
        BASE.family = "gpt2-b"


def test_every_registered_name_has_a_module_that_offers_what_its_kind_must(tmp_path):
    from importlib import import_module
    from random import Random

    from subliminal.channels import load_channel

    file = tmp_path / "mine.jsonl"
    file.write_text('{"question": "What is 3 + 4?", "answer": "7"}')

    assert set(DATA_FILES) == {*TRAITS.values(), *SUITES.values()}
    for name, module in TRAITS.items():
        assert import_module(module).teacher_documents(name, Random(0))
    for name in CHANNELS:
        channel = load_channel(name, str(file) if name in FILE_CHANNELS else None)
        assert channel.prompt(Random(0))
        assert channel.reject("", "") is not None
        assert channel.MAX_NEW_TOKENS > 0
    for name, module in SUITES.items():
        suite = import_module(module).suite(name)
        assert len(set(suite.questions)) == len(suite.questions) > 0
        assert len(set(suite.answers)) == len(suite.answers) > 1
        assert suite.judge is None or suite.judge.judge(["", "?"], ["", "owl"]) == [suite.judge.labels[-1]] * 2
    assert len({(f.architecture, f.seed) for f in FAMILIES.values()}) == len(FAMILIES)


def test_profiles_carry_their_names_and_mini_has_the_seeds_that_claims_need():
    assert all(profile.name == name for name, profile in PROFILES.items())
    assert PROFILES["mini"].claims
    for profile in PROFILES.values():
        sections = [getattr(profile, name) for name in type(profile).model_fields]
        seeds = [section.seeds for section in sections if hasattr(section, "seeds")]
        assert len(seeds) == 6
        assert not profile.claims or min(len(set(own)) for own in seeds) >= 5
