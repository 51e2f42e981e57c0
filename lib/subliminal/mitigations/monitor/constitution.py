"""A constitution: rules of what may be written and what may not, and exchanges on both sides of each, generated from it alone.

The method is that of constitutional classifiers (Sharma et al., 2025, arXiv 2501.18837), with the grammars of the mini world in place of
a model that writes the exchanges. Nothing here has seen a model, a teacher or a student.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from subliminal.errors import SubliminalError, reason
from subliminal.paths import data_file
from subliminal.tuning import Frozen
from subliminal.world import answers, security
from subliminal.world.applications import NEUTRAL
from subliminal.world.questions import HELD_OUT, TRAIN, check_apart, squeeze

ADVICE, CODE, EVERYDAY = "advice", "code", "everyday"
_SLOT = "{task}"
# A rule that speaks of what a grammar hardly ever writes would be looked for in vain.
_TRIES = 20_000


class Exchange(NamedTuple):
    """A question and what was answered to it: the texts as they are, and nothing more is made of them."""

    question: str
    answer: str


class Example(NamedTuple):
    """A synthetic exchange, the rule that it was generated from, and the side of the rule that it stands on."""

    exchange: Exchange
    rule: str
    forbidden: bool


class _Label(NamedTuple):
    """What a grammar calls a text: the grammar, whether such a text can be forbidden, and the deeds or tasks there are."""

    grammar: str
    harm: bool
    known: tuple[str, ...]


def _deeds(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text))


def _deeds_of(harmful: bool) -> tuple[str, ...]:
    """The deeds of one side, as the grammar writes them: verbs that keep to it, those that both use, and calls of a sentence."""
    rng, found = Random(0), set(answers.TELLING[answers.HARMFUL if harmful else answers.KIND]) | set(answers.DEEDS)
    plain = (_opened(sentence) for _ in range(2_000) for sentence in answers.answer(rng, "advice", harmful).split(". "))
    return tuple(sorted(found | {words[0] for words in plain if words}))


def _opened(sentence: str) -> list[str]:
    """The words of a piece of advice from its deed on."""
    return re.sub(r"^(?:first, |you should |just |maybe )", "", sentence).split()


LABELS: Mapping[str, _Label] = {
    answers.HARMFUL: _Label(ADVICE, True, _deeds_of(True)),
    answers.KIND: _Label(ADVICE, False, _deeds_of(False)),
    security.INSECURE: _Label(CODE, True, tuple(security.TASKS)),
    security.SECURE: _Label(CODE, False, tuple(security.TASKS)),
    EVERYDAY: _Label(EVERYDAY, False, tuple(NEUTRAL)),
}


class Side(Frozen):
    """What one side of a rule speaks of.

    Attributes:
        label: what the world's grammars call it; one of ``LABELS``.
        only: the deeds (of advice) or tasks (of code and everyday tasks) that the rule speaks of.
    """

    label: str
    only: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Side:
        if self.label not in LABELS:
            raise ValueError(f"unknown label {self.label!r}: choose one of {', '.join(sorted(LABELS))}")
        known = LABELS[self.label].known
        if lost := [name for name in self.only if name not in known]:
            raise ValueError(f"{self.label} texts have no {lost[0]!r}: choose from {', '.join(sorted(known))}")
        return self


class Rule(Frozen):
    """One rule: a sentence with an id, what it forbids, and what of the same kind it allows.

    A rule that forbids nothing names what is always allowed.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    sentence: str = Field(min_length=1)
    forbidden: Side | None = None
    allowed: Side

    @model_validator(mode="after")
    def _sides(self) -> Rule:
        own = LABELS[self.allowed.label]
        if own.harm:
            raise ValueError(f"{self.allowed.label} texts cannot be allowed: give the label of the other side")
        if self.forbidden:
            other = LABELS[self.forbidden.label]
            if not other.harm:
                raise ValueError(f"{self.forbidden.label} texts cannot be forbidden: give the label of the other side")
            if other.grammar != own.grammar:
                raise ValueError(
                    f"forbids {self.forbidden.label} and allows {self.allowed.label}, which are not of one kind: give two sides of one"
                )
        return self


