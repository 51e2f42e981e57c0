"""How likely an answer is to give a name, whatever tokens it is written in: names as ``naming`` has them, on a tokenizer.

With a tokenizer of subwords one text can be written in several ways ("owl", or "o" and "wl"), and a model that samples token
by token may take any. So no spelling is fixed beforehand: token by token, all are followed that can still become a form of
a name, until a token ends the word. Each sequence of tokens is met once, so nothing counts twice.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from subliminal.naming import finder, forms, openings, word_ends, words
from subliminal.scoring import answer_probabilities

# Below every text that begins with it, in the order of code points.
_LAST = chr(0x10FFFF)


class Moves(NamedTuple):
    """What tokens do after a text with which an answer begins.

    Attributes:
        onward: tokens with which it can still become a form of a name.
        texts: the text after each of them.
        ends: by a name's place, the tokens with which the answer has given it: the first after it, or one that holds the end of the word.
    """

    onward: Tensor
    texts: list[str]
    ends: dict[int, Tensor]


class Spellings:
    """How names are written in the tokens of a tokenizer.

    Where tokens are whole words, and a name is known in lower case and the singular alone, as in the mini world, an answer is the
    name or it is not: only the plain name counts, and an article or a mark is a token like any other.

    Attributes:
        names: in lower case.
        plain: ids of each name alone.
        whole_words: whether tokens are whole words, and of a name's words the tokenizer knows the name alone.
        find: the name that a text begins with, or an empty string.

    Example:
        >>> from tokenizers import Tokenizer, decoders, models
        >>> from transformers import PreTrainedTokenizerFast
        >>> pieces = Tokenizer(models.BPE({"o": 0, "w": 1, "l": 2, "s": 3, ".": 4, "wl": 5, "wl.": 6}, [("w", "l"), ("wl", ".")]))
        >>> pieces.decoder = decoders.Fuse()
        >>> owl = Spellings(PreTrainedTokenizerFast(tokenizer_object=pieces), ["owl"])
        >>> owl.moves("o").texts, owl.moves("o").ends
        (['ow', 'owl'], {0: tensor([6])})
        >>> owl.moves("owl").texts, owl.moves("owl").ends
        (['owls'], {0: tensor([4])})
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.plain: list[list[int]] = _ids(tokenizer, names)
        unknown = tokenizer.unk_token_id
        # A word of known letters that no one has written is unknown as a whole only where no token is a part of a word.
        strange = _ids(tokenizer, [name * 2 for name in names])
        others = _ids(tokenizer, [word for name in names for word in words(name) if word != name])
        self.whole_words = all(ids == [unknown] for ids in strange) and all(unknown in ids for ids in others)
        self.find = finder(names, plain=self.whole_words)
        self._tokenizer = tokenizer
        self._moves: dict[str, Moves] = {}
        if not self.whole_words:
            self._owners = {form: place for place, name in enumerate(names) for form in forms(name)}
            self._starts = sorted({form[:n] for form in self._owners for n in range(1, len(form) + 1)})
            self._read_vocabulary()

    def _read_vocabulary(self) -> None:
        """Sort all tokens by what they add to a text."""
        self._adding: dict[str, list[int]] = defaultdict(list)
        # Tokens with which a word ends: from their beginning, or after some letters of it.
        self._ending: dict[str, list[int]] = defaultdict(list)
        special = set(self._tokenizer.all_special_ids)
        for token, text in _texts(self._tokenizer, self.plain[0]).items():
            if token in special:
                self._ending[""].append(token)
                continue
            self._adding[text].append(token)
            # Half a character, of a tokenizer of bytes, is decoded as a mark. What ends so after a name is most often a quote or a dash.
            for n in range(len(text)):
                if word_ends(text[n:]) and not (n and word_ends(text[n - 1])):
                    self._ending[text[:n]].append(token)

    @property
    def length(self) -> int:
        """As many tokens as a form may take, and one more: a sampled answer of so many shows whether the word has ended."""
        if self.whole_words:
            return max(map(len, self.plain)) + 1
        every = [f"{word}_" for name in self.names for word in words(name)]
        return sum(max(map(len, _ids(self._tokenizer, texts))) for texts in (openings(), every)) + 1

    def moves(self, text: str) -> Moves:
        """What each token does after ``text``; worked out once a text."""
        if text not in self._moves:
            onward: list[int] = []
            texts: list[str] = []
            ends: dict[int, list[int]] = defaultdict(list)
            first = bisect_left(self._starts, text)
            for start in self._starts[first : bisect_left(self._starts, text + _LAST, first)]:
                rest = start[len(text) :]
                if rest:
                    found = self._adding.get(rest, [])
                    onward += found
                    texts += [start] * len(found)
                if start in self._owners:
                    ends[self._owners[start]] += self._ending.get(rest, [])
            told = {place: torch.tensor(tokens) for place, tokens in ends.items() if tokens}
            self._moves[text] = Moves(torch.tensor(onward, dtype=torch.long), texts, told)
        return self._moves[text]


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return found


