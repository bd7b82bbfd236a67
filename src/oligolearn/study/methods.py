"""What a study can compare: each method sees the same rows and the same labels."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

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
from oligolearn.pretext import OBJECTIVES
from oligolearn.study.choosing import choose_and_fit
from oligolearn.study.task import Fitted, Predictor, Task
from oligolearn.training import DivergedError

CLUSTERING = {"swav", "deepcluster"}  # objectives with prototypes
PROTOTYPES_PER_CLASS = 3  # Laurent (2022), figures 17 and 18
N_COMPONENTS = 50
_KEPT_VARIANCE = 0.999


class Method(NamedTuple):
    """One row of a comparison.

    Attributes
    ----------
    title, description
        For readers of the report.
    fit
        From tasks to fitted classifiers.
    objective
        Name of the pretext objective to pretrain with, or None.
    network
        Whether it trains a network, many of which are trained together.
    teacher
        The method whose network teaches that of this one, or None.
    needs_encoder
        Whether a pretraining that failed leaves it nothing to do.
    contender
        Whether a study is about it, as it is about methods that pretrain: it is compared with the baselines.
    """

    title: str
    description: str
    fit: Callable[[Sequence[Any]], list[Fitted]]
    objective: str | None = None
    network: bool = True
    teacher: str | None = None
    needs_encoder: bool = True
    contender: bool = False


def _each(fit: Callable[[Task], Predictor]) -> Callable[[Sequence[Task]], list[Fitted]]:
    """One task after the other."""
    return lambda tasks: [Fitted(fit(task)) for task in tasks]


def _fit_logistic(task: Task) -> Predictor:
    values = task.values()
    scaler = ExpressionScaler().fit(values)
    classifier = SubspaceLogisticRegression(random_state=task.seed)
    classifier.fit(scaler.transform(values[task.shown]), task.labels)
    fitted: Predictor = make_pipeline(scaler, classifier)
    return fitted


def _fit_pca_logistic(task: Task) -> Predictor:
    from sklearn.decomposition import PCA  # a study without this method need not wait for it

    values = task.values()
    scaler = ExpressionScaler().fit(values)
    n_components = min(N_COMPONENTS, len(values) - 1, values.shape[1])
    pca = PCA(n_components, random_state=task.seed).fit(scaler.transform(values))
    classifier = SubspaceLogisticRegression(random_state=task.seed)
    classifier.fit(pca.transform(scaler.transform(values[task.shown])), task.labels)
    fitted: Predictor = make_pipeline(scaler, pca, classifier)
    return fitted


def _fit_boosting(task: Task) -> Predictor:
    from sklearn.ensemble import HistGradientBoostingClassifier

    values = task.values()[task.shown]
    n_samples, n_genes = values.shape
    # scikit-learn's leaves of 20 samples and 255 bins are for large tables: 40 labels would never be split, and
    # histograms would be longer than the data. Of many correlated genes, a split does better by seeing some
    classifier: Predictor = HistGradientBoostingClassifier(
        min_samples_leaf=min(20, max(1, n_samples // 10)),
        max_bins=min(255, max(32, n_samples // 20)),
        max_features=n_genes**-0.5,
        random_state=task.seed,
    ).fit(values, task.labels)
    return classifier


def _fit_frozen(task: Task, *, whitened: bool) -> Predictor:
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


def _fit_networks(tasks: Sequence[Task], **settings: Any) -> list[Fitted]:
    """Train on all rows, of which a few have labels."""
    return _fitted(
        [
            FineTunedClassifier(task.pretrained, random_state=task.seed, **{**task.settings, **settings})
            for task in tasks
        ],
        tasks,
    )


def _fit_students(tasks: Sequence[Task]) -> list[Fitted]:
    """Train the network that `_fit_networks` trains, then another on what that one makes of all rows."""
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


def _fit_auto(tasks: Sequence[Task]) -> list[Fitted]:
    """Fit what is best in cross-validation on the labels shown, or several; that may be not to pretrain."""
    return choose_and_fit(
        tasks,
        {
            "logistic": METHODS["logistic"].fit,
            "pca-logistic": METHODS["pca-logistic"].fit,
            "scratch": lambda some: _fit_networks([task._replace(pretrained=None) for task in some]),
            "simclr": _fit_if_pretrained,
        },
    )


def _fit_if_pretrained(tasks: Sequence[Task]) -> list[Fitted]:
    """Train on from the encoders that there are; to have none is a failure of the task alone."""
    able = [task for task in tasks if task.pretrained is not None]
    fitted = iter(_fit_networks(able) if able else [])
    none = Fitted(DivergedError("the pretraining failed"))
    return [none if task.pretrained is None else next(fitted) for task in tasks]


def _labels(task: Task) -> NDArray[np.floating]:
    """Labels of all rows, NaN where they are not shown."""
    y = np.full(len(task.rows), np.nan)
    y[task.shown] = task.labels
    return y


_PRETEXTS = {
    "swav": ("SwAV", "to predict the cluster of one view of a sample from another (SwAV)"),
    "simclr": ("SimCLR", "to tell the two views of a sample from those of others (SimCLR)"),
    "moco": ("MoCo", "to tell the two views of a sample from a queue of earlier samples (MoCo)"),
    "byol": ("BYOL", "to predict what its own slow average makes of another view (BYOL)"),
    "vicreg": ("VICReg", "to give two views the same, varied and uncorrelated numbers (VICReg)"),
    "barlow-twins": ("Barlow Twins", "to give two views the same, uncorrelated numbers (Barlow Twins)"),
    "deepcluster": ("DeepCluster", "to predict its own clusters of the samples (DeepCluster)"),
    "autoencoder": ("auto-encoder", "as the encoder of an auto-encoder"),
    "denoising-autoencoder": ("denoising auto-encoder", "as the encoder of a denoising auto-encoder"),
    "vime": ("VIME", "to find and to mend genes that were swapped between samples (VIME)"),
    "masked-genes": ("masked-gene", "to fill in hidden genes"),
    "scarf": ("SCARF", "to recognise a sample that has genes of other samples (SCARF)"),
}

_PLAIN: dict[str, Method] = {
    "logistic": Method(
        "logistic regression",
        "L2-regularised logistic regression on all genes, its strength chosen by cross-validation on the labelled rows",
        _each(_fit_logistic),
        network=False,
    ),
    "pca-logistic": Method(
        "PCA + logistic regression",
        f"the first {N_COMPONENTS} principal components of all training rows, then logistic regression",
        _each(_fit_pca_logistic),
        network=False,
    ),
    "scratch": Method(
        "network from scratch",
        "the same network as the pretrained ones, trained on the labelled rows alone",
        _fit_networks,
    ),
    "untrained": Method(
        "untrained encoder",
        "the network's random initial weights, kept, with a trained output layer: what the architecture gives for free",
        partial(_fit_networks, frozen_layers=None),
    ),
    "auto": Method(
        "chosen by cross-validation",
        "logistic regression, PCA + logistic regression, the network from scratch or the one pretrained with SimCLR: "
        "the most accurate in cross-validation on the labelled rows, or the mean of those that these cannot tell apart",
        _fit_auto,
        objective="simclr",
        needs_encoder=False,
    ),
    "boosting": Method(
        "gradient boosting",
        "scikit-learn's gradient-boosted trees, with leaves and bins for few labels, on the labelled rows",
        _each(_fit_boosting),
        network=False,
    ),
    **{
        name: Method(
            f"{title} pretraining",
            f"the network pretrained {how} on all training rows without labels, then trained on the labelled rows",
            _fit_networks,
            objective=name,
        )
        for name, (title, how) in _PRETEXTS.items()
    },
}
SELF_TRAINED, FROZEN, WHITENED = AFTER = "self-trained", "frozen", "whitened"


def _combined(name: str) -> Method | None:
    """The method ``self-trained``, or ``OBJECTIVE+`` what comes after pretraining; None for another name."""
    objective, plus, last = name.rpartition("+")
    if last not in AFTER or (objective not in _PRETEXTS if plus else last != SELF_TRAINED):
        return None
    if last == SELF_TRAINED:
        return _self_trained(objective)
    title, how = _PRETEXTS[objective]
    return Method(
        f"{title} pretraining, {'frozen and whitened' if last == WHITENED else 'frozen'}",
        f"the network pretrained {how} on all training rows without labels, kept as it is; logistic regression on its "
        f"embedding, which is {'whitened' if last == WHITENED else 'standardised'} on all training rows",
        _each(partial(_fit_frozen, whitened=last == WHITENED)),
        objective=objective,
        network=False,
    )


def _self_trained(objective: str) -> Method:
    teacher = _PLAIN[objective or "scratch"]
    return Method(
        f"{teacher.title}, self-trained" if objective else "self-trained network",
        f"{teacher.description}; then a second network, which starts as the first did, trained on the labels and the "
        "probabilities that the first one gives to all training rows (SimCLRv2)",
        _fit_students,
        objective=teacher.objective,
        teacher=objective or "scratch",
    )


class _Methods(Mapping[str, Method]):
    """Methods by name. ``OBJECTIVE+self-trained``, ``+frozen`` and ``+whitened`` are methods too, not counted off."""

    _listed = (*_PLAIN, SELF_TRAINED)

    def __getitem__(self, name: str) -> Method:
        found = _PLAIN.get(name) or _combined(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


METHODS = _Methods()
DEFAULT_METHODS = ("logistic", "pca-logistic", "scratch", "untrained", "swav")


def objective_defaults(objective: str, n_classes: int, n_rows: int) -> dict[str, int]:
    """Settings of an objective that a study chooses by the cohort: clusters are three for each class.

    Examples
    --------
    >>> objective_defaults("swav", n_classes=5, n_rows=200)
    {'n_prototypes': 15}
    """
    if objective not in CLUSTERING:
        return {}
    return {"n_prototypes": max(2, min(PROTOTYPES_PER_CLASS * n_classes, n_rows // 2))}


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
