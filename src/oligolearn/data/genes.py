"""Genes that several columns measure, and genes with missing values."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from oligolearn.data.table import some
from oligolearn.data.units import guess_units

FEWEST_GENES = 2  # that vary, to learn from
DUPLICATE_GENES = ("auto", "sum", "mean", "refuse")
COLUMN_RULES = ("mean", "max-mean", "max-variance")  # for many probes of a gene
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_DATE = re.compile(
    rf"\d{{1,2}}[-./ ]({_MONTH})|({_MONTH})[-./ ]\d{{2}}|\d{{4}}-\d{{2}}-\d{{2}}( 00:00:00)?", re.IGNORECASE
)
_KEPT = {"max-mean": "the highest mean", "max-variance": "the largest variance"}


def merge_duplicate_genes(
    X: npt.NDArray[np.float32], names: Sequence[str], how: str = "auto"
) -> tuple[npt.NDArray[np.float32], list[int], str | None]:
    """Make one column of all columns with the same gene name.

    Parameters
    ----------
    X
        `(n_samples, n_genes)`; changed in place where a gene is named twice.
    names
        Gene of each column.
    how
        "sum", "mean", "refuse", or "auto": counts are summed (reads of one gene add up), all else is averaged.
        Missing values are left out of either, and a value missing in all columns stays missing. "max-mean" and
        "max-variance" keep the column with the highest mean or variance of all rows, the first of those that are equal.

    Returns
    -------
    X
        `(n_samples, n_distinct_genes)`, in order of first appearance.
    kept
        First column of each gene, or the one that was kept.
    note
        A sentence, or None if every name was unique.

    Raises
    ------
    ValueError
        A gene is named twice and `how` is "refuse".
    """
    known = dict.fromkeys((*DUPLICATE_GENES, *COLUMN_RULES))
    if how not in known:
        raise ValueError(f"how must be one of {', '.join(known)}, found {how!r}")
    codes, distinct = pd.factorize(pd.Index(names))
    if len(distinct) == len(names):
        return X, list(range(len(names))), None
    repeated = np.flatnonzero(np.bincount(codes) > 1)
    genes = [str(distinct[int(code)]) for code in repeated]
    if how == "refuse":
        raise ValueError(
            f"{len(genes)} gene(s) are named more than once ({some(genes)}); rename them, or choose sum or mean "
            "(--duplicates)"
        )
    if how == "auto":
        how = "sum" if guess_units(X)[0] == "counts" else "mean"
    columns_of = pd.Series(np.arange(len(codes))).groupby(codes).indices
    kept = np.unique(codes, return_index=True)[1]
    for code in repeated:
        columns = columns_of[code]
        if how in _KEPT:
            kept[code] = columns[_largest(X[:, columns], how)]
        else:
            X[:, columns[0]] = _combined(X[:, columns], how)
    if how in _KEPT:
        done = f"are represented by the column with {_KEPT[how]}"
    else:
        done = "were summed" if how == "sum" else "were averaged"
    became = f"{len(names):,} columns became {len(kept):,}"
    note = f"{len(genes)} gene(s) named more than once {done} ({some(genes)}): {became}."
    return X[:, kept], [int(i) for i in kept], note


def note_on_dates(names: Sequence[str]) -> str | None:
    """Say which genes have dates for names, as a spreadsheet writes MARCH1 and SEPT2; None where there are none.

    >>> note_on_dates(["TP53", "1-Mar", "2-Sep"])
    "2 gene(s) have dates for names ('1-Mar', '2-Sep'), as spreadsheets make of MARCH1 or SEPT2; name them anew."
    >>> note_on_dates(["MARCHF1", "SEPT2", "DEC1"])
    """
    dates = [name for name in names if _DATE.fullmatch(name)]
    if not dates:
        return None
    made = "as spreadsheets make of MARCH1 or SEPT2; name them anew"
    return f"{len(dates)} gene(s) have dates for names ({some(dates)}), {made}."


def _largest(values: npt.NDArray[np.float32], how: str) -> int:
    """Which column has the highest mean or variance; one without values comes last."""
    present = ~np.isnan(values)
    n_present = np.maximum(present.sum(axis=0), 1)
    known = np.where(present, values, 0).astype(np.float64)
    score = known.sum(axis=0) / n_present
    if how == "max-variance":
        score = (np.where(present, known - score, 0) ** 2).sum(axis=0) / n_present
    return int(np.where(present.any(axis=0), score, -np.inf).argmax())


def _combined(values: npt.NDArray[np.float32], how: str) -> npt.NDArray[np.float64]:
    present = ~np.isnan(values)
    total = np.where(present, values, 0).sum(axis=1, dtype=np.float64)
    n_present = present.sum(axis=1)
    if how == "mean":
        total /= np.maximum(n_present, 1)
    return np.where(n_present > 0, total, np.nan)


def check_missing(X: npt.NDArray[np.floating], gene_names: Sequence[str], max_missing: float) -> str | None:
    """Refuse genes with too many missing values; say what will become of the others.

    Parameters
    ----------
    X
        `(n_samples, n_genes)`.
    gene_names
        Name of each column.
    max_missing
        Largest share of samples in which a gene's value may be missing, 0 to 1.

    Returns
    -------
    A sentence, or None if nothing is missing.

    Raises
    ------
    ValueError
        A gene misses more; the worst are named.
    """
    return check_missing_shares(np.isnan(X).mean(axis=0), gene_names, max_missing)


def check_missing_shares(share: npt.NDArray[np.floating], gene_names: Sequence[str], max_missing: float) -> str | None:
    """`check_missing` for shares of missing values that are known, ``(n_genes,)``."""
    if not 0 <= max_missing <= 1:
        raise ValueError(f"max_missing is a share between 0 and 1, found {max_missing}")
    if not share.any():
        return None
    worst = np.argsort(-share, kind="stable")
    listed = ", ".join(f"{gene_names[i]} {share[i]:.1%}" for i in worst[:3])
    n_over = int((share > max_missing).sum())
    if n_over:
        raise ValueError(
            f"{n_over} of {len(share):,} genes miss more than {max_missing:.0%} of their values (worst: {listed}); "
            f"remove these genes or allow it with max_missing={np.ceil(share.max() * 100) / 100:.2f} (--max-missing)"
        )
    return (
        f"{int((share > 0).sum()):,} of {len(share):,} genes have missing values, {float(share.mean()):.2%} of all "
        f"(worst: {listed}); they are filled with the mean of the training samples."
    )
