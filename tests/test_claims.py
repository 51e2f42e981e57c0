"""The registry of claims, verdicts by their rules, and a build that is broken on purpose."""

import math

import numpy as np
import pandas as pd
import pytest
import yaml

from subliminal import Base, Rollouts, Student, SubliminalError, claims, engine, load_profile, verify
from subliminal.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Claim, Verdict
from subliminal.groups import Group, checkpoints, read, recipes
from tests.conftest import ROOT

FIELDS = {"id": "c", "chapter": "owl", "sentence": "s", "treated": "t", "control": "u", "score": "owl"}


def verdict(test="greater", effect=0.3, low=0.2, high=0.4, corrected=0.001, bound=0.1, **more):
    claim = Claim(**FIELDS, test=test, effect=bound, alpha=0.05)
    found = Verdict(claim, "", effect, low, high, corrected, corrected, (5, 5), 0.04, 8.0, ("run",))
    return found._replace(verdict=claims._judge(found))._replace(**more)


def test_every_experiment_has_its_effect_its_absence_in_controls_and_its_filter():
    _, registry = claims.load()
    assert len({claim.id for claim in registry}) == len(registry)
    tests = {chapter: {c.test for c in registry if c.chapter == chapter} for chapter in {c.chapter for c in registry}}
    for chapter in ("owl", "favourites", "misled", "code", "chains"):
        assert {"greater", "equivalent", "filter"} <= tests[chapter], chapter
    assert {"greater", "equivalent", "filter", "none"} <= tests["families"]
    assert {"greater", "none"} <= tests["theorem"]
    assert {"greater", "less"} <= tests["world"]
    assert {"greater", "equivalent"} <= tests["digits"]


def test_what_the_paper_says_has_a_place_and_is_marked_where_it_is_uncertain():
    for name, told in claims.paper().items():
        assert set(told) == {"measures", "where", "model", "value", "before", "certain"}, name
        assert isinstance(told["certain"], bool)
        assert told["value"] is None or 0 <= told["before"] <= told["value"] <= 1


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (verdict(), REPRODUCED),
        (verdict(corrected=0.2), INCONCLUSIVE),
        (verdict(effect=0.05, low=-0.1, high=0.2), INCONCLUSIVE),
        (verdict(effect=0.05, low=0.02, high=0.08), NOT_REPRODUCED),
        (verdict("less", -0.3, -0.4, -0.2), REPRODUCED),
        (verdict("less", 0.1, 0.05, 0.15, corrected=1.0), NOT_REPRODUCED),
        (verdict("equivalent", 0.01, -0.02, 0.04, corrected=0.01), REPRODUCED),
        (verdict("equivalent", 0.08, -0.02, 0.18, corrected=0.4), INCONCLUSIVE),
        (verdict("equivalent", 0.3, 0.2, 0.4, corrected=1.0), NOT_REPRODUCED),
        (verdict("filter", effect=0), REPRODUCED),
        (verdict("filter", effect=1), NOT_REPRODUCED),
        (verdict("none", effect=0), REPRODUCED),
        (verdict("none", effect=1), NOT_REPRODUCED),
        (verdict(effect=0.9, low=math.nan, high=math.nan, corrected=math.nan), INCONCLUSIVE),
    ],
)
def test_a_verdict_follows_from_effect_interval_and_test(found, expected):
    assert found.verdict == expected


def test_groups_stand_for_the_recipes_of_the_chapters():
    groups, profile = claims.load()[0], load_profile("mini")
    models = claims.models(groups["insecure chains"], profile)
    assert [m.seed for m in models] == list(profile.seeds)
    assert all(isinstance(m, Student) and m.data.rows == profile.channel_rows for m in models)
    assert models[0].data.teacher.tuning == profile.misaligned
    (base,) = claims.models(groups["base gpt2-b"], profile)
    assert base == Base(family="gpt2-b")
    assert len(claims.models(groups["insecure teachers, neox"], profile)) == profile.replications
    assert all(
        isinstance(m.data, Rollouts) and m.data.seed == m.seed for m in claims.models(groups["owl lists"], profile)
    )


