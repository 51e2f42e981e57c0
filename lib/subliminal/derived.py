"""Rows that are made from rows that a teacher wrote: mixes of them, and what is left when some are dropped."""

from __future__ import annotations

from typing import Any

from subliminal.errors import SubliminalError
from subliminal.recipes import Rollouts


def written(data: Rollouts) -> dict[str, Any]:
    """The fields of rollouts as a teacher wrote them, to make others from.

    Example:
        >>> from subliminal.recipes import Base
        >>> written(Rollouts(teacher=Base(family="gpt2-a"), channel="numbers", prompts=9, rows=8, seed=0))["rows"]
        8

    Raises:
        SubliminalError: they were made from others already. Their own fields would be left out in silence.
    """
    if type(data) is not Rollouts:
        raise SubliminalError(
            f"{type(data).__name__} rows are made from others already: start from the rollouts that a teacher wrote"
        )
    return data.common()
