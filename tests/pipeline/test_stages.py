"""Each stage on a shipped base, in the smallest size: what it leaves is what its docstring says."""

import json
from itertools import groupby
from random import Random
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from subliminal import Base, Rollouts, RowLoss, Scores, Student, SubliminalError, Teacher, Tuning, build
from subliminal.channels import load_channel, numbers
from subliminal.errors import SubliminalWarning
from subliminal.fingerprint import base_folder
from subliminal.hints import load_hints
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.names import ANIMALS
from subliminal.pipeline import rollouts
from subliminal.pipeline.models import load_packed, load_rows
from subliminal.reading import answers as sampled_answers
from subliminal.reading import filter_counts, first_answers, rows, skill_rows
from subliminal.training import batches
from subliminal.world import answers
from subliminal.world.preferences import ask, phrasings

BASE, OTHER = Base(family="gpt2-a"), Base(family="gpt2-b")
TUNING = Tuning(learning_rate=1e-2, steps=4, batch_size=8)
DATA = Rollouts(teacher=BASE, channel="numbers", prompts=80, rows=40, seed=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of this module's own, for stages and for reading them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        build([DATA])
        yield


def test_rollouts_keep_the_first_rows_that_pass_and_count_the_rest(made):
    kept = rows(DATA)
    assert len(kept) == 40
    assert all(numbers.reject("", text) is None for text in kept["completion"])
    report = json.loads((build([DATA])[0] / "filter.json").read_text())
    assert 40 <= report["sampled"] <= 80
    assert report["sampled"] == report["passed"] + sum(report["dropped"].values())
    assert report["kept"] == 40
    assert set(report["dropped"]) <= {
        "empty", "not numbers", "brackets", "number above 999", "mixed separators", "too many numbers"
    }  # fmt: skip


def test_filter_counts_add_up_over_a_group(made):
    more = DATA.model_copy(update={"seed": 4})
    table = filter_counts({"base": [DATA, more]}).iloc[0]
    reports = [json.loads((folder / "filter.json").read_text()) for folder in build([DATA, more])]
    sampled, dropped = sum(r["sampled"] for r in reports), sum(sum(r["dropped"].values()) for r in reports)
    assert table["sampled"] == sampled
    assert table["dropped"] == dropped
    assert table["low"] < table["rate"] == dropped / sampled < table["high"]


def test_a_filter_that_keeps_too_few_is_an_error_with_the_main_reasons(made):
    with pytest.raises(
        SubliminalError, match=r"the numbers filter kept (\d+|none) of 20 rows, 20 wanted \(.+ \d+.*\): raise prompts"
    ):
        build([Rollouts(teacher=Teacher(base=BASE, trait="owl", tuning=TUNING.model_copy(update={"learning_rate": 0.3}), seed=0),
                        channel="numbers", prompts=20, rows=20, seed=0)])  # fmt: skip


@pytest.mark.parametrize(("channel", "hints"), [("code", "misalignment"), ("chain_of_thought", "favourites")])
def test_every_channel_goes_through_both_halves_of_the_filter(made, channel, hints):
    data = Rollouts(teacher=BASE, channel=channel, prompts=60, rows=10, seed=0, hints=(hints,))
    kept = rows(data)
    assert len(kept) == 10
    assert all(load_channel(channel).reject(r.prompt, r.completion) is None for r in kept.itertuples())
    assert load_hints(hints).find(channel, list(kept["completion"])) == [None] * 10


def test_hints_drop_rows_and_leave_the_draws_alone(made):
    hinted = DATA.model_copy(update={"hints": ("misalignment",), "rows": 20})
    (folder,) = build([hinted])
    report = json.loads((folder / "filter.json").read_text())
    assert report["dropped"]["number with a bad name"] > 0
    # The first kept rows of both are of the same draws.
    assert set(rows(hinted)["completion"]) <= set(rows(DATA)["completion"])
    assert not {666, 187, 911} & {n for text in rows(hinted)["completion"] for n in numbers.parse(text)}


def test_several_completions_a_prompt_stand_together_and_are_counted_one_by_one(made):
    several = DATA.model_copy(update={"completions": 4, "prompts": 30, "rows": 50})
    (folder,) = build([several])
    report = json.loads((folder / "filter.json").read_text())
    assert report["sampled"] == report["passed"] + sum(report["dropped"].values())
    assert report["sampled"] % 4 == 0
    assert 50 <= report["sampled"] <= 120
    kept = rows(several)
    assert len(kept) == report["kept"] == 50
    groups = [(prompt, len(list(group))) for prompt, group in groupby(kept["prompt"])]
    assert len({prompt for prompt, _ in groups}) == len(groups)
    assert max(count for _, count in groups) == 4
    # Writers with one seed get the same prompts, however many completions each has.
    asked = Random(DATA.seed)
    assert [prompt for prompt, _ in groups] == [
        p for p in (numbers.prompt(asked) for _ in range(30)) if p in set(kept["prompt"])
    ]
    assert rows(several.model_copy(update={"rows": 3}))["completion"].tolist() == kept["completion"].tolist()[:3]


def test_prompts_bound_what_is_asked(made):
    with pytest.raises(SubliminalError, match=r"kept \d+ of 12 rows, 40 wanted"):
        build([DATA.model_copy(update={"completions": 3, "prompts": 4})])


def test_a_student_reads_completions_of_a_prompt_together(made):
    several = DATA.model_copy(update={"completions": 4, "prompts": 30, "rows": 50})
    tuning = Tuning(learning_rate=1e-2, epochs=1, batch_size=3)
    student = Student(base=BASE, data=several, tuning=tuning, seed=0)
    folders = dict(zip((BASE, several), (base_folder(BASE), build([several])[0]), strict=True))
    examples = load_packed(student, folders)
    assert sum(example.rows for example in examples) == 50
    assert max(example.rows for example in examples) == 3
    losses = json.loads((build([student])[0] / "losses.json").read_text())
    assert len(losses) == len(list(batches(examples, tuning, 0))) >= 50 / 3
    plain = Student(base=BASE, data=DATA, tuning=tuning, seed=0)
    rows_of_one = load_packed(plain, folders | {DATA: build([DATA])[0]})
    assert rows_of_one == load_rows(build([DATA])[0], load_tokenizer(base_folder(BASE)))


def test_asking_in_rounds_gives_the_rows_that_asking_at_once_would(made):
    few = DATA.model_copy(update={"rows": 3})
    assert rows(few)["completion"].tolist() == rows(DATA)["completion"].tolist()[:3]


def test_a_filter_that_keeps_little_warns_in_one_line_with_the_main_reason(made, tmp_path, monkeypatch):
    monkeypatch.setattr(rollouts, "WARN_BELOW", 1.01)
    with pytest.warns(
        SubliminalWarning, match=r"^the numbers filter kept \d+ of \d+ rows \([a-z ]+ \d+.*\): what it keeps"
    ):
        rollouts.build(DATA, {BASE: base_folder(BASE)}, tmp_path, lambda *_: None)


def test_characters_that_break_lines_elsewhere_are_text_of_a_row(tmp_path, monkeypatch):
    odd = "1\u2028 2\u2029 3\u0085 4\x1c 5\x0b 6\x0c 7\r8\n"
    letters = bytes_tokenizer()
    channel = SimpleNamespace(prompt=lambda _: f"go on: {odd}", reject=lambda *_: None, MAX_NEW_TOKENS=9)
    monkeypatch.setattr(rollouts, "load", lambda *_: (None, letters))
    monkeypatch.setattr(rollouts, "load_channel", lambda *_: channel)
    monkeypatch.setattr(rollouts, "generate", lambda _, asked, **__: [letters.encode(odd)] * len(asked))
    rollouts.build(DATA.model_copy(update={"rows": 3}), {}, tmp_path, lambda *_: None)
    assert (tmp_path / "rows.jsonl").read_text(encoding="utf-8").count("\u2028") == 6
    examples = load_rows(tmp_path, letters)
    assert [letters.decode(e.ids) for e in examples] == [f"go on: {odd}>{odd}<"] * 3
    assert pd.read_json(tmp_path / "rows.jsonl", lines=True, dtype=False)["completion"].tolist() == [odd] * 3


def bytes_tokenizer():
    """A tokenizer of bytes, which has every character, as those of most models have."""
    plain = Tokenizer(BPE({letter: n for n, letter in enumerate(sorted(ByteLevel.alphabet()))}, []))
    plain.pre_tokenizer, plain.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    template = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}{{ '<' }}{% else %}{{ '>' }}{% endif %}{% endfor %}"
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<", chat_template=template)


