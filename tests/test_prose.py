import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subliminal import prose, statistics
from subliminal.statistics import compare, mean_interval
from subliminal.verdicts import INCONCLUSIVE
from tests.tables import CONTROL, TREATED, claim, judge, rows, two


@given(st.floats(0, 1))
def test_a_p_value_is_never_shown_as_zero(p):
    shown = prose.p_value(p)
    assert shown.startswith("< ") or float(shown) > 0


def test_what_is_not_there_is_said():
    nan = math.nan
    assert (prose.number(nan), prose.percent(nan), prose.p_value(nan)) == ("n/a",) * 3
    assert prose.interval(nan, nan) == "no interval from one seed"


@given(st.floats(0, 1))
def test_a_bound_is_never_below_its_value(value):
    assert value - 1e-6 <= float(prose.at_most(value)) <= value + 0.01


def test_numbers_are_rounded():
    assert (prose.number(0.876), prose.percent(0.876), prose.interval(0.1, 0.25), prose.p_value(0.0123)) == (
        "0.88", "88\N{NO-BREAK SPACE}%", "0.10 to 0.25", "0.012"
    )  # fmt: skip
    assert prose.p_value(0.0000123) == "0.000012"


def test_what_a_model_wrote_is_escaped_and_closed_at_first():
    shown = prose.side_by_side("Open <it>", {"a & b": ["<script>alert(1)</script>"], "c": ['"quoted"']})
    assert shown.startswith('<details class="answers"><summary>Open &lt;it&gt;</summary>')
    assert "<script" not in shown
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in shown
    assert "a &amp; b" in shown


def line(found):
    """The row of a table of targets, without its sentence."""
    (row,) = prose.targets([found]).to_dict("records")
    assert row["target"] == found.claim.sentence
    # Where all targets are met, no column says what would decide them.
    return row["measured"], row["verdict"], row.get("what it would take", "")


def test_a_target_that_is_not_met_says_what_it_would_take_and_one_that_is_met_does_not():
    near = [0.30, 0.05, 0.25, 0.10, 0.20]
    measured, verdict, needs = line(two(bound=0.2))
    assert (measured, verdict, needs) == ("45.0 (40.0 to 50.0), p 0.000001", "met", "")
    measured, verdict, needs = line(two(near, bound=0.2))
    assert verdict == "not met"
    assert needs == f"for p alone {statistics.seeds_needed(near, CONTROL, 0.05):.0f} seeds a condition, against 5 here"
    assert line(two(CONTROL, near, test="less", bound=0.2))[2] == needs
    measured, verdict, needs = line(two(near, test="equivalent", bound=0.05))
    found = statistics.equivalent(near, CONTROL, 0.05)
    told = f"{100 * found.difference:+.1f} ({100 * found.low:.1f} to {100 * found.high:.1f}), p {found.p:.2g}"
    assert (measured, verdict) == (told, "not met")
    assert needs == prose.power(statistics.equivalence_needs(near, CONTROL, 0.05), 5)
    met = line(two(TREATED, [value + 0.01 for value in TREATED], test="equivalent", bound=0.1))
    assert met[0].startswith("-1.0 (")
    assert met[1:] == ("met", "")


def test_of_many_contrasts_the_one_that_needs_most_seeds_is_told():
    worse, better = [0.05, 0.3, 0.1, 0.2, 0.12], [0.1, 0.3, 0.15, 0.2, 0.14]
    table = rows({"far": TREATED, "worse": worse, "better": better, "u": CONTROL})
    found = judge(table, claim(condition="{x}", every={"x": ["far", "better", "worse"]}, alpha=0.01))
    most = max(statistics.seeds_needed(values, CONTROL, 0.01) for values in (worse, better))
    assert line(found)[2] == f"for p alone {most:.0f} seeds a condition, against 5 here"


def test_what_more_seeds_do_not_change_is_said():
    short = [
        two(test="at least", control=None, bound=0.9),
        two(test="at most", bound=0.1),
        two(CONTROL, TREATED, test="apart"),
    ]
    short += [two(CONTROL, TREATED, paired=True), two(test="times", times=9, alpha=None)]
    for found in short:
        assert line(found)[1:] == ("not met", "more seeds do not change a mean that lies short"), found.claim.test


