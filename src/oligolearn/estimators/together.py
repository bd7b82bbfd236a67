"""Many estimators fitted on one matrix, those that can be as replicas."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.data import ExpressionScaler
from oligolearn.estimators.building import resolve_device
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.labels import UNLABELLED
from oligolearn.estimators.rows import every_nth, spread_rows
from oligolearn.estimators.self_supervised import N_DIAGNOSED, SelfSupervisedEncoder
from oligolearn.estimators.self_trained import SelfTrainedClassifier
from oligolearn.pretext import augmented, needs_rows
from oligolearn.training import (
    DivergedError,
    History,
    Runtime,
    Schedule,
    apply_in_batches,
    fit_replicas,
    n_batches,
    room_for_replicas,
)

_ROWS_AT_ONCE = 1024
Model = FineTunedClassifier | SelfSupervisedEncoder | SelfTrainedClassifier


class Share(NamedTuple):
    """What one estimator sees of the matrix.

    Attributes
    ----------
    rows
        Numbers of the rows to fit on.
    y
        Their labels, NaN where unlabelled, ``(len(rows),)``; None for an estimator that needs none.
    genes
        Numbers of the columns to fit on; None for all.
    borrowed_from
        Rows of the matrix from this number on are those of other cohorts and standardised already: they are taken as
        they are, the scaler is fitted to the rows before. None where there are none.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.floating] | None = None
    genes: NDArray[np.intp] | None = None
    borrowed_from: int | None = None

    @property
    def own(self) -> NDArray[np.intp]:
        """Those of the rows that are not standardised yet."""
        return self.rows if self.borrowed_from is None else self.rows[self.rows < self.borrowed_from]


class Together(NamedTuple):
    """What became of estimators fitted together.

    Attributes
    ----------
    models
        Each model, fitted, or the error of one whose loss diverged.
    how
        For each: ``"stacked"``, or ``"one at a time: "`` and the reason.
    """

    models: list[Model | DivergedError]
    how: list[str]


def fit_together(
    models: Sequence[Model], X: NDArray[np.float32], shares: Sequence[Share], *, genes: Sequence[str] | None = None
) -> Together:
    """Fit each estimator on its share of `X`, as its own `fit` would but for rounding.

    Estimators whose networks and numbers of steps and of rows agree are trained as replicas (see
    `oligolearn.training.fit_replicas`): they may differ in seed, rows, labels, genes, views, pretrained weights,
    learning rate, weight decay, dropout, and in what an objective names `per_replica`, such as its temperature. Rows
    are taken from the one matrix and standardised batch by batch. Teachers of a `SelfTrainedClassifier` are trained
    together with the other models, students thereafter.

    Parameters
    ----------
    models
        Not fitted; fitted in place.
    X
        ``(n_samples, n_genes)``, shared by all.
    shares
        Rows, labels and genes of each.
    genes
        Names of all columns of `X`, for views of whole gene sets.

    Raises
    ------
    ValueError
        As `fit` does.
    """
    matrix = _Matrix(X, genes)
    fitted: list[Model | DivergedError] = [
        model._prepare(_values(matrix, share, share.rows), share.y)[1]
        if isinstance(model, SelfTrainedClassifier)
        else model
        for model, share in zip(models, shares, strict=True)
    ]
    how = ["one at a time: early stopping"] * len(models)
    jobs: dict[int, _Job] = {}
    for i, (model, share) in enumerate(zip(fitted, shares, strict=True)):
        if isinstance(model, FineTunedClassifier) and model.early_stopping:
            fitted[i] = _fit_alone(model, matrix, share)
        elif isinstance(model, FineTunedClassifier | SelfSupervisedEncoder):
            jobs[i] = _start(model, matrix, share)
    _carry_out(matrix, jobs, fitted, how)
    students: dict[int, _Job] = {}
    for i, (model, teacher) in enumerate(zip(models, fitted, strict=True)):
        if isinstance(model, SelfTrainedClassifier) and isinstance(teacher, FineTunedClassifier):
            students[i] = _start_student(model, teacher, matrix, shares[i])
    _carry_out(matrix, students, fitted, how)
    return Together(fitted, how)


def _carry_out(
    matrix: "_Matrix", jobs: Mapping[int, "_Job"], fitted: list[Model | DivergedError], how: list[str]
) -> None:
    """Train jobs and put each model, and how it was trained, into its place."""
    for members in _alike(jobs):
        found = _train(matrix, [jobs[i] for i in members])
        for i, (result, way) in zip(members, found, strict=True):
            how[i] = way
            fitted[i] = result if isinstance(result, DivergedError) else jobs[i].finish(result)