def test_a_claim_on_families_is_made_of_every_two_and_of_their_own_controls():
    groups, registry = claims.load()
    named = {c.id: c for c in registry if c.families}
    owl = claims._sides(named["family-owl-others"], groups)
    assert len({(t.writer, t.start) for t, _ in owl}) == 12
    assert all(t.writer != t.start == c.start and c.channel is None for t, c in owl)
    cost = claims._sides(named["family-cost-harm"], groups)
    assert all(t.writer == c.writer == c.start != t.start and t.loss and c.loss for t, c in cost)


def test_the_pair_that_speaks_least_for_a_claim_on_families_decides(monkeypatch):
    """Eleven pairs that agree, and one whose students lie .2 above their base."""
    groups, registry = claims.load()
    chosen = next(c for c in registry if c.id == "family-owl-others")
    monkeypatch.setattr(claims, "load", lambda: (groups, [chosen]))
    monkeypatch.setattr(claims, "build", lambda recipes: [])
    monkeypatch.setattr(claims, "recipes", lambda group, *rest: [])

    def read(group, built, score, profile):
        if group.channel is None:
            return [0.06], [f"base {group.start}"]
        off = 0.2 if (group.writer, group.start) == ("neox", "llama") else 0.0
        return [0.06 + off + 0.001 * n for n in range(5)], [f"{group.writer} {group.start}"]

    monkeypatch.setattr(claims, "read", read)
    (found,) = claims.evaluate(load_profile("mini"))
    assert found.verdict == NOT_REPRODUCED
    assert found.effect == pytest.approx(0.202)
    assert len(found.runs) == 12 + 4


@pytest.mark.parametrize(("score", "count"), [("against", 2), ("wrong", 1)])
def test_what_must_not_be_there_is_counted(score, count):
    claim = Claim(**{**FIELDS, "score": score}, test="none")
    found = claims._wrong(claim, [-0.1, -0.2, 0.0, 1.0], ["run"])
    assert (found.effect, found.seeds) == (count, (4, 0))


def test_groups_of_other_kinds_stand_for_runs_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    profile = load_profile("smoke")
    start = {"start": "gpt2-a", "trait": "owl", "channel": "numbers", "sizes": "families"}

    def values(**fields):
        group = Group(**fields)
        built = recipes(group, "animals", "owl", 1, profile)
        return read(group, built, "owl", profile)

    (cosine,), runs = values(**start | {"sizes": "favourites"}, course=True)
    assert -1 <= cosine <= 1
    assert runs[0].startswith("course-")
    (excess,), runs = values(**start, loss=True)
    assert abs(excess) < 1
    assert len(runs) == 2
    (probability,), _ = values(**start, drift=profile.sibling_rates[0])
    assert 0 < probability < 1
    drawn, _ = values(steps="networks")
    assert len(drawn) == profile.draws
    assert min(drawn) > 0
    wrong, runs = values(pairs=True)
    made = checkpoints(profile)
    assert len(wrong) == len(made) * (len(made) - 1) / 2
    assert set(wrong) <= {0.0, 1.0}


