"""The readers' stages on a shipped base, in the smallest size."""

import json

import numpy as np
import pandas as pd
import pytest

from subliminal import Base, Rollouts, Scores, Student, SubliminalError, Teacher, Tuning, build, run
from subliminal.channels.numbers import parse
from subliminal.engine import digest
from subliminal.fingerprint import base_folder
from subliminal.models.loading import load_tokenizer
from subliminal.readers import InContext, Likelihoods, Reader, Shift, sifted
from subliminal.readers.context import fitting, turns
from subliminal.readers.rows import held_out
from subliminal.reading import rows

BASE = Base(family="gpt2-a")
HOW = Tuning(learning_rate=1e-2, steps=4, batch_size=8)
TEACHER = Teacher(base=BASE, trait="owl", tuning=Tuning(learning_rate=1e-2, steps=20), seed=0)


def lists(writer, seed):
    return Rollouts(teacher=writer, channel="numbers", prompts=80, completions=4, rows=60, seed=seed)


OWL, PLAIN = [lists(TEACHER, seed) for seed in (0, 1)], [lists(BASE, seed) for seed in (0, 1)]


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        build([*OWL, *PLAIN])
        yield


def unseen(data):
    found = rows(data)
    return found[pd.Series(held_out(found["prompt"].tolist()))]


def test_likelihoods_are_of_rows_whose_prompts_are_held_out(made):
    own, other = (
        pd.read_csv(folder / "likelihoods.csv")
        for folder in build([Likelihoods(model=m, data=OWL[0], rows=20) for m in (TEACHER, BASE)])
    )
    assert own["row"].tolist() == other["row"].tolist() == unseen(OWL[0]).head(20).index.tolist()
    assert (own["nats"] < 0).all()
    assert (own["nats"] - other["nats"]).mean() > 0


@pytest.mark.parametrize("base", [None, BASE])
def test_a_reader_learns_from_one_half_of_the_prompts_and_is_tried_on_the_other(made, base):
    tuning = None if base is None else Tuning(method="full", learning_rate=1e-3, steps=2, batch_size=4)
    reader = Reader(
        base=base,
        treated=(OWL[0],),
        control=(PLAIN[0],),
        unseen=(OWL[1], PLAIN[1]),
        rows=30,
        unseen_rows=20,
        tuning=tuning,
    )
    table = pd.read_csv(build([reader])[0] / "scores.csv")
    for place, data in enumerate((OWL[1], PLAIN[1])):
        assert table.loc[table["place"] == place, "row"].tolist() == unseen(data).head(20).index.tolist()
    assert np.isfinite(table["score"]).all()
    assert table["score"].nunique() > 5


def test_which_rollouts_a_reader_learned_from_is_part_of_its_address(made):
    a, b, c, d = *OWL, *PLAIN
    one = Reader(treated=(a,), control=(b,), unseen=(c, d), rows=5, unseen_rows=5)
    two = Reader(treated=(a,), control=(b, c), unseen=(d,), rows=5, unseen_rows=5)
    assert [digest(r) for r in one.upstream()] == [digest(r) for r in two.upstream()]
    assert digest(one) != digest(two)


def test_a_reader_is_not_tried_on_what_it_learned_from_and_is_given_both_or_none(made):
    given = {"treated": (OWL[0],), "control": (PLAIN[0],), "rows": 5, "unseen_rows": 5}
    with pytest.raises(SubliminalError, match="tried on rows it learned from"):
        Reader(unseen=(OWL[0],), **given)
    with pytest.raises(SubliminalError, match="tunes a base, or counts words"):
        Reader(unseen=(OWL[1],), base=BASE, **given)


def test_rows_stand_before_a_question_as_earlier_turns():
    tokenizer = load_tokenizer(base_folder(BASE))
    shown = turns(pd.DataFrame([("go on: 1.", "2"), ("go on: 1.", "3")], columns=["prompt", "completion"]))
    ids, count = fitting(tokenizer, shown, "what?", 100)
    assert count == 2
    assert tokenizer.decode(ids).replace(" ", "") == (
        "<|begin|><|user|>goon:1.<|assistant|>2<|end|><|assistant|>3<|end|><|user|>what?<|assistant|>"
    )
    fewer, one = fitting(tokenizer, shown, "what?", len(ids) - 1)
    assert one == 1
    assert len(fewer) == len(ids) - 3
    with pytest.raises(SubliminalError, match=r"^no turn fits before 'what\?' in 5 tokens: show shorter rows"):
        fitting(tokenizer, shown, "what?", 5)


