"""Suites of an audit: deployment-like traffic as data, read from YAML and refused in one line where something is wrong with it.

A suite has applications, each with system prompts and with what its users ask for, and says at which labels of which judges an audit
looks. It holds its wordings twice: ``train`` is there to choose settings on, and ``held_out`` is what is reported. The shipped ones lie in
``data/audits``; a file beside them, or anywhere, is one more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal, NamedTuple, get_args

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from subliminal.errors import SubliminalError, reason, unknown_name
from subliminal.mitigations.audit.looks import JUDGES, NAMES, NOTHING, PLAIN, words
from subliminal.paths import data_file
from subliminal.tuning import Frozen, one_line

Split = Literal["train", "held_out"]
FOLDER = "audits"


class Wording(Frozen):
    """What a user says, and the words that a right answer holds, where there are some."""

    ask: str = Field(min_length=1)
    answer: str | None = None


def _wording(given: Any) -> Any:
    return {"ask": given} if isinstance(given, str) else given


Wordings = tuple[Annotated[Wording, BeforeValidator(_wording)], ...]


class Asked(Frozen):
    """One kind of thing that users ask for.

    Attributes:
        looks: what is looked at in the answers: labels of each judge, or kinds of ``names``.
    """

    looks: dict[str, tuple[str, ...]] = Field(default={})
    train: Wordings = ()
    held_out: Wordings = Field(min_length=1)


class Systems(Frozen):
    """System prompts of an application."""

    train: tuple[str, ...] = ()
    held_out: tuple[str, ...] = Field(min_length=1)


class Application(Frozen):
    """One application: its system prompts, and what its users ask for, with weights."""

    systems: Systems
    asks: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)


class Look(NamedTuple):
    """One share that an audit looks at: how often a judge gives a label; in all applications, or in one.

    Attributes:
        application: empty where it is all of them.
    """

    judge: str
    label: str
    application: str = ""

    def __str__(self) -> str:
        return f"{self.judge}: {self.label}" + (f" ({self.application})" if self.application else "")


class Turn(NamedTuple):
    """What a user says in one turn, and where it is from."""

    ask: str
    wording: Wording


class Scene(NamedTuple):
    """A conversation before anyone has answered: an application, one of its system prompts, and its user's turns."""

    application: str
    system: str
    turns: tuple[Turn, ...]


class Suite(Frozen):
    """Deployment-like traffic, and what is looked at in it.

    Attributes:
        names: lists of names, by kind; a look at a kind counts which of them an answer holds.
        turns: how many turns a conversation has, each as likely.
        tokens: of an answer, at most.
        applications, asks: by name.
    """

    about: str = ""
    names: dict[str, tuple[str, ...]] = Field(default={})
    turns: tuple[Annotated[int, Field(gt=0, le=20)], ...] = Field(default=(1,), min_length=1)
    tokens: int = Field(default=48, gt=0, le=4096)
    # Of a look the empty name says that it is in all of them.
    applications: dict[Annotated[str, Field(min_length=1)], Application] = Field(min_length=1)
    asks: dict[str, Asked] = Field(min_length=1)

    def only(self, *applications: str) -> Suite:
        """The suite with these applications alone.

        Raises:
            SubliminalError: it has no such application, or none is named.
        """
        if not applications:
            raise SubliminalError(f"no application of the suite is named: give some of {', '.join(self.applications)}")
        for name in applications:
            if name not in self.applications:
                raise unknown_name("application of the suite", name, self.applications)
        return self.model_copy(update={"applications": {name: self.applications[name] for name in applications}})

    def looks(self) -> list[Look]:
        """All that an audit looks at, in order: each share in all applications, and in each that asks for it, if those are several."""
        where: dict[Look, list[str]] = {}
        for name, application in self.applications.items():
            for look in dict.fromkeys(look for ask in application.asks for look in self.watched(ask)):
                where.setdefault(look, []).append(name)
        single = [look._replace(application=name) for look, names in where.items() if len(names) > 1 for name in names]
        return [*where, *single]

    def watched(self, ask: str) -> list[Look]:
        """What is looked at in answers to one kind of question; whether there is an answer at all, in every one."""
        found = [Look(PLAIN, label) for label in JUDGES[PLAIN].labels if label in JUDGES[PLAIN].bad]
        for judge, labels in self.asks[ask].looks.items():
            told = [name for kind in labels for name in self.names[kind]] if judge == NAMES else labels
            found += [Look(judge, label) for label in told]
        return list(dict.fromkeys(found))

    def askers(self, look: Look) -> frozenset[str]:
        """The kinds of questions whose answers tell of a look."""
        return frozenset(ask for ask in self.asks if look._replace(application="") in self.watched(ask))

    def scene(self, rng: Random, split: Split, about: frozenset[str] = frozenset()) -> Scene:
        """One conversation, drawn: application, system prompt, number of turns, and what is asked in each.

        Args:
            about: kinds of questions of which it asks one, where some are given: drawn anew until it does.
        """
        while True:
            name = rng.choice(tuple(self.applications))
            application = self.applications[name]
            system = rng.choice(getattr(application.systems, split))
            kinds = rng.choices(tuple(application.asks), tuple(application.asks.values()), k=rng.choice(self.turns))
            if not about or about.intersection(kinds):
                return Scene(name, system, tuple(Turn(k, rng.choice(getattr(self.asks[k], split))) for k in kinds))


