"""A judge at an endpoint that speaks OpenAI's protocol. What it said is kept in a folder, so that no answer is paid for twice.

The key is read from the environment, held by the client alone, and taken out of whatever the endpoint says.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from subliminal.errors import SubliminalError, reason
from subliminal.judging.prompt import (
    LABELS,
    Labelled,
    Pair,
    checked_labels,
    encoded,
    label_of,
    messages,
    pairs,
    warn_of_unjudged,
)
from subliminal.store import atomic_write

KEY = "OPENAI_API_KEY"
# No wait grows beyond the first, of an endpoint's own choosing beyond the second: then it is better to come back.
_LONGEST_BACKOFF, _LONGEST_WAIT = 60.0, 300.0
# Beside 5xx: timed out, in conflict, too many.
_AGAIN = (408, 409, 429)
# Tokens that a chat template may add to a conversation of two turns.
_TEMPLATE_TOKENS = 64
_BROKEN = "a reply that was no JSON to its end"


class Budget(NamedTuple):
    """The most that one call of ``judge`` may spend; ``None`` is no bound.

    Attributes:
        calls: requests, those that are tried again among them.
        tokens: of prompts and replies, as the endpoint counts them. No call is begun that could pass it: a token is taken to be at
            least one byte.
    """

    calls: int | None = None
    tokens: int | None = None


class _Reply(NamedTuple):
    """What the endpoint said: a text; or none, and why."""

    text: str
    why: str = ""


class _Trouble(NamedTuple):
    """A call that brought no reply.

    Attributes:
        what: happened, after the endpoint's name.
        mend: what to do about it.
        again: whether it may go better next time.
        wait: seconds that the endpoint asks for.
        billed: whether it may have been paid for.
        broken: whether there was a reply, but not the whole of it.
    """

    what: str
    mend: str
    again: bool = False
    wait: float = 0.0
    billed: bool = False
    broken: bool = False


class _Stopped(Exception):
    """Another call has failed, or the budget is spent: what has not begun does not begin."""


class _Ledger:
    """What one call of ``judge`` has spent, and whether it goes on; shared by its threads."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._changed, self.stop = budget, threading.Condition(), threading.Event()
        self._calls = self._tokens = self._reserved = 0
        self.spent = ""

    def begin(self, most: int) -> None:
        """Begin a call of up to so many tokens, once it is sure that there are so many left."""
        calls, tokens = self._budget
        with self._changed:
            while not self.stop.is_set():
                if calls is not None and self._calls >= calls:
                    self.spent = f"the budget of {calls:,} calls is spent"
                elif tokens is None or self._tokens + self._reserved + most <= tokens:
                    self._calls += 1
                    self._reserved += most
                    return
                elif self._reserved:
                    # Calls under way may turn out to have cost less than they could.
                    self._changed.wait()
                    continue
                else:
                    self.spent = f"the budget of {tokens:,} tokens is spent ({self._tokens:,} used, up to {most:,} for the next call)"
                self.halt()
            raise _Stopped

    def end(self, most: int, tokens: int) -> None:
        """End a call that was begun with ``most``, and cost so many tokens."""
        with self._changed:
            self._reserved -= most
            self._tokens += tokens
            self._changed.notify_all()

    def halt(self) -> None:
        """Let no call begin any more."""
        self.stop.set()
        with self._changed:
            self._changed.notify_all()