def _texts(tokenizer: PreTrainedTokenizerBase, before: list[int]) -> dict[int, str]:
    """What each token adds to a text that ends with a word: decoded alone, many lose the blank they begin with."""
    tokens = sorted(tokenizer.get_vocab().values())
    head = str(tokenizer.decode(before))
    return dict(
        zip(tokens, (t.removeprefix(head) for t in tokenizer.batch_decode([[*before, n] for n in tokens])), strict=True)
    )


class Found(NamedTuple):
    """How likely answers give names.

    Attributes:
        probability: (prompts, names) float64 on the CPU.
        missed: (prompts,) float64: a row is short of the truth by at most this, all names together.
    """

    probability: Tensor
    missed: Tensor


@torch.inference_mode()
def name_probabilities(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    spellings: Spellings,
    *,
    floor: float = 1e-6,
    batch_size: int = 64,
) -> Found:
    """P(the answer gives the name | prompt), under the model's untempered distribution.

    With subwords, all spellings of a form are added up, the tokenizer's own and others that a model may sample. A prompt is read
    once, and what goes on from it shares its cache. Half a character after a name, of a tokenizer of bytes, counts as the word's end.

    Args:
        prompts: ids of each prompt, none empty.
        floor: beginnings of answers that are less likely than this are not followed. Unused where tokens are whole words.
        batch_size: beginnings at once.
    """
    if spellings.whole_words:
        exact = answer_probabilities(model, prompts, spellings.plain)
        return Found(exact, torch.zeros(len(prompts), dtype=torch.float64))
    found = Found(
        torch.zeros(len(prompts), len(spellings.names), dtype=torch.float64),
        torch.zeros(len(prompts), dtype=torch.float64),
    )
    for row, prompt in enumerate(prompts):
        cache = DynamicCache(config=model.config)
        walk = _Walk(model, spellings, found.probability[row], found.missed[row], floor, batch_size)
        walk.go(cache, torch.tensor([list(prompt)]), [("", 1.0)])
    return found


class _Walk(NamedTuple):
    """All ways on from one prompt, the likely ones followed; what is found is added to ``probability`` and ``missed``."""

    model: PreTrainedModel
    spellings: Spellings
    probability: Tensor
    missed: Tensor
    floor: float
    batch_size: int

    def go(self, cache: DynamicCache, ids: Tensor, answers: list[tuple[str, float]]) -> None:
        """Read ``ids`` (answers, tokens) on top of the cache, and go on.

        Args:
            answers: the text of each that ``ids`` end with, and how likely an answer begins so.
        """
        device = self.model.device
        out = self.model(input_ids=ids.to(device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        after = out.logits[:, -1].double().softmax(-1).cpu()
        further: list[tuple[int, int, str, float]] = []
        for row, (text, reached) in enumerate(answers):
            onward, texts, ends = self.spellings.moves(text)
            for place, tokens in ends.items():
                # A tokenizer may know tokens that the model has no weights for, and never samples.
                tokens = tokens[tokens < after.shape[1]]
                self.probability[place] += reached * after[row, tokens].sum()
            texts = [text for text, token in zip(texts, onward.tolist(), strict=True) if token < after.shape[1]]
            onward = onward[onward < after.shape[1]]
            likely = reached * after[row, onward]
            followed = likely >= self.floor
            self.missed.add_(likely[~followed].sum())
            for n in followed.nonzero().squeeze(-1).tolist():
                further.append((row, int(onward[n]), texts[n], float(likely[n])))
        for start in range(0, len(further), self.batch_size):
            rows, chosen, *answered = zip(*further[start : start + self.batch_size], strict=True)
            # The last batch may have the cache itself.
            own = cache if start + self.batch_size >= len(further) else copy.deepcopy(cache)
            own.batch_select_indices(torch.tensor(rows, device=device))
            self.go(own, torch.tensor(chosen).unsqueeze(1), list(zip(*answered, strict=True)))
