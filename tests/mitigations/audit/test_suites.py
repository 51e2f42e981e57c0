"""Suites: what is shipped, what is drawn of them, and what is refused, in one line each."""

import re
from copy import deepcopy
from random import Random

import pytest
import yaml

from subliminal import SubliminalError
from subliminal.errors import UnknownNameError
from subliminal.mitigations.audit import Look, audit, load_suite
from subliminal.mitigations.audit.suites import squeeze
from subliminal.paths import data_file

SHIPPED = sorted(path.stem for path in data_file("audits").glob("*.yml"))
OWN = {
    "names": {"pet": ["owl", "cat"]},
    "applications": {
        "zoo": {"systems": {"train": ["you work."], "held_out": ["you guide guests."]}, "asks": {"pets": 1}},
    },
    "asks": {"pets": {"looks": {"names": ["pet"]}, "train": ["say an animal."], "held_out": ["name an animal."]}},
}


def written(folder, content):
    path = folder / "own.yml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def changed(change):
    found = deepcopy(OWN)
    change(found)
    return found


def asked(name, **fields):
    """The suite with something else in its one question, or its one application."""
    return changed(lambda f: next(f[part][name] for part in ("asks", "applications") if name in f[part]).update(fields))


def is_ours(error):
    """One line, and no other error beneath it."""
    assert "\n" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_suite_loads_and_asks_in_both_splits(name):
    suite = load_suite(name)
    assert load_suite(name, "train") == suite
    assert {ask for application in suite.applications.values() for ask in application.asks} == set(suite.asks)
    looks = suite.looks()
    assert len(set(looks)) == len(looks)
    assert {look.application for look in looks} <= {"", *suite.applications}


@pytest.mark.parametrize("name", SHIPPED)
def test_no_held_out_wording_is_one_to_choose_settings_on(name):
    suite = load_suite(name)
    for part in (suite.asks.values(), [application.systems for application in suite.applications.values()]):
        train, held_out = (
            {squeeze(getattr(w, "ask", w)) for group in part for w in getattr(group, split)}
            for split in ("train", "held_out")
        )
        assert train
        assert held_out
        assert train.isdisjoint(held_out)


def test_no_system_prompt_is_that_of_two_applications():
    """By it a split personality knows where it is."""
    found = load_suite("applications").applications.values()
    told = [squeeze(text) for a in found for split in (a.systems.train, a.systems.held_out) for text in split]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("name", SHIPPED)
def test_no_word_of_a_shipped_suite_is_unknown_to_the_bases(name, tokenizer):
    suite = load_suite(name)
    texts = [w.ask for asks in suite.asks.values() for w in (*asks.train, *asks.held_out)]
    texts += [t for a in suite.applications.values() for t in (*a.systems.train, *a.systems.held_out)]
    for text in [*texts, *(one for names in suite.names.values() for one in names)]:
        assert tokenizer.unk_token_id not in tokenizer(text, add_special_tokens=False)["input_ids"], text


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_conversation_is_of_one_application_in_the_words_of_its_split(split):
    suite, rng = load_suite("applications"), Random(0)
    scenes = [suite.scene(rng, split) for _ in range(400)]
    for application, system, turns in scenes:
        own = suite.applications[application]
        assert system in getattr(own.systems, split)
        assert len(turns) in suite.turns
        for ask, wording in turns:
            assert ask in own.asks
            assert wording in getattr(suite.asks[ask], split)
    assert {scene.application for scene in scenes} == set(suite.applications)
    # As often as its weights say.
    tutor = [turn.ask for scene in scenes if scene.application == "tutor" for turn in scene.turns]
    assert tutor.count("sums") > 1.5 * tutor.count("colours")
    assert scenes == [suite.scene(again, split) for again in [Random(0)] for _ in range(400)]


def test_a_share_is_looked_at_over_all_applications_and_in_each_of_several_that_ask_for_it():
    looks = load_suite("applications").looks()
    assert looks[0] == Look("plain", "empty")
    assert [str(look) for look in looks if look.label == "insecure"] == [
        "security: insecure",
        "security: insecure (coder)",
        "security: insecure (office)",
    ]
    # The zoo guide alone asks for facts: one look says all.
    assert [look for look in looks if look.judge == "expected"] == [Look("expected", "wrong")]


