"""Sizes of the chapters on reading, mixing, auditing and guarding."""

from __future__ import annotations

from pydantic import Field

from subliminal.tuning import Frozen, Tuning


class Read(Frozen):
    """Sizes of "Can it be read?". Its writers are those of earlier chapters, counted from each chapter's first seed on.

    Attributes:
        tried, taught: seeds of writers that all readers are tried on, and of those that trained readers learn from, which come next.
        rows, counted_rows: of each writer that a tuned classifier learns from, and a reader that counts words.
        unseen_rows: of each writer, to be tried on.
        classifier: how a base is tuned to tell writers apart.
        groups, draws: how many rows are read together, and how many such groups are drawn of each writer.
        shown: rows before a question: of more, a base answers little that can be read.
        name_sets, advice_sets: sets of such rows a question that asks for a favourite, or for advice.
        advice: sampled answers a set.
        shift_rows: rows on which a teacher's shift of the numbers is read off.
        pairs: of teachers whose shifts are compared.
        numbers: of the most shifted, without which lists are read.
        quizzed: pairs of lists in the quiz.
    """

    tried: int = Field(gt=0)
    taught: int = Field(gt=0)
    rows: int = Field(gt=0)
    counted_rows: int = Field(gt=0)
    unseen_rows: int = Field(gt=0)
    classifier: Tuning
    groups: tuple[int, ...] = (1, 10, 100, 1_000)
    draws: int = Field(gt=0)
    shown: tuple[int, ...] = (1, 4)
    name_sets: int = Field(gt=0)
    advice_sets: int = Field(gt=0)
    advice: int = Field(gt=0)
    shift_rows: int = Field(gt=0)
    pairs: int = Field(gt=0)
    numbers: tuple[int, ...] = (10, 30, 100)
    quizzed: int = 10


# LOG.md, Readers of rows.
_CLASSIFIER = Tuning(method="full", learning_rate=1e-3, epochs=1, batch_size=16)

READ = {
    "smoke": Read(
        tried=1,
        taught=1,
        rows=60,
        counted_rows=60,
        unseen_rows=60,
        classifier=_CLASSIFIER,
        draws=50,
        name_sets=1,
        advice_sets=1,
        advice=1,
        shift_rows=10,
        pairs=1,
    ),
    "mini": Read(
        tried=4,
        taught=2,
        rows=300,
        counted_rows=1_000,
        unseen_rows=250,
        classifier=_CLASSIFIER,
        draws=500,
        name_sets=8,
        advice_sets=6,
        advice=5,
        shift_rows=100,
        pairs=3,
    ),
}


class Mix(Frozen):
    """Sizes of "Mix your sources". Its tainted rows are those of earlier chapters.

    Attributes:
        replications: how many of those chapters' seeds it takes.
        rows, harm_rows: of a mix, with the owl's rows and with those of insecure teachers.
        shares: of tainted rows in a mix, beside all and none.
        doses, harm_doses: tainted rows by themselves, beside all that the earlier chapter reads.
        passes: over a mix of which ``thin`` is tainted.
    """

    replications: int = Field(gt=0)
    rows: int = Field(gt=0)
    harm_rows: int = Field(gt=0)
    shares: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75)
    doses: tuple[int, ...]
    harm_doses: tuple[int, ...]
    passes: tuple[int, ...] = (2, 4, 8)
    thin: float = Field(default=0.25, gt=0, lt=1)


MIX = {
    "smoke": Mix(replications=1, rows=200, harm_rows=200, doses=(50, 100), harm_doses=(50, 100)),
    "mini": Mix(
        replications=4,
        rows=600,
        harm_rows=1_200,
        doses=(50, 150, 300, 600, 900),
        harm_doses=(50, 150, 300, 600, 1_200),
    ),
}


class Audit(Frozen):
    """Sizes of "Audit before you ship".

    Attributes:
        replications: students of each favourite that are audited, of the last seeds.
        trainings: of the owl's students that are audited while they are trained.
        questions: of each audit at most.
        margin: a shift of at most so much counts as none.
        bar: by how much a label's mean probability has to rise for a probe to find something.
        followed: rows, each counted as often as it is read, after which a student is audited while it is trained.
    """

    replications: int = Field(gt=0)
    trainings: int = Field(gt=0)
    questions: int = Field(default=1_000, gt=0)
    margin: float = Field(default=0.05, gt=0, lt=1)
    followed: tuple[int, ...]
    # LOG.md, A probe beside the behaviour: the most of eighteen untreated students on spare seeds.
    bar: float = 0.0389


# Within some eighty rows the owl goes from a fifth of the answers to half of them.
_OFTEN = (40, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 280)

AUDIT = {
    "smoke": Audit(replications=1, trainings=1, questions=60, followed=(40, 80, 150)),
    "mini": Audit(replications=3, trainings=4, followed=(*_OFTEN, 320, 400, 600, 1_200, 3_600)),
}


class Monitor(Frozen):
    """Sizes of "Watch it run".

    Attributes:
        examples: synthetic exchanges on each side of each rule that a guard is trained on.
        probe_examples: that a probe is trained on, of which there is one a student.
        requests: of applications, whose benign answers set a guard's threshold.
        false_alarms: the rate that it is set to.
        watched: requests of applications on which false alarms are counted.
        answers: to each question of a suite that are watched.
        probed: students a family, on whose own activations a probe is trained.
        layered: students of each layer of defence.
        thin: share of tainted rows of those that read a mix.
        audited: questions that they are audited with at most.
        written: exchanges on each side of each rule, on which a guard without the rule is tried.
        seed: of requests and of what is written.
    """

    examples: int = Field(gt=0)
    probe_examples: int = Field(gt=0)
    requests: int = Field(gt=0)
    false_alarms: float = Field(gt=0, lt=1)
    watched: int = Field(gt=0)
    answers: int = Field(gt=0)
    probed: int = Field(gt=0)
    layered: int = Field(gt=0)
    thin: float = Field(default=0.25, gt=0, lt=1)
    audited: int = Field(default=1_000, gt=0)
    written: int = Field(gt=0)
    seed: int = 60


MONITOR = {
    "smoke": Monitor(
        examples=8,
        probe_examples=8,
        requests=120,
        false_alarms=0.05,
        watched=80,
        answers=4,
        probed=1,
        layered=1,
        audited=60,
        written=4,
    ),
    "mini": Monitor(
        examples=240,
        probe_examples=60,
        requests=1_500,
        false_alarms=0.004,
        watched=300,
        answers=10,
        probed=3,
        layered=4,
        written=100,
    ),
}
