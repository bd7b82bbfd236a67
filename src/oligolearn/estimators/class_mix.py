"""How many rows of each class a target without labels has: black-box shift estimation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from oligolearn.estimators.shift import linear_classifier

CLEAR = 0.1  # share of all rows by which a class has to differ before anything is said
_SINGULAR = 0.1  # smallest singular value of the confusion matrix, below which it is not inverted
_FEWEST, _FOLDS = 5, 5  # rows of a class, of the target; folds
_N_DRAWS = 500
_UNSEEN = 0.5  # added to counts before the bootstrap, so that a confusion that was not seen can be drawn
_SUM = 1e3  # weight of the equation that shares add up to 1


class ClassMix(NamedTuple):
    """Shares of the classes in the source and, as estimated, in the target.

    Attributes
    ----------
    source, target, low, high
        Shares ``(n_classes,)``; `low` and `high` bound 95 % of the bootstrap.
    weights
        How much more often the target has each class than the source, w of the paper, ``(n_classes,)``.
    draws
        Bootstrap of `target`, ``(n_draws, n_classes)``.
    smallest_singular_value
        Of the confusion matrix with columns that sum to 1: near 0 some classes cannot be told apart.
    differs
        Whether the share of some class is another in the target than in the source by more than a tenth of all rows,
        and not by chance: 95 % of the bootstrap of both, divided by the number of classes.
    """

    source: NDArray[np.float64]
    target: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    weights: NDArray[np.float64]
    draws: NDArray[np.float64]
    smallest_singular_value: float
    differs: bool


def describe_mix(mix: ClassMix | str, classes: Sequence[Any]) -> dict[str, Any]:
    """JSON-able, by the names of the classes: what `estimate_class_mix` gave, or why it gave nothing."""
    if isinstance(mix, str):
        return {"not_estimated": mix}
    shares = {
        field: {str(name): round(float(share), 4) for name, share in zip(classes, getattr(mix, field), strict=True)}
        for field in ("source", "target", "low", "high", "weights")
    }
    return {**shares, "smallest_singular_value": mix.smallest_singular_value, "differs": mix.differs}


def estimate_class_mix(
    source: NDArray[np.floating],
    labels: NDArray[np.integer],
    target: NDArray[np.floating],
    *,
    strength: float | None = None,
    seed: int = 0,
) -> ClassMix | str:
    """Shares of the classes in the target by black-box shift estimation (Lipton 2018, arXiv:1802.03916).

    If classes look alike on both sides, the target's rows are named class i as often as ``mu = C w`` says, with
    ``C_ij = P(named i, is j)`` of held-out source rows and ``w_j`` the ratio of the shares of class j: the estimate is
    ``w = C^-1 mu`` (equation 4). Here the confusion matrix is cross-validated, the classifier of each fold names the
    target as well, and the shares ``q_j = w_j P(is j)`` are the least-squares solution without negative ones that adds
    up to 1, the same where that inverse has none. The interval is of a bootstrap of the source rows of each class and
    of the target rows.

    Parameters
    ----------
    source, target
        Standardised rows, ``(n_source, n_genes)`` and ``(n_target, n_genes)``.
    labels
        Class numbers of the source rows, from 0 on without gaps, ``(n_source,)``.
    strength
        Inverse strength C of the logistic regression; None: chosen on the source, as `linear_classifier` does.
    seed
        Of the folds and the bootstrap.

    Returns
    -------
    ClassMix or str
        The shares, or why they cannot be estimated.
    """
    n_classes = int(labels.max()) + 1
    counts = np.bincount(labels, minlength=n_classes)
    if counts.min() < _FEWEST or len(target) < _FEWEST:
        return f"a class of the source, or the target, has fewer than {_FEWEST} samples"
    C = linear_classifier(source, labels).C_ if strength is None else strength
    model = LogisticRegression(C=C, max_iter=1000, class_weight="balanced")
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    confusion, named = np.zeros((n_classes, n_classes)), np.zeros((len(target), n_classes))
    for train, test in folds.split(source, labels):
        model.fit(source[train], labels[train])
        np.add.at(confusion, (model.predict(source[test]), labels[test]), 1)
        named += np.eye(n_classes)[model.predict(target)] / _FOLDS
    return solve_class_mix(confusion, named, np.random.default_rng(seed))


def solve_class_mix(
    confusion: NDArray[np.floating], named: NDArray[np.floating], rng: np.random.Generator
) -> ClassMix | str:
    """The estimate of `estimate_class_mix` from what was named what.

    Parameters
    ----------
    confusion
        Held-out source rows by the class that they are named (rows) and that they are of (columns).
    named
        Share of the classifiers that give each target row each class, ``(n_target, n_classes)``.
    rng
        Of the bootstrap.

    Examples
    --------
    >>> named = np.repeat(np.eye(2), [30, 70], axis=0)
    >>> mix = solve_class_mix(np.array([[45, 10], [5, 40]]), named, np.random.default_rng(0))
    >>> mix.target.round(3)  # .9 q + .2 (1 - q) = .3
    array([0.143, 0.857])
    """
    counts = confusion.sum(axis=0)
    given = confusion / counts
    smallest = float(np.linalg.svd(given, compute_uv=False)[-1])
    if smallest < _SINGULAR:
        return (
            "held-out samples of the source are confused too often (smallest singular value of the confusion matrix "
            f"{smallest:.2f}, at least {_SINGULAR} is needed)"
        )
    smooth = (confusion + _UNSEEN) / (confusion + _UNSEEN).sum(axis=0)
    drawn = np.stack([rng.multinomial(int(n), p, _N_DRAWS) / n for n, p in zip(counts, smooth.T, strict=True)], axis=2)
    n = len(named)
    seen = rng.multinomial(n, np.full(n, 1 / n), _N_DRAWS) @ named / n
    draws = np.array([_shares(matrix, mu) for matrix, mu in zip(drawn, seen, strict=True)])
    target, source = _shares(given, named.mean(axis=0)), counts / counts.sum()
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    apart = draws - rng.multinomial(int(counts.sum()), source, _N_DRAWS) / counts.sum()
    tail = 2.5 / len(source)
    sure = np.prod(np.sign(np.percentile(apart, [tail, 100 - tail], axis=0)), axis=0) > 0
    differs = bool((sure & (np.abs(target - source) > CLEAR)).any())
    return ClassMix(source, target, low, high, target / source, draws, smallest, differs)


def total_variation(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of the rows that would have to be of another class for the mixes to be the same, ``(..., n_classes)``."""
    return np.asarray(np.abs(np.asarray(one) - other).sum(axis=-1) / 2)


def _shares(given: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """The q without negative numbers that adds up to 1 and makes ``given q`` most like `seen`."""
    n_classes = len(seen)
    found, _ = nnls(np.vstack([given, np.full(n_classes, _SUM)]), np.append(seen, _SUM))
    return np.asarray(found / found.sum(), dtype=np.float64)
