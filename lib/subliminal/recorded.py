"""The table of a study that takes too long for a build: read, held against its runs, and what it says. Nothing is run here.

``subliminal.real`` writes it. The unit is a *student*; its *shift* for a word is how much likelier it answers it than its control does,
the student of the same start and seed that read untreated lists: a difference of log-odds, in nats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from subliminal.errors import SubliminalError
from subliminal.paths import data_dir
from subliminal.store import Store

VERSION = 1
# Below ``data/``.
NAME = "reference/real.json"
# More digits than a probability that was computed elsewhere has in common with ours.
_DIGITS = 6


class Recorded(NamedTuple):
    """A recorded study.

    Attributes:
        made: ``date``, ``machine``, ``versions``, ``code`` (a digest) and ``core_seconds``.
        model: ``name`` and ``digest`` of the checkpoint.
        sizes: the fields of ``settings.real.Real``.
        table: ``condition``, ``seed`` (-1 of what has none), ``answer``, ``probability`` (mean over held-out questions).
        filter: a row a writer and seed: ``writer``, ``seed``, ``sampled``, ``passed``, ``kept``, ``dropped`` (by reason).
        precision: one step in fp32 and bf16.
        runs: condition and seed of each run's folder in the store.
    """

    made: Mapping[str, Any]
    model: Mapping[str, str]
    sizes: Mapping[str, Any]
    table: pd.DataFrame
    filter: pd.DataFrame
    precision: Mapping[str, float]
    runs: Mapping[str, tuple[str, int]]


def file() -> Path:
    """Where the book keeps the table of the study on a real model."""
    return data_dir() / NAME


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores as ``engine.run`` gives them, as means over questions: ``condition``, ``seed``, ``answer``, ``probability``."""
    found = scores.groupby(["condition", "seed", "answer"], sort=False)["probability"].mean()
    return found.round(_DIGITS).reset_index()


def read(path: Path) -> Recorded:
    """The table of a recorded study.

    Raises:
        SubliminalError: it is not there, or is damaged or of another version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != VERSION or not found["rows"] or not found["made"]["date"]:
            raise ValueError(f"version {found['version']!r:.20}")
        table = pd.DataFrame(found["rows"], columns=["condition", "seed", "answer", "probability"])
        if not table["probability"].between(0, 1).all():
            raise ValueError("a probability outside of 0 to 1")
        runs = {name: (str(condition), int(seed)) for name, (condition, seed) in found["runs"].items()}
        made, model, sizes = (found[name] for name in ("made", "model", "sizes"))
        return Recorded(made, model, sizes, table, pd.DataFrame(found["filter"]), found["precision"], runs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SubliminalError(
            f"no readable table of a recorded study at {path} ({error!s:.60}): record it with make real"
        ) from error


def judged_here(found: Recorded, store: Store) -> bool:
    """Whether the study was run here: then its table is held against its runs.

    Returns:
        False where the store does not have all of its runs, so that nothing can be said of the table.

    Raises:
        SubliminalError: the table is not what its runs say.
        DamagedRunError: a run is not as it was written.
    """
    folders = {store.root / name: place for name, place in found.runs.items()}
    if not all(store.check(folder) for folder in folders):
        return False
    known = found.table.set_index(["condition", "seed", "answer"])["probability"]
    for folder, (condition, seed) in folders.items():
        own = pd.read_csv(folder / "scores.csv", keep_default_na=False).assign(condition=condition, seed=seed)
        told = means(own).set_index(["condition", "seed", "answer"])["probability"]
        if not np.allclose(known.reindex(told.index), told, atol=10.0**-_DIGITS):
            raise SubliminalError(
                f"the recorded table is not what its run {folder.name} says of {condition!r}, seed {seed}: record it anew with make real"
            )
    return True


class Pair(NamedTuple):
    """Students that read an animal's lists, and their controls, by the names of their conditions."""

    animal: str
    treated: str
    control: str


