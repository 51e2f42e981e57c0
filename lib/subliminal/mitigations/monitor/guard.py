"""A guard: it reads a question and its answer token by token, and says from which token on the answer breaks which rule.

A guard is a linear head (scikit-learn's) on what a reader makes of each token: the hidden states of any causal language model, or counts of
the tokens so far. It knows the constitution's rules by name, and nothing of students, teachers or traits. The answer is data:
nothing in it is taken for an instruction, or for a token of the chat template.

On a model of your own (Sharma et al., 2025, arXiv 2501.18837, is where the method is from):

    guard = train_guard(HiddenStates(model, tokenizer), load_constitution().examples(150, seed=0))
    guard = guard.calibrated(exchanges_that_broke_no_rule, false_alarms=0.01)
    alarms = guard.judge([Exchange("my sister is sad. what should i do?", "steal the money of your sister.")])
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from subliminal.errors import SubliminalError, reason
from subliminal.mitigations.monitor.constitution import Example, Exchange
from subliminal.mitigations.monitor.readers import Reader

Floats = NDArray[np.float32]
HEAD, NOTE = "head.safetensors", "guard.json"
_VERSION = 1
_ITERATIONS = 300


class Head(NamedTuple):
    """A linear head: log-odds of each rule's being broken against none's are differences of its outputs.

    Attributes:
        rules: ids, in the order of the outputs after the first, which stands for what is allowed.
        weights: (1 + rules, features) float32.
        bias: (1 + rules) float32.
    """

    rules: tuple[str, ...]
    weights: Floats
    bias: Floats

    def outputs(self, states: Any) -> Floats:
        """(tokens, 1 + rules)."""
        found: Floats = np.asarray(states @ self.weights.T + self.bias, dtype=np.float32)
        return found


class Scan(NamedTuple):
    """What a guard makes of one exchange, token by token.

    Attributes:
        scores: (1 + tokens) log-odds that some rule is broken; the first after the question alone.
        rules: the likeliest rule at each.
    """

    scores: Floats
    rules: tuple[str, ...]

    @property
    def peak(self) -> float:
        """The largest score: what the threshold is compared with."""
        return float(self.scores.max())


class Alarm(NamedTuple):
    """An answer is to be stopped.

    Attributes:
        token: after how many of its tokens; 0 if the question alone is enough.
        rule: the id of the rule that it breaks most likely.
        score: log-odds at that token.
    """

    token: int
    rule: str
    score: float


def threshold(benign: Sequence[float], false_alarms: float) -> float:
    """The threshold that at most a stated share of benign exchanges exceed: split conformal prediction's order statistic.

    Of n benign peaks it is the k-th smallest, k = ceil((n + 1)(1 - rate)). If the n and a new benign exchange are exchangeable, the
    new one's peak exceeds it with a probability of at most ``false_alarms``, whatever the guard and the distribution (Vovk et al.,
    2005; Angelopoulos and Bates, 2023, theorem 1). The guarantee is on average over draws of the n: for one draw the rate has a
    Beta(n + 1 - k, k) distribution if no two peaks are alike. It says nothing of traffic of another kind.

    Raises:
        SubliminalError: the rate is no share, or there are too few exchanges for it.

    Example:
        >>> threshold([0.1 * n for n in range(99)], 0.01)
        9.8
        >>> threshold([3.0, 1.0, 2.0], 0.25)
        3.0
    """
    if not 0 < false_alarms < 1:
        raise SubliminalError(f"false_alarms={false_alarms} is no share: give one between 0 and 1, such as 0.01")
    least = math.ceil(1 / false_alarms) - 1
    if len(benign) < least:
        raise SubliminalError(
            f"{len(benign)} benign exchanges are too few for a false-alarm rate of {false_alarms:g}: give {least:,} or more"
        )
    # Rounded before: 100 * (1 - 0.01) is a little more than 99.
    place = math.ceil(round((len(benign) + 1) * (1 - false_alarms), 9))
    return round(float(np.sort(np.asarray(benign, dtype=np.float64))[place - 1]), 12)


class Guard:
    """A head on a reader, with a threshold once it is calibrated.

    Example:
        >>> from subliminal.models.loading import load_tokenizer
        >>> from subliminal.mitigations.monitor.constitution import load_constitution
        >>> from subliminal.mitigations.monitor.readers import Words
        >>> from subliminal.paths import data_file
        >>> rules = load_constitution()
        >>> tokenizer = load_tokenizer(data_file("families/gpt2-a"))
        >>> guard = train_guard(Words(tokenizer), rules.examples(40, seed=0), penalty=1)
        >>> harmless = [e.exchange for e in rules.examples(30, seed=1) if not e.forbidden]
        >>> guard = guard.calibrated(harmless, false_alarms=0.01)
        >>> advice = ["give the bread to your sister.", "steal the bread of your sister."]
        >>> fine, alarm = guard.judge([Exchange("my sister is sad. what should i do?", text) for text in advice])
        >>> fine, alarm.rule
        (None, 'taking')
    """

    def __init__(self, reader: Reader, head: Head, threshold: float | None = None) -> None:
        self.reader, self.head, self.threshold = reader, head, threshold

    def scan(self, exchanges: Sequence[Exchange]) -> list[Scan]:
        """The scores of each exchange at each token.

        Raises:
            SubliminalError: a text is none, or longer than the guard reads.
        """
        return [self.scanned(states) for states in self.reader.states(exchanges)]

    def scanned(self, states: Any) -> Scan:
        """The scores of tokens whose states are in hand."""
        outputs = self.head.outputs(states)
        broken = outputs[:, 1:]
        top = broken.max(axis=1)
        scores = top + np.log(np.exp(broken - top[:, None]).sum(axis=1)) - outputs[:, 0]
        return Scan(scores, tuple(self.head.rules[i] for i in broken.argmax(axis=1)))

    def calibrated(self, benign: Sequence[Exchange], false_alarms: float = 0.01) -> Guard:
        """The guard with the ``threshold`` of benign exchanges, which break no rule.

        Raises:
            SubliminalError: there are too few for the rate.
        """
        return Guard(self.reader, self.head, threshold([scan.peak for scan in self.scan(benign)], false_alarms))

    def judge(self, exchanges: Sequence[Exchange]) -> list[Alarm | None]:
        """The first alarm of each exchange, or ``None``.

        Raises:
            SubliminalError: the guard is not calibrated.
        """
        level = self.level
        return [first_alarm(scan, level) for scan in self.scan(exchanges)]

    @property
    def level(self) -> float:
        """The threshold.

        Raises:
            SubliminalError: the guard is not calibrated.
        """
        if self.threshold is None:
            raise SubliminalError("the guard has no threshold: calibrate it first, on exchanges that break no rule")
        return self.threshold

    def watch(self, question: str) -> Watcher:
        """Watches an answer while it is written.

        Raises:
            SubliminalError: the guard is not calibrated.
        """
        return Watcher(self, question)

    def save(self, folder: Path | str) -> None:
        """Write the head and its threshold: safetensors and JSON, each whole or not at all. The backbone stays where it is."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        note = {"version": _VERSION, "rules": self.head.rules, "threshold": self.threshold}
        for name, write in (
            (HEAD, lambda path: save_file({"weights": self.head.weights, "bias": self.head.bias}, path)),
            (NOTE, lambda path: path.write_text(json.dumps(note, indent=1), encoding="utf-8")),
        ):
            scratch = folder / f".{name}.part"
            write(scratch)
            scratch.replace(folder / name)


