"""The engine turns recipes into runs: what is in the store is reused, the rest is built in waves on all cores.

It knows nothing of models or data: a recipe's stage is a module with ``build``. joblib does the fan-out, to processes here of one
thread each; with ``SUBLIMINAL_BACKEND=ray`` runs are tasks of a Ray cluster, whose nodes share the store's disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import joblib
from joblib.externals.loky import process_executor
from joblib.externals.loky.backend.process import LokyProcess

from subliminal import cluster
from subliminal.errors import SubliminalError, SubliminalWarning, unknown_name
from subliminal.fingerprint import base_folder, digest, folder_digest
from subliminal.paths import store_dir
from subliminal.progress import PLAN, reporter, shown, write_note
from subliminal.recipes import Base, Recipe, Scores
from subliminal.store import Store

if TYPE_CHECKING:
    import pandas as pd

# Names a file to which every call adds the runs that it asked for, and all that these are made from.
LEDGER = "SUBLIMINAL_LEDGER"
# What runs are built by: processes here, or a cluster.
BACKEND = "SUBLIMINAL_BACKEND"
# A run's label, its seconds and what it warns of.
Outcome = tuple[str, float, list[str]]
Outcomes = Generator[Outcome, None, None]
# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _jobs(jobs: int | None) -> int:
    """How many runs side by side: as asked, else one on a GPU and one a core without."""
    if jobs is not None:
        return jobs
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if _cuda() else cores


def location(recipe: Recipe, store: Store) -> Path:
    """The folder of a recipe's run; of a base, the folder of its weights."""
    return base_folder(recipe) if isinstance(recipe, Base) else store.folder(recipe.kind, digest(recipe))


@cache
def keep_memory() -> None:
    """Let this process keep the memory that it frees, up to buffers of 32 MiB and 1 GiB in all, where the C library is glibc.

    It would be given back and fetched anew in each step of a small model: up to 5 of 15 ms. Nor does what is kept count as a leak,
    for which joblib ends a worker and starts another: 6 s of imports.
    """
    process_executor._MAX_MEMORY_LEAK_SIZE = 2**31
    with contextlib.suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        for parameter, size in ((_MMAP_THRESHOLD, 2**25), (_TRIM_THRESHOLD, 2**30)):
            libc.mallopt(parameter, size)


def _build(recipe: Recipe, root: Path, progress_folder: Path) -> Outcome:
    """Build one run whose upstream is there. Runs in a worker process."""
    import torch

    torch.set_num_threads(cluster.threads())
    keep_memory()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    hugging_face = import_module("transformers").utils.logging
    hugging_face.set_verbosity_error()
    hugging_face.disable_progress_bar()
    store = Store(root)
    folder = location(recipe, store)
    inputs = {r: location(r, store) for r in recipe.upstream()}
    label = describe(recipe)
    for source in inputs:
        if not isinstance(source, Base) and not store.check(inputs[source]):
            raise SubliminalError(
                f"{label}: the {source.kind} that it is made from is gone, or a file was changed meanwhile: build again"
            )
    note = progress_folder / f"{folder.name}.json"
    description = {
        # Also what a kind of rollout has beside the fields of all rollouts.
        "recipe": recipe.model_dump(mode="json", serialize_as_any=True),
        "kind": recipe.kind,
        "digest": digest(recipe),
        "machine": {"python": platform.python_version(), "torch": metadata.version("torch"), "cuda": _cuda()},
    }
    try:
        build = import_module(recipe.stage).build

        def make(out: Path) -> None:
            build(recipe, inputs, out, reporter(note, label))
            if digest(recipe) != description["digest"]:
                raise SubliminalError(f"{label}: a file that it reads was changed meanwhile: build again")

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SubliminalWarning)
            seconds = store.build(folder, description, make)
    finally:
        note.unlink(missing_ok=True)
    return label, seconds, [str(w.message) for w in caught if issubclass(w.category, SubliminalWarning)]


def _build_there(recipe: Recipe, asked: str, root: Path, progress_folder: Path) -> Outcome:
    """Build, on a node of a cluster, the run whose folder's name is ``asked``, and no other.

    Raises:
        SubliminalError: with the code or the files of this node it would be another.
    """
    store = Store(root)
    if (found := location(recipe, store).name) != asked:
        raise SubliminalError(
            f"node {platform.node()} would make {found} where {asked} is asked for ({describe(recipe)}): "
            "give all nodes the same code, data and bases"
        )
    for source in recipe.upstream():
        cluster.await_folder(location(source, store))
    return _build(recipe, root, progress_folder)


def describe(recipe: Recipe) -> str:
    """A recipe in a few words, for a progress bar."""
    fields = {name: getattr(recipe, name) for name in ("trait", "channel", "suite", "seed") if hasattr(recipe, name)}
    return " ".join([recipe.kind, *(f"{k} {v}" if k == "seed" else str(v) for k, v in fields.items())])


def _waves(recipes: Iterable[Recipe], store: Store) -> list[list[Recipe]]:
    """What is not in the store, in waves: each run's upstream is in the store or in an earlier wave.

    The upstream of a run that is there is not looked at: it need not be there any more.
    """
    depth: dict[Recipe, int] = {}

    def visit(recipe: Recipe) -> int:
        if recipe not in depth:
            place = location(recipe, store)
            # A base that is not there has no digest, and that is an error.
            there = folder_digest(place) if isinstance(recipe, Base) else store.check(place)
            depth[recipe] = 0 if there else 1 + max((visit(r) for r in recipe.upstream()), default=0)
        return depth[recipe]

    for recipe in recipes:
        visit(recipe)
    return [[r for r, own in depth.items() if own == level] for level in sorted(set(depth.values()) - {0})]


