"""Bring new samples into the gene order of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.table import some
from oligolearn.data.units import guess_units, normalize


class Aligned(NamedTuple):
    """Samples as a model expects them.

    Attributes
    ----------
    X
        ``(n_samples, n_features)``, in the model's order; NaN where the file lacks a gene.
    notes
        What was done, in sentences.
    """

    X: NDArray[np.float32]
    notes: list[str]


def align_expression(
    adata: ad.AnnData, features: Sequence[str], *, units: str, normalize_as: str = "auto", min_overlap: float = 0.8
) -> Aligned:
    """Prepare new samples like a model's own and pick its genes by name.

    Parameters
    ----------
    adata
        As `read_expression` gives it.
    features
        Genes of the model, in order.
    units
        What the model's training data were: ``"counts"``, ``"linear"``, ``"log"``, ``"centred"`` or ``"none"``.
    normalize_as
        ``"auto"`` treats the values as the training data were, and refuses values that look otherwise; any other mode
        of `normalize` is taken at its word.
    min_overlap
        Smallest share of the model's genes that must be there. The others become missing.

    Raises
    ------
    ValueError
        If too few genes are there, one is named twice, or the values are on another scale.
    """
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie above 0 and up to 1, found {min_overlap}")
    genes = pd.Index(adata.var_names.astype(str))
    if not genes.is_unique:
        twice = genes[genes.duplicated()].unique()
        raise ValueError(f"{len(twice)} genes are named more than once: {some(twice)}; merge or rename them")
    places = genes.get_indexer(pd.Index(features))
    found = places >= 0
    if found.mean() < min_overlap:
        absent = [name for name, there in zip(features, found, strict=True) if not there]
        raise ValueError(
            f"{int(found.sum()):,} of the model's {len(features):,} genes are in the data ({found.mean():.0%}), at "
            f"least {min_overlap:.0%} are needed; not there: {some(absent)}; check the gene identifiers, or lower "
            "--min-overlap"
        )
    mode = units if normalize_as == "auto" else normalize_as
    if normalize_as == "auto":
        _check_scale(adata, units)
    why = "like the training data of the model" if normalize_as == "auto" else "as asked"
    X, _, sentence = normalize(adata.X, mode, sample_names=[str(name) for name in adata.obs_names], why=why)
    aligned = np.full((len(X), len(features)), np.nan, dtype=np.float32)
    aligned[:, found] = X[:, places[found]]
    notes = [sentence, f"{int(found.sum()):,} of the model's {len(features):,} genes are in the data."]
    if not found.all():
        notes.append(f"{int((~found).sum()):,} are missing and count as average.")
    return Aligned(aligned, notes)


def _check_scale(adata: ad.AnnData, units: str) -> None:
    guessed, evidence = guess_units(adata.X)
    logarithmic = {"log", "centred", "none"}
    if units != guessed and "none" not in (units, guessed) and not {units, guessed} <= logarithmic:
        raise ValueError(
            f"the model was trained on {units!r} values but these look like {evidence}; pass --normalize to say what "
            "they are"
        )
