"""Numbers as a reader meets them: rounded, with their interval, and honest where there is none. Text out, no figures."""

from __future__ import annotations

import math
from collections.abc import Mapping

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


def yes(holds: bool) -> str:
    """Whether a target is met."""
    return "met" if holds else "not met"


def glue(values: Mapping[str, str]) -> None:
    """Leave texts in the notebook's output for ``{glue:text}`` in the chapter's prose, shown nowhere else."""
    from myst_nb import glue as leave

    for name, text in values.items():
        leave(name, text, display=False)
