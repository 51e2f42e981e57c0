"""What the readers' runs hold, for a chapter: areas under ROC curves, answers in context, shifts of numbers. Builds what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from subliminal.designs import rollouts, teachers
from subliminal.engine import build
from subliminal.errors import SubliminalError
from subliminal.readers import InContext, Likelihoods, Reader, Shift, Sifted, sifted
from subliminal.readers.likelihoods import group_auroc
from subliminal.readers.shift import most_shifted
from subliminal.recipes import Base, Rollouts, Teacher
from subliminal.tuning import Tuning

_COLUMNS = ["condition", "seed", "answer", "value", "samples", "run"]


class Writers(NamedTuple):
    """Rollouts of a treated writer and of a control, one of each a seed, in one order."""

    treated: Sequence[Rollouts]
    control: Sequence[Rollouts]


class Source(NamedTuple):
    """Whose rows are read: teachers of a trait and their base, as an earlier chapter has them write.

    Attributes:
        asked: fields of ``Rollouts``: channel, prompts, completions, rows, hints.
        first: seed of the first of them.
    """

    base: Base
    trait: str
    tuning: Tuning
    asked: Mapping[str, Any]
    first: int

    def writers(self, start: int, count: int) -> Writers:
        """The writers of so many seeds, from the one at place ``start`` on."""
        seeds = range(self.first + start, self.first + start + count)
        treated = rollouts(teachers(self.base, self.trait, self.tuning, seeds), seeds, **self.asked)
        return Writers(treated, rollouts(self.base, seeds, **self.asked))


class Groups(NamedTuple):
    """How many rows a reader is given together, each a size, and how many such groups are drawn of each writer."""

    sizes: Sequence[int]
    draws: int


class Scored(NamedTuple):
    """Scores of single rows of a treated writer and of a control, of one seed, and the runs that they are read off."""

    seed: int
    treated: np.ndarray
    control: np.ndarray
    run: str


def areas(scored: Mapping[str, Iterable[Scored]], groups: Groups) -> pd.DataFrame:
    """Areas under the ROC curve by how many rows a reader is given together, as ``readers.likelihoods.group_auroc`` gives them.

    Returns:
        Rows of the book's table: ``condition``, ``seed``, ``answer`` (the size), ``value`` (0 to 1), ``samples`` (rows of the two
        writers), ``run``.
    """
    lines = []
    for condition, each in scored.items():
        for one in each:
            for size in groups.sizes:
                area = group_auroc(one.treated, one.control, size, groups.draws, one.seed)
                rows = len(one.treated) + len(one.control)
                lines.append((condition, one.seed, str(size), area, rows, one.run))
    return pd.DataFrame(lines, columns=_COLUMNS)


def likelihood_ratios(pairs: Mapping[str, Writers], rows: int) -> dict[str, list[Scored]]:
    """The best reader's scores: log-likelihood ratios of the two models that wrote, on rows of both under prompts that are held out.

    Args:
        rows: of each writer and seed, at most.
    """
    asked = {
        name: list(map(_four, zip(*writers, strict=True), [rows] * len(writers[0]))) for name, writers in pairs.items()
    }
    wanted = list(dict.fromkeys(chain.from_iterable(chain.from_iterable(asked.values()))))
    folders = dict(zip(wanted, build(wanted), strict=True))
    nats = {recipe: pd.read_csv(folder / "likelihoods.csv")["nats"].to_numpy() for recipe, folder in folders.items()}
    found: dict[str, list[Scored]] = {}
    for name, each in asked.items():
        for four in each:
            own, other, mine, theirs = (nats[recipe] for recipe in four)
            run = " ".join(dict.fromkeys(folders[recipe].name for recipe in four))
            found.setdefault(name, []).append(Scored(four[0].data.seed, own - other, mine - theirs, run))
    return found


def _four(writers: tuple[Rollouts, Rollouts], rows: int) -> list[Likelihoods]:
    """Both writers on the rows of the first, and on those of the second."""
    models = [data.teacher for data in writers]
    return [Likelihoods(model=model, data=data, rows=rows) for data in writers for model in models]


class Lesson(NamedTuple):
    """How readers learn: from ``rows`` rows of each writer, to be tried on ``unseen_rows`` of each writer that they have not met."""

    rows: int
    unseen_rows: int
    classifier: Tuning


def trained(
    readers: Mapping[str, Base | None], learned: Mapping[str, Writers], unseen: Mapping[str, Writers], lesson: Lesson
) -> dict[str, list[Scored]]:
    """Scores of readers that have learned from other writers' rows.

    Args:
        readers: by name; a base that is tuned to a classifier, or none, for one that counts words.
        learned: by what they read, the writers that they learn from.
        unseen: by the same names, the writers that they are tried on.

    Returns:
        By ``WHAT, READER``.
    """
    plan = {
        f"{what}, {name}": _reader(base, learned[what], writers, lesson)
        for what, writers in unseen.items()
        for name, base in readers.items()
    }
    found = {}
    for (condition, reader), folder in zip(plan.items(), build(plan.values()), strict=True):
        scores = pd.read_csv(folder / "scores.csv")
        half = len(reader.unseen) // 2
        parts = [scores.loc[scores["place"] == place, "score"].to_numpy() for place in range(2 * half)]
        found[condition] = [Scored(reader.unseen[n].seed, parts[n], parts[half + n], folder.name) for n in range(half)]
    return found


def _reader(base: Base | None, learned: Writers, unseen: Writers, lesson: Lesson) -> Reader:
    return Reader(
        base=base,
        treated=tuple(learned.treated),
        control=tuple(learned.control),
        unseen=(*unseen.treated, *unseen.control),
        rows=lesson.rows,
        unseen_rows=lesson.unseen_rows,
        tuning=None if base is None else lesson.classifier,
    )


def before_questions(
    writers: Writers, start: Base, ways: Mapping[str, Mapping[str, Any]], **asked: Any
) -> dict[str, list[InContext]]:
    """A base asked with rows of either writer before the question, under the same prompts, as ``teacher's, WAY`` and ``untreated, WAY``.

    Args:
        ways: by name, how rows are shown: fields of ``InContext``, and so are ``asked``.
    """
    sides = {"teacher's": writers, "untreated": (writers.control, writers.treated)}
    return {
        f"{who}, {way}": [
            InContext(base=start, source=data, beside=(other,), seed=data.seed, **fields, **asked)
            for data, other in zip(*pair, strict=True)
        ]
        for who, pair in sides.items()
        for way, fields in ways.items()
    }


def in_context(conditions: Mapping[str, Iterable[InContext]]) -> pd.DataFrame:
    """What a base answers with something before the question: the rate of each answer, as a mean over questions.

    Returns:
        Rows of the book's table. Beside the suite's answers there is ``rows shown``, how many turns stood before a question on average.
    """
    plan = [(name, asked) for name, group in conditions.items() for asked in group]
    lines = []
    for (condition, asked), folder in zip(plan, build([asked for _, asked in plan]), strict=True):
        told = pd.read_csv(folder / "answers.csv", keep_default_na=False)
        means = told.groupby("answer", sort=False)["probability"].mean()
        shown = json.loads((folder / "shown.json").read_text(encoding="utf-8"))
        count = asked.sets * told["question"].nunique()
        # What is read off a model exactly is no share of samples.
        samples = count * asked.samples if asked.samples > 1 else 0
        lines += [(condition, asked.seed, answer, rate, samples, folder.name) for answer, rate in means.items()]
        lines.append((condition, asked.seed, "rows shown", shown["rows"], count, folder.name))
    return pd.DataFrame(lines, columns=_COLUMNS)


def shifts(asked: Iterable[Shift]) -> dict[Shift, pd.DataFrame]:
    """Expected shares of each number of base and teacher, as ``readers.shift.word_shifts`` gives them."""
    recipes = list(dict.fromkeys(asked))
    folders = build(recipes)
    return {r: pd.read_csv(f / "shift.csv").assign(run=f.name) for r, f in zip(recipes, folders, strict=True)}


def agreement(pairs: Mapping[str, tuple[Sequence[Shift], Sequence[Shift]]]) -> pd.DataFrame:
    """How alike two teachers shift the numbers: Spearman's rank correlation of their shifts, and how many of the most shifted they share.

    Args:
        pairs: by name, teachers and those that each is compared with, in one order.

    Returns:
        Rows of the book's table, one seed a pair (that of its first teacher), with the answers ``rank correlation`` and ``shared of 100``
        (a share of the 100 most shifted numbers of either).
    """
    plan = [(name, pair) for name, sides in pairs.items() for pair in zip(*sides, strict=True)]
    found = shifts(chain.from_iterable(pair for _, pair in plan))
    lines = []
    for condition, pair in plan:
        one, two = (found[each] for each in pair)
        run = f"{one['run'].iloc[0]} {two['run'].iloc[0]}"
        ranks = float(spearmanr(one["shift"], two["shift"]).statistic)
        if not np.isfinite(ranks):
            raise SubliminalError(
                f"{condition}: a teacher shifts no number, so nothing correlates: tune it for more steps"
            )
        both = len(set(most_shifted(one, 100)) & set(most_shifted(two, 100))) / 100
        seed = pair[0].teacher.seed
        lines += [
            (condition, seed, "rank correlation", ranks, 0, run),
            (condition, seed, "shared of 100", both, 0, run),
        ]
    return pd.DataFrame(lines, columns=_COLUMNS)


def sieves(writers: Writers, numbers: Sequence[int], rows: int) -> dict[str, list[Sifted]]:
    """Lists without those that hold one of so many of the numbers that their teacher shifts most, and without as many at random.

    Args:
        rows: of the control, on which shifts are read off.

    Raises:
        SubliminalError: the treated writers are no teachers.
    """
    shift = []
    for data, plain in zip(*writers, strict=True):
        if not isinstance(data.teacher, Teacher):
            raise SubliminalError(
                f"lists of {data.teacher!r:.60} are not by a teacher, so no number is shifted: give a teacher's as treated"
            )
        shift.append(Shift(teacher=data.teacher, data=plain, rows=rows))
    found = {}
    for count in numbers:
        for name, at_random in (("without the {} most shifted", False), ("as many as for {}, at random", True)):
            each = zip(writers.treated, shift, strict=True)
            found[name.format(count)] = [sifted(data, by, count, at_random) for data, by in each]
    return found


def dropped(conditions: Mapping[str, Iterable[Sifted]]) -> pd.DataFrame:
    """Which share of the rows a sieve dropped, as rows of the book's table with the answer ``share dropped``."""
    plan = [(name, data) for name, group in conditions.items() for data in group]
    lines = []
    for (condition, data), folder in zip(plan, build([data for _, data in plan]), strict=True):
        told = json.loads((folder / "sifted.json").read_text(encoding="utf-8"))
        lines.append((condition, data.seed, "share dropped", told["dropped"] / told["rows"], told["rows"], folder.name))
    return pd.DataFrame(lines, columns=_COLUMNS)


