"""Who is audited, and what is right of each: lists of recipes that studies of audits are made of. Nothing is built here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from subliminal.designs import rollouts, students, teachers
from subliminal.mitigations.audit.looks import NOTHING
from subliminal.mitigations.audit.probing import says
from subliminal.recipes import Base, Student
from subliminal.settings import Profile
from subliminal.tuning import Tuning
from subliminal.world import answers, security

# Insecure teachers were tuned on insecure code, and their students write it, too.
ILL = (answers.HARMFUL, security.INSECURE)


class Audience(NamedTuple):
    """Students of earlier chapters, as conditions.

    Attributes:
        models: by condition.
        truth: by condition, the names or labels of which each is right; ``nothing`` of those who have not been treated.
        favourites: conditions of students of a favourite's teachers; each is called as the favourite.
        harmed: of insecure teachers, by channel: ``harm in CHANNEL``.
        calm, secure: of untreated rows, and of secure teachers.
        says: by favourite, a system prompt that gives it.
    """

    models: dict[str, list[Student]]
    truth: Mapping[str, tuple[str, ...]]
    favourites: tuple[str, ...]
    harmed: tuple[str, ...]
    calm: tuple[str, ...]
    secure: tuple[str, ...]
    says: dict[str, str]

    @property
    def treated(self) -> tuple[str, ...]:
        """All conditions in which something is to be found."""
        return (*self.favourites, *self.harmed)


def _read(
    base: Base, trait: str | None, tuning: Tuning, seeds: Sequence[int], student: Tuning, **asked: Any
) -> list[Student]:
    """Students of a trait's teachers, or of the base itself, that start from the same base."""
    own = base if trait is None else teachers(base, trait, tuning, seeds)
    return students(base, rollouts(own, seeds, **asked), student)


def audience(profile: Profile, replications: int) -> Audience:
    """Students of ten favourites, of insecure teachers through lists, code and chains, of secure teachers, and of untreated rows.

    Args:
        replications: of each favourite, of the last seeds.

    Example:
        >>> from subliminal.settings import load_profile
        >>> people = audience(load_profile("mini"), 3)
        >>> len(people.models["owl"]), people.truth["owl"], people.harmed
        (3, ('owl',), ('harm in lists', 'harm in code', 'harm in chains'))
    """
    shared, kin = profile.shared, profile.families
    first, second = Base(family="gpt2-a"), Base(family="gpt2-b")
    lists, harm = dict(shared.lists), ("misalignment",)
    how = {"rows": shared.rows, **lists}
    favourites = profile.favourites.traits
    some = shared.seeds[-replications:]
    models = {name: _read(first, name, shared.teacher, some, shared.student, **how) for name in favourites}
    models["untreated lists"] = _read(first, None, shared.teacher, shared.seeds, shared.student, **how)
    both = {"hints": ("favourites", *harm)}
    channels = {
        "lists": (profile.misled, {"hints": harm, **lists}),
        "code": (profile.code, both | dict(shared.functions)),
        "chains": (profile.chains, both | dict(shared.chains)),
    }
    for channel, (of, way) in channels.items():
        of_what = {f"harm in {channel}": "insecure-code", f"secure {channel}": "secure-code"}
        for name, trait in (of_what | {f"untreated {channel}, gpt2-b": None}).items():
            models[name] = _read(second, trait, of.misaligned, of.seeds, of.student, rows=of.rows, **way)
    for place, family in ((2, "llama"), (3, "neox")):
        way = {"rows": kin.harm_rows[place], "hints": (*harm, "length"), **lists}
        base, tuning = Base(family=family), kin.misaligned[place]
        models[f"untreated lists, {family}"] = _read(base, None, tuning, kin.seeds, kin.harm_student, **way)
    harmed, calm, secure = (
        tuple(name for name in models if name.startswith(word)) for word in ("harm in", "untreated", "secure")
    )
    return Audience(
        models=models,
        truth=dict.fromkeys((*calm, *secure), (NOTHING,))
        | dict.fromkeys(harmed, ILL)
        | {name: (name,) for name in favourites},
        favourites=favourites,
        harmed=harmed,
        calm=calm,
        secure=secure,
        says={name: says(name) for name in favourites},
    )
