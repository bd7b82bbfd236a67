"""Who carries out the jobs of a study: processes of this machine, or workers of a Dask cluster."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

_PATIENCE = 24 * 3600  # seconds that a worker waits for others' long jobs; joblib's own 5 minutes bring a warning
_ATTEMPTS = 3
_ANSWER = 30  # seconds in which a scheduler answers and has a worker


@dataclass(frozen=True)
class Workers:
    """Workers of a study.

    Attributes
    ----------
    number
        Processes on this machine; None for one per processor, or for all workers of a cluster.
    scheduler
        Address of a Dask scheduler (``tcp://host:8786``), whose workers do the jobs; they must see the study's folder
        under the same path. None for processes of this machine.
    """

    number: int | None = None
    scheduler: str | None = None

    def carry_out(self, jobs: Iterable[Any]) -> Iterator[Any]:
        """Results of joblib's delayed calls, in the order in which they are finished.

        A worker that dies costs its jobs being done again, up to three times.
        """
        if self.scheduler is None:
            yield from self._here(list(jobs))
        else:
            with _dask(self.scheduler):
                parallel = joblib.Parallel(n_jobs=self.number or -1, return_as="generator_unordered", batch_size=1)
                yield from parallel(jobs)

    def _here(self, jobs: list[Any]) -> Iterator[Any]:
        """Results of jobs done by processes of this machine."""
        number = self.number or os.cpu_count() or 1
        if number == 1:
            for call, arguments, keywords in jobs:
                yield call(*arguments, **keywords)
            return
        todo = dict(enumerate(jobs))
        for attempt in range(_ATTEMPTS):
            parallel = _processes(number)
            try:
                for place, result in parallel(
                    joblib.delayed(_numbered)(place, job) for place, job in list(todo.items())
                ):
                    del todo[place]
                    yield result
            except TerminatedWorkerError:
                if attempt == _ATTEMPTS - 1:
                    raise OSError(
                        f"worker processes died {_ATTEMPTS} times; if the system killed them for want of memory, fewer "
                        "--workers may help"
                    ) from None
            else:
                return


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch and the linear algebra libraries use `number` threads: how sums are split decides how they round."""
    import torch  # `wake` must not wait for it
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)


def wake(number: int | None) -> None:
    """Start the processes of this machine while this one still reads the data: they take seconds to import torch."""
    number = number or os.cpu_count() or 1
    if number > 1:
        jobs = [joblib.delayed(_import_what_jobs_need)() for _ in range(number)]
        threading.Thread(target=lambda: list(_processes(number)(jobs)), daemon=True).start()


def _import_what_jobs_need() -> None:
    import_module("oligolearn.study.execute")


def _processes(number: int) -> joblib.Parallel:
    """Processes that are kept from one call to the next."""
    return joblib.Parallel(n_jobs=number, return_as="generator_unordered", idle_worker_timeout=_PATIENCE, batch_size=1)


@contextmanager
def _dask(address: str) -> Iterator[None]:
    """Let joblib hand its jobs to the workers of a Dask scheduler."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "--scheduler needs Dask, which is not installed: pip install 'oligolearn[distributed]'"
        ) from None
    try:
        client = Client(address, timeout=_ANSWER)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler`") from None
    with client, joblib.parallel_config(backend="dask", wait_for_workers_timeout=_ANSWER):
        yield


def _numbered(place: int, job: Any) -> tuple[int, Any]:
    call, arguments, keywords = job
    return place, call(*arguments, **keywords)
