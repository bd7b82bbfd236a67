"""What a study of sequences can compare: each method sees the same sequences and the same labels."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.preprocessing import normalize

from oligolearn.data import PaddingRule, Sequences
from oligolearn.estimators import (
    CollapseWarning,
    SelfSupervisedSequenceEncoder,
    SequenceClassifier,
    SequenceRegressor,
    SubspaceLogisticRegression,
)
from oligolearn.estimators.sequence_choice import candidates
from oligolearn.estimators.sequence_together import SequenceShare, fit_sequences_together
from oligolearn.kmers.encoded import count_words, occurring_words
from oligolearn.nn import encoders_of_letters
from oligolearn.study.methods import Method, objective_defaults
from oligolearn.study.sequence_numbers import NUMBERS
from oligolearn.study.task import Fitted
from oligolearn.training import DivergedError

DEFAULT_SEQUENCE_METHODS = ("kmer-logistic", "scratch")
DEFAULT_NUMBER_METHODS = ("kmer-ridge", "scratch")
_SHORTEST, _LONGEST = 2, 6  # of k: 16 to 4,096 words
_LONG_PROTEIN = 300


class SequenceTask(NamedTuple):
    """What a method is given.

    Attributes
    ----------
    sequences
        Those whose labels are shown.
    labels
        Their class numbers, or the numbers that are learned, ``(n_labels,)``.
    groups
        Their groups, such as families; None where each stands for itself.
    seed
        Of the training.
    settings
        Of `SequenceClassifier` or `SequenceRegressor`, those of the encoder of ``scratch`` included.
    unlabelled
        All sequences that may be learned from without labels, for a method that pretrains.
    pretrained
        The encoder that was pretrained on these, for a method that wants one.
    """

    sequences: Sequences
    labels: NDArray[Any]
    groups: NDArray[np.integer] | None
    seed: int
    settings: Mapping[str, Any]
    unlabelled: Sequences
    pretrained: Any = None

    @property
    def of_numbers(self) -> bool:
        """Whether numbers are learned, not classes."""
        return bool(self.labels.dtype.kind == "f")

    def network(self, **settings: Any) -> SequenceClassifier | SequenceRegressor:
        """The network to train, not fitted; `settings` take the place of the task's."""
        own = {**self.settings, **settings}
        kind = SequenceRegressor if self.of_numbers else SequenceClassifier
        return kind(random_state=self.seed, **own)


def word_length(sequences: Sequences) -> int:
    """Length of the k-mers that are counted: longer sequences have more of them, so longer ones still occur twice.

    >>> from oligolearn.data import encode_sequences
    >>> [word_length(encode_sequences(["ACGT" * n])) for n in (5, 25, 400)]
    [3, 4, 6]
    """
    length = float(np.median(sequences.lengths))
    if sequences.alphabet.name == "protein":
        return 2 if length < _LONG_PROTEIN else 3
    return int(np.clip(round(np.log(length) / np.log(4)) + 1, _SHORTEST, _LONGEST))


class WordShares:
    """Square roots of the share of each k-mer, whose distances are Hellinger distances.

    Parameters
    ----------
    sequences
        Whose words are counted, in others too; the length of the words is chosen by theirs.

    Raises
    ------
    ValueError
        If none of them has a word.
    """

    def __init__(self, sequences: Sequences) -> None:
        self._k = word_length(sequences)
        self._known = occurring_words(sequences, self._k)
        if not self._known.any():
            raise ValueError(f"no sequence has {self._k} known letters in a row; k-mers need longer sequences")

    def __call__(self, sequences: Sequences) -> Any:
        """Profiles of sequences, ``(n_sequences, n_words)``, CSR; a word that none of the first had does not count."""
        return normalize(count_words(sequences, self._k, self._known), norm="l1", copy=False).sqrt()


def one_hot_letters(sequences: Sequences, width: int) -> NDArray[np.float32]:
    """Letters of each place, ``(n_sequences, width * n_letters)``."""
    return sequences.one_hot(rule=PaddingRule(width)).reshape(len(sequences), -1)


class _Logistic:
    """Logistic regression on what a function makes of sequences."""

    def __init__(self, features: Callable[[Sequences], Any], task: SequenceTask) -> None:
        self._features = features
        self._model = SubspaceLogisticRegression(random_state=task.seed).fit(features(task.sequences), task.labels)
        self.classes_ = self._model.classes_

    def predict_proba(self, X: Sequences) -> NDArray[np.float64]:
        """Probability of each class."""
        return self._model.predict_proba(self._features(X))


