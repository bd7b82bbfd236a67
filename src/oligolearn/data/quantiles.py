"""Quantiles of each gene in one cohort, and the values that stand for them in another."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array


class QuantileScaler:
    """Give each gene the distribution that it has elsewhere, by a table of quantiles.

    A value is replaced by the value that lies at the same quantile in the reference, linearly between those of the
    table; one that occurs often, such as 0 in counts, has the middle of the quantiles that it takes. Values outside of
    the table become the smallest or the largest of the reference; what is missing becomes 0, as do genes for which the
    table has no numbers.

    Parameters
    ----------
    quantiles
        Values of each gene at quantiles that are evenly spaced from 0 to 1, ``(n_genes, n_quantiles)``, in rising
        order; NaN for genes of which there are none.
    reference
        Standardised values that stand for them, of the same shape.

    Raises
    ------
    ValueError
        If the tables differ in shape or have fewer than two quantiles.

    Examples
    --------
    >>> scaler = QuantileScaler(np.array([[0.0, 10.0, 20.0]]), np.array([[-1.0, 0.0, 3.0]]))
    >>> scaler.transform([[5.0], [15.0], [99.0], [np.nan]]).ravel().tolist()
    [-0.5, 1.5, 3.0, 0.0]
    """

    def __init__(self, quantiles: NDArray[np.floating], reference: NDArray[np.floating]) -> None:
        if quantiles.shape != reference.shape or quantiles.ndim != 2 or quantiles.shape[1] < 2:
            raise ValueError(
                "quantiles and reference must be tables of genes by at least two quantiles, of one shape; found "
                f"{quantiles.shape} and {reference.shape}"
            )
        self.quantiles_ = np.asarray(quantiles, dtype=np.float32)
        self.reference_ = np.asarray(reference, dtype=np.float32)

    @property
    def n_features_in_(self) -> int:
        """Number of genes."""
        return len(self.quantiles_)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Map `X`, ``(n_samples, n_genes)``, NaN where missing; the result is a new float32 matrix."""
        values: NDArray[Any] = check_array(X, dtype=np.float32, ensure_all_finite="allow-nan")
        if values.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {values.shape[1]} genes, but the table has {self.n_features_in_}")
        places = np.linspace(0.0, 1.0, self.quantiles_.shape[1])
        out = np.zeros(values.shape, dtype=np.float32)
        for gene in np.flatnonzero(np.isfinite(self.quantiles_).all(axis=1) & np.isfinite(self.reference_).all(axis=1)):
            x, table = values[:, gene], self.quantiles_[gene]
            above, below = np.interp(x, table, places), np.interp(-x, -table[::-1], places)
            out[:, gene] = np.interp((above + 1 - below) / 2, places, self.reference_[gene])
        return np.nan_to_num(out, copy=False, nan=0.0)
