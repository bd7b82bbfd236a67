"""How good a set of predicted probabilities, or of predicted numbers, is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    r2_score,
    roc_auc_score,
)
from sklearn.metrics import confusion_matrix as count_confusions

N_BINS = 15
_SMALLEST = 1e-15


class Calibration(NamedTuple):
    """Predictions binned by their confidence, the largest probability of each: equal-width bins from 0 to 1.

    Attributes
    ----------
    samples, confidence, correct
        Of each bin, ``(n_bins,)``: number of samples, sum of their confidences, number of correct ones.
    """

    samples: list[int]
    confidence: list[float]
    correct: list[int]


def score_predictions(y: NDArray[np.integer], probabilities: NDArray[np.floating]) -> dict[str, float]:
    """All of `METRICS`.

    Parameters
    ----------
    y
        True class numbers, ``(n,)``; every class occurs.
    probabilities
        ``(n, n_classes)``, rows summing to 1.

    Returns
    -------
    dict
        ``auroc`` is one class against the rest, averaged over classes; ``macro_f1`` and ``balanced_accuracy`` average
        over classes as well; ``log_loss`` is in nats, with probabilities of at least 1e-15; ``ece`` is the expected
        calibration error over 15 bins of the predicted class (Guo 2017).
    """
    n_classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    labels = np.arange(n_classes)
    clipped = np.clip(probabilities, _SMALLEST, None)
    confusion = count_confusions(y, predicted, labels=labels)
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "balanced_accuracy": float(np.mean(np.diag(confusion) / confusion.sum(axis=1))),
        "macro_f1": float(f1_score(y, predicted, labels=labels, average="macro", zero_division=0.0)),
        "auroc": float(np.mean([roc_auc_score(y == label, probabilities[:, label]) for label in labels])),
        "mcc": float(matthews_corrcoef(y, predicted)),
        "log_loss": float(log_loss(y, clipped / clipped.sum(axis=1, keepdims=True), labels=labels)),
        "ece": expected_calibration_error(calibrate(y, probabilities)),
    }


def score_labels(
    names: Sequence[str], values: NDArray[np.floating], probabilities: NDArray[np.floating]
) -> dict[str, Any]:
    """Scores of labels of which a row may have several at once: of each, and their means.

    Parameters
    ----------
    names
        Of the labels.
    values
        1, 0 or NaN where not known, ``(n, n_labels)``; each label has both.
    probabilities
        Of each label, ``(n, n_labels)``.

    Returns
    -------
    dict
        ``auroc`` and ``average_precision``, each the mean over labels; ``labels``: by name both of them with
        ``n_known`` rows, of which ``n_with`` have the label. A label that few have is found by chance with an average
        precision of ``n_with / n_known``.

    Examples
    --------
    >>> values = np.array([[1, 0], [1, 1], [0, np.nan], [0, 0]])
    >>> found = score_labels(["a", "b"], values, np.array([[0.9, 0.2], [0.3, 0.8], [0.4, 0.9], [0.1, 0.4]]))
    >>> found["labels"]["b"]
    {'auroc': 1.0, 'average_precision': 1.0, 'n_known': 3, 'n_with': 1}
    >>> found["auroc"]
    0.875
    """
    labels: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        known = ~np.isnan(values[:, i])
        true, p = values[known, i], probabilities[known, i]
        labels[name] = {
            "auroc": float(roc_auc_score(true, p)),
            "average_precision": float(average_precision_score(true, p)),
            "n_known": int(known.sum()),
            "n_with": int(true.sum()),
        }
    means = {score: float(np.mean([one[score] for one in labels.values()])) for score in ("auroc", "average_precision")}
    return {**means, "labels": labels}


def score_values(y: NDArray[np.floating], predicted: NDArray[np.floating]) -> dict[str, float]:
    """Spearman's correlation, R2 and the root mean squared error of predicted numbers, ``(n,)`` both.

    The first two are left out where they are not defined: for numbers, or true ones, that are all alike.

    Examples
    --------
    >>> score_values(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    {'spearman': 1.0, 'r2': -0.5, 'rmse': 1.0}
    """
    scores = {}
    if np.ptp(y) > 0 and np.ptp(predicted) > 0:
        scores["spearman"] = float(spearmanr(y, predicted)[0])
    if np.ptp(y) > 0:
        scores["r2"] = float(r2_score(y, predicted))
    return {**scores, "rmse": float(np.sqrt(np.mean(np.square(y - predicted))))}


def score_numbers(y: NDArray[np.floating], predicted: NDArray[np.floating]) -> dict[str, float]:
    """All of `NUMBER_METRICS`: those of `score_values` and Pearson's correlation, 0 where one is not defined.

    Parameters
    ----------
    y
        True numbers, ``(n,)``.
    predicted
        ``(n,)``. Where all are alike they order nothing.

    Examples
    --------
    >>> {name: round(score, 3) for name, score in score_numbers(np.array([1, 2, 3, 5]), np.array([1, 2, 3, 3])).items()}
    {'spearman': 0.949, 'pearson': 0.866, 'r2': 0.543, 'rmse': 1.0}
    """
    varies = np.ptp(y) > 0 and np.ptp(predicted) > 0
    pearson = float(pearsonr(y, predicted)[0]) if varies else 0.0
    return {"spearman": 0.0, "pearson": pearson, "r2": 0.0, **score_values(y, predicted)}


def calibrate(y: NDArray[np.integer], probabilities: NDArray[np.floating], n_bins: int = N_BINS) -> Calibration:
    """Bin predictions by confidence; bins can be added up over runs."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return Calibration(
        np.bincount(bins, minlength=n_bins).tolist(),
        np.bincount(bins, weights=confidence, minlength=n_bins).tolist(),
        np.bincount(bins, weights=correct, minlength=n_bins).astype(int).tolist(),
    )


def expected_calibration_error(calibration: Calibration) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their samples."""
    gaps = np.abs(np.asarray(calibration.confidence) - np.asarray(calibration.correct))
    return float(gaps.sum() / np.sum(calibration.samples))


def confusion(y: NDArray[np.integer], probabilities: NDArray[np.floating]) -> list[list[int]]:
    """Number of samples of each true class (rows) predicted as each class (columns)."""
    matrix: list[list[Any]] = count_confusions(
        y, probabilities.argmax(axis=1), labels=np.arange(probabilities.shape[1])
    ).tolist()
    return matrix