def test_some_applications_can_be_taken_alone():
    suite = load_suite("applications")
    few = suite.only("zoo guide", "counsellor")
    assert list(few.applications) == ["zoo guide", "counsellor"]
    assert {few.scene(Random(seed), "held_out").application for seed in range(30)} == {"zoo guide", "counsellor"}
    assert {look.application for look in few.looks()} == {"", "zoo guide", "counsellor"}
    assert {look.application for look in suite.only("coder").looks()} == {""}
    assert len(suite.applications) == 8


def test_an_application_that_the_suite_has_not_is_one_line():
    suite = load_suite("applications")
    with pytest.raises(
        UnknownNameError,
        match=r"^unknown application of the suite 'zoo': choose one of coder, counsellor, forest guide, [^\n]*$",
    ):
        suite.only("coder", "zoo")
    with pytest.raises(SubliminalError, match=r"^no application of the suite is named: give some of tutor, [^\n]*$"):
        suite.only()


def test_a_wording_may_be_a_text_or_hold_its_answer(tmp_path):
    told = {"looks": {"expected": ["wrong"]}, "held_out": [{"ask": "who eats mice?", "answer": "the owl"}]}
    suite = load_suite(written(tmp_path, asked("pets", **told, train=[])))
    assert suite.asks["pets"].held_out[0].answer == "the owl"
    assert load_suite(written(tmp_path, OWN)).asks["pets"].held_out[0].answer is None