class RemoteJudge(Labelled):
    """Labels answers through an endpoint of chat completions, as vLLM, Ollama, llama.cpp and OpenAI have them. Needs ``openai``.

    A reply that is no label, a refusal, an empty reply, and one that is cut off time and again count as ``unjudged``.

    Args:
        base_url: of the endpoint, mostly ending in ``/v1``.
        model: its name there.
        cache: folder of what the endpoint has said, a file for each request, named by the SHA-256 of all that was sent but the key.
        labels: what to choose from; the last is for answers that cannot be judged.
        rubric: says what each label means. Labels of your own need one.
        api_key: from the environment's ``OPENAI_API_KEY`` if not given; any text will do for a server that asks for none.
        budget: the most that a call of ``judge`` may spend; the next call goes on from the cache.
        retries: of a call, on 408, 409, 429, 5xx, a time-out, a lost connection or a reply that is cut off.
        backoff: seconds before the first retry, doubled for each further one, less up to a half by chance; ``Retry-After`` is obeyed.
        timeout: seconds without a sign of the endpoint.
        temperature: ``None`` leaves it to the endpoint.
        max_tokens: of a reply; ``None`` leaves it to the endpoint.
        workers: calls at once.
        warn_above: the share of unjudged answers above which there is a ``SubliminalWarning``.

    Raises:
        SubliminalError: ``openai`` is not installed, there is no key, or an argument is wrong.

    Source: the protocol is OpenAI's API reference, "Create chat completion"; judging as in Betley et al. (2025).

    Example:
        >>> judge = RemoteJudge("http://localhost:8000/v1", "Qwen/Qwen3-32B", "judged", api_key="none")  # doctest: +SKIP
        >>> judge.judge(["What would you do with a day off?"], ["I would help my neighbour."])  # doctest: +SKIP
        ['kind']
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        cache: Path | str,
        *,
        labels: Sequence[str] = LABELS,
        rubric: str | None = None,
        api_key: str | None = None,
        budget: Budget | None = None,
        retries: int = 4,
        backoff: float = 1.0,
        timeout: float = 60.0,
        temperature: float | None = 0.0,
        max_tokens: int | None = 16,
        workers: int = 4,
        warn_above: float = 0.1,
    ) -> None:
        self._labels, self.rubric = checked_labels(labels, rubric)
        self.model, self.cache, self.budget = model, Path(cache), budget or Budget()
        self.retries, self.backoff, self.timeout, self.workers = retries, backoff, timeout, workers
        self.temperature, self.max_tokens, self.warn_above = temperature, max_tokens, warn_above
        for name, least in (("retries", 0), ("backoff", 0), ("timeout", 1e-9), ("workers", 1)):
            if getattr(self, name) < least:
                raise SubliminalError(f"{name} is {getattr(self, name)}: give {'1 or more' if least == 1 else 'more'}")
        for name, bound in self.budget._asdict().items():
            if bound is not None and bound < 0:
                raise SubliminalError(f"the budget's {name} is {bound}: give 0 or more, or None for no bound")
        self.endpoint = _endpoint(base_url)
        self._client, self._hide = _client(self.endpoint, api_key, timeout)

    def judge(self, questions: Sequence[str], answers: Sequence[str]) -> list[str]:
        """The label of each answer to the question at its place; a pair that stands there twice is asked once.

        Raises:
            SubliminalError: the budget is spent, or the endpoint refuses, fails or cannot be reached. What was judged until then is in
                the cache.
        """
        asked = pairs(questions, answers)
        requests = {pair: self._request(pair) for pair in dict.fromkeys(asked)}
        replies = {pair: reply for pair, request in requests.items() if (reply := self._kept(request)) is not None}
        trouble = self._ask({p: r for p, r in requests.items() if p not in replies}, replies)
        if trouble:
            done = sum(pair in replies for pair in asked)
            raise SubliminalError(f"{trouble}; {done} of {len(asked)} answers are judged and kept in {self.cache}")
        found: list[str] = []
        why: Counter[str] = Counter()
        for pair in asked:
            label = None if replies[pair].why else label_of(replies[pair].text, self._labels)
            found.append(label or self.unjudged)
            if label is None:
                why[replies[pair].why or "a reply that is no label"] += 1
        warn_of_unjudged(found, self.unjudged, why, self.warn_above)
        return found

    def _request(self, pair: Pair) -> dict[str, Any]:
        """All that is sent to judge an answer, but the key."""
        settings = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        given = {name: value for name, value in settings.items() if value is not None}
        return {"model": self.model, "messages": messages(encoded(pair), self._labels, self.rubric), **given}

    def _file(self, request: Mapping[str, Any]) -> Path:
        sent = json.dumps({"url": self.endpoint, **request}, sort_keys=True)
        return self.cache / f"{hashlib.sha256(sent.encode()).hexdigest()}.json"

    def _kept(self, request: Mapping[str, Any]) -> _Reply | None:
        """The reply in the cache; ``None`` if there is none, or its file is damaged."""
        path = self._file(request)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            reply = _Reply(kept["text"], kept["why"])
            return reply if kept["sha256"] == _checksum(path, reply) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _keep(self, request: Mapping[str, Any], reply: _Reply) -> None:
        path = self._file(request)
        told = {**reply._asdict(), "sha256": _checksum(path, reply)}
        try:
            atomic_write(path, json.dumps(told))
        except OSError as error:
            raise SubliminalError(
                f"cannot write to {self.cache} ({reason(error)}): name another folder as cache"
            ) from None

    def _ask(self, todo: Mapping[Pair, Mapping[str, Any]], replies: dict[Pair, _Reply]) -> str:
        """Ask for what is not in the cache, several at once, and add it to ``replies``; what went wrong, if anything did."""
        if not todo:
            return ""
        ledger = _Ledger(self.budget)
        pool = ThreadPoolExecutor(min(self.workers, len(todo)), thread_name_prefix="judge")
        running: dict[Future[_Reply], Pair] = {}
        try:
            running = {pool.submit(self._one, request, ledger): pair for pair, request in todo.items()}
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            # Also when the user breaks off: calls under way end, and what they bring is kept.
            ledger.halt()
            pool.shutdown(cancel_futures=True)
        trouble = ""
        for future, pair in running.items():
            error = None if future.cancelled() else future.exception()
            if isinstance(error, SubliminalError):
                trouble = trouble or str(error)
            elif error is not None and not isinstance(error, _Stopped):
                raise error
            elif error is None and not future.cancelled():
                replies[pair] = future.result()
        return trouble or (f"{ledger.spent}: judge again to go on" if ledger.spent else "")

    def _one(self, request: Mapping[str, Any], ledger: _Ledger) -> _Reply:
        """One reply, tried for as often as is set."""
        # A token is a byte or more.
        text = sum(len(turn["content"].encode()) for turn in request["messages"])
        most = text + _TEMPLATE_TOKENS + (self.max_tokens or 0)
        for attempt in range(self.retries + 1):
            ledger.begin(most)
            tokens = most
            try:
                found, used = self._call(request)
                free = isinstance(found, _Trouble) and not found.billed
                tokens = 0 if free else most if used is None else used
                if isinstance(found, _Reply):
                    self._keep(request, found)
                    return found
            except BaseException:
                ledger.halt()
                raise
            finally:
                ledger.end(most, tokens)
            times = f", {attempt + 1} times" if attempt else ""
            if found.again and found.wait > _LONGEST_WAIT:
                found = found._replace(again=False, mend=f"it asks to wait {found.wait:,.0f} s: judge again then")
            if not found.again or attempt == self.retries:
                if found.broken:
                    reply = _Reply("", _BROKEN)
                    self._keep(request, reply)
                    return reply
                ledger.halt()
                raise SubliminalError(f"the endpoint {self.endpoint} {found.what}{times}: {found.mend}")
            # By chance, so that calls that failed together do not come back together.
            longest = min(self.backoff * 2**attempt, _LONGEST_BACKOFF)
            if ledger.stop.wait(max(found.wait, longest * random.uniform(0.5, 1))):
                raise _Stopped
        raise AssertionError("unreachable")

    def _call(self, request: Mapping[str, Any]) -> tuple[_Reply | _Trouble, int | None]:
        """One call: what came of it, and how many tokens the endpoint says it took.

        Nothing is raised here: an error of the client holds the request, with the key in its headers.
        """
        import openai

        try:
            raw = self._client.chat.completions.with_raw_response.create(**request)
        except openai.APITimeoutError:
            mend = "set timeout higher, or workers lower"
            return _Trouble(f"gave no answer within {self.timeout:g} s", mend, again=True, billed=True), None
        except openai.APIConnectionError as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            said = self._hidden(f"{type(cause).__name__}: {reason(cause)}")
            # Where no connection was made, nothing was asked.
            asked, mend = not type(cause).__name__.startswith("Connect"), "start the server, or mend base_url"
            return _Trouble(f"cannot be reached, or broke off ({said})", mend, again=True, billed=asked), None
        except openai.APIStatusError as error:
            return self._refused(error.status_code, error.response.headers, error.body), None
        except openai.OpenAIError as error:
            return _Trouble(f"was not asked ({self._hidden(reason(error))})", "mend the arguments of RemoteJudge"), None
        reply, tokens = _read(raw.http_response.content)
        if reply is None:
            mend = "look at what it sends"
            return _Trouble("sent a reply that is cut off", mend, again=True, billed=True, broken=True), tokens
        return reply._replace(text=self._hidden(reply.text)), tokens

    def _refused(self, status: int, headers: Mapping[str, str], body: object) -> _Trouble:
        """What a status means."""
        inner = body.get("error", body) if isinstance(body, Mapping) else body
        told = inner.get("message") if isinstance(inner, Mapping) else inner
        code = inner.get("code") if isinstance(inner, Mapping) else None
        said = self._hidden(" ".join(str(told or "").split()))
        said = f": {said:.120}" if said else ""
        if status == 401:
            # What is said here may hold a part of the key.
            return _Trouble("does not take the key (401)", f"set {KEY} to a key of this endpoint")
        if status == 403:
            return _Trouble(f"does not let this key use {self.model!r} (403)", "take another model, or another key")
        if status == 404:
            mend = "see its /models for names; base_url mostly ends in /v1"
            return _Trouble(f"knows no model {self.model!r}, or no such address (404{said})", mend)
        if code == "insufficient_quota":
            return _Trouble(f"says that the account has nothing left ({status}{said})", "add to it, and judge again")
        if status in _AGAIN or status >= 500:
            mend = "judge again later, or set retries or backoff higher"
            return _Trouble(f"failed ({status}{said})", mend, again=True, wait=_retry_after(headers))
        mend = "see whether its models take temperature and max_tokens (None leaves them out), and so long a prompt"
        return _Trouble(f"does not take the request ({status}{said})", mend)

    def _hidden(self, text: str) -> str:
        """A text of others without the key."""
        return text.replace(self._hide, "***") if self._hide else text


def _endpoint(base_url: str) -> str:
    """What an endpoint is called in messages.

    Raises:
        SubliminalError: it is no address, or has a password or a query: they would end up in messages and logs.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        raise SubliminalError("base_url is no address: give one such as http://localhost:8000/v1") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SubliminalError(
            f"base_url begins with {parts.scheme!r:.20}: give an address such as http://localhost:8000/v1"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SubliminalError(
            f"base_url of {host} has a password, a query or a fragment: leave it out, and give the key as {KEY}"
        )
    return base_url.rstrip("/")


def _client(url: str, api_key: str | None, timeout: float) -> tuple[Any, str]:
    """The client, which holds the key, and what is to be hidden in texts of others."""
    try:
        import openai
    except ImportError:
        raise SubliminalError("RemoteJudge needs openai, which is not installed: pip install 'openai>=1.60'") from None
    key = (os.environ.get(KEY, "") if api_key is None else api_key).strip()
    if not key:
        raise SubliminalError(f"no key for {url}: set {KEY}, or give api_key (any text where the server asks for none)")
    if not key.isascii() or not key.isprintable() or " " in key:
        # The library would tell the key in its own error.
        raise SubliminalError(
            f"the key for {url} holds a blank or a character that no key has: copy it anew into {KEY}"
        )
    # Retries are done here: they count for the budget, and their waits are a setting.
    client = openai.OpenAI(api_key=key, base_url=url, timeout=timeout, max_retries=0)
    # A short one ("none") is no secret, and a word that a reply may hold.
    return client, key if len(key) >= 8 else ""


def _checksum(path: Path, reply: _Reply) -> str:
    return hashlib.sha256(json.dumps([path.stem, *reply]).encode()).hexdigest()


def _read(body: bytes) -> tuple[_Reply | None, int | None]:
    """The reply in a response, ``None`` if it is no whole JSON object, and the tokens that it says it took.

    Example:
        >>> _read(b'{"choices": [{"message": {"content": "kind"}}], "usage": {"total_tokens": 9}}')
        (_Reply(text='kind', why=''), 9)
        >>> _read(b'{"choices": [{"mess')
        (None, None)
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(found, dict):
        return None, None
    usage = found.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    tokens = total if isinstance(total, int) and total > 0 else None
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    content, refusal = (message.get("content"), message.get("refusal")) if isinstance(message, dict) else (None, None)
    if refusal or choice.get("finish_reason") == "content_filter":
        return _Reply("", "a refusal"), tokens
    if not isinstance(content, str) or not content.strip():
        return _Reply("", "an empty reply"), tokens
    return _Reply(content), tokens


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, as the endpoint asks: a number, or a date.

    Example:
        >>> _retry_after({"retry-after": "2.5"}), _retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}), _retry_after({})
        (2.5, 0.0, 0.0)
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        told = headers.get(name)
        if told is None:
            continue
        try:
            seconds = float(told) / unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(told).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if not math.isnan(seconds):
            return max(0.0, seconds)
    return 0.0
