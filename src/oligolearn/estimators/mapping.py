"""Linear maps that give the rows of one domain the covariance of another."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, svd

RIDGE = 1.0  # of standardised genes: their variance


class DomainMap(NamedTuple):
    """``x + (x Q) M Q'`` for centred rows x: a map that acts in the space that the rows of both domains span.

    Attributes
    ----------
    basis
        Q, orthonormal columns, ``(n_genes, rank)``.
    core
        M, ``(rank, rank)``.
    """

    basis: NDArray[np.float64]
    core: NDArray[np.float64]

    def __call__(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map rows, ``(n, n_genes)``."""
        return x + ((x @ self.basis) @ self.core) @ self.basis.T

    def before(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights ``(n_classes, n_genes)`` that do to a row what `weights` do to it when it is mapped."""
        return weights + ((weights @ self.basis) @ self.core.T) @ self.basis.T


def coral_map(source: NDArray[np.floating], target: NDArray[np.floating], ridge: float = RIDGE) -> DomainMap:
    """CORAL: whiten by the covariance of the source, colour by that of the target (Sun 2016, arXiv:1511.05547).

    ``x C_s^(-1/2) C_t^(1/2)`` with ``C = covariance + ridge * identity``, as in the paper, whose ridge is 1.

    Parameters
    ----------
    source, target
        Centred rows, ``(n_source, n_genes)`` and ``(n_target, n_genes)``.
    ridge
        Added to variances.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) @ np.array([[1.0, 0.9], [0.0, 0.5]])
    >>> source, target = (x - x.mean(axis=0) for x in (source, target))
    >>> mapped = coral_map(source, target, ridge=1e-9)(source)
    >>> bool(np.allclose(np.cov(mapped.T), np.cov(target.T)))
    True
    """
    basis, (cs, ct) = _covariances(source, target, ridge)
    return DomainMap(basis, _power(cs, -0.5) @ _power(ct, 0.5) - np.eye(len(cs)))


def transport_map(source: NDArray[np.floating], target: NDArray[np.floating], ridge: float = RIDGE) -> DomainMap:
    """Optimal transport between Gaussians: the map to the covariance of the target that moves rows the least.

    ``x C_s^(-1/2) (C_s^(1/2) C_t C_s^(1/2))^(1/2) C_s^(-1/2)`` (Flamary 2019, arXiv:1905.10155, eq. 6); parameters as
    for `coral_map`.
    """
    basis, (cs, ct) = _covariances(source, target, ridge)
    root, inverse = _power(cs, 0.5), _power(cs, -0.5)
    return DomainMap(basis, inverse @ _power(root @ ct @ root, 0.5) @ inverse - np.eye(len(cs)))


MAPS = {"coral": coral_map, "optimal-transport": transport_map}


def _covariances(
    source: NDArray[np.floating], target: NDArray[np.floating], ridge: float
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Basis of the space of all rows, and covariances there; outside it both are the ridge, and maps change nothing."""
    both = np.concatenate([source, target]).astype(np.float64)
    _, size, rows = svd(both, full_matrices=False)
    basis = rows[size > 1e-10 * size[0]].T
    found = []
    for side in (source, target):
        x = side @ basis
        found.append(x.T @ x / (len(x) - 1) + ridge * np.eye(basis.shape[1]))
    return basis, found


def _power(symmetric: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    values, vectors = eigh(symmetric)
    powers: NDArray[np.float64] = (vectors * np.maximum(values, 0) ** exponent) @ vectors.T
    return powers
