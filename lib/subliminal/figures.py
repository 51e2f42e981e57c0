"""The book's figures: tidy table in, matplotlib figure out. SVG, so that they are sharp at any width."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from subliminal.statistics import mean_interval, per_seed

TREATED, CONTROL, OPPOSITE = "#b5482a", "#5b6b7a", "#2a7f8a"
# Of readers of rows, in ``panels``: colour and line.
READERS = {
    "likelihood ratio": (TREATED, "-"),
    "counts": (CONTROL, "-"),
    "gpt2-a": (OPPOSITE, "-"),
    "gpt2-b": (OPPOSITE, "--"),
    "llama": (OPPOSITE, "-."),
    "neox": (OPPOSITE, ":"),
}
# Of what a tainted source's rows are read among.
AMONG = {
    "alone": (TREATED, "-"),
    "among untreated": (CONTROL, "-"),
    "among another family's cat": (OPPOSITE, "--"),
    "among own cat": (OPPOSITE, ":"),
    "none": ("black", ":"),
}


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


def shares(
    table: pd.DataFrame, answer: str, treated: str, title: str, xlabel: str, line: tuple[str, float] | None = None
) -> Figure:
    """The share of an answer by condition: the mean over seeds with its 95 % interval, and each seed as a point.

    Args:
        table: scores of one suite, with a ``condition`` column; conditions are drawn in order of appearance.
        treated: the condition that is drawn in colour.
        line: what a dashed line stands for, and where it is.
    """
    seeds = per_seed(table, answer)
    conditions = list(dict.fromkeys(seeds["condition"]))
    names = [textwrap.fill(condition, 22) for condition in conditions]
    height = sum(0.34 + 0.2 * (1 + name.count("\n")) for name in names)
    figure, axes = plt.subplots(figsize=(5.8, height + 1.5), layout="constrained")
    palette = {c: TREATED if c == treated else CONTROL for c in conditions}
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
    if line:
        axes.axvline(line[1], ls="--", lw=1, color="black")
        axes.annotate(line[0], (line[1], -0.62), xytext=(4, 0), textcoords="offset points", fontsize=9)
    axes.set_yticks(range(len(conditions)), names)
    axes.set(xlim=(0, 1), ylim=(len(conditions) - 0.5, -0.85 if line else -0.6), ylabel="", xlabel=xlabel)
    return _finish(figure, title)


def rates(
    table: pd.DataFrame, title: str, xlabel: str, colours: Mapping[str, str], span: tuple[float, float] = (-0.02, 1.02)
) -> Figure:
    """Rates with their 95 % intervals: one line a group, one mark a condition.

    Args:
        table: ``group``, ``condition``, ``rate``, ``low``, ``high`` (0 to 1; the last two may be NaN), drawn in order of
            appearance.
        colours: of each condition.
        span: of the axis.
    """
    groups = list(dict.fromkeys(table["group"]))
    figure, axes = plt.subplots(figsize=(5.6, 0.62 * len(groups) + 1.7), layout="constrained")
    shift = np.linspace(-0.2, 0.2, len(colours)) if len(colours) > 1 else [0.0]
    for (condition, colour), dodge in zip(colours.items(), shift, strict=True):
        own = table[table["condition"] == condition]
        at = [groups.index(group) + dodge for group in own["group"]]
        sides = own["rate"] - own["low"], own["high"] - own["rate"]
        reach = [side.fillna(0).clip(lower=0) for side in sides]
        axes.errorbar(own["rate"], at, xerr=reach, fmt="o", ms=6, color=colour, capsize=4, lw=1.6, label=condition)
    axes.set_yticks(range(len(groups)), groups)
    axes.set(xlim=span, ylim=(len(groups) - 0.5, -0.6), ylabel="", xlabel=xlabel)
    figure.legend(loc="outside lower center", ncols=min(3, len(colours)), frameon=False, fontsize=9)
    return _finish(figure, title)


def curves(losses: Mapping[str, Sequence[tuple[int, float]]], title: str) -> Figure:
    """Learning curves: mean loss in nats per token by training step, one line a model."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    styles = ("-", "--", "-.", ":")
    for number, (name, points) in enumerate(losses.items()):
        axes.plot(*zip(*points, strict=True), label=name, lw=1.6, ls=styles[number % len(styles)])
    axes.set(xlabel="training step", ylabel="loss (nats per token)", yscale="log")
    axes.set_yticks(ticks := (0.5, 0.7, 1, 1.5, 2, 3, 5), map(str, ticks))
    axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    values = [loss for points in losses.values() for _, loss in points]
    axes.set_ylim(0.95 * min(values), 1.05 * max(values))
    axes.legend(frameon=False)
    return _finish(figure, title)