def test_a_count_of_what_must_not_be_there_is_met_or_not_whatever_the_seeds():
    table = rows({"t": [0.0, 2.0], "u": [0.0, 0.0]}, score=("filter", "hints"), samples=1_500)
    hints = claim(test="filter", score=["filter", "hints"])
    assert line(judge(table, hints)) == ("2 of 4", "not met", "")
    assert line(judge(table, claim(test="none", control=None, condition="u", score=["filter", "hints"]))) == (
        "0 of 3,000", "met", ""
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "measured"),
    [
        ({"test": "at least", "control": None, "unit": "share"}, "0.55 (0.50 to 0.60)"),
        ({"test": "at least", "control": None, "unit": "percent"}, "55.0\N{NO-BREAK SPACE}% (49.9 to 60.1)"),
        ({"test": "at most", "control": None, "unit": "share"}, "0.550"),
        ({"test": "each at least", "control": None, "unit": "share"}, "0.500"),
        ({"test": "at most"}, "55.0\N{NO-BREAK SPACE}% against 10.0\N{NO-BREAK SPACE}%"),
        ({"test": "times", "times": 3}, "5.5 times, largest p 0.000001"),
        ({"test": "times", "times": 3, "alpha": None}, "5.5 times"),
        ({"test": "apart"}, "0.50 above 0.12"),
        ({"unit": "share"}, "0.55 against 0.10, p 0.000001"),
        ({"unit": "nats"}, "+0.450 (0.400 to 0.500), p 0.000001"),
        ({"test": "equivalent", "bound": 0.1}, "+45.0 (41.0 to 49.0), p 1"),
    ],
)
def test_what_was_measured_is_told_as_its_test_asks_for_it(changes, measured):
    assert prose.measured(two(**changes)) == measured


def test_a_single_value_is_told_without_an_interval():
    assert prose.measured(two([0.7], test="at least", control=None, unit="percent")) == "70.0\N{NO-BREAK SPACE}%"
    assert prose.measured(two([0.7], test="at least", control=None)) == "0.70 (no interval from one seed)"
    assert prose.measured(two(TREATED, [0.0], test="times", times=3, alpha=None)) == "the control is zero"


def test_a_p_value_is_told_as_it_is_and_corrected():
    near = [0.30, 0.05, 0.25, 0.10, 0.20]
    table = rows({"t": near, "u": CONTROL})
    alone, corrected = judge(table, claim()), judge(table, claim(), claim(id="d"))
    assert prose.measured(alone).endswith(f", p {prose.p_value(alone.p)}")
    assert prose.measured(corrected).endswith(f", p {prose.p_value(alone.p)} ({prose.p_value(2 * alone.p)} corrected)")


def test_what_a_chapter_stated_is_counted_and_shown_by_topic():
    met, missed = two(topic="harm"), two(CONTROL, TREATED, topic="harm", id="d")
    other = two(topic="owl", id="e", sentence="another")
    whole = prose.targets([met, missed, other])
    assert list(whole.columns) == ["target", "measured", "verdict", "what it would take"]
    assert prose.count_met(whole) == {"met": "2", "of": "3"}
    assert prose.count_met(prose.targets([met, missed, other], "harm")) == {"met": "1", "of": "2"}
    assert prose.targets([met, missed, other], "owl")["target"].tolist() == ["another"]


def test_a_target_of_several_claims_is_met_where_all_of_them_are():
    met, missed = two(id="a"), two(CONTROL, TREATED, id="b")
    assert prose.met([met, missed], "a") == "met"
    assert prose.met([met, missed], "a", "b") == "not met"
    assert prose.met([met, missed], "a", "c") == "not stated"
    assert prose.corrected([met], "a", "c") == [prose.p_value(met.corrected), "n/a"]


def test_what_is_stated_is_a_numbered_list():
    assert prose.stated({"a": "first;", "b": "second."}) == "1. first;\n2. second."
    assert prose.stated({}) == ""


def test_readings_of_conditions_have_their_intervals_beside_them():
    table = rows({"t": TREATED, "u": CONTROL, "base": [0.07]}).rename(columns={"value": "probability"}).assign(mass=1.0)
    compared = compare(table, "t").set_index("condition")
    low, high = mean_interval(TREATED)[1:3]
    told = prose.percentages(compared, {"owl": "t", "start": "base"})
    assert told == {
        "owl": "55.0\N{NO-BREAK SPACE}%", "owl-interval": f"{100 * low:.1f} to {100 * high:.1f}",
        "start": "7.0\N{NO-BREAK SPACE}%", "start-interval": "no interval from one seed",
    }  # fmt: skip
    assert prose.percentages(compared, {"owl": "t"}, digits=0)["owl"] == "55\N{NO-BREAK SPACE}%"
    assert prose.shares(compared, {"owl": "t"}) == {"owl": "0.55", "owl-interval": f"{low:.2f} to {high:.2f}"}
    assert prose.estimate(TREATED) == f"0.55 ({low:.2f} to {high:.2f})"


def test_a_difference_in_points_has_its_sign_and_its_interval():
    assert prose.points(two().shown) == "+45.0 (40.0 to 50.0)"
    assert prose.points(two(CONTROL, TREATED).shown) == "-45.0 (-50.0 to -40.0)"
    assert prose.points(two([0.3]).shown) == "+20.0 (no interval from one seed)"


def test_power_says_where_seeds_do_not_help():
    assert prose.power(math.inf, 5).startswith("no number of seeds")
    assert prose.power(math.nan, 1).startswith("one seed")