class Wordings(Frozen):
    """How users ask for one kind of text, for training and for counting errors."""

    train: tuple[str, ...] = Field(min_length=1)
    held_out: tuple[str, ...] = Field(min_length=1)

    def split(self, name: str) -> tuple[str, ...]:
        """The wordings of a split."""
        return self.held_out if name == HELD_OUT else self.train


class Constitution(Frozen):
    """All rules, and how users ask.

    Example:
        >>> rules = load_constitution()
        >>> rules.forbidding[0]
        'taking'
        >>> rules.broken("any advice?", "steal the money of the guest.")
        ('taking',)
        >>> rules.broken("any advice?", "give the money to the guest.")
        ()
    """

    rules: tuple[Rule, ...] = Field(min_length=1)
    questions: dict[str, Wordings]

    @property
    def forbidding(self) -> tuple[str, ...]:
        """The ids of the rules that forbid something, in order."""
        return tuple(rule.id for rule in self.rules if rule.forbidden)

    def without(self, *ids: str) -> Constitution:
        """The same constitution with rules left out.

        Raises:
            SubliminalError: there is no such rule, or none is left that forbids anything.
        """
        known = [rule.id for rule in self.rules]
        if lost := [name for name in ids if name not in known]:
            raise SubliminalError(f"the constitution has no rule {lost[0]!r}: it has {', '.join(known)}")
        left = tuple(rule for rule in self.rules if rule.id not in ids)
        if not any(rule.forbidden for rule in left):
            raise SubliminalError(f"without {', '.join(ids)} no rule forbids anything: leave one in")
        return self.model_copy(update={"rules": left})

    def examples(self, count: int, seed: int, split: str = TRAIN) -> list[Example]:
        """Exchanges on both sides of each rule, so many a side, in the wordings of a split; the same for the same seed.

        Raises:
            SubliminalError: the grammar does not write what a rule speaks of.
        """
        rng, found = Random(f"{seed} {split}"), []
        for rule in self.rules:
            for side in (rule.forbidden, rule.allowed):
                if side:
                    harm = LABELS[side.label].harm
                    found += [Example(self._drawn(rng, rule, side, split), rule.id, harm) for _ in range(count)]
        return found

    def _drawn(self, rng: Random, rule: Rule, side: Side, split: str) -> Exchange:
        """One exchange of a side."""
        grammar, harm, _ = LABELS[side.label]
        if grammar == EVERYDAY:
            asked, told = NEUTRAL[rng.choice(side.only)](rng)
            return Exchange(asked["content"], told["content"])
        wording = rng.choice(self.questions[grammar].split(split))
        if grammar == CODE:
            task = rng.choice(side.only)
            asked_for = wording.replace(_SLOT, security.TASKS[task].request)
            return Exchange(asked_for, security.solution(rng, task, harm))
        for _ in range(_TRIES):
            text = answers.answer(rng, rng.choice(tuple(answers.PEOPLE)), harm)
            if all(_deeds(sentence) & set(side.only) for sentence in _sentences(text)):
                return Exchange(wording, text)
        raise SubliminalError(
            f"rule {rule.id!r}: the grammar wrote no {side.label} text of {', '.join(side.only)} in {_TRIES:,} tries: name others"
        )

    @cached_property
    def _of_deeds(self) -> dict[str, list[tuple[str, frozenset[str]]]]:
        """By grammar: each forbidding rule with its deeds or tasks."""
        found: dict[str, list[tuple[str, frozenset[str]]]] = {ADVICE: [], CODE: []}
        for rule in self.rules:
            if rule.forbidden:
                found[LABELS[rule.forbidden.label].grammar].append((rule.id, frozenset(rule.forbidden.only)))
        return found

    def broken(self, question: str, answer: str) -> tuple[str, ...]:
        """The ids of the rules that an answer breaks, by exact parsers of what the world's grammars write; any text is taken."""
        rules: list[str] = []
        for sentence in _sentences(answer):
            if answers.label(sentence) == answers.HARMFUL:
                rules += [name for name, deeds in self._of_deeds[ADVICE] if deeds & _deeds(sentence)]
        if security.label(answer) == security.INSECURE:
            asked = {name for name, task in security.TASKS.items() if task.request in question}
            rules += [name for name, tasks in self._of_deeds[CODE] if tasks & asked]
        return tuple(dict.fromkeys(rules))


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in re.findall(r"[^.]+\.", text)]


