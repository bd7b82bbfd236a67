"""Samples that are not independent: the same sample twice, nearly the same, or several of one patient."""

import hashlib
import re
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

PATIENT = re.compile(
    r"(patient|donor|subject|individual|participant|person|case|animal|mouse|cell[ _.]?line|family)s?"
    r"([ _.-]?(id|name|no|code|number))?",
    re.IGNORECASE,
)
COMPARED_GENES = 2000  # enough to find candidates; these are then compared on all genes
FEWEST_GENES = 20  # with fewer, different samples correlate by chance
ROWS_AT_ONCE = 512


class SimilarPair(NamedTuple):
    """Two samples (row numbers) and the correlation of their standardised genes."""

    first: int
    second: int
    correlation: float


class SharedPatients(NamedTuple):
    """How many samples of a column share a value: rows of one patient.

    Attributes
    ----------
    column
        Name of the column.
    n_patients
        Distinct values.
    n_shared
        Those with more than one sample.
    n_rows
        Samples of these.
    """

    column: str
    n_patients: int
    n_shared: int
    n_rows: int


def exact_duplicates(X: npt.NDArray[np.floating]) -> list[list[int]]:
    """Group the rows that are equal, value for value (NaN equals NaN).

    Examples
    --------
    >>> exact_duplicates(np.array([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0]]))
    [[0, 2]]
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, row in enumerate(X):
        plain = np.where(np.isnan(row), np.nan, row + 0.0)  # one bit pattern for NaN, one for zero
        groups[hashlib.blake2b(plain.tobytes(), digest_size=16).digest()].append(i)
    return [rows for rows in groups.values() if len(rows) > 1]


def near_duplicates(X: npt.NDArray[np.floating], *, threshold: float = 0.999, limit: int = 10_000) -> list[SimilarPair]:
    """Find pairs of samples whose standardised genes correlate above a threshold.

    Genes are standardised first, since on raw values any two samples of a tissue correlate highly. Memory grows with
    the number of samples, not with its square.

    Parameters
    ----------
    X
        `(n_samples, n_genes)` on a log scale; NaN counts as the gene's mean.
    threshold
        Smallest correlation reported.
    limit
        Most pairs reported.

    Returns
    -------
    Pairs, the most similar first; none if there are fewer than 20 genes that vary.
    """
    mean, spread = _moments(X)
    varying = np.flatnonzero(spread > 1e-6 * np.maximum(1.0, np.abs(mean)))
    if len(varying) < FEWEST_GENES:
        return []
    chosen = varying[np.unique(np.linspace(0, len(varying) - 1, COMPARED_GENES).astype(int))]
    sampled = len(chosen) < len(varying)
    Z = _unit_rows(X, chosen, mean, spread)
    # A sample of the genes gives the correlation with an error far below this margin.
    candidates = _pairs_above(Z, threshold - 0.009 if sampled else threshold, limit)
    if sampled:
        rows = np.array([pair[:2] for pair in candidates]).reshape(-1, 2)
        exact = _correlations(X, rows, varying, mean, spread)
        candidates = [SimilarPair(p.first, p.second, float(r)) for p, r in zip(candidates, exact, strict=True)]
    found = [pair for pair in candidates if pair.correlation > threshold]
    return sorted(found, key=lambda pair: -pair.correlation)


def _moments(X: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and standard deviation of each gene without its missing values, 0 where there are none."""
    n, total, squares = (np.zeros(X.shape[1]) for _ in range(3))
    for start in range(0, len(X), ROWS_AT_ONCE):
        block = X[start : start + ROWS_AT_ONCE].astype(np.float64)
        n += (~np.isnan(block)).sum(axis=0)
        block = np.nan_to_num(block)
        total += block.sum(axis=0)
        squares += np.square(block).sum(axis=0)
    mean = total / np.maximum(n, 1)
    return mean, np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))


def shared_patients(obs: pd.DataFrame) -> list[SharedPatients]:
    """Find columns that look like a patient's id and have several rows of one patient.

    Such a column is called patient, donor, subject, ..., or consists of text with many values of few rows each.
    """
    found = []
    for name, column in obs.items():
        counts = column.value_counts()
        counts = counts[counts > 0]
        shared = counts[counts > 1]
        if len(shared) and len(counts) > 1 and (PATIENT.fullmatch(str(name)) or _like_ids(column, counts)):
            found.append(SharedPatients(str(name), len(counts), len(shared), int(shared.sum())))
    return found


def _like_ids(column: "pd.Series[str]", counts: "pd.Series[int]") -> bool:
    is_text = not pd.api.types.is_numeric_dtype(column)
    return bool(is_text and len(counts) >= max(20, 0.2 * counts.sum()) and counts.max() <= 20)


def _unit_rows(
    X: npt.NDArray[np.floating],
    genes: npt.NDArray[np.intp],
    mean: npt.NDArray[np.float64],
    spread: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """Standardise genes, then centre each sample and scale it to length 1: dot products are correlations."""
    Z = np.empty((len(X), len(genes)), np.float32)
    for start in range(0, len(X), ROWS_AT_ONCE):
        block = (X[start : start + ROWS_AT_ONCE][:, genes] - mean[genes]) / spread[genes]
        block = np.nan_to_num(block)
        block -= block.mean(axis=1, keepdims=True)
        length = np.linalg.norm(block, axis=1, keepdims=True)
        Z[start : start + ROWS_AT_ONCE] = block / np.where(length > 0, length, 1)
    return Z


def _pairs_above(Z: npt.NDArray[np.float32], threshold: float, limit: int) -> list[SimilarPair]:
    pairs: list[SimilarPair] = []
    for start in range(0, len(Z), ROWS_AT_ONCE):
        similarity = Z[start : start + ROWS_AT_ONCE] @ Z[start:].T
        for i, j in np.argwhere(similarity > threshold):
            if j > i:
                pairs.append(SimilarPair(start + int(i), start + int(j), float(similarity[i, j])))
                if len(pairs) == limit:
                    return pairs
    return pairs


def _correlations(
    X: npt.NDArray[np.floating],
    pairs: npt.NDArray[np.intp],
    genes: npt.NDArray[np.intp],
    mean: npt.NDArray[np.float64],
    spread: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    result = np.empty(len(pairs))
    for start in range(0, len(pairs), ROWS_AT_ONCE):
        some = pairs[start : start + ROWS_AT_ONCE]
        left, right = (_unit_rows(X[some[:, side]], genes, mean, spread) for side in (0, 1))
        result[start : start + ROWS_AT_ONCE] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
    return result
