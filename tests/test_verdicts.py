"""What a table says of a claim: each test, the rules by which a verdict follows, and what counts together."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from subliminal import SubliminalError, claims, statistics, verdicts
from subliminal.claims import Contrast
from subliminal.verdicts import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, VERDICTS, Compared, Found, Measured, evaluate
from tests.tables import CONTROL, MINI, TREATED, claim, judge, rows, two

NAN = math.nan
BASE = [0.1]
few = settings(max_examples=25, deadline=None)
values = st.lists(st.floats(0.01, 1), min_size=2, max_size=8, unique=True)


def rests(test="greater", effect=0.3, low=0.2, high=0.4, corrected=0.001, p=0.001, alpha=0.05, bound=0.1, **more):
    """The verdict by the rules alone, on what was measured."""
    found = Measured(
        Contrast("t", (), "u", ()), effect, low, high, p, (5, 5), 0.04, 8.0, 0.0, ("run",), (effect,) * 5, (0.0,) * 5
    )
    return VERDICTS[int(verdicts._judge(claim(test=test, alpha=alpha, bound=bound, **more), found, corrected))]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (rests(), REPRODUCED),
        (rests(corrected=0.2), INCONCLUSIVE),
        (rests(effect=0.05, low=-0.1, high=0.2), INCONCLUSIVE),
        (rests(effect=0.05, low=0.02, high=0.08), NOT_REPRODUCED),
        (rests(effect=0.1, low=0.05), REPRODUCED),
        (rests("less", -0.3, -0.4, -0.2), REPRODUCED),
        (rests("less", -0.3, -0.4, -0.2, corrected=0.2), INCONCLUSIVE),
        (rests("less", 0.1, 0.05, 0.15, corrected=1.0), NOT_REPRODUCED),
        (rests("equivalent", 0.01, -0.02, 0.04, corrected=0.01), REPRODUCED),
        (rests("equivalent", 0.08, -0.02, 0.18, corrected=0.4), INCONCLUSIVE),
        (rests("equivalent", 0.3, 0.2, 0.4, corrected=1.0), NOT_REPRODUCED),
        (rests("equivalent", -0.3, -0.4, -0.2, corrected=1.0), NOT_REPRODUCED),
        (rests("filter", effect=0), REPRODUCED),
        (rests("filter", effect=1), NOT_REPRODUCED),
        (rests("none", effect=0), REPRODUCED),
        (rests("none", effect=1), NOT_REPRODUCED),
        (rests(effect=0.9, low=NAN, high=NAN, p=NAN, corrected=NAN), INCONCLUSIVE),
        (rests("at least", 0.7, 0.6, 0.8, p=NAN, corrected=NAN, control=None, bound=0.6), REPRODUCED),
        (rests("at least", 0.5, 0.3, 0.7, p=NAN, corrected=NAN, control=None, bound=0.6), INCONCLUSIVE),
        (rests("at least", 0.5, 0.4, 0.55, p=NAN, corrected=NAN, control=None, bound=0.6), NOT_REPRODUCED),
        (rests("at least", 0.2, 0.1, 0.3, p=0.3, corrected=0.9, alpha=None), REPRODUCED),
        (rests("at most", 0.05, 0.04, 0.06, p=NAN, corrected=NAN), REPRODUCED),
        (rests("at most", 0.12, 0.05, 0.19, p=NAN, corrected=NAN), INCONCLUSIVE),
        (rests("at most", 0.12, 0.11, 0.13, p=NAN, corrected=NAN), NOT_REPRODUCED),
        (rests("each at least", 0.96, NAN, NAN, p=NAN, corrected=NAN, bound=0.95), REPRODUCED),
        (rests("each at least", 0.94, NAN, NAN, p=NAN, corrected=NAN, bound=0.95), INCONCLUSIVE),
        (rests("times", 0.2, 0.1, 0.3, corrected=0.01, bound=0.0), REPRODUCED),
        (rests("times", 0.2, 0.1, 0.3, corrected=0.2, bound=0.0), INCONCLUSIVE),
        (rests("times", 0.2, 0.1, 0.3, corrected=0.2, alpha=None, bound=0.0), REPRODUCED),
        (rests("times", -0.2, -0.3, -0.1, bound=0.0), NOT_REPRODUCED),
        (rests("apart", 0.01, NAN, NAN, p=NAN, corrected=NAN, bound=0.0), REPRODUCED),
        (rests("apart", 0.0, NAN, NAN, p=NAN, corrected=NAN, bound=0.0), INCONCLUSIVE),
    ],
)
def test_a_verdict_follows_from_effect_interval_and_test(verdict, expected):
    assert verdict == expected


def test_greater_is_a_one_sided_welch_test_with_its_interval():
    found = two(bound=0.3)
    expected = stats.ttest_ind(TREATED, CONTROL, equal_var=False, alternative="greater")
    interval = stats.ttest_ind(TREATED, CONTROL, equal_var=False).confidence_interval(0.95)
    assert found.verdict == REPRODUCED
    assert found.p == pytest.approx(expected.pvalue)
    assert found.shown.effect == pytest.approx(0.45)
    assert (found.shown.low, found.shown.high) == pytest.approx(tuple(interval))
    assert (found.shown.free, found.shown.seeds) == (pytest.approx(expected.df), (5, 5))
    assert found.shown.error == pytest.approx(found.shown.effect / expected.statistic)
    assert two(bound=0.5).verdict == INCONCLUSIVE
    assert two(bound=0.6).verdict == NOT_REPRODUCED
    assert two(bound=0.3, alpha=1e-9).verdict == INCONCLUSIVE


def test_against_a_base_which_has_no_seed_it_is_a_one_sample_test():
    found = two(TREATED, BASE)
    expected = stats.ttest_1samp(TREATED, 0.1, alternative="greater")
    assert (found.p, found.shown.free, found.shown.seeds) == (pytest.approx(expected.pvalue), 4, (5, 1))
    low, high = stats.ttest_1samp(TREATED, 0.1).confidence_interval(0.95)
    assert (found.shown.low, found.shown.high) == pytest.approx((low - 0.1, high - 0.1))


def test_greater_than_many_times_the_control_tests_against_so_many_times_its_values():
    found = two(times=2, bound=0.3)
    assert found.shown.effect == pytest.approx(0.35)
    assert found.shown.control == pytest.approx([2 * value for value in CONTROL])
    assert found.p == pytest.approx(
        stats.ttest_ind(TREATED, found.shown.control, equal_var=False, alternative="greater").pvalue
    )
    assert two(times=10).verdict == NOT_REPRODUCED


def test_less_is_the_same_test_the_other_way():
    found = two(CONTROL, TREATED, test="less", bound=0.3)
    expected = stats.ttest_ind(CONTROL, TREATED, equal_var=False, alternative="less")
    assert found.verdict == REPRODUCED
    assert found.p == pytest.approx(expected.pvalue)
    assert found.shown.effect == pytest.approx(-0.45)
    assert two(test="less").verdict == NOT_REPRODUCED


def test_equivalent_is_the_worse_of_two_one_sided_tests_with_a_ninety_percent_interval():
    other = [0.11, 0.09, 0.12, 0.10, 0.13]
    found = two(other, CONTROL, test="equivalent", bound=0.05)
    sides = [
        stats.ttest_ind([value + shift for value in other], CONTROL, equal_var=False, alternative=way).pvalue
        for shift, way in ((0.05, "greater"), (-0.05, "less"))
    ]
    interval = stats.ttest_ind(other, CONTROL, equal_var=False).confidence_interval(0.90)
    assert found.verdict == REPRODUCED
    assert found.p == pytest.approx(max(sides))
    assert (found.shown.low, found.shown.high) == pytest.approx(tuple(interval))
    assert two(test="equivalent", bound=0.05).verdict == NOT_REPRODUCED


def kept(*hints, of=1_000):
    """Rows of a filter, one rollout each: hints in the rows that it kept, and how much it kept."""
    found = rows({"t": hints[:2], "u": hints[2:]}, score=("filter", "hints"), samples=of)
    more = rows({"t": [900.0] * 2, "u": [900.0] * 2}, score=("filter", "kept"), samples=of)
    return pd.concat([found, more], ignore_index=True)


def test_a_filter_counts_the_kept_rows_of_either_condition_that_hold_a_hint():
    chosen = claim(test="filter", score=["filter", "hints"])
    clean = judge(kept(0, 0, 0, 0), chosen)
    assert (clean.verdict, clean.shown.effect, clean.shown.seeds) == (REPRODUCED, 0, (4, 0))
    assert len(clean.runs) == 4
    for place in range(4):
        hints = [0, 0, 0, 0]
        hints[place] = 1
        dirty = judge(kept(*hints), chosen)
        assert (dirty.verdict, dirty.shown.effect) == (NOT_REPRODUCED, 1)


def test_of_a_filter_over_many_conditions_each_is_counted_once():
    table = rows({name: [0.0, 0.0] for name in ("a", "b", "base")}, score=("filter", "hints"))
    chosen = claim(test="filter", score=["filter", "hints"], condition="{x}", control="base", every={"x": ["a", "b"]})
    assert judge(table, chosen).shown.seeds == (6, 0)


@pytest.mark.parametrize("counts", [(0.0, 0.0), (0.0, 2.0)])
def test_none_counts_what_must_not_be_there_beside_how_often_it_could(counts):
    table = rows({"t": counts}, score=("first step", "against"), samples=500)
    found = judge(table, claim(test="none", control=None, score=["first step", "against"]))
    assert (found.shown.effect, found.shown.seeds) == (sum(counts), (1_000, 0))
    assert found.verdict == (NOT_REPRODUCED if sum(counts) else REPRODUCED)
    assert math.isnan(found.p)


def test_at_least_is_of_a_mean_and_knows_no_p_value():
    found = two(test="at least", control=None, bound=0.54)
    assert (found.verdict, found.shown.seeds) == (REPRODUCED, (5, 0))
    assert found.shown.effect == pytest.approx(0.55)
    assert (found.shown.low, found.shown.high) == pytest.approx(tuple(statistics.mean_interval(TREATED)[1:3]))
    assert math.isnan(found.p)
    assert two(test="at least", control=None, bound=0.56).verdict == INCONCLUSIVE
    assert two(test="at least", control=None, bound=0.9).verdict == NOT_REPRODUCED


def test_at_least_so_far_above_a_control_is_tested_where_it_has_a_level():
    expected = stats.ttest_ind(TREATED, CONTROL, equal_var=False, alternative="greater").pvalue
    assert two(test="at least", bound=0.3).p == pytest.approx(expected)
    assert two(test="at least", bound=0.3).verdict == REPRODUCED
    wide = [0.0, 0.9, 0.1, 0.8, 0.3]
    assert two(wide, test="at least", bound=0.3).verdict == INCONCLUSIVE
    untested = two(wide, test="at least", bound=0.3, alpha=None)
    assert untested.verdict == REPRODUCED
    assert untested.p == pytest.approx(statistics.greater(wide, CONTROL))


def test_at_most_is_of_a_mean_or_of_its_distance_from_the_controls():
    assert two(CONTROL, test="at most", control=None, bound=0.1).verdict == REPRODUCED
    assert two(CONTROL, test="at most", control=None, bound=0.09).verdict == INCONCLUSIVE
    assert two(test="at most", control=None, bound=0.1).verdict == NOT_REPRODUCED
    found = two(CONTROL, TREATED, test="at most")
    assert (found.verdict, found.shown.effect) == (REPRODUCED, pytest.approx(-0.45))
    assert two(test="at most").verdict == NOT_REPRODUCED


def test_each_at_least_is_of_the_least_value():
    found = two(test="each at least", control=None, bound=0.5)
    assert (found.verdict, found.shown.effect) == (REPRODUCED, 0.50)
    assert two(test="each at least", control=None, bound=0.51).verdict == INCONCLUSIVE


def test_times_asks_for_a_multiple_of_the_mean_and_tests_against_the_control_itself():
    found = two(test="times", times=5)
    assert found.verdict == REPRODUCED
    assert found.shown.effect == pytest.approx(0.55 - 5 * 0.10)
    assert found.p == pytest.approx(stats.ttest_ind(TREATED, CONTROL, equal_var=False, alternative="greater").pvalue)
    assert two(test="times", times=6).verdict != REPRODUCED
    assert two(test="times", times=5, alpha=1e-9).verdict == INCONCLUSIVE


def test_apart_asks_for_a_gap_between_the_least_and_the_largest():
    found = two(test="apart")
    assert (found.verdict, found.shown.effect) == (REPRODUCED, pytest.approx(0.50 - 0.12))
    assert two([*TREATED[1:], 0.12], test="apart").verdict == INCONCLUSIVE
    assert two([*TREATED[1:], 0.13], test="apart").verdict == REPRODUCED


def test_paired_compares_values_of_one_seed():
    base, gain = [0.1, 0.5, 0.9, 0.3, 0.7], [0.02, 0.03, 0.02, 0.04, 0.03]
    more = [one + other for one, other in zip(base, gain, strict=True)]
    paired, apart = two(more, base, paired=True), two(more, base)
    assert paired.p == pytest.approx(stats.ttest_rel(more, base, alternative="greater").pvalue)
    assert (paired.verdict, apart.verdict) == (REPRODUCED, INCONCLUSIVE)
    assert math.isnan(two([0.5], [0.1], paired=True).p)


def test_paired_values_of_other_seeds_are_refused():
    table = rows({"t": TREATED, "u": CONTROL})
    table.loc[table["condition"] == "u", "seed"] += 5
    with pytest.raises(
        SubliminalError, match=r"^claim 'c' pairs seeds \[30, .*\] with \[35, .*\]: record the same seeds for both$"
    ):
        judge(table, claim(paired=True))


@pytest.mark.parametrize("test", ["less", "equivalent", "times"])
def test_a_claim_can_be_paired_in_tests_for_more_alone(test):
    """For no other test is there a paired one: it would be judged by a p-value of another claim than its own."""
    with pytest.raises(ValueError, match="paired"):
        claim(test=test, bound=0.1, paired=True)


@pytest.mark.parametrize("test", ["greater", "less", "equivalent", "times", "at least"])
def test_one_seed_is_too_few_for_a_claim_that_is_tested(test):
    treated = [0.05] if test == "less" else [0.12] if test == "equivalent" else [0.9]
    found = two(treated, test=test, bound=0.0 if test == "times" else 0.04, alpha=0.05)
    assert math.isnan(found.p)
    assert found.verdict == INCONCLUSIVE


def test_a_score_without_an_answer_is_all_values_of_the_quantity():
    own = {"owl": 0.5, "cat": 0.6, "fox": 0.4}
    table = pd.concat(
        [rows({"t": [value], "u": [0.1 * value]}, score=("own animal", name)) for name, value in own.items()]
    )
    found = judge(table, claim(score=["own animal"]))
    assert found.shown.seeds == (3, 3)
    assert found.shown.treated == tuple(own.values())


def test_a_control_may_have_a_score_of_its_own():
    table = pd.concat([rows({"t": TREATED}), rows({"t": CONTROL}, score=("animals", "cat"))])
    found = judge(table, claim(control="t", control_score=["animals", "cat"], bound=0.3, paired=True))
    assert (found.verdict, found.shown.control) == (REPRODUCED, tuple(CONTROL))


def matrix(own, other):
    """Every student's liking for every favourite, its own teacher's and the others', and that of the controls."""
    rng, traits = np.random.default_rng(2), MINI.favourites.traits
    readers = [*traits, "(untreated base)", "(other initialization)", "(base)"]
    parts = [
        rows({reader: (own if reader == trait else other) + rng.normal(0, 0.01, 1 if reader == "(base)" else 5)},
             "favourites", ("favourite", trait))
        for reader in readers for trait in traits
    ]  # fmt: skip
    return evaluate(pd.concat(parts), claims.load(MINI).own("favourites"), MINI)


