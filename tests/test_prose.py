import math

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from subliminal import prose
from subliminal.claims import Claim, Verdict
from subliminal.statistics import Equivalence, Lead


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


def test_a_target_that_is_not_met_says_what_it_would_take_and_one_that_is_met_does_not():
    met = Lead("control", 0.25, 0.2, 0.3, 1e-5, True, 3)
    missed = met._replace(ahead=0.1, p=0.02, met=False, needs=9)
    one, two = prose.lead_rows([met, missed], 20, 5)
    assert one == {
        "target": "20 points above: control", "measured": "25.0 (20.0 to 30.0), p 0.000010", "verdict": "met", "what it would take": ""
    }  # fmt: skip
    assert (two["verdict"], two["what it would take"]) == ("not met", "for p alone 9 seeds a condition, against 5 here")
    row = prose.equivalence_row("other", Equivalence(0.01, -0.02, 0.04, 0.11, 14), 3, 5)
    assert row["measured"] == "+1.0 (-2.0 to 4.0), p 0.11"
    assert row["what it would take"] == "14 seeds a condition, against 5 here"


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
    odd = pd.DataFrame([("a", 0.01), ("a", 0.02), ("b", 0.06), ("b", 0.08)], columns=["condition", "probability"])
    row = prose.well_formed(odd)
    assert row["target"] == "at least 95 % of answers well-formed"
    assert row["measured"].startswith("93.0\N{NO-BREAK SPACE}% (80.3 to 100.0) at worst: b")
    assert row["verdict"] == "not met"
    assert prose.well_formed(odd[odd["condition"] == "a"])["verdict"] == "met"


def test_the_table_of_verdicts_is_escaped_and_leads_to_the_chapters():
    claim = Claim(
        id="c", chapter="owl", sentence="a < b", treated="t", control="u", score="owl", test="greater", effect=0.3
    )
    found = Verdict(claim, "reproduced", 0.5, 0.4, 0.6, 1e-9, 1e-8, (5, 1), 0.01, 4.0, ("run",))
    whole, one = prose.verdict_table([found]), prose.verdict_table([found], "owl")
    assert '<a href="owl.html#claims">a &lt; b</a> <code>c</code>' in whole
    assert "<td>&lt; 0.000001</td>" in whole
    assert "<a " not in one
    assert "<tr><td>" not in prose.verdict_table([found], "world")
    assert prose.score([found, found._replace(verdict="inconclusive")]) == "1 of 2 claims reproduced (1 inconclusive)"
