"""Train every method of a transfer study at every budget, and test it on rows of the target that nobody has seen."""

import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from oligolearn.data import Split
from oligolearn.estimators import DomainAdaptedClassifier, FineTunedClassifier
from oligolearn.estimators.adaptation_conclusion import conclude
from oligolearn.estimators.domain_fitting import apply_per_domain
from oligolearn.estimators.mapping import MAPS
from oligolearn.estimators.metrics import score_predictions
from oligolearn.estimators.shift import standardise_domains
from oligolearn.study.cohort import Cohort, chosen_genes
from oligolearn.study.design import Run, training_seed
from oligolearn.study.embedding import map_samples, sample_rows
from oligolearn.study.execute import OnProgress
from oligolearn.study.store import Store
from oligolearn.study.transfer_design import TransferDesign, TransferDraw, draw_transfer
from oligolearn.study.transfer_methods import TRANSFER_METHODS, TransferModel, TransferTask
from oligolearn.training import threads
from oligolearn.workers import Workers

MEASURED = "measured"
_SHIFT = ("standardize", "domain_auroc", "domain_auroc_within_classes", "reverse_validation")


class Domains(NamedTuple):
    """The data of a transfer study, as every worker sees them.

    Attributes
    ----------
    cohort
        Rows of the sources one after the other, then those of the target.
    domains
        Number of the source of each row, -1 for the target.
    """

    cohort: Cohort
    domains: NDArray[np.int64]

    def draw(self, design: TransferDesign, repeat: int) -> TransferDraw:
        """The rows of a repeat."""
        return draw_transfer(design, self.cohort.y, self.domains, self.cohort.groups, repeat)

    @property
    def sources(self) -> NDArray[np.intp]:
        """Rows of the sources."""
        return np.flatnonzero(self.domains >= 0)


def train_transfer(
    design: TransferDesign,
    data: Domains,
    runs: Sequence[tuple[Run, int | None]],
    store: Store,
    *,
    workers: Workers,
    on_progress: OnProgress | None = None,
) -> None:
    """Carry out the runs that `store` does not hold yet, each by itself.

    Parameters
    ----------
    design, data
        What decides the results.
    runs
        All runs of the study, each with its labels per class (None: all).
    store
        Receives every run when it is finished.
    workers
        Who does it; decides nothing but the time.
    on_progress
        Called with ``(work done, all work, what was done)``.
    """
    finished = store.finished()
    waiting = [(run, budget) for run, budget in runs if run not in finished]
    jobs = (joblib.delayed(_carry_out)(design, data, run, budget) for run, budget in waiting)
    for done, (run, outcome) in enumerate(workers.carry_out(jobs), len(runs) - len(waiting) + 1):
        store.add(run, outcome)
        if on_progress is not None:
            on_progress(done, len(runs), f"{run.method}, {run.n_labels} labels, repeat {run.repeat + 1}")


def _carry_out(design: TransferDesign, data: Domains, run: Run, budget: int | None) -> tuple[Run, dict[str, Any]]:
    """Train and test once; a method that cannot use these rows is an outcome as well, and spoils no other run."""
    draw = data.draw(design, run.repeat)
    try:
        with threads(design.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            started = time.perf_counter()
            task, genes = _task(design, data, draw, budget)
            model = TRANSFER_METHODS[run.method].fit(task)
            probabilities = model.predict_proba(data.cohort.values(draw.test, genes))
            seconds = time.perf_counter() - started
    except ValueError as error:
        return run, {"error": str(error)}
    scores = score_predictions(data.cohort.y[draw.test], probabilities)
    return run, {**scores, **_shift(model), "seconds": round(seconds, 3), "seed": task.seed}


def _task(
    design: TransferDesign, data: Domains, draw: TransferDraw, budget: int | None
) -> tuple[TransferTask, NDArray[np.intp] | None]:
    """What a method may see at a budget, and the numbers of its genes."""
    rows = np.concatenate([data.sources, draw.seen])
    genes = chosen_genes(data.cohort, data.sources, design.top_genes)
    y = np.where(data.cohort.y >= 0, data.cohort.y, np.nan)
    y[np.setdiff1d(np.flatnonzero(data.domains < 0), draw.shown(budget))] = np.nan
    n_shown = len(draw.shown(budget))
    seed = training_seed(draw.seed, n_shown)
    return TransferTask(data.cohort.values(rows, genes), y[rows], data.domains[rows], seed, design.settings), genes


def _shift(model: TransferModel) -> dict[str, Any]:
    """What a run keeps of the shift that was found, and what was done about it."""
    if not isinstance(model, DomainAdaptedClassifier):
        return {}
    told = model.adaptation_
    return {"shift": {name: told.get(name) for name in _SHIFT}, "notes": conclude(model)}


def map_domains(design: TransferDesign, data: Domains, *, workers: Workers) -> list[dict[str, Any]]:
    """Maps of the samples of the first repeat: as measured, and as each method sees them without labels of the target.

    Methods that fail are left out, as are those that see the samples as an earlier one does.
    """
    jobs = (joblib.delayed(_map)(design, data, name) for name in (MEASURED, *design.methods))
    found = {one["name"]: one for one in workers.carry_out(jobs) if one is not None}
    maps: list[dict[str, Any]] = []
    for name in (MEASURED, *design.methods):
        if name in found and all(found[name]["pca"] != one["pca"] for one in maps):
            maps.append(found[name])
    return maps


def _map(design: TransferDesign, data: Domains, method: str) -> dict[str, Any] | None:
    draw = data.draw(design, 0)
    try:
        with threads(design.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            task, genes = _task(design, data, draw, 0)
            rows = _drawn_rows(data, draw)
            X, domains = data.cohort.values(rows, genes), data.domains[rows]
            if method == MEASURED:
                seen, _ = standardise_domains(X, domains, "together")
            else:
                model = TRANSFER_METHODS[method].fit(task)
                seen = as_seen(model, task, X, domains)
    except ValueError:
        return None  # the run says why
    return map_samples(seen, rows, np.isin(rows, draw.test), name=method, seed=design.seed, with_tsne=False)


def _drawn_rows(data: Domains, draw: TransferDraw) -> NDArray[np.intp]:
    nobody = np.empty(0, dtype=np.intp)
    learned_from = np.concatenate([data.sources, draw.seen])
    return sample_rows(Split(draw.train, nobody, draw.test, learned_from))


def as_seen(
    model: TransferModel, task: TransferTask, X: NDArray[np.float32], domains: NDArray[np.int64]
) -> NDArray[np.floating]:
    """Rows as what predicts their side sees them: the embedding of a network, else genes as they were standardised.

    Parameters
    ----------
    model
        Fitted to `task`.
    task
        What it was fitted to: maps between covariances are computed anew from it.
    X, domains
        Rows, ``(n_rows, n_genes)``, and where they are from.
    """
    if not isinstance(model, DomainAdaptedClassifier):
        return model.scaler_.transform(X)
    seen = apply_per_domain(model, X, domains, _as_one_sees).astype(np.float64)
    method = model.adaptation_["method"]
    if method in MAPS:
        standardised, _ = standardise_domains(task.X, task.domains, model.adaptation_["standardize"])
        to_target = MAPS[method](standardised[task.domains >= 0], standardised[task.domains < 0])
        seen[domains >= 0] = to_target(seen[domains >= 0])
    return seen


def _as_one_sees(model: Any, X: NDArray[np.floating]) -> NDArray[np.floating]:
    if isinstance(model, FineTunedClassifier):
        return model.embed(X)
    standardised: NDArray[np.floating] = model.scaler_.transform(X)
    return standardised
