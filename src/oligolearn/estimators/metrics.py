"""How good a set of predicted probabilities, or of predicted numbers, is."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    r2_score,
    roc_auc_score,
)
from sklearn.metrics import confusion_matrix as count_confusions

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "mcc", "log_loss", "ece")
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