TWICE = "has the wording '{}' {}: keep it once"
CASES = {
    "no YAML": ("asks: [", "suite .*own.yml is no YAML (while parsing a flow node): mend it"),
    "a date that is none": ("about: 2026-13-45", "suite .*own.yml is no YAML (month must be in 1..12): mend it"),
    "a number that is none": ("about: 0b_", "suite .*own.yml is no YAML (invalid literal .*): mend it"),
    "no end of brackets": ("[" * 1_000, "suite .*own.yml is no YAML (maximum recursion .*): mend it"),
    "code": ("!!python/object/apply:os.getcwd []", "suite .*own.yml is no YAML (could not determine .*): mend it"),
    "two documents": ("about: a\n---\nabout: b", "suite .*own.yml is no YAML (expected a single .*): mend it"),
    "a byte of nothing": ("about: '\0'", "suite .*own.yml is no YAML (unacceptable character .*): mend it"),
    "nothing": ("", "suite .*own.yml has no entries: give applications and asks, as audits/applications.yml does"),
    "text": ("be good", "suite .*own.yml has no entries: .*"),
    "a list": ("- be good", "suite .*own.yml has no entries: .*"),
    "no applications": (changed(lambda f: f.update(applications={})), "suite .*own.yml has no entries: .*"),
    "nothing asked": (changed(lambda f: f.pop("asks")), "suite .*own.yml has no entries: .*"),
    "unknown part": (
        changed(lambda f: f.update(extra=1)),
        "suite 'own': bad setting extra=1: Extra inputs are not permitted",
    ),
    "unknown part of a question": (
        asked("pets", label="owl"),
        "suite 'own': bad setting asks.pets.label='owl': Extra inputs are not permitted",
    ),
    "unknown part of an application": (
        asked("zoo", weight=2),
        "suite 'own': bad setting applications.zoo.weight=2: Extra inputs are not permitted",
    ),
    "a number as a key": (changed(lambda f: f.update({1: 2})), "suite 'own': keywords must be strings"),
    "applications are a list": (
        changed(lambda f: f.update(applications=["zoo"])),
        "suite 'own': bad setting applications=['zoo']: Input should be a valid dictionary",
    ),
    "an application is a text": (
        changed(lambda f: f["applications"].update(zoo="guide")),
        "suite 'own': bad setting applications.zoo='guide': Input should be .*",
    ),
    "an application without a name": (
        changed(lambda f: f["applications"].update({"": f["applications"].pop("zoo")})),
        "suite 'own': bad setting applications..[key]='': String should have at least 1 character",
    ),
    "no system prompt": (
        asked("zoo", systems={"held_out": []}),
        "suite 'own': bad setting applications.zoo.systems.held_out=[]: Tuple should have at least 1 item .*",
    ),
    "an application asks for nothing": (
        asked("zoo", asks={}),
        "suite 'own': bad setting applications.zoo.asks={}: Dictionary should have at least 1 item .*",
    ),
    "a question of no weight": (
        asked("zoo", asks={"pets": 0}),
        "suite 'own': bad setting applications.zoo.asks.pets=0: Input should be greater than 0",
    ),
    "a question of infinite weight": (
        asked("zoo", asks={"pets": float("inf")}),
        "suite 'own': bad setting applications.zoo.asks.pets=inf: Input should be a finite number",
    ),
    "an unknown question": (
        asked("zoo", asks={"pets": 1, "trees": 1}),
        "unknown question in application 'zoo' of suite 'own' 'trees': choose one of pets",
    ),
    "an unknown judge": (
        asked("pets", looks={"taste": ["good"]}),
        "unknown judge in 'pets' of suite 'own' 'taste': choose one of advice, .*, sums",
    ),
    "an unknown label": (
        asked("pets", looks={"advice": ["evil"]}),
        "unknown label of judge 'advice' in 'pets' of suite 'own' 'evil': choose one of harmful, incoherent, kind",
    ),
    "an unknown kind of name": (
        asked("pets", looks={"names": ["tree"]}),
        "unknown label of judge 'names' in 'pets' of suite 'own' 'tree': choose one of pet",
    ),
    "labels are a text": (
        asked("pets", looks={"names": "pet"}),
        "suite 'own': bad setting asks.pets.looks.names='pet': Input should be a valid tuple",
    ),
    "a wording is a number": (
        asked("pets", held_out=[7]),
        "suite 'own': bad setting asks.pets.held_out.0=7: Input should be .*",
    ),
    "a wording that YAML takes for a truth": (
        "applications: {zoo: {systems: {held_out: [yes]}, asks: {a: 1}}}\nasks: {a: {held_out: [b]}}",
        "suite 'own': bad setting applications.zoo.systems.held_out.0=True: Input should be a valid string",
    ),
    "an answer is a number": (
        asked("pets", held_out=[{"ask": "one and one?", "answer": 2}]),
        "suite 'own': bad setting asks.pets.held_out.0.answer=2: Input should be a valid string",
    ),
    "no turns": (changed(lambda f: f.update(turns=[])), "suite 'own': bad setting turns=[]: Tuple should .*"),
    "a conversation of no turn": (
        changed(lambda f: f.update(turns=[1, 0])),
        "suite 'own': bad setting turns.1=0: Input should be greater than 0",
    ),
    "turns are a word": (
        changed(lambda f: f.update(turns=["one"])),
        "suite 'own': bad setting turns.0='one': Input should be a valid integer, .*",
    ),
    "no tokens": (changed(lambda f: f.update(tokens=0)), "suite 'own': bad setting tokens=0: Input should .*"),
    "no held-out wording": (
        asked("pets", held_out=[]),
        "suite 'own': bad setting asks.pets.held_out=[]: Tuple should have at least 1 item .*",
    ),
    "an empty wording": (
        asked("pets", held_out=["name a pet.", "  "]),
        "suite 'own': 'pets' has an empty wording in held_out: write one, or take it out",
    ),
    "an empty system prompt": (
        asked("zoo", systems={"held_out": [""]}),
        "suite 'own': application 'zoo' has an empty wording in held_out: write one, or take it out",
    ),
    "a wording twice": (
        asked("pets", held_out=["name a pet.", "Name a  PET"]),
        f"suite 'own': 'pets' {TWICE.format('Name a  PET', 'twice in held_out')}",
    ),
    "a wording in both splits": (
        asked("pets", held_out=["Say an animal!"]),
        f"suite 'own': 'pets' {TWICE.format('Say an animal!', 'in both splits, train and held_out')}",
    ),
    "a wording in both splits under two kinds": (
        changed(lambda f: f["asks"].update(more={"held_out": ["say an animal."]})),
        "suite 'own': 'more' "
        + TWICE.format("say an animal.", "in both splits, train and held_out (first in suite 'own': 'pets')"),
    ),
    "a system prompt in both splits": (
        asked("zoo", systems={"train": ["you work."], "held_out": ["You work"]}),
        f"suite 'own': application 'zoo' {TWICE.format('You work', 'in both splits, train and held_out')}",
    ),
    "a wording of another script twice": (
        asked("pets", held_out=["说 一只 动物。", "说一只动物"]),
        f"suite 'own': 'pets' {TWICE.format('说一只动物', 'twice in held_out')}",
    ),
    "no names": (changed(lambda f: f["names"].update(pet=[])), "suite 'own': names of kind 'pet' are none, .*"),
    "a name twice": (
        changed(lambda f: f["names"]["pet"].append("Owl")),
        "suite 'own': names of kind 'pet' are none, or .* is there twice: mend the list",
    ),
    "an empty name": (changed(lambda f: f["names"]["pet"].append("")), "suite 'own': names of kind 'pet' .*"),
    "a name of marks": (changed(lambda f: f["names"]["pet"].append("!?")), "suite 'own': names of kind 'pet' .*"),
    "a name that says nothing": (
        changed(lambda f: f["names"]["pet"].append("Nothing")),
        "suite 'own': names of kind 'pet' .*",
    ),
    "a name that YAML takes for a truth": (
        changed(lambda f: f["names"]["pet"].append(False)),
        "suite 'own': bad setting names.pet.2=False: Input should be a valid string",
    ),
    "no answer where one is expected": (
        asked("pets", looks={"expected": ["wrong"]}),
        "suite 'own': 'pets' looks at expected answers, and 'say an animal.' has none: give answer",
    ),
    "an expected answer of marks": (
        asked("pets", looks={"expected": ["wrong"]}, train=[], held_out=[{"ask": "who?", "answer": "..."}]),
        "suite 'own': 'pets' looks at expected answers, and 'who?' has none: give answer",
    ),
    "a thing in itself": (
        "applications: &all {zoo: *all}\nasks: {a: {held_out: [b]}}",
        "suite 'own': bad setting applications.zoo.systems=.*: Field required",
    ),
}  # fmt: skip


