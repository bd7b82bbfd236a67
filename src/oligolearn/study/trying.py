"""Train one choice of settings on every repeat of a tuning, and predict validation or test samples."""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators import CollapseWarning, FineTunedClassifier, SelfSupervisedEncoder, Share, fit_together
from oligolearn.study.design import Design, Draw, draw_repeat, training_seed
from oligolearn.study.execute import Cohort, chosen_genes
from oligolearn.study.methods import METHODS, objective_defaults
from oligolearn.training import DivergedError, threads
from oligolearn.workers import Workers

HeldOut = Literal["validation", "test"]
N_RESAMPLED = 2000


class Outcome(NamedTuple):
    """What became of one choice of settings.

    Attributes
    ----------
    predicted
        Class numbers of the held-out samples in each repeat, ``(n_repeats, n_held_out)``; None where a repeat diverged.
    seconds
        For all repeats.
    error
        Why there are no predictions.
    """

    predicted: NDArray[np.intp] | None
    seconds: float
    error: str | None = None


class Bench(NamedTuple):
    """Everything that trials share.

    Attributes
    ----------
    design
        One method at one fraction of the labels, on one split.
    cohort
        The data.
    n_labels
        Labels shown.
    """

    design: Design
    cohort: Cohort
    n_labels: int

    @property
    def method(self) -> str:
        """Name in `METHODS`."""
        return self.design.methods[0]

    def draws(self) -> list[Draw]:
        """Rows and seeds of the repeats."""
        y, groups = self.cohort.y, self.cohort.groups
        return [draw_repeat(self.design, y, groups, repeat) for repeat in range(self.design.repeats)]

    def rows(self, part: Literal["validation", "test", "pretrain"]) -> NDArray[np.intp]:
        """Rows of one part of the split, which all repeats share."""
        rows: NDArray[np.intp] = getattr(self.draws()[0].split, part)
        return rows

    def genes(self) -> NDArray[np.intp] | None:
        """Genes of all repeats, which share their pretraining rows; None for all genes."""
        return chosen_genes(self.design, self.cohort, self.rows("pretrain"))


def default_settings(design: Design, n_classes: int, n_pretrain: int) -> dict[str, dict[str, Any]]:
    """Settings that `oligolearn study` trains the method of `design` with."""
    pretraining, training = dict(design.pretraining), dict(design.training)
    objective = METHODS[design.methods[0]].objective
    if objective:
        chosen = pretraining.get("objective_options") or {}
        pretraining["objective_options"] = {**objective_defaults(objective, n_classes, n_pretrain), **chosen}
    return {"pretraining": pretraining, "training": training}


def try_all(
    bench: Bench, choices: Iterable[Mapping[str, Any]], part: HeldOut, *, workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """Train every choice of settings; yields its place among them and its outcome as each is finished.

    The repeats of one choice are trained together as replicas; different choices have different learning rates and
    cannot be. So a choice is what a worker takes, and no result depends on the number of workers.
    """
    jobs = (joblib.delayed(_try)(bench, i, settings, part) for i, settings in enumerate(choices))
    yield from workers.carry_out(jobs)


def _try(bench: Bench, number: int, settings: Mapping[str, Any], part: HeldOut) -> tuple[int, Outcome]:
    started = time.perf_counter()
    with threads(bench.design.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # a collapsed encoder shows in the score
        draws, genes = bench.draws(), bench.genes()
        try:
            models = _fit(bench, draws, genes, settings)
        except DivergedError as error:
            return number, Outcome(None, time.perf_counter() - started, str(error))
        held_out = bench.cohort.values(getattr(draws[0].split, part), genes)
        predicted = [model.predict_proba(held_out).argmax(axis=1) for model in models]
    return number, Outcome(np.array(predicted), time.perf_counter() - started)


def _fit(
    bench: Bench, draws: list[Draw], genes: NDArray[np.intp] | None, settings: Mapping[str, Any]
) -> list[FineTunedClassifier]:
    """One fitted classifier for each repeat, trained on nothing but its training rows."""
    X = bench.cohort.expression()
    encoders: list[Any] = [None] * len(draws)
    objective = METHODS[bench.method].objective
    if objective:
        options = {**bench.design.hardware, **settings["pretraining"]}
        fresh = [SelfSupervisedEncoder(objective, random_state=draw.seed, **options) for draw in draws]
        shares = [bench.cohort.pretraining_share(draw.split.pretrain, genes) for draw in draws]
        encoders = _whole(fit_together(fresh, X, shares, genes=bench.cohort.genes).models)
    options = {**bench.design.hardware, **settings["training"]}
    seeds = [training_seed(draw.seed, bench.n_labels) for draw in draws]
    classifiers = [
        FineTunedClassifier(encoder, random_state=seed, **options)
        for encoder, seed in zip(encoders, seeds, strict=True)
    ]
    shares = [Share(draw.split.pretrain, _shown_labels(bench, draw), genes) for draw in draws]
    return _whole(fit_together(classifiers, X, shares).models)


def _shown_labels(bench: Bench, draw: Draw) -> NDArray[np.float64]:
    """Labels of the rows for pretraining, NaN but for the training rows whose labels are shown."""
    shown = draw.order[: bench.n_labels]
    y = np.full(len(draw.split.pretrain), np.nan)
    y[np.searchsorted(draw.split.pretrain, shown)] = bench.cohort.y[shown]
    return y


def _whole(models: Iterable[Any]) -> list[Any]:
    """The models; raises the error of the first that diverged."""
    models = list(models)
    for model in models:
        if isinstance(model, DivergedError):
            raise model
    return models


def balanced_accuracies(y: NDArray[np.integer], predicted: NDArray[np.intp]) -> list[float]:
    """Balanced accuracy of each repeat.

    Parameters
    ----------
    y
        True class numbers, ``(n,)``.
    predicted
        ``(n_repeats, n)``.

    Examples
    --------
    >>> balanced_accuracies(np.array([0, 0, 0, 1]), np.array([[0, 0, 1, 1]]))
    [0.8333333333333333]
    """
    return [float(np.mean([np.mean(one[y == label] == label) for label in np.unique(y)])) for one in predicted]


def difference_interval(
    y: NDArray[np.integer],
    one: NDArray[np.intp],
    other: NDArray[np.intp],
    units: NDArray[np.integer] | None = None,
    *,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % bootstrap interval of a difference in balanced accuracy, over the test samples and paired on them.

    Parameters
    ----------
    y
        True class numbers, ``(n,)``.
    one, other
        Predictions, ``(n_repeats, n)``; the difference of their means over repeats is taken.
    units
        What is drawn, such as patients, ``(n,)``; None for samples.
    seed
        Of the bootstrap.
    """
    gain = (one == y).mean(axis=0) - (other == y).mean(axis=0)
    names, unit_of = np.unique(np.arange(len(y)) if units is None else units, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=N_RESAMPLED)[:, unit_of]
    per_class = []
    for label in np.unique(y):
        weights = drawn[:, y == label]
        n = weights.sum(axis=1)
        per_class.append(np.where(n > 0, weights @ gain[y == label] / np.maximum(n, 1), np.nan))
    low, high = np.nanquantile(np.nanmean(per_class, axis=0), [0.025, 0.975])
    return float(low), float(high)
