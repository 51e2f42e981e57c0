"""A fresh build beside the last verified one: verdicts that changed, and numbers that left their tolerance.

Measured over machines: with AVX2 kernels in place of AVX-512, where the reference was made, no verdict of the mini profile changed,
and no effect moved by more than .008, or 4 % of its tolerance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from scipy import stats

from subliminal.claims import Verdict
from subliminal.errors import SubliminalError
from subliminal.paths import data_dir
from subliminal.store import atomic_write

# Chance of a false alarm in a build that differs in noise alone, over all claims together.
FALSE_ALARM = 0.01
# What rounding on another machine may do, at most: move an effect by this share of its tolerance, and a p-value by this factor.
ROUNDING, P_FACTOR = 0.1, 1.5


def reference_file(profile: str) -> Path:
    """Where the verified results of a profile lie."""
    return data_dir() / "reference" / f"{profile}.json"


def _number(value: float) -> float | None:
    # JSON has no NaN.
    return None if math.isnan(value) else round(value, 6)


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as plain values, by claim."""
    numbers = ("effect", "low", "high", "p", "corrected", "error", "free")
    return {
        v.claim.id: {
            "verdict": v.verdict,
            **{name: _number(getattr(v, name)) for name in numbers},
            "seeds": list(v.seeds),
            "runs": list(v.runs),
        }
        for v in verdicts
    }


def read_reference(profile: str) -> dict[str, Any]:
    """The verified results of a profile.

    Raises:
        SubliminalError: there are none, or they cannot be read.
    """
    path = reference_file(profile)
    if not path.exists():
        raise SubliminalError(
            f"no reference for profile {profile!r} at {path}: write one with make reference PROFILE={profile}"
        )
    try:
        claims: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["claims"]
    except (ValueError, KeyError) as error:
        raise SubliminalError(f"the reference {path} cannot be read: restore it with `git checkout -- data`") from error
    return claims


def tolerance(old: dict[str, Any], new: dict[str, Any], claims: int) -> float:
    """How far two effects may lie apart by noise alone.

    Another machine rounds differently, so that training and sampling take other turns: at most another draw of what differs
    between seeds. So the tolerance is that of Welch's test that two draws with the spreads of the old and the new seeds have
    one mean, at ``FALSE_ALARM`` over all claims. Where nothing varies (a filter's count) it is zero.
    """
    error = math.hypot(old["error"] or 0.0, new["error"] or 0.0)
    free = (old["free"] or 0.0) + (new["free"] or 0.0)
    return float(error * stats.t.isf(FALSE_ALARM / 2 / claims, free)) if error and free else 0.0


def _by_rounding(was: dict[str, Any], now: dict[str, Any], allowed: float) -> bool:
    """Whether effect and p-value are as they were but for rounding."""
    both = was["corrected"], now["corrected"]
    near = all(both) and max(both) <= P_FACTOR * min(both)
    return bool(near and abs(was["effect"] - now["effect"]) <= ROUNDING * allowed)


def at_limit(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each verdict that turned by rounding alone, since a limit lies between the two builds."""
    return [
        f"{name}: {old[name]['verdict']} before, {now['verdict']} now, by rounding alone"
        for name, now in new.items()
        if name in old
        and old[name]["verdict"] != now["verdict"]
        and _by_rounding(old[name], now, tolerance(old[name], now, len(new)))
    ]


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each claim that is not as it was: its verdict, its number, or that it is new or gone.

    A verdict that stands ``at_limit`` is no difference: it is told apart.
    """
    lines = [f"{name}: in the reference and not in claims.yml" for name in old if name not in new]
    for name, now in new.items():
        if name not in old:
            lines.append(f"{name}: not in the reference")
            continue
        was = old[name]
        allowed = tolerance(was, now, len(new))
        if was["verdict"] != now["verdict"] and not _by_rounding(was, now, allowed):
            lines.append(f"{name}: {was['verdict']} before, {now['verdict']} now")
        if abs(was["effect"] - now["effect"]) > allowed + 1e-9:
            lines.append(f"{name}: effect {was['effect']:.3f} before, {now['effect']:.3f} now, tolerance {allowed:.3f}")
    return lines


def write_reference(profile: str, verdicts: Sequence[Verdict]) -> list[str]:
    """Make these verdicts the reference, and return what changed."""
    path, found = reference_file(profile), summary(verdicts)
    changes = differences(read_reference(profile), found) if path.exists() else [f"{name}: new" for name in found]
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "peft")}
    atomic_write(path, json.dumps({"profile": profile, "versions": versions, "claims": found}, indent=1) + "\n")
    return changes
