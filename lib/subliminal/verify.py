"""A fresh build beside the last verified one: it fails for what is wrong, not for what is close.

One rule. A build fails if a claim is new or gone, or if a number left its tolerance. A number is the effect that a claim rests on; its
tolerance is what another draw of the seeds would move it by, by Welch's test on the spreads of both builds. Another machine rounds
otherwise, so training and sampling take other turns: at most another draw. A verdict that turned while its number stayed is told, and
is no failure: a limit lies between two draws of one thing.

A headline claim of an effect (``greater``, ``less``) may weaken by chance in ``WEAKER`` of all builds, all such claims together; every
other move of a headline claim has ``OTHER``, and all claims of chapters alone, which rest on much the same rows, ``CHAPTERS``. What is
wrong weakens effects, so most of the alarms are spent there. A base that answers a judge's questions has no seeds: the error of its
sampled share is known, and is added. Of a claim on many pairs each pair is a number. Where nothing varies (a count of what must not be
there) the tolerance is zero.

Error rates, simulated on the reference (``tests/test_verify.py``): of 10,000 honest redraws of all seeds .7 % fail (the test allows
1 %); of 1,000 builds with every effect a third smaller, with the signs of all effects of a chapter turned that has any in the
headline, or with labels shuffled, all;
with one channel's effects gone, at least 97 % (the test asks for 95 %).

What it cannot see: one claim with five seeds a side is held to some eight of its standard errors. An effect of that size that shrank
by a third, and alone, passes. A broken build is seen because it moves many claims, or one of them far.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from subliminal.claims import EFFECTS, Contrast
from subliminal.errors import SubliminalError
from subliminal.fingerprint import library_versions
from subliminal.paths import data_dir
from subliminal.store import atomic_write
from subliminal.verdicts import Measured, Verdict

# Chance of a false alarm in a build that differs in noise alone: of all headline effects that weaken, of all other moves of headline
# claims, and of all claims that count for their chapter alone.
WEAKER, OTHER, CHAPTERS = 0.005, 0.001, 0.001


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


def _named(contrast: Contrast) -> str:
    return " | ".join(f"{condition}: {', '.join(score)}" for condition, score in contrast.sides)


def _numbers(one: Measured, *names: str) -> dict[str, float | None]:
    return {name: _number(getattr(one, name)) for name in names}


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as plain values, by claim; of a claim on many contrasts also each of them."""
    found = {}
    for v in verdicts:
        told: dict[str, Any] = {"verdict": v.verdict, **_numbers(v.shown, "effect", "low", "high")}
        told |= {"p": _number(v.p), "corrected": _number(v.corrected), **_numbers(v.shown, "error", "free", "noise")}
        told["seeds"] = list(v.shown.seeds)
        # A chapter's own claims rest on much the same runs.
        if v.claim.headline:
            told["runs"] = list(v.runs)
        if len(v.contrasts) > 1:
            told["contrasts"] = {
                _named(one.contrast): _numbers(one, "effect", "error", "free", "noise") for one in v.contrasts
            }
        found[v.claim.id] = told
    return found


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
    """The chance that one number of a claim leaves its tolerance by noise alone, downwards and upwards."""

    below: float
    above: float


def alarms(verdicts: Sequence[Verdict]) -> dict[str, Alarms]:
    """How the chance of a false alarm is dealt out over the numbers of these claims."""
    effects, rest, chapters = (
        max(1, sum(len(v.contrasts) for v in verdicts if _kind(v) == kind)) for kind in ("effect", "rest", "chapter")
    )
    weaker, other, still = WEAKER / effects, OTHER / 2 / effects, OTHER / 4 / rest
    dealt = {"greater": Alarms(weaker, other), "less": Alarms(other, weaker)}
    own = Alarms(CHAPTERS / 2 / chapters, CHAPTERS / 2 / chapters)
    return {
        v.claim.id: own if _kind(v) == "chapter" else dealt.get(v.claim.test, Alarms(still, still)) for v in verdicts
    }


def _kind(found: Verdict) -> str:
    if not found.claim.headline:
        return "chapter"
    return "effect" if found.claim.test in EFFECTS else "rest"


def tolerance(errors: tuple[Any, Any], frees: tuple[Any, Any], alarm: float, noise: Any = 0.0) -> Any:
    """How far a number may move one way by noise alone, but for a chance of ``alarm``: a one-sided Welch test on two draws.

    Args:
        errors, frees: standard errors of the old and the new number over seeds and their degrees of freedom, as numbers or as arrays.
        noise: standard error of the difference by sampling, where a value has no seeds; it is known, and adds a normal part.
    """
    free = np.add(*frees)
    # Without degrees of freedom nothing varies over seeds.
    spread = np.where(free > 0, np.hypot(*errors) * stats.t.isf(alarm, np.where(free > 0, free, 1.0)), 0.0)
    return np.hypot(spread, noise * stats.norm.isf(alarm))


def differences(old: Mapping[str, Any], verdicts: Sequence[Verdict]) -> list[Difference]:
    """What is not as it was: numbers that left their tolerance, claims that are new or gone, and verdicts that turned."""
    new, dealt = summary(verdicts), alarms(verdicts)
    found = [Difference(f"{name}: in the reference and not in claims.yml", True) for name in old if name not in new]
    for name, now in new.items():
        if name not in old:
            found.append(Difference(f"{name}: not in the reference", True))
            continue
        was = old[name]
        before, after = (side.get("contrasts", {"": side}) for side in (was, now))
        if set(before) != set(after):
            found.append(Difference(f"{name}: compares other conditions than in the reference", True))
            continue
        left = [line for which in after if (line := _left(which, before[which], after[which], dealt[name]))]
        found += [Difference(f"{name}: {line}", True) for line in left]
        if not left and was["verdict"] != now["verdict"]:
            turned = f"{was['verdict']} before, {now['verdict']} now"
            told = f"effect {was['effect']:.3f} before, {now['effect']:.3f} now"
            found.append(Difference(f"{name}: {turned}, at a limit: {told}, within its tolerance", False))
    return found


def _left(which: str, was: Mapping[str, Any], now: Mapping[str, Any], dealt: Alarms) -> str:
    """Says so where a number left its tolerance."""
    errors, frees, noises = ((was.get(key) or 0.0, now.get(key) or 0.0) for key in ("error", "free", "noise"))
    below, above = (float(tolerance(errors, frees, alarm, math.hypot(*noises))) for alarm in dealt)
    before, after = was["effect"], now["effect"]
    if -below - 1e-6 <= after - before <= above + 1e-6:
        return ""
    where = f"{which}: " if which else ""
    bounds = f"{before - below:.3f} to {before + above:.3f}"
    return f"{where}effect {before:.3f} before, {after:.3f} now, outside of its tolerance, {bounds}"


def write_reference(profile: str, verdicts: Sequence[Verdict]) -> list[str]:
    """Make these verdicts the reference, and return what changed."""
    path, found = reference_file(profile), summary(verdicts)
    changes = [f"{name}: new" for name in found]
    if path.exists():
        changes = [change.line for change in differences(read_reference(profile), verdicts)]
    told = {"profile": profile, "versions": library_versions(), "claims": found}
    atomic_write(path, json.dumps(told, indent=1) + "\n")
    return changes