class _Ridge:
    """Ridge regression on what a function makes of sequences, its strength chosen by leaving out one at a time."""

    def __init__(self, features: Callable[[Sequences], Any], task: SequenceTask) -> None:
        from sklearn.linear_model import RidgeCV

        values = features(task.sequences)
        self._features = features
        # letters that never vary say nothing, and of long alignments they are most; words are few, and sparse
        self._kept: Any = slice(None) if issparse(values) else np.ptp(values, axis=0) > 0
        self._model = RidgeCV(np.logspace(-4, 4, 17)).fit(values[:, self._kept].astype(np.float64), task.labels)

    def predict(self, X: Sequences) -> NDArray[np.float64]:
        """Predicted number of each sequence."""
        found: NDArray[np.float64] = self._model.predict(self._features(X)[:, self._kept].astype(np.float64))
        return found


def _fit_kmers(tasks: Sequence[SequenceTask]) -> list[Fitted]:
    return [Fitted(_linear(task)(WordShares(task.unlabelled), task)) for task in tasks]


def _fit_one_hot(tasks: Sequence[SequenceTask]) -> list[Fitted]:
    return [
        Fitted(_linear(task)(partial(one_hot_letters, width=int(task.sequences.lengths[0])), task)) for task in tasks
    ]


def _linear(task: SequenceTask) -> type[_Logistic] | type[_Ridge]:
    return _Ridge if task.of_numbers else _Logistic


def _fit_networks(tasks: Sequence[SequenceTask], **encoder: Any) -> list[Fitted]:
    models = [task.network(**encoder) for task in tasks]
    shares = [SequenceShare(task.sequences, task.labels, task.groups) for task in tasks]
    found = fit_sequences_together(models, shares)
    return [
        Fitted(model, how, *_chosen(model) if encoder.get("encoder") == "auto" else ())
        for model, how in zip(found.models, found.how, strict=True)
    ]


def _fit_pretrained(tasks: Sequence[SequenceTask]) -> list[Fitted]:
    own = {"encoder": "auto", "encoder_options": None, "both_strands": "auto"}  # the pretrained encoder says the rest
    models = [task.network(pretrained=task.pretrained, **own) for task in tasks]
    found = fit_sequences_together(models, [SequenceShare(task.sequences, task.labels, task.groups) for task in tasks])
    return [Fitted(model, how) for model, how in zip(found.models, found.how, strict=True)]


def pretrain_on_sequences(
    objective: str, sequences: Sequence[Sequences], *, n_classes: int, seeds: Sequence[int], settings: Mapping[str, Any]
) -> list[SelfSupervisedSequenceEncoder | DivergedError]:
    """Pretrain the encoders that a method starts from, one after the other.

    Parameters
    ----------
    objective
        Name in `oligolearn.pretext.SEQUENCE_OBJECTIVES`.
    sequences
        What each encoder sees.
    n_classes
        Decides settings of the objective, as on expression.
    seeds
        Of the trainings.
    settings
        Of `SelfSupervisedSequenceEncoder`.
    """
    found: list[SelfSupervisedSequenceEncoder | DivergedError] = []
    for some, seed in zip(sequences, seeds, strict=True):
        options = objective_defaults(objective, n_classes, len(some))
        model = SelfSupervisedSequenceEncoder(objective, objective_options=options, random_state=seed, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)  # the diagnosis is kept with the run
            try:
                found.append(model.fit(some))
            except DivergedError as error:
                found.append(error)
    return found


