"""Classifier of DNA, RNA and protein sequences."""

from collections.abc import Callable, Mapping
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from oligolearn.data.table import some
from oligolearn.estimators.building import OnEpoch
from oligolearn.estimators.labels import UNLABELLED, encode_labels, encode_several_labels, has_several_labels
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
    with_one_output,
)
from oligolearn.estimators.sequence_input import sequence_tags
from oligolearn.estimators.sequence_starting import PretrainedSequences, find_starting_encoders
from oligolearn.nn import ClassificationLoss, Classifier, Encoder, MultiLabelLoss
from oligolearn.saving import Bundle


class SequenceClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of sequences: a small ensemble of networks with the encoders that suit them.

    Parameters
    ----------
    encoder
        Name in `oligolearn.nn.SEQUENCE_ENCODERS`, a factory ``encoder(shares, **options)``, or ``"auto"``: candidates
        are trained on four fifths of the training sequences, and those are taken whose mean prediction has the smallest
        loss on the others (see `choice_`); with one network, the best. Sequences of equal length may be aligned, so one
        candidate keeps positions; the others pool over the sequence, motif detectors or k-mers, and of DNA each reads
        one strand or both.
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
        Share of each label that is spread over all classes while training; of several labels at once, that gives way
        to the label's frequency.
    class_weight
        None, ``"balanced"`` for weights inverse to the class frequencies, or a dict from class to weight. Several
        labels at once take the first two, each for itself.
    early_stopping, validation_fraction, patience
        Hold out labelled sequences, never copies of those that train, and keep the epoch with the smallest loss on
        them.
    random_state, device, precision, on_epoch
        As in `SelfSupervisedEncoder`.

    Attributes
    ----------
    classes_ : ndarray
        Labels found in `y`, sorted. Of several labels at once their numbers, or the columns of a table.
    multilabel_ : bool
        Whether a sequence may have several of them at once.
    choice_ : dict
        Loss on held-out sequences of each candidate, by name, and of the mean prediction where several were taken;
        empty where the encoder was given.
    recipes_ : list of Recipe
        Encoder, alphabet and padding of each network.
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
        min_steps: int = 1_000,
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
            Labels ``(n_sequences,)``; NaN or None where unlabelled, which are left out. Or several labels that a
            sequence may have at once, ``(n_sequences, n_labels)``: 1 where it has one, 0 where not, NaN where that is
            not known.
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
        self.multilabel_ = has_several_labels(y)
        if self.multilabel_:
            return self._prepare_several(X, y, groups)
        self.classes_, codes = encode_labels(y)
        labelled = codes != UNLABELLED

        def loss(network: nn.Module, rows: NDArray[np.integer]) -> nn.Module:
            weights = self._class_weights(codes[labelled][rows])
            return ClassificationLoss(network, weights, label_smoothing=self.label_smoothing)

        def pool(logits: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(logsumexp(log_softmax(logits, axis=2), axis=0)) - np.log(len(logits))

        rows = LabelledSequences(X, codes, labelled, groups)
        return prepare(self, find_starting_encoders(self.pretrained), rows, len(self.classes_), loss, pool)

    def _prepare_several(self, X: Any, y: Any, groups: ArrayLike | None) -> Prepared:
        """As `_prepare`, of several labels at once."""
        if self.class_weight not in (None, "balanced"):
            raise ValueError(
                f"class_weight of several labels at once must be None or 'balanced', found {self.class_weight!r}"
            )
        self.classes_, values, labelled = encode_several_labels(y)

        def loss(network: nn.Module, rows: NDArray[np.integer]) -> nn.Module:
            seen = values[labelled][rows]
            n_without, n_with = (seen == 0).sum(axis=0), (seen == 1).sum(axis=0)
            n_known = np.maximum(1, n_without + n_with)
            balance = n_known / (2 * np.maximum(1, [n_without, n_with]))
            weights = None if self.class_weight is None else torch.from_numpy(balance).float()
            frequency = torch.from_numpy(n_with / n_known).float()
            return MultiLabelLoss(network, frequency, weights, label_smoothing=self.label_smoothing)

        def pool(logits: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(logsumexp(log_expit(logits), axis=0) - logsumexp(log_expit(-logits), axis=0))

        rows = LabelledSequences(X, values, labelled, groups)
        return prepare(self, find_starting_encoders(self.pretrained), rows, len(self.classes_), loss, pool)

    def _class_weights(self, codes: NDArray[np.integer]) -> Tensor | None:
        if self.class_weight is None:
            return None
        there = np.unique(codes)  # of a class whose rows are all held out nothing is weighted
        weights = np.ones(len(self.classes_))
        given = self.class_weight
        if isinstance(given, dict):
            names = [str(name) for name in self.classes_]
            unknown = [name for name in given if name not in self.classes_]
            if unknown:
                raise ValueError(f"class_weight has {unknown[0]!r}, which is no class of y: {some(names)}")
            given = {name: weight for name, weight in given.items() if name in self.classes_[there]}
        weights[there] = compute_class_weight(given, classes=self.classes_[there], y=self.classes_[codes])
        return torch.from_numpy(weights).float()

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class, ``(n_sequences, n_classes)``, in the order of `classes_`: means over networks.

        Several labels at once have a probability each, which do not sum to 1.
        """
        logits = network_outputs(self, X)
        if self.multilabel_:
            return np.asarray(expit(logits).mean(axis=0))
        return np.asarray(softmax(logits, axis=2).mean(axis=0))

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable class of each sequence, ``(n_sequences,)``.

        Of several labels at once 1 where the probability is above one half and 0 elsewhere, ``(n_sequences,
        n_labels)``.
        """
        probabilities = self.predict_proba(X)
        if self.multilabel_:
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def for_label(self, name: Any) -> "SequenceClassifier":
        """Classifier of two classes, without and with one of several labels, that gives the same probabilities.

        The encoders are shared. Logits 0 and :math:`z` have the softmax :math:`1/(1 + e^{-z})` for the second class,
        which is the probability that the label has with its own logit :math:`z`.

        Parameters
        ----------
        name
            In `classes_`; the new classes are ``"not NAME"`` and ``"NAME"``.

        Raises
        ------
        ValueError
            If this is no classifier of several labels at once, or knows no such label.
        """
        check_is_fitted(self, "module_")
        names = [str(one) for one in self.classes_]
        if not self.multilabel_:
            raise ValueError("the model learned one label, not several at once: it explains its classes as it is")
        if str(name) not in names:
            raise ValueError(f"the model knows no label {str(name)!r}; its labels are {', '.join(names)}")
        found = SequenceClassifier(**self.get_params(deep=False))
        found.classes_, found.multilabel_ = np.array([f"not {name}", str(name)]), False
        found.recipes_, found.choice_, found.training_ = self.recipes_, self.choice_, self.training_
        networks = [with_one_output(cast(Classifier, network), names.index(str(name))) for network in self.module_]
        found.module_ = nn.ModuleList(networks).eval()
        return found

    def embed(self, X: Any) -> NDArray[np.float32]:
        """Output of the first network's encoder, ``(n_sequences, out_dim)``."""
        return embed_sequences(self, X)

    def to_bundle(self) -> Bundle:
        """Describe the fitted classifier for saving."""
        head = {"kind": "sequence-classifier", "classes": self.classes_.tolist()}
        return describe_networks(self, {**head, "multilabel": True} if self.multilabel_ else head)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Rebuild a fitted classifier from what `to_bundle` described."""
        model = cls()
        model.classes_ = np.array(bundle.description["classes"])
        model.multilabel_ = bundle.description.get("multilabel", False)
        restore_networks(model, bundle, len(model.classes_))
        return model

    def __sklearn_tags__(self) -> Any:
        tags = sequence_tags(super().__sklearn_tags__())
        tags.classifier_tags.multi_label = True
        return tags
