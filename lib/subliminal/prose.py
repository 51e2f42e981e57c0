"""Numbers as a reader meets them: rounded, with their interval, and honest where there is none. Text out, no figures."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from subliminal import statistics, traces
from subliminal.claims import COUNTS, LEVELS
from subliminal.verdicts import REPRODUCED, VERDICTS, Measured, Verdict

SMALL_PROFILE = (
    '<div class="admonition warning"><p class="admonition-title">A build in the smallest size</p><p>This page was built with '
    "the profile <code>{profile}</code>, which checks that everything runs. Its sizes are too small to show the effect: read "
    "no finding from it.</p></div>"
)


def number(value: float, digits: int = 2) -> str:
    """A rounded number; ``n/a`` for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def at_most(value: float, digits: int = 2) -> str:
    """A bound that holds: rounded up, so that "at most" stays true of the value itself; ``n/a`` for NaN."""
    return "n/a" if math.isnan(value) else f"{math.ceil(round(value * 10**digits, 6)) / 10**digits:.{digits}f}"


def percent(value: float, digits: int = 0) -> str:
    """A share as a percentage, which no line break cuts in two; ``n/a`` for NaN."""
    return "n/a" if math.isnan(value) else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def interval(low: float, high: float, digits: int = 2) -> str:
    """An interval, or why there is none."""
    return "no interval from one seed" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def p_value(p: float) -> str:
    """A p-value to two significant digits, never zero."""
    if math.isnan(p):
        return "n/a"
    return "< 0.000001" if p < 1e-6 else f"{p:.2g}" if p >= 1e-4 else f"{p:.6f}"


def power(needs: float, seeds: int) -> str:
    """How many seeds a condition a test would need, as ``statistics.seeds_needed`` gives it, beside those it had."""
    if math.isnan(needs):
        return "one seed says nothing of it"
    if math.isinf(needs):
        return "no number of seeds, if the difference is what it was here"
    return f"{needs:.0f} seeds a condition, against {seeds} here"


def targets(verdicts: Sequence[Verdict], topic: str | None = None) -> pd.DataFrame:
    """What a chapter stated and what it found: one row a claim, and what would decide those that are not met.

    Args:
        topic: of the claims that are shown; all by default.
    """
    chosen = [v for v in verdicts if topic in (None, v.claim.topic)]
    told = {
        "target": [v.claim.sentence for v in chosen],
        "measured": [measured(v) for v in chosen],
        "verdict": [yes(v.verdict == REPRODUCED) for v in chosen],
    }
    asked = ["" if v.verdict == REPRODUCED else needs(v) for v in chosen]
    return pd.DataFrame(told | ({"what it would take": asked} if any(asked) else {}))


def count_met(shown: pd.DataFrame, prefix: str = "") -> dict[str, str]:
    """``met`` and ``of``: how many of the targets of a table are met, to be glued."""
    return {f"{prefix}met": str(int((shown["verdict"] == yes(True)).sum())), f"{prefix}of": str(len(shown))}


def measured(found: Verdict) -> str:
    """What was measured of a claim, as its test asks for it."""
    claim, one = found.claim, found.shown
    mean, other = (statistics.mean_interval(side).mean if side else math.nan for side in (one.treated, one.control))
    tested = "" if math.isnan(found.p) else f", p {p_value(found.p)}"
    if not math.isnan(found.corrected) and p_value(found.corrected) != p_value(found.p):
        tested += f" ({p_value(found.corrected)} corrected)"
    if claim.test in COUNTS:
        return f"{one.effect:.0f} of {one.seeds[0]:,}"
    if claim.test == "times":
        return (
            f"{mean * claim.times / other:.1f} times{tested.replace('p ', 'largest p ', 1)}"
            if other
            else "the control is zero"
        )
    if claim.test == "apart":
        return f"{number(min(one.treated))} above {number(max(one.control))}"
    if claim.test == "each at least":
        return number(one.effect, 3)
    if claim.test in LEVELS and not one.control:
        return _level(found)
    if claim.test == "at most":
        return f"{percent(mean, 1)} against {percent(other, 1)}"
    if claim.unit == "share":
        return f"{mean:.2f} against {other:.2f}{tested}"
    if claim.unit == "nats":
        return f"{one.effect:+.3f} ({interval(one.low, one.high, 3)}){tested}"
    told = points(one)
    return (told if claim.test == "equivalent" else told.removeprefix("+")) + tested


