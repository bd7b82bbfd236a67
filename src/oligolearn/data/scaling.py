"""Standardisation of genes with the statistics of the training rows."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

CLIP = 10.0
_BLOCK_ROWS = 256
_CELLS_AT_ONCE = 1 << 18  # in 64 bits they stay in the cache


class ExpressionScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Centre and reduce each gene, replace what is missing by the mean, clip outliers.

    All statistics come from the rows given to `fit`. A gene that is constant there (or missing throughout) says
    nothing: it becomes zero.

    Parameters
    ----------
    clip
        Largest absolute value of a standardised gene; None to leave outliers.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_genes,)
        Mean and standard deviation over the training rows, missing values left out. `scale_` is 0 for constant genes.

    Examples
    --------
    >>> ExpressionScaler().fit_transform([[1.0, 7.0], [3.0, 7.0], [np.nan, 7.0]])
    array([[-1.,  0.],
           [ 1.,  0.],
           [ 0.,  0.]], dtype=float32)
    """

    def __init__(self, clip: float | None = CLIP) -> None:
        self.clip = clip

    @property
    def inverse_scale_(self) -> NDArray[np.float64]:
        """What a centred gene is multiplied by, ``(n_genes,)``: ``1 / scale_``, and 0 for constant genes."""
        return np.divide(1.0, self.scale_, out=np.zeros_like(self.scale_), where=self.scale_ > 0)

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn mean and standard deviation of each gene from `X`, ``(n_samples, n_genes)``, NaN where missing."""
        values = validate_data(self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan")
        return self._learn(*_moments(values))

    def _learn(self, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Self:
        deviation = np.sqrt(variance)
        deviation[deviation <= 1e-6 * np.abs(mean)] = 0.0  # constant but for rounding
        self.mean_ = mean
        self.scale_ = deviation
        self.n_features_in_ = len(mean)
        return self

    @classmethod
    def from_moments(cls, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Self:
        """Scaler for which mean and variance of each gene, ``(n_genes,)``, are known."""
        return cls()._learn(mean, variance)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Standardise `X`, ``(n_samples, n_genes)``; the result is a new float32 matrix."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", reset=False)
        return self.standardise(values, np.empty(values.shape, dtype=np.float32))

    def standardise(self, values: NDArray[np.floating], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """`transform` of an array known to be good, into `out`, which may be `values` itself."""
        inverse = self.inverse_scale_
        step = max(1, _CELLS_AT_ONCE // max(1, values.shape[1]))
        for start in range(0, len(values), step):
            standardised = values[start : start + step] - self.mean_
            standardised *= inverse
            if self.clip is not None:
                np.clip(standardised, -self.clip, self.clip, out=standardised)
            if np.isnan(standardised.sum()):
                np.nan_to_num(standardised, copy=False, nan=0.0)
            out[start : start + step] = standardised
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON-able statistics, exact to the last digit."""
        check_is_fitted(self)
        return {"mean": self.mean_.tolist(), "deviation": self.scale_.tolist(), "clip": self.clip}

    @classmethod
    def from_dict(cls, statistics: Mapping[str, Any]) -> Self:
        """Rebuild a fitted scaler from what `to_dict` gave."""
        scaler = cls(statistics["clip"])
        scaler.mean_ = np.asarray(statistics["mean"], dtype=np.float64)
        scaler.scale_ = np.asarray(statistics["deviation"], dtype=np.float64)
        scaler.n_features_in_ = len(scaler.mean_)
        return scaler

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _moments(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of each gene over the rows where it is not missing; 0 where it always is."""
    n = np.zeros(values.shape[1])
    total = np.zeros(values.shape[1])
    for block in _row_blocks(values):
        n += (~np.isnan(block)).sum(axis=0)
        total += np.nansum(block, axis=0, dtype=np.float64)
    n = np.maximum(n, 1)
    mean = total / n
    squares = np.zeros(values.shape[1])
    for block in _row_blocks(values):
        squares += np.nansum(np.square(block - mean), axis=0)
    return mean, squares / n


def _row_blocks(values: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    return [values[i : i + _BLOCK_ROWS] for i in range(0, len(values), _BLOCK_ROWS)]


def top_variance_genes(X: NDArray[np.floating], n_top: int) -> NDArray[np.intp]:
    """Numbers, in order, of the `n_top` genes with the largest variance over the rows of `X`; ties by position."""
    if n_top < 2:
        raise ValueError(f"top_genes must be at least 2, found {n_top}")
    return largest_variances(_moments(X)[1], n_top)


def largest_variances(variance: NDArray[np.floating], n_top: int) -> NDArray[np.intp]:
    """`top_variance_genes` for variances that are known, ``(n_genes,)``."""
    if n_top < 2:
        raise ValueError(f"top_genes must be at least 2, found {n_top}")
    return np.sort(np.argsort(-variance, kind="stable")[:n_top])
