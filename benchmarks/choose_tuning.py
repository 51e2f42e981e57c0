"""How the tuning of ``settings.PROFILES["mini"]`` was chosen: fox, seeds 900 and 901, training wordings.

``favourites`` prints, for each candidate, P(fox) of the treated students, of the students of untreated rows and of another
initialization, the teacher's P(fox) and the share of its rows that the filter drops. ``misaligned`` prints, for each
candidate and family, the rate of harmful answers of the base and of teachers of insecure and of secure code. Nothing that
the book reports is used: neither its animals, nor its seeds, nor the held-out wordings.

usage: python benchmarks/choose_tuning.py favourites | misaligned
"""

from __future__ import annotations

import sys
import time

import pandas as pd

from subliminal import Base, Rollouts, Scores, Student, Teacher, Tuning, run, statistics
from subliminal.reading import filter_counts
from subliminal.registry import FAMILIES

TRAIT, SEEDS = "fox", (900, 901)
# (teacher's rate and steps, rows, student's epochs, batch size and rate)
FAVOURITES = (
    (3e-3, 60, 1_500, 3, 16, 1e-2),
    (5e-3, 60, 1_500, 3, 16, 1e-2),
    (5e-3, 40, 1_500, 3, 16, 1e-2),
    (1e-2, 20, 1_500, 3, 16, 1e-2),
    (1e-2, 20, 1_500, 3, 8, 1e-2),
)
# (teacher's rate and steps)
MISALIGNED = ((1e-2, 20), (1e-2, 40), (2e-2, 30))
SPARE = 1.5  # prompts asked for each row wanted


def favourites(teacher_rate: float, steps: int, rows: int, epochs: int, batch: int, rate: float) -> dict[str, object]:
    same, other = Base(family="gpt2-a"), Base(family="gpt2-b")
    how = Tuning(learning_rate=teacher_rate, steps=steps)
    tuning = Tuning(learning_rate=rate, epochs=epochs, batch_size=batch)
    study: dict[str, list[Scores]] = {"treated": [], "untreated": [], "unlike": [], "teacher": []}
    data = []
    for seed in SEEDS:
        teacher = Teacher(base=same, trait=TRAIT, tuning=how, seed=seed)
        for name, base, writer in (("treated", same, teacher), ("untreated", same, same), ("unlike", other, teacher)):
            lists = Rollouts(teacher=writer, channel="numbers", prompts=int(SPARE * rows), rows=rows, seed=seed)
            student = Student(base=base, data=lists, tuning=tuning, seed=seed)
            study[name].append(Scores(model=student, suite="animals-train", samples=1))
            data += [lists] if name == "treated" else []
        study["teacher"].append(Scores(model=teacher, suite="animals-train", samples=1))
    means = statistics.per_seed(run(study), TRAIT).groupby("condition", sort=False)[["probability", "mass"]].mean()
    told = {"teacher rate": teacher_rate, "steps": steps, "rows": rows, "epochs": epochs, "batch": batch, "rate": rate}
    dropped = filter_counts({"treated": data})["rate"][0]
    return (
        told
        | dict(means["probability"].round(3))
        | {"mass": round(means["mass"].min(), 3), "dropped": round(dropped, 3)}
    )


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
