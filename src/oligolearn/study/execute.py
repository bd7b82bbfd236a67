"""Carry out the runs of a study on worker processes; each finished run is kept at once."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import joblib
import numpy as np
from numpy.typing import NDArray

from oligolearn.saving import Bundle, is_bundle, load_bundle, save_bundle
from oligolearn.study import work
from oligolearn.study.design import AnyDesign, Design, Draw, Run, group_runs, training_seed
from oligolearn.study.store import Store
from oligolearn.study.task import Predictor, Task
from oligolearn.workers import Workers

if TYPE_CHECKING:
    from oligolearn.estimators import SelfSupervisedEncoder, Share
    from oligolearn.training import DivergedError

OnProgress = Callable[[float, float, str], None]


class AnyCohort(Protocol):
    """The data of a study, of expression or of sequences, as every worker sees them."""

    @property
    def y(self) -> NDArray[np.integer]:
        """Class numbers, -1 where unlabelled."""

    @property
    def groups(self) -> NDArray[np.integer] | None:
        """Group numbers, or None."""

    def columns(self, design: Any, rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
        """Numbers of the columns that a repeat with these pretraining rows uses; None for all."""

    def values(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> Any:
        """Some rows, as a fitted method takes them."""

    def task(self, design: Any, draw: Draw, genes: NDArray[np.intp] | None, n_labels: int, encoder: Any) -> Any:
        """What a method may see with the labels of the first `n_labels` training rows."""

    def scores(self, model: Any, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> dict[str, Any]:
        """How good the predictions of a fitted method are for some rows: what is kept of a run."""

    def pretrain(
        self, design: Any, drawn: Sequence[tuple[Draw, NDArray[np.intp] | None]], objective: str
    ) -> Sequence[Any]:
        """For each repeat an encoder, or the error of one that diverged."""

    def encoder(self, bundle: Bundle) -> Any:
        """The encoder that was pretrained."""

    def measured(
        self, rows: NDArray[np.intp], shown: NDArray[np.intp], genes: NDArray[np.intp] | None
    ) -> NDArray[np.floating]:
        """The rows `shown` as numbers without any encoder, scaled as `rows` are."""


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
    genes
        Names of the columns, for views that need them.
    n_borrowed
        Rows of other cohorts at the end of the matrix, which have no class and serve pretraining alone.
    borrowed_ready
        Whether these are standardised already, each cohort by itself.
    """

    matrix: Path
    y: NDArray[np.integer]
    groups: NDArray[np.integer] | None
    genes: tuple[str, ...] | None = None
    n_borrowed: int = 0
    borrowed_ready: bool = False

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1

    def pretraining_share(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> "Share":
        """What is pretrained on: some rows of one's own, and all that are borrowed."""
        from oligolearn.estimators import Share

        n_own = len(self.y)
        borrowed = np.arange(n_own, n_own + self.n_borrowed)
        ready_from = n_own if self.n_borrowed and self.borrowed_ready else None
        return Share(np.concatenate([rows, borrowed]), genes=genes, borrowed_from=ready_from)

    def shown_labels(self, draw: Draw, n_labels: int) -> NDArray[np.float64]:
        """Labels of the rows for pretraining, NaN but for the first `n_labels` training rows."""
        shown = draw.order[:n_labels]
        y = np.full(len(draw.split.pretrain), np.nan)
        y[np.searchsorted(draw.split.pretrain, shown)] = self.y[shown]
        return y

    def expression(self) -> NDArray[np.float32]:
        """The matrix, mapped anew: a mapping that outlived its file would show the next study the data of this one."""
        matrix: NDArray[np.float32] = np.load(self.matrix, mmap_mode="c")  # torch wants to be able to write, never does
        return matrix

    def values(self, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """Some rows of the matrix, ``(len(rows), n_genes)``; `genes` numbers columns, None for all."""
        X = self.expression()
        return X[rows] if genes is None else X[np.ix_(rows, genes)]

    def columns(self, design: Design, rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
        """Numbers of the genes that a repeat with these pretraining rows uses; None for all."""
        return chosen_genes(self, rows, design.top_genes)

    def task(
        self,
        design: Design,
        draw: Draw,
        genes: NDArray[np.intp] | None,
        n_labels: int,
        encoder: "SelfSupervisedEncoder | None",
    ) -> Task:
        """What a method may see with the labels of the first `n_labels` training rows."""
        rows, shown = draw.split.pretrain, draw.order[:n_labels]
        places = np.searchsorted(rows, shown)  # training rows are pretraining rows, and these ascend
        seed = training_seed(draw.seed, n_labels)
        settings = {**design.hardware, **design.training}
        groups = None if self.groups is None else self.groups[shown]
        return Task(self.expression(), rows, genes, places, self.y[shown], seed, settings, encoder, groups)

    def scores(self, model: Predictor, rows: NDArray[np.intp], genes: NDArray[np.intp] | None) -> dict[str, Any]:
        """How good the predictions of a fitted method are for some rows."""
        from oligolearn.study.scores import class_scores

        return class_scores(self.y[rows], model.predict_proba(self.values(rows, genes)))

    def pretrain(
        self, design: Design, drawn: Sequence[tuple[Draw, NDArray[np.intp] | None]], objective: str
    ) -> "list[SelfSupervisedEncoder | DivergedError]":
        """For each repeat an encoder, or the error of one that diverged."""
        from oligolearn.study.fitting import pretrain

        return pretrain(
            objective,
            self.expression(),
            [self.pretraining_share(draw.split.pretrain, genes) for draw, genes in drawn],
            genes=self.genes,
            n_classes=self.n_classes,
            seeds=[draw.seed for draw, _ in drawn],
            settings={**design.hardware, **design.pretraining},
        )

    def encoder(self, bundle: Bundle) -> "SelfSupervisedEncoder":
        """The encoder that was pretrained."""
        from oligolearn.estimators import SelfSupervisedEncoder

        return SelfSupervisedEncoder.from_bundle(bundle)

    def measured(
        self, rows: NDArray[np.intp], shown: NDArray[np.intp], genes: NDArray[np.intp] | None
    ) -> NDArray[np.floating]:
        """The rows `shown` as numbers without any encoder, scaled as `rows` are."""
        from oligolearn.data import ExpressionScaler

        return ExpressionScaler().fit(self.values(rows, genes)).transform(self.values(shown, genes))


class Pretrained(NamedTuple):
    """The encoder of a repeat, pretrained with an objective; without weights where that diverged."""

    repeat: int
    objective: str
    bundle: Bundle


def execute(
    design: AnyDesign,
    cohort: AnyCohort,
    runs: Sequence[Run],
    store: Store,
    *,
    workers: Workers,
    on_progress: OnProgress | None = None,
) -> None:
    """Carry out the runs that `store` does not hold yet.

    A job is a group of runs that are trained together. Jobs do not depend on which runs are done already, so a study
    that was interrupted ends with the numbers of one that was not.

    Parameters
    ----------
    design, cohort
        What decides the results.
    runs
        All runs of the study.
    store
        Receives every run when it is finished; pretrained encoders go to its `work` folder.
    workers
        Who does it; decides nothing but the time.
    on_progress
        Called with ``(work done, all work, what was done)``; work is in arbitrary units.
    """
    finished = store.finished()
    at_once = store.replicas()
    known = design.known
    jobs = [group for group in group_runs(runs, at_once, known) if not finished.issuperset(group)]
    ready = [job for job in jobs if not known[job[0].method].objective]
    waiting = [job for job in jobs if known[job[0].method].objective]
    missing = _missing_encoders(design, store, waiting, at_once)
    progress = _Progress(on_progress, sum(map(len, jobs)) + _PRETRAINING * sum(len(each) for each, _ in missing))
    plain = (joblib.delayed(work.carry_out)(design, cohort, job) for job in ready)
    pretrainings = (joblib.delayed(work.pretrain)(design, cohort, repeats, name) for repeats, name in missing)
    for done in workers.carry_out(chain(plain, pretrainings)):
        for one in done:
            if isinstance(one, Pretrained):
                save_bundle(_encoder_path(store, one.repeat, one.objective), one.bundle)
                progress.add(_PRETRAINING, f"pretraining {one.objective}, repeat {one.repeat + 1}")
            else:
                _keep(one, store, finished, progress)
    tuned = (
        joblib.delayed(work.carry_out)(
            design, cohort, job, [_encoder_path(store, run.repeat, _objective(design, run.method)) for run in job]
        )
        for job in waiting
    )
    for done in workers.carry_out(tuned):
        for one in done:
            _keep(one, store, finished, progress)


def _missing_encoders(
    design: AnyDesign, store: Store, waiting: Sequence[Sequence[Run]], at_once: int
) -> list[tuple[list[int], str]]:
    """Groups of repeats, and the objective, whose encoders are still to be pretrained: methods may share them."""
    wanted = {(run.repeat // at_once, _objective(design, run.method)) for job in waiting for run in job}
    groups = [
        (list(range(part * at_once, min(design.repeats, (part + 1) * at_once))), name) for part, name in sorted(wanted)
    ]
    return [
        (repeats, name)
        for repeats, name in groups
        if not all(is_bundle(_encoder_path(store, repeat, name)) for repeat in repeats)
    ]


def _keep(done: tuple[Run, dict[str, Any]], store: Store, finished: set[Run], progress: "_Progress") -> None:
    run, outcome = done
    if run not in finished:  # a group is done as a whole, even where only some of it was missing
        store.add(run, outcome)
    progress.add(1, _named(run))


def embed_cohort(design: AnyDesign, cohort: AnyCohort, store: Store, *, workers: Workers) -> list[dict[str, Any]]:
    """Maps of the samples of the first repeat: as measured, and as each pretrained encoder sees them."""
    objectives = dict.fromkeys(_objective(design, name) for name in design.methods if design.known[name].objective)
    encoders = [None, *(name for name in objectives if _has_encoder(_encoder_path(store, 0, name)))]
    jobs = (
        joblib.delayed(work.embed)(design, cohort, name, name and _encoder_path(store, 0, name)) for name in encoders
    )
    found = {one["name"]: one for one in workers.carry_out(jobs)}
    return [found[name or "input"] for name in encoders if (name or "input") in found]


def _has_encoder(path: Path) -> bool:
    """Whether a pretraining was finished, and not by diverging."""
    return is_bundle(path) and "error" not in load_bundle(path).description


_PRETRAINING = 20  # for the progress bar: a pretraining takes about as long as so many other runs


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


def _objective(design: AnyDesign, method: str) -> str:
    """What the encoder of a method was pretrained with."""
    return design.known[method].objective or method


def _encoder_path(store: Store, repeat: int, objective: str) -> Path:
    return store.work / f"{objective}-{repeat}"


def chosen_genes(cohort: Cohort, rows: NDArray[np.intp], top_genes: int | None) -> NDArray[np.intp] | None:
    """Numbers of the `top_genes` genes that vary most in `rows`; None for all."""
    X = cohort.expression()
    if top_genes is None or top_genes >= X.shape[1]:
        return None
    from oligolearn.data import top_variance_genes

    return top_variance_genes(X[rows], top_genes)