def encoder_to_pretrain(objective: str, scratch: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the encoder that an objective pretrains: that of ``scratch`` if the objective can.

    What predicts letters needs an output at each letter, and what predicts the next one has to read from left to right;
    else the encoder is the one that the objective has by itself.

    Examples
    --------
    >>> scratch = {"encoder": "multi-scale-cnn", "encoder_options": None, "both_strands": False}
    >>> encoder_to_pretrain("simclr", scratch)["encoder"], encoder_to_pretrain("masked-letters", scratch)["encoder"]
    ('multi-scale-cnn', 'auto')
    """
    pools_letters = objective == "masked-letters" and scratch["encoder"] not in encoders_of_letters()
    if objective == "next-letter" or pools_letters:
        return {"encoder": "auto", "encoder_options": None, "both_strands": False}
    return {**scratch, "both_strands": scratch["both_strands"] is True}


def untrained_twin(objective: str, scratch: Mapping[str, Any]) -> str:
    """Method that trains the network which an objective pretrains, without pretraining it.

    >>> scratch = {"encoder": "multi-scale-cnn", "encoder_options": None, "both_strands": False}
    >>> untrained_twin("simclr", scratch), untrained_twin("masked-letters", scratch)
    ('scratch', 'motif-cnn')
    """
    pretrained = encoder_to_pretrain(objective, scratch)
    if pretrained["encoder"] == scratch["encoder"]:
        return "scratch"
    return str(SelfSupervisedSequenceEncoder(objective, **pretrained).encoder_name)


def _chosen(model: Any) -> tuple[str, str]:
    """The encoder that a model took, and why."""
    if isinstance(model, DivergedError):
        return "", ""
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in model.choice_.items())
    why = f"the loss on held-out sequences was {losses}" if losses else "labels were too few to compare candidates"
    return model.training_["encoder_chosen"], why


def suited_encoder(sequences: Sequences, max_length: int) -> dict[str, Any]:
    """Settings of the encoder of ``scratch``: the first that `SequenceClassifier` would try, known without labels.

    Returns
    -------
    dict
        `encoder`, `encoder_options` and `both_strands`.
    """
    recipe = next(iter(candidates(sequences, PaddingRule(max_length), both_strands=False).values()))
    return {"encoder": recipe.encoder, "encoder_options": dict(recipe.options), "both_strands": False}


def method_of_choice(name: str, settings: Mapping[str, Any]) -> Method:
    """The network with the settings of a choice, as a method."""
    return Method(name, f"the network with {name}", partial(_fit_networks, **settings))


_PRETEXTS = {
    "masked-letters": ("masked letters", "to predict hidden letters"),
    "next-letter": ("next letter", "to predict each letter from those before it"),
    "swav": ("SwAV", "with SwAV"),
    "simclr": ("SimCLR", "with SimCLR"),
    "moco": ("MoCo v2", "with MoCo v2"),
    "byol": ("BYOL", "with BYOL"),
    "vicreg": ("VICReg", "with VICReg"),
    "barlow-twins": ("Barlow Twins", "with Barlow Twins"),
}
_TITLES = {
    "motif-cnn": ("motif CNN", "one convolution whose filters are motif detectors (DeepBind)"),
    "multi-scale-cnn": ("multi-scale CNN", "motif detectors of several widths side by side"),
    "residual-cnn": ("residual CNN", "dilated convolutions with residual connections (ProtCNN)"),
    "kmer-bag": ("bag of k-mers", "the mean of learned vectors of all k-mers (fastText)"),
    "recurrent": ("recurrent network", "a bidirectional GRU"),
    "kmer-recurrent": ("k-mer LSTM", "embedded k-mers, a convolution and a bidirectional LSTM (deepRAM)"),
    "transformer": ("transformer", "a small transformer"),
}

SEQUENCE_METHODS: dict[str, Method] = {
    "kmer-logistic": Method(
        "k-mers + logistic regression",
        "L2-regularised logistic regression on square roots of k-mer shares, its strength chosen by cross-validation",
        _fit_kmers,
        network=False,
    ),
    "onehot-logistic": Method(
        "one-hot + logistic regression",
        "L2-regularised logistic regression on the letter at each place, its strength chosen by cross-validation",
        _fit_one_hot,
        network=False,
    ),
    "scratch": Method(
        "network from scratch",
        "the network that suits the lengths of the sequences, or was asked for, trained on those with labels",
        _fit_networks,
    ),
    "auto": Method(
        "network chosen on held-out sequences",
        "candidates are trained on four fifths of the labelled sequences, and the best on the others is taken",
        partial(_fit_networks, encoder="auto", encoder_options=None, both_strands="auto"),
        contender=True,
    ),
    **{
        name: Method(
            title,
            f"{description}, trained on the sequences with labels",
            partial(_fit_networks, encoder=name, encoder_options=None),
            contender=True,
        )
        for name, (title, description) in _TITLES.items()
    },
    **{
        name: Method(
            f"{title} pretraining",
            f"a network pretrained {how} on all training sequences without labels, then trained on those with labels",
            _fit_pretrained,
            objective=name,
        )
        for name, (title, how) in _PRETEXTS.items()
    },
}
_RIDGES: dict[str, Method] = {
    "kmer-ridge": Method(
        "k-mers + ridge regression",
        "ridge regression on square roots of k-mer shares, its strength chosen by leaving out one sequence at a time",
        _fit_kmers,
        network=False,
    ),
    "onehot-ridge": Method(
        "one-hot + ridge regression",
        "ridge regression on the letter at each place, its strength chosen by leaving out one sequence at a time",
        _fit_one_hot,
        network=False,
    ),
}
NUMBER_METHODS: dict[str, Method] = {
    **_RIDGES,
    **{name: method for name, method in SEQUENCE_METHODS.items() if method.network},
}


def methods_for(target: str) -> dict[str, Method]:
    """Methods that a study could compare, for labels that are ``"classes"`` or ``"numbers"``."""
    return NUMBER_METHODS if target == NUMBERS else SEQUENCE_METHODS
