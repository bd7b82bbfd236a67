"""Every metric against its definition, counted out."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import matthews_corrcoef

from oligolearn.estimators.metric_names import METRICS
from oligolearn.estimators.metrics import (
    calibrate,
    confusion,
    expected_calibration_error,
    score_predictions,
    score_values,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def predictions(n: int = 200, n_classes: int = 4, seed: int = 0) -> tuple[Ints, Floats]:
    """Unbalanced classes and probabilities that know something of them; many of them equal."""
    rng = np.random.default_rng(seed)
    y = rng.choice(n_classes, size=n, p=np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum())
    odds = np.exp(np.round(rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[y], 1))
    return y, odds / odds.sum(axis=1, keepdims=True)


def auroc(y: Ints, probabilities: Floats) -> float:
    """Share of pairs, one of the class and one not, that are in the right order; ties count half. Mean over classes."""
    shares = []
    for label in range(probabilities.shape[1]):
        scores = probabilities[:, label]
        pairs = scores[y == label][:, None] - scores[y != label][None]
        shares.append(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    return float(np.mean(shares))


def calibration_error(y: Ints, probabilities: Floats, n_bins: int = 15) -> float:
    total = 0.0
    for number in range(n_bins):
        inside = [
            row
            for row, p in enumerate(probabilities.max(axis=1))
            if number / n_bins <= p < (number + 1) / n_bins or (p == 1 and number == n_bins - 1)
        ]
        if inside:
            confidence = np.mean([probabilities[row].max() for row in inside])
            accuracy = np.mean([probabilities[row].argmax() == y[row] for row in inside])
            total += len(inside) / len(y) * abs(confidence - accuracy)
    return total


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_all_metrics_equal_their_definitions(n_classes: int) -> None:
    y, probabilities = predictions(n_classes=n_classes)
    found = score_predictions(y, probabilities)
    assert tuple(found) == METRICS
    predicted = probabilities.argmax(axis=1)
    recall = [np.mean(predicted[y == c] == c) for c in range(n_classes)]
    precision = [np.mean(y[predicted == c] == c) for c in range(n_classes)]
    f1 = [2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True)]
    assert found["accuracy"] == pytest.approx(np.mean(predicted == y))
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recall))
    assert found["macro_f1"] == pytest.approx(np.mean(f1))
    assert found["auroc"] == pytest.approx(auroc(y, probabilities))
    assert found["log_loss"] == pytest.approx(-np.mean(np.log(probabilities[np.arange(len(y)), y])))
    assert found["ece"] == pytest.approx(calibration_error(y, probabilities))


def test_mcc_is_the_correlation_of_two_binary_vectors() -> None:
    y, probabilities = predictions(n_classes=2)
    expected = np.corrcoef(y, probabilities.argmax(axis=1))[0, 1]
    assert score_predictions(y, probabilities)["mcc"] == pytest.approx(expected)


def test_mcc_of_many_classes_equals_scikit_learns_and_gorodkins_formula() -> None:
    y, probabilities = predictions()
    table = np.array(confusion(y, probabilities), dtype=float)
    true, predicted, n = table.sum(axis=1), table.sum(axis=0), table.sum()
    covariance = np.trace(table) * n - true @ predicted
    expected = covariance / math.sqrt((n**2 - predicted @ predicted) * (n**2 - true @ true))
    found = score_predictions(y, probabilities)["mcc"]
    assert found == pytest.approx(expected)
    assert found == pytest.approx(matthews_corrcoef(y, probabilities.argmax(axis=1)))


def test_perfect_and_constant_predictions() -> None:
    y = np.array([0, 1, 2, 0, 1, 2])
    perfect = score_predictions(y, np.eye(3)[y])
    assert perfect == pytest.approx(dict.fromkeys(METRICS[:5], 1.0) | {"log_loss": 0.0, "ece": 0.0}, abs=1e-12)
    constant = score_predictions(y, np.full((6, 3), 1 / 3))
    chance = {"accuracy": 1 / 3, "balanced_accuracy": 1 / 3, "macro_f1": 1 / 6, "auroc": 0.5, "mcc": 0.0}
    assert constant == pytest.approx(chance | {"log_loss": math.log(3), "ece": 0.0})


def test_certain_and_wrong_costs_much_but_not_infinitely_much() -> None:
    found = score_predictions(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-15) / 2, rel=1e-6)


def test_balanced_accuracy_ignores_how_often_a_class_occurs() -> None:
    y, probabilities = predictions()
    twice = np.concatenate([np.arange(len(y)), np.flatnonzero(y == 0)])
    once, more = score_predictions(y, probabilities), score_predictions(y[twice], probabilities[twice])
    assert more["balanced_accuracy"] == pytest.approx(once["balanced_accuracy"])
    assert more["accuracy"] != pytest.approx(once["accuracy"])


def test_confusions_count_true_classes_in_rows() -> None:
    y = np.array([0, 0, 1, 1, 1])
    probabilities = np.eye(3)[[0, 2, 1, 1, 0]]
    assert confusion(y, probabilities) == [[1, 0, 1], [1, 2, 0], [0, 0, 0]]


def test_bins_of_runs_can_be_added_up() -> None:
    parts = [predictions(seed=seed) for seed in range(3)]
    each = [calibrate(y, probabilities) for y, probabilities in parts]
    together = calibrate(np.concatenate([y for y, _ in parts]), np.concatenate([p for _, p in parts]))
    for added, whole in zip(zip(*each, strict=True), together, strict=True):
        np.testing.assert_allclose(np.sum(added, axis=0), whole)
    assert sum(together[0]) == 600
    assert expected_calibration_error(together) == pytest.approx(
        calibration_error(np.concatenate([y for y, _ in parts]), np.concatenate([p for _, p in parts]))
    )


def test_calibrated_predictions_have_almost_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, size=40_000)
    y = (rng.random(40_000) > p).astype(np.int64)
    assert expected_calibration_error(calibrate(y, np.stack([p, 1 - p], axis=1))) < 0.01
    overconfident = np.clip(p + 0.2, None, 1.0)
    assert expected_calibration_error(calibrate(y, np.stack([overconfident, 1 - overconfident], axis=1))) > 0.1


def test_scores_of_numbers_equal_their_definitions_and_what_is_not_defined_is_left_out() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    predicted = np.round(y + rng.normal(size=60), 1)
    found = score_values(y, predicted)
    ranks = [np.array([np.mean(np.flatnonzero(np.sort(x) == one)) for one in x]) for x in (y, predicted)]
    assert found["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert found["rmse"] == pytest.approx(math.sqrt(np.mean((y - predicted) ** 2)))
    assert found["r2"] == pytest.approx(1 - np.mean((y - predicted) ** 2) / np.mean((y - y.mean()) ** 2))
    assert score_values(y, np.zeros(60)).keys() == {"r2", "rmse"}
    assert score_values(np.ones(60), predicted).keys() == {"rmse"}
    assert score_values(y[:1], predicted[:1]).keys() == {"rmse"}