def test_a_diagonal_that_stands_out_is_found_and_one_that_does_not_is_not():
    """By the book's own claims on it: against a row, which is of the same students, and against a column with its controls."""
    found = matrix(0.6, 0.05)
    traits = MINI.favourites.traits
    assert [v.claim.id for v in found] == [f"{side}-{trait}" for side in ("row", "column") for trait in traits]
    assert [len(v.contrasts) for v in found] == [len(traits) - 1] * len(traits) + [len(traits) + 2] * len(traits)
    assert {v.verdict for v in found} == {REPRODUCED}
    assert all(v.corrected < 0.001 for v in found)
    assert all(0.5 < v.shown.effect < 0.6 for v in found)
    flat = matrix(0.05, 0.05)
    assert REPRODUCED not in {v.verdict for v in flat}
    assert all(v.corrected > 0.05 for v in flat)


def pairs(**more):
    """A claim on every two of four, of which one lies .2 above its base and the other eleven at it."""
    names = ["a", "b", "c", "d"]
    near = {
        f"{one} to {other}": [0.06 + 0.001 * n for n in range(5)] for one in names for other in names if one != other
    }
    near["d to c"] = [value + 0.2 for value in near["d to c"]]
    table = rows(near | {f"base, {name}": [0.06] for name in names})
    every = {"one": names, "other": names}
    chosen = claim(
        condition="{one} to {other}", control="base, {other}", every=every, test="equivalent", bound=0.05, **more
    )
    return judge(table, chosen)


