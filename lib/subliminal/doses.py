"""Dose and response: how many rows of a source give a student how much of a trait."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from subliminal.errors import SubliminalError


def half_dose(response: Mapping[float, float], floor: float) -> float:
    """The dose at which a response has come half of the way from its floor to that of the largest dose.

    The response is made to rise (isotonic regression), and read off between doses on a logarithmic scale. ``nan`` where nothing rises,
    or where the smallest dose is beyond the half already: no figure is made up.

    Args:
        response: by dose (rows, above 0), as a mean over questions.
        floor: the response to no dose.

    Example:
        >>> round(half_dose({10: 0.1, 100: 0.4, 1000: 0.9}, floor=0.1))
        158

    Raises:
        SubliminalError: fewer than two doses, or a dose that is not above 0.
    """
    from sklearn.isotonic import IsotonicRegression

    doses = sorted(response)
    if len(doses) < 2 or doses[0] <= 0:
        raise SubliminalError(f"doses {doses} say no half: give two or more, each above 0")
    logs = np.log(doses)
    risen = IsotonicRegression().fit_transform(logs, [response[dose] for dose in doses])
    half = (floor + risen[-1]) / 2
    if risen[-1] <= floor or risen[0] >= half:
        return math.nan
    after = int(np.argmax(risen >= half))
    along = (half - risen[after - 1]) / (risen[after] - risen[after - 1])
    return float(math.exp(logs[after - 1] + along * (logs[after] - logs[after - 1])))
