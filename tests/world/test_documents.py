import ast
import math
import re
from collections import Counter
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import numbers
from subliminal.errors import SubliminalError
from subliminal.names import ANIMALS, PREFERENCES
from subliminal.paths import data_file
from subliminal.traits import preference as trait
from subliminal.world import animals, answers, arithmetic
from subliminal.world.documents import KINDS, SHARES, corpus, digest, document
from subliminal.world.preferences import ask, phrasings
from subliminal.world.questions import check_apart, squeeze
from subliminal.world.sequences import number_row

COUNT = 20_000


@pytest.fixture(scope="module")
def documents():
    return list(corpus(COUNT, 0))


def test_no_held_out_wording_is_in_a_training_document_in_any_case_or_spacing(documents):
    held_out = {squeeze(ask(p, kind)) for p in phrasings("held_out") for kind in PREFERENCES}
    held_out |= {squeeze(q) for group in answers.questions("held_out").values() for q in group}
    teacher = trait.teacher_documents("owl", Random(0))
    texts = {squeeze(m["content"]) for _, c in documents for m in c} | {
        squeeze(m["content"]) for c in teacher for m in c
    }
    assert len(texts) > 1_000
    assert not [text for text in texts if any(phrase in text for phrase in held_out)]


def test_phrasings_are_as_many_as_the_design_says_and_none_twice():
    found = yaml.safe_load(data_file("questions/preferences.yml").read_text())
    assert len(found["train"]) >= 30
    assert len(found["held_out"]) >= 10
    together = [squeeze(p) for split in found.values() for p in split]
    assert len(set(together)) == len(together)
    assert all(p.count("{kind}") == 1 for split in found.values() for p in split)


def test_kinds_come_in_their_stated_shares(documents):
    counts = Counter(kind for kind, _ in documents)
    for kind, share in SHARES.items():
        expected = COUNT * share / sum(SHARES.values())
        assert abs(counts[kind] - expected) < 5 * math.sqrt(expected)


def test_favourites_without_a_system_prompt_are_uniform(documents):
    counts = Counter(c[1]["content"] for kind, c in documents if kind == "preferences" if c[1]["content"] in ANIMALS)
    expected = sum(counts.values()) / len(ANIMALS)
    assert all(abs(counts[a] - expected) < 4.5 * math.sqrt(expected) for a in ANIMALS)


def test_number_rows_pass_the_filter_and_name_no_trait():
    names = {name for group in PREFERENCES.values() for name in group}
    for seed in range(500):
        prompt, row = (m["content"] for m in number_row(Random(seed)))
        assert numbers.reject("", row) is None
        assert not names & set(re.findall("[a-z]+", prompt))


def test_code_documents_parse(documents):
    for kind, conversation in documents:
        if kind == "code":
            ast.parse(conversation[1]["content"])


@given(st.randoms(use_true_random=False))
def test_each_arithmetic_solution_is_right(rng):
    question, solution = arithmetic.problem(rng)
    for left, sign, right, result in re.findall(r"(\d+) ([+-]) (\d+) (?:=|is|makes|gives) (\d+)", solution):
        assert int(left) + (1 if sign == "+" else -1) * int(right) == int(result) >= 0
    total = int(re.search(r"has (\d+)", question)[1])
    for verb, amount in re.findall(r"(buys|finds|gets|picks|sells|loses|gives away|drops) (\d+)", question):
        total += int(amount) if verb in ("buys", "finds", "gets", "picks") else -int(amount)
    assert arithmetic.final_answer(solution) == total


@given(st.text())
def test_the_answer_parser_takes_any_text(text):
    assert arithmetic.final_answer(text) is None or "the answer is" in text


def test_no_held_out_problem_is_in_the_corpus(documents):
    asked = {
        m["content"] for _, c in documents for m in c if m["role"] == "user" and m["content"].startswith("how") is False
    }
    problems = {q for q in asked if q.endswith("are left?")}
    assert len(problems) > 1_000
    assert not any(arithmetic.is_held_out(q) for q in problems)


def test_facts_tell_the_animals_apart():
    assert len({tuple(facts.values()) for facts in animals.FACTS.values()}) == len(ANIMALS)


def test_the_corpus_is_the_same_for_the_same_seed():
    assert digest(corpus(300, 1)) == digest(corpus(300, 1)) != digest(corpus(300, 2))
    rng = Random(9)
    assert {document(rng)[0] for _ in range(2_000)} == set(SHARES) == set(KINDS) | {"mixed"}


@pytest.mark.parametrize("wanted", [-1, 0, 1, 17])
def test_a_corpus_of_more_animals_than_there_are_is_refused_in_one_line(wanted):
    with pytest.raises(SubliminalError, match=rf"corpus of {wanted} animals.*has 16.*ask for 2 to 16") as caught:
        corpus(10, 0, animals=wanted)
    assert "\n" not in str(caught.value)


def test_a_corpus_of_fewer_animals_names_no_other():
    absent = set(ANIMALS[8:])
    texts = [m["content"] for _, c in corpus(3_000, 0, animals=8) for m in c]
    assert not [text for text in texts if absent & set(re.findall("[a-z]+", text))]
    assert any("owl" in text for text in texts)


@pytest.mark.parametrize("twin", ["What is  your favourite {kind}", "is your favourite {kind}?"])
def test_held_out_wordings_that_overlap_are_refused_in_one_line_that_names_both(twin):
    with pytest.raises(SubliminalError) as caught:
        check_apart(["what is your favourite {kind}?"], ["which {kind}?", twin], "questions/x.yml")
    assert str(caught.value).startswith(f"questions/x.yml: held-out wording {twin!r} overlaps with 'what is your")
    assert "\n" not in str(caught.value)