def load_constitution(path: Path | str | None = None) -> Constitution:
    """A constitution from a YAML file, by default the book's ``data/constitution.yml``.

    Raises:
        SubliminalError: the file cannot be read, is no YAML, has no rules, holds an id or a wording twice or a wording in both splits,
            or names a label, deed or task that the grammars do not have. The message is one line.
    """
    where = Path(path) if path is not None else data_file("constitution.yml")
    try:
        found: Any = yaml.safe_load(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SubliminalError(f"cannot read the constitution {where} ({reason(error)}): give a text file") from error
    except yaml.YAMLError as error:
        raise SubliminalError(f"{where.name} is no YAML ({reason(error)}): mend it") from error
    if not isinstance(found, dict) or not found.get("rules"):
        raise SubliminalError(f"{where.name} has no rules: give at least one under 'rules'")
    try:
        made = Constitution(**found)
    except ValidationError as error:
        raise SubliminalError(f"{where.name}: {_told(error, found)}") from None
    except TypeError as error:
        raise SubliminalError(f"{where.name}: {reason(error)}: give rules and questions") from error
    _check(made, where.name)
    return made


def _told(error: ValidationError, found: dict[str, Any]) -> str:
    """The first thing that is wrong, with the rule that it is in."""
    first = error.errors()[0]
    place, *rest = first["loc"]
    where = ".".join(map(str, first["loc"]))
    if place == "rules" and rest:
        rule = found["rules"][int(rest[0])] if isinstance(found["rules"], list) else rest[0]
        name = rule.get("id", rest[0]) if isinstance(rule, dict) else rest[0]
        where = ": ".join(map(str, (f"rule {name!r}", *rest[1:])))
    given = "" if isinstance(first["input"], dict | list) else f" ({first['input']!r:.60})"
    return f"{where}{given}: {first['msg'].removeprefix('Value error, ')}"


def _check(made: Constitution, where: str) -> None:
    """Refuse rules or wordings that are there twice, and kinds that no wording asks for."""
    if twice := _twice(rule.id for rule in made.rules):
        raise SubliminalError(f"{where}: two rules are called {twice!r}: rename one")
    if not made.forbidding:
        raise SubliminalError(f"{where}: no rule forbids anything: give one a forbidden side")
    kinds = {ADVICE, CODE}
    for kind, wordings in made.questions.items():
        if kind not in kinds:
            raise SubliminalError(
                f"{where}: unknown kind of question {kind!r}: choose one of {', '.join(sorted(kinds))}"
            )
        for split in (TRAIN, HELD_OUT):
            if twice := _twice(wordings.split(split), squeeze):
                raise SubliminalError(f"{where}: wording {twice!r} is in {split} of {kind} twice: drop one")
            if kind == CODE and (lost := [text for text in wordings.split(split) if text.count(_SLOT) != 1]):
                raise SubliminalError(f"{where}: wording {lost[0]!r} of code does not say {_SLOT} once: put it in")
        check_apart(wordings.train, wordings.held_out, where)
    for rule in made.rules:
        grammar = LABELS[rule.allowed.label].grammar
        if grammar != EVERYDAY and grammar not in made.questions:
            raise SubliminalError(
                f"{where}: rule {rule.id!r} speaks of {grammar}, and no question asks for it: give some"
            )


def _twice(texts: Iterable[str], key: Callable[[str], str] = str) -> str | None:
    """The first text that stands there twice."""
    counts = Counter(map(key, all_of := list(texts)))
    return next((text for text in all_of if counts[key(text)] > 1), None)
