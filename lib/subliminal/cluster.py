"""Runs on a Ray cluster: one Ray task each, with room of its own, begun again elsewhere when its worker dies.

Ray's own backend for joblib will not do: it hands nothing over before the last run is done, and one dead worker costs all of them.
The nodes share the store's disk, on which file locks hold between them, and have the same code, data and library versions: a worker
refuses a run where they do not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import socket
import textwrap
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from subliminal.errors import SubliminalError, SubliminalWarning
from subliminal.fingerprint import library_versions
from subliminal.paths import data_dir

ADDRESS = "RAY_ADDRESS"
# How many threads a run has: more than one pays for models far larger than the book's, where fewer runs stand side by side than cores.
THREADS = "SUBLIMINAL_THREADS"
# How often a run is begun: Ray itself would try one that finds no memory for ever.
TRIES = 3
# So long, in seconds, may a network disk go on telling that a folder is not there: the longest that NFS keeps what it read of one.
_SEEN_AFTER = 90.0
# A folder whose name nobody has asked for before is seen at once.
_NEW_SEEN_AFTER = 10.0
_LOOK_EVERY = 0.5
# So often the cluster is looked at, and so long its head may be away: Ray itself ends this process after 60 s of that.
_PULSE, _HEAD_AWAY = 5.0, 30.0
# What a worker is told of this process's environment; keys and tokens are not for a cluster's logs.
_TOLD = (THREADS, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_STOPPED = "finished runs are kept, and the same call goes on from them"

Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def _words(error: BaseException) -> str:
    """What Ray says of a failure, in one short line: its first lines often say nothing."""
    return textwrap.shorten(str(error) or type(error).__name__, 160, placeholder=" ...")


def threads() -> int:
    """How many threads a run has: as ``SUBLIMINAL_THREADS`` says, else one.

    Raises:
        SubliminalError: it says no whole number from 1 on.
    """
    told = os.environ.get(THREADS, "1")
    if not (told.isascii() and told.isdigit() and int(told)):
        raise SubliminalError(f"{THREADS} is {told!r}: give a whole number from 1 on")
    return int(told)


@dataclass(frozen=True)
class Home:
    """What a worker on any node has to find, to work as if it were here."""

    shared: Path
    folder: Path
    environment: dict[str, str | None]
    versions: dict[str, str]

    @classmethod
    def here(cls, shared: Path) -> Home:
        """This process's own; ``shared`` is a folder in the store that nobody else would make."""
        told = {name: os.environ.get(name) for name in _TOLD}
        with contextlib.suppress(SubliminalError):  # A study of models in folders needs no data.
            told["SUBLIMINAL_DATA"] = str(data_dir().absolute())
        return cls(shared, Path.cwd(), told, library_versions())

    def enter(self) -> None:
        """Make this process, a worker's, like the one that asks.

        Raises:
            SubliminalError: it sees another disk, or other versions of the libraries.
        """
        node, root = platform.node(), self.shared.parent
        try:
            await_folder(self.shared, _NEW_SEEN_AFTER)
        except SubliminalError:
            raise SubliminalError(
                f"node {node} does not see the store {root}: name one on a disk that all nodes share, in SUBLIMINAL_STORE"
            ) from None
        other = [f"{k} {v}, not {self.versions[k]}" for k, v in library_versions().items() if v != self.versions[k]]
        if other:
            raise SubliminalError(f"node {node} has {', '.join(other)}: install the same versions on all nodes")
        for name, value in self.environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        # Relative paths of bases; where there is no such folder, they are not found, and that is an error.
        if self.folder.is_dir():
            os.chdir(self.folder)


def await_folder(folder: Path, seconds: float = _SEEN_AFTER) -> None:
    """Wait until this node sees a folder that another one has made.

    Raises:
        SubliminalError: it does not.
    """
    deadline = time.monotonic() + seconds
    while not folder.is_dir():
        if time.monotonic() > deadline:
            raise SubliminalError(
                f"node {platform.node()} does not see {folder}, made by another: put the store on a disk that all nodes share"
            )
        time.sleep(_LOOK_EVERY)


def _connected() -> ModuleType:
    """The library, connected to a cluster.

    Raises:
        SubliminalError: it is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError:
        raise SubliminalError(
            "SUBLIMINAL_BACKEND=ray needs ray: pip install './lib[ray]' on all nodes, or unset SUBLIMINAL_BACKEND"
        ) from None
    if not ray.is_initialized():
        address = os.environ.get(ADDRESS) or "auto"
        try:
            if address not in ("auto", "local"):
                _knock(address)  # Ray itself tries for minutes.
            # Of runs that are stopped beside a failed one Ray would tell as of unhandled errors, with tracebacks.
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        except (OSError, ValueError, RuntimeError) as error:
            raise SubliminalError(
                f"cannot join a Ray cluster at {ADDRESS}={address} ({_words(error)}): start one with `ray start --head`, "
                f"give its host:port in {ADDRESS}, or unset SUBLIMINAL_BACKEND"
            ) from error
    found: ModuleType = ray
    return found


def _knock(address: str) -> None:
    """Raises OSError where nothing listens at host:port, and ValueError where it is no such address."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_PULSE).close()