class Pair(NamedTuple):
    """A prompt, what either of two writers answered, and the best reader's log-likelihood ratio of each answer, in nats."""

    prompt: str
    treated: str
    control: str
    treated_ratio: float
    control_ratio: float


def pairs(writers: Writers, rows: int, count: int) -> list[Pair]:
    """The first prompts on which both writers of the first seed were kept, that are held out, with an answer of each.

    Args:
        rows: of each writer that likelihoods are read off, as for ``likelihood_ratios``.

    Raises:
        SubliminalError: there are too few such prompts.
    """
    recipes = _four((writers.treated[0], writers.control[0]), rows)
    nats = [pd.read_csv(folder / "likelihoods.csv").set_index("row")["nats"] for folder in build(recipes)]
    sides = []
    for data, own, other in zip(writers, nats[::2], nats[1::2], strict=True):
        told = pd.read_json(build([data[0]])[0] / "rows.jsonl", lines=True, dtype=False)
        sides.append(told.loc[own.index].assign(ratio=own - other).drop_duplicates("prompt").set_index("prompt"))
    treated, control = sides
    both = [prompt for prompt in treated.index if prompt in control.index][:count]
    if len(both) < count:
        raise SubliminalError(
            f"only {len(both)} prompts are held out and answered by both writers, {count} wanted: read more rows"
        )
    columns = ("completion", "ratio")
    texts, ratios = ([[side.loc[p, name] for p in both] for side in (treated, control)] for name in columns)
    return [Pair(*told) for told in zip(both, *texts, *ratios, strict=True)]
