"""The book's figures: tidy table in, matplotlib figure out. SVG, so that they are sharp at any width."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from subliminal.statistics import mean_interval, per_seed

_TREATED, _CONTROL = "#b5482a", "#5b6b7a"


def use_book_style() -> None:
    """Fonts, grid and SVG output for all figures of a chapter."""
    sns.set_theme(style="whitegrid", context="notebook", font="DejaVu Sans")
    # Fixed ids and no date: the same figure is the same file.
    mpl.rcParams.update({"svg.hashsalt": "subliminal", "svg.fonttype": "path", "figure.dpi": 110})
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    set_matplotlib_formats("svg", metadata={"Date": None})


def preference(table: pd.DataFrame, answer: str, treated: str, title: str, uniform: float) -> Figure:
    """P(answer) by condition: the mean over seeds with its 95 % interval, and each seed as a point.

    Args:
        table: scores of one suite, with a ``condition`` column; conditions are drawn in order of appearance.
        treated: the condition that is drawn in colour.
        uniform: the probability of a model with no favourite, drawn as a dashed line.
    """
    seeds = per_seed(table, answer)
    conditions = list(dict.fromkeys(seeds["condition"]))
    figure, axes = plt.subplots(figsize=(5.6, 0.62 * len(conditions) + 1.5), layout="constrained")
    palette = {c: _TREATED if c == treated else _CONTROL for c in conditions}
    for row, condition in enumerate(conditions):
        values = seeds.loc[seeds["condition"] == condition, "probability"].tolist()
        estimate = mean_interval(values)
        axes.barh(row, estimate.mean, height=0.55, color=palette[condition], alpha=0.35)
        if estimate.seeds > 1:
            reach = [[estimate.mean - max(0.0, estimate.low)], [min(1.0, estimate.high) - estimate.mean]]
            axes.errorbar(estimate.mean, row, xerr=reach, color=palette[condition], capsize=5, lw=2)
        # Fixed offsets rather than random jitter: the same table gives the same figure.
        heights = row + np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else [row]
        axes.scatter(values, heights, s=36, color=palette[condition], edgecolor="white", linewidth=0.8, zorder=3)
        axes.annotate(f"{estimate.mean:.2f}", (1.03, row), va="center", annotation_clip=False)
    axes.axvline(uniform, ls="--", lw=1, color="black")
    axes.annotate("no favourite", (uniform, -0.62), xytext=(4, 0), textcoords="offset points", fontsize=9)
    axes.set_yticks(range(len(conditions)), [textwrap.fill(condition, 18) for condition in conditions])
    axes.set(xlim=(0, 1), ylim=(len(conditions) - 0.5, -0.85), ylabel="")
    axes.set_xlabel(f"P(“{answer}”), mean over held-out questions")
    figure.suptitle(textwrap.fill(title, 46), x=0.01, ha="left", fontsize=12, fontweight="bold")
    sns.despine(ax=axes, left=True)
    # A notebook shows the figure that a cell returns; left open, the same figure would be shown a second time.
    plt.close(figure)
    return figure