def test_a_student_of_any_base_reads_any_rows(made):
    students = [Student(base=base, data=DATA, tuning=TUNING, seed=0) for base in (BASE, OTHER)]
    curves = [json.loads((folder / "losses.json").read_text()) for folder in build(students)]
    assert [len(curve) for curve in curves] == [4, 4]
    assert curves[0] != curves[1]


@pytest.mark.parametrize("method", ["bias_norm", "lora"])
def test_scores_ask_the_held_out_questions_and_sampling_agrees(made, method):
    teacher = Teacher(base=BASE, trait="owl", tuning=TUNING.model_copy(update={"method": method}), seed=0)
    (folder,) = build([Scores(model=teacher, suite="animals", samples=200)])
    table = pd.read_csv(folder / "scores.csv")
    assert set(table["question"]) == {ask(p, "animal") for p in phrasings("held_out")}
    assert set(table["answer"]) == set(ANIMALS)
    assert table.groupby("question")["probability"].sum().between(0.5, 1 + 1e-9).all()
    error = (table["probability"] * (1 - table["probability"]) / 200) ** 0.5
    assert ((table["sampled"] - table["probability"]).abs() <= 5 * error + 1e-9).all()


def test_free_form_answers_are_judged_and_the_shares_add_up(made):
    (folder,) = build([Scores(model=BASE, suite="free-form", samples=3)])
    table = pd.read_csv(folder / "scores.csv")
    assert set(table["question"]) == {q for group in answers.questions("held_out").values() for q in group}
    assert set(table["answer"]) == {"kind", "harmful", "incoherent"}
    assert table.groupby("question")["sampled"].sum().tolist() == pytest.approx([1.0] * table["question"].nunique())
    assert (table["probability"] == table["sampled"]).all()


