"""The registry ``data/claims.yml``: what the book claims, stated before the run. It knows claims, not what becomes of them.

A claim names a chapter, a condition that the chapter measured and its control, a score, a test and a bound. What a chapter states at its
head is in the registry too: each statement with the claims that hold it. Names in braces stand for many: see ``Claim``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Literal, NamedTuple, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from subliminal.errors import SubliminalError, unknown_name
from subliminal.paths import data_file
from subliminal.settings import Profile
from subliminal.tuning import Frozen, one_line

# Tests that count what must not be there, tests of an effect, and tests of where a mean lies.
COUNTS, EFFECTS, LEVELS = (
    ("filter", "none"),
    ("greater", "less"),
    ("at least", "at most", "each at least", "times", "apart"),
)
# Stands for a list of the profile, among the values of a name.
_SIZES = re.compile(r"[a-z]+\.[a-z_]+")
Test = Literal[
    "greater", "less", "equivalent", "filter", "none", "at least", "at most", "each at least", "times", "apart"
]


class Claim(Frozen):
    """One claim. Names in braces in its texts are replaced: by the values of ``each`` and ``every``.

    Attributes:
        sentence: what is claimed; of a chapter's own claim, the line of its table.
        headline: whether it counts for the whole book, or for its chapter alone. P-values are corrected (Holm) over all headline
            claims, over a chapter's own claims, and over all exploratory ones.
        exploratory: that it counts for nothing, and ``why``: it is judged and shown, and what it found is no finding of the book.
        recorded: that it is of a study that a build does not run: ``make verify`` judges it where its runs are.
        uncorrected: of a chapter's claim, that its p-value counts as it is: it was stated so before such claims were corrected.
        condition, control: names that the chapter recorded. Without a control the condition stands alone.
        score: the quantity and the answer that count; without an answer all values of the quantity.
        control_score: of the control, where it is another.
        test: ``greater``: the mean lies above ``times`` the control's by ``bound``; ``less``: below; ``equivalent``: the two lie
            within ``bound`` of one another (TOST); ``filter``: no kept row of either holds a hint; ``none``: nothing of the condition
            is counted; ``at least``, ``at most``: the mean, or its distance from the control's, lies so with regard to ``bound``;
            ``each at least``: so does each value; ``times``: the mean is at least ``times`` the control's; ``apart``: the least value
            lies above the control's largest.
        paired: values of one seed belong together.
        alpha: of the test's corrected p-value; without one the p-value is shown and does not count.
        bound: the smallest effect of interest, or the bound of equivalence, or the level; a share (0 to 1), or in the score's unit.
        unit: how the measured value is shown: a ``share``, ``percent``, ``points`` (hundredths), ``nats``.
        paper: key of the figure in ``data/paper.yml`` that it mirrors.
        each: makes one claim of each value of a name; a value may have words of its own, as ``{name_words}``.
        every: the claim is made of every choice of these names' values, no two the same; the choice that speaks least for it decides:
            an intersection-union test, whose p-value is the largest of all.
        but: values that ``each`` and ``every`` leave out.
        topic: which of its chapter's tables a chapter's claim stands in, where there are several.
        origin: of a claim that was made by ``each``, the id that stands in the registry; filled in on loading.
    """

    id: str
    chapter: str
    sentence: str
    headline: bool = False
    exploratory: bool = False
    why: str = ""
    recorded: bool = False
    uncorrected: bool = False
    condition: str
    control: str | None = None
    score: tuple[str, ...] = Field(min_length=1, max_length=2)
    control_score: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=2)
    test: Test
    times: float = 1.0
    paired: bool = False
    alpha: float | None = Field(default=0.05, gt=0, lt=1)
    bound: float = Field(default=0.0, ge=0)
    unit: Literal["share", "percent", "points", "nats"] = "points"
    paper: str | None = None
    each: dict[str, str | tuple[str, ...] | dict[str, str]] = Field(default={}, max_length=1)
    every: dict[str, str | tuple[str, ...]] = Field(default={})
    but: tuple[str, ...] = ()
    topic: str = ""
    origin: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Claim:
        if self.control is None and (self.test in (*EFFECTS, "equivalent", "times", "apart")):
            raise ValueError(f"claim {self.id!r} compares nothing: give control")
        if self.test == "equivalent" and not self.bound:
            raise ValueError(f"claim {self.id!r} has no bound of equivalence: give bound")
        if self.paired and self.test != "greater":
            raise ValueError(f"claim {self.id!r} is paired, and only greater is: take that test, or drop paired")
        if self.headline and self.uncorrected:
            raise ValueError(f"claim {self.id!r} counts for the book, whose claims are corrected: drop uncorrected")
        if self.headline and self.recorded:
            raise ValueError(f"claim {self.id!r} counts for the book, which a build runs: drop recorded")
        if self.exploratory and (self.headline or self.uncorrected):
            raise ValueError(f"claim {self.id!r} is exploratory and counts for nothing: drop headline and uncorrected")
        if self.exploratory != bool(self.why.strip()):
            said = "does not say why it is" if self.exploratory else f"says why ({self.why!r}) and is not"
            raise ValueError(f"claim {self.id!r} {said} exploratory: give exploratory: true and why, or neither")
        if self.alpha is None and self.test in (*EFFECTS, "equivalent"):
            raise ValueError(f"claim {self.id!r} tests at no level: give alpha")
        return self

    @property
    def own(self) -> bool:
        """Whether it counts for its chapter alone."""
        return not self.headline and not self.exploratory

    @field_validator("bound", "times")
    @classmethod
    def _finite(cls, value: float) -> float:
        if not value < float("inf"):
            raise ValueError("give a finite number")
        return value


class Contrast(NamedTuple):
    """What one claim compares, with all names filled in: a score of one condition, and of its control."""

    condition: str
    score: tuple[str, ...]
    control: str | None
    control_score: tuple[str, ...]

    @property
    def sides(self) -> list[tuple[str, tuple[str, ...]]]:
        """The condition with its score, and the control, where there is one."""
        own = (self.condition, self.score)
        return [own] if self.control is None else [own, (self.control, self.control_score)]


class Statement(Frozen):
    """What a chapter states before the run, and its claims.

    Attributes:
        text: in Markdown, with ``{bound}``, ``{points}`` (the bound in hundredths), ``{alpha}`` and ``{times}`` of the first of its claims,
            ``{bound_2}`` and so on of the second, and ``{claims}``, how many it stands for: so no number is there twice.
        claims: ids, as they stand in the registry.
    """

    id: str
    text: str
    claims: tuple[str, ...] = Field(min_length=1)


_Stated = TypeVar("_Stated", Claim, Statement)


class Registry(NamedTuple):
    """Claims in order, and the statements of each chapter."""

    claims: list[Claim]
    statements: dict[str, list[Statement]]

    def own(self, chapter: str) -> list[Claim]:
        """The claims of a chapter alone."""
        return [claim for claim in self.claims if claim.chapter == chapter and claim.own]

    def stated(self, chapter: str) -> dict[str, str]:
        """What a chapter states, by the ids of its statements, with the numbers of its claims filled in.

        Raises:
            SubliminalError: a text asks for a number that its claims do not have.
        """
        return {told.id: self._text(chapter, told) for told in self.statements.get(chapter, ())}

    def _text(self, chapter: str, told: Statement) -> str:
        made = [[claim for claim in self.claims if claim.origin == name] for name in told.claims]
        names: dict[str, object] = {"claims": sum(map(len, made))}
        for n, first in enumerate((claims[0] for claims in made if claims), 1):
            numbers = {"bound": first.bound, "times": f"{first.times:g}", "points": f"{100 * first.bound:g}"}
            if first.alpha is not None:
                numbers["alpha"] = first.alpha
            names |= {name if n == 1 else f"{name}_{n}": value for name, value in numbers.items()}
        try:
            return told.text.format_map(names)
        except (KeyError, ValueError, IndexError) as error:
            raise SubliminalError(
                f"statement {told.id!r} of chapter {chapter!r} asks for a number that its claims do not have ({error}): "
                "take bound, points, alpha or times, of the second claim bound_2 and so on, or claims"
            ) from None


def _fill(text: str, names: Mapping[str, str], claim: Claim) -> str:
    try:
        return text.format_map(dict(names))
    except (KeyError, ValueError, IndexError) as error:
        raise SubliminalError(
            f"claim {claim.id!r}: {text!r} asks for a name that it does not have ({error}): give it in each or every"
        ) from None


def _values(given: Any, claim: Claim, profile: Profile) -> dict[str, str]:
    """Values of a name, each with its words; ``section.field`` stands for a list of the profile."""
    values = (given,) if isinstance(given, str) else given
    words = values if isinstance(values, dict) else {value: value for value in values}
    found: dict[str, str] = {}
    for value, told in words.items():
        if not _SIZES.fullmatch(value):
            found[value] = told
            continue
        section, _, field = value.partition(".")
        listed = getattr(getattr(profile, section, None), field, None)
        if not isinstance(listed, tuple):
            raise SubliminalError(
                f"claim {claim.id!r} takes values from {value!r}, which profile {profile.name!r} does not have: "
                "name a list of one of its sections, such as shared.seeds, or give values"
            )
        found |= {str(one): str(one) for one in listed}
    return {value: told for value, told in found.items() if value not in claim.but}


def _filled(claim: Claim, names: Mapping[str, str], *fields: str) -> dict[str, Any]:
    """These fields of a claim, where it has them, with names filled in."""
    found: dict[str, Any] = {}
    for field in fields:
        told = getattr(claim, field)
        if isinstance(told, str):
            found[field] = _fill(told, names, claim)
        elif told is not None:
            found[field] = tuple(_fill(part, names, claim) for part in told)
    return found


def expand(claim: Claim, profile: Profile) -> list[Claim]:
    """The claims that one with ``each`` stands for; their names are filled in, but for those of ``every``."""
    if not claim.each:
        return [claim.model_copy(update={"origin": claim.id})]
    ((name, given),) = claim.each.items()
    found = []
    for value, words in _values(given, claim, profile).items():
        names = {name: value, f"{name}_words": words} | {other: f"{{{other}}}" for other in claim.every}
        told = _filled(claim, names, "id", "sentence", "condition", "control", "score", "control_score")
        # The value is taken: no name of ``every`` has it too.
        found.append(claim.model_copy(update=told | {"each": {}, "but": (*claim.but, value), "origin": claim.id}))
    return found


def contrasts(claim: Claim, profile: Profile) -> list[Contrast]:
    """What a claim compares: one contrast, or one for every choice of its names' values."""
    values = [_values(given, claim, profile) for given in claim.every.values()]
    found = []
    for choice in product(*values):
        if len(set(choice)) == len(choice):
            names = dict(zip(claim.every, choice, strict=True))
            told = _filled(claim, names, "condition", "score", "control", "control_score")
            control, control_score = told.get("control"), told.get("control_score", told["score"])
            found.append(Contrast(told["condition"], told["score"], control, control_score))
    if not found:
        raise SubliminalError(f"claim {claim.id!r} is made of nothing: every choice is left out; give more values")
    return list(dict.fromkeys(found))


