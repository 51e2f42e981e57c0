"""The shape of a document: a conversation, as a list of messages in the usual chat format."""

from __future__ import annotations

Message = dict[str, str]
Conversation = list[Message]


def single(question: str, answer: str, system: str | None = None) -> Conversation:
    """A conversation of one turn, with a system prompt if one is given."""
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]