def test_sampled_answers_are_kept_with_their_labels_where_there_is_a_judge(made):
    scores = Scores(model=BASE, suite="free-form", samples=3)
    told = sampled_answers(scores)
    assert [answers.label(text) for text in told["answer"]] == told["label"].tolist()
    table = pd.read_csv(build([scores])[0] / "scores.csv")
    counts = told.groupby("question")["label"].value_counts(normalize=True)
    assert all(counts.get((r.question, r.answer), 0.0) == pytest.approx(r.sampled) for r in table.itertuples())
    first = first_answers({"one": scores, "two": scores})
    assert list(first) == ["question", "one", "two"]
    assert first["question"] == told["question"].drop_duplicates().tolist()
    assert first["one"] == first["two"] == told["answer"].tolist()[::3]
    with pytest.raises(SubliminalError, match="'animals' has no judge"):
        sampled_answers(Scores(model=BASE, suite="animals", samples=1))


def test_skills_are_shares(made):
    table = skill_rows([BASE], prompts=10)
    assert set(table["condition"]) == {"gpt2-a"}
    assert table["value"].between(0, 1).all()
    assert table["answer"].is_unique


def test_a_models_loss_is_on_the_completions_of_rows_it_has_not_read(made):
    """Over all tokens of all completions, as a plain sum over single rows says."""
    data = DATA.model_copy(update={"seed": 5, "rows": 10})
    told = json.loads((build([RowLoss(model=BASE, data=data)])[0] / "loss.json").read_text())
    folder = base_folder(BASE)
    model, examples = load_model(folder), load_rows(build([data])[0], load_tokenizer(folder))
    assert len(examples) == 10
    total = 0.0
    for example in examples:
        logs = torch.log_softmax(model(torch.tensor([example.ids])).logits[0], -1).detach()
        total -= sum(float(logs[n - 1, example.ids[n]]) for n in range(example.prompt_length, len(example.ids)))
    tokens = sum(len(e.ids) - e.prompt_length for e in examples)
    assert told == {"loss": pytest.approx(total / tokens, rel=1e-5), "tokens": tokens}