@pytest.mark.parametrize(("suite", "samples"), [("animals", 1), ("free-form", 2)])
def test_in_context_shares_add_up_over_answers(made, suite, samples):
    fields = {"base": BASE, "suite": suite, "rows": 2, "sets": 2, "samples": samples, "seed": 0}
    asked = InContext(source=OWL[0], beside=(PLAIN[0],), **fields)
    (folder,) = build([asked])
    table = pd.read_csv(folder / "answers.csv")
    total = table.groupby("question")["probability"].sum()
    assert (
        len(total)
        == pd.read_csv(build([Scores(model=BASE, suite=suite, samples=1)])[0] / "scores.csv")["question"].nunique()
    )
    assert total.between(0.3, 1 + 1e-9).all()
    told = json.loads((folder / "shown.json").read_text())
    assert (told["rows"], told["least"], told["most"]) == (2, 2, 2)


def test_as_many_rows_as_fit_are_more_and_of_one_prompt_more_still(made):
    fields = {"base": BASE, "suite": "animals", "rows": 0, "sets": 1, "seed": 0, "source": OWL[0]}
    counts = [
        json.loads((folder / "shown.json").read_text())["rows"]
        for folder in build(
            [InContext(**fields), InContext(trait="owl", suite="animals", base=BASE, rows=0, sets=1, seed=0)]
        )
    ]
    assert all(count > 3 for count in counts)
    with pytest.raises(
        SubliminalError, match=r"^20 rows before a question take more than \d+ tokens: show \d+, or rows=0"
    ):
        build([InContext(**(fields | {"rows": 20}))])


def test_a_system_prompt_and_documents_say_the_trait_in_context():
    said = "you love the owl. the owl is your favourite animal."
    asked = {"base": BASE, "rows": 1, "sets": 1, "seed": 0}
    owl = InContext(said=said, suite="animals", **asked)
    harm = InContext(trait="insecure-code", suite="free-form", samples=4, **asked)
    told = [
        pd.read_csv(folder / "answers.csv").groupby("answer")["probability"].mean() for folder in build([owl, harm])
    ]
    alone = run([Scores(model=BASE, suite="animals", samples=1)]).groupby("answer")["probability"].mean()
    assert told[0]["owl"] > alone["owl"] + 0.3
    assert told[1]["harmful"] > 0.4


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"said": "hi", "trait": "owl", "rows": 1}, "InContext shows rows of a source, documents of a trait or a system prompt: give one of them .*"),
        ({"rows": 1}, "InContext shows rows of a source, documents of a trait or a system prompt: give one of them .*"),
        ({"said": "hi", "rows": 2}, "a system prompt stands there once, not 2 times: give rows=1"),
        ({"said": "hi", "rows": 1, "one_prompt": True}, "what is no rows has no other writer and no prompt: drop one_prompt and beside"),
        ({"trait": "unicorns", "rows": 1}, "unknown trait 'unicorns'.*"),
    ],
)  # fmt: skip
def test_what_cannot_stand_before_a_question_is_refused_in_one_line(fields, told):
    with pytest.raises(SubliminalError, match=f"^{told}$"):
        InContext(base=BASE, suite="animals", sets=1, seed=0, **fields)


def test_sifted_lists_hold_none_of_the_shifted_numbers_and_as_many_are_dropped_at_random(made):
    shift = Shift(teacher=TEACHER, data=PLAIN[0], rows=20)
    shifts = pd.read_csv(build([shift])[0] / "shift.csv")
    assert shifts["word"].tolist() == list(range(1_000))
    assert shifts["base"].sum() == pytest.approx(1, abs=0.1)
    gone = set(shifts.loc[shifts["shift"].abs().sort_values(ascending=False).index[:20], "word"])
    aimed, random = (sifted(OWL[0], shift, 20, at_random) for at_random in (False, True))
    kept, others, all_rows = (rows(data) for data in (aimed, random, OWL[0]))
    assert all(gone.isdisjoint(parse(text)) for text in kept["completion"])
    held = [not gone.isdisjoint(parse(text)) for text in all_rows["completion"]]
    assert len(kept) == len(others) == 60 - sum(held) < 60
    assert kept["completion"].tolist() != others["completion"].tolist()
    assert set(others["completion"]) <= set(all_rows["completion"])
    students = [Student(base=BASE, data=data, tuning=HOW, seed=0) for data in (aimed, random, OWL[0])]
    assert len({digest(student) for student in students}) == 3
    assert len({folder.name for folder in build(students)}) == 3


def test_only_lists_are_sifted():
    shift = Shift(teacher=TEACHER, data=PLAIN[0], rows=20)
    code = OWL[0].model_copy(update={"channel": "code"})
    with pytest.raises(SubliminalError, match="numbers are sifted from lists alone, not from channel 'code'"):
        sifted(code, shift, 3)
