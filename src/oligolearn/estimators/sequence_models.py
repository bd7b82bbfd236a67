"""Classifier and regressor of DNA, RNA and protein sequences."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from oligolearn.estimators.building import OnEpoch
from oligolearn.estimators.labels import UNLABELLED, encode_labels
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
from oligolearn.estimators.sequence_starting import PretrainedSequences, find_starting_encoders
from oligolearn.nn import ClassificationLoss, Encoder, RegressionLoss
from oligolearn.saving import Bundle


class SequenceClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of sequences: a small ensemble of networks with the encoder that suits them.

    Parameters
    ----------
    encoder
        Name in `oligolearn.nn.SEQUENCE_ENCODERS`, a factory ``encoder(shares, **options)``, or ``"auto"``: candidates
        are trained on four fifths of the training sequences, and the one with the smallest loss on the others is taken
        (see `choice_`). Sequences of equal length may be aligned, so one candidate keeps positions; the others pool
        over the sequence, one of them reading both strands of DNA.
    encoder_options
        Settings of the encoder, such as ``{"pooling": "positions"}``.
    both_strands
        Read the reverse complement with the same weights, so that both strands give the same. ``"auto"``: as the
        choice of the encoder finds, and not at all with an encoder by name.
    alphabet
        ``"dna"``, ``"rna"``, ``"protein"`` or ``"auto"``.
    aligned
        As in `oligolearn.data.read_sequences`.
    max_length, pad, truncate
        Padding and truncation, see `oligolearn.data.PaddingRule`. `max_length` None: the longest training sequence, but
        2,000 letters at most.
    embedding
        What the encoder reads: ``"one-hot"`` letters, ``"kmer"``: vectors of 3-mers that are learned with the rest, a
        `KmerEmbedding` with other settings or vectors to begin with, a fitted `KmerWord2Vec`, or the folder of one.
    freeze_embedding
        Keep those vectors as they are.
    pretrained
        A fitted `SelfSupervisedSequenceEncoder`, `SequenceClassifier` or `SequenceRegressor`, or the folder of a saved
        one, whose encoder to start from; `encoder`, `encoder_options`, `both_strands`, `embedding` and `alphabet` are
        then its own, and the padding too unless it was pretrained without labels.
    transfer_layers, frozen_layers
        Blocks of the pretrained encoder that are taken over, and blocks that do not learn, from the input on; None for
        all (of an encoder that was pretrained to predict letters, all but the last, which pools).
    n_members
        Networks whose probabilities are averaged.
    epochs, batch_size, learning_rate, weight_decay, dropout
        Of each training. `batch_size` None: 64 to 256, by the number of sequences. `dropout` is that of the embedding
        before the output layer; encoders have one of their own.
    min_steps
        Fewest optimizer steps: few labels get more epochs.
    label_smoothing
        Share of each label that is spread over all classes while training.
    class_weight
        None, ``"balanced"`` for weights inverse to the class frequencies, or a dict from class to weight.
    early_stopping, validation_fraction, patience
        Hold out labelled sequences, never copies of those that train, and keep the epoch with the smallest loss on
        them.
    random_state, device, precision, on_epoch
        As in `SelfSupervisedEncoder`.

    Attributes
    ----------
    classes_ : ndarray
        Labels found in `y`, sorted.
    choice_ : dict
        Loss of each candidate on held-out sequences, by name; empty where the encoder was given.
    recipe_ : Recipe
        The encoder that was taken, its alphabet and its padding.
    module_ : nn.ModuleList
        The networks.
    history_ : list of History
        Loss of each epoch of each network; a classifier read from a bundle has none.
    training_ : dict
        How it was trained, JSON-able.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(80)]
    >>> X = [text[:12] + "TGACTCA" + text[19:] if i % 2 else text for i, text in enumerate(X)]
    >>> y = ["bound" if i % 2 else "free" for i in range(80)]
    >>> model = SequenceClassifier("motif-cnn", n_members=1, random_state=0, device="cpu").fit(X, y)
    >>> model.predict(["acgtTGACTCAtttnACC", "ACGATTTTAAAACCAGTA"]).tolist()
    ['bound', 'free']
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
        min_steps: int = 300,
        label_smoothing: float = 0.1,
        class_weight: str | Mapping[Any, float] | None = None,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.on_epoch = on_epoch

    def fit(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train on the labelled sequences of `X`.

        Parameters
        ----------
        X
            Texts, or `Sequences`.
        y
            Labels ``(n_sequences,)``; NaN or None where unlabelled, which are left out.
        groups
            Families, chromosomes or patients, ``(n_sequences,)``: held-out sequences share none with those that train.

        Raises
        ------
        TypeError, ValueError
            If sequences cannot be read, `y` has fewer than two classes, or a setting is out of its range.
        """
        fit_networks(self, self._prepare(X, y, groups))
        return self

    def _prepare(self, X: Any, y: ArrayLike, groups: ArrayLike | None) -> Prepared:
        """Everything of `fit` but the training of the networks."""
        if y is None:
            raise ValueError("SequenceClassifier requires y to be passed, but the target y is None")
        self.classes_, codes = encode_labels(y)
        labelled = codes != UNLABELLED

        def loss(network: nn.Module, rows: NDArray[np.integer]) -> nn.Module:
            weights = self._class_weights(codes[labelled][rows])
            return ClassificationLoss(network, weights, label_smoothing=self.label_smoothing)

        rows = LabelledSequences(X, codes, labelled, groups)
        return prepare(self, find_starting_encoders(self.pretrained), rows, len(self.classes_), loss)

    def _class_weights(self, codes: NDArray[np.integer]) -> Tensor | None:
        if self.class_weight is None:
            return None
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        return torch.from_numpy(weights).float()

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class, ``(n_sequences, n_classes)``, in the order of `classes_`: means over networks."""
        logits = network_outputs(self, X)
        scores = np.exp(logits - logits.max(axis=2, keepdims=True))
        return (scores / scores.sum(axis=2, keepdims=True)).mean(axis=0)

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable class of each sequence, ``(n_sequences,)``."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def embed(self, X: Any) -> NDArray[np.float32]:
        """Output of the first network's encoder, ``(n_sequences, out_dim)``."""
        return embed_sequences(self, X)

    def to_bundle(self) -> Bundle:
        """Describe the fitted classifier for saving."""
        return describe_networks(self, {"kind": "sequence-classifier", "classes": self.classes_.tolist()})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild a fitted classifier from what `to_bundle` described."""
        model = cls()
        model.classes_ = np.array(bundle.description["classes"])
        restore_networks(model, bundle, len(model.classes_))
        return model

    def __sklearn_tags__(self) -> Any:
        return _sequence_tags(super().__sklearn_tags__())


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
    choice_, recipe_, module_, history_, training_
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
        min_steps: int = 300,
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
            self, find_starting_encoders(self.pretrained), rows, 1, lambda network, _: RegressionLoss(network)
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
        return _sequence_tags(super().__sklearn_tags__())


def _sequence_tags(tags: Any) -> Any:
    tags.input_tags.string = True
    tags.input_tags.two_d_array = False
    tags.input_tags.one_d_array = True
    return tags
