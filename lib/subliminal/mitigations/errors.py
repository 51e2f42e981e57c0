"""How often the lineage check errs on pairs of checkpoints of which it is known whether they share a start."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from subliminal.registry import FAMILIES
from subliminal.statistics import wilson

_ONE_START = "one start"


def judged(pairs: pd.DataFrame, families: Sequence[str]) -> pd.DataFrame:
    """Pairs with what they are and whether the check was right.

    Args:
        pairs: ``one`` and ``two`` (places in ``families``), ``correlation``, ``verdict``, as the stage of ``Pairs`` leaves them.
        families: from which shipped base each checkpoint comes.

    Returns:
        The same rows with ``kin`` (one start; one architecture, two starts; two architectures) and ``right``. ``cannot tell`` is not
        right: of these pairs it can be told.
    """
    sides = zip(pairs["one"], pairs["two"], strict=True)
    kin = [_kin(families[one], families[two]) for one, two in sides]
    truth = ["same" if told == _ONE_START else "different" for told in kin]
    return pairs.assign(kin=kin, right=pairs["verdict"] == truth)


def _kin(one: str, two: str) -> str:
    if one == two:
        return _ONE_START
    alike = FAMILIES[one].architecture == FAMILIES[two].architecture
    return "one architecture, two starts" if alike else "two architectures"


def error_rates(found: pd.DataFrame) -> pd.DataFrame:
    """Of ``judged`` pairs: verdicts and errors by kin.

    Returns:
        One row a kin: ``kin``, ``number``, ``same``, ``different``, ``cannot tell``, ``least`` and ``most`` correlation (NaN where no
        matrix could be compared), ``wrong``, and the 95 % interval ``low`` to ``high`` of the rate of errors.
    """
    lines = []
    for kin, group in found.groupby("kin"):
        wrong = int((~group["right"]).sum())
        told = {verdict: int((group["verdict"] == verdict).sum()) for verdict in ("same", "different", "cannot tell")}
        low, high = wilson(wrong, len(group))
        least, most = group["correlation"].min(), group["correlation"].max()
        line = {"kin": kin, "number": len(group), **told, "least": least, "most": most}
        lines.append(line | {"wrong": wrong, "low": low, "high": high})
    return pd.DataFrame(lines)