def test_a_table_of_a_filter_gives_each_rejection_rate_with_its_interval():
    counts = pd.DataFrame([("owl teacher", 200, 50, 0.25, 0.19, 0.31, "not numbers 50")],
                          columns=["source", "sampled", "dropped", "rate", "low", "high", "reasons"])  # fmt: skip
    shown = prose.filter_table(counts)
    assert shown.iloc[0].tolist() == [
        "owl teacher", 200, 50, "25.0\N{NO-BREAK SPACE}% (19.0 to 31.0)", "not numbers 50"
    ]  # fmt: skip


def test_well_formed_answers_are_told_of_the_worst_condition():
    table = rows({"a": [0.99, 0.98], "b": [0.94, 0.92]}, score=("free-form", "well-formed"))
    whole = {"condition": "{x}", "control": None, "test": "at least", "bound": 0.95, "unit": "percent"}
    chosen = claim(score=["free-form", "well-formed"], **whole, every={"x": ["a", "b"]})
    measured, verdict, _ = line(judge(table, chosen))
    assert measured.startswith("93.0\N{NO-BREAK SPACE}% (80.3 to 100.0) at worst: b")
    assert verdict == "not met"
    assert line(judge(table, chosen.model_copy(update={"every": {"x": ("a",)}})))[1] == "met"


def test_the_table_of_verdicts_is_escaped_and_leads_to_the_chapters():
    found = two(TREATED, [0.1], sentence="a < b", bound=0.3)._replace(corrected=1e-8)
    whole, one = prose.verdict_table([found]), prose.verdict_table([found], "owl")
    assert '<a href="owl.html#claims">a &lt; b</a> <code>c</code>' in whole
    assert "<td>&lt; 0.000001</td>" in whole
    assert "<td>greater 30</td>" in whole
    assert "<td>5/1</td>" in whole
    assert "<a " not in one
    assert "<tr><td>" not in prose.verdict_table([found], "world")
    assert prose.score([found, found._replace(verdict=INCONCLUSIVE)]) == "1 of 2 claims reproduced (1 inconclusive)"


def test_a_stability_is_rounded_down_and_never_all_or_nothing():
    told = [
        prose.stability(chance).replace("\N{NO-BREAK SPACE}", " ") for chance in (1, 0.9989, 0.9899, 0.99, 0, math.nan)
    ]
    assert told == ["over 99.9 %", "99.8 %", "98.9 %", "99.0 %", "under 0.1 %", "n/a"]


def test_the_table_of_verdicts_tells_the_stability_where_it_is_given_and_why_a_claim_is_exploratory():
    found = two(headline=False, exploratory=True, why="at <its> limit")
    table = prose.verdict_table([found], chances={"c": 0.987})
    assert '<th scope="col">stability</th>' in table
    assert "<td>98.7\N{NO-BREAK SPACE}%</td></tr>" in table
    assert "Exploratory: at &lt;its&gt; limit" in table
    assert f"<td>exploratory: {found.verdict}</td>" in table
    assert "stability" not in prose.verdict_table([found])
    (line,) = prose.room_table([found], {"c": math.nan}).to_dict("records")
    assert (line["name"], line["stability"]) == ("c", "n/a")


def test_an_effect_is_told_in_points_and_a_count_as_what_it_counts():
    assert prose.effect(two()) == "+45.0 (40.0 to 50.0)"
    table = rows({"t": [0.0, 2.0], "u": [0.0, 0.0]}, score=("first step", "against"), samples=1_500)
    assert prose.effect(judge(table, claim(test="filter", score=["first step", "against"]))) == "2 rows with a hint"
    counted = judge(table, claim(test="none", control=None, score=["first step", "against"]))
    assert prose.effect(counted) == "2 of 3,000 against"


def test_the_paper_stands_beside_an_effect_of_its_kind_alone():
    paper = {"owl": {"value": 0.6, "before": 0.12}, "code": {"value": None, "before": None}}
    found = [two(paper="owl"), two(paper="code"), two(), two(paper="owl", times=2), two(paper="owl", test="less")]
    table = prose.forest_table(found, paper)
    assert table["paper"].tolist() == pytest.approx([48, *[math.nan] * 4], nan_ok=True)
    assert tuple(table.loc[0, ["effect", "low", "high"]]) == pytest.approx(tuple(100 * v for v in found[0].shown[1:4]))
    assert table.loc[0, ["claim", "group", "verdict"]].tolist() == ["c", "owl", found[0].verdict]


def test_beneath_a_figure_it_is_said_which_rows_it_is_drawn_from():
    drawn = {
        "chapter": "owl",
        "quantities": ["animals"],
        "answers": ("owl", "<cat>"),
        "conditions": ["a & b"],
        "rows": 1_200,
    }
    told = prose.drawn_from(drawn)
    parts = ["1,200 rows", "chapter <code>owl</code>", "quantity <code>animals</code>"]
    parts += ["answer <code>owl</code> or <code>&lt;cat&gt;</code>", "condition <code>a &amp; b</code>"]
    assert [told.index(part) for part in parts] == sorted(told.index(part) for part in parts)
    whole = prose.drawn_from(drawn | {"answers": (), "conditions": []})
    assert "answer" not in whole
    assert "condition" not in whole
