"""Estimators to bundles and back."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from oligolearn.estimators.domain_adapted import DomainAdaptedClassifier
from oligolearn.estimators.domain_regression import DomainAdaptedRegressor
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.installed import versions
from oligolearn.estimators.kmer_word2vec import KmerWord2Vec
from oligolearn.estimators.linear import StandardisedLogistic
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.estimators.self_trained import SelfTrainedClassifier
from oligolearn.estimators.sequence_classifier import SequenceClassifier
from oligolearn.estimators.sequence_pretraining import SelfSupervisedSequenceEncoder
from oligolearn.estimators.sequence_regressor import SequenceRegressor
from oligolearn.estimators.value_models import NetworkRegression, StandardisedRidge
from oligolearn.saving import Bundle, load_bundle, save_bundle

Model = (
    SelfSupervisedEncoder
    | FineTunedClassifier
    | StandardisedLogistic
    | StandardisedRidge
    | NetworkRegression
    | SequenceClassifier
    | SequenceRegressor
    | KmerWord2Vec
    | SelfSupervisedSequenceEncoder
)
OfSequences = SequenceClassifier | SequenceRegressor | KmerWord2Vec | SelfSupervisedSequenceEncoder
_KINDS: dict[str, type[Model]] = {
    "encoder": SelfSupervisedEncoder,
    "classifier": FineTunedClassifier,
    "linear": StandardisedLogistic,
    "ridge": StandardisedRidge,
    "regressor": NetworkRegression,
    "sequence-classifier": SequenceClassifier,
    "sequence-regressor": SequenceRegressor,
    "kmer-embedding": KmerWord2Vec,
    "sequence-encoder": SelfSupervisedSequenceEncoder,
}


class SavedModel(NamedTuple):
    """A model read from a bundle.

    Attributes
    ----------
    model
        The fitted estimator, ready to transform or predict.
    description
        What `model.json` says: features in order, units, classes, versions, training data, metrics.
    """

    model: Model
    description: dict[str, Any]


def save_model(
    model: Model | SelfTrainedClassifier | DomainAdaptedClassifier | DomainAdaptedRegressor,
    path: str | os.PathLike[str],
    *,
    features: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a fitted estimator to the folder `path`: `weights.safetensors` and `model.json`.

    Parameters
    ----------
    model
        Fitted `SelfSupervisedEncoder`, `FineTunedClassifier`, `SequenceClassifier`, `SequenceRegressor`,
        `SelfSupervisedSequenceEncoder`, `KmerWord2Vec`, `DomainAdaptedClassifier`, `DomainAdaptedRegressor` or
        `SelfTrainedClassifier`; of the last the student is kept, and read as a `FineTunedClassifier`, of the two before
        what predicts the target.
    path
        Folder of the bundle; replaced if it holds one.
    features
        Gene names in the order of the columns of `X`; none for a model of sequences.
    facts
        JSON-able facts to keep beside the model: units, normalisation, training data, metrics.

    Raises
    ------
    ValueError
        If there are not as many names as features, or the encoder is not one known by name.
    """
    n_features = 0 if isinstance(model, OfSequences) else model.n_features_in_
    if len(features) != n_features:
        raise ValueError(f"the model has {n_features} features, found {len(features)} names")
    bundle = model.to_bundle()
    named = {"features": list(features)} if n_features else {}
    description = {**bundle.description, **named, **(facts or {}), "versions": versions()}
    save_bundle(path, Bundle(description, bundle.weights))


def load_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read a fitted estimator from a bundle; no code of the bundle is run.

    Raises
    ------
    FileNotFoundError, ValueError
        If `path` is no bundle, is damaged, or holds a kind of model that this version does not know.
    """
    bundle = load_bundle(path)
    kind = bundle.description.get("kind")
    if kind not in _KINDS:
        raise ValueError(f"{path} holds a model of kind {kind!r}; this version reads {', '.join(_KINDS)}")
    try:
        return SavedModel(_KINDS[kind].from_bundle(bundle), bundle.description)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"the model in {path} is damaged: {error}") from error