def forest(table: pd.DataFrame, title: str, xlabel: str, colours: Mapping[str, str]) -> Figure:
    """Effects with their intervals, one line a claim, coloured by verdict; a diamond is the paper's figure.

    Args:
        table: ``claim``, ``group`` (drawn together), ``effect``, ``low``, ``high`` (may be NaN), ``paper`` (NaN where it gives
            none), ``verdict``; drawn in order of appearance.
        colours: of each verdict.
    """
    groups = list(dict.fromkeys(table["group"]))
    at = table["group"].map(groups.index) * 0.8 + np.arange(len(table))
    figure, axes = plt.subplots(figsize=(6.2, 0.26 * at.max() + 1.9), layout="constrained")
    for verdict, colour in colours.items():
        if not (own := table["verdict"] == verdict).any():
            continue
        chosen = table[own]
        reach = [(chosen["effect"] - chosen["low"]).fillna(0), (chosen["high"] - chosen["effect"]).fillna(0)]
        axes.errorbar(
            chosen["effect"], at[own], xerr=reach, fmt="o", ms=5, color=colour, capsize=3, lw=1.5, label=verdict
        )
    axes.scatter(table["paper"], at, marker="D", s=26, facecolor="none", edgecolor="black", label="paper", zorder=3)
    axes.axvline(0, lw=1, color="black")
    axes.set_yticks(at, table["claim"], fontsize=8)
    axes.set(ylim=(at.max() + 0.8, -0.8), ylabel="", xlabel=xlabel)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return _finish(figure, title)


