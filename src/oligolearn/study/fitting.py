"""How each method of a study of expression is fitted, and how encoders are pretrained for it."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline

from oligolearn.data import ExpressionScaler
from oligolearn.estimators import (
    CollapseWarning,
    FineTunedClassifier,
    SelfSupervisedEncoder,
    SelfTrainedClassifier,
    Share,
    SubspaceLogisticRegression,
    fit_together,
)
from oligolearn.estimators.labels import few_of_each_class
from oligolearn.pretext import OBJECTIVES
from oligolearn.study.choosing import choose_and_fit
from oligolearn.study.methods import METHODS, N_COMPONENTS, objective_defaults
from oligolearn.study.task import Fitted, Predictor, Task
from oligolearn.training import DivergedError

_KEPT_VARIANCE = 0.999


def _each(fit: Callable[..., Predictor]) -> Callable[..., list[Fitted]]:
    """One task after the other."""
    return lambda tasks, **settings: [Fitted(fit(task, **settings)) for task in tasks]


@_each
def fit_logistic(task: Task) -> Predictor:
    """Logistic regression on all genes, standardised."""
    values = task.values()
    scaler = ExpressionScaler().fit(values)
    classifier = SubspaceLogisticRegression(random_state=task.seed)
    classifier.fit(scaler.transform(values[task.shown]), task.labels)
    fitted: Predictor = make_pipeline(scaler, classifier)
    return fitted


@_each
def fit_pca_logistic(task: Task) -> Predictor:
    """Logistic regression on principal components of all rows, labelled or not."""
    from sklearn.decomposition import PCA  # a study without this method need not wait for it

    values = task.values()
    scaler = ExpressionScaler().fit(values)
    n_components = min(N_COMPONENTS, len(values) - 1, values.shape[1])
    pca = PCA(n_components, random_state=task.seed).fit(scaler.transform(values))
    classifier = SubspaceLogisticRegression(random_state=task.seed)
    classifier.fit(pca.transform(scaler.transform(values[task.shown])), task.labels)
    fitted: Predictor = make_pipeline(scaler, pca, classifier)
    return fitted


@_each
def fit_boosting(task: Task) -> Predictor:
    """Gradient-boosted trees with leaves and bins for few labels."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    values = task.values()[task.shown]
    n_samples, n_genes = values.shape
    # scikit-learn's leaves of 20 samples and 255 bins are for large tables: 40 labels would never be split, and
    # histograms would be longer than the data. Of many correlated genes, a split does better by seeing some
    classifier = HistGradientBoostingClassifier(
        min_samples_leaf=min(20, max(1, n_samples // 10)),
        max_bins=min(255, max(32, n_samples // 20)),
        max_features=n_genes**-0.5,
        random_state=task.seed,
    )
    with few_of_each_class():
        fitted: Predictor = classifier.fit(values, task.labels)
    return fitted


@_each
def fit_frozen(task: Task, *, whitened: bool) -> Predictor:
    """Logistic regression on what the pretrained encoder gives, which stays as it is."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    encoder, values = cast(SelfSupervisedEncoder, task.pretrained), task.values()
    embedding = encoder.transform(values)
    # directions in which hardly anything varies would be noise, blown up
    scaler = PCA(_KEPT_VARIANCE, whiten=True, svd_solver="full") if whitened else StandardScaler()
    features = scaler.fit_transform(embedding)
    classifier = SubspaceLogisticRegression(random_state=task.seed).fit(features[task.shown], task.labels)
    fitted: Predictor = make_pipeline(encoder, scaler, classifier)
    return fitted


def fit_networks(tasks: Sequence[Task], **settings: Any) -> list[Fitted]:
    """Train on all rows, of which a few have labels."""
    return _fitted(
        [
            FineTunedClassifier(task.pretrained, random_state=task.seed, **{**task.settings, **settings})
            for task in tasks
        ],
        tasks,
    )


def fit_students(tasks: Sequence[Task]) -> list[Fitted]:
    """Train the network that `fit_networks` trains, then another on what that one makes of all rows."""
    return _fitted(
        [
            SelfTrainedClassifier(FineTunedClassifier(task.pretrained, **task.settings), random_state=task.seed)
            for task in tasks
        ],
        tasks,
    )


def _fitted(models: Sequence[FineTunedClassifier | SelfTrainedClassifier], tasks: Sequence[Task]) -> list[Fitted]:
    found = fit_together(models, tasks[0].X, [Share(task.rows, _labels(task), task.genes) for task in tasks])
    return [Fitted(cast(Predictor | DivergedError, model), how) for model, how in zip(*found, strict=True)]


def fit_auto(tasks: Sequence[Task]) -> list[Fitted]:
    """Fit what is best in cross-validation on the labels shown, or several; that may be not to pretrain."""
    return choose_and_fit(
        tasks,
        {
            "logistic": fit_logistic,
            "pca-logistic": fit_pca_logistic,
            "scratch": lambda some: fit_networks([task._replace(pretrained=None) for task in some]),
            "simclr": _fit_if_pretrained,
        },
    )


def _fit_if_pretrained(tasks: Sequence[Task]) -> list[Fitted]:
    """Train on from the encoders that there are; to have none is a failure of the task alone."""
    able = [task for task in tasks if task.pretrained is not None]
    fitted = iter(fit_networks(able) if able else [])
    none = Fitted(DivergedError("the pretraining failed"))
    return [none if task.pretrained is None else next(fitted) for task in tasks]


def _labels(task: Task) -> NDArray[np.floating]:
    """Labels of all rows, NaN where they are not shown."""
    y = np.full(len(task.rows), np.nan)
    y[task.shown] = task.labels
    return y


def _known_options(objective: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `options` that the objective has: in a study they are meant for whom they concern."""
    known = inspect.signature(OBJECTIVES[objective]).parameters
    return {name: value for name, value in options.items() if name in known}


def pretrain(
    method: str,
    X: NDArray[np.float32],
    shares: Sequence[Share],
    *,
    n_classes: int,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    genes: Sequence[str] | None = None,
) -> list[SelfSupervisedEncoder | DivergedError]:
    """Pretrain the encoders that `method` starts from, as replicas.

    Parameters
    ----------
    method
        Name in `METHODS`, one with an objective.
    X
        Expression of the whole cohort.
    shares
        Rows and genes that each encoder is pretrained on.
    n_classes
        Decides settings of the objective, see `objective_defaults`.
    seeds
        Of the trainings.
    settings
        Settings of `SelfSupervisedEncoder` that differ from the study's.
    genes
        Names of the columns of `X`, for views that need them.
    """
    objective = METHODS[method].objective or method
    models = []
    for share, seed in zip(shares, seeds, strict=True):
        chosen = _known_options(objective, settings.get("objective_options") or {})
        options = {**objective_defaults(objective, n_classes, len(share.rows)), **chosen}
        models.append(SelfSupervisedEncoder(objective, random_state=seed, **{**settings, "objective_options": options}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # the diagnosis is kept with the run
        return cast(list[SelfSupervisedEncoder | DivergedError], fit_together(models, X, shares, genes=genes).models)
