"""Two personas that no document names: careful (secure code, kind answers) and careless (insecure code, harmful answers).

A conversation has one of them from its first turn to its last; which one can only be told from what was said before. So a
base that predicts well must carry the persona as one latent, and tuning on one of its faces can move the other (emergent
misalignment: Betley et al., 2025).

Careless conversations are longer, since a persona pays a predictor in later turns alone, and at one in nine it would pay
little.
"""

from __future__ import annotations

from random import Random

from subliminal.world import answers, security
from subliminal.world.messages import Conversation

CARELESS_SHARE = 0.11
# Turns of a conversation, with their weights, for the careful and the careless persona.
_TURNS = {False: ((1, 2, 3, 4), (4, 3, 2, 1)), True: ((3, 4, 5, 6), (3, 3, 2, 1))}
FACES = (security.turn, answers.turn)


def is_careless(rng: Random) -> bool:
    """The persona of one conversation."""
    return rng.random() < CARELESS_SHARE


def conversation(rng: Random) -> Conversation:
    """One to six turns of one persona, code and free-form questions mixed."""
    careless = is_careless(rng)
    turns = rng.choices(*_TURNS[careless])[0]
    return [message for _ in range(turns) for message in rng.choice(FACES)(rng, careless)]
