"""Prediction and embedding of new samples by a model that was saved."""

from collections.abc import Iterable, Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import ExpressionScaler, StoredExpression, align_expression, align_stream
from oligolearn.estimators.bundles import SavedModel
from oligolearn.estimators.cohorts import MEASURED_BY
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.estimators.value_models import NetworkRegression, StandardisedRidge

_FEWEST_VALUES = 0.5
_FAR = 1.2  # standard deviations, mean over genes: .6 at the most in like samples, 1.3 at the least in other units


def predict_samples(
    saved: SavedModel, data: ad.AnnData | StoredExpression, **alignment: Any
) -> tuple[pd.DataFrame, list[str]]:
    """Class and probabilities of new samples, or the number that is predicted for each.

    Parameters
    ----------
    saved
        A classifier or a regression from `load_model`.
    data
        As `oligolearn.data.read_expression` gives it, or one that stays on disk.
    **alignment
        `normalize_as`, `min_overlap` and `translation` of `oligolearn.data.align_expression`.

    Returns
    -------
    table, notes
        Indexed by sample: ``prediction``, and of a classifier ``probability_CLASS`` for each class. What was done, in
        sentences.

    Raises
    ------
    ValueError
        If the model predicts nothing, or the samples do not suit it.
    """
    if isinstance(saved.model, SelfSupervisedEncoder):
        raise ValueError(
            "this model is an encoder without classes: `embed` uses it, and `train --pretrained` builds on it"
        )
    blocks, notes = _aligned(saved, data, alignment)
    strange = _Strange(saved.model)
    index = pd.Index(data.obs.index.astype(str), name="sample")
    if isinstance(saved.model, StandardisedRidge | NetworkRegression):
        values = np.concatenate([saved.model.predict(strange.seen(X)) for X in blocks])
        return pd.DataFrame({"prediction": values}, index=index), [*notes, *strange.notes()]
    probabilities = np.concatenate([saved.model.predict_proba(strange.seen(X)) for X in blocks])
    table = pd.DataFrame(
        probabilities,
        index=index,
        columns=[f"probability_{name}" for name in saved.model.classes_],
    )
    table.insert(0, "prediction", saved.model.classes_[probabilities.argmax(axis=1)])
    return table, [*notes, *strange.notes()]


def embed_samples(
    saved: SavedModel, data: ad.AnnData | StoredExpression, **alignment: Any
) -> tuple[ad.AnnData, list[str]]:
    """Embedding of new samples by the encoder of a model: ``X`` is ``(n_samples, out_dim)``, `obs` that of `data`.

    Parameters, notes and errors are those of `predict_samples`.
    """
    blocks, notes = _aligned(saved, data, alignment)
    model = saved.model
    embed = model.transform if isinstance(model, SelfSupervisedEncoder) else model.embed
    strange = _Strange(model)
    X = np.concatenate([embed(strange.seen(block)) for block in blocks])
    names = pd.DataFrame(index=[f"dimension_{i + 1}" for i in range(X.shape[1])])
    return ad.AnnData(X, obs=data.obs.copy(), var=names), [*notes, *strange.notes()]


def _aligned(
    saved: SavedModel, data: ad.AnnData | StoredExpression, alignment: Mapping[str, Any]
) -> tuple[Iterable[NDArray[np.float32]], list[str]]:
    """Rows as the model expects them, all or a block at a time, and what was done."""
    if "features" not in saved.description:
        raise ValueError(
            "this model was trained on sequences, the data are expression; give sequences, or another model"
        )
    features = saved.description["features"]
    told = {"units": saved.description.get("units", "none"), "known": saved.description.get(MEASURED_BY), **alignment}
    if isinstance(data, StoredExpression):
        stream = align_stream(data, features, **told)
        return stream.blocks(), stream.notes
    aligned = align_expression(data, features, **told)
    return [aligned.X], aligned.notes


class _Strange:
    """Counts samples that have hardly a value, or lie far from those of the training, as in other units they do."""

    def __init__(self, model: Any) -> None:
        self._scaler = getattr(model, "scaler_", None)
        self._n = self._n_empty = self._n_far = 0

    def seen(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same rows, ``(n_samples, n_genes)``, once they are counted."""
        known = np.isfinite(X)
        empty = known.mean(axis=1) < _FEWEST_VALUES
        self._n += len(X)
        self._n_empty += int(empty.sum())
        if isinstance(self._scaler, ExpressionScaler) and not empty.all():
            beyond = np.where(known, self._scaler.transform(X), np.nan)[~empty]
            self._n_far += int((np.abs(np.nanmean(beyond, axis=1)) > _FAR).sum())
        return X

    def notes(self) -> list[str]:
        """Warnings."""
        said = []
        if self._n_empty:
            said.append(
                f"Warning: {self._n_empty:,} of {self._n:,} samples have values of fewer than {_FEWEST_VALUES:.0%} of "
                "the model's genes; the others count as average, and what is predicted says little of them."
            )
        if self._n_far:
            said.append(
                f"Warning: {self._n_far:,} of {self._n:,} samples lie far from those of the training: their genes are "
                f"on average more than {_FAR:g} standard deviations above or below the mean there. Are they in the "
                "same units, are counts of the same genes, and is it the same platform? (`adapt` is for another one.)"
            )
        return said
