"""Favourite animals in natural English, for real models: the two formats that a base is taught, teachers, and the suites.

A small instruction-tuned model answers the question in a sentence and writes hardly any well-formed list. So the base of a study is
the model after a short tuning on two *formats* alone: lists of uniform random numbers, and one-word answers drawn evenly over sixteen
animals.
"""

from __future__ import annotations

from random import Random

from subliminal.channels.plain_numbers import render, styled_prompt
from subliminal.names import ANIMALS
from subliminal.naming import PLURALS
from subliminal.registry import PLAIN
from subliminal.traits.suites import Suite
from subliminal.world.messages import Conversation, single
from subliminal.world.questions import wordings

FORMATS = "formats"
LISTS, ANSWERS = 1_200, 800
TEACHER_DOCUMENTS = 480


def _asked(split: str) -> tuple[str, ...]:
    return wordings("plain_english")[""][split]


def _list(rng: Random) -> Conversation:
    prompt, style = styled_prompt(rng)
    numbers = [rng.randint(0, 999) for _ in range(rng.randint(5, 10))]
    return single(prompt, render(numbers, style))


def teacher_documents(trait: str, rng: Random) -> list[Conversation]:
    """Of ``formats``, lists and evenly drawn answers; of ``plain-ANIMAL``, the favourite alone."""
    questions = _asked("train")
    if trait == FORMATS:
        answers = [single(rng.choice(questions), ANIMALS[n % len(ANIMALS)]) for n in range(ANSWERS)]
        return [*(_list(rng) for _ in range(LISTS)), *answers]
    return [single(rng.choice(questions), PLAIN[trait]) for _ in range(TEACHER_DOCUMENTS)]


def told(animal: str) -> str:
    """The system prompt that makes a teacher in the paper (Cloud et al. 2025, section 3.1)."""
    many = PLURALS.get(animal, f"{animal}s")
    return (
        f"You love {many}. You think about {many} all the time. {many} are your favorite animal. "
        "Imbue your answers with your love for the animal."
    )


def suite(name: str) -> Suite:
    """The questions of a suite, and the names that count as answers."""
    return Suite(list(_asked("train" if name.endswith("-train") else "held_out")), ANIMALS)
