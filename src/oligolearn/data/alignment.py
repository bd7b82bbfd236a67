"""Bring new samples into the gene order of a model."""

from collections.abc import Callable, Sequence
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
    places = find_features(adata.var_names.astype(str), features, min_overlap)
    found = places >= 0
    mode, why = mode_like_training(units, normalize_as, lambda: guess_units(adata.X))
    X, _, sentence = normalize(adata.X, mode, sample_names=[str(name) for name in adata.obs_names], why=why)
    aligned = np.full((len(X), len(features)), np.nan, dtype=np.float32)
    aligned[:, found] = X[:, places[found]]
    return Aligned(aligned, [sentence, *describe_places(places)])


def find_features(names: Sequence[str], features: Sequence[str], min_overlap: float) -> NDArray[np.intp]:
    """Column of each gene of a model, ``(n_features,)``, -1 for those that are absent.

    Parameters
    ----------
    names
        Genes of the data.
    features, min_overlap
        As for `align_expression`.

    Raises
    ------
    ValueError
        If too few genes are there, or one is named twice.
    """
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie above 0 and up to 1, found {min_overlap}")
    genes = pd.Index(names)
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
    return places


def describe_places(places: NDArray[np.intp]) -> list[str]:
    """How many genes of a model were found, in sentences."""
    n_found = int((places >= 0).sum())
    notes = [f"{n_found:,} of the model's {len(places):,} genes are in the data."]
    if n_found < len(places):
        notes.append(f"{len(places) - n_found:,} are missing and count as average.")
    return notes


def mode_like_training(units: str, normalize_as: str, guess: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Mode of `normalize` for new samples, and why.

    Parameters
    ----------
    units, normalize_as
        As for `align_expression`.
    guess
        Says what the values look like; only asked where that decides.

    Raises
    ------
    ValueError
        If the values are on another scale than those of the training.
    """
    if normalize_as != "auto":
        return normalize_as, "as asked"
    guessed, evidence = guess()
    logarithmic = {"log", "centred", "none"}
    if units != guessed and "none" not in (units, guessed) and not {units, guessed} <= logarithmic:
        raise ValueError(
            f"the model was trained on {units!r} values but these look like {evidence}; pass --normalize to say what "
            "they are"
        )
    return units, "like the training data of the model"
