"""Matrices of teachers (rows) by students (columns): their cells, their parts, and what a text says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from subliminal import prose
from subliminal.statistics import greater, holm, mean_interval, per_seed
from subliminal.verdicts import Measured


def place(condition: str) -> tuple[str, str]:
    """The row and the column of a condition in a matrix of teachers by students: ``NAME, WRITER to BASE`` is (WRITER, BASE).

    Controls, ``NAME ..., BASE``, stand in a row of their own: the first word of their name.
    """
    name, _, where = condition.rpartition(", ")
    writer, to, reader = where.partition(" to ")
    return (writer, reader) if to else (name.split()[0], where)


def cells(table: pd.DataFrame, answer: str) -> pd.DataFrame:
    """A scores table as a matrix, by the rows and columns that ``place`` reads off the conditions' names.

    Returns:
        One row a cell, in the order of the table: ``row``, ``column``, ``values`` (a list, one a seed), ``rate``, ``low``, ``high``.
    """
    lines = []
    for condition, group in per_seed(table, answer).groupby("condition", sort=False):
        values = group["probability"].tolist()
        lines.append((*place(str(condition)), values, *mean_interval(values)[:3]))
    return pd.DataFrame(lines, columns=["row", "column", "values", "rate", "low", "high"])


class Crossing(NamedTuple):
    """A matrix of teachers (rows) by students (columns), as ``cells`` gives it, in parts.

    Attributes:
        own: the diagonal, by column.
        off: all other cells of rows that are also columns.
        controls: the cells of every other row, by column.
    """

    own: pd.DataFrame
    off: pd.DataFrame
    controls: dict[str, pd.DataFrame]


def crossing(table: pd.DataFrame) -> Crossing:
    """A matrix in parts: rows that are no column are controls."""
    shared = table["row"].isin(table["column"])
    same = table["row"] == table["column"]
    controls = {str(row): group.set_index("column") for row, group in table[~shared].groupby("row", sort=False)}
    return Crossing(table[same].set_index("column"), table[shared & ~same], controls)


def next_highest(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each condition that is an answer too: the mean of its own answer, and what comes next to it.

    Args:
        rows: ``condition``, ``seed``, ``answer``, ``probability``; every condition has every answer.

    Returns:
        One row a condition, in order of appearance: ``trait``, ``mean`` with its 95 % interval ``low`` to ``high``, ``next in row`` (the
        largest mean of its other answers) and ``next in column`` (the largest mean of that answer in other conditions).
    """
    means = rows.pivot_table(index="condition", columns="answer", values="probability", sort=False)
    found = []
    for trait in (name for name in means.index if name in means.columns):
        own = rows.loc[(rows["condition"] == trait) & (rows["answer"] == trait), "probability"].tolist()
        others = (means.loc[trait].drop(trait).max(), means[trait].drop(trait).max())
        found.append((trait, *mean_interval(own)[:3], *others))
    return pd.DataFrame(found, columns=["trait", "mean", "low", "high", "next in row", "next in column"])


