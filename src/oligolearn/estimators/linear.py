"""Logistic regression on standardised genes, as something that is saved and read like a network."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy

from oligolearn.estimators.baselines import SubspaceLogisticRegression
from oligolearn.estimators.building import describe_scaler, rebuild_scaler
from oligolearn.estimators.harmonising import Scaler
from oligolearn.saving import Bundle


class StandardisedLogistic:
    """Standardises genes and applies a fitted logistic regression.

    Parameters
    ----------
    scaler
        Fitted to the domain that rows come from.
    classifier
        Fitted to standardised rows.
    """

    def __init__(self, scaler: Scaler, classifier: SubspaceLogisticRegression) -> None:
        self.scaler_ = scaler
        self.classifier_ = classifier

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels, sorted."""
        return self.classifier_.classes_

    def predict_proba(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability of each class, ``(n_samples, n_classes)``."""
        return self.classifier_.predict_proba(self.scaler_.transform(X))

    def predict(self, X: NDArray[np.floating]) -> NDArray[Any]:
        """Most probable class of each row, ``(n_samples,)``."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def embed(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """There is none: a logistic regression has no encoder."""
        raise ValueError("this model is a logistic regression: it has no encoder, and so no embedding")

    @property
    def n_features_in_(self) -> int:
        """Number of genes."""
        return self.scaler_.n_features_in_

    def to_bundle(self) -> Bundle:
        """Describe it for saving."""
        model = self.classifier_
        scaling, tables = describe_scaler(self.scaler_)
        description = {"kind": "linear", "classes": self.classes_.tolist(), "scaling": scaling}
        weights = {"weight": from_numpy(model.coef_.copy()), "bias": from_numpy(model.intercept_.copy())}
        return Bundle(description, {**weights, **tables})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild what `to_bundle` described."""
        scaler = rebuild_scaler(bundle)
        model = SubspaceLogisticRegression()
        model.classes_ = np.array(bundle.description["classes"])
        model.coef_, model.intercept_ = bundle.weights["weight"].numpy(), bundle.weights["bias"].numpy()
        model.n_features_in_ = scaler.n_features_in_
        return cls(scaler, model)