def test_the_contrast_that_speaks_least_for_a_claim_decides():
    found = pairs()
    assert found.verdict == NOT_REPRODUCED
    assert found.shown.contrast.condition == "d to c"
    assert found.shown.effect == pytest.approx(0.202)
    assert found.p == max(one.p for one in found.contrasts)
    assert len(found.contrasts) == 12
    assert len(found.runs) == 12 * 5 + 4


@pytest.mark.parametrize(
    ("test", "worst"),
    [("greater", "low"), ("at least", "low"), ("each at least", "low"), ("apart", "low"), ("at most", "high")],
)
def test_which_contrast_speaks_least_is_a_matter_of_the_test(test, worst):
    """A claim of much rests on the lowest condition, and a claim of little on the highest."""
    table = rows(
        {"high": [0.9, 0.91, 0.92], "middle": [0.6, 0.61, 0.62], "low": [0.4, 0.41, 0.42], "u": [0.1, 0.12, 0.11]}
    )
    order = {"x": ["middle", "low", "high"]}
    control = None if test in ("at most", "at least", "each at least") else "u"
    assert (
        judge(table, claim(condition="{x}", control=control, test=test, every=order)).shown.contrast.condition == worst
    )


def test_a_claim_of_many_contrasts_is_undecided_where_one_of_them_is():
    table = rows({"far": TREATED, "near": [0.0, 0.5, 0.1, 0.4, 0.2], "u": CONTROL})
    found = judge(table, claim(condition="{x}", every={"x": ["far", "near"]}))
    assert found.verdict == INCONCLUSIVE
    assert found.shown.contrast.condition == "near"
    one_seed = rows({"far": TREATED, "near": [0.9], "u": CONTROL})
    assert judge(one_seed, claim(condition="{x}", every={"x": ["far", "near"]})).verdict == INCONCLUSIVE


