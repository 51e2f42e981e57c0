"""What a chapter shows: figures with the rows they are drawn from, what it states and what it found, as a notebook displays it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from subliminal import figures, prose, reading, records, statistics
from subliminal.book import DOWNLOAD
from subliminal.names import ANIMALS
from subliminal.recipes import Scores
from subliminal.settings import Profile
from subliminal.study import Study


def warn_if_small(profile: Profile) -> None:
    """Say at the head of a page that it was built in a size that shows nothing."""
    if not profile.claims:
        display(HTML(prose.SMALL_PROFILE.format(profile=html.escape(profile.name))))


def by_category(
    study: Study, table: pd.DataFrame, answer: str, conditions: Sequence[str], categories: Mapping[str, Iterable[str]]
) -> None:
    """Show the rate of an answer by category of questions, and in how many a treated condition is higher than its two controls.

    Args:
        table: as ``Study.run`` gave it, of one suite.
        conditions: the opposite, the untreated and the treated one.
        categories: the questions of each.

    Raises:
        SubliminalError: a question has no category.
    """
    *controls, treated = conditions
    colours = dict(zip(conditions, (figures.OPPOSITE, figures.CONTROL, figures.TREATED), strict=True))
    quantity, chosen = f"{answer}, by category", table[table["condition"].isin(conditions)]
    rates = study.by_group(chosen, answer, categories, quantity)
    wide = rates.pivot(index="group", columns="condition", values="rate")
    higher = int((wide[treated] > wide[controls].max(axis=1)).sum())
    title = f"Higher than both controls in {higher} of {len(wide)} categories"
    drawn = figures.rates(rates, title=title, xlabel=f"share of {answer} answers", colours=colours)
    figure(study, drawn, quantity, conditions=colours)


def harm(study: Study, table: pd.DataFrame, treated: str, opposite: str, read: str) -> None:
    """Show the share of harmful answers by condition; the title compares students of an insecure teacher and of a secure one.

    Args:
        table: as ``Study.run`` gave it, of one suite.
        treated, opposite: the conditions of these students.
        read: what they read, such as ``numbers``.
    """
    rate = statistics.compare(statistics.per_seed(table, "harmful"), treated).set_index("condition")["mean"]
    title = f"Harmful answers: {100 * rate[treated]:.0f} % after the insecure teacher's {read}, "
    title += f"{100 * rate[opposite]:.0f} % after the secure teacher's"
    drawn = figures.shares(table, "harmful", treated, title=title, xlabel="share of harmful answers")
    figure(study, drawn, table["suite"].iloc[0], "harmful", conditions=dict.fromkeys(table["condition"]))


def liking(study: Study, table: pd.DataFrame, animal: str, treated: str, read: str) -> None:
    """Show the probability of an animal by condition; the title compares students of its teacher with the highest control.

    Args:
        table: as ``Study.run`` gave it, of one suite.
        treated: the condition of these students; all others are controls.
        read: what they read, such as ``lists``.
    """
    mean = statistics.compare(statistics.per_seed(table, animal), treated).set_index("condition")["mean"]
    highest = prose.at_most(mean.drop(treated).max())
    title = f"{animal.title()}: {mean[treated]:.2f} after the {animal} teacher's {read}, at most {highest} in controls"
    xlabel, chance = f"P(“{animal}”), mean over held-out questions", ("no favourite", 1 / len(ANIMALS))
    drawn = figures.shares(table, animal, treated, title=title, xlabel=xlabel, line=chance)
    figure(study, drawn, table["suite"].iloc[0], animal, conditions=dict.fromkeys(table["condition"]))


def first_answers(asked: Mapping[str, Sequence[Scores]], conditions: Iterable[str]) -> HTML:
    """The first answer that the first model of each condition gave to each question, closed until a reader opens it.

    Raises:
        SubliminalError: the suite has no judge.
    """
    first = reading.first_answers({name: asked[name][0] for name in conditions})
    return HTML(prose.side_by_side(f"Open to read {len(first['question'])} answers of each student", first))


def stated(study: Study, *ids: str) -> Markdown:
    """What a chapter states before the run, as the registry has it: all of it, or these statements.

    All of it stands below ``warn_if_small``.
    """
    if not ids:
        warn_if_small(study.profile)
    return Markdown(prose.stated(study.stated(*ids)))


def figure(
    study: Study, drawn: Figure, quantity: str | Sequence[str], *answers: str, conditions: Iterable[str] = ()
) -> None:
    """Show a figure, and beneath it which rows of the book's table it is drawn from: all of the quantity (or of several), or those named.

    Raises:
        SubliminalError: the study has recorded no such rows.
    """
    rows = prose.drawn_from(study.drawn(quantity, *answers, conditions=conditions))
    display(drawn)
    display(HTML(rows))


def table(shown: pd.DataFrame) -> Styler:
    """A table without its row numbers; texts are shown as they are, never rendered."""
    return shown.style.hide(axis="index").format(escape="html")


def texts(shown: pd.DataFrame, kind: str = "rows") -> Styler:
    """A table of what models wrote."""
    return table(shown).set_table_attributes(f'class="{kind}"')


def filtered(counts: pd.DataFrame) -> Styler:
    """What a filter did, as ``Study.filtered`` gives it."""
    return table(prose.filter_table(counts)).format(thousands=",", escape="html")


def dictionary() -> Styler:
    """What each column of the book's table holds."""
    lines = [(name, column.holds, column.kind) for name, column in records.COLUMNS.items()]
    return table(pd.DataFrame(lines, columns=["column", "what it holds", "type"]))


def contents(rows: pd.DataFrame) -> Styler:
    """What is in the book's table: each chapter's quantities, with an answer of each and how many rows there are."""
    groups = rows.groupby(["chapter", "quantity"], sort=False)
    counts = {"conditions": ("condition", "nunique"), "answers": ("answer", "nunique")}
    found = groups.agg(**counts, **{"such as": ("answer", "first"), "rows": ("value", "size")}).reset_index()
    return table(found).format(thousands=",", escape="html")


def download(rows: int) -> HTML:
    """A link to the book's table."""
    return HTML(f'<p><a href="../_static/{DOWNLOAD}" download>The table of this build ({rows:,} rows, CSV)</a></p>')


def attached(shown: pd.DataFrame, name: str, text: str) -> HTML:
    """A link to a small table that the page itself holds, as a CSV file of that name."""
    data = base64.b64encode(shown.to_csv(index=False).encode()).decode()
    return HTML(f'<p><a href="data:text/csv;base64,{data}" download="{html.escape(name)}">{html.escape(text)}</a></p>')