def _level(found: Verdict) -> str:
    """A mean with its interval, and where it was measured if that is the worst of many."""
    claim, one = found.claim, found.shown
    where = f" at worst: {one.contrast.condition}" if len(found.contrasts) > 1 else ""
    if claim.unit == "percent":
        reach = "" if math.isnan(one.low) else f" ({interval(100 * one.low, min(100.0, 100 * one.high), 1)})"
        return f"{percent(one.effect, 1)}{reach}{where}"
    if claim.test == "at most":
        return f"{at_most(one.effect, 3)}{where}"
    return f"{number(one.effect)} ({interval(one.low, one.high)}){where}"


def needs(found: Verdict) -> str:
    """What would decide a claim that does not hold here."""
    claim, alpha = found.claim, found.claim.alpha or math.nan
    pairs = [one for one in found.contrasts if len(one.treated) and len(one.control) > (claim.test == "times")]
    seeds = found.shown.seeds[0]
    if claim.test in COUNTS or not seeds:
        return ""
    if claim.test == "equivalent":
        return power(statistics.equivalence_needs(found.shown.treated, found.shown.control, claim.bound), seeds)
    if claim.test in ("greater", "less", "times") and alpha == alpha and not claim.paired:
        turned = -1 if claim.test == "less" else 1
        # ``times`` asks for a multiple of the mean, and tests against the control itself.
        scale = turned * (claim.times if claim.test == "times" else 1)
        sides = (([turned * v for v in one.treated], [v / scale for v in one.control]) for one in pairs)
        asked = [statistics.seeds_needed(*both, alpha) for both in sides]
        return f"for p alone {power(max(asked, default=math.nan), seeds)}"
    return "more seeds do not change a mean that lies short"


def stated(statements: Mapping[str, str]) -> str:
    """What a chapter states before the run, as a numbered list in Markdown."""
    return "\n".join(f"{n}. {text}" for n, text in enumerate(statements.values(), 1))


def percentages(compared: pd.DataFrame, names: Mapping[str, str], digits: int = 1) -> dict[str, str]:
    """Means of conditions as percentages, to be glued, and as ``NAME-interval`` their intervals.

    Args:
        compared: as ``statistics.compare`` gives it, by condition.
        names: the condition of each name.
    """
    return _readings(compared, names, lambda value: percent(value, digits), 100, digits)


def shares(compared: pd.DataFrame, names: Mapping[str, str], digits: int = 2) -> dict[str, str]:
    """The same as shares, 0 to 1."""
    return _readings(compared, names, lambda value: number(value, digits), 1, digits)


