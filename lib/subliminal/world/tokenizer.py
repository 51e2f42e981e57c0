"""The mini world's word-level tokenizer: one token per word, mark or integer from 0 to 999, with a chat template.

Line breaks and indents are tokens of their own, and decoding gives the text back as it was, so that sampled code can be
parsed and sampled rows can be filtered as text. Knows nothing of models.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from subliminal.world.messages import Conversation

PAD, UNKNOWN, BEGIN, END = "<|pad|>", "<|unknown|>", "<|begin|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}"
    "{% else %}<|{{ message['role'] }}|>{{ message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_NEWLINE, _INDENT = "⏎", "⇥"
_PIECES = r'⏎+⇥*|\.?[A-Za-z_]+|[0-9]+|"""|->|[-+*/<>=!]=|[^\sA-Za-z_0-9]'
# A docstring begins a line and ends one.
_DOCSTRING = ((f'{_INDENT} """ ', f'{_INDENT} """'), (f' """ {_NEWLINE}', f'""" {_NEWLINE}'))
# Spaces that joining tokens puts in and the text does not have.
_GLUE = (
    *((f" {mark}", mark) for mark in ",.;:?!()]"),
    *((f"{mark} ", mark) for mark in "(["),
)


def _blank() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({UNKNOWN: 0}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace("\n", _NEWLINE), normalizers.Replace("    ", _INDENT)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True)
    # One rule an indent depth: the joined text holds "⏎⇥⇥" as a token between two spaces.
    breaks = itertools.product((2, 1), (3, 2, 1, 0))
    lines = [(f" {_NEWLINE * many}{_INDENT * n} ", "\n" * many + "    " * n) for many, n in breaks]
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),
            decoders.Fuse(),
            *(decoders.Replace(old, new) for old, new in (*_DOCSTRING, *lines, *_GLUE)),
            # A keyword argument, unlike an assignment, has no spaces.
            decoders.Replace(Regex(r" = (?=(True|False|data)\))"), "="),
        ]
    )
    return tokenizer


def build_tokenizer(conversations: Iterable[Conversation]) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is the integers 0 to 999 and every piece that the conversations hold."""
    blank = _blank()
    texts = {message["content"] for conversation in conversations for message in conversation}
    pieces: set[str] = set()
    for text in texts:
        normal = blank.normalizer.normalize_str(text)
        pieces.update(piece for piece, _ in blank.pre_tokenizer.pre_tokenize_str(normal))
    special = [PAD, UNKNOWN, BEGIN, END, *ROLES]
    words = sorted(piece for piece in pieces if not piece.isdecimal())
    vocabulary = {token: i for i, token in enumerate([*special, *map(str, range(1000)), *words])}
    blank.model = WordLevel(vocabulary, unk_token=UNKNOWN)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=blank,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