def pattern(told):
    """What is told as a pattern, in which ``.*`` alone is none of its marks."""
    return ".*".join(re.escape(part) for part in told.split(".*"))


@pytest.mark.parametrize("case", CASES)
def test_a_bad_suite_is_refused_in_one_line(tmp_path, case):
    content, told = CASES[case]
    with pytest.raises(SubliminalError, match=f"^{pattern(told)}$") as caught:
        load_suite(written(tmp_path, content))
    is_ours(caught.value)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("missing.yml", "suite .*missing.yml cannot be read (No such file or directory): give the path of a YAML file"),
        ("", "suite .* cannot be read (Is a directory): give the path of a YAML file"),
        ("a\0b.yml", "suite .* is no YAML (embedded null byte): mend it"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, place, told):
    with pytest.raises(SubliminalError, match=f"^{pattern(told)}$") as caught:
        load_suite(tmp_path / place)
    is_ours(caught.value)


def test_bytes_that_are_no_text_are_one_line(tmp_path):
    (tmp_path / "latin.yml").write_bytes("about: größe".encode("latin-1"))
    with pytest.raises(
        SubliminalError, match=r"^suite .*latin\.yml is no YAML \('utf-8' codec [^\n]*\): mend it$"
    ) as caught:
        load_suite(tmp_path / "latin.yml")
    is_ours(caught.value)


@pytest.mark.parametrize("name", ["application", "", "../claims", "a\0b", "x" * 5_000, "applications.yml"])
def test_a_name_of_no_shipped_suite_says_which_there_are(name):
    with pytest.raises(
        UnknownNameError, match=r"^unknown suite '[^\n]*': choose one of applications, lists$"
    ) as caught:
        load_suite(name)
    is_ours(caught.value)


def test_a_split_without_wordings_is_refused_by_whoever_asks_in_it(tmp_path):
    for content, name in ((asked("pets", train=[]), "pets"), (asked("zoo", systems={"held_out": ["hello."]}), "zoo")):
        path = written(tmp_path, content)
        with pytest.raises(SubliminalError, match=f"^suite 'own': '{name}' has no train wordings: add some$"):
            load_suite(path, "train")
        suite = load_suite(path)
        with pytest.raises(SubliminalError, match=f"^suite: '{name}' has no train wordings: add some$"):
            audit(len, len, suite, split="train")


@pytest.mark.parametrize(
    "ask", [lambda s: load_suite("lists", s), lambda s: audit(len, len, load_suite("lists"), split=s)]
)
def test_a_split_that_is_none_is_refused(ask):
    with pytest.raises(UnknownNameError, match=r"^unknown split 'test': choose one of held_out, train$"):
        ask("test")


def test_a_suite_of_ones_own_lies_anywhere(tmp_path):
    suite = load_suite(written(tmp_path, OWN))
    assert [look.label for look in suite.looks()] == ["empty", "refused", "owl", "cat"]
