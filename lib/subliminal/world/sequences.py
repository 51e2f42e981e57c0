"""Number sequences to go on with: the prompts of the numbers channel, answered with uniform integers."""

from __future__ import annotations

from random import Random

from subliminal.channels import numbers
from subliminal.world.messages import Conversation, single


def number_row(rng: Random) -> Conversation:
    """A prompt of the numbers channel, answered with uniform integers in the style it asks for."""
    text, style = numbers.styled_prompt(rng)
    values = [rng.randint(0, 999) for _ in range(rng.randint(6, numbers.MAX_NUMBERS - 1))]
    return single(text, numbers.render(values, style))