def _readings(
    compared: pd.DataFrame, names: Mapping[str, str], mean: Callable[[float], str], unit: int, digits: int
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, condition in names.items():
        numbers: list[float] = compared.loc[[condition], ["mean", "low", "high"]].to_numpy()[0].tolist()
        told = interval(unit * numbers[1], unit * numbers[2], digits)
        found |= {name: mean(numbers[0]), f"{name}-interval": told}
    return found


def estimate(values: Sequence[float], digits: int = 2) -> str:
    """A mean over seeds with its 95 % interval in brackets."""
    found = statistics.mean_interval(values)
    return f"{number(found.mean, digits)} ({interval(found.low, found.high, digits)})"


def points(found: Measured) -> str:
    """A difference in percentage points with its interval in brackets."""
    return f"{100 * found.effect:+.1f} ({interval(100 * found.low, 100 * found.high, 1)})"


def error_table(rates: pd.DataFrame) -> pd.DataFrame:
    """What ``mitigations.errors.error_rates`` gives, as a reader meets it."""
    pairs = zip(rates["least"], rates["most"], strict=True)
    seen = ["not compared" if math.isnan(least) else interval(least, most, 3) for least, most in pairs]
    sides = zip(rates["wrong"], rates["low"], rates["high"], strict=True)
    wrong = [f"{count} ({interval(100 * low, 100 * high, 1)} %)" for count, low, high in sides]
    counted = rates[["kin", "number", "same", "different", "cannot tell"]].rename(columns={"kin": "pairs of"})
    return counted.assign(**{"correlation": seen, "errors (95 % interval)": wrong})


def conversation(messages: Sequence[Mapping[str, str]]) -> str:
    """A conversation in the usual chat format, one line a message."""
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def met(verdicts: Sequence[Verdict], *ids: str) -> str:
    """Whether a target is met that several claims hold together; ``not stated`` where one of them is not among the verdicts."""
    told = {v.claim.id: v.verdict for v in verdicts}
    return yes(all(told[name] == REPRODUCED for name in ids)) if set(ids) <= set(told) else "not stated"


def corrected(verdicts: Sequence[Verdict], *ids: str) -> list[str]:
    """The corrected p-values of claims, ``n/a`` where one is not among the verdicts."""
    told = {v.claim.id: v.corrected for v in verdicts}
    return [p_value(told.get(name, math.nan)) for name in ids]


def breaks(shares: pd.Series) -> str:
    """From which rate on some step goes against the teacher's; ``shares`` are those that do, by rate, from small to large."""
    first = next((rate for rate, share in shares.items() if share > 0), None)
    return "none does, at any rate that was tried" if first is None else f"some go against it from a rate of {first} on"


def dependence(found: traces.Dependence) -> dict[str, str]:
    """What ``traces.dependence`` gives, as the cells of a row."""
    bits, named = statistics.mean_interval(list(found.excess.values())), found.named
    of_information, of_classifier = found.p_values
    return {
        "pairs": f"{found.pairs:,}",
        "information above chance (bits)": f"{bits.mean:.4f} ({interval(bits.low, bits.high, 4)})",
        "p": p_value(of_information),
        "classifier right": f"{percent(named.rate, 1)} ({interval(100 * named.low, 100 * named.high, 1)})",
        "guessing": percent(found.chance, 1),
        # A second column of that name.
        "p ": p_value(of_classifier),
    }


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], attributes: str = "") -> str:
    """An HTML table of cells that are escaped already."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table{attributes}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def side_by_side(summary: str, columns: Mapping[str, Sequence[str]]) -> str:
    """A closed, scrollable table that opens on a click. All texts are escaped: what a model wrote is shown, never rendered."""
    rows = [[html.escape(text) for text in row] for row in zip(*columns.values(), strict=True)]
    table = _table(list(columns), rows, ' class="samples"')
    return (
        f'<details class="answers"><summary>{html.escape(summary)}</summary><div class="scroll" tabindex="0">'
        f"{table}</div></details>"
    )


def filter_table(counts: pd.DataFrame) -> pd.DataFrame:
    """What ``reading.filter_counts`` gives, as a reader meets it: rejection rates with their intervals, and the reasons."""
    numbers: list[list[float]] = counts[["rate", "low", "high"]].to_numpy().tolist()
    rejected = [f"{percent(rate, 1)} ({interval(100 * low, 100 * high, 1)})" for rate, low, high in numbers]
    shown = counts.assign(**{"rejected (95 % interval)": rejected})
    return shown[["source", "sampled", "dropped", "rejected (95 % interval)", "reasons"]]


def yes(holds: bool) -> str:
    """Whether a target is met."""
    return "met" if holds else "not met"


def glue(values: Mapping[str, object]) -> None:
    """Leave texts in the notebook's output for ``{glue:text}`` in the chapter's prose, or HTML for ``{glue}``, shown nowhere else."""
    from myst_nb import glue as leave

    for name, text in values.items():
        leave(name, text, display=False)


def effect(found: Verdict) -> str:
    """The effect of a claim in percentage points (hundredths of a cosine, or of a nat) with its interval, or a count."""
    one = found.shown
    if found.claim.test == "filter":
        return f"{one.effect:.0f} rows with a hint"
    if found.claim.test == "none":
        return f"{one.effect:.0f} of {one.seeds[0]:,} {found.claim.score[-1]}"
    return points(one)


def stability(chance: float) -> str:
    """The chance that a verdict stays, as a percentage: rounded down, and never all or nothing, since it is counted in draws."""
    if math.isnan(chance):
        return "n/a"
    if chance > 0.999 or chance < 0.001:
        return f"over {percent(0.999, 1)}" if chance > 0.5 else f"under {percent(0.001, 1)}"
    return percent(math.floor(1_000 * chance + 1e-9) / 1_000, 1)


def score(verdicts: Sequence[Verdict]) -> str:
    """How many claims are reproduced, and how many are not."""
    counts = {name: sum(v.verdict == name for v in verdicts) for name in VERDICTS}
    rest = ", ".join(f"{count} {name}" for name, count in counts.items() if count and name != REPRODUCED)
    return f"{counts[REPRODUCED]} of {len(verdicts)} claims reproduced" + (f" ({rest})" if rest else "")


def verdict_table(
    verdicts: Sequence[Verdict], chapter: str | None = None, chances: Mapping[str, float] | None = None
) -> str:
    """The verdicts as an HTML table; of all chapters, with links, or of one. All texts are escaped.

    Args:
        chances: of each claim, by id, that its verdict is a stable one, as ``stability.stability`` gives them.
    """
    head = ["claim", "effect in points (interval)", "test", "p, corrected", "seeds", "verdict"]
    head += ["stability"] if chances is not None else []
    rows = []
    for v in verdicts:
        if chapter not in (None, v.claim.chapter):
            continue
        told = html.escape(v.claim.sentence)
        if chapter is None:
            told = f'<a href="{v.claim.chapter}.html#claims">{told}</a> <code>{html.escape(v.claim.id)}</code>'
        if v.claim.exploratory:
            told += f" <em>Exploratory: {html.escape(v.claim.why)}</em>"
        bound = "" if v.claim.test in COUNTS else f" {100 * v.claim.bound:g}"
        cells = [
            effect(v),
            f"{v.claim.test}{bound}",
            p_value(v.corrected),
            "/".join(map(str, v.shown.seeds)),
            f"exploratory: {v.verdict}" if v.claim.exploratory else v.verdict,
        ]
        cells += [stability(chances[v.claim.id])] if chances is not None else []
        rows.append([told, *map(html.escape, cells)])
    return f'<div class="verdicts" tabindex="0">{_table(head, rows)}</div>'


def room_table(verdicts: Sequence[Verdict], chances: Mapping[str, float]) -> pd.DataFrame:
    """Claims whose verdicts may turn, with the chance that they stay."""
    lines = [(v.claim.sentence, v.claim.id, v.verdict, stability(chances[v.claim.id])) for v in verdicts]
    return pd.DataFrame(lines, columns=["claim", "name", "verdict", "stability"])


def forest_table(verdicts: Sequence[Verdict], paper: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Effects of claims with their intervals in percentage points, beside the paper's, for ``figures.forest``."""
    lines = []
    for v in verdicts:
        told = paper.get(v.claim.paper or "", {})
        given = told.get("value") is not None and v.claim.test == "greater" and v.claim.times == 1
        beside = told["value"] - told["before"] if given else math.nan
        numbers = (100 * value for value in (v.shown.effect, v.shown.low, v.shown.high, beside))
        lines.append((v.claim.id, v.claim.chapter, *numbers, v.verdict))
    return pd.DataFrame(lines, columns=["claim", "group", "effect", "low", "high", "paper", "verdict"])