class _Matrix:
    """Raw expression on a device, where it fits, and batches of it."""

    def __init__(self, X: NDArray[np.float32], names: Sequence[str] | None = None) -> None:
        self.X = X
        self.names = names
        self._on: dict[torch.device, Tensor] = {}

    def genes(self, share: Share) -> Sequence[str] | None:
        """Names of the columns of a share, where they are known."""
        if self.names is None or share.genes is None:
            return self.names
        return [self.names[i] for i in share.genes]

    def on(self, device: torch.device) -> Tensor:
        """The matrix on a device; on the CPU where a GPU has no room for it."""
        if device not in self._on:
            there = torch.from_numpy(self.X) if self.X.flags.writeable else torch.from_numpy(np.asarray(self.X).copy())
            if device.type == "cuda" and there.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]:
                there = there.to(device)
            self._on[device] = there
        return self._on[device]


class _Job(NamedTuple):
    """A training that is set up."""

    model: FineTunedClassifier | SelfSupervisedEncoder  # the network's
    module: nn.Module
    schedule: Schedule
    seed: int
    share: Share
    rows: Tensor  # places in the matrix of the rows to draw from
    targets: tuple[Tensor, ...]  # what the loss takes of each row beside its values
    views: tuple[bool, ...]  # whether each of the values that the loss takes is a random view of the row
    view: Callable[[Callable[[], Tensor]], Callable[..., Tensor]]  # made of the rows that it may look at
    finish: Callable[[History], Model]


