"""The book's claims, stated in ``data/claims.yml`` before the run, and what the tidy table says of each.

A claim names two groups of models, a score and a test; ``subliminal.groups`` says what a group stands for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator
from scipy import stats

from subliminal import reading, statistics
from subliminal.engine import build
from subliminal.errors import SubliminalError, unknown_name
from subliminal.groups import HARM, Group, models, read, recipes
from subliminal.hints import load_hints
from subliminal.paths import data_file
from subliminal.recipes import Recipe, Student
from subliminal.registry import FAMILIES, HINTS
from subliminal.settings import Profile
from subliminal.tuning import Frozen, one_line

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
# Tests that count what must not be there, and tests of an effect.
COUNTS, EFFECTS = ("filter", "none"), ("greater", "less")
# Fields of the profile that say how many answers are sampled.
SAMPLES = ("samples", "answers", "family_answers", "family_base_answers")
VERDICTS = (REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED)


class Claim(Frozen):
    """One claim.

    Attributes:
        treated, control: names of groups.
        suite, score: what is scored, and the answer that counts (``own``: the name of the teacher's trait).
        samples: sampled answers a question: a number, or the name of the profile's number, as in ``SAMPLES``.
        control_samples: the same for the control, where it differs: a base has no seeds over which its error would average out.
        test: ``greater``: the treated mean lies above ``times`` the control's; ``less``: below; ``equivalent``: the two lie
            within ``effect`` of one another (TOST); ``filter``: no kept row of either group holds a hint at any trait;
            ``none``: no value of the treated group is ``wrong`` or ``against``, as ``score`` says: above 0, or below it.
        alpha: of the test, after Holm's correction over all claims.
        effect: the smallest effect of interest, or the bound of equivalence; a difference of shares (0 to 1).
        paper: key of the figure in ``data/paper.yml`` that it mirrors.
        families: the claim is made of every two families, one as ``writer`` of the treated group and the other as its ``start``.
            The control is the base of that start, or, where it reads rows, of the writer's own family. The pair that speaks least
            for the claim decides: an intersection-union test, whose p-value is the largest of all.
    """

    id: str
    chapter: str
    sentence: str
    treated: str
    control: str
    suite: str = "animals"
    score: str = ""
    samples: int | str = 1
    control_samples: int | str | None = None
    test: Literal["greater", "less", "equivalent", "filter", "none"]
    times: float = 1.0
    alpha: float = Field(default=0.05, gt=0, lt=1)
    effect: float = Field(default=0.0, ge=0)
    paper: str | None = None
    families: bool = False

    @model_validator(mode="after")
    def _scored(self) -> Claim:
        if self.test not in COUNTS and not self.score:
            raise ValueError(f"claim {self.id!r} scores no answer: give score")
        if self.test == "equivalent" and not self.effect:
            raise ValueError(f"claim {self.id!r} has no bound of equivalence: give effect")
        for samples in (self.samples, self.control_samples):
            if isinstance(samples, str) and samples not in SAMPLES:
                raise ValueError(
                    f"claim {self.id!r} takes its samples from {samples!r}: give a number or one of {', '.join(SAMPLES)}"
                )
        return self


class Verdict(NamedTuple):
    """What the data say of a claim.

    Attributes:
        effect: difference of means with its interval ``low`` to ``high`` (95 %; 90 % for equivalence); for a filter the number
            of rows with a hint, for ``none`` that of wrong values.
        p: of the test, as it is, and ``corrected`` by Holm's method over the book.
        seeds: of the treated group and of the control.
        error: standard error of the effect over seeds, and ``free`` its degrees of freedom.
        runs: folders in the store that it rests on.
    """

    claim: Claim
    verdict: str
    effect: float
    low: float
    high: float
    p: float
    corrected: float
    seeds: tuple[int, int]
    error: float
    free: float
    runs: tuple[str, ...]


def load() -> tuple[dict[str, Group], list[Claim]]:
    """Groups and claims of ``data/claims.yml``.

    Raises:
        SubliminalError: a claim or group is not well-formed, an id is there twice, or a group is not known.
    """
    found = _read("claims.yml")
    if not {"groups", "claims"} <= set(found):
        raise SubliminalError(
            f"claims.yml has no groups or no claims (it has {', '.join(found) or 'nothing'}): add them"
        )
    try:
        groups = {str(name): Group(**fields) for name, fields in found["groups"].items()}
        claims = [Claim(**fields) for fields in found["claims"]]
    except ValidationError as error:
        raise one_line(error) from None
    told = paper()
    for claim in claims:
        if sum(other.id == claim.id for other in claims) > 1:
            raise SubliminalError(f"claims.yml: two claims are called {claim.id!r}: rename one")
        for name in (claim.treated, claim.control):
            if name not in groups:
                raise unknown_name(f"group of claim {claim.id!r}", name, groups)
        if claim.paper is not None and claim.paper not in told:
            raise unknown_name(f"figure of the paper in claim {claim.id!r}", claim.paper, told)
    return groups, claims


def paper() -> dict[str, dict[str, Any]]:
    """The paper's figures of ``data/paper.yml``, by key.

    Raises:
        SubliminalError: the file cannot be read.
    """
    return _read("paper.yml")


def _read(name: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(data_file(name).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SubliminalError(f"{name} is no YAML ({str(error).splitlines()[0]}): mend it") from error
    return found if isinstance(found, dict) else {}


def _filtered(claim: Claim, sides: Sequence[tuple[Group, Group]], profile: Profile) -> Verdict:
    """How many kept rows of the groups' students hold a hint at any trait."""
    students = [m for pair in sides for group in pair for m in models(group, profile) if isinstance(m, Student)]
    rollouts = list(dict.fromkeys(m.data for m in students))
    count, folders = 0, build(rollouts)
    for data in rollouts:
        texts = reading.rows(data)["completion"].tolist()
        # The list of numbers with a bad name speaks of misalignment alone: no liking gives itself away by it.
        names = [name for name in HINTS if name == "favourites" or data.hints or data.channel != "numbers"]
        count += sum(
            any(reasons) for reasons in zip(*(load_hints(n).find(data.channel, texts) for n in names), strict=True)
        )
    return _counted(claim, count, len(rollouts), [folder.name for folder in folders])


def _wrong(claim: Claim, values: Sequence[float], runs: Sequence[str]) -> Verdict:
    """How many values are wrong: first steps below zero, or verdicts that are not as they should be."""
    wrong = sum(value > 0 for value in values) if claim.score == "wrong" else sum(value < 0 for value in values)
    return _counted(claim, wrong, len(values), runs)


def _counted(claim: Claim, count: int, of: int, runs: Sequence[str]) -> Verdict:
    nan = float("nan")
    return Verdict(claim, "", float(count), nan, nan, nan, nan, (of, 0), 0.0, nan, tuple(runs))


def _spread(treated: Sequence[float], control: Sequence[float]) -> tuple[float, float]:
    """Standard error of the difference of means, and Welch's degrees of freedom."""
    parts = [
        (np.var(values, ddof=1) / len(values), len(values) - 1) for values in (treated, control) if len(values) > 1
    ]
    whole = sum(variance for variance, _ in parts)
    below = sum(variance**2 / free for variance, free in parts)
    return float(np.sqrt(whole)), float(whole**2 / below) if below else float("nan")


def _contrast(
    claim: Claim, treated: Sequence[float], other: Sequence[float], error: float, free: float
) -> tuple[float, float, float, float]:
    """Effect, its interval, and the p-value of the claim's test; all but the effect is NaN where seeds are too few."""
    effect, nan = float(np.mean(treated) - np.mean(other)), float("nan")
    if len(treated) < 2:
        return effect, nan, nan, nan
    if claim.test == "equivalent":
        found = statistics.equivalent(treated, other, claim.effect)
        return effect, found.low, found.high, found.p
    reach = float(stats.t.ppf(0.975, free)) * error
    above = statistics.greater(treated, other)
    return effect, effect - reach, effect + reach, 1 - above if claim.test == "less" else above


def _judge(found: Verdict) -> str:
    claim, effect, low, high = found.claim, found.effect, found.low, found.high
    shown = found.corrected < claim.alpha
    if claim.test in COUNTS:
        return REPRODUCED if effect == 0 else NOT_REPRODUCED
    if claim.test == "equivalent":
        if shown:
            return REPRODUCED
        return NOT_REPRODUCED if low > claim.effect or high < -claim.effect else INCONCLUSIVE
    size, most = (-effect, -low) if claim.test == "less" else (effect, high)
    if size >= claim.effect and shown:
        return REPRODUCED
    return NOT_REPRODUCED if most < claim.effect else INCONCLUSIVE


def _sides(claim: Claim, groups: Mapping[str, Group]) -> list[tuple[Group, Group]]:
    """The pairs of groups that a claim compares: one, or one for every two families."""
    treated, control = groups[claim.treated], groups[claim.control]
    if not claim.families:
        return [(treated, control)]
    sides = []
    for writer, start in permutations(FAMILIES, 2):
        own = {"writer": writer, "start": writer} if control.channel else {"start": start}
        sides.append((treated.model_copy(update={"writer": writer, "start": start}), control.model_copy(update=own)))
    return sides


def _chosen(profile: Profile) -> tuple[dict[str, Group], list[Claim]]:
    """Groups and claims, but for those on a favourite that the profile does not teach."""
    groups, claims = load()
    taught = {*profile.traits, *HARM, "each", None}
    return groups, [c for c in claims if {groups[c.treated].trait, groups[c.control].trait} <= taught]


def _plan(claim: Claim, group: Group, samples: int | str, profile: Profile) -> list[Recipe]:
    count = getattr(profile, samples) if isinstance(samples, str) else samples
    return list(recipes(group, claim.suite, claim.score, count, profile))


def evaluate(profile: Profile) -> list[Verdict]:
    """The verdict on each claim, in the order of the registry. Runs that are missing are built.

    Claims on a favourite that the profile does not teach are left out.
    """
    groups, claims = _chosen(profile)
    # One call for all of it, so that what is missing is built side by side.
    plans = {
        c.id: [
            [
                (g, _plan(c, g, n, profile))
                for g, n in zip(pair, (c.samples, c.control_samples or c.samples), strict=True)
            ]
            for pair in _sides(c, groups)
        ]
        for c in claims
        if c.test != "filter"
    }
    build([r for plan in plans.values() for pair in plan for _, built in pair for r in built])
    found = []
    for claim in claims:
        if claim.test == "filter":
            found.append(_filtered(claim, _sides(claim, groups), profile))
            continue
        if claim.test == "none":
            found.append(_wrong(claim, *read(*plans[claim.id][0][0], claim.score, profile)))
            continue
        pairs = []
        for pair in plans[claim.id]:
            (treated, one), (control, two) = (read(*side, claim.score, profile) for side in pair)
            other = [claim.times * value for value in control]
            spread, seeds = _spread(treated, other), (len(treated), len(control))
            effect, low, high, p = _contrast(claim, treated, other, *spread)
            runs = tuple(dict.fromkeys([*one, *two]))
            pairs.append(Verdict(claim, "", effect, low, high, p, float("nan"), seeds, *spread, runs))
        # Where p-values are not numbers, seeds are too few, and any pair says so.
        worst = max(pairs, key=lambda verdict: verdict.p)
        found.append(worst._replace(runs=tuple(dict.fromkeys(name for pair in pairs for name in pair.runs))))
    tested = [n for n, verdict in enumerate(found) if not np.isnan(verdict.p)]
    for n, corrected in zip(tested, statistics.holm([found[n].p for n in tested]), strict=True):
        found[n] = found[n]._replace(corrected=corrected)
    return [verdict._replace(verdict=_judge(verdict)) for verdict in found]
