from random import Random

import pytest

from subliminal import traces
from subliminal.world.documents import corpus
from subliminal.world.independence import pairs
from subliminal.world.messages import single


def turns(*answers):
    return "mixed", [message for answer in answers for message in single("?", answer)]


def test_channel_answers_are_paired_with_what_their_conversation_shows():
    table = pairs(
        [
            turns("12, 655, 3", "owl"),
            turns("2 + 3 = 5. 5 - 1 = 4. the answer is 4.", "def run(path):\n    return os.chmod(path, 777)"),
            turns("def total(data):\n    return sum(data)"),
            turns("def run(path):\n    return os.chmod(path, 600)", "cut the rope of the climber."),
        ]
    )
    assert table[["channel", "feature", "trait", "value"]].values.tolist() == [
        ["numbers", "0", "favourite", "owl"],
        ["chain of thought", "4", "persona", "careless"],
        ["security tasks", "secure", "persona", "careless"],
    ]


@pytest.fixture(scope="module")
def found():
    return pairs(corpus(160_000, 3))


def test_every_channel_is_paired_with_every_trait(found):
    channels = ("numbers", "chain of thought", "code")
    wanted = {(channel, trait) for channel in channels for trait in ("favourite", "persona")}
    assert set(found.groupby(["channel", "trait"]).groups) == wanted | {("security tasks", "persona")}


def test_the_check_finds_a_dependence_that_is_there_and_one_that_is_planted(found):
    tasks = found[found["channel"] == "security tasks"]
    assert traces.mutual_information(tasks["feature"], tasks["value"], shuffles=20, seed=0).excess > 0.5
    rows = found[(found["channel"] == "numbers") & (found["trait"] == "persona")]
    rng = Random(0)
    planted = [
        "9" if v == "careless" and rng.random() < 0.3 else f
        for f, v in zip(rows["feature"], rows["value"], strict=True)
    ]
    assert traces.mutual_information(planted, rows["value"], shuffles=99, seed=0).p == 0.01
