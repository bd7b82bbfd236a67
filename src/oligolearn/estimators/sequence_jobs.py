"""Whole jobs on sequences read from a file: train, predict, embed."""

import hashlib
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from oligolearn.data import Sequences, is_number, leak_free_groups, number_classes
from oligolearn.estimators.bundles import SavedModel
from oligolearn.estimators.cohorts import LabelColumns
from oligolearn.estimators.kmer_word2vec import KmerWord2Vec
from oligolearn.estimators.metrics import score_predictions, score_values
from oligolearn.estimators.sequence_models import SequenceClassifier, SequenceRegressor
from oligolearn.estimators.sequence_pretraining import SelfSupervisedSequenceEncoder


class TrainedSequences(NamedTuple):
    """A fitted model with what has to be saved beside it.

    Attributes
    ----------
    model
        Classifier or regressor.
    facts
        JSON-able: label, training data, metrics.
    notes
        What was done, in sentences.
    """

    model: SequenceClassifier | SequenceRegressor
    facts: dict[str, Any]
    notes: list[str]


def train_on_sequences(
    sequences: Sequences,
    columns: LabelColumns,
    settings: dict[str, Any],
    *,
    identity: float | None = None,
    n_folds: int = 5,
) -> TrainedSequences:
    """Train on all labelled sequences, after a cross-validation that says how good such a model is.

    A label of more than 20 different numbers is learned by regression, any other by classification. The folds keep
    copies together, the sequences of one group, and those that are alike to `identity`.

    Parameters
    ----------
    sequences
        As `oligolearn.data.read_sequences` gives them.
    columns
        Names of label and group.
    settings
        Of `SequenceClassifier` or `SequenceRegressor`.
    identity
        As in `oligolearn.data.leak_free_groups`.
    n_folds
        Of the cross-validation, 0 for none. Its scores, pooled over folds, are kept as the model's metrics.

    Raises
    ------
    ValueError
        If label or group do not suit.
    """
    text = sequences.label(columns.label)
    model: SequenceClassifier | SequenceRegressor
    if is_number(text):
        y, classes, notes = (
            pd.to_numeric(text).to_numpy(float),
            [],
            [f"{columns.label!r} is a number: it is learned by regression."],
        )
        model = SequenceRegressor(**{name: value for name, value in settings.items() if name != "class_weight"})
    else:
        labels = number_classes(text, columns.label, min_class_size=columns.min_class_size)
        y, classes, notes = np.where(labels.codes < 0, np.nan, labels.codes), labels.classes, labels.notes
        model = SequenceClassifier(**settings)
    known = np.flatnonzero(~np.isnan(y))
    if len(known) < len(y):
        notes = [*notes, f"{len(y) - len(known):,} sequences have no label and are left out."]
    used, y = sequences.take(known), y[known]
    groups, found = leak_free_groups(used, column=columns.group, identity=identity)
    metrics = _cross_validate(model, used, y, groups, n_folds)
    model.fit(used, y, groups)
    if isinstance(model, SequenceClassifier):
        model.classes_ = np.array(classes)
    fingerprint = hashlib.sha256(used.codes.tobytes()).hexdigest()[:16]
    facts = {
        "label": columns.label,
        "training_data": {"n_samples": len(used), "fingerprint": fingerprint},
        "metrics": metrics,
    }
    chosen = model.training_["encoder_chosen"]
    chosen = str(model.recipe_.encoder) if chosen == "given" else chosen
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in model.choice_.items())
    said = [f"Encoder: {chosen}" + (f" (loss on held-out sequences: {losses})." if losses else ".")]
    return TrainedSequences(model, facts, [*notes, *found, *said])


def _cross_validate(
    model: SequenceClassifier | SequenceRegressor,
    sequences: Sequences,
    y: NDArray[np.floating],
    groups: NDArray[np.int64],
    n_folds: int,
) -> dict[str, Any]:
    """Scores of predictions for sequences that are in no group of those that the model has seen."""
    is_classifier = isinstance(model, SequenceClassifier)
    strata = y.astype(int) if is_classifier else np.zeros(len(y), int)
    smallest = min(len(np.unique(groups[strata == code])) for code in np.unique(strata))
    if n_folds < 2 or smallest < 2:
        why = "it was not asked for" if n_folds < 2 else "a class has fewer than two different sequences or groups"
        return {"note": f"not cross-validated: {why}"}
    n_parts = min(n_folds, smallest)
    folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=0) if is_classifier else GroupKFold(n_parts)
    predicted = np.zeros((len(y), int(strata.max()) + 1))
    for train, test in folds.split(y, strata, groups):
        part = type(model)(**model.get_params(deep=False))
        part.fit(sequences.take(train), y[train], groups[train])
        if isinstance(part, SequenceClassifier):
            predicted[np.ix_(test, part.classes_.astype(int))] = part.predict_proba(sequences.take(test))
        else:
            predicted[test, 0] = part.predict(sequences.take(test))
    note = f"{n_parts}-fold cross-validation of {len(y):,} labelled sequences"
    if is_classifier:
        return {"note": note, **score_predictions(strata, predicted)}
    return {"note": note, **score_values(y, predicted[:, 0])}


def predict_sequences(saved: SavedModel, sequences: Sequences) -> pd.DataFrame:
    """Predict new sequences.

    Returns
    -------
    DataFrame
        Indexed by sequence: ``prediction``, and of a classifier ``probability_CLASS`` for each class.

    Raises
    ------
    ValueError
        If the model is not one of sequences, or the sequences do not suit it.
    """
    model = sequence_model(saved)
    index = pd.Index(sequences.ids, name="sample")
    if isinstance(model, SequenceRegressor):
        return pd.DataFrame({"prediction": model.predict(sequences)}, index=index)
    probabilities = model.predict_proba(sequences)
    table = pd.DataFrame(probabilities, index=index, columns=[f"probability_{name}" for name in model.classes_])
    table.insert(0, "prediction", model.classes_[probabilities.argmax(axis=1)])
    return table


def embed_new_sequences(saved: SavedModel, sequences: Sequences) -> ad.AnnData:
    """Embedding of new sequences by the encoder, of several networks the first: ``X`` is ``(n_sequences, out_dim)``."""
    model = saved.model
    if isinstance(model, SelfSupervisedSequenceEncoder):
        X = model.transform(sequences)
    else:
        X = sequence_model(saved).embed(sequences)
    names = pd.DataFrame(index=[f"dimension_{i + 1}" for i in range(X.shape[1])])
    return ad.AnnData(X, obs=sequences.obs.copy(), var=names)


def sequence_model(saved: SavedModel) -> SequenceClassifier | SequenceRegressor:
    """Give the model, if it is one of sequences.

    Raises
    ------
    ValueError
        If it is one of expression, or predicts nothing.
    """
    if isinstance(saved.model, SelfSupervisedSequenceEncoder):
        raise ValueError(
            "this model was pretrained without labels and predicts none; train one from it (train --pretrained), or "
            "use embed"
        )
    if isinstance(saved.model, KmerWord2Vec):
        raise ValueError("these are vectors of k-mers, not a model of sequences; train one with --embedding")
    if not isinstance(saved.model, SequenceClassifier | SequenceRegressor):
        raise ValueError(
            "this model was trained on expression, the data are sequences; give a matrix, or another model"
        )
    return saved.model
