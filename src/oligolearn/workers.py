"""Who carries out many jobs: processes of this machine, or workers of a cluster. Knows nothing of what the jobs are.

The processes of this machine are forked from a server that has imported what the jobs need, and has done nothing else:
to import torch and scikit-learn again would take each of them seconds, and to fork this process would not be safe once
it has threads.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from types import ModuleType
from typing import Any, TypeVar, cast

from oligolearn.machine import available_processors

Answer = TypeVar("Answer")
_ATTEMPTS = 3
_ANSWER = 30  # seconds in which a scheduler answers and has a worker
_FORKS = sys.platform == "linux"  # elsewhere a forked process may not use what the system has loaded


@dataclass(frozen=True)
class Workers:
    """Workers that do jobs.

    Attributes
    ----------
    number
        Processes on this machine; None for one per processor, or for all workers of a cluster.
    scheduler
        Address of a Dask scheduler (``tcp://host:8786``), whose workers do the jobs; they must see the same files under
        the same paths. None for processes of this machine, or for the backend that the user has chosen with
        `joblib.parallel_config`.
    """

    number: int | None = None
    scheduler: str | None = None

    def start(self, *modules: str) -> None:
        """Import `modules`, which jobs need, in the process to fork from, while this one still does something else.

        Raises
        ------
        ValueError
            If a scheduler is given and Dask is not installed.
        """
        if self.scheduler is not None:
            _dask_client()
        if self._forks():
            multiprocessing.get_context("forkserver").set_forkserver_preload(["oligolearn.rare_collection", *modules])
            forkserver.ensure_running()

    def ask(self, call: Callable[..., Answer], *given: Any) -> Answer:
        """Answer of a call: from a process that has imported what jobs need where there is one, else from this one."""
        from joblib.parallel import LokyBackend, get_active_backend

        if self._forks() and isinstance(get_active_backend()[0], LokyBackend):
            (answer,) = _by_processes([(call, given, {})], 1)
            return cast(Answer, answer)
        return call(*given)

    def carry_out(self, jobs: Iterable[Any]) -> Iterator[Any]:
        """Results of joblib's delayed calls, in the order in which they are finished.

        A worker that dies costs its jobs being done again, up to three times.

        Raises
        ------
        OSError
            If workers keep dying.
        ValueError
            If no scheduler answers.
        """
        from joblib.parallel import LokyBackend, get_active_backend

        if self.scheduler is not None:
            with _dask(self.scheduler):
                yield from _by_joblib(jobs, self.number)
        elif not isinstance(get_active_backend()[0], LokyBackend):
            yield from _by_joblib(jobs, self.number)
        elif self._n_processes() == 1:
            for call, arguments, keywords in jobs:
                yield call(*arguments, **keywords)
        else:
            yield from _by_processes(list(jobs), self._n_processes())

    def _n_processes(self) -> int:
        return self.number or available_processors()

    def _forks(self) -> bool:
        """Whether jobs are done by processes that are forked from one that has imported what they need."""
        return self.scheduler is None and self._n_processes() > 1 and _FORKS


def _by_joblib(jobs: Iterable[Any], number: int | None) -> Iterator[Any]:
    import joblib

    yield from joblib.Parallel(n_jobs=number or -1, return_as="generator_unordered", batch_size=1)(jobs)


def _by_processes(jobs: list[Any], number: int) -> Iterator[Any]:
    todo = dict(enumerate(jobs))
    for _ in range(_ATTEMPTS):
        with _processes(min(number, len(todo) or 1)) as pool:
            with _without_main():
                places = {pool.submit(call, *given, **named): place for place, (call, given, named) in todo.items()}
            try:
                for done in as_completed(places):
                    result = done.result()
                    del todo[places[done]]
                    yield result
            except BrokenProcessPool:
                continue
        return
    raise OSError(
        f"worker processes died {_ATTEMPTS} times; if the system killed them for want of memory, fewer --workers may "
        "help"
    )


@contextmanager
def _processes(number: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the context at once, whatever they are doing."""
    context = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
    pool = ProcessPoolExecutor(number, mp_context=context, initializer=_begin)
    try:
        yield pool
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()  # Python 3.14 has kill_workers
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Let a worker end with the process that it works for, and without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep new processes from running the user's script once more, as multiprocessing has them do."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _dask(address: str) -> Iterator[None]:
    """Let joblib hand its jobs to the workers of a Dask scheduler."""
    import joblib

    try:
        client = _dask_client()(address, timeout=_ANSWER)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler`") from None
    with client, joblib.parallel_config(backend="dask", wait_for_workers_timeout=_ANSWER):
        yield


def _dask_client() -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "--scheduler needs Dask, which is not installed: pip install 'oligolearn[distributed]'"
        ) from None
    return Client
