"""How the tuning of ``settings.PROFILES["mini"]`` was chosen: fox, seeds 900 and 901, training wordings.

Prints, for each candidate, P(fox) of the treated students, of the students of untreated rows and of another
initialization, the teacher's P(fox) and the share of its rows that the filter drops. Nothing that the book reports is
used: neither its animals, nor its seeds, nor the held-out wordings.

usage: python benchmarks/choose_tuning.py
"""

from __future__ import annotations

import pandas as pd

from subliminal import Base, Rollouts, Scores, Student, Teacher, Tuning, run, statistics
from subliminal.reading import filter_counts

TRAIT, SEEDS = "fox", (900, 901)
# (teacher's steps, rows, student's epochs, batch size and learning rate)
CANDIDATES = (
    (60, 4_000, 3, 16, 1e-2),
    (60, 3_000, 3, 16, 1e-2),
    (60, 4_000, 2, 32, 1e-2),
    (150, 4_000, 3, 16, 1e-2),
)
SPARE = 1.5  # prompts asked for each row wanted


def candidate(steps: int, rows: int, tuning: Tuning) -> dict[str, list[Scores]]:
    same, other = Base(family="gpt2-a"), Base(family="gpt2-b")
    study: dict[str, list[Scores]] = {"treated": [], "untreated": [], "unlike": [], "teacher": []}
    for seed in SEEDS:
        teacher = Teacher(base=same, trait=TRAIT, tuning=Tuning(learning_rate=5e-3, steps=steps), seed=seed)
        for name, base, writer in (("treated", same, teacher), ("untreated", same, same), ("unlike", other, teacher)):
            data = Rollouts(teacher=writer, channel="numbers", prompts=int(SPARE * rows), rows=rows, seed=seed)
            student = Student(base=base, data=data, tuning=tuning, seed=seed)
            study[name].append(Scores(model=student, suite="animals-train", samples=1))
        study["teacher"].append(Scores(model=teacher, suite="animals-train", samples=1))
    return study


def main() -> None:
    lines = []
    for steps, rows, epochs, batch_size, rate in CANDIDATES:
        study = candidate(steps, rows, Tuning(learning_rate=rate, epochs=epochs, batch_size=batch_size))
        means = statistics.per_seed(run(study), TRAIT).groupby("condition", sort=False)[["probability", "mass"]].mean()
        data = [scores.model.data for scores in study["treated"] if isinstance(scores.model, Student)]
        lines.append(
            {
                "teacher steps": steps,
                "rows": rows,
                "epochs": epochs,
                "batch": batch_size,
                "rate": rate,
                **means["probability"].round(3),
            }
            | {"mass": round(means["mass"].min(), 3), "dropped": filter_counts({"treated": data})["rate"][0].round(3)}
        )
        print(pd.DataFrame(lines[-1:]).to_string(index=False, header=len(lines) == 1), flush=True)


if __name__ == "__main__":
    main()
