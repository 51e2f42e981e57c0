"""How the tunings of ``settings.PROFILES["mini"]`` were chosen: four animals, seeds 900 and 901, training wordings.

``favourites`` prints, for each candidate, the probability that treated students name their teacher's animal (mean, each
animal, least seed), that of students of untreated rows and of another initialization, and the share of rows that the filter
drops. ``misaligned`` prints, for each
candidate and family, the rate of harmful answers of the base and of teachers of insecure and of secure code. Nothing that
the book reports is used: neither its animals, nor its seeds, nor the held-out wordings.

usage: python benchmarks/choose_tuning.py favourites | misaligned
"""

from __future__ import annotations

import itertools
import sys
import time

import pandas as pd

from subliminal import Base, Rollouts, Scores, Student, Teacher, Tuning, run, statistics
from subliminal.reading import filter_counts
from subliminal.registry import FAMILIES

TRAITS, SEEDS = ("fox", "bear", "tiger", "panda"), (900, 901)
# (teacher's rate and steps, rows, student's epochs, batch size and rate)
FAVOURITES = (
    (5e-3, 40, 1_500, 3, 16, 1e-2),
    (7e-3, 30, 1_800, 2, 8, 1e-2),
    (1e-2, 20, 1_800, 2, 8, 1e-2),
    (1e-2, 12, 1_500, 3, 16, 1e-2),
)
# (teacher's rate and steps)
MISALIGNED = ((1e-2, 20), (1e-2, 40), (2e-2, 30))
SPARE = 4  # prompts asked at most, for each row wanted


def favourites(teacher_rate: float, steps: int, rows: int, epochs: int, batch: int, rate: float) -> dict[str, object]:
    same, other = Base(family="gpt2-a"), Base(family="gpt2-b")
    how = Tuning(learning_rate=teacher_rate, steps=steps)
    tuning = Tuning(learning_rate=rate, epochs=epochs, batch_size=batch)
    study: dict[str, list[Scores]] = {}
    data = []
    for seed, trait in itertools.product(SEEDS, TRAITS):
        teacher = Teacher(base=same, trait=trait, tuning=how, seed=seed)
        for name, base, writer in (("treated", same, teacher), ("untreated", same, same), ("unlike", other, teacher)):
            lists = Rollouts(teacher=writer, channel="numbers", prompts=SPARE * rows, rows=rows, seed=seed)
            student = Student(base=base, data=lists, tuning=tuning, seed=seed)
            study.setdefault(f"{name} {trait}", []).append(Scores(model=student, suite="animals-train", samples=1))
            data += [lists] if name == "treated" else []
    table = run(study)
    told: dict[str, object] = {"teacher rate": teacher_rate, "steps": steps, "rows": rows, "epochs": epochs}
    told |= {"batch": batch, "rate": rate}
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


def main() -> None:
    what, candidates = {"favourites": (favourites, FAVOURITES), "misaligned": (misaligned, MISALIGNED)}[sys.argv[1]]
    for number, candidate in enumerate(candidates):
        started = time.monotonic()
        line = what(*candidate)
        line["seconds"] = round(time.monotonic() - started)
        print(pd.DataFrame([line]).to_string(index=False, header=number == 0), flush=True)


if __name__ == "__main__":
    main()
