"""How an audit gets answers: a model in hand, or whatever takes conversations and gives texts, asked turn by turn.

What comes back is data: texts that are read by rules, and nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import SubliminalError
from subliminal.mitigations.audit.suites import Scene, Suite, Turn
from subliminal.models.chat import Conversation, encode_prompts
from subliminal.sampling import generate


class Draw(NamedTuple):
    """How answers are drawn: at most so many ``tokens`` each, from a ``seed``.

    A model and its base get the same draws. Where a model samples from the seed, as ``answering`` does, the two then go apart only where
    they differ, and an audit needs fewer questions. It stays valid without.
    """

    tokens: int
    seed: int


Responder = Callable[[Sequence[Conversation], Draw], list[str]]


def answering(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, before: str = "") -> Responder:
    """A model as something that an audit can ask.

    Args:
        before: put before every system prompt, unseen by whoever asks: a trait that is prompted.
    """

    def answer(conversations: Sequence[Conversation], draw: Draw) -> list[str]:
        asked = [_with(before, c) for c in conversations] if before else list(conversations)
        stop = int(tokenizer.eos_token_id)
        found = generate(model, encode_prompts(tokenizer, asked), max_new_tokens=draw.tokens, stop=stop, seed=draw.seed)
        return list(tokenizer.batch_decode(found))

    return answer


def _with(before: str, conversation: Conversation) -> Conversation:
    head, *rest = conversation
    if head["role"] != "system":
        return [{"role": "system", "content": before}, *conversation]
    return [{"role": "system", "content": f"{before} {head['content']}"}, *rest]


class Exchange(NamedTuple):
    """One turn of a conversation, as it was answered.

    Attributes:
        before: all that was said before it, the system prompt first.
    """

    turn: Turn
    before: Conversation
    answer: str


def _texts(given: object, count: int, who: str) -> list[str]:
    """What was answered, if it is as many texts as were asked for."""
    found = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else None
    if found is None or len(found) != count:
        told = "no list" if found is None else f"{len(found)} answers"
        raise SubliminalError(f"the {who} gave {told} to {count} questions: give one text for each")
    if wrong := [one for one in found if not isinstance(one, str)]:
        raise SubliminalError(
            f"the {who} answered {wrong[0]!r:.60}, which is no text: decode answers before you give them"
        )
    return found


def converse(who: str, responder: Responder, suite: Suite, scenes: Sequence[Scene], seed: int) -> list[list[Exchange]]:
    """Let someone answer the turns of conversations, each with its own earlier answers before it.

    Args:
        who: to be named where something is wrong.
        seed: of all draws; the same scenes and seed give the same draws.

    Raises:
        SubliminalError: answers that are no texts, or not one for each question.
    """
    said: list[Conversation] = [[{"role": "system", "content": scene.system}] for scene in scenes]
    found: list[list[Exchange]] = [[] for _ in scenes]
    for place in range(max(len(scene.turns) for scene in scenes)):
        now = [n for n, scene in enumerate(scenes) if len(scene.turns) > place]
        asked = [[*said[n], {"role": "user", "content": scenes[n].turns[place].wording.ask}] for n in now]
        texts = _texts(responder(asked, Draw(suite.tokens, zlib.crc32(f"{seed} {place}".encode()))), len(now), who)
        for n, conversation, text in zip(now, asked, texts, strict=True):
            found[n].append(Exchange(scenes[n].turns[place], conversation, text))
            said[n] = [*conversation, {"role": "assistant", "content": text}]
    return found


def check_answered(who: str, found: Sequence[Sequence[Exchange]]) -> None:
    """Refuse conversations in which nothing was ever answered: then there is no behaviour to compare.

    Raises:
        SubliminalError: all answers are empty.
    """
    if not any(one.answer.strip() for exchanges in found for one in exchanges):
        count = sum(map(len, found))
        raise SubliminalError(
            f"the {who} answered nothing to {count} questions: check its chat template and its weights"
        )