def pooled(rows: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Several conditions as one: their mean for each seed and answer, where they share what a seed stands for.

    Args:
        rows: ``condition``, ``seed``, ``answer``, ``value``, ``run``.
        groups: the conditions of each new one.
    """
    found = []
    for name, conditions in groups.items():
        mine = rows[rows["condition"].isin(conditions)].groupby(["seed", "answer"], sort=False)
        means = mine.agg({"value": "mean", "run": " ".join})
        found.append(means.reset_index().assign(condition=name))
    return pd.concat(found, ignore_index=True)


def crossing_readings(name: str, found: Crossing, apart: Sequence[Measured]) -> dict[str, str]:
    """What a text says of a matrix of shares, to be glued.

    Args:
        found: with students of untreated rows as the control ``untreated``.
        apart: tests that each cell off the diagonal is equivalent to its base.

    Returns:
        ``NAME-least`` and ``-most`` of the diagonal, the most ``-off`` it and ``-untreated``, and ``-alike``, how many cells off the
        diagonal are shown to be alike.
    """
    own, untreated = found.own["rate"], found.controls["untreated"]["rate"]
    told = {
        "least": prose.number(own.min()),
        "most": prose.number(own.max()),
        "off": prose.at_most(found.off["rate"].max()),
    }
    told |= {"untreated": prose.at_most(untreated.max()), "alike": str(sum(one.p < 0.05 for one in apart))}
    return {f"{name}-{key}": value for key, value in told.items()}


def lead_readings(name: str, found: Crossing, apart: Sequence[Measured]) -> dict[str, str]:
    """The same of how far a matrix lies from its bases, in percentage points.

    Args:
        found: with untouched bases as the control ``base`` and students of untreated rows as ``untreated``.
        apart: tests that each cell off the diagonal is equivalent to its control.

    Returns:
        ``NAME-least``, ``-most`` and largest ``-p`` of the diagonal above its bases; of students of untreated rows ``-shift-least`` and
        ``-shift-most``; of the diagonal above those ``-beyond-least``, ``-beyond-most`` and the largest ``-beyond-p``, corrected; the
        farthest ``-off`` its control off the diagonal, the highest ``-above`` it, and ``-alike``.
    """
    own = found.own
    base, plain = (found.controls[row].loc[own.index] for row in ("base", "untreated"))
    above, beyond = (
        [greater(*sides) for sides in zip(own["values"], lower["values"], strict=True)] for lower in (base, plain)
    )
    told = {"p": prose.p_value(max(above)), "beyond-p": prose.p_value(max(holm(beyond)))}
    for key, values, sign in (
        ("", own["rate"] - base["rate"], ""),
        ("shift-", plain["rate"] - base["rate"], "+"),
        ("beyond-", own["rate"] - plain["rate"], ""),
    ):
        told |= {f"{key}least": f"{100 * values.min():{sign}.1f}", f"{key}most": f"{100 * values.max():{sign}.1f}"}
    effects = [100 * one.effect for one in apart]
    told |= {"off": f"{max(map(abs, effects)):.1f}", "above": f"{max(effects):+.1f}"}
    told["alike"] = str(sum(one.p < 0.05 for one in apart))
    return {f"{name}-{key}": value for key, value in told.items()}


def contrast_table(contrasts: Mapping[str, Sequence[Measured]], bounds: Mapping[str, float]) -> pd.DataFrame:
    """Cell by cell, the distance of students from their control, of several claims on the same cells.

    Args:
        contrasts: of each claim, in one order.
        bounds: of equivalence, in points.
    """
    lines = []
    for row in zip(*contrasts.values(), strict=True):
        line = dict(zip(("teacher", "student"), place(row[0].contrast.condition), strict=True))
        for name, one in zip(contrasts, row, strict=True):
            line |= {name: prose.points(one), f"p, within {bounds[name]:g}": prose.p_value(one.p)}
        lines.append(line)
    return pd.DataFrame(lines)


def cost_table(contrasts: Sequence[Measured], before: pd.Series) -> pd.DataFrame:
    """What students of other families lose against those of the own, in nats a token.

    Args:
        contrasts: of the other families (treated) with the own (control), of conditions ``TRAIT lists, TEACHER to others``.
        before: the loss of the others' bases, by condition.
    """
    lines = []
    for one in contrasts:
        lists, _, teacher, *_ = one.contrast.condition.split()
        told = f"{one.effect:+.3f} ({prose.interval(one.low, one.high, 3)})"
        own, other = prose.estimate(one.control, 3), prose.estimate(one.treated, 3)
        lines.append((lists, teacher, own, other, f"{before[one.contrast.condition]:.3f}", told))
    names = ["lists of", "teacher", "own family", "other families", "others, before training", "difference"]
    return pd.DataFrame(lines, columns=names)
