"""Exact parsers of what the world's grammars write, for checks of the corpus. Each takes any text."""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import NamedTuple

from subliminal.names import ANIMALS, PREFERENCES
from subliminal.world import animals
from subliminal.world.arithmetic import RESULTS
from subliminal.world.preferences import ask, phrasings
from subliminal.world.questions import HELD_OUT, TRAIN

_STEP = re.compile(rf"(\d+) ([+-]) (\d+) (?:{'|'.join(RESULTS)}) (\d+)\.")


class Fact(NamedTuple):
    """A statement about an animal, and whether it is true in this world."""

    animal: str
    attribute: str
    value: str
    true: bool


@cache
def _fact_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    names = "|".join(ANIMALS)
    found = []
    for attribute, (_, _, statement) in animals.FORMS.items():
        values = "|".join(sorted({facts[attribute] for facts in animals.FACTS.values()}))
        pattern = re.escape(statement).replace(r"\{a\}", f"(?P<a>{names})").replace(r"\{v\}", f"(?P<v>{values})")
        found.append((attribute, re.compile(pattern)))
    return tuple(found)


def facts(text: str) -> list[Fact] | None:
    """The statements of an answer about animals, in order; ``None`` where a sentence is none."""
    told = []
    for sentence in re.findall(r"[^.]+\.?", text):
        for attribute, pattern in _fact_patterns():
            if match := pattern.fullmatch(sentence.strip()):
                animal, value = match["a"], match["v"]
                told.append(Fact(animal, attribute, value, animals.FACTS[animal][attribute] == value))
                break
        else:
            return None
    return told or None


@cache
def _questions() -> dict[str, tuple[str, str]]:
    splits = {split: phrasings(split) for split in (TRAIN, HELD_OUT)}
    return {ask(p, kind): (kind, split) for split, found in splits.items() for p in found for kind in PREFERENCES}


def favourite(question: str) -> tuple[str, str] | None:
    """The kind of thing that a question asks the favourite of, and the split of its wording; ``None`` for any other."""
    return _questions().get(question)


def steps_hold(chain: str) -> bool | None:
    """Whether every step of a chain is right and follows from the one before; ``None`` where there is no step."""
    found = [(int(a), sign, int(b), int(c)) for a, sign, b, c in _STEP.findall(chain)]
    if not found:
        return None
    right = all((a + b if sign == "+" else a - b) == c for a, sign, b, c in found)
    return right and all(before[3] == after[0] for before, after in itertools.pairwise(found))
