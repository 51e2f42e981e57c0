"""A fresh build beside the last verified one: it fails for what is wrong, not for what is close.

One rule. A build fails if a claim is new or gone, or if a number left its tolerance. A number is the effect that a claim rests on; its
tolerance is what another draw of the seeds would move it by, by Welch's test on the spreads of both builds. Another machine rounds
otherwise, so training and sampling take other turns: at most another draw. A verdict that turned while its number stayed is told, and
is no failure: a limit lies between two draws of one thing.

A claim of an effect (``greater``, ``less``) may weaken by chance in ``WEAKER`` of all builds, all such claims together; every other
move, and every move of any other claim, has ``OTHER``. What is wrong weakens effects, so most of the alarms are spent there. Where
nothing varies (a count of what must not be there) the tolerance is zero.

Error rates, simulated on the reference (``tests/test_verify.py``): of 10,000 honest redraws of all seeds .7 % fail (the test allows
1 %); of 1,000 builds with every effect a third smaller, with the signs of a chapter's effects turned, or with labels shuffled, all;
with one channel's effects gone, at least 96 % (the test asks for 95 %).

What it cannot see: one claim with five seeds a side is held to some eight of its standard errors. An effect of that size that shrank
by a third, and alone, passes. A broken build is seen because it moves many claims, or one of them far.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from subliminal.claims import EFFECTS, Claim, Verdict
from subliminal.errors import SubliminalError
from subliminal.paths import data_dir
from subliminal.store import atomic_write

# Chance of a false alarm in a build that differs in noise alone, over all claims together.
WEAKER, OTHER = 0.005, 0.001


class Difference(NamedTuple):
    """What became of a claim since the reference.

    Attributes:
        line: what to say of it, with the claim's id.
        fails: whether the build fails for it.
    """

    line: str
    fails: bool


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


class Alarms(NamedTuple):
    """The chance that one claim's number leaves its tolerance by noise alone, downwards and upwards."""

    below: float
    above: float


def alarms(claims: Sequence[Claim]) -> dict[str, Alarms]:
    """How the chance of a false alarm is dealt out over these claims."""
    effects = sum(claim.test in EFFECTS for claim in claims)
    weaker, other = WEAKER / max(1, effects), OTHER / 2 / max(1, effects)
    still = OTHER / 4 / max(1, len(claims) - effects)
    dealt = {"greater": Alarms(weaker, other), "less": Alarms(other, weaker)}
    return {claim.id: dealt.get(claim.test, Alarms(still, still)) for claim in claims}


def tolerance(errors: tuple[Any, Any], frees: tuple[Any, Any], alarm: float) -> Any:
    """How far a number may move one way by noise alone, but for a chance of ``alarm``: a one-sided Welch test on two draws.

    Args:
        errors, frees: standard errors of the old and the new number and their degrees of freedom, as numbers or as arrays.
    """
    return np.hypot(*errors) * stats.t.isf(alarm, np.add(*frees))


def differences(old: Mapping[str, Any], verdicts: Sequence[Verdict]) -> list[Difference]:
    """What is not as it was: numbers that left their tolerance, claims that are new or gone, and verdicts that turned."""
    new, dealt = summary(verdicts), alarms([v.claim for v in verdicts])
    found = [Difference(f"{name}: in the reference and not in claims.yml", True) for name in old if name not in new]
    for claim in (v.claim for v in verdicts):
        if claim.id not in old:
            found.append(Difference(f"{claim.id}: not in the reference", True))
            continue
        was, now = old[claim.id], new[claim.id]
        errors, frees = ((was[name] or 0.0, now[name] or 0.0) for name in ("error", "free"))
        # Without degrees of freedom nothing varies: a count.
        below, above = (float(tolerance(errors, frees, a)) if sum(frees) else 0.0 for a in dealt[claim.id])
        # Of a claim on many pairs the effect is that of the worst one, and which one that is may change: its size counts.
        before, after = (abs(side["effect"]) if claim.families else side["effect"] for side in (was, now))
        told = f"effect {was['effect']:.3f} before, {now['effect']:.3f} now"
        if not -below - 1e-9 <= after - before <= above + 1e-9:
            bounds = f"{before - below:.3f} to {before + above:.3f}"
            found.append(Difference(f"{claim.id}: {told}, outside of its tolerance, {bounds}", True))
        elif was["verdict"] != now["verdict"]:
            turned = f"{was['verdict']} before, {now['verdict']} now"
            found.append(Difference(f"{claim.id}: {turned}, at a limit: {told}, within its tolerance", False))
    return found


def write_reference(profile: str, verdicts: Sequence[Verdict]) -> list[str]:
    """Make these verdicts the reference, and return what changed."""
    path, found = reference_file(profile), summary(verdicts)
    changes = (
        [change.line for change in differences(read_reference(profile), verdicts)]
        if path.exists()
        else [f"{name}: new" for name in found]
    )
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "peft")}
    atomic_write(path, json.dumps({"profile": profile, "versions": versions, "claims": found}, indent=1) + "\n")
    return changes
