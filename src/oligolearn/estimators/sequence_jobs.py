"""Whole jobs on sequences read from a file: train, predict, embed."""

import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from oligolearn.data import (
    Sequences,
    is_number,
    large_labels,
    leak_free_groups,
    number_classes,
    parse_numbers,
    several_labels,
)
from oligolearn.data.fingerprints import fingerprint, sample_of_rows, share_seen
from oligolearn.data.table import some
from oligolearn.estimators.bundles import SavedModel
from oligolearn.estimators.cohorts import LabelColumns
from oligolearn.estimators.kmer_word2vec import KmerWord2Vec
from oligolearn.estimators.labels import few_of_each_class
from oligolearn.estimators.metrics import score_labels, score_predictions, score_values
from oligolearn.estimators.sequence_classifier import SequenceClassifier
from oligolearn.estimators.sequence_fitting import TruncationWarning, cut_note, padding_rule, shortest_read
from oligolearn.estimators.sequence_input import rarest_label
from oligolearn.estimators.sequence_pretraining import SelfSupervisedSequenceEncoder
from oligolearn.estimators.sequence_regressor import SequenceRegressor
from oligolearn.estimators.sequence_starting import SELF_SUPERVISED
from oligolearn.saving import load_bundle


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


class _Target(NamedTuple):
    """What a label is, and the model that learns it.

    Attributes
    ----------
    y
        Class numbers or numbers ``(n_sequences,)``, or of several labels at once 1 and 0 ``(n_sequences, n_labels)``;
        NaN where not known.
    names
        Of the classes or labels; none of a number.
    model
        Not fitted.
    notes
        What was found, in sentences.
    """

    y: NDArray[np.floating]
    names: list[str]
    model: SequenceClassifier | SequenceRegressor
    notes: list[str]


def train_on_sequences(
    sequences: Sequences,
    columns: LabelColumns,
    settings: dict[str, Any],
    *,
    identity: float | None = None,
    n_folds: int = 5,
    separator: str | None = None,
) -> TrainedSequences:
    """Train on all labelled sequences, after a cross-validation that says how good such a model is.

    A label of more than 20 different numbers is learned by regression, any other by classification; several columns, or
    one of several names in a cell, as labels that a sequence may have at once. The folds keep copies together, the
    sequences of one group, and those that are alike to `identity`.

    Parameters
    ----------
    sequences
        As `oligolearn.data.read_sequences` gives them.
    columns
        Names of label and group; several labels are separated by commas.
    settings
        Of `SequenceClassifier` or `SequenceRegressor`.
    identity
        As in `oligolearn.data.leak_free_groups`.
    n_folds
        Of the cross-validation, 0 for none. Its scores, pooled over folds, are kept as the model's metrics.
    separator
        Between the names in a cell, see `oligolearn.data.multi_label`.

    Raises
    ------
    ValueError
        If label or group do not suit.
    """
    y, names, model, notes = _target(sequences, columns, settings, separator)
    known = np.flatnonzero(~np.isnan(y.reshape(len(y), -1)).all(axis=1))
    if len(known) < len(y):
        notes = [*notes, f"{len(y) - len(known):,} sequences have no label and are left out."]
    used, y = sequences.take(known), y[known]
    groups, found = leak_free_groups(used, column=columns.group, identity=identity, read=padding_rule(model, used))
    rows = [used.of(row) for row in range(len(used))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # the notes say so once
        metrics = _cross_validate(model, used, y, groups, n_folds, names)
        model.fit(used, y, groups)
    cut = cut_note(used, shortest_read(model.recipes_))
    if isinstance(model, SequenceClassifier):
        model.classes_ = np.array(names)
    facts = {
        "label": columns.label,
        "training_data": {
            "n_samples": len(used),
            "fingerprint": fingerprint(used.codes, used.offsets),
            "sample": sample_of_rows(rows),
        },
        "metrics": metrics,
    }
    chosen = model.training_["encoder_chosen"]
    chosen = str(model.recipes_[0].encoder) if chosen == "given" else chosen
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in model.choice_.items())
    said = [f"Encoder: {chosen}" + (f" (loss on held-out sequences: {losses})." if losses else ".")]
    if cut:
        said.append(f"{cut}.")
    seen = _seen_before(settings.get("pretrained"), rows)
    if seen:
        facts["pretraining_note"] = seen
    return TrainedSequences(model, facts, [*notes, *found, *said, *([seen] if seen else [])])


def _seen_before(pretrained: Any, rows: Sequence[NDArray[np.uint8]]) -> str:
    """Say that the encoder to start from was trained on sequences that it is now tested on; else an empty text."""
    if not isinstance(pretrained, str | os.PathLike):
        return ""
    description = load_bundle(pretrained).description
    without_labels = description["kind"] == SELF_SUPERVISED
    known = description["pretraining"] if without_labels else description.get("training_data", {})
    if "sample" not in known:  # bundles of before there was one
        return (
            "It is not known which sequences the encoder was trained on: if on these, the cross-validated scores are "
            "too good."
        )
    share = share_seen(known["sample"], rows)
    if not share:
        return ""
    if without_labels:
        return (
            f"The encoder was pretrained on {share:.0%} of these same sequences, without labels: the cross-validated "
            "scores may be a little too good."
        )
    return (
        f"The encoder was trained on {share:.0%} of these same sequences: if with this label, the cross-validated "
        "scores are too good."
    )


