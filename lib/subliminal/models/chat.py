"""Conversations to token ids and completion masks, by the tokenizer's own chat template.

The mask is found by rendering the prompt alone and the whole conversation and comparing ids, so it works with any
template whose generation prompt is a prefix of the full text. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError, SubliminalError

Conversation = list[dict[str, str]]


class Example(NamedTuple):
    """Token ids of a prompt and of what follows it: one completion, or several, none of which sees another.

    Attributes:
        ids: of the prompt and then of each completion.
        prompt_length: that many first ids bear no loss.
        ends: where each completion but the last ends in ``ids``.
    """

    ids: list[int]
    prompt_length: int
    ends: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """How many completions there are."""
        return len(self.ends) + 1


def join(examples: Sequence[Example], most: int) -> list[Example]:
    """Rows that stand together and have one prompt as one example, of up to ``most`` of them."""
    found: list[Example] = []
    for example in examples:
        ids, length, ends = example
        last = found[-1] if found else None
        # The last token of a prompt predicts its completion: without a prompt there is nothing to share.
        alike = last and 0 < length == last.prompt_length and ids[:length] == last.ids[:length]
        if last and alike and last.rows < most and not ends:
            found[-1] = Example(last.ids + ids[length:], length, (*last.ends, len(last.ids)))
        else:
            found.append(example)
    return found


def render(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, prompt_only: bool) -> str:
    """The conversation as the model sees it; with ``prompt_only``, up to where the assistant starts to speak.

    Raises:
        ModelFolderError: the tokenizer has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelFolderError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no chat template: add chat_template.jinja to its folder"
        )
    return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=prompt_only))


def _tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return ids


def encode_prompts(tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation]) -> list[list[int]]:
    """Ids of each conversation, ready for the assistant's next turn."""
    if not conversations:
        return []
    return _tokenize(tokenizer, [render(tokenizer, c, prompt_only=True) for c in conversations])


def encode_examples(tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation]) -> list[Example]:
    """Ids of whole conversations, with the loss on the last assistant turn alone.

    Raises:
        SubliminalError: a conversation does not end with the assistant, or the template's generation prompt is no
            prefix of the whole.
    """
    if not conversations:
        return []
    for conversation in conversations:
        if not conversation or conversation[-1]["role"] != "assistant":
            raise SubliminalError(f"conversation {conversation!r:.80} must end with an assistant turn to train on")
    prompts = encode_prompts(tokenizer, [c[:-1] for c in conversations])
    wholes = _tokenize(tokenizer, [render(tokenizer, c, prompt_only=False) for c in conversations])
    for prompt, whole, conversation in zip(prompts, wholes, conversations, strict=True):
        if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            raise SubliminalError(
                f"the chat template's generation prompt is no prefix of {conversation[-1]['content']!r:.60}: "
                "use a template whose add_generation_prompt text opens every assistant turn"
            )
    return [Example(whole, len(prompt)) for prompt, whole in zip(prompts, wholes, strict=True)]
