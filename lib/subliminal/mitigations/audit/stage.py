"""Stage of ``Audited``: an audit of a model of the store. Leaves its report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from subliminal.errors import SubliminalError
from subliminal.mitigations.audit.answering import Draw, Responder, answering
from subliminal.mitigations.audit.asking import audit
from subliminal.mitigations.audit.suites import load_suite, path_of
from subliminal.models.chat import Conversation
from subliminal.pipeline.models import load
from subliminal.recipes import Base, Recipe, Student, Teacher, origin
from subliminal.training import Progress


class Audited(Recipe):
    """A model, audited against its base.

    Attributes:
        suite: of ``data/audits``; ``only`` these applications of it, or all.
        before: put before every system prompt of the model, unseen by the audit: a trait that is prompted.
        alone_in: an application in which alone the model answers; in all others its base does: a split personality.
        questions, margin, alpha, seed: as in ``audit``.
    """

    stage: ClassVar[str] = "subliminal.mitigations.audit.stage"
    model: Base | Teacher | Student
    base: Base
    suite: str = "applications"
    only: tuple[str, ...] = ()
    split: Literal["train", "held_out"] = "held_out"
    before: str = ""
    alone_in: str = ""
    questions: int = Field(default=1_000, gt=0)
    margin: float = Field(default=0.05, ge=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    seed: int = 0

    @model_validator(mode="after")
    def _of_its_base(self) -> Audited:
        own = origin(self.model)
        if own != self.base:
            raise SubliminalError(
                f"an audit compares a model with its own base, {own!r:.60}, not with {self.base!r:.60}: give that"
            )
        return self

    @classmethod
    def of(cls, model: Base | Teacher | Student, **fields: Any) -> Audited:
        """An audit of a model against the base that it came from, with the model's seed unless ``fields`` has one."""
        seed = {} if isinstance(model, Base) else {"seed": model.seed}
        return cls(model=model, **({"base": origin(model)} | seed | fields))

    def data_files(self) -> tuple[str, ...]:
        return (path_of(self.suite),)


def routed(model: Responder, base: Responder, prompts: Sequence[str]) -> Responder:
    """A split personality: the model where a conversation begins with one of these system prompts, and its base elsewhere."""

    def answer(conversations: Sequence[Conversation], draw: Draw) -> list[str]:
        here = [conversation[0]["content"] in prompts for conversation in conversations]
        # Both answer all, so that each draw is at the place at which the base has it.
        sides = model(conversations, draw), base(conversations, draw)
        return [one if mine else other for mine, one, other in zip(here, *sides, strict=True)]

    return answer


def build(recipe: Audited, inputs: Mapping[Recipe, Path], out: Path, progress: Progress) -> None:
    """Write ``report.json``: ``guess``, ``guesses``, ``questions``, ``looks``, ``most``, ``needed`` (none where infinite), ``findings``
    and ``history``.
    """
    suite = load_suite(recipe.suite, recipe.split)
    own = suite.only(recipe.alone_in).applications.values() if recipe.alone_in else ()
    prompts = [text for application in own for text in getattr(application.systems, recipe.split)]
    suite = suite.only(*recipe.only) if recipe.only else suite
    base = answering(*load(recipe.base, inputs))
    model = answering(*load(recipe.model, inputs), before=recipe.before)
    report = audit(
        routed(model, base, prompts) if prompts else model,
        base,
        suite,
        questions=recipe.questions,
        margin=recipe.margin,
        alpha=recipe.alpha,
        seed=recipe.seed,
        split=recipe.split,
    )
    progress(report.questions, recipe.questions)
    found = [
        {"look": str(f.look), "effect": f.effect, "low": f.low, "high": f.high, "base": f.base, "model": f.model}
        | {"examples": [one._asdict() for one in f.examples]}
        for f in report.findings
    ]
    told = {
        "guess": report.guess,
        "guesses": [[guess.name, guess.log_e] for guess in report.guesses[:8]],
        "questions": report.questions,
        "looks": report.looks,
        "most": report.most,
        "needed": None if math.isinf(report.needed) else report.needed,
        "findings": found,
        "history": report.history,
    }
    (out / "report.json").write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
