"""Mixed sources: rows of one writer among rows of another. Also the stage of ``Mixed``.

Who tunes on data of several sources reads less of each. How much of a trait is left at which share is what the book's chapter on mixing
measures; here is what it mixes with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import pandas as pd
from pydantic import Field, model_validator

from subliminal.derived import written
from subliminal.errors import SubliminalError
from subliminal.recipes import Recipe, Rollouts
from subliminal.registry import CHANNELS
from subliminal.training import Progress


class Mixed(Rollouts):
    """The first ``taken`` rows of a rollout, and another's rows from that place on, ``rows`` in all.

    Writers with one seed answer the same prompts in the same order, so a mix has about the prompts of either alone.
    The other fields are those of the first rollout, which is ``source``; ``whole`` is how many rows it has.
    """

    stage: ClassVar[str] = "subliminal.mitigations.mixing"
    whole: int = Field(gt=0)
    taken: int = Field(ge=0)
    other: Rollouts | None = None

    @model_validator(mode="after")
    def _enough(self) -> Mixed:
        _check(self.taken, self.rows, self.whole, 0 if self.other is None else self.other.rows)
        if self.other is not None and self.other.channel != self.channel:
            raise SubliminalError(
                f"rows of channel {self.channel!r} are mixed with rows of {self.other.channel!r}: take one channel"
            )
        return self

    @property
    def source(self) -> Rollouts:
        """The rollout whose rows are mixed into the other's."""
        return Rollouts(**(self.common() | {"rows": self.whole}))

    def upstream(self) -> tuple[Recipe, ...]:
        return (self.source,) if self.other is None else (self.source, self.other)

    def modules(self) -> tuple[str, ...]:
        return (self.stage, CHANNELS[self.channel])


def mixed(data: Rollouts, share: float, other: Rollouts | None = None, rows: int | None = None) -> Mixed:
    """A rollout's rows among those of another, or by themselves.

    Args:
        share: of the first rollout, 0 to 1, rounded to whole rows.
        rows: in all, as many as the first rollout has by default.

    Example:
        >>> from subliminal import Base, Rollouts
        >>> one, two = (Rollouts(teacher=Base(family=f), channel="numbers", prompts=9, rows=8, seed=0) for f in ("gpt2-a", "neox"))
        >>> mixed(one, 0.25, two).taken, mixed(one, 1, rows=3).taken
        (2, 3)

    Raises:
        SubliminalError: a share outside of 0 to 1, more rows than there are, two channels, or rows that are mixed or sifted already.
    """
    if not 0 <= share <= 1:
        raise SubliminalError(f"a share of {share:g} of the rows: give one from 0 to 1")
    total = data.rows if rows is None else rows
    return Mixed(**(written(data) | {"rows": total}), whole=data.rows, taken=round(share * total), other=other)


class Read(NamedTuple):
    """What the students of a condition read: ``taken`` tainted rows, ``where``: ``alone``, or ``among`` others."""

    where: str
    taken: int
    data: Sequence[Rollouts]


def alone(name: str, data: Sequence[Rollouts], doses: Iterable[int]) -> dict[str, Read]:
    """So many tainted rows by themselves, and all of them: conditions ``NAME alone, 150 rows``.

    Args:
        data: tainted rollouts, one a seed.
    """
    whole = data[0].rows
    return {
        f"{name} alone, {taken} rows": Read("alone", taken, [_part(own, taken) for own in data])
        for taken in (*doses, whole)
    }


def diluted(
    name: str, data: Sequence[Rollouts], rest: Mapping[str, Sequence[Rollouts]], shares: Iterable[float], rows: int
) -> dict[str, Read]:
    """Shares of tainted rows among others, ``rows`` in all, as conditions ``NAME among OTHERS, 10 %``.

    Nothing but tainted rows (the same for all others), and none of them, are always among the conditions.

    Args:
        data: tainted rollouts, one a seed.
        rest: by name, rollouts of others, one a seed, in the same order.
    """
    found = {}
    for others, theirs in rest.items():
        for share in (1.0, *sorted(shares, reverse=True), 0.0):
            taken = round(share * rows)
            # A mix with nothing of one side is that of the other side alone: one student, however it is named.
            sides = {rows: data, 0: theirs}.get(taken)
            read = (
                [_part(own, rows) for own in sides]
                if sides is not None
                else [mixed(own, share, other, rows) for own, other in zip(data, theirs, strict=True)]
            )
            found[f"{name} among {others}, {100 * share:.0f} %"] = Read(f"among {others}", taken, read)
    return found


def _part(data: Rollouts, rows: int) -> Rollouts:
    return data if rows == data.rows else mixed(data, 1, rows=rows)


def mix(rows: pd.DataFrame, other: pd.DataFrame, taken: int, total: int) -> pd.DataFrame:
    """The first ``taken`` rows of one table, and the other's from that place on, ``total`` in all.

    Example:
        >>> one, two = (pd.DataFrame({"prompt": list("aab"), "completion": [name + n for n in "123"]}) for name in "xy")
        >>> mix(one, two, taken=1, total=3)["completion"].tolist()
        ['x1', 'y2', 'y3']

    Raises:
        SubliminalError: there are not so many rows.
    """
    _check(taken, total, len(rows), len(other))
    return pd.concat([rows.iloc[:taken], other.iloc[taken:total]], ignore_index=True)


def _check(taken: int, total: int, first: int, second: int) -> None:
    if not 0 <= taken <= min(total, first) or (taken < total and total > second):
        raise SubliminalError(
            f"a mix of {total} rows takes {taken} of {first}, and those from there on of {second}: ask for no more than there are"
        )


def build(recipe: Mixed, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``rows.jsonl``."""
    read = [pd.read_json(inputs[each] / "rows.jsonl", lines=True, dtype=False) for each in recipe.upstream()]
    other = read[1] if len(read) > 1 else read[0].head(0)
    found = mix(read[0], other, recipe.taken, recipe.rows)
    found.to_json(out / "rows.jsonl", orient="records", lines=True, force_ascii=False)
    progress(recipe.rows, recipe.rows)
