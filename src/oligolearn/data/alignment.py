"""Bring new samples into the gene order of a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data.matching import GeneMatch, Translation, gather_genes, match_genes, measured_by
from oligolearn.data.table import some
from oligolearn.data.units import guess_units, normalize

if TYPE_CHECKING:
    import anndata as ad


class Aligned(NamedTuple):
    """Samples as a model expects them.

    Attributes
    ----------
    X
        ``(n_samples, n_features)``, in the model's order; NaN where the file lacks a gene.
    notes
        What was done, in sentences.
    measured_by
        For features that the file calls otherwise, the names of its columns that were taken.
    """

    X: NDArray[np.float32]
    notes: list[str]
    measured_by: dict[str, list[str]]


def align_expression(
    adata: "ad.AnnData",
    features: Sequence[str],
    *,
    units: str,
    normalize_as: str = "auto",
    min_overlap: float = 0.8,
    translation: Translation | None = None,
    known: Mapping[str, Sequence[str]] | None = None,
) -> Aligned:
    """Prepare new samples like a model's own and pick its genes by name, as `match_genes` finds them.

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
    translation
        How other names of genes become those of the model. ``probes="auto"`` is the mean: no other sample of the file
        has a say in what becomes of one.
    known
        `Aligned.measured_by` of the model's own data: the columns that stand for a gene there do so here.

    Raises
    ------
    ValueError
        If too few genes are there, one is named twice, or the values are on another scale.
    """
    translation = translation or Translation()
    names = [str(name) for name in adata.var_names]
    match = find_features(names, features, min_overlap, translation=translation, known=known)
    rule = "mean" if translation.probes == "auto" else translation.column_rule(units)
    mode, why = mode_like_training(units, normalize_as, lambda: guess_units(adata.X[:, match.columns]))
    X, _, sentence = normalize(adata.X, mode, sample_names=[str(name) for name in adata.obs_names], why=why)
    gathered = gather_genes(X, match, features, rule)
    notes = [sentence, *match.notes, *gathered.notes, *describe_match(match)]
    return Aligned(gathered.X, notes, measured_by(names, gathered, features))


def find_features(
    names: Sequence[str],
    features: Sequence[str],
    min_overlap: float,
    *,
    translation: Translation | None = None,
    known: Mapping[str, Sequence[str]] | None = None,
) -> GeneMatch:
    """Columns of the genes of a model.

    Parameters
    ----------
    names
        Genes of the data.
    features, min_overlap, translation, known
        As for `align_expression`.

    Raises
    ------
    ValueError
        If too few genes are there, or one is named twice.
    """
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie above 0 and up to 1, found {min_overlap}")
    match = match_genes(names, features, known=known, gene_map=translation.gene_map if translation else None)
    found = match.found
    if found.mean() < min_overlap:
        absent = [name for name, there in zip(features, found, strict=True) if not there]
        raise ValueError(
            f"{int(found.sum()):,} of the model's {len(features):,} genes are in the data ({found.mean():.0%}), at "
            f"least {min_overlap:.0%} are needed; not there: {some(absent)}; {match.advice}, or lower --min-overlap"
        )
    return match


def describe_match(match: GeneMatch) -> list[str]:
    """How many genes of a model were found, in sentences."""
    n_found = int(match.found.sum())
    notes = [f"{n_found:,} of the model's {match.n_wanted:,} genes are in the data."]
    if n_found < match.n_wanted:
        notes.append(f"{match.n_wanted - n_found:,} are missing and count as average.")
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
