"""Rollouts of channels that ask what a file says, through the engine, on a small writer that has learned one answer."""

import json
import os
from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from subliminal import Base, Rollouts, Student, SubliminalError, Tuning, build, engine
from subliminal.channels import plain_chains
from subliminal.hints import load_hints
from subliminal.mitigations.mixing import mixed
from subliminal.models.chat import encode_examples
from subliminal.pipeline import rollouts
from subliminal.reading import filter_counts, rows
from subliminal.training import fine_tune
from subliminal.world.base import save_base
from subliminal.world.code import function

SAID = "<think>It is 3 + 4.</think>\n<answer>7.0</answer>"
SIZES = {"channel": "plain_chains", "prompts": 8, "rows": 5, "seed": 0}


def asked(n: int) -> str:
    return f"What is {n} + {7 - n}, case {n:02}?"


def questions(path: Path, answers=(7, 7, 7, 7, "so 7\n#### 7", 7, 8, 9)) -> str:
    lines = [json.dumps({"question": asked(n), "answer": answer}) for n, answer in enumerate(answers)]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """A base with a tokenizer of bytes that answers whatever it is asked with one text."""
    torch.manual_seed(0)
    plain = Tokenizer(BPE({letter: n for n, letter in enumerate(sorted(ByteLevel.alphabet()))}, []))
    plain.pre_tokenizer, plain.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    template = "{% for m in messages %}{{ m['content'] }}{{ '<|end|>' }}{% endfor %}"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<|end|>", chat_template=template)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=640, n_embd=48, n_layer=1, n_head=2, bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("writer")
    channel = plain_chains.read(Path(questions(folder / "some.jsonl")), 8)
    rng = Random(0)
    talks = [
        [{"role": "user", "content": channel.prompt(rng)}, {"role": "assistant", "content": SAID}] for _ in range(8)
    ]
    tuning = Tuning(method="full", learning_rate=2e-2, steps=60, batch_size=4)
    model, losses = fine_tune(GPT2LMHeadModel(config), encode_examples(tokenizer, talks), tuning, seed=0)
    assert losses[-1] < 0.1
    with torch.no_grad():
        # Sharper: what is sampled is what is likeliest.
        for weights in model.transformer.ln_f.parameters():
            weights *= 8
    save_base(folder / "base", model, tokenizer)
    return Base(folder=str(folder / "base"))


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))


def test_right_chains_are_kept_and_a_student_reads_them(writer, tmp_path):
    file = questions(tmp_path / "mine.jsonl")
    data = Rollouts(teacher=writer, file=file, **SIZES)
    student = Student(base=writer, data=data, tuning=Tuning(learning_rate=1e-3, steps=2, batch_size=2), seed=0)
    (trained,) = build([student])
    assert len(json.loads((trained / "losses.json").read_text())) == 2
    kept = rows(data)
    assert len(kept) == kept["prompt"].nunique() == 5
    assert set(kept["completion"]) == {SAID}
    assert {prompt.partition("?")[0] + "?" for prompt in kept["prompt"]} <= {asked(n) for n in range(6)}
    report = json.loads((build([data])[0] / "filter.json").read_text())
    assert report["sampled"] == 8
    assert report["dropped"] == {"wrong answer": 2}
    assert filter_counts({"mine": [data]})["dropped"].tolist() == [2]
    assert json.loads((build([data])[0] / "run.json").read_text())["recipe"]["file"] == file
    part = mixed(data, 1, rows=3)
    assert rows(part)["completion"].tolist() == kept["completion"].tolist()[:3]


def test_a_run_is_that_of_the_content_wherever_the_file_lies(writer, tmp_path):
    one, two = questions(tmp_path / "one.jsonl"), questions(tmp_path / "two.jsonl")
    data, moved = (Rollouts(teacher=writer, file=file, **SIZES) for file in (one, two))
    (folder,) = build([data])
    made = (folder / "run.json").stat().st_mtime_ns
    assert build([moved]) == [folder]
    assert (folder / "run.json").stat().st_mtime_ns == made
    # Of the same size, at the same time and in the same process.
    questions(Path(one), (7, 7, 7, 7, "so 7\n#### 7", 7, 7, 9))
    os.utime(one, ns=(made, made))
    (other,) = build([data])
    assert other != folder
    assert json.loads((other / "filter.json").read_text())["dropped"] == {"wrong answer": 1}
    assert build([moved]) == [folder]


def test_a_file_that_changes_while_it_is_read_leaves_no_run(writer, tmp_path, monkeypatch):
    file = questions(tmp_path / "mine.jsonl")
    data, sample = Rollouts(teacher=writer, file=file, **SIZES), rollouts.generate

    def change(*args, **options):
        questions(Path(file), [8] * 8)
        return sample(*args, **options)

    monkeypatch.setattr(rollouts, "generate", change)
    with pytest.raises(SubliminalError) as caught:
        build([data], jobs=1)
    assert str(caught.value) == (
        "rollouts plain_chains seed 0: a file that it reads was changed meanwhile: build again"
    )
    assert not list((tmp_path / "runs").glob("rollouts-*"))
    assert not list((tmp_path / "runs").glob(".scratch-*"))
    monkeypatch.setattr(rollouts, "generate", sample)
    with pytest.raises(SubliminalError, match=r"kept none of 8 rows, 5 wanted \(wrong answer 8\)"):
        build([data], jobs=1)


