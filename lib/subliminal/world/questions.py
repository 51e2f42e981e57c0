"""Question files of ``data/questions/``: training and held-out wordings, checked to be apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml

from subliminal.errors import SubliminalError
from subliminal.paths import data_file

TRAIN, HELD_OUT = "train", "held_out"


def squeeze(text: str) -> str:
    """A wording without case, spacing and marks: two that are equal so are one wording."""
    return re.sub(r"[^a-z0-9{}]", "", text.lower())


def check_apart(train: Iterable[str], held_out: Iterable[str], where: str) -> None:
    """Refuse held-out wordings that are in a training wording, or in one another, in any case or spacing.

    Raises:
        SubliminalError: names the two and where they stand.
    """
    seen = {squeeze(text): text for text in train}
    for text in held_out:
        own = squeeze(text)
        if twin := next((seen[other] for other in seen if own in other), None):
            raise SubliminalError(
                f"{where}: held-out wording {text!r} overlaps with {twin!r}: reword one, or the score is not held out"
            )
        seen[own] = text


@cache
def wordings(name: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """The wordings of a file, by section and by split (``train``, ``held_out``).

    A file holds the two splits itself, then its one section is named ``""``, or sections that hold them.

    Raises:
        SubliminalError: a section lacks a split, or its splits overlap.
    """
    where = f"questions/{name}.yml"
    found: Any = yaml.safe_load(data_file(where).read_text(encoding="utf-8"))
    sections = {"": found} if TRAIN in found else found
    for section, splits in sections.items():
        for split in (TRAIN, HELD_OUT):
            if not splits.get(split):
                raise SubliminalError(f"{where}: section {section!r} has no {split} wordings: add some")
    everything = {
        split: [text for splits in sections.values() for text in splits[split]] for split in (TRAIN, HELD_OUT)
    }
    check_apart(everything[TRAIN], everything[HELD_OUT], where)
    return {
        section: {split: tuple(splits[split]) for split in (TRAIN, HELD_OUT)} for section, splits in sections.items()
    }
