"""Every estimator passes scikit-learn's own checks."""

import warnings
from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator

from oligolearn.data import ExpressionScaler
from oligolearn.estimators import (
    CollapseWarning,
    FineTunedClassifier,
    SelfSupervisedEncoder,
    SelfTrainedClassifier,
    SubspaceLogisticRegression,
)

SMALL: dict[str, Any] = {"encoder_options": {"hidden": (16, 8)}, "device": "cpu"}


def failed_checks(estimator: BaseEstimator) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        warnings.simplefilter("ignore", CollapseWarning)  # the checks have data in which there is nothing to learn
        results = check_estimator(estimator, on_fail=None)
    assert len(results) > 30
    return [f"{result['check_name']}: {result['exception']!r}" for result in results if result["status"] == "failed"]


@pytest.mark.parametrize(
    "estimator",
    [
        ExpressionScaler(),
        ExpressionScaler(clip=None),
        SubspaceLogisticRegression((0.1, 1.0), cv=2, max_iter=100),
        SelfSupervisedEncoder(epochs=2, min_steps=6, **SMALL),
        SelfSupervisedEncoder(epochs=2, min_steps=6, view="noise", objective_options={"queue_length": 8}, **SMALL),
        FineTunedClassifier(epochs=2, min_steps=100, learning_rate=1e-2, **SMALL),
        pytest.param(
            SelfTrainedClassifier(FineTunedClassifier(epochs=2, min_steps=100, learning_rate=1e-2, **SMALL)),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            FineTunedClassifier(
                SelfSupervisedEncoder(epochs=1, min_steps=2, **SMALL),
                epochs=2,
                min_steps=60,
                learning_rate=1e-2,
                device="cpu",
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda estimator: " ".join(str(estimator).split())[:60],
)
def test_small_settings(estimator: BaseEstimator) -> None:
    assert failed_checks(estimator) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator", [FineTunedClassifier(), SelfTrainedClassifier(), SubspaceLogisticRegression()], ids=str
)
def test_default_settings(estimator: BaseEstimator) -> None:
    assert failed_checks(estimator) == []