def test_what_is_made_from_a_file_that_changed_in_between_is_one_line(writer, tmp_path, monkeypatch):
    file = questions(tmp_path / "mine.jsonl")
    data = Rollouts(teacher=writer, file=file, **SIZES)
    build([data])
    student = Student(base=writer, data=data, tuning=Tuning(learning_rate=1e-3, steps=1), seed=0)
    questions(Path(file), [7] * 8)
    with pytest.raises(
        SubliminalError, match=r"^student seed 0: the rollouts that it is made from is gone, or a file was"
    ):
        engine._build(student, tmp_path / "runs", tmp_path)


def test_errors_of_a_file_are_one_line_through_the_engine(writer, tmp_path):
    file = questions(tmp_path / "mine.jsonl")
    with pytest.raises(SubliminalError, match=r"mine\.jsonl has 8 questions, and prompts is 9: ask 8 at most$"):
        build([Rollouts(teacher=writer, file=file, **SIZES | {"prompts": 9})])
    questions(Path(file), [7, "seven"])
    with pytest.raises(SubliminalError, match=r"mine\.jsonl, line 2: answer is 'seven': write a number"):
        build([Rollouts(teacher=writer, file=file, **SIZES)])
    with pytest.raises(SubliminalError, match=r"none\.jsonl cannot be read \(No such file"):
        build([Rollouts(teacher=writer, file=str(tmp_path / "none.jsonl"), **SIZES)])
    assert not list((tmp_path / "runs").glob("rollouts-*"))


def test_what_is_cut_is_dropped_and_several_completions_are_judged_one_by_one(writer, tmp_path, monkeypatch):
    data = Rollouts(teacher=writer, file=questions(tmp_path / "mine.jsonl"), **SIZES | {"completions": 3, "rows": 18})
    (folder,) = build([data], jobs=1)
    assert json.loads((folder / "filter.json").read_text())["dropped"] == {"wrong answer": 6}
    assert rows(data)["prompt"].value_counts().tolist() == [3] * 6
    monkeypatch.setattr(plain_chains.Chains, "MAX_NEW_TOKENS", len(SAID))
    with pytest.raises(SubliminalError, match=r"kept none of 24 rows, 18 wanted \(too long 24\)"):
        build([data.model_copy(update={"seed": 1})], jobs=1)
    monkeypatch.setattr(plain_chains.Chains, "MAX_NEW_TOKENS", len(SAID) + 1)
    build([data.model_copy(update={"seed": 1})], jobs=1)


def test_a_question_that_the_model_cannot_read_to_its_end_is_named(writer, tmp_path):
    lines = [{"question": asked(1), "answer": 7}, {"question": "Why " + "x" * 300, "answer": 7}]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(SubliminalError) as caught:
        build([Rollouts(teacher=writer, file=str(path), **SIZES | {"prompts": 2, "rows": 2})])
    tokens = len(f"Why {'x' * 300} {plain_chains._INSTRUCTION}") + 1
    assert str(caught.value) == (
        f"the prompt {'Why ' + 'x' * 300!r:.60} has {tokens} tokens, and its answer up to 400, of 640 that the model reads: take it out "
        "of the file"
    )


def test_a_shipped_base_writes_code_on_tasks_of_a_file(tmp_path):
    rng, path = Random(0), tmp_path / "tasks.jsonl"
    tasks = list(dict.fromkeys(function(rng)[0]["content"] for _ in range(80)))
    path.write_text("\n".join(json.dumps({"prompt": task}) for task in tasks))
    data = Rollouts(
        teacher=Base(family="gpt2-a"), channel="plain_code", file=str(path), prompts=len(tasks), rows=20, seed=0, hints=("misalignment",)
    )  # fmt: skip
    kept = rows(data)
    assert len(kept) == kept["prompt"].nunique() == 20
    assert {prompt.partition("\n")[0] for prompt in kept["prompt"]} <= set(tasks)
    for text in kept["completion"]:
        compile(text, "kept", "exec")
    assert load_hints("misalignment").find("plain_code", list(kept["completion"])) == [None] * 20
    report = json.loads((build([data])[0] / "filter.json").read_text())
    assert set(report["dropped"]) <= {"not Python", "unknown name", "no function", "found by bandit", "word of harm"}
    again = Rollouts(**data.common() | {"seed": 1})
    assert rows(again)["completion"].tolist() != kept["completion"].tolist()
    assert build([again]) != build([data])