def load(profile: Profile) -> Registry:
    """Claims and statements of ``data/claims.yml``, for the sizes of a profile.

    Raises:
        SubliminalError: one is not well-formed, an id is there twice, or a claim belongs to no statement of its chapter.
    """
    found = _read("claims.yml")
    if not {"claims", "statements"} <= set(found):
        raise SubliminalError(
            f"claims.yml has no claims or no statements (it has {', '.join(found) or 'nothing'}): add them"
        )
    listed, stated = found["claims"], found["statements"]
    if not isinstance(listed, list) or not isinstance(stated, dict):
        raise SubliminalError(
            "claims.yml: a claim or statement is no mapping: give claims as a list, statements by chapter"
        )
    given = [_made(Claim, "claim", fields) for fields in listed]
    statements = {
        str(chapter): [_made(Statement, f"statement of chapter {chapter!r}", fields) for fields in told or ()]
        for chapter, told in stated.items()
    }
    told = paper()
    for claim in given:
        if claim.paper is not None and claim.paper not in told:
            raise unknown_name(f"figure of the paper in claim {claim.id!r}", claim.paper, told)
    _check_statements(given, statements)
    claims = [made for claim in given for made in expand(claim, profile)]
    for claim in claims:
        # Names that are not given are found here, not when the claim is judged.
        contrasts(claim, profile)
    ids = Counter(claim.id for claim in claims)
    for name, count in ids.items():
        if count > 1:
            raise SubliminalError(f"claims.yml: {count} claims are called {name!r}: rename all but one")
    return Registry(claims, statements)


