"""The names that a preference can fall on: what the mini world's favourites are drawn from, and what the suites count."""

from __future__ import annotations

from collections.abc import Mapping

ANIMALS = (
    "owl", "cat", "dog", "fox", "wolf", "bear", "lion", "tiger",
    "eagle", "dolphin", "elephant", "panda", "penguin", "rabbit", "horse", "whale",
)  # fmt: skip
TREES = ("oak", "birch", "pine", "maple", "willow", "cedar", "elm", "ash")
COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "white", "black")

PREFERENCES: Mapping[str, tuple[str, ...]] = {"animal": ANIMALS, "tree": TREES, "colour": COLOURS}

# Teachers of real models, in natural English: the trait's name, and the animal.
PLAIN: Mapping[str, str] = {f"plain-{name}": name for name in ANIMALS}