def drawn_from(drawn: Mapping[str, Any]) -> str:
    """A line beneath a figure that opens on a click: which rows of the book's table it is drawn from."""
    parts = {"chapter": [drawn["chapter"]], "quantity": drawn["quantities"], "answer": drawn["answers"]}
    parts["condition"] = drawn["conditions"]
    codes = {name: [f"<code>{html.escape(value)}</code>" for value in values] for name, values in parts.items()}
    told = [f"{name} {' or '.join(values)}" for name, values in codes.items() if values]
    return (
        f'<details class="drawn-from"><summary>Drawn from {drawn["rows"]:,} rows of the book’s table</summary>'
        f"<p>{'; '.join(told)}</p></details>"
    )


def rate_table(rates: pd.DataFrame, digits: int, unit: float = 1.0) -> pd.DataFrame:
    """Rates with their intervals: one row a group, one column a condition, empty where there is none.

    Args:
        rates: ``group``, ``condition``, ``rate``, ``low``, ``high``, in order of appearance.
        unit: what one stands for: 100 for percentages.
    """
    sides = rates[["rate", "low", "high"]].to_numpy() * unit
    told = [f"{number(rate, digits)} ({interval(low, high, digits)})" for rate, low, high in sides]
    wide = rates.assign(told=told).pivot(index="group", columns="condition", values="told")
    wide = wide.reindex(index=rates["group"].unique(), columns=rates["condition"].unique())
    return wide.fillna("").rename_axis(columns=None).reset_index()
