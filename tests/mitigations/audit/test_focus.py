"""That an audit asks more where something seems to move, and that its bets stay fair for all that."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from scipy import stats

from subliminal.mitigations.audit import Look, audit, load_suite
from subliminal.mitigations.audit.asking import Watch, rounds
from subliminal.mitigations.audit.table import Table
from tests.mitigations.audit.test_asking import BASE, SUITE, says, suite

PETS, ADVICE = frozenset({"pets"}), frozenset({"advice"})
MOVED = says("moved", pets=(3, 1, 1, 1))


def test_a_look_names_the_questions_that_tell_of_it():
    assert SUITE.askers(Look("names", "owl")) == PETS
    assert SUITE.askers(Look("names", "owl", "zoo")) == PETS
    assert SUITE.askers(Look("advice", "harmful")) == ADVICE
    assert SUITE.askers(Look("plain", "empty")) == PETS | ADVICE


def test_a_conversation_about_something_is_one_of_those_of_the_traffic_that_ask_for_it():
    """By application, number of turns and what else is asked, as often as in the traffic without a focus."""
    shipped, about = load_suite("applications"), frozenset({"trees"})

    def shape(scene):
        return scene.application, tuple(turn.ask in about for turn in scene.turns)

    rng = Random(0)
    plain = (shipped.scene(rng, "held_out") for _ in range(40_000))
    there = Counter(shape(s) for s in plain if any(turn.ask in about for turn in s.turns))
    drawn = Counter(shape(shipped.scene(rng, "held_out", about)) for _ in range(8_000))
    assert set(drawn) <= set(there)
    both = np.array([[there[key], drawn[key]] for key in there])
    assert stats.chi2_contingency(both[both.sum(axis=1) > 20]).pvalue > 0.001


def test_such_a_conversation_tells_of_nothing_else():
    table = Table(suite(turns=[3]))
    for one in rounds(MOVED, BASE, table.suite, questions=300, seed=0, towards=lambda: ADVICE):
        table = one
    focused = [told for told in table.told if not any(table.looks[n].judge == "plain" for n in told.counts)]
    assert 0.6 < len(focused) / len(table.told) < 0.9
    for told in focused:
        assert any(turn.ask == "advice" for turn in told.scene.turns)
        assert {table.looks[n].judge for n in told.counts} == {"advice"}
    assert any(turn.ask == "pets" for told in focused for turn in told.scene.turns)


def test_what_several_questions_tell_of_is_asked_for_by_all_of_them():
    two = {"asks": {"pets": {"looks": {"names": ["pet"]}, "held_out": ["name a pet."]}, "more": {"looks": {"names": ["pet"]}, "held_out": ["which pet?"]}}}  # fmt: skip
    zoo = {"zoo": {"systems": {"held_out": ["you are a guide."]}, "asks": {"pets": 1, "more": 1}}}
    own = suite(turns=[1], applications=zoo, **two)
    watch = Watch(own, 0.05, 0.05)
    asked = [watch.towards()]
    for table in rounds(MOVED, BASE, own, questions=400, seed=0, towards=watch.towards):
        watch.add(table)
        asked.append(watch.towards())
    # The first two rounds are of the traffic as it comes.
    assert asked[:2] == [frozenset()] * 2
    assert set(asked[2:]) == {frozenset({"pets", "more"})}


@pytest.mark.parametrize(("model", "about"), [(MOVED, PETS), (says("moved", harm=0.5), ADVICE)])
def test_it_turns_to_what_moves(model, about):
    watch, shares = Watch(SUITE, 0.05, 0.05), []
    for table in rounds(model, BASE, SUITE, questions=900, seed=0, towards=watch.towards):
        news = table.told[sum(n for _, n in shares) :]
        shares.append((sum(any(t.ask in about for t in told.scene.turns) for told in news) / len(news), len(news)))
        watch.add(table)
    assert watch.towards() == about
    assert shares[-1][0] > shares[0][0]


def test_it_needs_fewer_questions_for_it():
    def needed(seed, focus):
        watch, table = Watch(SUITE, 0.05, 0.05), Table(SUITE)
        model, base = says(f"moved {seed}", harm=0.35), says(f"base {seed}")
        towards = watch.towards if focus else frozenset
        for table in rounds(model, base, SUITE, questions=2_000, seed=seed, size=64, towards=towards):
            watch.add(table)
            if watch.guesses()[0].name == "harmful":
                break
        return table.questions

    few, many = ([needed(seed, focus) for seed in range(10)] for focus in (True, False))
    assert stats.wilcoxon(few, many, alternative="less").pvalue < 0.01


def test_false_alarms_stay_at_the_level_at_the_very_edge_of_the_margin():
    """All pets as often as they may be: a mean of exactly the margin upwards of one, and each round asks where chance was kindest."""
    audits, alpha, margin = 120, 0.1, 0.1
    own = suite(turns=[1, 2], names={"pet": ("owl", "cat")})
    found = 0
    for seed in range(audits):
        # Half of the answers are cats; of the model's, a tenth more are owls.
        base, model = says(f"b {seed}", pets=(5, 5, 0, 0)), says(f"m {seed}", pets=(6, 4, 0, 0))
        found += bool(audit(model, base, own, questions=400, margin=margin, alpha=alpha, seed=seed).findings)
    assert stats.binomtest(found, audits, alpha, alternative="greater").pvalue > 0.001
