"""Rows of other cohorts in the gene order of one's own, for pretraining."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.alignment import mode_like_training
from oligolearn.data.fingerprints import fingerprint
from oligolearn.data.matching import GeneMatch, Translation, gather_genes, match_genes
from oligolearn.data.scaling import ExpressionScaler
from oligolearn.data.table import some
from oligolearn.data.units import guess_units, normalize

STANDARDIZE = ("each", "together")
LEAST_SHARE = 0.5  # of the genes: below, most of what is borrowed would be missing
_SAME = 0.999  # correlation of standardised genes above which two samples are one, as in `inspect`
_COMPARED_GENES = 2000
_FEWEST_COMPARED = 20
_ROWS_AT_ONCE = 1024
# what programs call samples: in two files it does not mean the same sample
_NUMBERED = re.compile(r"(sample|patient|donor|subject|line|cell|row|obs|s|p|x)?[ _.-]*\d+", re.IGNORECASE)


class OwnCohort(NamedTuple):
    """The cohort that borrows, prepared.

    Attributes
    ----------
    X
        ``(n_samples, n_genes)``, on a log scale.
    genes
        Names of its columns.
    units
        The mode of `normalize` that prepared it.
    samples
        Names of its rows.
    groups
        Names of the groups, such as patients, of its rows; None where none are known.
    """

    X: NDArray[np.float32]
    genes: Sequence[str]
    units: str
    samples: Sequence[str]
    groups: "pd.Series[str] | None" = None


class Borrowed(NamedTuple):
    """Rows of other cohorts, as one's own are, but for the standardisation.

    Attributes
    ----------
    X
        ``(n_rows, n_genes)``, genes in the order of one's own, on a log scale; NaN where a cohort lacks a gene.
    cohorts
        Number of the cohort of each row, from 1: 0 is one's own.
    standardize
        ``"each"``: each cohort by itself; ``"together"``: all with the means and deviations of all.
    facts
        For each cohort, JSON-able: file, samples, share of the genes, fingerprint.
    notes
        What was done, in sentences.
    """

    X: NDArray[np.float32]
    cohorts: NDArray[np.int64]
    standardize: str
    facts: list[dict[str, Any]]
    notes: list[str]

    def ready(self) -> NDArray[np.float32]:
        """Each cohort standardised by itself."""
        out = np.empty_like(self.X)
        for number in np.unique(self.cohorts):
            rows = self.cohorts == number
            out[rows] = ExpressionScaler().fit_transform(self.X[rows])
        return out


def borrow_rows(
    others: Sequence[ad.AnnData],
    own: OwnCohort,
    *,
    standardize: str = "each",
    min_overlap: float = LEAST_SHARE,
    group: str | None = None,
    translation: Translation | None = None,
) -> Borrowed:
    """Bring other cohorts into one's own gene order, and leave out of them what one has oneself.

    A row is left out if a sample of one's own has its name, belongs to its group, or has nearly its values: what is
    held out for testing must not come back by this door. Names that are mere numbers ("sample_12") count for nothing.

    Parameters
    ----------
    others
        As `read_expression` gives them.
    own
        One's own cohort.
    standardize
        ``"each"`` suits other platforms and units; ``"together"`` keeps differences between cohorts, and needs the
        same units.
    min_overlap
        Smallest share of the genes that each of the others must have.
    group
        Column of `obs` with the groups, where the others have it.
    translation
        How their names of genes become one's own, where they differ.

    Raises
    ------
    ValueError
        If a cohort has too few of the genes or no sample left, names a gene twice, or is on another scale and cannot
        be standardised together.
    """
    if standardize not in STANDARDIZE:
        raise ValueError(f"standardize must be one of {', '.join(STANDARDIZE)}, found {standardize!r}")
    parts: list[NDArray[np.float32]] = []
    facts, notes = [], []
    translation = translation or Translation()
    for place, other in enumerate(others, start=1):
        name = str(other.uns.get("oligolearn", {}).get("file", f"cohort {place}"))
        match = _matched(other, own, name, translation, min_overlap)
        X, units, said = _normalized(other, own, name, together=standardize == "together")
        rule = translation.column_rule(units)
        gathered = gather_genes(X, match, own.genes, rule)
        kept, left_out = without_own(other, gathered.X, own, group)
        if kept.sum() < 2:
            raise ValueError(
                f"{name}: {left_out} and {int(kept.sum())} are left to pretrain on; name a cohort of other samples"
            )
        if gathered.notes and not kept.all():  # rows that are left out have no say in which columns count
            gathered = gather_genes(X[kept], match, own.genes, rule)
        else:
            gathered = gathered._replace(X=gathered.X[kept])
        parts.append(gathered.X)
        share = float(match.found.mean())
        rows = {"n_samples": len(parts[-1]), "fingerprint": fingerprint(parts[-1])}
        facts.append({"file": name, "share_of_genes": round(share, 4), **rows})
        notes.append(
            f"Pretraining also sees {int(kept.sum()):,} samples of {name}: {share:.0%} of the {len(own.genes):,} genes "
            f"are in it, the others count as average. {said}"
        )
        if left_out:
            notes.append(f"{name}: {left_out} and are left out.")
        notes += [f"{name}: {note}" for note in (*match.notes, *gathered.notes)]
    how = (
        "Each cohort is standardised by itself."
        if standardize == "each"
        else "All cohorts are standardised together, with the same means and deviations."
    )
    cohorts = np.repeat(np.arange(1, len(parts) + 1), [len(part) for part in parts])
    return Borrowed(np.concatenate(parts), cohorts.astype(np.int64), standardize, facts, [*notes, how])


def _matched(other: ad.AnnData, own: OwnCohort, name: str, translation: Translation, min_overlap: float) -> GeneMatch:
    """Columns of one's own genes in another cohort."""
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie above 0 and up to 1, found {min_overlap}")
    names = [str(gene) for gene in other.var_names]
    try:
        match = match_genes(names, own.genes, gene_map=translation.gene_map)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    found = match.found
    if found.mean() < min_overlap or found.sum() < 2:
        absent = some([gene for gene, there in zip(own.genes, found, strict=True) if not there])
        raise ValueError(
            f"{name}: {int(found.sum()):,} of the {len(own.genes):,} genes to pretrain on are in it "
            f"({found.mean():.0%}), at least {min_overlap:.0%} are needed; not there: {absent}; {match.advice}, or "
            "lower --min-overlap"
        )
    return match


