"""What a run of a study keeps of its predictions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators.metrics import calibrate, confusion, score_numbers, score_predictions

_SHOWN = 100  # predictions of a run that are kept for a figure
_DIGITS = 6


def class_scores(y: NDArray[np.integer], probabilities: NDArray[np.floating]) -> dict[str, Any]:
    """Metrics, confusion matrix and calibration of predicted classes; `y` are the true class numbers."""
    return {
        **score_predictions(y, probabilities),
        "confusion": confusion(y, probabilities),
        "calibration": calibrate(y, probabilities)._asdict(),
    }


def number_scores(y: NDArray[np.floating], predicted: NDArray[np.floating]) -> dict[str, Any]:
    """Metrics of predicted numbers, and some of the predictions: those of evenly spread true numbers `y`."""
    places = np.linspace(0, len(y) - 1, min(len(y), _SHOWN)).round().astype(int)
    spread = np.argsort(y, kind="stable")[places]
    return {
        **score_numbers(y, predicted),
        "predictions": {
            "measured": [float(f"{value:.{_DIGITS}g}") for value in y[spread]],
            "predicted": [float(f"{value:.{_DIGITS}g}") for value in predicted[spread]],
        },
    }