@contextlib.contextmanager
def _workers_end_on_interrupt() -> Iterator[None]:
    """Ctrl-C kills the workers before it is raised.

    Left alone, they would first finish the runs they have in hand, and whoever meets the exception would wait for them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for worker in multiprocessing.active_children():
            if isinstance(worker, LokyProcess) and worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _workers(store: Store, folder: Path, jobs: int | None) -> Iterator[tuple[Callable[[list[Recipe]], Outcomes], Path]]:
    """What builds a wave of runs, and the folder in which they tell how far they are: ``folder``, where workers see it.

    Raises:
        SubliminalError: no such backend.
    """
    backend = os.environ.get(BACKEND) or "loky"
    if backend not in ("loky", "ray"):
        raise unknown_name(BACKEND, backend, ("loky", "ray"))
    if backend == "loky":

        def here(wave: list[Recipe]) -> Outcomes:
            parallel = joblib.Parallel(min(_jobs(jobs), len(wave)), backend, "generator_unordered")
            outcomes: Outcomes = parallel(joblib.delayed(_build)(recipe, store.root, folder) for recipe in wave)
            return outcomes

        yield here, folder
        return
    root = store.root.absolute()
    with Store(root).shared() as shared:
        home = cluster.Home.here(shared)

        def there(wave: list[Recipe]) -> Outcomes:
            asked = {recipe: location(recipe, store) for recipe in wave}
            tasks = ((describe(r), joblib.delayed(_build_there)(r, asked[r].name, root, shared)) for r in wave)
            yield from cluster.results(tasks, home, jobs)
            for own in asked.values():
                cluster.await_folder(own)

        yield there, shared


def build(recipes: Iterable[Recipe], *, jobs: int | None = None, store: Store | None = None) -> list[Path]:
    """Make every run that is missing, upstream first, and return the folder of each recipe.

    A failed run does not lose its finished neighbours: they stay in the store, and the next call goes on from there.

    Args:
        recipes: what is wanted.
        jobs: runs side by side; by default one a core, or one on a GPU, or as many as a cluster has room for.
        store: by default the one at ``paths.store_dir()``.

    Raises:
        SubliminalError: bad input, a damaged run or a full disk.

    Warns:
        SubliminalWarning: a run is done, and its user should know something of it.
    """
    wanted = list(recipes)
    store = store or Store(store_dir())
    waves = _waves(wanted, store)
    if waves:
        store.clear_scratch()
        total, done = sum(map(len, waves)), 0
        with shown("building runs") as folder, _workers(store, folder, jobs) as (fan_out, notes):
            for stale in folder.glob("*.json"):
                stale.unlink(missing_ok=True)
            elsewhere = {} if notes == folder else {"notes": str(notes)}
            write_note(folder / PLAN, label="start", done=0, total=total, **elsewhere)
            with _workers_end_on_interrupt():
                for wave in waves:
                    with contextlib.closing(fan_out(wave)) as outcomes:
                        for label, seconds, told in outcomes:
                            done += 1
                            for warning in told:
                                warnings.warn(f"{label}: {warning}", SubliminalWarning, stacklevel=2)
                            last = f"{label} ({seconds:.0f} s)"
                            write_note(folder / PLAN, label=last, done=done, total=total, **elsewhere)
    if ledger := os.environ.get(LEDGER):
        with Path(ledger).open("a", encoding="utf-8") as handle:
            handle.writelines(f"{location(recipe, store).name}\n" for recipe in rests_on(wanted))
    return [location(recipe, store) for recipe in wanted]


def rests_on(recipes: Iterable[Recipe]) -> list[Recipe]:
    """These recipes and all that they are made from, each once, but for bases, which no run builds."""
    seen: dict[Recipe, None] = {}
    queue = list(recipes)
    while queue:
        recipe = queue.pop()
        if recipe not in seen and not isinstance(recipe, Base):
            seen[recipe] = None
            queue += recipe.upstream()
    return list(seen)


def run(
    study: Mapping[str, Iterable[Scores]] | Iterable[Scores], *, jobs: int | None = None, store: Store | None = None
) -> pd.DataFrame:
    """Build a study and return its tidy table: one row per model, question and answer.

    Args:
        study: scores, or scores by condition.

    Returns:
        Columns ``condition`` (empty if none were given), ``model`` (kind), ``seed`` (of the model; -1 for a base),
        ``suite``, ``question``, ``answer``, ``probability`` (exact, 0 to 1), ``sampled`` (share of sampled answers),
        ``run`` (the scores' folder name).
    """
    import pandas as pd

    groups = study if isinstance(study, Mapping) else {"": study}
    plan = [(condition, scores) for condition, group in groups.items() for scores in group]
    folders = build([scores for _, scores in plan], jobs=jobs, store=store)
    tables = []
    for (condition, scores), folder in zip(plan, folders, strict=True):
        table = pd.read_csv(folder / "scores.csv", keep_default_na=False)
        seed = getattr(scores.model, "seed", -1)
        labels = {"condition": condition, "model": scores.model.kind, "seed": seed, "suite": scores.suite}
        tables.append(table.assign(run=folder.name, **labels))
    columns = ["condition", "model", "seed", "suite", "question", "answer", "probability", "sampled", "run"]
    return pd.concat(tables, ignore_index=True)[columns]
