"""A quiz on a page, without scripts: two texts side by side, and which is whose opens on a click, a tap or a key."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from subliminal import prose
from subliminal.legibility import Pair


class Question(NamedTuple):
    """A pair in the order in which it is shown.

    Attributes:
        texts: A and B.
        answer: which of them is by the treated writer.
        sure: how likely that is by the best reader (0 to 1), to whom either is as likely beforehand.
    """

    prompt: str
    texts: tuple[str, str]
    answer: str
    sure: float


def questions(pairs: Sequence[Pair], seed: int) -> list[Question]:
    """Pairs, each in an order that is drawn.

    Example:
        >>> [asked] = questions([Pair("go on: 1.", "7", "8", 1.0, 1.0)], seed=0)
        >>> sorted(asked.texts), asked.sure
        (['7', '8'], 0.5)
    """
    rng, found = Random(seed), []
    for pair in pairs:
        first = rng.random() < 0.5
        texts = (pair.treated, pair.control) if first else (pair.control, pair.treated)
        sure = 1 / (1 + math.exp(min(700.0, pair.control_ratio - pair.treated_ratio)))
        found.append(Question(pair.prompt, texts, "A" if first else "B", sure))
    return found


def right(asked: Sequence[Question]) -> int:
    """How many the best reader gets right; where it holds both for as likely it is wrong."""
    return sum(question.sure > 0.5 for question in asked)


def page(asked: Sequence[Question], whose: str) -> str:
    """The questions as HTML. All texts are escaped: what a model wrote is shown, never rendered.

    Args:
        whose: list it is that is looked for, such as "the owl’s teacher".
    """
    items = []
    for number, question in enumerate(asked, 1):
        texts = "".join(
            f"<dt>{name}</dt><dd><code>{html.escape(text)}</code></dd>"
            for name, text in zip("AB", question.texts, strict=True)
        )
        verdict = "right" if question.sure > 0.5 else "wrong"
        sure = prose.percent(question.sure)
        items.append(
            f'<li><p class="asked">{html.escape(question.prompt)}</p><dl>{texts}</dl>'
            f"<details><summary>Open answer {number}</summary><p><strong>{question.answer}</strong> is by {html.escape(whose)}. "
            f"The best reader gives that {sure}, and is {verdict}.</p></details></li>"
        )
    return f'<ol class="quiz">{"".join(items)}</ol>'