def _values(matrix: _Matrix, share: Share, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    return matrix.X[rows] if share.genes is None else matrix.X[np.ix_(rows, share.genes)]


def _fit_alone(model: FineTunedClassifier, matrix: _Matrix, share: Share) -> Model | DivergedError:
    try:
        return model.fit(_values(matrix, share, share.rows), [] if share.y is None else share.y)
    except DivergedError as error:
        return error


def _start(model: FineTunedClassifier | SelfSupervisedEncoder, matrix: _Matrix, share: Share) -> _Job:
    values = _values(matrix, share, share.own)
    device = resolve_device(model.device)
    if isinstance(model, SelfSupervisedEncoder):
        _, seed = model._prepare(values)
        n_rows = len(share.rows)
        objective = model._build(n_rows, values.shape[1], seed, device)

        def finish(history: History) -> Model:
            few = share.own[every_nth(len(share.own), N_DIAGNOSED)]
            some = torch.from_numpy(model.scaler_.transform(_values(matrix, share, few)))
            return model._finish(objective, history, some.to(device), n_rows=n_rows)

        rows = torch.from_numpy(share.rows)
        schedule, views = model._schedule(len(rows)), augmented(objective)

        def view(some_rows: Callable[[], Tensor]) -> Callable[..., Tensor]:
            return model._view(some_rows, matrix.genes(share))

        return _Job(model, objective, schedule, seed, share, rows, (), views, view, finish)
    given = model._prepare(values, share.y)
    codes = given.codes
    labelled = np.flatnonzero(codes != UNLABELLED)
    x = torch.from_numpy(model.scaler_.transform(values[labelled])).to(device)
    loss = model._build(x, codes[labelled], given)
    schedule = model._schedule(len(labelled))
    target = torch.from_numpy(codes[labelled]).to(device)
    rows = torch.from_numpy(share.rows[labelled])
    return _Job(
        model,
        loss,
        schedule,
        given.seed,
        share,
        rows,
        (target,),
        (False,),
        _no_view,
        lambda history: model._finish(history, schedule),
    )


def _start_student(model: SelfTrainedClassifier, teacher: FineTunedClassifier, matrix: _Matrix, share: Share) -> _Job:
    lesson = model._teach(teacher, _values(matrix, share, share.rows), share.y)
    return _Job(
        lesson.student,
        lesson.loss,
        lesson.schedule,
        lesson.seed,
        share,
        torch.from_numpy(share.rows),
        (lesson.target, lesson.soft),
        (model.view is not None,),
        lambda some_rows: model._view(some_rows, matrix.genes(share)),
        lambda history: model._finish(teacher, lesson, history),
    )


def _no_view(some_rows: Callable[[], Tensor]) -> Callable[..., Tensor]:
    return lambda x, generator: x


def _scaler_of(model: FineTunedClassifier | SelfSupervisedEncoder) -> ExpressionScaler:
    if not isinstance(model.scaler_, ExpressionScaler):
        raise ValueError(
            "an encoder whose genes are mapped by quantiles cannot be trained together with others: use fit"
        )
    return model.scaler_


def _alike(jobs: Mapping[int, _Job]) -> list[list[int]]:
    """Numbers of the jobs that may be replicas of each other."""
    groups: dict[object, list[int]] = {}
    for number, job in jobs.items():
        model = job.model
        kind = (type(model), type(job.module), job.views, _scaler_of(model).clip, model.precision, model.device)
        length = (job.schedule.steps, job.schedule.batch_size, job.schedule.clip_norm, len(job.rows))
        shapes = tuple((name, p.shape, p.requires_grad) for name, p in job.module.named_parameters())
        key = (*kind, *length, shapes, model.n_features_in_, job.share.borrowed_from)
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _train(matrix: _Matrix, group: Sequence[_Job]) -> list[tuple[History | DivergedError, str]]:
    """Train jobs as replicas, as many at once as memory has room for."""
    first = group[0]
    device = next(first.module.parameters()).device
    n_rows = len(first.rows)
    batch = n_rows // n_batches(n_rows, first.schedule.batch_size)
    room = room_for_replicas(first.module, batch * first.model.n_features_in_, device)
    done: list[tuple[History | DivergedError, str]] = []
    for part in (group[i : i + room] for i in range(0, len(group), room)):
        batches = _Batches(matrix, part, device)
        found = fit_replicas(
            [job.module for job in part],
            batches,
            n_rows,
            [job.schedule for job in part],
            generators=[torch.Generator().manual_seed(job.seed) for job in part],
            draws=batches.draws,
            before_epoch=batches.before_epoch if hasattr(first.module, "on_epoch") else None,
            on_epoch=first.model.on_epoch,
            runtime=Runtime(first.model.precision),
        )
        done += [(result, found.how) for result in found.results]
    return done


class _Batches:
    """Batches of replicas, taken from the one matrix: ``(n, batch, n_genes)`` and labels, or two views of it."""

    def __init__(self, matrix: _Matrix, jobs: Sequence[_Job], device: torch.device) -> None:
        self.matrix = matrix.on(device)
        self.device = device
        self.rows = torch.stack([job.rows for job in jobs])
        self.borrowed_from = jobs[0].share.borrowed_from
        self.genes = None if jobs[0].share.genes is None else _stacked([job.share.genes for job in jobs], device)
        self.targets = [torch.stack(parts) for parts in zip(*(job.targets for job in jobs), strict=True)]
        self.scalers = [_scaler_of(job.model) for job in jobs]
        self.mean = _stacked([scaler.mean_ for scaler in self.scalers], device).float()
        self.inverse = _stacked([scaler.inverse_scale_ for scaler in self.scalers], device).float()
        self.modules: list[Any] = [job.module for job in jobs]
        self.augmented, self.numbered = jobs[0].views, needs_rows(jobs[0].module)
        self.views = [job.view(self._some_rows(number)) for number, job in enumerate(jobs)]
        self.draws = [torch.Generator(device).manual_seed(job.seed) for job in jobs]

    def __call__(self, numbers: Tensor, replicas: Sequence[int]) -> tuple[Tensor, ...]:
        """Draw the batch of some replicas; `numbers` ``(n, batch)`` count among the rows of each."""
        which = list(replicas)
        x = self._standardised(self.rows[which].gather(1, numbers), which)
        parts = [torch.empty_like(x) if random else x for random in self.augmented]
        for k, i in enumerate(which):
            for part, random in zip(parts, self.augmented, strict=True):
                if random:
                    part[k] = self.views[i](x[k], generator=self.draws[i])
        drawn = numbers.to(self.device)
        whose = torch.tensor(which, device=self.device)[:, None]
        parts += [target[whose, drawn] for target in self.targets]
        return (*parts, drawn) if self.numbered else tuple(parts)

    def before_epoch(self, replica: int) -> None:
        """Show an objective what its encoder makes of all its rows."""
        module = self.modules[replica]
        parts = [
            self._standardised(part[None], [replica])[0] for part in torch.split(self.rows[replica], _ROWS_AT_ONCE)
        ]
        module.on_epoch(torch.cat([apply_in_batches(module.encoder, part) for part in parts]).to(self.device))

    def _some_rows(self, replica: int) -> Callable[[], Tensor]:
        def some() -> Tensor:
            rows = self.rows[replica]
            return self._standardised(rows[spread_rows(len(rows), self.mean.shape[1])][None], [replica])[0]

        return some

    def _standardised(self, places: Tensor, which: list[int]) -> Tensor:
        """Rows of the matrix ``(n, batch)`` as the scaler of each replica has them."""
        x = self.matrix[places.to(self.matrix.device)].to(self.device)
        if self.genes is not None:
            x = x.gather(2, self.genes[which, None].expand(-1, x.shape[1], -1))
        as_they_are = None if self.borrowed_from is None else x.clone()
        x.sub_(self.mean[which, None]).mul_(self.inverse[which, None])
        clip = self.scalers[0].clip
        if clip is not None:
            x.clamp_(-clip, clip)
        x.nan_to_num_(nan=0.0)
        if as_they_are is None:
            return x
        borrowed = (places >= cast(int, self.borrowed_from)).to(self.device)
        return torch.where(borrowed[..., None], as_they_are, x)


def _stacked(arrays: Sequence[NDArray[Any] | None], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack([array for array in arrays if array is not None])).to(device)
