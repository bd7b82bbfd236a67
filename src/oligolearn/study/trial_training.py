"""Train choices of settings on every repeat of a tuning, and predict validation or test samples."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators import CollapseWarning, FineTunedClassifier, SelfSupervisedEncoder, Share, fit_together
from oligolearn.study.cohort import Cohort, chosen_genes
from oligolearn.study.design import Design, Draw, draw_repeat, training_seed
from oligolearn.study.methods import METHODS, objective_defaults
from oligolearn.study.replica_families import FAMILY, architecture
from oligolearn.training import DivergedError, threads
from oligolearn.workers import Workers

HeldOut = Literal["validation", "test"]
Settings = Mapping[str, Mapping[str, Any]]
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
        return chosen_genes(self.cohort, self.rows("pretrain"), self.design.top_genes)

    def try_all(self, choices: Sequence[Settings], part: HeldOut, *, workers: Workers) -> Iterator[tuple[int, Outcome]]:
        """Train every choice of settings and predict, see `try_all`."""
        return try_all(self, choices, part, workers=workers)


def default_settings(design: Design, n_classes: int, n_pretrain: int) -> dict[str, dict[str, Any]]:
    """Settings that `oligolearn study` trains the method of `design` with."""
    pretraining, training = dict(design.pretraining), dict(design.training)
    objective = METHODS[design.methods[0]].objective
    if objective:
        chosen = pretraining.get("objective_options") or {}
        pretraining["objective_options"] = {**objective_defaults(objective, n_classes, n_pretrain), **chosen}
    return {"pretraining": pretraining, "training": training}


def try_all(
    bench: Bench, choices: Sequence[Settings], part: HeldOut, *, workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """Train every choice of settings; yields its place among them and its outcome as each is finished.

    Choices that can be replicas of each other are trained together, up to four in all their repeats, by one worker;
    which these are does not depend on the number of workers, and so no result does.
    """
    objective = METHODS[bench.method].objective
    alike: dict[str, list[int]] = {}
    for i, settings in enumerate(choices):
        alike.setdefault(architecture(settings, objective), []).append(i)
    families = [places[k : k + FAMILY] for places in alike.values() for k in range(0, len(places), FAMILY)]
    jobs = (joblib.delayed(_try)(bench, {i: choices[i] for i in family}, part) for family in families)
    for done in workers.carry_out(jobs):
        yield from done.items()


def _try(bench: Bench, choices: Mapping[int, Settings], part: HeldOut) -> dict[int, Outcome]:
    started = time.perf_counter()
    predicted: dict[int, NDArray[np.intp]] = {}
    with threads(bench.design.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # a collapsed encoder shows in the score
        draws, genes = bench.draws(), bench.genes()
        held_out = bench.cohort.values(getattr(draws[0].split, part), genes)
        models, errors = _fit(bench, draws, genes, choices)
        for i, those in models.items():
            predicted[i] = np.array([model.predict_proba(held_out).argmax(axis=1) for model in those])
    seconds = (time.perf_counter() - started) / len(choices)
    return {i: Outcome(predicted.get(i), seconds, errors.get(i)) for i in choices}


def _fit(
    bench: Bench, draws: Sequence[Draw], genes: NDArray[np.intp] | None, choices: Mapping[int, Settings]
) -> tuple[dict[int, list[Any]], dict[int, str]]:
    """For each choice a classifier for each repeat, trained on nothing but its training rows, or why there are none."""
    rows = [draw.split.pretrain for draw in draws]
    hardware, objective = bench.design.hardware, METHODS[bench.method].objective
    encoders: dict[int, list[Any]] = {i: [None] * len(draws) for i in choices}
    errors: dict[int, str] = {}
    if objective:
        fresh = {
            i: [
                SelfSupervisedEncoder(objective, random_state=draw.seed, **{**hardware, **settings["pretraining"]})
                for draw in draws
            ]
            for i, settings in choices.items()
        }
        encoders = _fit_all(bench, fresh, [bench.cohort.pretraining_share(each, genes) for each in rows], errors)
    fresh = {
        i: [
            FineTunedClassifier(
                encoder,
                random_state=training_seed(draw.seed, bench.n_labels),
                **{**hardware, **choices[i]["training"]},
            )
            for encoder, draw in zip(those, draws, strict=True)
        ]
        for i, those in encoders.items()
    }
    shares = [Share(draw.split.pretrain, bench.cohort.shown_labels(draw, bench.n_labels), genes) for draw in draws]
    return _fit_all(bench, fresh, shares, errors), errors


def _fit_all(
    bench: Bench, fresh: Mapping[int, list[Any]], shares: Sequence[Share], errors: dict[int, str]
) -> dict[int, list[Any]]:
    """Fit the models of all choices together; choices of which one diverged go to the errors."""
    everyone = [model for those in fresh.values() for model in those]
    fitted = iter(
        fit_together(everyone, bench.cohort.expression(), list(shares) * len(fresh), genes=bench.cohort.genes).models
    )
    found = {i: [next(fitted) for _ in those] for i, those in fresh.items()}
    for i, those in found.items():
        diverged = [model for model in those if isinstance(model, DivergedError)]
        if diverged:
            errors[i] = str(diverged[0])
    return {i: those for i, those in found.items() if i not in errors}


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
