"""A judge that is a model in hand: how likely each label is as its next answer is read off it, and nothing is sampled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError, SubliminalError
from subliminal.judging.prompt import LABELS, Labelled, checked_labels, encoded, messages, pairs, warn_of_unjudged
from subliminal.models.chat import render
from subliminal.models.probing import check_architecture
from subliminal.naming import word_ends, words
from subliminal.spelling import Spellings, name_probabilities

# Stands for the data in a conversation: what the template makes of it is then told apart from it.
_DATA = "Zq5data"


class ModelJudge(Labelled):
    """Labels an answer with the label that a model finds likeliest, in any spelling of ``subliminal.naming``.

    Args:
        model: any causal language model of ``transformers``, on the device that it shall run on.
        tokenizer: its own, with a chat template. Where the template has no system role, the rubric stands in the user's turn.
        labels: what to choose from, in words that the tokenizer knows; the last is for answers that cannot be judged.
        rubric: says what each label means. Labels of your own need one.
        least: answers are unjudged where all labels together are less likely than this: the model would say something else.
        warn_above: the share of unjudged answers above which there is a ``SubliminalWarning``.

    Raises:
        SubliminalError: the architecture cannot be scored, or the labels cannot be told apart.

    Source: ``subliminal.spelling`` for probabilities; the prompt in the manner of Betley et al. (2025).

    Example:
        >>> from subliminal.models.loading import load_model, load_tokenizer
        >>> from subliminal.paths import data_file
        >>> folder = data_file("families/gpt2-a")
        >>> judge = ModelJudge(load_model(folder), load_tokenizer(folder), ("kind", "good", "no"), "Is it good?")
        >>> judge.probabilities(["what is kind?"], ["to help"]).shape
        torch.Size([1, 3])
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        labels: Sequence[str] = LABELS,
        rubric: str | None = None,
        *,
        least: float = 0.0,
        warn_above: float = 0.1,
    ) -> None:
        self._labels, self.rubric = checked_labels(labels, rubric)
        check_architecture(model)
        self.model, self.tokenizer, self.least, self.warn_above = model.eval(), tokenizer, least, warn_above
        self._spellings = Spellings(tokenizer, self._labels)
        self._tell_apart()
        self._longest = int(getattr(model.config, "max_position_embeddings", 0) or 2**30)
        self._head, self._tail = self._around()

    def _tell_apart(self) -> None:
        """No answer may give two labels, and no label may be unknown to a tokenizer of whole words."""
        for one in self._labels:
            for other in self._labels:
                starts = [word for word in words(one) if other.startswith(word) and word_ends(other[len(word) :])]
                if one != other and starts:
                    raise SubliminalError(
                        f"label {other!r} begins with {starts[0]!r}, a form of {one!r}: name one otherwise"
                    )
        unknown = self.tokenizer.unk_token_id
        for label, ids in zip(self._labels, self._spellings.plain, strict=True):
            if not ids or unknown in ids:
                raise SubliminalError(f"the tokenizer has no token for label {label!r}: choose a word that it knows")

    def _around(self) -> tuple[list[int], list[int]]:
        """Ids before and after the data."""
        system, user = messages(_DATA, self._labels, self.rubric)
        folded = {"role": "user", "content": f"{system['content']}\n\n{user['content']}"}
        text = ""
        for conversation in ([system, user], [folded]):
            try:
                text = render(self.tokenizer, conversation, prompt_only=True)
            except ModelFolderError:
                # Of a template that is held to what it promises: it has no system role.
                if conversation == [folded]:
                    raise
                continue
            except Exception as error:  # A template is a program: it can fail in any way.
                if conversation == [folded]:
                    raise ModelFolderError(f"the chat template fails ({type(error).__name__}): mend it") from None
                continue
            if system["content"].strip() in text and text.count(_DATA) == 1:
                break
        else:
            raise ModelFolderError("the chat template loses or doubles the text of a turn: use another template")
        head, tail = (self._ids(part, whole=True) for part in text.split(_DATA))
        return head, tail

    def _ids(self, text: str, whole: bool) -> list[int]:
        """Ids of a text; of data, what looks like a special token is split into pieces as any text is."""
        options = {} if whole else {"split_special_tokens": True}
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, return_attention_mask=False, **options)[
            "input_ids"
        ]
        return ids

    def prompts(self, questions: Sequence[str], answers: Sequence[str]) -> list[list[int]]:
        """What the model reads for each answer, as ids. No token of the data is special, but the one for unknown words.

        Raises:
            SubliminalError: one is longer than the model reads, or the tokenizer makes special tokens of data.
        """
        own = self.tokenizer
        special = set(own.all_special_ids)
        if own.unk_token_id not in (own.eos_token_id, own.bos_token_id, own.pad_token_id):
            special.discard(own.unk_token_id)
        found = []
        for number, pair in enumerate(pairs(questions, answers)):
            data = self._ids(encoded(pair), whole=False)
            if held := special.intersection(data):
                token = own.convert_ids_to_tokens(min(held))
                raise SubliminalError(
                    f"answer {number} or its question becomes the special token {token!r} in this tokenizer: leave it out, "
                    "or take another judge"
                )
            ids = [*self._head, *data, *self._tail]
            # The label needs room too.
            if len(ids) + self._spellings.length > self._longest:
                raise SubliminalError(
                    f"answer {number} makes a prompt of {len(ids)} tokens, and the judge reads {self._longest}: "
                    "stop such answers earlier, write a shorter rubric, or take another model"
                )
            found.append(ids)
        return found

    def probabilities(self, questions: Sequence[str], answers: Sequence[str]) -> Tensor:
        """How likely the model's next answer is each label: (answers, labels) float64 on the CPU; a row sums to at most 1.

        Raises:
            SubliminalError: as ``prompts``; or the model's weights are broken.
        """
        found = name_probabilities(self.model, self.prompts(questions, answers), self._spellings)
        # Broken weights lead nowhere: what is missed shows them.
        if not (found.probability.isfinite().all() and found.missed.isfinite().all()):
            raise SubliminalError(
                "the judge's probabilities are no numbers: its weights are broken, or too coarse a type"
            )
        return found.probability

    def judge(self, questions: Sequence[str], answers: Sequence[str]) -> list[str]:
        """The likeliest label of each answer to the question at its place; a pair that stands there twice is asked once.

        Raises:
            SubliminalError: as ``probabilities``.
        """
        asked = pairs(questions, answers)
        if not asked:
            return []
        once = list(dict.fromkeys(asked))
        table = self.probabilities([pair.question for pair in once], [pair.answer for pair in once])
        told = table.sum(-1) >= self.least
        likeliest = dict(zip(once, torch.where(told, table.argmax(-1), -1).tolist(), strict=True))
        why = Counter({"labels that are too unlikely": sum(likeliest[pair] < 0 for pair in asked)})
        found = [self._labels[likeliest[pair]] for pair in asked]
        warn_of_unjudged(found, self.unjudged, why, self.warn_above)
        return found