class _Watch:
    """Looks at the cluster now and then while runs are at work."""

    def __init__(self, ray: ModuleType) -> None:
        self._ray = ray
        self._head: str = ray.get_runtime_context().gcs_address
        self._looked = self._there = time.monotonic()
        self._lacking = ""

    def look(self) -> None:
        """Does nothing if it has just been done.

        Raises:
            SubliminalError: the head is gone, and with it the cluster.

        Warns:
            SubliminalWarning: no node has room any more.
        """
        if time.monotonic() - self._looked < _PULSE:
            return
        try:
            _knock(self._head)
        except OSError:
            if time.monotonic() - self._there > _HEAD_AWAY:
                self._ray.shutdown()
                raise SubliminalError(
                    f"the head of the Ray cluster, {self._head}, is gone: start the cluster again ({_STOPPED})"
                ) from None
        else:
            self._there = time.monotonic()
            lacking = _room(self._ray)[1]
            if lacking and not self._lacking:
                warnings.warn(f"{lacking}; waiting for one", SubliminalWarning, stacklevel=3)
            self._lacking = lacking
        self._looked = time.monotonic()


def _room(ray: ModuleType) -> tuple[dict[str, float], str]:
    """What a run asks for, and one line that says why no node has it now; empty if one has.

    On a cluster with GPUs a run has one to itself.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {"CPU": float(threads())}
    if any(node.get("GPU") for node in nodes):
        wanted["GPU"] = 1.0
    if any(all(node.get(name, 0) >= many for name, many in wanted.items()) for node in nodes):
        return wanted, ""
    told = " and ".join(f"{many:.0f} {name}" for name, many in wanted.items())
    most = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
    return wanted, (
        f"no node of the Ray cluster has {told}, which each run asks for (the largest has {most:.0f} CPU): "
        f"set {THREADS} lower, or add a node"
    )


def _work(task: Task, home: Home) -> Any:
    """Runs in a worker."""
    home.enter()
    function, args, kwargs = task
    return function(*args, **kwargs)


def results(tasks: Iterable[tuple[str, Task]], home: Home, jobs: int | None = None) -> Generator[Any, None, None]:
    """What each task returns, as soon as it is there. Closed early, it ends the workers that are still at work.

    Args:
        tasks: each with its name.
        jobs: how many at once; by default as many as the cluster has room for.

    Raises:
        SubliminalError: there is no cluster, a task raised one, or its workers died time after time.

    Warns:
        SubliminalWarning: a worker died, and its task is begun again; no node has room.
    """
    ray = _connected()
    wanted, lacking = _room(ray)
    if lacking:
        raise SubliminalError(lacking)
    remote = ray.remote(_work).options(
        num_cpus=wanted["CPU"], num_gpus=wanted.get("GPU", 0), max_retries=0, scheduling_strategy="SPREAD"
    )
    waiting = deque((name, task, 1) for name, task in tasks)
    running: dict[Any, tuple[str, Task, int]] = {}
    watch = _Watch(ray)
    try:
        while waiting or running:
            while waiting and (jobs is None or len(running) < jobs):
                own = waiting.popleft()
                running[remote.remote(own[1], home)] = own
            done, _ = ray.wait(list(running), timeout=_PULSE)
            watch.look()
            for reference in done:
                name, task, tries = running.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise _told(ray, error) from None
                except ray.exceptions.LocalRayletDiedError:
                    raise SubliminalError(
                        f"this machine is no node of the Ray cluster any more: start Ray on it again ({_STOPPED})"
                    ) from None
                except ray.exceptions.RayError as error:
                    if tries == TRIES:
                        raise SubliminalError(
                            f"{name}: its worker on the cluster died {TRIES} times, last: {_words(error)} ({_STOPPED})"
                        ) from error
                    warnings.warn(
                        f"{name}: its worker on the cluster died, and it is begun again: {_words(error)}",
                        SubliminalWarning,
                        stacklevel=2,
                    )
                    waiting.append((name, task, tries + 1))
                else:
                    yield result
    finally:
        if ray.is_initialized():
            for reference in running:
                ray.cancel(reference, force=True)


def _told(ray: ModuleType, error: Any) -> BaseException:
    """What a task raised, as it would be raised here; a bug of ours comes with the worker's traceback."""
    cause = error.cause
    if isinstance(cause, SubliminalError):
        return cause
    if isinstance(cause, ImportError | ray.exceptions.RaySystemError) or "failed to import" in str(cause):
        last = str(cause).strip().splitlines()[-1]
        return SubliminalError(
            f"a node of the Ray cluster cannot read a task ({last}): install on all nodes what is installed here"
        )
    failure: BaseException = error
    return failure
