"""Carry out the runs of a study on worker processes; each finished run is kept at once."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from oligolearn.data import ExpressionScaler, top_variance_genes
from oligolearn.estimators import SelfSupervisedEncoder
from oligolearn.estimators.metrics import calibrate, confusion, score_predictions
from oligolearn.saving import Bundle, is_bundle, load_bundle, save_bundle
from oligolearn.study.design import Design, Draw, Run, draw_repeat, training_seed
from oligolearn.study.embedding import map_samples, sample_rows
from oligolearn.study.methods import METHODS, Task, pretrain
from oligolearn.study.store import Store
from oligolearn.training import DivergedError

OnProgress = Callable[[float, float, str], None]


class Cohort(NamedTuple):
    """The data of a study, as every worker sees them.

    Attributes
    ----------
    matrix
        File of the normalised expression, ``(n_samples, n_genes)``, float32; mapped, never copied.
    y
        Class numbers, -1 where unlabelled.
    groups
        Group numbers, or None.
    """

    matrix: Path
    y: NDArray[np.integer]
    groups: NDArray[np.integer] | None

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1


def execute(
    design: Design,
    cohort: Cohort,
    runs: Iterable[Run],
    store: Store,
    *,
    workers: int,
    on_progress: OnProgress | None = None,
) -> None:
    """Carry out the runs that `store` does not hold yet.

    Parameters
    ----------
    design, cohort
        What decides the results.
    runs
        All runs of the study.
    store
        Receives every run when it is finished; pretrained encoders go to its `work` folder.
    workers
        Number of processes; decides nothing but the time.
    on_progress
        Called with ``(work done, all work, what was done)``; work is in arbitrary units.
    """
    finished = store.finished()
    todo = [run for run in runs if run not in finished]
    encoders = {(run.repeat, run.method): None for run in todo if METHODS[run.method].objective}
    missing = [encoder for encoder in encoders if not is_bundle(_encoder_path(store, *encoder))]
    ready = [run for run in todo if not METHODS[run.method].objective]
    waiting = [run for run in todo if METHODS[run.method].objective]
    progress = _Progress(on_progress, len(todo) + _PRETRAINING * len(missing))
    pretrainings = (joblib.delayed(_pretrain)(design, cohort, *encoder) for encoder in missing)
    plain = (joblib.delayed(_carry_out)(design, cohort, run) for run in ready)
    for done in _parallel(chain(plain, pretrainings), workers):
        if isinstance(done, _Pretrained):
            save_bundle(_encoder_path(store, done.repeat, done.method), done.bundle)
            progress.add(_PRETRAINING, f"pretraining {done.method}, repeat {done.repeat + 1}")
        else:
            store.add(*done)
            progress.add(1, _named(done[0]))
    tuned = (
        joblib.delayed(_carry_out)(design, cohort, run, _encoder_path(store, run.repeat, run.method)) for run in waiting
    )
    for run, outcome in _parallel(tuned, workers):
        store.add(run, outcome)
        progress.add(1, _named(run))


def embed_cohort(design: Design, cohort: Cohort, store: Store, *, workers: int) -> list[dict[str, Any]]:
    """Maps of the samples of the first repeat: as measured, and as each pretrained encoder sees them."""
    methods = [name for name in design.methods if METHODS[name].objective]
    encoders = [None, *(name for name in methods if is_bundle(_encoder_path(store, 0, name)))]
    jobs = (joblib.delayed(_embed)(design, cohort, name, name and _encoder_path(store, 0, name)) for name in encoders)
    return list(joblib.Parallel(n_jobs=workers)(jobs))


_PATIENCE = 24 * 3600  # seconds
_PRETRAINING = 20  # for the progress bar: a pretraining takes about as long as so many other runs


class _Pretrained(NamedTuple):
    repeat: int
    method: str
    bundle: Bundle


class _Progress:
    def __init__(self, tell: OnProgress | None, total: float) -> None:
        self.tell = tell
        self.total = total
        self.done = 0.0

    def add(self, work: float, what: str) -> None:
        self.done += work
        if self.tell is not None:
            self.tell(self.done, self.total, what)


def _named(run: Run) -> str:
    return f"{run.method}, {run.n_labels} labels, repeat {run.repeat + 1}"


def _parallel(jobs: Iterable[Any], workers: int) -> Iterator[Any]:
    """Results in the order in which they are finished."""
    # a worker may wait for the others' long pretrainings: joblib would end it after 5 minutes, with a warning
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", idle_worker_timeout=_PATIENCE)
    yield from parallel(jobs)


def _encoder_path(store: Store, repeat: int, method: str) -> Path:
    return store.work / f"{method}-{repeat}"


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch and the linear algebra libraries use `number` threads: how sums are split decides how they round."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _matrix(path: Path) -> NDArray[np.float32]:
    matrix: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return matrix


def _drawn(design: Design, cohort: Cohort, repeat: int) -> tuple[NDArray[np.float32], Draw]:
    """The matrix, with the genes of this repeat, and its rows."""
    X = _matrix(cohort.matrix)
    draw = draw_repeat(design, cohort.y, cohort.groups, repeat)
    if design.top_genes is not None and design.top_genes < X.shape[1]:
        X = X[:, top_variance_genes(X[draw.split.pretrain], design.top_genes)]
    return X, draw


def _pretrain(design: Design, cohort: Cohort, repeat: int, method: str) -> _Pretrained:
    with _threads(design.threads):
        X, draw = _drawn(design, cohort, repeat)
        started = time.perf_counter()
        try:
            model = pretrain(
                method, X[draw.split.pretrain], n_classes=cohort.n_classes, seed=draw.seed, settings=design.pretraining
            )
        except DivergedError as error:
            return _Pretrained(repeat, method, Bundle({"error": f"pretraining: {error}"}, {}))
    bundle = model.to_bundle()
    return _Pretrained(
        repeat, method, Bundle({**bundle.description, "seconds": time.perf_counter() - started}, bundle.weights)
    )


def _task(
    design: Design, cohort: Cohort, run: Run, encoder: SelfSupervisedEncoder | None
) -> tuple[Task, NDArray[np.float32], NDArray[np.integer]]:
    """What the method of a run may see, and the test rows with their class numbers."""
    X, draw = _drawn(design, cohort, run.repeat)
    shown, test = draw.order[: run.n_labels], draw.split.test
    places = np.searchsorted(draw.split.pretrain, shown)  # training rows are pretraining rows, and these ascend
    seed = training_seed(draw.seed, run.n_labels)
    task = Task(X[draw.split.pretrain], places, cohort.y[shown], seed, design.training, encoder)
    return task, X[test], cohort.y[test]


def _carry_out(design: Design, cohort: Cohort, run: Run, encoder: Path | None = None) -> tuple[Run, dict[str, Any]]:
    """Train and test; a training that diverges is an outcome as well."""
    bundle = None if encoder is None else load_bundle(encoder)
    if bundle is not None and "error" in bundle.description:
        return run, {"error": bundle.description["error"]}
    with _threads(design.threads):
        task, X, y = _task(design, cohort, run, None if bundle is None else SelfSupervisedEncoder.from_bundle(bundle))
        started = time.perf_counter()
        try:
            model = METHODS[run.method].fit(task)
        except DivergedError as error:
            return run, {"error": str(error)}
        probabilities = model.predict_proba(X)
        seconds = time.perf_counter() - started
        return run, {
            **score_predictions(y, probabilities),
            "seconds": round(seconds, 3),
            "seed": task.seed,
            "confusion": confusion(y, probabilities),
            "calibration": calibrate(y, probabilities)._asdict(),
            "diagnosis": [] if bundle is None else bundle.description["pretraining"]["diagnosis"],
        }


def _embed(design: Design, cohort: Cohort, method: str | None, encoder: Path | None) -> dict[str, Any]:
    with _threads(design.threads):
        X, draw = _drawn(design, cohort, 0)
        rows = sample_rows(draw.split, cohort.y)
        if encoder is None:
            scaler = ExpressionScaler().fit(X[draw.split.pretrain])
            seen = scaler.transform(X[rows])
        else:
            seen = SelfSupervisedEncoder.from_bundle(load_bundle(encoder)).transform(X[rows])
        held_out = np.isin(rows, draw.split.test)
        return map_samples(seen, rows, held_out, name=method or "input", seed=design.seed)