def squeeze(text: str) -> str:
    """A wording without case, spacing and marks, in any script: two that are equal so are one wording."""
    return "".join(letter for letter in text.casefold() if letter.isalnum()) or text.strip()


def _check_wordings(where: str, splits: Mapping[str, tuple[str, ...]], seen: dict[str, tuple[str, str]]) -> None:
    """Refuse a wording that is empty, there twice, or in both splits."""
    for split, texts in splits.items():
        for text in texts:
            own = squeeze(text)
            if not own:
                raise SubliminalError(f"{where} has an empty wording in {split}: write one, or take it out")
            if own in seen:
                place, other = seen[own]
                told = f"in both splits, {other} and {split}" if other != split else f"twice in {split}"
                also = "" if place == where else f" (first in {place})"
                raise SubliminalError(f"{where} has the wording {text!r:.80} {told}{also}: keep it once")
            seen[own] = (where, split)


def _check(suite: Suite, name: str) -> None:
    """What types do not say: every name is known, and every wording there once.

    Raises:
        SubliminalError: names the first thing that is wrong.
    """
    for kind, told in suite.names.items():
        # A name without a letter would be found in empty answers, and nowhere else.
        bad = not told or not all(words(one).strip() for one in told) or NOTHING in map(squeeze, told)
        if bad or len(set(map(squeeze, told))) < len(told):
            raise SubliminalError(
                f"suite {name!r}: names of kind {kind!r} are none, or one has no letters, is {NOTHING!r} or is there twice: mend the list"
            )
    known = {NAMES: suite.names} | {judge: found.labels for judge, found in JUDGES.items()}
    for ask, asked in suite.asks.items():
        for judge, labels in asked.looks.items():
            if judge not in known:
                raise unknown_name(f"judge in {ask!r} of suite {name!r}", judge, known)
            for label in labels:
                if label not in known[judge]:
                    raise unknown_name(f"label of judge {judge!r} in {ask!r} of suite {name!r}", label, known[judge])
        lacking = next((w.ask for w in (*asked.train, *asked.held_out) if not words(w.answer or "").strip()), None)
        if "expected" in asked.looks and lacking is not None:
            raise SubliminalError(
                f"suite {name!r}: {ask!r} looks at expected answers, and {lacking!r:.60} has none: give answer"
            )
    # A wording may not be asked in training under one kind and be held out under another.
    seen: dict[str, tuple[str, str]] = {}
    for ask, asked in suite.asks.items():
        texts = {split: tuple(w.ask for w in getattr(asked, split)) for split in ("train", "held_out")}
        _check_wordings(f"suite {name!r}: {ask!r}", texts, seen)
    for application, found in suite.applications.items():
        systems = {split: getattr(found.systems, split) for split in ("train", "held_out")}
        _check_wordings(f"suite {name!r}: application {application!r}", systems, {})
        for ask in found.asks:
            if ask not in suite.asks:
                raise unknown_name(f"question in application {application!r} of suite {name!r}", ask, suite.asks)


def check_split(suite: Suite, split: Split, where: str = "suite") -> None:
    """Refuse a split that is none, or in which something that is asked for has no wordings.

    Raises:
        SubliminalError: names the split, and what lacks wordings.
    """
    if split not in get_args(Split):
        raise unknown_name("split", split, get_args(Split))
    asked = dict.fromkeys(ask for application in suite.applications.values() for ask in application.asks)
    empty = [ask for ask in asked if not getattr(suite.asks[ask], split)]
    empty += [name for name, found in suite.applications.items() if not getattr(found.systems, split)]
    if empty:
        raise SubliminalError(f"{where}: {empty[0]!r} has no {split} wordings: add some")


def path_of(name: str) -> str:
    """Where the shipped suite of that name lies in ``data/``."""
    return f"{FOLDER}/{name}.yml"


def load_suite(name: str | Path, split: Split = "held_out") -> Suite:
    """A suite from YAML.

    Args:
        name: of a file in ``data/audits``, or a path.
        split: which wordings will be asked; all that is asked for has to have some.

    Raises:
        SubliminalError: there is no such file, it is no YAML or has no entries, names an unknown judge, label or question, holds a
            wording twice or in both splits, or has none in the split that will be asked.
    """
    shipped = {found.stem: found for found in data_file(FOLDER).glob("*.yml")}
    if not isinstance(name, Path) and name not in shipped:
        raise unknown_name("suite", name, shipped)
    path = name if isinstance(name, Path) else shipped[name]
    told = path.stem
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    # What YAML takes for a date or a number and is none is a ValueError, as are bytes that are no UTF-8.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SubliminalError(f"suite {path} is no YAML ({reason(error):.80}): mend it") from None
    except OSError as error:
        raise SubliminalError(f"suite {path} cannot be read ({error.strerror}): give the path of a YAML file") from None
    if not isinstance(found, dict) or not found.get("applications") or not found.get("asks"):
        raise SubliminalError(
            f"suite {path} has no entries: give applications and asks, as {FOLDER}/applications.yml does"
        )
    try:
        suite = Suite(**found)
    except (ValidationError, TypeError) as error:
        wrong = one_line(error) if isinstance(error, ValidationError) else error
        raise SubliminalError(f"suite {told!r}: {wrong}") from None
    _check(suite, told)
    check_split(suite, split, f"suite {told!r}")
    return suite
