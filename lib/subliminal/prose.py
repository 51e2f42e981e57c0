"""Numbers as a reader meets them: rounded, with their interval, and honest where there is none. Text out, no figures."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from subliminal.claims import COUNTS, REPRODUCED, VERDICTS, Verdict
from subliminal.statistics import Equivalence, Lead, mean_interval

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


def target(name: str, measured: str, holds: bool, needs: str = "") -> dict[str, str]:
    """A line of a table of targets; ``needs`` is what would decide one that is not met."""
    return {"target": name, "measured": measured, "verdict": yes(holds), "what it would take": "" if holds else needs}


def lead_rows(leads: Sequence[Lead], margin: float, seeds: int) -> list[dict[str, str]]:
    """Leads over controls as targets; ``margin`` is in percentage points."""
    return [
        target(
            f"{margin:g} points above: {row.control}",
            f"{100 * row.ahead:.1f} ({interval(100 * row.low, 100 * row.high, 1)}), p {p_value(row.p)}",
            row.met,
            f"for p alone {power(row.needs, seeds)}",
        )
        for row in leads
    ]


def equivalence_row(name: str, found: Equivalence, bound: float, seeds: int) -> dict[str, str]:
    """A result of ``statistics.equivalent`` as a target: ``bound`` is in percentage points."""
    return target(
        f"{name}: within {bound:g} points",
        f"{100 * found.difference:+.1f} ({interval(100 * found.low, 100 * found.high, 1)}), p {p_value(found.p)}",
        found.p < 0.05,
        power(found.needs, seeds),
    )


def well_formed(odd: pd.DataFrame, least: float = 0.95) -> dict[str, str]:
    """A target that in every condition so many answers make sense; ``odd`` is ``statistics.per_seed`` of those that do not."""
    estimates = {str(name): mean_interval(group["probability"].tolist()) for name, group in odd.groupby("condition")}
    worst, found = max(estimates.items(), key=lambda item: item[1].mean)
    told = interval(100 - 100 * found.high, min(100.0, 100 - 100 * found.low), 1)
    # More seeds do not change a mean that lies short of the target.
    return target(
        f"at least {100 * least:g} % of answers well-formed",
        f"{percent(1 - found.mean, 1)} ({told}) at worst: {worst}",
        1 - found.mean >= least,
        power(math.inf, found.seeds),
    )


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


def glue(values: Mapping[str, str]) -> None:
    """Leave texts in the notebook's output for ``{glue:text}`` in the chapter's prose, shown nowhere else."""
    from myst_nb import glue as leave

    for name, text in values.items():
        leave(name, text, display=False)


def effect(found: Verdict) -> str:
    """The effect of a claim in percentage points (hundredths of a cosine, or of a nat) with its interval, or a count."""
    if found.claim.test == "filter":
        return f"{found.effect:.0f} rows with a hint"
    if found.claim.test == "none":
        return f"{found.effect:.0f} of {found.seeds[0]:,} {found.claim.score}"
    return f"{100 * found.effect:+.1f} ({interval(100 * found.low, 100 * found.high, 1)})"


def score(verdicts: Sequence[Verdict]) -> str:
    """How many claims are reproduced, and how many are not."""
    counts = {name: sum(v.verdict == name for v in verdicts) for name in VERDICTS}
    rest = ", ".join(f"{count} {name}" for name, count in counts.items() if count and name != REPRODUCED)
    return f"{counts[REPRODUCED]} of {len(verdicts)} claims reproduced" + (f" ({rest})" if rest else "")


def verdict_table(verdicts: Sequence[Verdict], chapter: str | None = None) -> str:
    """The verdicts as an HTML table; of all chapters, with links, or of one.

    All texts are escaped.
    """
    head = ["claim", "effect in points (interval)", "test", "p, corrected", "seeds", "verdict"]
    rows = []
    for v in verdicts:
        if chapter not in (None, v.claim.chapter):
            continue
        told = html.escape(v.claim.sentence)
        if chapter is None:
            told = f'<a href="{v.claim.chapter}.html#claims">{told}</a> <code>{html.escape(v.claim.id)}</code>'
        bound = "" if v.claim.test in COUNTS else f" {100 * v.claim.effect:g}"
        cells = (
            effect(v),
            f"{v.claim.test}{bound}",
            p_value(v.corrected),
            "/".join(map(str, v.seeds)),
            v.verdict,
        )
        rows.append([told, *map(html.escape, cells)])
    return f'<div class="verdicts" tabindex="0">{_table(head, rows)}</div>'