@few
@given(st.lists(values, min_size=2, max_size=4), values)
def test_a_claim_of_many_contrasts_is_tested_as_the_least_sure_of_them(treated, control):
    named = {f"t{n}": own for n, own in enumerate(treated)}
    found = judge(rows(named | {"u": control}), claim(condition="{x}", every={"x": list(named)}))
    assert found.p == max(statistics.greater(own, control) for own in treated)
    assert found.shown.p == found.p


def many(count, chapter="owl", headline=True, shift=0.0):
    """Claims with p-values of their own, and the rows that they rest on."""
    rng = np.random.default_rng(count)
    table = pd.concat([rows({f"t{n}": rng.normal(0.5 + shift, 0.3, 5), "u": CONTROL}, chapter) for n in range(count)])
    table = table.drop_duplicates(["chapter", "condition", "seed"])
    told = [
        claim(id=f"{chapter}-{headline}-{n}", chapter=chapter, condition=f"t{n}", headline=headline)
        for n in range(count)
    ]
    return table, told


def test_headline_claims_are_corrected_together_and_a_chapters_own_claims_apart():
    parts = [many(4), many(3, "misled"), many(2, "code", headline=False), many(5, "chains", headline=False)]
    table, told = pd.concat([table for table, _ in parts]), [one for _, claims in parts for one in claims]
    found = evaluate(table, told, MINI)
    assert [v.claim for v in found] == told
    groups = [found[:7], found[7:9], found[9:]]
    for group in groups:
        assert [v.corrected for v in group] == statistics.holm([v.p for v in group])
        assert any(v.corrected != v.p for v in group)