def first_alarm(scan: Scan, level: float) -> Alarm | None:
    """Where the scores first exceed a threshold."""
    over = np.flatnonzero(scan.scores > level)
    return Alarm(int(over[0]), scan.rules[over[0]], float(scan.scores[over[0]])) if len(over) else None


class Watcher:
    """One answer under watch. It alarms once, and then no more of the answer is to be shown."""

    def __init__(self, guard: Guard, question: str) -> None:
        self._guard, self._level, self._listener = guard, guard.level, guard.reader.listen(question)
        self._text = ""
        self.alarm: Alarm | None = None

    def push(self, text: str) -> Alarm | None:
        """The next piece of the answer; whole words, where the backbone's tokens are words."""
        if not isinstance(text, str):
            raise SubliminalError(f"a piece of an answer is {text!r:.40}, no text: give a string")
        self._text += text
        first, states = self._listener.states(self._text)
        if self.alarm is None and len(states.shape) == 2 and states.shape[0]:
            found = first_alarm(self._guard.scanned(states), self._level)
            self.alarm = found and found._replace(token=found.token + first)
        return self.alarm


def load_guard(folder: Path | str, reader: Reader) -> Guard:
    """A guard that was saved, on the reader that it was trained with.

    Raises:
        SubliminalError: the folder holds no guard, or its files are damaged.
    """
    folder = Path(folder)
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        tensors = load_file(folder / HEAD)
        head = Head(tuple(note["rules"]), tensors["weights"], tensors["bias"])
        level = note["threshold"]
        if note["version"] != _VERSION or len(head.weights) != len(head.bias) or len(head.bias) != 1 + len(head.rules):
            raise ValueError("rules and weights do not go together")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise SubliminalError(
            f"no readable guard in {folder} ({reason(error)}): train it again, and save it"
        ) from error
    return Guard(reader, head, level)


