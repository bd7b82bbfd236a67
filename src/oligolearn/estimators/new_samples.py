"""Prediction and embedding of new samples by a model that was saved."""

from collections.abc import Iterable, Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import StoredExpression, align_expression, align_stream
from oligolearn.estimators.bundles import SavedModel
from oligolearn.estimators.cohorts import MEASURED_BY
from oligolearn.estimators.self_supervised import SelfSupervisedEncoder
from oligolearn.estimators.value_models import NetworkRegression, StandardisedRidge


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
    index = pd.Index(data.obs.index.astype(str), name="sample")
    if isinstance(saved.model, StandardisedRidge | NetworkRegression):
        values = np.concatenate([saved.model.predict(X) for X in blocks])
        return pd.DataFrame({"prediction": values}, index=index), notes
    probabilities = np.concatenate([saved.model.predict_proba(X) for X in blocks])
    table = pd.DataFrame(
        probabilities,
        index=index,
        columns=[f"probability_{name}" for name in saved.model.classes_],
    )
    table.insert(0, "prediction", saved.model.classes_[probabilities.argmax(axis=1)])
    return table, notes


def embed_samples(
    saved: SavedModel, data: ad.AnnData | StoredExpression, **alignment: Any
) -> tuple[ad.AnnData, list[str]]:
    """Embedding of new samples by the encoder of a model: ``X`` is ``(n_samples, out_dim)``, `obs` that of `data`.

    Parameters, notes and errors are those of `predict_samples`.
    """
    blocks, notes = _aligned(saved, data, alignment)
    model = saved.model
    embed = model.transform if isinstance(model, SelfSupervisedEncoder) else model.embed
    X = np.concatenate([embed(block) for block in blocks])
    names = pd.DataFrame(index=[f"dimension_{i + 1}" for i in range(X.shape[1])])
    return ad.AnnData(X, obs=data.obs.copy(), var=names), notes


def _aligned(
    saved: SavedModel, data: ad.AnnData | StoredExpression, alignment: Mapping[str, Any]
) -> tuple[Iterable[NDArray[np.float32]], list[str]]:
    """Rows as the model expects them, all or a block at a time, and what was done."""
    if "features" not in saved.description:
        raise ValueError(
            "this model was trained on sequences, the data are expression; give sequences, or another model"
        )
    features = saved.description["features"]
    told = {"units": saved.description["units"], "known": saved.description.get(MEASURED_BY), **alignment}
    if isinstance(data, StoredExpression):
        stream = align_stream(data, features, **told)
        return stream.blocks(), stream.notes
    aligned = align_expression(data, features, **told)
    return [aligned.X], aligned.notes