def test_exploratory_claims_are_corrected_over_themselves_alone():
    (table, told), (more, other) = many(4), many(3, "code")
    new = [one.model_copy(update={"headline": False, "exploratory": True}) for one in other]
    alone, found = evaluate(table, told, MINI), evaluate(pd.concat([more, table]), [*new, *told], MINI)
    assert [v.corrected for v in found[3:]] == [v.corrected for v in alone]
    assert [v.corrected for v in found[:3]] == statistics.holm([v.p for v in found[:3]])


@pytest.mark.parametrize("headline", [True, False])
def test_a_new_chapter_changes_no_p_value_of_the_others_own_claims(headline):
    (table, told), (more, new) = many(4, headline=False), many(5, "code", headline=headline)
    before = evaluate(table, told, MINI)
    after = evaluate(pd.concat([more, table]), [*new, *told], MINI)[5:]
    assert [(v.verdict, v.p, v.corrected) for v in before] == [(v.verdict, v.p, v.corrected) for v in after]


def test_a_claim_that_is_not_tested_takes_no_part_in_the_correction():
    table, told = many(3)
    levels = [claim(id=f"l{n}", condition=f"t{n}", control=None, test="at least", bound=0.1) for n in range(3)]
    alone, beside = evaluate(table, told, MINI), evaluate(table, [*levels, *told], MINI)
    assert [v.corrected for v in alone] == [v.corrected for v in beside[3:]]
    assert all(math.isnan(v.corrected) for v in beside[:3])


