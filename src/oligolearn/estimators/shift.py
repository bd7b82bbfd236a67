"""How domains differ, and what to do about it, without labels of the target."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from oligolearn.data import ExpressionScaler
from oligolearn.estimators.baselines import SubspaceLogisticRegression
from oligolearn.estimators.harmonising import HARMONISERS, Scaler

STANDARDIZE = (*HARMONISERS, "each", "together")
SAME_PLATFORM = 0.65  # area under the ROC curve of domains within classes, below which nothing has to be undone
CLEARER = 0.1  # of `neighbour_agreement`: by so much more, names follow the clusters and others cut through them
_NEIGHBOURS = 5
_FEWEST = 10  # rows of a side, below which no cross-validation can say whether they can be told apart
_LARGEST_WEIGHT = 10.0
_MOST_ROWS = 4000
_BLOCK = 4096  # genes whose products are added up at once


def standardise_domains(
    values: NDArray[np.floating], domains: NDArray[np.integer], how: str
) -> tuple[NDArray[np.float32], dict[int, Scaler]]:
    """Standardise the genes of each domain by themselves (``"each"``), of all rows alike (``"together"``), or others.

    Parameters
    ----------
    values
        ``(n_samples, n_genes)``, NaN where missing.
    domains
        Domain of each row, ``(n_samples,)``.
    how
        Which of the two, or how to bring all to the scale of the sources: one of `HARMONISERS`.

    Returns
    -------
    standardised, scalers
        The rows, and what standardises each domain.

    Raises
    ------
    ValueError
        If `how` is none of them.
    """
    if how not in STANDARDIZE:
        raise ValueError(f"standardize must be {', '.join(STANDARDIZE)} or auto, found {how!r}")
    if how in HARMONISERS:
        scalers = HARMONISERS[how](values, domains)
    else:
        alike = ExpressionScaler().fit(values) if how == "together" else None
        scalers = {
            domain: alike or ExpressionScaler().fit(values[domains == domain]) for domain in np.unique(domains).tolist()
        }
    standardised = np.empty(values.shape, dtype=np.float32)
    for domain, scaler in scalers.items():
        standardised[domains == domain] = scaler.transform(values[domains == domain])
    return standardised, scalers


class There(NamedTuple):
    """What came of going to the target and back.

    Attributes
    ----------
    right
        Whether each source row is named right by a classifier that knows the target only, ``(n_source,)``.
    balanced_accuracy
        Mean over classes of the share of their rows that are.
    """

    right: NDArray[np.bool_]
    balanced_accuracy: float


def row_coordinates(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Coordinates of rows in the space that they span, ``(n_samples, n_genes)`` -> ``(n_samples, rank)``.

    Distances and products between rows stay as they are, and with them all that principal components, maps of
    covariances and penalised regressions can say: at 20,000 genes it is said in as many columns as there are rows.
    Rows with fewer genes than that, and more rows than eigenvectors are worth their time, are returned as they are.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(4, 100))
    >>> y = row_coordinates(x)
    >>> y.shape, bool(np.allclose(y @ y.T, x @ x.T))
    ((4, 4), True)
    """
    if values.shape[1] <= len(values) or len(values) > _MOST_ROWS:
        return values.astype(np.float64)
    products = np.zeros((len(values), len(values)))
    for start in range(0, values.shape[1], _BLOCK):
        block = values[:, start : start + _BLOCK].astype(np.float64)
        products += block @ block.T
    size, vectors = eigh(products)
    kept = size > 1e-12 * max(size[-1], 0.0)
    return np.asarray(vectors[:, kept] * np.sqrt(size[kept]))


def reverse_validation(
    source: NDArray[np.floating], labels: NDArray[np.integer], target: NDArray[np.floating]
) -> There:
    """Label the target by the source, then the source by the target (Zhong 2010, reverse validation).

    A classifier of the source names the classes of the target; one that is trained on the target with those names
    classifies the source, whose labels are known. Where the first one was wrong in the target the second one cannot be
    right in the source, but by luck.

    Parameters
    ----------
    source, target
        Standardised rows, ``(n_source, n_genes)`` and ``(n_target, n_genes)``.
    labels
        Class numbers of the source rows, ``(n_source,)``.
    """
    return go_back(source, labels, target, linear_classifier(source, labels).predict(target))


def go_back(
    source: NDArray[np.floating],
    labels: NDArray[np.integer],
    target: NDArray[np.floating],
    named: NDArray[np.integer],
) -> There:
    """The way back of `reverse_validation`, from classes that any model gave the target, ``named (n_target,)``."""
    if len(np.unique(named)) < 2:
        back = np.full(len(labels), named[0])
    else:
        back = linear_classifier(target, named).predict(source)
    right = back == labels
    return There(right, float(np.mean([right[labels == number].mean() for number in np.unique(labels)])))


