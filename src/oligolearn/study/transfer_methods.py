"""What a transfer study can compare: adaptations, and the bounds between which they should lie."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import ExpressionScaler
from oligolearn.estimators import DomainAdaptedClassifier, NegativeTransferWarning, SubspaceLogisticRegression
from oligolearn.estimators.adaptation_methods import method_names
from oligolearn.estimators.linear import StandardisedLogistic
from oligolearn.estimators.shift import linear_classifier

SOURCE_ONLY, TARGET_ONLY = BOUNDS = "source-only", "target-only"


class TransferTask(NamedTuple):
    """What a method is given: rows that it may learn from, none of which is tested.

    Attributes
    ----------
    X
        ``(n_rows, n_genes)``.
    y
        Class numbers, NaN where unlabelled or not shown, ``(n_rows,)``.
    domains
        0 or more for sources, negative for the target, ``(n_rows,)``.
    seed
        Of the training.
    settings
        Settings of `DomainAdaptedClassifier` that differ from its defaults.
    """

    X: NDArray[np.float32]
    y: NDArray[np.float64]
    domains: NDArray[np.int64]
    seed: int
    settings: Mapping[str, Any]


TransferModel = DomainAdaptedClassifier | StandardisedLogistic  # `predict_proba` takes rows of the target


class TransferMethod(NamedTuple):
    """One row of a comparison: how readers of the report are told of it, and what it does."""

    title: str
    description: str
    fit: Callable[[TransferTask], TransferModel]


def _fit_source_only(task: TransferTask) -> StandardisedLogistic:
    """Learn from the sources and nothing else; means and deviations of genes are theirs as well."""
    of_source = task.domains >= 0
    scaler = ExpressionScaler().fit(task.X[of_source])
    known = of_source & ~np.isnan(task.y)
    return StandardisedLogistic(scaler, linear_classifier(scaler.transform(task.X[known]), task.y[known].astype(int)))


def _fit_target_only(task: TransferTask) -> StandardisedLogistic:
    """Learn from the labels of the target and nothing else; what standardises genes are all its rows."""
    of_target = task.domains < 0
    scaler = ExpressionScaler().fit(task.X[of_target])
    known = of_target & ~np.isnan(task.y)
    model = SubspaceLogisticRegression(class_weight="balanced", random_state=task.seed)
    return StandardisedLogistic(scaler, model.fit(scaler.transform(task.X[known]), task.y[known].astype(int)))


def _adapted(name: str) -> Callable[[TransferTask], DomainAdaptedClassifier]:
    def fit(task: TransferTask) -> DomainAdaptedClassifier:
        model = DomainAdaptedClassifier(name, random_state=task.seed, **task.settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NegativeTransferWarning)  # a study measures what it guesses
            return model.fit(task.X, task.y, task.domains)

    return fit


_NETWORK = "a network that learns the classes of the sources"
_WORDS = {
    "auto": ("automatic", "what adapt takes by itself: logistic regression, as linear"),
    "linear": (
        "plain standardisation",
        "logistic regression on genes that are standardised in each cohort by itself or in all together, whichever the "
        "data suggest",
    ),
    "coral": ("CORAL", "logistic regression on source samples that were given the covariance of the target"),
    "optimal-transport": (
        "optimal transport",
        "logistic regression on source samples, moved as little as gives them the covariance of the target",
    ),
    "combat": (
        "ComBat",
        "logistic regression on target samples, given location and scale of the sources, gene by gene",
    ),
    "quantile": (
        "quantiles",
        "logistic regression on target samples, given the quantiles of the sources, gene by gene",
    ),
    "source": (
        "network without adaptation",
        "a network on genes that are standardised in the same way; what the adapted networks must beat",
    ),
    "dann": ("DANN", f"{_NETWORK}, and features by which a discriminator cannot tell the domain"),
    "cdan": ("CDAN", "DANN whose discriminator also sees the predicted classes"),
    "deep-coral": ("Deep CORAL", f"{_NETWORK}, and features of the same covariance in both domains"),
    "dan": ("DAN", f"{_NETWORK}, and features of the same distribution by a kernel's measure"),
    "wdgrl": ("WDGRL", f"{_NETWORK}, and features a small Wasserstein distance apart"),
    "cada": ("CADA", "two networks, one for each domain, whose features no discriminator can tell apart"),
    "f-cada": ("F-CADA", "CADA that learns the labels of the target that are shown, and gives them to samples near by"),
}
NEED_LABELS = ("f-cada",)  # of the target: without any there is no such method

TRANSFER_METHODS: dict[str, TransferMethod] = {
    SOURCE_ONLY: TransferMethod(
        "source only",
        "logistic regression on the sources, genes standardised by them: it knows nothing of the target",
        _fit_source_only,
    ),
    **{
        name: TransferMethod(*_WORDS.get(name, (name, f"DomainAdaptedClassifier({name!r})")), _adapted(name))
        for name in method_names()
    },
    TARGET_ONLY: TransferMethod(
        "target only",
        "logistic regression on the labels of the target that are shown; with all of them, what adaptation aims at",
        _fit_target_only,
    ),
}
"""Methods by name: those of `DomainAdaptedClassifier` between their bounds."""
