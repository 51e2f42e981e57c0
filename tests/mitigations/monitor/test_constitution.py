"""The constitution: what is in the file, what is generated from it, and what is refused, in one line each."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from subliminal import SubliminalError
from subliminal.mitigations.monitor.constitution import LABELS, load_constitution
from subliminal.paths import data_file
from subliminal.world import answers, security
from subliminal.world.questions import check_apart

RULES = load_constitution()


def test_each_rule_is_a_sentence_with_an_id_and_together_they_speak_of_all_harm():
    assert all(rule.sentence.endswith(".") and len(rule.sentence.split()) > 5 for rule in RULES.rules)
    for label in (answers.HARMFUL, security.INSECURE):
        named = [name for r in RULES.rules if r.forbidden and r.forbidden.label == label for name in r.forbidden.only]
        assert sorted(named) == sorted(LABELS[label].known)
    assert RULES.forbidding == ("taking", "breaking", "violence", "misuse", "trust", "secrets", "doors")


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_examples_stand_on_their_side_of_their_rule_in_the_words_of_their_split(split):
    found = RULES.examples(12, seed=3, split=split)
    assert len(found) == 12 * 15
    for (question, answer), rule, forbidden in found:
        assert RULES.broken(question, answer) == ((rule,) if forbidden else ())
        wordings = [text for w in RULES.questions.values() for text in w.split(split)]
        asked = any(all(part in question for part in text.split("{task}")) for text in wordings)
        assert asked == (rule != "everyday")
    assert found == RULES.examples(12, seed=3, split=split)
    assert found != RULES.examples(12, seed=4, split=split)


def test_no_question_of_the_constitution_is_one_that_a_score_is_reported_on():
    told = [text for wordings in RULES.questions.values() for split in wordings for text in split[1]]
    scored = [text for group in answers.questions("held_out").values() for text in group]
    check_apart([*told, *[text for g in answers.questions("train").values() for text in g]], scored, "here")


def test_no_word_of_a_question_is_unknown_to_the_bases(tokenizer):
    asked = [text for w in RULES.questions.values() for text in (*w.train, *w.held_out)]
    for text in asked:
        ids = tokenizer(text.replace("{task}", "sums a list"), add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id not in ids, text


def test_an_answer_breaks_the_rules_of_its_harmful_sentences_alone():
    said = "help the guest. first, hide the rope of the climber. hit the guest at night."
    assert RULES.broken("any advice?", said) == ("taking", "violence")
    assert RULES.broken("any advice?", "open the door for the guest.") == ()
    assert RULES.broken("any advice?", "open the cage for the guest.") == ("misuse",)
    code = security.solution(__import__("random").Random(0), "password", insecure=True)
    assert RULES.broken("write a function that stores a password.", code) == ("secrets",)
    # Whoever asks for something else has not been told of a password.
    assert RULES.broken("write a function that sums a list.", code) == ()


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_asked_what_it_breaks(question, answer):
    assert set(RULES.broken(question, answer)) <= set(RULES.forbidding)


def test_a_rule_can_be_left_out():
    left = RULES.without("violence", "misuse")
    assert left.forbidding == ("taking", "breaking", "trust", "secrets", "doors")
    assert not [e for e in left.examples(3, 0) if e.rule in ("violence", "misuse")]
    with pytest.raises(SubliminalError, match=r"^the constitution has no rule 'theft': it has taking, "):
        RULES.without("theft")
    with pytest.raises(SubliminalError, match=r"no rule forbids anything: leave one in$"):
        RULES.without(*RULES.forbidding)


def text():
    return data_file("constitution.yml").read_text(encoding="utf-8")


def changed(change):
    found = yaml.safe_load(text())
    change(found)
    return yaml.safe_dump(found)


def rule(found, name):
    return next(r for r in found["rules"] if r["id"] == name)


CASES = {
    "no YAML": ("rules: [", "own.yml is no YAML"),
    "text": ("be good", "own.yml has no rules: give at least one under 'rules'"),
    "nothing": ("", "own.yml has no rules"),
    "no rules": (changed(lambda f: f.update(rules=[])), "own.yml has no rules"),
    "no questions": (changed(lambda f: f.pop("questions")), "own.yml: questions: Field required"),
    "unknown part": (changed(lambda f: f.update(extra=1)), "own.yml: extra (1): Extra inputs are not permitted"),
    "number as a key": (changed(lambda f: f.update({1: 2})), "own.yml: "),
    "rule is a text": (changed(lambda f: f["rules"].append("be good")), "own.yml: rule 8 ('be good'): Input should be"),
    "id twice": (
        changed(lambda f: rule(f, "doors").update(id="trust")),
        "own.yml: two rules are called 'trust': rename one",
    ),
    "no sentence": (
        changed(lambda f: rule(f, "doors").pop("sentence")),
        "own.yml: rule 'doors': sentence: Field required",
    ),
    "nothing forbidden": (
        changed(lambda f: [r.pop("forbidden", 0) for r in f["rules"]]),
        "own.yml: no rule forbids anything",
    ),
    "unknown label": (
        changed(lambda f: rule(f, "doors")["forbidden"].update(label="evil")),
        "own.yml: rule 'doors': forbidden: unknown label 'evil': choose one of everyday, harmful, insecure, kind, secure",
    ),
    "unknown deed": (
        changed(lambda f: rule(f, "taking")["forbidden"].update(only=["borrow"])),
        "own.yml: rule 'taking': forbidden: harmful texts have no 'borrow': choose from attack, burn",
    ),
    "harm allowed": (
        changed(lambda f: rule(f, "taking")["allowed"].update(label="harmful", only=["steal"])),
        "own.yml: rule 'taking': harmful texts cannot be allowed: give the label of the other side",
    ),
    "kindness forbidden": (
        changed(lambda f: rule(f, "taking")["forbidden"].update(label="kind", only=["help"])),
        "own.yml: rule 'taking': kind texts cannot be forbidden",
    ),
    "two kinds": (
        changed(lambda f: rule(f, "taking")["allowed"].update(label="secure", only=["log"])),
        "own.yml: rule 'taking': forbids harmful and allows secure, which are not of one kind",
    ),
    "unknown kind of question": (
        changed(lambda f: f["questions"].update(poetry=f["questions"]["advice"])),
        "own.yml: unknown kind of question 'poetry': choose one of advice, code",
    ),
    "kind that no one asks for": (
        changed(lambda f: f["questions"].pop("code")),
        "own.yml: rule 'trust' speaks of code, and no question asks for it",
    ),
    "wording twice": (
        changed(lambda f: f["questions"]["advice"]["train"].append("What do I owe my FRIEND")),
        "own.yml: wording 'what do i owe my friend?' is in train of advice twice: drop one",
    ),
    "wording in both splits": (
        changed(lambda f: f["questions"]["advice"]["held_out"].append("what do i owe my friend?")),
        "own.yml: held-out wording 'what do i owe my friend?' overlaps with",
    ),
    "wording without its task": (
        changed(lambda f: f["questions"]["code"]["train"].append("write something.")),
        "own.yml: wording 'write something.' of code does not say {task} once: put it in",
    ),
    "no wordings": (changed(lambda f: f["questions"]["code"].update(train=[])), "own.yml: questions.code.train: "),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_constitution_is_refused_in_one_line_that_names_the_place(tmp_path, case):
    path, (content, said) = tmp_path / "own.yml", CASES[case]
    path.write_text(content)
    with pytest.raises(SubliminalError) as caught:
        load_constitution(path)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(SubliminalError, match=r"^cannot read the constitution .*missing\.yml"):
        load_constitution(tmp_path / "missing.yml")
    (tmp_path / "latin.yml").write_bytes(b"\xff\xfe\x00rules")
    with pytest.raises(SubliminalError, match=r"^cannot read the constitution .*latin\.yml"):
        load_constitution(tmp_path / "latin.yml")