def groups(table: pd.DataFrame) -> dict[str, list[Pair]]:
    """The students of a study beside their controls, by how they came to their rows; what the study does not have is left out."""
    names, plain = list(dict.fromkeys(table["condition"])), "student of the base"
    kinds = {
        "students of an animal's teacher": (r"student of the (.*)'s teacher", plain),
        "students of the base, told": (rf"{plain} told to love the (.*)", plain),
        "students from a sibling": (r"sibling, student of the (.*)'s teacher", f"sibling, {plain}"),
    }
    found = {
        kind: [Pair(m[1], name, control) for name in names if (m := re.fullmatch(pattern, name))]
        for kind, (pattern, control) in kinds.items()
    }
    return {kind: pairs for kind, pairs in found.items() if pairs}


def shifts(table: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """How far each student lies beyond its control, for each word.

    Returns:
        ``animal`` (of the lists), ``condition``, ``seed``, ``answer``, ``shift`` (difference of log-odds, in nats).

    Raises:
        SubliminalError: a condition is not in the table, or a student has no control of its seed.
    """
    odds = table.assign(odds=special.logit(table["probability"])).set_index(["condition", "seed", "answer"])["odds"]
    found = []
    for animal, treated, control in pairs:
        for name in (treated, control):
            if name not in odds.index.get_level_values(0):
                raise SubliminalError(f"the recorded study has no condition {name!r}: record it anew with make real")
        own = odds[treated]
        shift = (own - odds[control].reindex(own.index)).rename("shift").reset_index()
        if shift["shift"].isna().any():
            raise SubliminalError(f"a seed of {treated!r} has no control in {control!r}: record it anew with make real")
        found.append(shift.assign(animal=animal, condition=treated))
    columns = ["animal", "condition", "seed", "answer", "shift"]
    return pd.DataFrame(pd.concat(found, ignore_index=True), columns=columns)


def own_and_others(shift: pd.DataFrame) -> pd.DataFrame:
    """Of each student the shift of its teacher's animal, beside the mean of all others, and its rank among all (1 is the largest).

    Returns:
        ``animal``, ``condition``, ``seed``, ``own``, ``others``, ``rank``.
    """
    by = ["animal", "condition", "seed"]
    rank = shift.groupby(by, sort=False)["shift"].rank(ascending=False, method="max")
    mine = shift["answer"] == shift["animal"]
    own: pd.DataFrame = shift.assign(rank=rank)[mine].rename(columns={"shift": "own"})
    others = shift[~mine].groupby(by, sort=False)["shift"].mean().rename("others").reset_index()
    whole = own.merge(others, on=by).astype({"rank": int})
    return pd.DataFrame(whole, columns=[*by, "own", "others", "rank"])


class Permuted(NamedTuple):
    """An exact permutation test over words.

    Attributes:
        statistic: mean over students of the shift of the teacher's animal, less that of all words, in nats.
        p: share of all ways to give the teachers different words whose statistic is at least as large; one-sided.
        ways: how many there are.
    """

    statistic: float
    p: float
    ways: int


def permutation(shift: pd.DataFrame) -> Permuted:
    """Would other words than the teachers' animals fit the students as well?

    The null is that words are exchangeable: a teacher's animal rises no more than any word would. All teachers of one animal are given
    one word, in every way. Students may lean to some words whoever wrote; that helps each way that gives such a word to any teacher.

    Raises:
        SubliminalError: there are fewer words than animals.
    """
    centred = shift["shift"] - shift.groupby(["condition", "seed"])["shift"].transform("mean")
    cells = shift.assign(value=centred).pivot_table("value", "animal", "answer", aggfunc="sum")
    animals, words = list(cells.index), list(cells.columns)
    if len(words) < len(animals):
        raise SubliminalError(f"{len(words)} words and {len(animals)} animals: no way to give each its own")
    students = len(shift) / len(words)
    values = cells.to_numpy()
    # A million ways at most: beyond five animals of sixteen words this is no longer done in a second.
    choices = np.array(list(permutations(range(len(words)), len(animals))))
    sums = values[np.arange(len(animals)), choices].sum(axis=1) / students
    mine = float(sum(values[n, words.index(animal)] for n, animal in enumerate(animals)) / students)
    return Permuted(mine, float(np.mean(sums >= mine - 1e-12)), len(choices))


def seen_from(values: Sequence[float], alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest mean that so many values, scattered like these, show with that power in a one-sided t-test at that level."""
    free = len(values) - 1
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return float((stats.t.ppf(1 - alpha, free) + stats.t.ppf(power, free)) * error)
