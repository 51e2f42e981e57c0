"""A build beside its reference: what fails it, what is told, and how often the rule errs, by simulation on the book's own reference."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal import claims, verify
from subliminal.claims import Claim, Verdict

FIELDS = {"id": "c", "chapter": "owl", "sentence": "s", "treated": "t", "control": "u", "score": "owl"}


def verdict(test="greater", effect=0.3, corrected=0.001, error=0.04, free=8.0, **fields):
    claim = Claim(**FIELDS | fields, test=test, effect=0.1, alpha=0.05)
    found = Verdict(claim, "", effect, effect - 0.1, effect + 0.1, corrected, corrected, (5, 5), error, free, ("run",))
    return found._replace(verdict=claims._judge(found))


def compare(before, after):
    return verify.differences(verify.summary([before]), [after])


def test_the_same_build_is_as_it_was_and_so_is_another_draw():
    assert compare(verdict(), verdict()) == []
    assert compare(verdict(), verdict(effect=0.34)) == []


def test_a_number_that_left_its_tolerance_fails_the_build():
    (found,) = compare(verdict(), verdict(effect=-0.3))
    assert found.fails
    assert found.line.startswith("c: effect 0.300 before, -0.300 now, outside of its tolerance, 0.1")


@pytest.mark.parametrize("corrected", [0.052, 0.2, 1.0])
def test_a_verdict_that_turned_while_its_number_stayed_is_told_and_no_failure(corrected):
    (found,) = compare(verdict(corrected=0.049), verdict(corrected=corrected, effect=0.29))
    assert not found.fails
    assert found.line == (
        "c: reproduced before, inconclusive now, at a limit: effect 0.300 before, 0.290 now, within its tolerance"
    )


def test_a_claim_that_is_new_or_gone_fails_the_build():
    assert verify.differences({}, [verdict()]) == [("c: not in the reference", True)]
    assert verify.differences(verify.summary([verdict()]), []) == [("c: in the reference and not in claims.yml", True)]


def test_a_single_row_with_a_hint_fails_the_build():
    none, one = (verdict("filter", effect=n, error=0.0, free=float("nan")) for n in (0, 1))
    (found,) = compare(none, one)
    assert found.fails
    assert compare(one, one) == []


def test_of_a_claim_on_pairs_the_size_counts_since_another_pair_may_be_the_worst():
    below, above = (verdict("equivalent", effect=e, error=0.005, families=True) for e in (-0.045, 0.045))
    assert compare(below, above) == []
    one, other = (verdict("equivalent", effect=e, error=0.005) for e in (-0.045, 0.045))
    assert [found.fails for found in compare(one, other)] == [True]


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_a_larger_spread_allows_more(one, two):
    small, large = sorted((one, two))
    assert verify.tolerance((small, 0.01), (4.0, 4.0), 1e-4) <= verify.tolerance((large, 0.01), (4.0, 4.0), 1e-4)


class Draw(NamedTuple):
    """Of many builds at once: the number of a claim, its standard error and degrees of freedom."""

    effect: np.ndarray
    error: np.ndarray
    free: np.ndarray


class Truth(NamedTuple):
    """What a claim's seeds are drawn from: the difference of the two means, both spreads and the numbers of seeds."""

    effect: float
    spreads: tuple[float, float]
    seeds: tuple[int, int]


def truths():
    """The reference as the truth, for each claim whose number varies."""
    found = {}
    for name, told in verify.read_reference("mini").items():
        if not told["free"]:
            continue
        one, two = told["seeds"]
        # Of two sides with equally many seeds, Welch's degrees of freedom tell how much of the variance is on one side.
        share = 1.0 if two == 1 else min(1.0, (1 + max(0.0, 2 * (one - 1) / told["free"] - 1) ** 0.5) / 2)
        variances = told["error"] ** 2 * share * one, told["error"] ** 2 * (1 - share) * two
        found[name] = Truth(told["effect"], (variances[0] ** 0.5, variances[1] ** 0.5), (one, two))
    return found


def seeds(truth, effect, builds, rng):
    return [
        rng.normal(mean, spread, (builds, count))
        for mean, spread, count in zip((effect, 0.0), truth.spreads, truth.seeds, strict=True)
    ]


def measured(treated, control):
    parts = [(v.var(axis=1, ddof=1) / v.shape[1], v.shape[1] - 1) for v in (treated, control) if v.shape[1] > 1]
    whole = sum(part for part, _ in parts)
    below = sum(part**2 / free for part, free in parts)
    return Draw(treated.mean(axis=1) - control.mean(axis=1), np.sqrt(whole), whole**2 / below)


def failing(builds, breaks: Callable[[Claim], str | None], factor=0.0, seed=0):
    """The share of builds that fail against a reference of their own, where ``breaks`` says what is broken of a claim."""
    rng, known = np.random.default_rng(seed), truths()
    registry = [c for c in claims.load()[1] if c.id in verify.read_reference("mini")]
    dealt, fails = verify.alarms(registry), np.zeros(builds, bool)
    for claim in registry:
        if claim.id not in known:
            continue
        truth = known[claim.id]
        how = breaks(claim)
        old = measured(*seeds(truth, truth.effect, builds, rng))
        now = seeds(truth, truth.effect * (factor if how == "scaled" else 1), builds, rng)
        if how == "shuffled":
            pooled = rng.permuted(np.hstack(now), axis=1)
            now = [pooled[:, : truth.seeds[0]], pooled[:, truth.seeds[0] :]]
        new = measured(*now)
        below, above = (
            verify.tolerance((old.error, new.error), (old.free, new.free), alarm) for alarm in dealt[claim.id]
        )
        moved = new.effect - old.effect
        fails |= (moved < -below) | (moved > above)
    return fails.mean()


def effects_of(*chapters):
    return lambda claim: "scaled" if claim.test in claims.EFFECTS and claim.chapter in chapters else None


def test_of_ten_thousand_honest_redraws_at_most_one_in_a_hundred_fails():
    assert failing(10_000, lambda claim: None) <= 0.01


def test_a_build_with_every_effect_a_third_smaller_fails():
    assert failing(1_000, lambda claim: "scaled", factor=2 / 3) >= 0.95


@pytest.mark.parametrize("chapters", [("owl", "favourites", "misled"), ("code",), ("chains",)])
def test_a_build_with_the_effects_of_one_channel_gone_fails(chapters):
    assert failing(1_000, effects_of(*chapters)) >= 0.95


CHAPTERS = sorted({c.chapter for c in claims.load()[1] if c.test in claims.EFFECTS})


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_build_with_the_signs_of_a_chapter_turned_fails(chapter):
    assert failing(1_000, effects_of(chapter), factor=-1) >= 0.95


def test_a_build_with_labels_shuffled_fails():
    assert failing(1_000, lambda claim: "shuffled") >= 0.95


def test_one_claim_alone_that_shrank_by_a_third_is_not_seen():
    """What the docstring says that the rule cannot see: an effect of eight standard errors, alone."""
    assert failing(1_000, lambda claim: "scaled" if claim.id == "harm-chains" else None, factor=2 / 3) < 0.2