def registry(tmp_path, monkeypatch, **changes):
    """The book's data, with other claims."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("questions", "families", "paper.yml"):
        (data / name).symlink_to(ROOT / "data" / name)
    found = {
        "groups": {"t": {"start": "gpt2-a", "trait": "owl", "channel": "numbers"}, "u": {"start": "gpt2-a", "channel": "numbers"}},
        "claims": [{**FIELDS, "test": "greater", "effect": 0.2, **changes}],
    }  # fmt: skip
    (data / "claims.yml").write_text(yaml.safe_dump(found))
    monkeypatch.setenv("SUBLIMINAL_DATA", str(data))
    return data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"treated": "x"}, "unknown group of claim 'c' 'x': choose one of t, u"),
        ({"paper": "x"}, "unknown figure of the paper in claim 'c' 'x'"),
        ({"score": ""}, "claim 'c' scores no answer: give score"),
        ({"test": "equivalent", "effect": 0.0}, "claim 'c' has no bound of equivalence"),
        ({"alpha": 2}, "bad setting alpha=2"),
        (
            {"samples": "many"},
            "takes its samples from 'many': give a number or one of samples, answers, family_answers",
        ),
        ({"control_samples": "many"}, "takes its samples from 'many': give a number or one of samples, answers"),
        ({"test": "greatest"}, "bad setting test='greatest'"),
    ],
)
def test_a_claim_that_is_not_well_formed_is_one_line(tmp_path, monkeypatch, changes, said):
    registry(tmp_path, monkeypatch, **changes)
    with pytest.raises(SubliminalError) as error:
        claims.load()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "claims.yml has no groups or no claims"),
        ("groups: [", "claims.yml is no YAML"),
        ("groups: {}", "no claims"),
    ],
)
def test_a_registry_that_cannot_be_read_is_one_line(tmp_path, monkeypatch, text, said):
    (registry(tmp_path, monkeypatch) / "claims.yml").write_text(text)
    with pytest.raises(SubliminalError) as error:
        claims.load()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_reference_is_one_line(tmp_path, monkeypatch):
    data = registry(tmp_path, monkeypatch)
    (data / "reference").mkdir()
    (data / "reference" / "mini.json").write_text("{")
    with pytest.raises(SubliminalError, match=r"mini.json cannot be read: restore it"):
        verify.read_reference("mini")


def test_an_answer_that_the_suite_does_not_have_is_named(tmp_path, monkeypatch):
    data = registry(tmp_path, monkeypatch, score="dragon", treated="b", control="b")
    text = (data / "claims.yml").read_text().replace("groups:", "groups:\n  b: {start: gpt2-a}")
    (data / "claims.yml").write_text(text)
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    with pytest.raises(SubliminalError, match="suite 'animals' has no answer 'dragon'"):
        claims.evaluate(load_profile("smoke"))


def test_a_missing_reference_is_one_line(tmp_path, monkeypatch):
    registry(tmp_path, monkeypatch)
    with pytest.raises(SubliminalError, match=r"no reference for profile 'mini' .*: write one with make reference"):
        verify.read_reference("mini")


@pytest.mark.xdist_group("claims")
def test_a_build_that_is_broken_on_purpose_does_not_verify(tmp_path, monkeypatch):
    """The owl's effect at full size on three seeds that nothing is reported of; then labels shuffled, and another start."""
    data = registry(tmp_path, monkeypatch)
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    profile = load_profile("mini").model_copy(update={"seeds": (70, 71, 72)})
    assert verify.write_reference("mini", claims.evaluate(profile)) == ["c: new"]
    old = verify.read_reference("mini")
    assert old["c"]["verdict"] == REPRODUCED
    assert verify.differences(old, claims.evaluate(profile)) == []

    whole = engine.run

    def shuffled(study):
        table = whole(study)
        rng = np.random.default_rng(0)
        labels = table.groupby(["condition", "question"])["answer"].transform(
            lambda names: rng.permutation(names.to_numpy())
        )
        return pd.DataFrame(table).assign(answer=labels)

    with monkeypatch.context() as patch:
        patch.setattr("subliminal.groups.run", shuffled)
        (broken,) = verify.differences(old, claims.evaluate(profile))
    assert broken.fails
    assert "outside of its tolerance" in broken.line

    text = (data / "claims.yml").read_text().replace("start: gpt2-a\n    trait", "start: gpt2-b\n    trait")
    assert "gpt2-b" in text
    (data / "claims.yml").write_text(text)
    (broken,) = verify.differences(old, claims.evaluate(profile))
    assert broken.fails
    assert "outside of its tolerance" in broken.line
