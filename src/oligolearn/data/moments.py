"""Mean, variance and range of each gene over rows that come block by block."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Moments:
    """Statistics of each gene, missing values left out, in 64 bits.

    Means and sums of squares of blocks are combined as Chan, Golub & LeVeque (1983, The American Statistician 37:242)
    do: no large sums are subtracted from each other.

    Parameters
    ----------
    n_genes
        Columns of every block.

    Attributes
    ----------
    n_rows
        Rows so far.
    n_present, mean, smallest, largest
        ``(n_genes,)``; NaN where a gene has no value yet, the mean then 0.

    Examples
    --------
    >>> moments = Moments(2)
    >>> moments.add(np.array([[1.0, 5.0]]))
    >>> moments.add(np.array([[3.0, np.nan], [5.0, 7.0]]))
    >>> moments.mean, moments.variance
    (array([3., 6.]), array([2.66666667, 1.        ]))
    """

    def __init__(self, n_genes: int) -> None:
        self.n_rows = 0
        self.n_present = np.zeros(n_genes)
        self.mean = np.zeros(n_genes)
        self.smallest = np.full(n_genes, np.nan)
        self.largest = np.full(n_genes, np.nan)
        self._squares = np.zeros(n_genes)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in some rows, ``(n, n_genes)``."""
        np.fmin(self.smallest, np.fmin.reduce(block, axis=0), out=self.smallest)
        np.fmax(self.largest, np.fmax.reduce(block, axis=0), out=self.largest)
        n_present = np.full(block.shape[1], float(len(block)))
        values = block.astype(np.float64)
        missing = np.isnan(values) if np.isnan(values.sum()) else None
        if missing is not None:
            values[missing] = 0.0
            n_present -= missing.sum(axis=0)
        mean = values.sum(axis=0) / np.maximum(n_present, 1)
        values -= mean
        if missing is not None:
            values[missing] = 0.0
        total = np.maximum(self.n_present + n_present, 1)
        shift = mean - self.mean
        self._squares += np.einsum("ij,ij->j", values, values) + shift**2 * (self.n_present * n_present / total)
        self.mean += shift * (n_present / total)
        self.n_present += n_present
        self.n_rows += len(block)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Of each gene, ``(n_genes,)``; 0 where it has no value."""
        return self._squares / np.maximum(self.n_present, 1)

    @property
    def share_missing(self) -> NDArray[np.float64]:
        """Share of the rows where a gene has no value, ``(n_genes,)``."""
        return (self.n_rows - self.n_present) / max(1, self.n_rows)

    def fingerprint(self, genes: Sequence[str]) -> str:
        """Sixteen digits that change when a value, a gene or the number of rows does."""
        found = hashlib.sha256("\n".join([str(self.n_rows), *genes]).encode())
        for statistic in (self.n_present, self.mean, self._squares, self.smallest, self.largest):
            found.update(statistic.tobytes())
        return found.hexdigest()[:16]