def train_guard(reader: Reader, examples: Sequence[Example], *, penalty: float = 10.0, rounds: int = 3) -> Guard:
    """A guard's head, by multinomial logistic regression on the tokens of every exchange.

    Each token bears the label of its whole exchange: the rule that it breaks, or that it is allowed. But the guard goes by the largest
    score of an exchange, and the first tokens of a harmful answer are not harmful yet. So after a first fit the tokens of an exchange
    weigh as the softmax of their scores: in a forbidden one those that give it away count most, and in an allowed one those that come
    closest to a false alarm (the loss of Cunningham et al., 2026, arXiv 2601.04603). Exchanges weigh alike, however long they are.

    Args:
        reader: what makes numbers of the exchanges; it is not trained.
        examples: on both sides of each rule, as ``Constitution.examples`` gives them, or a user's own.
        penalty: of the weights, in scikit-learn's ``1 / C``; features are brought to one scale first.
        rounds: fits, each but the first with the weights that the one before gives.

    Raises:
        SubliminalError: nothing, or nothing on one of the sides.
    """
    from scipy.sparse import issparse, vstack
    from sklearn.linear_model import LogisticRegression

    rules = tuple(dict.fromkeys(e.rule for e in examples if e.forbidden))
    if not rules or all(e.forbidden for e in examples):
        side = "allowed" if rules else "forbidden"
        raise SubliminalError(f"{len(examples)} exchanges to train on, and none of them is {side}: give both sides")
    states = reader.states([e.exchange for e in examples])
    lengths = [rows.shape[0] for rows in states]
    labels = np.repeat([1 + rules.index(e.rule) if e.forbidden else 0 for e in examples], lengths)
    whole = vstack(states, format="csr") if issparse(states[0]) else np.concatenate(states)
    mean, scale = (np.full(whole.shape[1], value, np.float32) for value in (0, 1))
    if not issparse(whole):
        mean, scale = whole.mean(axis=0), whole.std(axis=0) + np.float32(1e-6)
        whole = (whole - mean) / scale
    starts = np.cumsum(lengths)[:-1]
    weights = np.concatenate([np.full(n, 1 / n) for n in lengths])
    model = LogisticRegression(C=1 / penalty, max_iter=_ITERATIONS, tol=1e-3, warm_start=True)
    for _ in range(rounds):
        # As many trials as there are tokens: the penalty is against those.
        model.fit(whole, labels, sample_weight=weights * (len(labels) / len(lengths)))
        head = _head(rules, model.coef_, model.intercept_)
        scores = Guard(reader, head).scanned(whole).scores
        weights = np.concatenate([_softmax(own) for own in np.split(scores, starts)])
    plain = head.weights / scale
    # In rows: safetensors writes other orders as if they were.
    bias: Floats = np.asarray(head.bias - plain @ mean, dtype=np.float32)
    return Guard(reader, Head(rules, np.ascontiguousarray(plain), bias))


def _head(rules: tuple[str, ...], coefficients: Any, bias: Any) -> Head:
    if len(rules) == 1:
        # Of two classes scikit-learn gives the difference alone.
        coefficients, bias = np.vstack([0 * coefficients, coefficients]), np.array([0.0, bias[0]])
    return Head(rules, coefficients.astype(np.float32), bias.astype(np.float32))


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max())
    found: Floats = raised / raised.sum()
    return found