def _target(sequences: Sequences, columns: LabelColumns, settings: dict[str, Any], separator: str | None) -> _Target:
    several = several_labels(sequences, columns.label, separator)
    if several is not None:
        kept, notes = large_labels(several, columns.label, min_class_size=columns.min_class_size)
        return _Target(kept.to_numpy(np.float64), list(kept.columns), SequenceClassifier(**settings), notes)
    text = sequences.label(columns.label)
    if is_number(text):
        model = SequenceRegressor(**{name: value for name, value in settings.items() if name != "class_weight"})
        notes = [f"{columns.label!r} is a number: it is learned by regression."]
        return _Target(parse_numbers(text, columns.label), [], model, notes)
    labels = number_classes(text, columns.label, min_class_size=columns.min_class_size)
    notes = [*labels.notes, *_seems_several(text, columns.label)]
    return _Target(
        np.where(labels.codes < 0, np.nan, labels.codes), labels.classes, SequenceClassifier(**settings), notes
    )


def _seems_several(text: "pd.Series[str]", label: str) -> list[str]:
    """Say how cells that look like several names were read."""
    if not text.dropna().str.contains(";").any():
        return []
    return [
        f"A cell of {label!r} is one class, also where it has ';'; if these are names of several labels, pass "
        "--separator ';'."
    ]


def _cross_validate(
    model: SequenceClassifier | SequenceRegressor,
    sequences: Sequences,
    y: NDArray[np.floating],
    groups: NDArray[np.int64],
    n_folds: int,
    names: list[str],
) -> dict[str, Any]:
    """Scores of predictions for sequences that are in no group of those that the model has seen."""
    several, is_classifier = y.ndim == 2, isinstance(model, SequenceClassifier)
    strata = rarest_label(y) if several else y.astype(int) if is_classifier else np.zeros(len(y), int)
    sizes = [len(np.unique(groups[strata == code])) for code in np.unique(strata)]
    smallest = len(np.unique(groups)) if several else min(sizes)
    if n_folds < 2 or smallest < 2:
        small = [] if several else [name for name, size in zip(names, sizes, strict=False) if size < 2]
        few = f"the sequences of {some(small)} are" if small else "all sequences are"
        why = "it was not asked for" if n_folds < 2 else f"{few} of one group, or copies"
        return {"note": f"not cross-validated: {why}"}
    n_parts = min(n_folds, smallest)
    predicted = np.zeros((len(y), len(names) or 1))
    folds = _folds(strata, groups, n_parts, is_classifier=is_classifier)
    learned = strata if is_classifier else y
    if any(len(np.unique(learned[train])) < 2 for train, _ in folds):
        all_one = "all are of one class" if is_classifier else "all numbers are one"
        return {"note": f"not cross-validated: without those of one part, which groups hold together, {all_one}"}
    for train, test in folds:
        part = type(model)(**model.get_params(deep=False))
        part.fit(sequences.take(train), y[train], groups[train])
        if isinstance(part, SequenceClassifier):
            predicted[np.ix_(test, part.classes_.astype(int))] = part.predict_proba(sequences.take(test))
        else:
            predicted[test, 0] = part.predict(sequences.take(test))
    note = f"{n_parts}-fold cross-validation of {len(y):,} labelled sequences"
    if several:
        return {"note": f"{note}, means over {len(names)} labels", **score_labels(names, y, predicted)}
    if is_classifier:
        return {"note": note, **score_predictions(strata, predicted)}
    return {"note": note, **score_values(y, predicted[:, 0])}


def _folds(
    strata: NDArray[np.integer], groups: NDArray[np.int64], n_parts: int, *, is_classifier: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows that train and that are tested, by whole groups."""
    if not is_classifier:
        return list(GroupKFold(n_parts).split(strata, strata, groups))
    if np.bincount(strata).max() < n_parts:  # labels in so many combinations that none is in every part
        strata = np.zeros_like(strata)
    with few_of_each_class():
        return list(StratifiedGroupKFold(n_parts, shuffle=True, random_state=0).split(strata, strata, groups))


def predict_sequences(saved: SavedModel, sequences: Sequences) -> pd.DataFrame:
    """Predict new sequences.

    Returns
    -------
    DataFrame
        Indexed by sequence: ``prediction``, and of a classifier ``probability_CLASS`` for each class. Of several labels
        at once, ``prediction`` has the names of those above one half, separated by ``;``.

    Raises
    ------
    ValueError
        If the model is not one of sequences, or the sequences do not suit it.
    """
    model = sequence_model(saved)
    index = pd.Index(sequences.ids, name="sample")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # a note says so where they were read
        if isinstance(model, SequenceRegressor):
            return pd.DataFrame({"prediction": model.predict(sequences)}, index=index)
        probabilities = model.predict_proba(sequences)
    table = pd.DataFrame(probabilities, index=index, columns=[f"probability_{name}" for name in model.classes_])
    table.insert(0, "prediction", _spoken_predictions(model, probabilities))
    return table


def _spoken_predictions(model: SequenceClassifier, probabilities: NDArray[np.floating]) -> NDArray[Any]:
    names = np.asarray(model.classes_)
    if not model.multilabel_:
        return np.asarray(names[probabilities.argmax(axis=1)])
    return np.array([";".join(map(str, names[row > 0.5])) for row in probabilities], dtype=object)


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
            "this model was trained on expression, and one of sequences is needed here; give another model, or a "
            "matrix where it is to predict or embed"
        )
    return saved.model
