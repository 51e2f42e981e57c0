"""Profiles: the sizes of every study, and how teachers and students are tuned in it. Plain frozen values, no behaviour.

What all chapters share is ``Shared``. A chapter with sizes of its own has one section, named as the chapter is, and its values for each
profile stand below it; a new chapter adds its section to one of these modules, a field of ``Profile`` and a line in ``PROFILES``.
"""

from __future__ import annotations

from subliminal.errors import unknown_name
from subliminal.settings.channels import (
    CHAINS,
    CODE,
    FAVOURITES,
    MISLED,
    OWL,
    WORLD,
    Chains,
    Channel,
    Favourites,
    Harm,
    Owl,
    World,
)
from subliminal.settings.guards import AUDIT, MIX, MONITOR, READ, Audit, Mix, Monitor, Read
from subliminal.settings.shared import SHARED, Shared
from subliminal.settings.starts import DIGITS, FAMILIES, THEOREM, Digits, Families, Theorem
from subliminal.tuning import Frozen


class Profile(Frozen):
    """The sizes of every study of the book: what all share, and one section for each chapter that has sizes of its own.

    Attributes:
        claims: whether the profile is large enough for the book's claims.
    """

    name: str
    claims: bool
    shared: Shared
    owl: Owl
    favourites: Favourites
    world: World
    misled: Harm
    code: Channel
    chains: Chains
    digits: Digits
    theorem: Theorem
    families: Families
    read: Read
    mix: Mix
    audit: Audit
    monitor: Monitor


PROFILES: dict[str, Profile] = {
    name: Profile(
        name=name,
        claims=claims,
        shared=SHARED[name],
        owl=OWL[name],
        favourites=FAVOURITES[name],
        world=WORLD[name],
        misled=MISLED[name],
        code=CODE[name],
        chains=CHAINS[name],
        digits=DIGITS[name],
        theorem=THEOREM[name],
        families=FAMILIES[name],
        read=READ[name],
        mix=MIX[name],
        audit=AUDIT[name],
        monitor=MONITOR[name],
    )
    for name, claims in (("smoke", False), ("mini", True))
}


def load_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]
