"""What a study can compare: each method sees the same rows and the same labels."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from oligolearn.data import ExpressionScaler
from oligolearn.estimators import (
    CollapseWarning,
    FineTunedClassifier,
    SelfSupervisedEncoder,
    SubspaceLogisticRegression,
)

PROTOTYPES_PER_CLASS = 3  # Laurent (2022), figures 17 and 18
N_COMPONENTS = 50
DEVICE = "cpu"  # many workers share a machine, and results must not depend on which of them has a GPU


class Task(NamedTuple):
    """What a method is given.

    Attributes
    ----------
    pretrain
        Expression of all rows that may be learned from without labels, ``(n_pretrain, n_genes)``.
    shown
        Which of these rows have their labels shown, ``(n_labels,)``.
    labels
        Class numbers of the rows shown.
    seed
        Of the training.
    settings
        Settings of `FineTunedClassifier` that differ from its defaults.
    pretrained
        The encoder that was pretrained on `pretrain`, for a method that wants one.
    """

    pretrain: NDArray[np.float32]
    shown: NDArray[np.intp]
    labels: NDArray[np.integer]
    seed: int
    settings: Mapping[str, Any]
    pretrained: SelfSupervisedEncoder | None


class Predictor(Protocol):
    """A fitted classifier."""

    classes_: NDArray[np.integer]

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of each class."""


class Method(NamedTuple):
    """One row of a comparison.

    Attributes
    ----------
    title, description
        For readers of the report.
    fit
        From a task to a fitted classifier.
    objective
        Name of the pretext objective to pretrain with, or None.
    """

    title: str
    description: str
    fit: Callable[[Task], Predictor]
    objective: str | None = None


def _fit_logistic(task: Task) -> Predictor:
    scaler = ExpressionScaler().fit(task.pretrain)
    classifier = SubspaceLogisticRegression(random_state=task.seed)
    classifier.fit(scaler.transform(task.pretrain[task.shown]), task.labels)
    fitted: Predictor = make_pipeline(scaler, classifier)
    return fitted


def _fit_pca_logistic(task: Task) -> Predictor:
    scaler = ExpressionScaler().fit(task.pretrain)
    n_components = min(N_COMPONENTS, len(task.pretrain) - 1, task.pretrain.shape[1])
    pca = PCA(n_components, random_state=task.seed).fit(scaler.transform(task.pretrain))
    classifier = SubspaceLogisticRegression(random_state=task.seed)
    classifier.fit(pca.transform(scaler.transform(task.pretrain[task.shown])), task.labels)
    fitted: Predictor = make_pipeline(scaler, pca, classifier)
    return fitted


def _fit_network(task: Task, **settings: Any) -> Predictor:
    """Train on all rows, of which a few have labels."""
    y = np.full(len(task.pretrain), np.nan)
    y[task.shown] = task.labels
    chosen = {"device": DEVICE, **task.settings, **settings}
    model = FineTunedClassifier(task.pretrained, random_state=task.seed, **chosen)
    return model.fit(task.pretrain, y)


METHODS: dict[str, Method] = {
    "logistic": Method(
        "logistic regression",
        "L2-regularised logistic regression on all genes, its strength chosen by cross-validation on the labelled rows",
        _fit_logistic,
    ),
    "pca-logistic": Method(
        "PCA + logistic regression",
        f"the first {N_COMPONENTS} principal components of all training rows, then logistic regression",
        _fit_pca_logistic,
    ),
    "scratch": Method(
        "network from scratch",
        "the same network as the pretrained ones, trained on the labelled rows alone",
        _fit_network,
    ),
    "untrained": Method(
        "untrained encoder",
        "the network's random initial weights, kept, with a trained output layer: what the architecture gives for free",
        partial(_fit_network, frozen_layers=None),
    ),
    "swav": Method(
        "SwAV pretraining",
        "the network pretrained with SwAV on all training rows without labels, then trained on the labelled rows",
        _fit_network,
        objective="swav",
    ),
}


def pretrain(
    method: str, X: NDArray[np.float32], *, n_classes: int, seed: int, settings: Mapping[str, Any]
) -> SelfSupervisedEncoder:
    """Pretrain the encoder that `method` starts from.

    Parameters
    ----------
    method
        Name in `METHODS`, one with an objective.
    X
        Rows to pretrain on, ``(n_pretrain, n_genes)``.
    n_classes
        SwAV gets three prototypes for each.
    seed
        Of the training.
    settings
        Settings of `SelfSupervisedEncoder` that differ from the study's.
    """
    n_prototypes = max(2, min(PROTOTYPES_PER_CLASS * n_classes, len(X) // 2))
    options = {"n_prototypes": n_prototypes, **(settings.get("objective_options") or {})}
    model = SelfSupervisedEncoder(
        METHODS[method].objective or method,
        random_state=seed,
        **{"device": DEVICE, **settings, "objective_options": options},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # the diagnosis is kept with the run
        return model.fit(X)
