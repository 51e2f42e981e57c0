"""What a guard reads an exchange with: the hidden states of any causal language model, or a bag of words. Nothing is trained here.

The answer that is read is data: it is encoded apart from the question, and what looks like a token of the chat template in it is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import SubliminalError
from subliminal.mitigations.monitor.constitution import Exchange
from subliminal.models.chat import encode_prompts


class Reader(Protocol):
    """What makes numbers of an exchange."""

    def states(self, exchanges: Sequence[Exchange]) -> list[Any]:
        """One matrix an exchange, dense or sparse: (1 + tokens of the answer, features), the first row after the question alone."""

    def listen(self, question: str) -> Listener:
        """The same for an answer that is still being written."""


class Listener(Protocol):
    """What makes numbers of an answer as it is written."""

    def states(self, answer: str) -> tuple[int, Any]:
        """Of an answer so far: how many first rows of the last call still hold, and the rows after them."""


def _checked(exchanges: Sequence[Exchange]) -> None:
    for number, exchange in enumerate(exchanges):
        for name, text in zip(exchange._fields, exchange, strict=True):
            if not isinstance(text, str):
                raise SubliminalError(f"exchange {number}: its {name} is {text!r:.40}, no text: give a string")


def _answer_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Ids of answers: what looks like a special token is split into pieces as any text is, so that no answer ends its own turn."""
    ids: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, split_special_tokens=True
    )["input_ids"]
    return ids


class HiddenStates:
    """Reads with a causal language model: the hidden states of some of its layers, side by side.

    Args:
        model: any causal language model of ``transformers``, on the device that it shall run on.
        tokenizer: its own, with a chat template.
        layers: how many, evenly spaced, the last among them; all of a model with fewer.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, layers: int = 4, batch_size: int = 64
    ) -> None:
        self.model, self.tokenizer, self.batch_size = model.eval(), tokenizer, batch_size
        depth = int(model.config.num_hidden_layers)
        self.layers = sorted({round(depth * (n + 1) / layers) for n in range(layers)} - {0})
        self.longest = int(getattr(model.config, "max_position_embeddings", 0) or 2**30)

    def ids(self, exchanges: Sequence[Exchange]) -> list[tuple[list[int], list[int]]]:
        """Token ids of question, as the model's chat template puts it, and of answer.

        Raises:
            SubliminalError: a text is none, or an exchange is longer than the model reads: what is not read is not guarded.
        """
        _checked(exchanges)
        asked = encode_prompts(self.tokenizer, [[{"role": "user", "content": e.question}] for e in exchanges])
        pairs = list(zip(asked, _answer_ids(self.tokenizer, [e.answer for e in exchanges]), strict=True))
        for number, (question, answer) in enumerate(pairs):
            self.fits(len(question) + len(answer), f"exchange {number}")
        return pairs

    def fits(self, length: int, what: str) -> None:
        """Refuse what is longer than the model reads."""
        if length > self.longest:
            raise SubliminalError(
                f"{what} has {length} tokens, and the guard reads {self.longest}: stop such answers earlier, or take another backbone"
            )

    @torch.inference_mode()
    def states(self, exchanges: Sequence[Exchange]) -> list[Any]:
        """One (1 + tokens of the answer, layers x width) float32 matrix an exchange."""
        pairs = self.ids(exchanges) if exchanges else []
        order = sorted(range(len(pairs)), key=lambda i: sum(map(len, pairs[i])))
        found: list[Any] = [None] * len(pairs)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            whole = [[*pairs[i][0], *pairs[i][1]] for i in rows]
            width = max(map(len, whole))
            ids = torch.tensor([ids + [0] * (width - len(ids)) for ids in whole], device=self.model.device)
            mask = torch.arange(width) < torch.tensor(list(map(len, whole))).unsqueeze(1)
            hidden = self._hidden(input_ids=ids, attention_mask=mask.long().to(ids.device), use_cache=False)
            for place, i in enumerate(rows):
                first = len(pairs[i][0]) - 1
                found[i] = hidden[place, first : len(whole[place])].float().cpu().numpy()
        return found

    def _hidden(self, **inputs: Any) -> torch.Tensor:
        """(rows, tokens, layers x width); the vocabulary's logits are not computed."""
        out = self.model.base_model(output_hidden_states=True, **inputs)
        return torch.cat([out.hidden_states[layer] for layer in self.layers], dim=-1)

    def listen(self, question: str) -> Listener:
        """Reads each token of an answer once, as it comes."""
        return _Cached(self, question)


class _Cached:
    """A key-value cache of a question and of the answer so far."""

    def __init__(self, reader: HiddenStates, question: str) -> None:
        ((self._prompt, _),) = reader.ids([Exchange(question, "")])
        self._reader, self._cache = reader, DynamicCache(config=reader.model.config)
        self._read: list[int] = []

    @torch.inference_mode()
    def states(self, answer: str) -> tuple[int, Any]:
        """A tokenizer may join what comes to what was there: from the first token that differs on, all is read anew."""
        _checked([Exchange("", answer)])
        (told,) = _answer_ids(self._reader.tokenizer, [answer])
        ids = [*self._prompt, *told]
        self._reader.fits(len(ids), "the exchange")
        same = next((n for n, pair in enumerate(zip(ids, self._read, strict=False)) if pair[0] != pair[1]), None)
        kept = min(len(self._read), len(ids)) if same is None else same
        if kept < len(self._read):
            self._cache.crop(kept - len(self._read))
        self._read = ids
        first = len(self._prompt) - 1
        if kept == len(ids):
            return kept - first, np.empty((0, 0), dtype=np.float32)
        new = torch.tensor([ids[kept:]], device=self._reader.model.device)
        hidden = self._reader._hidden(input_ids=new, past_key_values=self._cache, use_cache=True)[0]
        # The question's own tokens but its last bear no judgement.
        return max(0, kept - first), hidden[max(0, first - kept) :].float().cpu().numpy()


class Words:
    """Reads with no model: how often each token has stood in the answer so far. A bag of words."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def states(self, exchanges: Sequence[Exchange]) -> list[Any]:
        """One sparse (1 + tokens of the answer, vocabulary) matrix of counts an exchange."""
        from scipy.sparse import csr_array

        _checked(exchanges)
        found = []
        for ids in _answer_ids(self.tokenizer, [e.answer for e in exchanges]) if exchanges else []:
            # Row n holds the first n tokens.
            columns = [token for n in range(len(ids) + 1) for token in ids[:n]]
            starts = np.cumsum([0, *range(len(ids) + 1)])
            counts = csr_array(
                (np.ones(len(columns), np.float32), columns, starts), shape=(len(ids) + 1, len(self.tokenizer))
            )
            counts.sum_duplicates()
            found.append(counts)
        return found

    def listen(self, question: str) -> Listener:
        """Counts anew: that costs next to nothing."""
        return _Counted(self, question)


class _Counted:
    def __init__(self, words: Words, question: str) -> None:
        self._words, self._question = words, question

    def states(self, answer: str) -> tuple[int, Any]:
        return 0, self._words.states([Exchange(self._question, answer)])[0]
