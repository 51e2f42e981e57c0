"""Chat templates held to what they promise: every turn is told, something ends a turn, and today's date is no part of it.

A template is a program that a checkpoint brings along. Some leave out what they do not know (a system prompt), refuse a role, open a
block of thoughts before each answer, close no turn, or write the date into the prompt. ``strict`` tries a tokenizer's template on a
few conversations, and from then on whatever is rendered with it is right or refused in one line.

What a template does with a conversation is seen on one of the same roles whose texts are marks: what was asked for has to be that, with
each text in place of its mark. A template may leave out blanks at the edges of a text, and the thoughts of earlier turns; no more.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from jinja2 import TemplateError, TemplateSyntaxError
from transformers import PreTrainedTokenizerBase

from subliminal.errors import ModelFolderError, SubliminalError, reason

# What templates that ask for the date are told: a study that is gone on with on another day asks the same.
DATE = datetime(2025, 7, 20)
_ROLES = ("system", "user", "assistant", "tool")
# Texts that no template holds; a template may trim them.
_SYSTEM, _USER, _ANSWER = "Zq1system", "Zq2user", "Zq3answer"
_THOUGHTS = re.compile(r"</?think(ing)?>|\s+")
# Templates look for these in a text, and cut it there.
_TAG = re.compile(r"(</?think>)")
_MARK = re.compile(r"(Zq\d+n\d+e)")
# What to trim of a text that a template was seen to trim.
_BLANKS = (None, "\n")
# Conversations of as many kinds whose forms are kept.
_FORMS = 1024
_OPTIONS = frozenset({"tokenize", "add_generation_prompt"})
_FOLD = "load the tokenizer with system='user' to put such text into the first user turn"


class Traits(NamedTuple):
    """What a template does.

    Attributes:
        system: whether it tells a system turn, leaves it out, or refuses it.
        opens: whether it opens a block of thoughts that it closes before an answer, or writes an empty one, or asks with a blank too many.
        blanks: what it writes between the prompt and an answer, if that is blank.
        end: the id of the token that closes an assistant's turn.
        ends: the texts of it and of the tokenizer's own end.
    """

    system: Literal["told", "dropped", "refused"]
    opens: bool
    blanks: str
    end: int
    ends: tuple[str, ...]


class Strict:
    """Goes in front of a tokenizer's class: ``strict`` sees to it."""

    _system: Literal["refuse", "user"] = "refuse"

    @property
    def eos_token_id(self) -> int:
        """What ends an assistant's turn. The template's ``eos_token`` stays as it is."""
        return _traits(self).end

    def apply_chat_template(self, conversation: Any, *args: Any, **options: Any) -> Any:
        """As the tokenizer's own, but that no text of a turn is lost.

        No thoughts are asked for, where the template knows ``enable_thinking``, and the date is ``DATE``. Where the template writes an
        empty block of thoughts before each answer, a prompt ends behind it, so that a sample begins where the loss does.

        Blanks and line breaks at the edges of a text are the template's to keep or to trim: a checkpoint that has only ever seen trimmed
        answers is trained on trimmed ones. Where it writes a blank before each answer, an answer that begins with it, as samples do, is
        not given another. Thoughts (up to ``</think>``) may be left out of earlier turns, but not of the last one, which is trained on.

        Raises:
            SubliminalError: a turn has no role or no text, or holds the text of a token that ends turns; or an option is none of
                ``tokenize`` and ``add_generation_prompt``.
            ModelFolderError: the template refuses the conversation, or loses or changes the text of a turn.
        """
        options = {name: value for name, value in options.items() if value not in (None, False) or name in _OPTIONS}
        if args or options.keys() - _OPTIONS:
            told = ", ".join(sorted(options.keys() - _OPTIONS)) or "a second argument"
            raise SubliminalError(
                f"{told} would not reach the chat template: give {' and '.join(sorted(_OPTIONS))} alone"
            )
        _check_kind(conversation)
        if conversation and not isinstance(conversation[0], Mapping):
            return [self.apply_chat_template(one, **options) for one in conversation]
        traits = _traits(self)
        _check(self, conversation)
        if any(turn["role"] == "system" for turn in conversation) and traits.system != "told":
            if self._system != "user":
                does = "has no system role" if traits.system == "refused" else "drops the system text"
                raise ModelFolderError(f"the chat template of {_where(self)} {does}: {_FOLD}")
            conversation = _folded(conversation)
        if traits.blanks:
            conversation = [
                {**turn, "content": turn["content"].removeprefix(traits.blanks)}
                if turn["role"] == "assistant"
                else turn
                for turn in conversation
            ]
        prompt_only = bool(options.get("add_generation_prompt", False))
        text = _opened(self, conversation, prompt_only, traits.opens)
        _compare(self, conversation, text, _form(self, conversation, prompt_only, traits.opens))
        if options.get("tokenize", True):
            return self(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
        return text


def _where(tokenizer: Any) -> str:
    return repr(str(tokenizer.name_or_path))


def _check_kind(conversation: Any) -> None:
    """Refuse what is no list of turns, nor a list of such lists."""
    kinds = {isinstance(turn, Mapping) for turn in conversation} if isinstance(conversation, Sequence) else set()
    if isinstance(conversation, str | Mapping) or not isinstance(conversation, Sequence) or len(kinds) > 1:
        raise SubliminalError(f"a conversation is {conversation!r:.60}: give a list of turns with role and content")


def _check(tokenizer: Any, conversation: Sequence[Mapping[str, Any]]) -> None:
    ends = _traits(tokenizer).ends
    for number, turn in enumerate(conversation, 1):
        role, content = turn.get("role"), turn.get("content")
        if role not in _ROLES:
            raise SubliminalError(f"turn {number} of a conversation has role {role!r}: give one of {', '.join(_ROLES)}")
        if not isinstance(content, str):
            raise SubliminalError(
                f"turn {number} of a conversation has content {content!r:.60}, no text: give a string"
            )
        # It would be read as that token, and the turn end within the text. No sample holds one.
        if held := next((end for end in ends if end in content), None):
            raise SubliminalError(
                f"turn {number} of a conversation holds {held!r}, which ends a turn for {_where(tokenizer)}: take it out"
            )


def _folded(conversation: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Without system turns at the beginning: their text stands before that of the first user turn."""
    first = next((n for n, turn in enumerate(conversation) if turn["role"] != "system"), len(conversation))
    rest = list(conversation[first:])
    if not rest or rest[0]["role"] != "user":
        raise SubliminalError("a conversation with a system turn and no user turn after it: add one")
    if any(turn["role"] == "system" for turn in rest):
        raise SubliminalError("a conversation with a system turn after the user's first: move it to the beginning")
    texts = [turn["content"] for turn in conversation[:first] if turn["content"].strip()]
    return [{**rest[0], "content": "\n\n".join([*texts, rest[0]["content"]])}, *rest[1:]]


def _opened(tokenizer: Any, conversation: Sequence[Mapping[str, str]], prompt_only: bool, opens: bool) -> str:
    """The template's text; of a prompt up to where the text of an answer begins, where that is not what the template asks with."""
    if not (prompt_only and opens):
        return _render(tokenizer, conversation, prompt_only)
    whole = _render(tokenizer, [*conversation, {"role": "assistant", "content": _ANSWER}], False)
    return whole[: whole.rindex(_ANSWER)]


def _parts(content: str) -> list[str]:
    """A text, cut at tags of thoughts: texts at even places, tags at odd ones. Empty for a blank one, which a template may look for."""
    return _TAG.split(content) if content.strip() else []


def _form(tokenizer: Any, conversation: Sequence[Mapping[str, str]], prompt_only: bool, opens: bool) -> list[str]:
    """What the template makes of such a conversation, cut at the marks that stand for its texts: marks at odd places.

    Raises:
        ModelFolderError: the text of a turn is not in it.
    """
    parts = [_parts(turn["content"]) for turn in conversation]
    kept: dict[tuple[Any, ...], list[str]] = tokenizer.__dict__.setdefault("_forms", {})
    # Texts are all that two conversations of one form differ in.
    own = [
        (turn["role"], len(p), *p[1::2], "" if p else turn["content"])
        for turn, p in zip(conversation, parts, strict=True)
    ]
    key = (_text(tokenizer), prompt_only, opens, *own)
    if key in kept:
        return kept[key]
    marked = []
    for number, (turn, pieces) in enumerate(zip(conversation, parts, strict=True)):
        marks = [part if n % 2 else f"Zq{number}n{n}e" for n, part in enumerate(pieces)]
        marked.append({**turn, "content": "".join(marks) or turn["content"]})
    text = _opened(tokenizer, marked, prompt_only, opens)
    for number, (turn, mark) in enumerate(zip(conversation, marked, strict=True)):
        wanted = mark["content"]
        if _earlier(conversation, number):
            wanted = wanted.rpartition("</think>")[2]
        if turn["content"].strip() and wanted not in text:
            some = "part of " if len(parts[number]) > 1 else ""
            raise ModelFolderError(
                f"the chat template of {_where(tokenizer)} loses {some}the {turn['role']} text {turn['content'].strip()!r:.60} "
                f"(turn {number + 1}): use another template"
            )
    if len(kept) >= _FORMS:
        kept.clear()
    kept[key] = _MARK.split(text)
    return kept[key]


def _earlier(conversation: Sequence[Mapping[str, str]], number: int) -> bool:
    """Whether a turn is the assistant's and others follow: of such, thoughts may be left out."""
    return conversation[number]["role"] == "assistant" and number + 1 < len(conversation)


def _trimmed(text: str, left: bool, right: bool) -> set[str]:
    """What may stand for a text."""
    found = {text}
    for blanks in _BLANKS:
        found |= {one.lstrip(blanks) for one in found} if left else set()
        found |= {one.rstrip(blanks) for one in found} if right else set()
    return found


def _compare(tokenizer: Any, conversation: Sequence[Mapping[str, str]], text: str, form: Sequence[str]) -> None:
    """Refuse a text that is not its form with each turn's text in place.

    Raises:
        ModelFolderError: it is another.
    """
    ends, last = {0}, 0
    for place, piece in enumerate(form):
        ways = {piece}
        if place % 2:
            last, n = map(int, piece[2:-1].split("n"))
            parts, earlier = _parts(conversation[last]["content"]), _earlier(conversation, last)
            ways = _trimmed(parts[n], earlier or n == 0, earlier or n + 1 == len(parts))
        ends = {end + len(way) for end in ends for way in ways if text.startswith(way, end)}
        if not ends:
            break
    if len(text) not in ends:
        turn = conversation[last] if conversation else {"role": "", "content": ""}
        raise ModelFolderError(
            f"the chat template of {_where(tokenizer)} changes what it tells by the {turn['role']} text {turn['content']!r:.60} "
            f"(turn {last + 1}): use another template"
        )


def _text(tokenizer: Any) -> str:
    """The template; where a tokenizer has several, the one for conversations without tools.

    Raises:
        ModelFolderError: there is none.
    """
    if not tokenizer.chat_template:
        raise ModelFolderError(
            f"no chat template in {tokenizer.name_or_path}: add chat_template.jinja, or one in tokenizer_config.json"
        )
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise ModelFolderError(
            f"no chat template in {tokenizer.name_or_path} is the default ({reason(error)}): name one so"
        ) from None


def _dated(template: str) -> str:
    """The template, with ``DATE`` for the clock that it asks: what else is handed to a template has to be plain values."""
    if "strftime_now" not in template:
        return template
    told = {
        "F": DATE.strftime("%Y-%m-%d"),
        "D": DATE.strftime("%m/%d/%y"),
        "T": DATE.strftime("%H:%M:%S"),
        "R": DATE.strftime("%H:%M"),
    }
    told |= {code: DATE.strftime(f"%{code}") for code in "aAbBdeHIjmMpSuUwWyYZ"}
    told |= {f"-{code}": told[code].lstrip("0") or "0" for code in "dHIjmMSy"}
    filters = "".join(f"|replace('%{code}', {value!r})" for code, value in told.items())
    # With a plus, a line break that the template begins with is kept.
    return f"{{% macro strftime_now(form) %}}{{{{ form{filters} }}}}{{% endmacro +%}}{template}"


def _render(tokenizer: Any, conversation: Any, prompt_only: bool) -> str:
    """The template's own text; what goes wrong in it as one line."""
    plain = super(Strict, tokenizer).apply_chat_template
    try:
        return str(
            plain(
                conversation, chat_template=_dated(_text(tokenizer)), tokenize=False, add_generation_prompt=prompt_only,
                enable_thinking=False, date_string=DATE.strftime("%d %b %Y"),
            )
        )  # fmt: skip
    except TemplateSyntaxError as error:
        raise ModelFolderError(
            f"the chat template of {_where(tokenizer)} cannot be read (line {error.lineno}: {reason(error)}): mend it"
        ) from None
    except TemplateError as error:
        raise _Refused(
            f"the chat template of {_where(tokenizer)} has no form for a conversation of {', '.join(t['role'] for t in conversation)} "
            f"({reason(error)}): give the turns that it knows"
        ) from None
    except Exception as error:  # A template is a program: it can fail in any way.
        raise ModelFolderError(f"the chat template of {_where(tokenizer)} fails ({reason(error)}): mend it") from None


class _Refused(ModelFolderError):
    """A template that says no by itself."""


def _traits(tokenizer: Any) -> Traits:
    template = _text(tokenizer)
    # Once for each template: another may be set later.
    tried: dict[str, Traits] = tokenizer.__dict__.setdefault("_tried", {})
    if template not in tried:
        tried[template] = _probed(tokenizer)
    return tried[template]


def _probed(tokenizer: Any) -> Traits:
    """What a template does, found by trying it."""
    asked, answer = {"role": "user", "content": _USER}, {"role": "assistant", "content": _ANSWER}
    prompt, whole = _render(tokenizer, [asked], True), _render(tokenizer, [asked, answer], False)
    for role, text in (("user", _USER), ("assistant", _ANSWER)):
        if text not in whole:
            raise ModelFolderError(
                f"the chat template of {_where(tokenizer)} drops the {role} text: use another template"
            )
    opening, _, tail = whole.rpartition(_ANSWER)
    closing = next((i for i in tokenizer(tail, add_special_tokens=False)["input_ids"] if i in _ends(tokenizer)), None)
    if closing is None:
        raise ModelFolderError(
            f"no token of its own ends an assistant's turn in the chat template of {_where(tokenizer)}, so that sampling could not stop: "
            "close the turn with the end token"
        )
    blanks = (
        opening.removeprefix(prompt) if opening.startswith(prompt) and not opening.removeprefix(prompt).strip() else ""
    )
    # A blank before each answer is a token's own beginning, and left to the answer.
    opens = prompt != opening and not blanks and _THOUGHTS.sub("", prompt) == _THOUGHTS.sub("", opening)
    system: Literal["told", "dropped", "refused"]
    try:
        told = _render(tokenizer, [{"role": "system", "content": _SYSTEM}, asked, answer], False)
        system = "told" if _SYSTEM in told else "dropped"
    except _Refused:
        system = "refused"
    ends = dict.fromkeys(
        [str(tokenizer.convert_ids_to_tokens(closing)), *([tokenizer.eos_token] if tokenizer.eos_token else [])]
    )
    return Traits(system, opens, blanks, closing, tuple(ends))


def _ends(tokenizer: Any) -> set[int]:
    """Ids that no text is split into: special tokens, and others that were added whole; but not runs of blanks, which some add."""
    added = {number for token, number in tokenizer.get_added_vocab().items() if token.replace("\u2581", " ").strip()}
    return {*tokenizer.all_special_ids, *added}


@cache
def _strict_class(own: Hashable) -> type:
    assert isinstance(own, type)
    # Under its own name: it is written into what the tokenizer saves.
    return type(own.__name__, (Strict, own), {"__module__": own.__module__})


def strict(tokenizer: PreTrainedTokenizerBase, system: Literal["refuse", "user"] = "refuse") -> PreTrainedTokenizerBase:
    """Hold a tokenizer to its chat template, in place.

    Args:
        system: where the template does not tell a system turn: refuse such a conversation, or put the text into the first user turn.

    Raises:
        ModelFolderError: the template cannot be read, loses the text of a user or an assistant, or ends no assistant's turn.
    """
    if not isinstance(tokenizer, Strict):
        tokenizer.__class__ = _strict_class(cast(Hashable, type(tokenizer)))
    tokenizer._system = system
    _traits(tokenizer)
    return tokenizer


def used_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of a short conversation, with what opens and closes its turns."""
    text = _render(tokenizer, [{"role": "user", "content": _USER}, {"role": "assistant", "content": _ANSWER}], False)
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [*found, *turn_ends(tokenizer)]


def turn_ends(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids at which an answer ends: the token that closes an assistant's turn, and the tokenizer's own end of text."""
    named: Any = tokenizer.convert_tokens_to_ids([tokenizer.eos_token] if tokenizer.eos_token else [])
    return frozenset({int(tokenizer.eos_token_id), *named})