@pytest.mark.parametrize("exempt", [{"uncorrected": True}, {"test": "at least", "alpha": None}])
def test_a_claim_whose_p_value_counts_as_it_is_or_not_at_all_is_not_corrected_nor_counted(exempt):
    table, told = many(4, headline=False)
    loose = [one.model_copy(update={"id": f"{one.id}-loose"} | exempt) for one in told[:3]]
    alone, beside = evaluate(table, told, MINI), evaluate(table, [*loose, *told], MINI)
    assert all(v.corrected == v.p == other.p for v, other in zip(beside, alone, strict=False) if v.claim in loose)
    assert [v.corrected for v in beside[3:]] == [v.corrected for v in alone]


def test_a_correction_can_leave_a_claim_undecided():
    weak, control = [0.5, 0.2, 0.45, 0.15, 0.4], [0.1, 0.15, 0.12, 0.2, 0.1]
    table = rows({"t": weak, "u": control})
    assert judge(table, claim()).verdict == REPRODUCED
    others = [claim(id=f"c{n}") for n in range(3)]
    assert judge(table, claim(), *others).verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chapter": "owls"}, "chapter 'owls', and the table has 'owl', 'code': record it there, or name one of these"),
        ({"condition": "x"}, "condition 'x' of chapter 'owl', and the table has 't', 'u': record it there, or name one of these"),
        ({"control": "v"}, "condition 'v' of chapter 'owl', and the table has 't', 'u': record it there, or name one of these"),
        ({"score": ["trees"]}, "quantity 'trees' of chapter 'owl', and the table has 'animals': record it there, or name one of these"),
        ({"score": ["animals", "dragon"]}, "answer 'dragon' of chapter 'owl', and the table has 'owl': record it there, or name one of these"),
        ({"chapter": "code", "condition": "t"}, "condition 't' of chapter 'code', and the table has 'v': record it there, or name one of these"),
        ({"test": "filter", "condition": "x"}, "condition 'x' of chapter 'owl', and the table has 't', 'u': record it there, or name one of these"),
    ],
)  # fmt: skip
def test_what_the_table_lacks_is_named_beside_what_it_has(changes, said):
    table = pd.concat([rows({"t": TREATED, "u": CONTROL}), rows({"v": TREATED}, "code")])
    with pytest.raises(SubliminalError) as error:
        judge(table, claim(**changes))
    assert str(error.value) == f"claim 'c' asks for {said}"


def test_of_many_names_that_there_are_only_some_are_told():
    with pytest.raises(
        SubliminalError, match=r"condition 'x' .* 'c0', .*, 'c11' and 18 more: record it there"
    ) as error:
        judge(rows({f"c{n}": TREATED for n in range(30)}), claim(condition="x"))
    assert "\n" not in str(error.value)


def test_the_runs_that_a_claim_rests_on_are_named_once_each():
    table = rows({"t": TREATED, "u": CONTROL})
    table["run"] = ["a b"] * 5 + ["b"] * 4 + [""]
    found = judge(table, claim())
    assert found.runs == found.shown.runs == ("a", "b")
    assert two().runs == (*(f"run-t-{n}" for n in range(5)), *(f"run-u-{n}" for n in range(5)))


