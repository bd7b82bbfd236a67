"""Whether genes vary together in the target as in the source: if not at all, names may not mean the same genes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MOST_GENES = 500
FEWEST_ROWS = 20
_N_SHUFFLES = 50
_NO_RELATION, _STRUCTURE = 3.0, 10.0  # in standard deviations of what shuffled genes agree by


class Agreement(NamedTuple):
    """How alike two sides' correlations between genes are, as correlations over pairs of genes.

    Attributes
    ----------
    between
        Of source and target.
    source, target
        Of two halves of each by itself, what can be reached at best.
    noise
        Standard deviation of `between` where the genes of the target are shuffled.
    """

    between: float
    source: float
    target: float
    noise: float

    @property
    def hopeless(self) -> bool:
        """Whether both sides have a structure of their own, and not a trace of it is shared."""
        clear = _STRUCTURE * self.noise
        return self.source > clear and self.target > clear and self.between < _NO_RELATION * self.noise


def co_variation(source: NDArray[np.floating], target: NDArray[np.floating], *, seed: int = 0) -> Agreement | None:
    """Compare the correlations between genes in two domains (integrative correlation, Parmigiani 2004).

    Parameters
    ----------
    source, target
        ``(n_source, n_genes)`` and ``(n_target, n_genes)`` in any units, NaN where missing; compared are
        the 500 genes that vary most in the source, of those that vary on both sides.
    seed
        Of halves and shuffles.

    Returns
    -------
    Agreement or None
        None where a side has fewer than 20 rows, or fewer than 20 genes vary on both sides.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> genes = rng.normal(size=(3, 60))
    >>> source, target = (rng.normal(size=(40, 3)) @ genes + rng.normal(size=(40, 60)) for _ in range(2))
    >>> co_variation(source, target).hopeless, co_variation(source, target[:, rng.permutation(60)]).hopeless
    (False, True)
    """
    rng = np.random.default_rng(seed)
    sides = [_filled(rows) for rows in (source, target)]
    spread = [rows.std(axis=0) for rows in sides]
    usable = np.flatnonzero((spread[0] > 0) & (spread[1] > 0))
    if min(map(len, sides)) < FEWEST_ROWS or len(usable) < FEWEST_ROWS:
        return None
    chosen = np.sort(usable[np.argsort(-spread[0][usable], kind="stable")[:_MOST_GENES]])
    one, other = (rows[:, chosen] for rows in sides)
    here, there = _correlations(one), _correlations(other)
    shuffled = []
    for _ in range(_N_SHUFFLES):
        order = rng.permutation(len(chosen))
        shuffled.append(_alike(here, there[np.ix_(order, order)]))
    halves = []
    for rows in (one, other):
        order = rng.permutation(len(rows))
        halves.append(_alike(*(_correlations(rows[part]) for part in np.array_split(order, 2))))
    return Agreement(_alike(here, there), halves[0], halves[1], float(np.std(shuffled)))


def _filled(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows with the mean of its gene in place of a missing value."""
    missing = np.isnan(rows)
    known = np.where(missing, 0.0, rows).astype(np.float64)
    means = known.sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    return np.where(missing, means, known)


def _correlations(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(length > 0, length, 1.0)
    correlations: NDArray[np.float64] = unit.T @ unit
    return correlations


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation of what stands above the diagonals."""
    above = np.triu_indices(len(one), 1)
    a, b = one[above] - one[above].mean(), other[above] - other[above].mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