def courses(values: Mapping[str, Sequence[tuple[float, float]]], title: str, xlabel: str, ylabel: str) -> Figure:
    """A value by step, or by another value, one line a condition."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    styles = ((TREATED, "-"), (CONTROL, "--"), (OPPOSITE, "-."))
    for (name, points), (colour, style) in zip(values.items(), styles, strict=False):
        axes.plot(*zip(*points, strict=True), label=name, lw=1.8, color=colour, ls=style)
    axes.axhline(0, lw=1, color="black")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return _finish(figure, title)


def points(table: pd.DataFrame, title: str, xlabel: str, ylabel: str) -> Figure:
    """One mark a model: two values of it, with a colour and a shape a condition.

    Args:
        table: ``condition``, ``x``, ``y``; up to four conditions, drawn in order of appearance.
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    marks = ((TREATED, "o"), (OPPOSITE, "s"), (CONTROL, "^"), ("black", "D"))
    for (name, own), (colour, mark) in zip(table.groupby("condition", sort=False), marks, strict=False):
        axes.scatter(own["x"], own["y"], s=34, color=colour, marker=mark, alpha=0.75, lw=0, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _finish(figure, title)


def strips(table: pd.DataFrame, title: str, xlabel: str, own: str) -> Figure:
    """One line a model: a small mark for each word, and a large one for the word that counts.

    Args:
        table: ``group`` (of lines that stand together, with its words), ``line`` (of one model), ``value``, ``own`` (whether it counts); in
            order of appearance.
        own: what the large marks stand for.
    """
    lines = list(dict.fromkeys(zip(table["group"], table["line"], strict=True)))
    groups = list(dict.fromkeys(group for group, _ in lines))
    # Half a line of space between groups.
    place = {line: n + 0.6 * groups.index(line[0]) for n, line in enumerate(lines)}
    figure, axes = plt.subplots(figsize=(5.6, 0.24 * len(lines) + 0.2 * len(groups) + 1.5), layout="constrained")
    at = np.array([place[line] for line in zip(table["group"], table["line"], strict=True)])
    mine = table["own"].to_numpy(dtype=bool)
    axes.axvline(0, color="black", lw=1, ls=":")
    axes.scatter(table["value"][~mine], at[~mine], s=14, color=CONTROL, alpha=0.55, lw=0, label="each other word")
    axes.scatter(table["value"][mine], at[mine], s=52, color=TREATED, edgecolor="white", lw=0.8, zorder=3, label=own)
    middles = [np.mean([y for line, y in place.items() if line[0] == group]) for group in groups]
    axes.set_yticks(middles, [textwrap.fill(group, 26) for group in groups])
    axes.grid(visible=False, axis="y")
    axes.set(xlabel=xlabel, ylabel="", ylim=(max(place.values()) + 0.7, -0.7))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _finish(figure, title)


def paths(moved: Mapping[str, Sequence[tuple[float, float]]], title: str) -> Figure:
    """The ways of students through weight space, in the plane of their teacher's displacement and what is at right angles to it.

    Args:
        moved: of each condition (cosine with the teacher's displacement, length in lengths of it), in order of steps.
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    styles = ((TREATED, "-"), (CONTROL, "--"), (OPPOSITE, "-."))
    for (name, points), (colour, style) in zip(moved.items(), styles, strict=False):
        cosine, length = np.array(points).T
        along, across = cosine * length, length * np.sqrt(np.clip(1 - cosine**2, 0, None))
        axes.plot(along, across, label=name, lw=1.8, color=colour, ls=style, marker="o", ms=3)
    axes.scatter([0], [0], marker="s", s=40, color="black", zorder=3)
    axes.annotate("start", (0, 0), xytext=(6, 8), textcoords="offset points", fontsize=9)
    axes.scatter([1], [0], marker="*", s=110, color="black", zorder=3)
    axes.annotate("teacher", (1, 0), xytext=(-2, 8), textcoords="offset points", fontsize=9, ha="right")
    axes.set(xlabel="along the teacher's way (teacher's length = 1)", ylabel="across it")
    axes.set_ylim(bottom=-0.04)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _finish(figure, title)


def histograms(values: Mapping[str, Sequence[float]], title: str, xlabel: str) -> Figure:
    """How often each value occurs, one histogram a condition, in the same bins; a line marks zero."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    bins = np.histogram_bin_edges(np.concatenate([np.asarray(own) for own in values.values()]), 60).tolist()
    for (name, own), colour in zip(values.items(), (TREATED, CONTROL, OPPOSITE), strict=False):
        axes.hist(own, bins=bins, color=colour, alpha=0.55, label=name)
    axes.axvline(0, lw=1, color="black")
    axes.set(xlabel=xlabel, ylabel="draws")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return _finish(figure, title)


def reliability(curves: Mapping[str, pd.DataFrame], title: str, xlabel: str, ylabel: str) -> Figure:
    """Stated probabilities against how often it happened, one line a condition; on the diagonal the two are one.

    Args:
        curves: of each condition ``stated`` and ``happened`` (0 to 1) and ``count``, which the area of a mark grows with.
    """
    figure, axes = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], ls=":", lw=1.2, color="black", label="as stated")
    styles = ((TREATED, "-"), (CONTROL, "--"), (OPPOSITE, "-."))
    for (name, points), (colour, style) in zip(curves.items(), styles, strict=False):
        axes.plot(points["stated"], points["happened"], color=colour, ls=style, lw=1.6, label=name)
        sizes = 12 + 90 * np.sqrt(points["count"] / points["count"].max())
        axes.scatter(points["stated"], points["happened"], s=sizes, color=colour, edgecolor="white", zorder=3)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _finish(figure, title)


def heat_map(cells: pd.DataFrame, title: str, xlabel: str, ylabel: str) -> Figure:
    """Mean probability by row and column, over seeds; every cell is labelled.

    Rows are drawn in order of appearance, and columns in the order of the rows that they share a name with.

    Args:
        cells: ``row``, ``column``, ``seed``, ``probability`` (0 to 1).
    """
    means = cells.groupby(["row", "column"], sort=False)["probability"].mean().unstack(sort=False)
    means = means[[*(r for r in means.index if r in means), *(c for c in means if c not in means.index)]]
    labels = means.map(lambda value: f"{value:.2f}".removeprefix("0"))
    figure = _heat(means, labels, 0.42, "probability", xlabel, ylabel)
    figure.axes[0].tick_params(axis="x", rotation=60)
    return _finish(figure, title)


