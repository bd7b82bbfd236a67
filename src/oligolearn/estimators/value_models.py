"""Ridge regression and networks that give numbers, as something that is saved and read."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy

from oligolearn.estimators.building import SCALER, describe_encoder, describe_scaler, rebuild_scaler
from oligolearn.estimators.harmonising import Scaler
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.nn import Classifier, Encoder
from oligolearn.saving import Bundle
from oligolearn.training import apply_in_batches


class Unit(NamedTuple):
    """Mean and standard deviation by which numbers are standardised while they are learned."""

    center: float
    spread: float

    def standardise(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Numbers in standard deviations from the mean."""
        return np.asarray((values - self.center) / self.spread, dtype=np.float64)

    def restore(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Numbers in their own unit."""
        return np.asarray(self.center + self.spread * values, dtype=np.float64)


class StandardisedRidge:
    """Standardises genes and applies a fitted linear regression.

    Parameters
    ----------
    scaler
        Fitted to the domain that rows come from.
    coefficients, intercept
        Of standardised genes, ``(n_genes,)``, for standardised values.
    unit
        Of the values.
    """

    def __init__(self, scaler: Scaler, coefficients: NDArray[np.float64], intercept: float, unit: Unit) -> None:
        self.scaler_ = scaler
        self.coef_ = coefficients
        self.intercept_ = intercept
        self.unit_ = unit

    @property
    def n_features_in_(self) -> int:
        """Number of genes."""
        return self.scaler_.n_features_in_

    def predict(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """Value of each row, ``(n_samples,)``."""
        x = self.scaler_.transform(X).astype(np.float64)
        return self.unit_.restore(x @ self.coef_ + self.intercept_)

    def embed(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """There is none: a ridge regression has no encoder."""
        raise ValueError("this model is a ridge regression: it has no encoder, and so no embedding")

    def to_bundle(self) -> Bundle:
        """Describe it for saving."""
        scaling, tables = describe_scaler(self.scaler_)
        description = {"kind": "ridge", "scaling": scaling, "values": self.unit_._asdict()}
        weights = {"weight": from_numpy(self.coef_.copy()), "bias": from_numpy(np.array([self.intercept_]))}
        return Bundle(description, {**weights, **tables})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild what `to_bundle` described."""
        weight, bias = (bundle.weights[name].numpy() for name in ("weight", "bias"))
        return cls(rebuild_scaler(bundle), weight, float(bias[0]), Unit(**bundle.description["values"]))


class NetworkRegression:
    """Standardises genes and applies a trained network with one output.

    Parameters
    ----------
    scaler
        Fitted to the domain that rows come from.
    module
        The network.
    recipe
        Its encoder, and the settings of that.
    unit
        Of the values.
    training
        How it was trained, JSON-able.
    """

    def __init__(
        self,
        scaler: Scaler,
        module: Classifier,
        recipe: tuple[str | Callable[..., Encoder], Mapping[str, Any] | None],
        unit: Unit,
        training: Mapping[str, Any],
    ) -> None:
        self.scaler_ = scaler
        self.module_ = module
        self.recipe_ = recipe
        self.unit_ = unit
        self.training_ = dict(training)

    @property
    def n_features_in_(self) -> int:
        """Number of genes."""
        return self.scaler_.n_features_in_

    def predict(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """Value of each row, ``(n_samples,)``."""
        outputs = apply_in_batches(self.module_, from_numpy(self.scaler_.transform(X)))
        return self.unit_.restore(outputs[:, 0].double().numpy())

    def embed(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Output of the encoder, ``(n_samples, out_dim)``."""
        return apply_in_batches(self.module_.encoder, from_numpy(self.scaler_.transform(X))).numpy()

    def to_bundle(self) -> Bundle:
        """Describe it for saving.

        Raises
        ------
        ValueError
            If the encoder is not one known by name.
        """
        scaling, tables = describe_scaler(self.scaler_)
        description = {
            "kind": "regressor",
            "architecture": describe_encoder(*self.recipe_),
            "scaling": scaling,
            "values": self.unit_._asdict(),
            "training": self.training_,
        }
        return Bundle(description, {**self.module_.state_dict(), **tables})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild what `to_bundle` described."""
        source, said = SelfSupervisedEncoder.from_bundle(bundle), bundle.description
        module = Classifier(source.encoder_, 1)
        module.load_state_dict({name: value for name, value in bundle.weights.items() if not name.startswith(SCALER)})
        recipe = (source.encoder, source.encoder_options)
        return cls(source.scaler_, module.eval(), recipe, Unit(**said["values"]), said["training"])
