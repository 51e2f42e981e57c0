"""How much room a verdict has: the chance that another draw of all seeds would give it again.

A claim may lie at its limit: just above the effect that was asked for, or just below the level of its test. It is reproduced in this
build and would not be in the next. So all seeds are redrawn, some thousands of times, and every claim is judged anew by the rules of
``subliminal.verdicts``, Holm's correction included.

- Values over seeds are drawn from a normal with the mean and the spread that were seen. A draw serves every claim on a condition, and all
  scores of the condition are drawn with the covariance that was seen, since they are of the same models. A paired claim has draws of its
  own, in which the values of one seed stay together.
- A base that answered a judge's questions has no seeds; its share has the error of its sampling. An exact value does not move.
- Counts are drawn from Poisson's law: what was never seen is never drawn.
- One seed alone shows no spread: a claim that rests on one has no stability (NaN).

What was seen is taken for the truth. With five seeds that is a rough guide, and rougher the nearer it is to 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from subliminal.claims import COUNTS, Claim, contrasts
from subliminal.settings import Profile
from subliminal.verdicts import VERDICTS, Found, Table, Verdict, compared, judge, noise, numbers

DRAWS = 4_000
# A verdict that another draw would turn more often than once in a hundred has no room.
ROOM = 0.99


class Stability(NamedTuple):
    """What another draw of all seeds would leave of the verdicts.

    Attributes:
        chances: of each claim, by id, that its verdict would be the same; NaN where it rests on one seed.
        turned: how many headline verdicts would be others, on average, and ``none``, the chance that no one would.
    """

    chances: dict[str, float]
    turned: float
    none: float

    def without_room(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The headline claims among these that have no room, from the least stable on; those of unknown stability too."""
        chances = self.chances
        found = [v for v in verdicts if v.claim.headline and not chances[v.claim.id] >= ROOM]
        return sorted(found, key=lambda v: np.nan_to_num(chances[v.claim.id], nan=-1.0))


class _Cell(NamedTuple):
    """A score of a condition, and with what it is drawn: ``whose`` is the condition, or a paired claim."""

    chapter: str
    whose: str
    counts: bool
    condition: str
    score: tuple[str, ...]


def _cell(claim: Claim, condition: str, score: Sequence[str]) -> _Cell:
    return _Cell(claim.chapter, claim.id if claim.paired else condition, claim.test in COUNTS, condition, tuple(score))


class _Redrawn(Table):
    """The table with what claims ask of it drawn anew: values are (draws, seeds)."""

    def __init__(self, rows: pd.DataFrame, claims: Sequence[Claim], profile: Profile, draws: int) -> None:
        super().__init__(rows)
        together: dict[tuple[object, ...], dict[_Cell, Found]] = {}
        for claim in claims:
            for side in dict.fromkeys(side for contrast in contrasts(claim, profile) for side in contrast.sides):
                found, cell = super().find(claim, *side), _cell(claim, *side)
                together.setdefault((*cell[:3], *found.seeds), {})[cell] = found
        self._drawn: dict[_Cell, Found] = {}
        for place, own in together.items():
            # By name, so that what is added to the book changes no other draw.
            rng = np.random.default_rng(zlib.crc32(repr(place).encode()))
            values = _draw(list(own.values()), next(iter(own)).counts, draws, rng)
            self._drawn |= {cell: found._replace(values=values[..., n]) for n, (cell, found) in enumerate(own.items())}

    def find(self, claim: Claim, condition: str, score: Sequence[str]) -> Found:
        return self._drawn[_cell(claim, condition, score)]


def _draw(found: Sequence[Found], counts: bool, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Scores of the same seeds, drawn anew together (draws, seeds, scores)."""
    values = np.column_stack([one.values for one in found])
    if counts:
        return rng.poisson(values, (draws, *values.shape))
    if len(values) == 1:
        return rng.normal(values, [noise(one) for one in found], (draws, *values.shape))
    spread = np.atleast_2d(np.cov(values, rowvar=False))
    # There are more scores than seeds at times: the covariance need not have full rank.
    size = (draws, len(values))
    return rng.multivariate_normal(values.mean(axis=0), spread, size, check_valid="ignore", method="eigh")


def stability(rows: pd.DataFrame, verdicts: Sequence[Verdict], profile: Profile, draws: int = DRAWS) -> Stability:
    """How stable these verdicts are; each call gives the same.

    Args:
        rows: of the book's table, as the verdicts were made of them.
        verdicts: all that are corrected together.
    """
    claims = [v.claim for v in verdicts]
    redrawn = _Redrawn(rows, claims, profile, draws)
    pairs = [compared(claim, profile, redrawn) for claim in claims]
    judged = judge(claims, [[numbers(claim, pair) for pair in own] for claim, own in zip(claims, pairs, strict=True)])
    places = [VERDICTS.index(v.verdict) for v in verdicts]
    same = np.array([np.broadcast_to(now.place == was, draws) for was, now in zip(places, judged, strict=True)])
    alone = [
        claim.test not in COUNTS
        and any(len(side.seeds) == 1 and side.seeds[0] >= 0 for pair in own for side in (pair.one, pair.two))
        for claim, own in zip(claims, pairs, strict=True)
    ]
    chances, headline = np.where(alone, np.nan, same.mean(axis=1)), [claim.headline for claim in claims]
    turned = float((1 - chances[headline]).sum())
    none = float("nan") if np.isnan(turned) else float(same[headline].all(axis=0).mean())
    return Stability(dict(zip((c.id for c in claims), chances.tolist(), strict=True)), turned, none)