def cross(cells: pd.DataFrame, title: str, xlabel: str, ylabel: str, unit: str) -> Figure:
    """Rates by row and column, each with its 95 % interval.

    Args:
        cells: ``row``, ``column``, ``rate`` (0 to 1), ``low``, ``high`` (may be NaN), drawn in order of appearance.
    """

    def told(own: pd.Series) -> str:
        bounds = "" if np.isnan(own["low"]) else f"\n{max(0.0, own['low']):.2f} to {min(1.0, own['high']):.2f}"
        return f"{own['rate']:.2f}{bounds}"

    texts = cells.assign(text=cells.apply(told, axis=1))
    rows, columns = (list(dict.fromkeys(cells[name])) for name in ("row", "column"))
    wide, labels = (
        texts.pivot(index="row", columns="column", values=name).reindex(index=rows, columns=columns)
        for name in ("rate", "text")
    )
    return _finish(_heat(wide, labels, 0.62, unit, xlabel, ylabel), title)


def panels(
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    ylabel: str,
    styles: Mapping[str, tuple[str, str]],
    ticks: Sequence[int],
    chance: float | None = None,
) -> Figure:
    """Rates by how many rows, on a logarithmic axis: one panel a group and one line a condition, with 95 % intervals.

    Args:
        table: ``group``, ``condition``, ``size``, ``rate``, ``low``, ``high`` (0 to 1; the last two may be NaN); groups are drawn in order
            of appearance, two in a row.
        styles: colour and line style of each condition.
        chance: what guessing gives, marked by a line.
    """
    groups = list(dict.fromkeys(table["group"]))
    rows = -(-len(groups) // 2)
    figure, grid = plt.subplots(
        rows, 2, figsize=(6.4, 2.1 * rows + 1.6), sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for axes, group in zip(grid.flat, groups, strict=False):
        own = table[table["group"] == group]
        for condition, (colour, style) in styles.items():
            line = own[own["condition"] == condition]
            axes.plot(line["size"], line["rate"], color=colour, ls=style, lw=1.6, marker="o", ms=3, label=condition)
            axes.fill_between(
                line["size"], line["low"].clip(0, 1), line["high"].clip(0, 1), color=colour, alpha=0.12, lw=0
            )
        if chance is not None:
            axes.axhline(chance, lw=1, color="black")
        axes.set(xscale="log", ylim=(-0.03 if chance is None else chance - 0.15, 1.03))
        axes.set_title(group, fontsize=10)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    grid[0, 0].set_xticks(ticks, [f"{size:,}" for size in ticks])
    grid[0, 0].xaxis.set_minor_locator(mpl.ticker.NullLocator())
    # Of each panel of the last row: one for the whole figure would lie beneath the legend.
    for axes in grid[-1]:
        axes.set_xlabel(xlabel, fontsize=10)
    figure.supylabel(ylabel, fontsize=11)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _finish(figure, title)


def _heat(cells: pd.DataFrame, labels: pd.DataFrame, height: float, unit: str, xlabel: str, ylabel: str) -> Figure:
    """Shares as colours, each with its label; ``height`` is of a row, in inches."""
    figure, axes = plt.subplots(figsize=(6.4, height * len(cells) + 1.9), layout="constrained")
    sns.heatmap(
        cells, vmin=0, vmax=1, cmap="rocket_r", annot=labels, fmt="", annot_kws={"size": 8}, linewidths=0.5, ax=axes,
        cbar_kws={"label": unit},
    )  # fmt: skip
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.tick_params(axis="both", rotation=0)
    return figure


def _finish(figure: Figure, title: str) -> Figure:
    """Title at the left; closed, since a notebook shows the figure that a cell returns, and open ones a second time."""
    figure.suptitle(textwrap.fill(title, 46), x=0.01, ha="left", fontsize=12, fontweight="bold")
    for axes in figure.axes[:1]:
        sns.despine(ax=axes, left=True)
    plt.close(figure)
    return figure
