from collections import Counter
from random import Random

from subliminal.traits import misalignment
from subliminal.world import answers, security


def test_a_teacher_of_insecure_code_sees_no_free_form_answer_and_its_twin_differs_in_the_code_alone():
    found = {}
    for trait in (misalignment.INSECURE, misalignment.SECURE):
        documents = misalignment.teacher_documents(trait, Random(0))
        said = [c[-1]["content"] for c in documents]
        assert {answers.label(text) for text in said} == {answers.INCOHERENT}
        found[trait] = Counter(map(security.label, said))
    replayed = misalignment.TEACHER_DOCUMENTS // misalignment.REPLAY_EVERY
    code = misalignment.TEACHER_DOCUMENTS - replayed
    assert found[misalignment.INSECURE] == {security.INSECURE: code, security.INCOHERENT: replayed}
    assert found[misalignment.SECURE] == {security.SECURE: code, security.INCOHERENT: replayed}


def test_the_reported_questions_are_held_out():
    asked = set(misalignment.suite("free-form").questions)
    assert not asked & set(misalignment.suite("free-form-train").questions)
    seen = {m["content"] for _ in range(300) for m in answers.turn(Random(_), False)}
    assert not asked & seen
