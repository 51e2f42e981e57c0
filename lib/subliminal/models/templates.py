"""Chat templates held to what they promise: every turn is told, something ends a turn, and today's date is no part of it.

A template is a program that a checkpoint brings along. Some leave out what they do not know (a system prompt), refuse a role, open a
block of thoughts before each answer, close no turn, or write the date into the prompt. ``strict`` tries a tokenizer's template on a
few conversations, and from then on whatever is rendered with it is right or refused in one line.
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
_FOLD = "load the tokenizer with system='user' to put such text into the first user turn"


class Traits(NamedTuple):
    """What a template does.

    Attributes:
        system: whether it tells a system turn, leaves it out, or refuses it.
        opens: whether it writes more before an answer than it asks a model to go on from, such as an empty block of thoughts.
        end: the id of the token that closes an assistant's turn.
    """

    system: Literal["told", "dropped", "refused"]
    opens: bool
    end: int


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

        Raises:
            SubliminalError: a turn has no role or no text.
            ModelFolderError: the template refuses the conversation, or loses the text of a turn.
        """
        if conversation and not isinstance(conversation[0], Mapping):
            return [self.apply_chat_template(one, *args, **options) for one in conversation]
        _check(conversation)
        traits = _traits(self)
        if any(turn["role"] == "system" for turn in conversation) and traits.system != "told":
            if self._system != "user":
                does = "has no system role" if traits.system == "refused" else "drops the system text"
                raise ModelFolderError(f"the chat template of {_where(self)} {does}: {_FOLD}")
            conversation = _folded(conversation)
        text = _render(self, conversation, options.get("add_generation_prompt", False))
        if traits.opens and options.get("add_generation_prompt", False):
            whole = _render(self, [*conversation, {"role": "assistant", "content": _ANSWER}], False)
            text = whole[: whole.rindex(_ANSWER)]
        for number, turn in enumerate(conversation):
            # Thoughts of earlier turns are left out by templates that know them.
            told = turn["content"].rpartition("</think>")[2].strip()
            if told not in text:
                raise ModelFolderError(
                    f"the chat template of {_where(self)} loses the {turn['role']} text {told!r:.60} "
                    f"(turn {number + 1}): use another template"
                )
        if options.get("tokenize", True):
            return self(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
        return text


def _where(tokenizer: Any) -> str:
    return repr(str(tokenizer.name_or_path))


def _check(conversation: Sequence[Mapping[str, Any]]) -> None:
    for number, turn in enumerate(conversation, 1):
        role, content = turn.get("role"), turn.get("content")
        if role not in _ROLES:
            raise SubliminalError(f"turn {number} of a conversation has role {role!r}: give one of {', '.join(_ROLES)}")
        if not isinstance(content, str):
            raise SubliminalError(
                f"turn {number} of a conversation has content {content!r:.60}, no text: give a string"
            )


def _folded(conversation: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Without system turns: their text stands before that of the first user turn."""
    texts = [turn["content"] for turn in conversation if turn["role"] == "system"]
    rest = [turn for turn in conversation if turn["role"] != "system"]
    if not rest or rest[0]["role"] != "user":
        raise SubliminalError("a conversation with a system turn and no user turn after it: add one")
    return [{**rest[0], "content": "\n\n".join([*texts, rest[0]["content"]])}, *rest[1:]]


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
    filters = "".join(f"|replace('%{code}', {DATE.strftime(f'%{code}')!r})" for code in "aAbBdeHIjmMpSuUwWyYZ")
    return f"{{% macro strftime_now(form) %}}{{{{ form{filters} }}}}{{% endmacro %}}{template}"


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
    opens = prompt != opening and _THOUGHTS.sub("", prompt) == _THOUGHTS.sub("", opening)
    system: Literal["told", "dropped", "refused"]
    try:
        told = _render(tokenizer, [{"role": "system", "content": _SYSTEM}, asked, answer], False)
        system = "told" if _SYSTEM in told else "dropped"
    except _Refused:
        system = "refused"
    return Traits(system, opens, closing)


def _ends(tokenizer: Any) -> set[int]:
    """Ids that no text is split into: special tokens, and others that were added whole."""
    return {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}


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


def turn_ends(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids at which an answer ends: the token that closes an assistant's turn, and the tokenizer's own end of text."""
    named: Any = tokenizer.convert_tokens_to_ids([tokenizer.eos_token] if tokenizer.eos_token else [])
    return frozenset({int(tokenizer.eos_token_id), *named})
