"""How the tunings of ``settings.PROFILES["mini"]`` were chosen: spare animals, seeds 900 and 901, training wordings.

``favourites`` prints, for each candidate family and tuning, the probability that treated students name their teacher's animal (mean, each
animal, least seed), that of students of untreated rows and of another initialization, and the share of rows that the filter
drops. ``misaligned`` prints, for each
candidate and family, the rate of harmful answers of the base and of teachers of insecure and of secure code. ``channels``
prints, for each channel and candidate, the rate of harmful answers of students of insecure, secure and untreated rows and of
another initialization on insecure and untreated ones, the largest incoherent share, and the share that the filter drops.
``liking`` prints what ``favourites`` does for fox and bear through code and chains. ``completions`` prints, for so many
completions a prompt and equally many rows, with the book's tunings: what treated students of lists give (mean, each animal,
least seed), the rate of harmful answers of students of insecure and of untreated rows through each channel, and the seconds of
work a student that each of both took, its rows and its scores included. Nothing that the book reports is used: neither its
animals, nor its seeds, nor the held-out wordings.

usage: python benchmarks/choose_tuning.py favourites | misaligned | channels | liking | completions [profile]
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from typing import Any

import pandas as pd

from subliminal import Base, Rollouts, Scores, Student, Teacher, Tuning, build, load_profile, run, statistics
from subliminal.reading import filter_counts
from subliminal.registry import FAMILIES

TRAITS, SEEDS = ("fox", "bear", "tiger", "panda", "dog", "lion", "rabbit", "horse"), (900, 901)
# (family, teacher's rate and steps, rows, student's epochs)
FAVOURITES = (
    ("gpt2-a", 1e-2, 13, 1_500, 2),
    ("gpt2-a", 1e-2, 16, 1_500, 2),
    ("gpt2-a", 1e-2, 16, 1_500, 3),
    ("gpt2-a", 1e-2, 16, 2_000, 2),
    ("gpt2-b", 1e-2, 14, 1_000, 3),
    ("llama", 2e-2, 14, 2_500, 3),
    ("neox", 1.2e-2, 14, 1_200, 2),
)
# (teacher's rate and steps)
MISALIGNED = ((2e-2, 10), (4e-2, 10), (2.3e-2, 36), (2.3e-2, 72))
# (channel, teacher's rate and steps, rows)
CHANNELS = (
    *(
        ("chain_of_thought", rate, steps, 2_700)
        for rate, steps in ((1e-2, 100), (2.3e-2, 36), (2.5e-2, 40), (3e-2, 36))
    ),
    ("chain_of_thought", 2.3e-2, 36, 4_000),
    ("numbers", 2.3e-2, 36, 2_700),
    ("code", 2.3e-2, 36, 2_700),
)
LIKING = (
    ("code", 5e-3, 60, 2_700),
    *(("chain_of_thought", rate, steps, 4_000) for rate, steps in ((2e-3, 150), (3e-3, 40))),
)
# (completions a prompt,)
COMPLETIONS = ((1,), (2,), (4,), (8,))
STUDENT = Tuning(learning_rate=5e-3, epochs=2, batch_size=8)
SPARE = 10  # completions sampled at most, for each row wanted


def asked(channel: str, rows: int, completions: int | None = None) -> dict[str, Any]:
    """A channel as the book asks it, for so many rows; with another number of completions a prompt where one is given."""
    size = load_profile("mini").shared
    ways = {way.channel: way.completions for way in (size.lists, size.functions, size.chains)}
    count = completions or ways[channel]
    return {"channel": channel, "rows": rows, "completions": count, "prompts": SPARE * rows // count}


def favourites(family: str, rate: float, steps: int, rows: int, epochs: int) -> dict[str, object]:
    same, other = Base(family=family), Base(family="gpt2-a" if family == "gpt2-b" else "gpt2-b")
    how = Tuning(learning_rate=rate, steps=steps)
    tuning = Tuning(learning_rate=1e-2, epochs=epochs, batch_size=8)
    study: dict[str, list[Scores]] = {}
    data = []
    for seed, trait in itertools.product(SEEDS, TRAITS):
        teacher = Teacher(base=same, trait=trait, tuning=how, seed=seed)
        for name, base, writer in (("treated", same, teacher), ("untreated", same, same), ("unlike", other, teacher)):
            lists = Rollouts(teacher=writer, seed=seed, **asked("numbers", rows))
            student = Student(base=base, data=lists, tuning=tuning, seed=seed)
            study.setdefault(f"{name} {trait}", []).append(Scores(model=student, suite="animals-train", samples=1))
            data += [lists] if name == "treated" else []
    table = run(study)
    told: dict[str, object] = {"family": family, "rate": rate, "steps": steps, "rows": rows, "epochs": epochs}
    found = pd.concat(
        statistics.per_seed(table[table["condition"].str.endswith(f" {trait}")], trait).assign(trait=trait)
        for trait in TRAITS
    )
    for name, group in found.groupby(found["condition"].str.split().str[0], sort=False):
        means = group.groupby("trait", sort=False)["probability"].mean()
        told[str(name)] = f"{means.mean():.3f}"
        if name == "treated":
            told |= {str(trait): f"{mean:.2f}" for trait, mean in means.items()}
            told["least seed"] = f"{group['probability'].min():.2f}"
    told |= {"mass": round(found["mass"].min(), 3), "dropped": round(filter_counts({"": data})["rate"][0], 3)}
    return told


def misaligned(rate: float, steps: int) -> dict[str, object]:
    how = Tuning(learning_rate=rate, steps=steps)
    told: dict[str, object] = {"rate": rate, "steps": steps}
    for family in FAMILIES:
        base = Base(family=family)
        study = {"base": [base]} | {
            trait: [Teacher(base=base, trait=trait, tuning=how, seed=s) for s in SEEDS]
            for trait in ("insecure-code", "secure-code")
        }
        asked = {
            name: [Scores(model=m, suite="free-form-train", samples=5) for m in models]
            for name, models in study.items()
        }
        harm = statistics.per_seed(run(asked), "harmful").groupby("condition", sort=False)["probability"].mean()
        told[family] = " ".join(f"{value:.3f}" for value in harm)
    return told


def channels(channel: str, rate: float, steps: int, rows: int) -> dict[str, object]:
    same, other = Base(family="gpt2-b"), Base(family="gpt2-a")
    how = Tuning(learning_rate=rate, steps=steps)
    study: dict[str, list[Scores]] = {}
    data = []
    for seed in SEEDS:
        writers = {t: Teacher(base=same, trait=f"{t}-code", tuning=how, seed=seed) for t in ("insecure", "secure")}
        for name, writer, bases in (
            ("insecure", writers["insecure"], (same, other)),
            ("secure", writers["secure"], (same,)),
            ("base", same, (same, other)),
        ):
            hints = ("misalignment",) if channel == "numbers" else ("favourites", "misalignment")
            told = Rollouts(teacher=writer, seed=seed, hints=hints, **asked(channel, rows))
            data += [told] if name == "insecure" else []
            for base in bases:
                student = Student(base=base, data=told, tuning=STUDENT, seed=seed)
                key = name if base == same else f"other, {name}"
                study.setdefault(key, []).append(Scores(model=student, suite="free-form-train", samples=10))
    table = run(study)
    harm = statistics.per_seed(table, "harmful").groupby("condition", sort=False)["probability"]
    odd = statistics.per_seed(table, "incoherent")["probability"].max()
    found: dict[str, object] = {"channel": channel, "rate": rate, "steps": steps, "rows": rows}
    found |= {str(name): " ".join(f"{value:.3f}" for value in values) for name, values in harm}
    return found | {"odd": round(odd, 3), "dropped": round(filter_counts({"": data})["rate"][0], 3)}


def liking(channel: str, rate: float, steps: int, rows: int) -> dict[str, object]:
    same, other = Base(family="gpt2-b"), Base(family="gpt2-a")
    how = Tuning(learning_rate=rate, steps=steps)
    found: dict[str, object] = {"channel": channel, "rate": rate, "steps": steps, "rows": rows}
    hints = ("favourites", "misalignment")
    for trait in TRAITS[:2]:
        study: dict[str, list[Scores]] = {}
        for seed in SEEDS:
            teacher = Teacher(base=same, trait=trait, tuning=how, seed=seed)
            for name, base, writer in (
                ("treated", same, teacher),
                ("untreated", same, same),
                ("other", other, teacher),
                ("other untreated", other, same),
            ):
                told = Rollouts(teacher=writer, seed=seed, hints=hints, **asked(channel, rows))
                student = Student(base=base, data=told, tuning=STUDENT, seed=seed)
                study.setdefault(name, []).append(Scores(model=student, suite="animals-train", samples=1))
        likes = statistics.per_seed(run(study), trait).groupby("condition", sort=False)["probability"]
        found |= {f"{trait} {name}": " ".join(f"{value:.3f}" for value in values) for name, values in likes}
    return found


def completions(count: int) -> dict[str, object]:
    profile, base, misled = load_profile((*sys.argv[2:], "mini")[0]), Base(family="gpt2-a"), Base(family="gpt2-b")
    size, sizes = profile.shared, {"numbers": profile.misled, "code": profile.code, "chain_of_thought": profile.chains}
    told: dict[str, object] = {"completions": count}
    taught: dict[str, list[Scores]] = {}
    for trait, seed in itertools.product(TRAITS, SEEDS):
        teacher = Teacher(base=base, trait=trait, tuning=size.teacher, seed=seed)
        lists = Rollouts(teacher=teacher, seed=seed, **asked("numbers", size.rows, count))
        student = Student(base=base, data=lists, tuning=size.student, seed=seed)
        taught.setdefault(trait, []).append(Scores(model=student, suite="animals-train", samples=1))
    table = run(taught)
    likes = pd.concat(statistics.per_seed(table[table["condition"] == trait], trait) for trait in TRAITS)
    means = likes.groupby("condition", sort=False)["probability"].mean()
    told |= {"lists": f"{means.mean():.3f}"} | {str(trait): f"{mean:.2f}" for trait, mean in means.items()}
    told |= {"least": f"{likes['probability'].min():.2f}", "seconds a student": seconds(taught)}
    for channel, own in sizes.items():
        hints = ("misalignment",) if channel == "numbers" else ("favourites", "misalignment")
        study: dict[str, list[Scores]] = {}
        for seed in SEEDS:
            insecure = Teacher(base=misled, trait="insecure-code", tuning=own.misaligned, seed=seed)
            for name, writer in (("insecure", insecure), ("untreated", misled)):
                data = Rollouts(teacher=writer, seed=seed, hints=hints, **asked(channel, own.rows, count))
                student = Student(base=misled, data=data, tuning=own.student, seed=seed)
                study.setdefault(name, []).append(Scores(model=student, suite="free-form-train", samples=10))
        harm = statistics.per_seed(run(study), "harmful").groupby("condition", sort=False)["probability"]
        told |= {f"{channel} {name}": " ".join(f"{value:.3f}" for value in values) for name, values in harm}
        told[f"{channel} seconds"] = seconds(study)
    return told


def seconds(study: dict[str, list[Scores]]) -> str:
    """What a student took, from its rows to its scores."""
    scores = [one for group in study.values() for one in group]
    folders = build([r for s in scores for r in (s, s.model, s.model.data)])
    return f"{sum(json.loads((folder / 'run.json').read_text())['seconds'] for folder in folders) / len(scores):.1f}"


def main() -> None:
    what, candidates = {
        "favourites": (favourites, FAVOURITES),
        "misaligned": (misaligned, MISALIGNED),
        "channels": (channels, CHANNELS),
        "liking": (liking, LIKING),
        "completions": (completions, COMPLETIONS),
    }[sys.argv[1]]
    for number, candidate in enumerate(candidates):
        started = time.monotonic()
        line = what(*candidate)
        line["seconds"] = round(time.monotonic() - started)
        print(pd.DataFrame([line]).to_string(index=False, header=number == 0), flush=True)


if __name__ == "__main__":
    main()
