"""Regressor of DNA, RNA and protein sequences."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import column_or_1d

from oligolearn.estimators.building import OnEpoch
from oligolearn.estimators.sequence_embedding import EmbeddingChoice
from oligolearn.estimators.sequence_fitting import (
    LabelledSequences,
    Prepared,
    describe_networks,
    embed_sequences,
    fit_networks,
    network_outputs,
    prepare,
    restore_networks,
)
from oligolearn.estimators.sequence_input import sequence_tags
from oligolearn.estimators.sequence_starting import PretrainedSequences, find_starting_encoders
from oligolearn.nn import Encoder, RegressionLoss
from oligolearn.saving import Bundle


class SequenceRegressor(RegressorMixin, BaseEstimator):
    """Regressor of sequences: as `SequenceClassifier`, with the mean squared error of the standardised target.

    Parameters
    ----------
    encoder, encoder_options, both_strands, alphabet, aligned, max_length, pad, truncate, embedding, freeze_embedding
        As in `SequenceClassifier`.
    pretrained, transfer_layers, frozen_layers, n_members, epochs, batch_size, learning_rate, weight_decay, dropout
        Likewise; predictions of the networks are averaged.
    min_steps, early_stopping, validation_fraction, patience, random_state, device, precision, on_epoch
        Likewise.

    Attributes
    ----------
    mean_, scale_ : float
        Of the training target, which the networks see standardised.
    choice_, recipes_, module_, history_, training_
        As in `SequenceClassifier`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = ["".join(rng.choice(list("ACGT"), 20)) for _ in range(120)]
    >>> y = [text.count("G") + text.count("C") for text in X]
    >>> model = SequenceRegressor("motif-cnn", encoder_options={"pooling": "mean"}, n_members=1, random_state=0)
    >>> predicted = model.fit(X, y).predict(["A" * 20, "GC" * 10])
    >>> bool(predicted[0] < 10 < predicted[1])
    True
    """

    def __init__(
        self,
        encoder: str | Callable[..., Encoder] = "auto",
        *,
        encoder_options: Mapping[str, Any] | None = None,
        both_strands: bool | str = "auto",
        alphabet: str = "auto",
        aligned: bool | None = None,
        max_length: int | None = None,
        pad: str = "end",
        truncate: str = "end",
        embedding: EmbeddingChoice = "one-hot",
        freeze_embedding: bool = False,
        pretrained: PretrainedSequences = None,
        transfer_layers: int | None = None,
        frozen_layers: int | None = 0,
        n_members: int = 3,
        epochs: int = 15,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        dropout: float = 0.5,
        min_steps: int = 1_000,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        patience: int = 5,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: str = "auto",
        on_epoch: OnEpoch | None = None,
    ) -> None:
        self.encoder = encoder
        self.encoder_options = encoder_options
        self.both_strands = both_strands
        self.alphabet = alphabet
        self.aligned = aligned
        self.max_length = max_length
        self.pad = pad
        self.truncate = truncate
        self.embedding = embedding
        self.freeze_embedding = freeze_embedding
        self.pretrained = pretrained
        self.transfer_layers = transfer_layers
        self.frozen_layers = frozen_layers
        self.n_members = n_members
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.min_steps = min_steps
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.on_epoch = on_epoch

    def fit(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train on the sequences of `X` whose target is known.

        Parameters
        ----------
        X
            Texts, or `Sequences`.
        y
            Numbers ``(n_sequences,)``; NaN where unknown, which are left out.
        groups
            As in `SequenceClassifier.fit`.

        Raises
        ------
        TypeError, ValueError
            If sequences cannot be read, `y` has infinite or fewer than two different values, or a setting is out of
            its range.
        """
        fit_networks(self, self._prepare(X, y, groups))
        return self

    def _prepare(self, X: Any, y: ArrayLike, groups: ArrayLike | None) -> Prepared:
        """Everything of `fit` but the training of the networks."""
        if y is None:
            raise ValueError("SequenceRegressor requires y to be passed, but the target y is None")
        values = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        if np.isinf(values).any():
            raise ValueError("Input y contains infinity; NaN marks sequences without a target")
        labelled = ~np.isnan(values)
        if len(np.unique(values[labelled])) < 2:
            raise ValueError(f"y needs at least two different numbers, found {len(np.unique(values[labelled]))}")
        self.mean_, self.scale_ = float(values[labelled].mean()), float(values[labelled].std())
        target = ((values - self.mean_) / self.scale_).astype(np.float32)
        rows = LabelledSequences(X, target, labelled, groups)
        return prepare(
            self,
            find_starting_encoders(self.pretrained),
            rows,
            1,
            lambda network, _: RegressionLoss(network),
            lambda predicted: predicted.mean(axis=0),
        )

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predicted number of each sequence, ``(n_sequences,)``: the mean over networks."""
        return network_outputs(self, X)[:, :, 0].mean(axis=0) * self.scale_ + self.mean_

    def embed(self, X: Any) -> NDArray[np.float32]:
        """Output of the first network's encoder, ``(n_sequences, out_dim)``."""
        return embed_sequences(self, X)

    def to_bundle(self) -> Bundle:
        """Describe the fitted regressor for saving."""
        return describe_networks(self, {"kind": "sequence-regressor", "mean": self.mean_, "scale": self.scale_})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild a fitted regressor from what `to_bundle` described."""
        model = cls()
        model.mean_, model.scale_ = bundle.description["mean"], bundle.description["scale"]
        restore_networks(model, bundle, 1)
        return model

    def __sklearn_tags__(self) -> Any:
        return sequence_tags(super().__sklearn_tags__())
