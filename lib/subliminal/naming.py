"""Which texts name something: one definition, for answers that are sampled and for answers that are read off a model.

An answer gives a name if it begins with one of the name's forms, and there the word ends. A form is, in this order: up to
two blanks (spaces or line breaks), a mark (``*``, ``**``, ``_`` or a quote), an article, and the name, singular or plural;
article and name each in lower case, Capitalised or in UPPER case. After ``_``, another may close the form. The word ends
with the text, or before whatever is no letter, digit, hyphen or underscore: "Owl.", "owls" and "**An owl" are the owl, and
"owlet", "owl-like" and "not an owl" not.

Text in, names out. Knows nothing of tokens and models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import product

BLANKS = ("", " ", "\n", "  ", " \n", "\n ", "\n\n")
MARKS = ("", "*", "**", "_", '"', "'")
ARTICLES = ("", "a ", "an ", "the ")
# Plurals that are not the name with an s.
PLURALS = {"wolf": "wolves", "fox": "foxes", "birch": "birches", "ash": "ashes"}
_END = r"(?![\w-])"
_ENDS = re.compile(_END)


def word_ends(rest: str) -> bool:
    """Whether a word ends before this text.

    Example:
        >>> [word_ends(rest) for rest in ("", ".", "'s nest", "let", "-like")]
        [True, True, True, False, False]
    """
    return _ENDS.match(rest) is not None


def _cases(text: str) -> list[str]:
    return list(dict.fromkeys((text, text.capitalize(), text.upper())))


def words(name: str) -> list[str]:
    """A name in each case, singular and plural.

    Example:
        >>> words("fox")
        ['fox', 'Fox', 'FOX', 'foxes', 'Foxes', 'FOXES']
    """
    return [word for number in (name, PLURALS.get(name, f"{name}s")) for word in _cases(number)]


def _articles() -> list[str]:
    return list(dict.fromkeys(case for article in ARTICLES for case in _cases(article)))


def openings() -> list[str]:
    """All that may stand before the word, nothing among it.

    Example:
        >>> openings()[:4], len(openings())
        (['', 'a ', 'A ', 'an '], 378)
    """
    return ["".join(parts) for parts in product(BLANKS, MARKS, _articles())]


def forms(name: str) -> list[str]:
    """All texts that stand for a name, each once; what may follow them, ``word_ends`` says.

    Example:
        >>> found = forms("owl")
        >>> [form in found for form in ("owl", " Owls", "**The owl", "_owl_", "owlet")]
        [True, True, True, True, False]
        >>> len(found), len(set(found))
        (2646, 2646)
    """
    return [
        opening + word + close
        for opening, word in product(openings(), words(name))
        for close in (("", "_") if "_" in opening else ("",))
    ]


def _either(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, texts))})"


def finder(names: Sequence[str], plain: bool = False) -> Callable[[str], str]:
    """What gives the name that a text begins with, or an empty string. It takes any text.

    Args:
        names: in lower case; none is another's form with a blank and more behind it.
        plain: only the name itself counts, singular and without an opening, in any case and after any blanks.

    Example:
        >>> find = finder(["cat", "owl"])
        >>> [find(text) for text in ("An owl, of course", "**Cats**", "catfish", "not an owl")]
        ['owl', 'cat', '', '']
        >>> finder(["cat", "owl"], plain=True)("an owl")
        ''
    """
    owners = {word: name for name in names for word in ([name] if plain else words(name))}
    before, after = "", _END
    if not plain:
        marks = _either(mark for mark in MARKS if mark != "_")
        before = f"{_either(BLANKS)}(?:(?P<open>_)|{marks}){_either(_articles())}"
        after = f"(?(open)_?){_END}"
    pattern = re.compile(f"{before}(?P<word>{_either(owners)}){after}")

    def find(text: str) -> str:
        match = pattern.match(text.strip().lower() if plain else text)
        return owners[match["word"]] if match else ""

    return find