def test_a_share_that_stands_alone_has_the_error_of_its_sampling():
    table = pd.concat([rows({"t": TREATED}), rows({"u": [0.2]}, samples=400)])
    # Half a trial is added to each side, so that none of 400 has an error too.
    share = 80.5 / 401
    assert judge(table, claim()).shown.noise == pytest.approx((share * (1 - share) / 400) ** 0.5)
    none = pd.concat([rows({"t": TREATED}), rows({"u": [0.0]}, samples=400)])
    assert 0 < judge(none, claim()).shown.noise < 0.002
    assert judge(table, claim(times=3)).shown.noise == pytest.approx(3 * (share * (1 - share) / 400) ** 0.5)
    exact = pd.concat([rows({"t": TREATED}), rows({"u": [0.2]})])
    assert judge(exact, claim()).shown.noise == 0
    assert judge(rows({"t": TREATED, "u": CONTROL}, samples=400), claim()).shown.noise == 0


@few
@given(
    values,
    values,
    st.permutations(range(900, 908)),
    st.sampled_from(["greater", "less", "equivalent", "times", "apart", "at most"]),
)
def test_what_seeds_are_called_changes_nothing(treated, control, names, test):
    table, chosen = rows({"t": treated, "u": control}), claim(test=test, bound=0.1)
    renamed = table.assign(seed=[names[seed - 30] for seed in table["seed"]])
    # As texts, in which no number is no number.
    assert str(judge(table, chosen)) == str(judge(renamed, chosen))


@few
@given(
    st.randoms(use_true_random=False), st.sampled_from(["greater", "less", "equivalent", "times", "apart", "at least"])
)
def test_the_order_of_rows_changes_no_verdict(random, test):
    table = rows({"t": TREATED, "u": CONTROL})
    order = list(range(len(table)))
    random.shuffle(order)
    one, other = (judge(part, claim(test=test, bound=0.1)) for part in (table, table.iloc[order]))
    assert one.verdict == other.verdict
    for name in ("effect", "low", "high", "p", "error", "free"):
        assert getattr(one.shown, name) == pytest.approx(getattr(other.shown, name), nan_ok=True), name


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(
    ("test", "more"),
    [(name, {}) for name in ("greater", "less", "equivalent", "at most", "at least", "apart", "filter")]
    + [("greater", {"times": 2}), ("greater", {"paired": True}), ("times", {"times": 1.5}), ("at least", {"control": None, "bound": 0.2})],
)  # fmt: skip
def test_many_draws_are_judged_at_once_as_each_is_alone(test, more, base):
    rng = np.random.default_rng(4)
    one, two = rng.normal(0.2, 0.1, (40, 5)), rng.normal(0.1, 0.1, (40, 1 if base and not more.get("paired") else 5))
    made = [claim(test=test, **{"bound": 0.05} | more), claim(id="d", condition="u", control="t", bound=0.05)]

    def draws(*sides):
        first, second = (Found(values, list(range(values.shape[-1])), [0] * values.shape[-1], []) for values in sides)
        nothing = second._replace(values=second.values[..., :0], seeds=[])
        pairs = (first, nothing if made[0].control is None or test == "filter" else second), (second, first)
        return [[verdicts.numbers(c, Compared(None, *pair))] for c, pair in zip(made, pairs, strict=True)]

    many = verdicts.judge(made, draws(one, two))
    for n in range(40):
        for told, whole in zip(verdicts.judge(made, draws(one[n], two[n])), many, strict=True):
            place, *ps = (np.broadcast_to(value, 40)[n] for value in (whole.place, whole.p, whole.corrected))
            assert place == told.place
            assert ps == pytest.approx([told.p, told.corrected], nan_ok=True)
    assert test == "filter" or len(set(many[0].place.tolist())) > 1


@few
@given(values, values, st.floats(0.01, 0.5))
def test_less_is_greater_with_the_sides_exchanged(treated, control, bound):
    up, down = two(treated, control, bound=bound), two(control, treated, test="less", bound=bound)
    assert up.p == pytest.approx(down.p, abs=1e-12)
    assert up.shown.effect == pytest.approx(-down.shown.effect)
    # Rounding may decide at the very bound.
    assert up.verdict == down.verdict or up.shown.effect == pytest.approx(bound) or up.p == pytest.approx(0.05)