def linear_classifier(
    X: NDArray[np.floating], y: NDArray[np.integer], class_weight: str | Mapping[Any, float] | None = "balanced"
) -> SubspaceLogisticRegression:
    """Logistic regression that is to travel: its weights are as small as the data allow; classes count alike."""
    return SubspaceLogisticRegression(class_weight=class_weight, strongest=True).fit(X, y)


def is_ahead(one: There, other: There, labels: NDArray[np.integer], errors: float = 1.0) -> bool:
    """Whether one way is better than another by more than `errors` standard errors, all classes counting alike.

    Rows are compared one by one.

    Examples
    --------
    >>> labels = np.repeat([0, 1], 20)
    >>> all_right, half = np.full(40, True), np.arange(40) % 2 == 0
    >>> is_ahead(There(all_right, 1.0), There(half, 0.5), labels), is_ahead(There(half, 0.5), There(half, 0.5), labels)
    (True, False)
    """
    counts = np.bincount(labels)
    weight = len(labels) / ((counts > 0).sum() * counts[labels])
    return is_lead(weight * (one.right.astype(float) - other.right.astype(float)), errors)


def neighbour_agreement(components: NDArray[np.floating], names: NDArray[np.integer]) -> float:
    """How much more often than by chance a row and one of its five nearest have the same name: at most 1, 0 is chance.

    Names that are right follow the clusters of the rows; names that are shifted from one class to another, as those of
    a target whose mix of classes was taken away, cut through them.

    Parameters
    ----------
    components
        Principal components of the rows, ``(n, n_components)``.
    names
        Class numbers that a model gave them, ``(n,)``.

    Examples
    --------
    >>> rows = np.repeat([[0.0], [9.0]], 10, axis=0) + np.linspace(0, 1, 20)[:, None]
    >>> neighbour_agreement(rows, np.repeat([0, 1], 10)), neighbour_agreement(rows, np.zeros(20, int))
    (1.0, 0.0)
    """
    number = min(_NEIGHBOURS, len(names) - 1)
    by_chance = float(np.square(np.bincount(names) / len(names)).sum())
    if number < 1 or by_chance == 1:
        return 0.0
    near = NearestNeighbors(n_neighbors=number).fit(components).kneighbors(return_distance=False)
    return float(((names[near] == names[:, None]).mean() - by_chance) / (1 - by_chance))


def is_lead(lead: NDArray[np.floating], errors: float = 1.0) -> bool:
    """Whether leads, row by row, are above 0 on average by more than `errors` standard errors."""
    return bool(lead.mean() > errors * lead.std(ddof=1) / np.sqrt(len(lead)) + 1e-9)


def domain_auroc(
    components: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    classes: NDArray[np.integer] | None = None,
) -> float | None:
    """How well source and target are told apart: area under the ROC curve of a cross-validated logistic regression.

    Parameters
    ----------
    components
        Principal components of standardised rows, ``(n_samples, n_components)``.
    is_target
        ``(n_samples,)``.
    classes
        Class that each row is thought to be of, ``(n_samples,)``: rows are then weighted so that both sides have the
        same mix, and what is left is a shift within classes. None: rows count alike.

    Returns
    -------
    float or None
        .5 is not at all, 1 is always; None where a side has fewer than 10 rows.
    """
    smallest = min(int(is_target.sum()), int((~is_target).sum()))
    if smallest < _FEWEST:
        return None
    weight = np.ones(len(is_target)) if classes is None else same_mix(classes, is_target)
    components = components / (components.std() or 1.0)
    scores = np.zeros(len(is_target))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(components, is_target):
        model = LogisticRegression(max_iter=1000).fit(components[train], is_target[train], sample_weight=weight[train])
        scores[test] = model.decision_function(components[test])
    return float(roc_auc_score(is_target, scores, sample_weight=weight))


def same_mix(classes: NDArray[np.integer], is_target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights by which both sides have as large a share of each class: the source's, at most ten times the target's.

    A class that one side lacks counts on neither.
    """
    n_classes = int(classes.max()) + 1
    there, here = (np.bincount(classes[side], minlength=n_classes) / side.sum() for side in (~is_target, is_target))
    common = np.minimum(there, _LARGEST_WEIGHT * here)
    of_source, of_target = (
        np.divide(common, share, out=np.zeros(n_classes), where=share > 0)[classes] for share in (there, here)
    )
    return np.where(is_target, of_target, of_source)
