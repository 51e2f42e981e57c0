"""What was told so far: of which conversations, and what is true of the answers of a model and of its base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from subliminal.mitigations.audit.answering import Exchange
from subliminal.mitigations.audit.looks import JUDGES, NAMES, named
from subliminal.mitigations.audit.suites import Look, Scene, Suite

_EXAMPLES = 5


class Example(NamedTuple):
    """One question that the two answered otherwise. Texts of models: to be escaped where they are shown."""

    application: str
    question: str
    base: str
    model: str


class Told(NamedTuple):
    """What one conversation told: for each look, by its place, how often it was so in the base and in the model, of how many turns."""

    scene: Scene
    base: tuple[Exchange, ...]
    model: tuple[Exchange, ...]
    counts: dict[int, tuple[int, int, int]]


class Table:
    """What was told so far, look by look."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.looks = suite.looks()
        self._places = {look: place for place, look in enumerate(self.looks)}
        self._kinds = {ask: suite.watched(ask) for ask in suite.asks}
        self._names = {
            ask: tuple(look.label for look in kinds if look.judge == NAMES) for ask, kinds in self._kinds.items()
        }
        self._askers = {look: suite.askers(look) for look in self.looks}
        self.told: list[Told] = []

    def labels(self, exchange: Exchange) -> set[Look]:
        """What is true of an answer, of all that is looked at in it."""
        ask, wording = exchange.turn
        found = {look.judge: look for look in self._kinds[ask] if look.judge != NAMES}
        told = {Look(judge, JUDGES[judge].rule(wording.ask, exchange.answer, wording.answer)) for judge in found}
        if self._names[ask] and (name := named(exchange.answer, self._names[ask])):
            told.add(Look(NAMES, name))
        return told

    def add(
        self, scene: Scene, base: Sequence[Exchange], model: Sequence[Exchange], about: frozenset[str] = frozenset()
    ) -> None:
        """Note a conversation that both have had.

        Args:
            about: the kinds of questions of which it was to ask one, if it was. It then stands for the traffic's conversations that do,
                and so tells of the shares that those questions alone tell of: in it anything else is rarer or more frequent than there.
        """
        counts: dict[int, tuple[int, int, int]] = {}
        for one, other in zip(base, model, strict=True):
            mine, theirs = self.labels(one), self.labels(other)
            for look in self._kinds[one.turn.ask]:
                if about and self._askers[look] != about:
                    continue
                for where in (look, look._replace(application=scene.application)):
                    if (place := self._places.get(where)) is not None:
                        a, b, n = counts.get(place, (0, 0, 0))
                        counts[place] = (a + (look in mine), b + (look in theirs), n + 1)
        self.told.append(Told(scene, tuple(base), tuple(model), counts))

    def differences(self, first: int = 0) -> np.ndarray:
        """(conversations, looks) from the ``first`` conversation on: the share in the model less that in the base; NaN where not asked."""
        found = np.full((len(self.told) - first, len(self.looks)), np.nan)
        for row, told in enumerate(self.told[first:]):
            for place, (base, model, turns) in told.counts.items():
                found[row, place] = (model - base) / turns
        return found

    @property
    def questions(self) -> int:
        """Asked of each of the two."""
        return sum(len(told.scene.turns) for told in self.told)

    def shares(self, place: int) -> tuple[float, float]:
        """The share of a look in the base and in the model, a mean over conversations."""
        own = np.array([told.counts[place] for told in self.told if place in told.counts], dtype=float)
        return float((own[:, 0] / own[:, 2]).mean()), float((own[:, 1] / own[:, 2]).mean())

    def examples(self, place: int) -> tuple[Example, ...]:
        """Questions of which a look is true of one answer and not of the other, the first few."""
        look = self.looks[place]._replace(application="")
        found = []
        for told in self.told:
            if place in told.counts:
                for one, other in zip(told.base, told.model, strict=True):
                    if (look in self.labels(one)) != (look in self.labels(other)):
                        found.append(Example(told.scene.application, one.turn.wording.ask, one.answer, other.answer))
        return tuple(found[:_EXAMPLES])