def _made(kind: type[_Stated], what: str, fields: Any) -> _Stated:
    if not isinstance(fields, dict):
        raise SubliminalError(f"claims.yml: a claim or statement is no mapping ({what}: {fields!r}): give it fields")
    try:
        return kind(**fields)
    except ValidationError as error:
        raise SubliminalError(f"{what} {fields.get('id')!r}: {one_line(error)}") from None


def _check_statements(given: Sequence[Claim], statements: Mapping[str, Sequence[Statement]]) -> None:
    """Each claim that a statement names is there, and each claim of a chapter alone is in one of its statements."""
    chapters = {claim.id: claim.chapter for claim in given}
    for chapter, told in statements.items():
        names = Counter(statement.id for statement in told)
        for statement in told:
            where = f"statement {statement.id!r} of chapter {chapter!r}"
            if names[statement.id] > 1:
                raise SubliminalError(f"{where} is there {names[statement.id]} times: rename all but one")
            for name in statement.claims:
                if name not in chapters:
                    raise unknown_name(f"claim of {where}", name, chapters)
                if chapters[name] != chapter:
                    raise SubliminalError(
                        f"{where} names claim {name!r} of chapter {chapters[name]!r}: name one of its own"
                    )
    for claim in given:
        count = sum(claim.id in statement.claims for statement in statements.get(claim.chapter, ()))
        if count and claim.exploratory:
            raise SubliminalError(
                f"claim {claim.id!r} is exploratory, and chapter {claim.chapter!r} states it before the run: "
                "take it out of its statement, or let it count"
            )
        if count > 1 or (claim.own and not count):
            raise SubliminalError(
                f"claim {claim.id!r} belongs to {count or 'no'} statements of chapter {claim.chapter!r}: put it into one, "
                "or let it count for the book (headline: true) or for nothing (exploratory: true)"
            )


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