def _normalized(
    other: ad.AnnData, own: OwnCohort, name: str, *, together: bool
) -> tuple[NDArray[np.float32], str, str]:
    """Values on a log scale, what they were, and how they were transformed."""
    try:
        mode, why = "auto", ""
        if together:
            mode, why = mode_like_training(own.units, "auto", lambda: guess_units(other.X))
        return normalize(other.X, mode, sample_names=[str(one) for one in other.obs_names], why=why)
    except ValueError as error:
        hint = "; --standardize each takes cohorts on other scales" if together else ""
        raise ValueError(f"{name}: {error}{hint}") from None


def without_own(
    other: ad.AnnData, X: NDArray[np.float32], own: OwnCohort, group: str | None
) -> tuple[NDArray[np.bool_], str]:
    """Which rows are no sample of one's own, and what was found of those that are, in words.

    Parameters
    ----------
    other
        As `read_expression` gives it.
    X
        Its rows in one's own gene order, ``(n_samples, n_genes)``.
    own
        One's own cohort.
    group
        Column of `obs` with the groups, where `other` has it.
    """
    same_name = pd.Index(other.obs_names.astype(str)).isin(_telling(own.samples))
    same_group = np.zeros(len(X), dtype=bool)
    if group is not None and own.groups is not None and group in other.obs:
        groups = other.obs[group]
        same_group = (groups.notna() & groups.astype(str).isin(_telling(own.groups.dropna().astype(str)))).to_numpy()
    same_values = _copies(X, own.X)
    found: Mapping[str, NDArray[np.bool_]] = {
        "have the name of one of your samples": same_name,
        f"share a {group!r} with them": same_group,
        "have nearly their values": same_values,
    }
    said = [f"{int(which.sum()):,} samples {what}" for what, which in found.items() if which.any()]
    return ~(same_name | same_group | same_values), ", ".join(said)


def _telling(names: Any) -> list[str]:
    return [str(name) for name in names if not _NUMBERED.fullmatch(str(name))]


def _copies(X: NDArray[np.float32], own: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows correlate almost perfectly with one of one's own, on genes that both standardise by themselves."""
    genes = np.flatnonzero(~np.isnan(X).all(axis=0))
    genes = genes[np.unique(np.linspace(0, len(genes) - 1, _COMPARED_GENES).astype(int))]
    first, second = (_unit_rows(values[:, genes]) for values in (X, own))
    if min(np.count_nonzero(np.ptp(part, axis=0)) for part in (first, second)) < _FEWEST_COMPARED:
        return np.zeros(len(X), dtype=bool)
    # copies have the same values, whatever the rest of each cohort is like: compared on one's own scale too
    alike = np.zeros(len(X), dtype=bool)
    scaler = ExpressionScaler().fit(own[:, genes])
    for left, right in (
        (first, second),
        (_unit(scaler.transform(X[:, genes])), _unit(scaler.transform(own[:, genes]))),
    ):
        for start in range(0, len(X), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            alike[rows] |= (left[rows] @ right.T).max(axis=1) > _SAME
    return alike


def _unit_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(ExpressionScaler().fit_transform(values))


def _unit(Z: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = Z - Z.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (centred / np.where(length > 0, length, 1)).astype(np.float32)
    return unit
