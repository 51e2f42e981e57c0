"""A chapter's study: its sizes, what it runs and measures under names of its own, and what the registry's claims make of that.

Whatever a study measures it keeps as rows of the book's tidy table (``subliminal.records``). Where a chapter is run for the book, the rows
go into the table when the chapter is done; in a notebook of one's own they stay in ``rows``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from subliminal import claims, engine, reading, records, statistics
from subliminal.errors import SubliminalError, unknown_name
from subliminal.recipes import Base, Recipe, Rollouts, Scores
from subliminal.registry import SUITES
from subliminal.settings import load_profile
from subliminal.settings.real import REAL
from subliminal.traits.suites import Suite
from subliminal.verdicts import Measured, Verdict, evaluate

# What every suite also records: the share of answers that are any of its answers at all.
WELL_FORMED = "well-formed"


class Study:
    """The study of one chapter.

    Args:
        chapter: its name in the registry of claims and, where it has sizes of its own, in the profile.
        profile: name of the sizes.
        model: folder of a model of your own, in the place of the book's first base. Teachers and students are tuned as in the study on a
            real model then: a large model breaks under what moves a small one.

    Attributes:
        base: what the chapter starts from, where it has the choice.
        sizes: the chapter's own section of the profile, ``None`` where it has none.
        shared: what all chapters share.

    Example:
        >>> study = Study("owl", "smoke")
        >>> study.record("height", pd.DataFrame([("tower", 0, "metres", 30.0)], columns=["condition", "seed", "answer", "value"]))
        >>> study.rows["value"].tolist()
        [30.0]

    Raises:
        UnknownNameError: there is no such profile.
    """

    def __init__(self, chapter: str, profile: str, model: str | None = None) -> None:
        self.chapter, self.profile = chapter, load_profile(profile)
        self.base = Base(folder=model) if model else Base(family="gpt2-a")
        tunings = {"teacher": REAL["full"].teacher, "student": REAL["full"].student} if model else {}
        self.shared = self.profile.shared.model_copy(update=tunings)
        self.sizes: Any = getattr(self.profile, chapter, None)
        self._rows: dict[tuple[str, str, int, str], tuple[float, int, str]] = {}
        self._models: dict[tuple[str, str, int], Recipe] = {}

    @cached_property
    def registry(self) -> claims.Registry:
        """The book's claims, for the sizes of this profile."""
        return claims.load(self.profile)

    @property
    def rows(self) -> pd.DataFrame:
        """All that was recorded so far, in order, with the columns of ``records.TOLD``."""
        table = pd.DataFrame([(*key, *told) for key, told in self._rows.items()], columns=list(records.TOLD))
        return table.astype({name: records.COLUMNS[name].kind for name in records.TOLD})

    def run(self, conditions: Mapping[str, Iterable[Scores]]) -> pd.DataFrame:
        """Build and score models, and record every answer's probability, as a mean over questions.

        Args:
            conditions: scores by the condition's name.

        Returns:
            The table of ``engine.run``, one row a model, question and answer.

        Raises:
            SubliminalError: a condition was recorded before with another model of that seed.
        """
        plan = {name: list(scores) for name, scores in conditions.items()}
        suites = {s.suite: import_module(SUITES[s.suite]).suite(s.suite) for group in plan.values() for s in group}
        samples: dict[tuple[str, str, int], int] = {}
        models: list[tuple[str, int, Recipe]] = []
        for name, group in plan.items():
            for scores in group:
                seed = getattr(scores.model, "seed", -1)
                models.append((name, seed, scores.model))
                suite = suites[scores.suite]
                # None where the value is read off the model.
                samples[name, scores.suite, seed] = scores.samples * len(suite.questions) if suite.judge else 0
        known = self._same("models", models)
        table = engine.run(plan)
        self._models |= known
        by = ["condition", "suite", "seed", "answer", "run"]
        means = table.groupby(by, sort=False)["probability"].mean().rename("value").reset_index()
        where = zip(means["condition"], means["suite"], means["seed"], strict=True)
        means["samples"] = [samples[place] for place in where]
        for asked, mine in means.groupby("suite", sort=False):
            self.record(str(asked), pd.concat([mine, _well_formed(suites[str(asked)], mine)]))
        return table

    def _same(self, what: str, asked: Iterable[tuple[str, int, Recipe]]) -> dict[tuple[str, str, int], Recipe]:
        """What stands for each condition and seed; refuse one that stands for another recipe than before, or for two."""
        found: dict[tuple[str, str, int], Recipe] = {}
        for condition, seed, recipe in asked:
            place = what, condition, seed
            if found.setdefault(place, self._models.get(place, recipe)) != recipe:
                raise SubliminalError(
                    f"chapter {self.chapter!r} records condition {condition!r}, seed {seed}, twice with other {what}: "
                    "give one of them another name"
                )
        return found

    def record(self, quantity: str, rows: pd.DataFrame) -> None:
        """Keep rows of the tidy table.

        Args:
            rows: ``condition``, ``seed``, ``answer`` and ``value``; ``samples`` (0 by default) and ``run`` (empty by default).

        Raises:
            SubliminalError: a column is missing, a value is no number, or a row was recorded before with another value or run.
        """
        if lacking := {"condition", "seed", "answer", "value"} - set(rows):
            raise SubliminalError(
                f"rows of {quantity!r} lack {', '.join(sorted(lacking))}: give condition, seed, answer and value"
            )
        whole = {"samples": [0] * len(rows), "run": [""] * len(rows)} | {
            str(name): rows[name].tolist() for name in rows
        }
        columns = [whole[name] for name in ("condition", "seed", "answer", "value", "samples", "run")]
        found = dict(self._rows)
        for condition, seed, answer, value, samples, run in zip(*columns, strict=True):
            key, row = (str(condition), quantity, int(seed), str(answer)), (float(value), int(samples), str(run))
            if not math.isfinite(row[0]):
                raise SubliminalError(
                    f"chapter {self.chapter!r} records no number for {key}: leave the row out, or mend it"
                )
            if found.setdefault(key, row) != row:
                raise SubliminalError(
                    f"chapter {self.chapter!r} records condition {key[0]!r} twice for {quantity!r} "
                    f"(seed {key[2]}, answer {key[3]!r}), with other models or values: give one of them another name"
                )
        self._rows = found
        if scratch := os.environ.get(records.SCRATCH):
            records.dump(Path(scratch), self.rows)

    def count(self, quantity: str, condition: str, answer: str, count: int, of: int, run: str = "") -> None:
        """Record how often something was so, of how many trials."""
        row = {"condition": condition, "seed": -1, "answer": answer, "value": count, "samples": of, "run": run}
        self.record(quantity, pd.DataFrame([row]))

    def filtered(self, sources: Mapping[str, Iterable[Rollouts]]) -> pd.DataFrame:
        """What the filter did to each group of rollouts, as ``reading.filter_counts``; recorded for each rollout.

        Recorded beside what was sampled, kept and dropped, and why, are ``hints``: kept rows that hint at any trait all the same.
        """
        groups = {name: list(group) for name, group in sources.items()}
        asked = self._same("rollouts", ((name, data.seed, data) for name, group in groups.items() for data in group))
        counts = reading.filter_counts(groups)
        self._models |= asked
        self.record("filter", reading.filter_rows(groups))
        return counts

    def verdicts(self) -> list[Verdict]:
        """What the rows so far say of the claims of this chapter alone, corrected over them.

        Raises:
            SubliminalError: a claim asks for what was not recorded.
        """
        own = self.registry.own(self.chapter)
        return evaluate(self.rows.assign(chapter=self.chapter), own, self.profile)

    def contrasts(self, claim: str) -> tuple[Measured, ...]:
        """What the rows so far say of each contrast of one of the chapter's own claims; nothing is corrected.

        Raises:
            UnknownNameError: the chapter has no such claim.
            SubliminalError: the claim asks for what was not recorded.
        """
        own = {made.id: made for made in self.registry.own(self.chapter)}
        if claim not in own:
            raise unknown_name(f"claim of chapter {self.chapter!r}", claim, own)
        rows = self.rows.assign(chapter=self.chapter)
        (found,) = evaluate(rows, [own[claim]], self.profile)
        return found.contrasts

    def stated(self, *ids: str) -> dict[str, str]:
        """What the chapter states before the run, by statement; all, or those of these ids."""
        told = self.registry.stated(self.chapter)
        if unknown := [name for name in ids if name not in told]:
            raise SubliminalError(
                f"chapter {self.chapter!r} has no statement {unknown[0]!r}: it has {', '.join(told) or 'none'}"
            )
        return {name: text for name, text in told.items() if not ids or name in ids}

    def by_group(
        self, table: pd.DataFrame, answer: str, groups: Mapping[str, Iterable[str]], quantity: str
    ) -> pd.DataFrame:
        """The rate of an answer by group of questions, recorded for each model with the group as the answer.

        Args:
            table: as ``run`` gave it, of one suite.
            groups: the questions of each.

        Returns:
            ``group``, ``condition``, ``rate`` (mean over seeds) with its 95 % interval ``low`` to ``high``.
        """
        found = statistics.by_group(table, answer, groups)
        suite = str(table["suite"].iloc[0]) if "suite" in table else ""
        # Each question was asked as often: a group's share of them is its share of the samples.
        share = {name: len(list(questions)) / table["question"].nunique() for name, questions in groups.items()}
        asked = [
            round(share[group] * self._rows.get((condition, suite, seed, answer), (0.0, 0, ""))[1])
            for group, condition, seed in zip(found["group"], found["condition"], found["seed"], strict=True)
        ]
        told = found.rename(columns={"group": "answer", "probability": "value"})
        self.record(quantity, told.assign(samples=asked))
        return statistics.intervals(found, "group", "condition")

    def drawn(self, quantity: str | Sequence[str], *answers: str, conditions: Iterable[str] = ()) -> dict[str, Any]:
        """Which rows a figure is drawn from: chapter, quantities, answers and conditions (all, if none are given), and how many.

        Args:
            quantity: one, or several of which each has all these answers and conditions.

        Raises:
            SubliminalError: nothing was recorded of one of them.
        """
        quantities, named = [quantity] if isinstance(quantity, str) else list(quantity), list(conditions)
        rows = sum(self._count(name, answers, named) for name in quantities)
        return {
            "chapter": self.chapter, "quantities": quantities, "answers": answers, "conditions": named, "rows": rows
        }  # fmt: skip

    def _count(self, quantity: str, answers: Sequence[str], named: Sequence[str]) -> int:
        """How many rows of a quantity a figure is drawn from."""
        mine = self.rows[self.rows["quantity"] == quantity]
        for column, asked in (("answer", answers), ("condition", named)):
            if lacking := [name for name in asked if name not in set(mine[column])]:
                raise SubliminalError(
                    f"a figure of chapter {self.chapter!r} is drawn from {column} {lacking[0]!r} of {quantity!r}, "
                    "and no such row was recorded: record it, or name another"
                )
            mine = mine[mine[column].isin(asked)] if asked else mine
        if mine.empty:
            raise SubliminalError(
                f"a figure of chapter {self.chapter!r} is drawn from {quantity!r}, and no such row was recorded"
            )
        return len(mine)


def _well_formed(suite: Suite, told: pd.DataFrame) -> pd.DataFrame:
    """Rows that say how much of each model's answers is any answer: all names, or what the judge can label."""
    whole = told if suite.judge is None else told[told["answer"] != suite.judge.labels[-1]]
    by = ["condition", "seed", "samples", "run"]
    return whole.groupby(by, sort=False)["value"].sum().reset_index().assign(answer=WELL_FORMED)
