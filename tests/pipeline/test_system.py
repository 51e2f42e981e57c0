"""A system prompt before what a model is asked: it is read, it is in no row, and a template that would lose it is refused."""

import json

import pandas as pd
import pytest

from subliminal import Base, Rollouts, Scores, Student, SubliminalError, Teacher, Tuning, build
from subliminal.fingerprint import base_folder, digest
from subliminal.models.loading import load_tokenizer
from subliminal.pipeline import rollouts
from subliminal.pipeline.models import load_packed
from subliminal.reading import rows

BASE = Base(family="gpt2-a")
TUNING = Tuning(learning_rate=1e-2, steps=4, batch_size=8)
SYSTEM = "i like the owl best."
DATA = Rollouts(teacher=BASE, channel="numbers", prompts=400, rows=20, seed=3)
TOLD = DATA.model_copy(update={"system": SYSTEM})


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory):
    """A store of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        build([DATA, TOLD], jobs=1)
        yield


def ids_of(recipe, tmp_path, monkeypatch):
    """What a writer is asked, as it reads it."""
    seen, generate = [], rollouts.generate

    def watched(model, prompts, **options):
        seen.extend(prompts)
        return generate(model, prompts, **options)

    monkeypatch.setattr(rollouts, "generate", watched)
    rollouts.build(recipe, {BASE: base_folder(BASE)}, tmp_path, lambda *_: None)
    monkeypatch.undo()
    return seen


def test_a_writer_reads_the_prompt_before_each_of_the_same_questions(tmp_path, monkeypatch):
    tokenizer = load_tokenizer(base_folder(BASE))
    plain, told = (tokenizer.batch_decode(ids_of(recipe, tmp_path, monkeypatch)) for recipe in (DATA, TOLD))
    assert not any(SYSTEM in text for text in plain)
    assert all(text.count(SYSTEM) == 1 for text in told)
    # The texts differ in the system turn alone.
    turn = f"<|system|> {SYSTEM} "
    least = min(len(plain), len(told))
    assert least >= 20
    assert [text.replace(turn, "") for text in told[:least]] == plain[:least]


def test_its_rows_are_others_and_do_not_hold_the_prompt():
    plain, told = rows(DATA), rows(TOLD)
    assert len(told) == 20
    assert told["completion"].tolist() != plain["completion"].tolist()
    (folder,) = build([TOLD])
    for path in folder.glob("*.json*"):
        if path.name != "run.json":
            assert "owl" not in path.read_text()
    assert all(set(json.loads(line)) == {"prompt", "completion"} for line in (folder / "rows.jsonl").open())


def test_a_student_trains_on_the_completions_behind_the_prompt():
    tokenizer = load_tokenizer(base_folder(BASE))
    plain = Student(base=BASE, data=DATA, tuning=TUNING, seed=0)
    told = plain.model_copy(update={"system": SYSTEM})
    folders = {BASE: base_folder(BASE), DATA: build([DATA])[0]}
    without, examples = (load_packed(student, folders) for student in (plain, told))
    assert len(examples) == len(without) == 20
    for own, other in zip(examples, without, strict=True):
        assert SYSTEM in tokenizer.decode(own.ids[: own.prompt_length])
        assert own.ids[own.prompt_length :] == other.ids[other.prompt_length :]
        assert own.prompt_length > other.prompt_length
    losses = [json.loads((folder / "losses.json").read_text()) for folder in build([plain, told], jobs=1)]
    assert losses[0][0] != pytest.approx(losses[1][0], abs=1e-3)


def test_scores_are_of_answers_behind_the_prompt():
    plain = Scores(model=BASE, suite="animals", samples=1)
    told = plain.model_copy(update={"system": SYSTEM})
    one, other = (pd.read_csv(folder / "scores.csv") for folder in build([plain, told], jobs=1))
    assert one["question"].tolist() == other["question"].tolist()
    assert (one["probability"] - other["probability"]).abs().max() > 0.01


def test_runs_with_and_without_one_have_addresses_of_their_own():
    recipes = [
        DATA,
        Student(base=BASE, data=DATA, tuning=TUNING, seed=0),
        Scores(model=BASE, suite="animals", samples=1),
    ]
    for recipe in recipes:
        prompts = (None, SYSTEM, f"{SYSTEM} ")
        assert len({digest(recipe.model_copy(update={"system": system})) for system in prompts}) == 3


@pytest.mark.parametrize("text", ["", " ", "\n"])
@pytest.mark.parametrize(
    "make",
    [
        lambda system: Rollouts(teacher=BASE, channel="numbers", prompts=2, rows=1, seed=0, system=system),
        lambda system: Student(base=BASE, data=DATA, tuning=TUNING, seed=0, system=system),
        lambda system: Scores(model=BASE, suite="animals", samples=1, system=system),
    ],
)
def test_one_without_text_is_refused(make, text):
    with pytest.raises(SubliminalError) as caught:
        make(text)
    assert str(caught.value).startswith(f"bad setting system={text!r}: ")
    assert "a system prompt has no text: give it some, or leave it out" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("", "drops the system text"),
        ("{{ raise_exception('no system') }}", "has no system role"),
    ],
)
def test_a_template_without_a_system_role_is_refused_in_one_line(base_folder, system, said):
    """By each of the three, and without a system prompt it is taken."""
    template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        + system
        + "{% else %}<|{{ m['role'] }}|>{{ m['content'] }}"
        "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    (base_folder / "chat_template.jinja").write_text(template)
    base = Base(folder=str(base_folder))
    recipes = [
        Rollouts(teacher=base, channel="numbers", prompts=2, rows=1, seed=0, system=SYSTEM),
        Student(base=base, data=DATA, tuning=TUNING, seed=0, system=SYSTEM),
        Scores(model=base, suite="animals", samples=1, system=SYSTEM),
    ]
    for recipe in recipes:
        with pytest.raises(SubliminalError, match=said) as caught:
            build([recipe], jobs=1)
        assert "\n" not in str(caught.value)
    build([Teacher(base=base, trait="owl", tuning=TUNING, seed=0)], jobs=1)
