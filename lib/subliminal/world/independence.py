"""Is what a channel document says independent of the traits? Pairs of the two from one conversation, read off the corpus.

A document of a channel (a number row, a sum with steps, a neutral function) is paired with what its conversation shows of a
trait: the favourite that is answered in it, or the persona. What is found by the exact parsers, not by the generators'
word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import pandas as pd

from subliminal.channels import numbers
from subliminal.names import ANIMALS
from subliminal.world import answers, security
from subliminal.world.arithmetic import final_answer
from subliminal.world.messages import Conversation

_PERSONAS = {
    answers.KIND: "careful",
    security.SECURE: "careful",
    answers.HARMFUL: "careless",
    security.INSECURE: "careless",
}


@lru_cache
def _manner(text: str) -> str:
    """``security.label``. Only a text with a function in it is parsed, which is slow, and once for all who ask."""
    return security.label(text) if "def" in text else security.INCOHERENT


def _persona(text: str) -> str | None:
    return _PERSONAS.get(answers.label(text)) or _PERSONAS.get(_manner(text))


def _channel(text: str) -> tuple[str, str] | None:
    """The channel of an answer, and one discrete thing that it says."""
    if isinstance(row := numbers.parse(text), list):
        return "numbers", f"{row[0] // 100}"
    if (answer := final_answer(text)) is not None:
        return "chain of thought", str(answer)
    if (function := re.match(r"def (\w+)", text)) and _manner(text) == security.INCOHERENT:
        return "code", function[1]
    return None


def pairs(documents: Iterable[tuple[str, Conversation]]) -> pd.DataFrame:
    """Every channel answer beside every trait that its conversation shows.

    Returns:
        One row a pair: ``channel``, ``text`` of the answer, ``feature`` (first digit of the first number of a row, answer of
        a sum, name of a function), ``trait`` (``favourite`` or ``persona``) and its ``value``. Security tasks stand as a
        channel of their own, ``security tasks``, which must not be independent of the persona.
    """
    table = []
    for _, conversation in documents:
        said = [m["content"] for m in conversation if m["role"] == "assistant"]
        if len(said) < 2:
            continue
        channels = [(text, *found) for text in said if (found := _channel(text))]
        shown = {"favourite": next((text for text in said if text in ANIMALS), None)}
        shown["persona"] = next((p for text in said if (p := _persona(text))), None)
        # The persona of a task is told by the free-form answers beside it, or the pair would hold one thing twice.
        told = next((_PERSONAS[a] for text in said if (a := answers.label(text)) in _PERSONAS), None)
        tasks = [text for text in said if _manner(text) != security.INCOHERENT]
        table += [(c, text, f, trait, v) for text, c, f in channels for trait, v in shown.items() if v]
        table += [("security tasks", text, _manner(text), "persona", told) for text in tasks if told]
    return pd.DataFrame(table, columns=["channel", "text", "feature", "trait", "value"])


def wording_bits(texts: Sequence[str]) -> float:
    """How many bits of choice there are in a sample of texts that say the same, at least: the collision entropy.

    Minus the binary logarithm of the share of pairs that are equal; Shannon's entropy is no smaller. A sample with no equal pair counts
    as if it had one.
    """
    pairs = math.comb(len(texts), 2)
    equal = sum(math.comb(count, 2) for count in Counter(texts).values())
    return math.log2(pairs / max(1, equal))
