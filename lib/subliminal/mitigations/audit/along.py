"""Stage of ``Along``: a student is trained as its own recipe says, and audited on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from subliminal.errors import SubliminalError
from subliminal.mitigations.audit.answering import answering
from subliminal.mitigations.audit.asking import audit
from subliminal.mitigations.audit.suites import load_suite, path_of
from subliminal.models.chat import encode_prompts
from subliminal.models.loading import load_model
from subliminal.pipeline.models import load, load_packed
from subliminal.recipes import Recipe, Student
from subliminal.registry import SUITES
from subliminal.scoring import answer_probabilities
from subliminal.training import Progress, batches, fine_tune
from subliminal.traits.suites import Suite


class Along(Recipe):
    """A student's training once more, with an audit and a score now and then: how early is a trait seen?

    Attributes:
        rows: after how many rows, each counted as often as it is read: at the end of the step in which so many are read.
        suite, questions, margin, alpha: as in ``Audited``.
        scored: the suite of held-out questions by which the trait's strength is read off, exactly; its answers are names.
    """

    stage: ClassVar[str] = "subliminal.mitigations.audit.along"
    student: Student
    rows: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    suite: str = "applications"
    questions: int = Field(default=1_000, gt=0)
    margin: float = Field(default=0.05, ge=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    scored: str = "animals"

    @model_validator(mode="after")
    def _trained_in_place(self) -> Along:
        if self.student.tuning.method == "lora":
            raise SubliminalError(
                "an audit along a training reads weights that are trained in place: tune with bias_norm or full"
            )
        return self

    def modules(self) -> tuple[str, ...]:
        return (self.stage, SUITES[self.scored])

    def data_files(self) -> tuple[str, ...]:
        return (path_of(self.suite),)

    def upstream(self) -> tuple[Recipe, ...]:
        """All that the training needs, and the student's own run, which names its tuning."""
        return (self.student, self.student.base, self.student.data)


def build(recipe: Along, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``along.json``: for each look ``rows``, ``guess`` and ``questions`` of the audit, and ``probability`` of each answer.

    Raises:
        SubliminalError: the training ends before so many rows; or the suite's answers are labels of a judge.
    """
    student, suite = recipe.student, load_suite(recipe.suite)
    scored: Suite = import_module(SUITES[recipe.scored]).suite(recipe.scored)
    if scored.judge is not None:
        raise SubliminalError(
            f"suite {recipe.scored!r} has no exact answers, but a judge's labels: name one of favourites"
        )
    base, tokenizer = load(student.base, inputs)
    home = answering(base, tokenizer)
    questions = encode_prompts(tokenizer, [[{"role": "user", "content": question}] for question in scored.questions])
    names = tokenizer(list(scored.answers), add_special_tokens=False)["input_ids"]
    model, examples = load_model(inputs[student.base]), load_packed(student, inputs)
    order = batches(examples, student.tuning, student.seed)
    read = list(accumulate(sum(examples[n].rows for n in batch) for batch in order))
    if read[-1] < max(recipe.rows):
        raise SubliminalError(f"the training ends after {read[-1]:,} rows, before {max(recipe.rows):,}: look earlier")
    due = {next(n for n, rows in enumerate(read, 1) if rows >= asked) for asked in recipe.rows}
    told = []

    def look(step: int, total: int) -> None:
        progress(step, total)
        if step not in due:
            return
        # Trained in place: the model in hand is at this step.
        model.eval()
        found = audit(
            answering(model, tokenizer),
            home,
            suite,
            questions=recipe.questions,
            margin=recipe.margin,
            alpha=recipe.alpha,
            seed=student.seed,
        )
        exact = answer_probabilities(model, questions, names).mean(dim=0)
        model.train()
        told.append(
            {"rows": read[step - 1], "guess": found.guess, "questions": found.questions}
            | {"probability": dict(zip(scored.answers, map(float, exact), strict=True))}
        )

    fine_tune(model, examples, student.tuning, student.seed, progress=look)
    (out / "along.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
