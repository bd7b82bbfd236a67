"""Whether two motifs stand at a distance of their own, and whether the class depends on it."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from oligolearn.explain.motif import Motif, Sites, strongest

FEWEST_PAIRS = 20
NEIGHBOURS = 3  # distances side by side that count as one: motifs are cut a letter more or less
_DRAWS = 999


class Spacing(NamedTuple):
    """How far two motifs stand from each other.

    Attributes
    ----------
    first, second
        Names of the motifs.
    n_sequences
        That have both, apart from each other; the strongest site of each counts.
    distance
        Number of letters from where the first begins to where the second begins, read on the strand of the first, below
        0 where the second comes first: the commonest of the three neighbouring distances that most sequences have.
    n_there
        Sequences with one of these three.
    expected
        The same if sites of the two were paired at random: mean of 999 shufflings of which sequence the site of the
        second is from.
    p, q
        Share of shufflings with as many sequences at any distance, and the same after Benjamini and Hochberg's method
        over the pairs of motifs.
    p_class
        Fisher's exact test of whether that distance is commoner in one class than in the others (the smallest over the
        classes, times their number); NaN where no class is known.
    toward
        Number of the class that has it most often; -1 where no class is known.
    distances
        Of every sequence counted, ``(n_sequences,)``.
    """

    first: str
    second: str
    n_sequences: int
    distance: int
    n_there: int
    expected: float
    p: float
    q: float
    p_class: float
    toward: int
    distances: NDArray[np.int64]


def spacings(
    found: Sequence[tuple[Motif, Sites]], rng: np.random.Generator, classes: NDArray[np.floating] | None = None
) -> list[Spacing]:
    """Distances of every pair of motifs that at least 20 sequences have side by side.

    Pairs that overlap in most sequences that have both are two versions of one motif, and left out.

    Parameters
    ----------
    found
        Motifs with their sites.
    rng
        Source of the shuffles.
    classes
        Class number of each sequence, NaN where unknown.

    Returns
    -------
    list of Spacing
        The smallest p first.
    """
    placed = [_placed(motif, sites) for motif, sites in found]
    result = []
    for a, b in combinations(range(len(found)), 2):
        one = _spacing(placed[a], placed[b], rng, classes)
        if one is not None:
            result.append(one._replace(first=found[a][0].name, second=found[b][0].name))
    if not result:
        return []
    q = false_discovery_control([one.p for one in result], method="bh")
    order = np.argsort([one.p for one in result], kind="stable")
    return [result[i]._replace(q=float(q[i])) for i in order]


class _Placed(NamedTuple):
    """The strongest site of each sequence, without what the motif has to say nothing at."""

    sites: Sites
    width: int


def _placed(motif: Motif, sites: Sites) -> _Placed:
    best = strongest(sites)
    if not motif.says_something:
        return _Placed(best, len(motif.probabilities))
    said = np.flatnonzero(motif.information >= 0.25)
    width = int(said[-1] - said[0]) + 1
    cut = np.where(best.reverse, len(motif.probabilities) - 1 - said[-1], said[0])
    return _Placed(best._replace(starts=best.starts + cut), width)


def _spacing(a: _Placed, b: _Placed, rng: np.random.Generator, classes: NDArray[np.floating] | None) -> Spacing | None:
    rows, in_a, in_b = np.intersect1d(a.sites.rows, b.sites.rows, return_indices=True)
    if len(rows) < FEWEST_PAIRS:
        return None
    first, second = a.sites.take(in_a), b.sites.take(in_b)
    apart, distances = _distances(first, second, (a.width, b.width), np.arange(len(rows)))
    if apart.sum() < max(FEWEST_PAIRS, len(rows) / 2):
        return None
    distance, middle, n_there = _commonest(distances[apart])
    drawn = []
    for _ in range(_DRAWS):
        kept, other = _distances(first, second, (a.width, b.width), rng.permutation(len(rows)))
        drawn.append(_commonest(other[kept])[2] if kept.any() else 0)
    p = (1 + sum(one >= n_there for one in drawn)) / (1 + _DRAWS)
    there = np.abs(distances[apart] - middle) <= NEIGHBOURS // 2
    p_class, toward = _class_test(there, None if classes is None else classes[rows[apart]])
    mean = float(np.mean(drawn))
    return Spacing("", "", int(apart.sum()), distance, n_there, mean, p, p, p_class, toward, distances[apart])


def _distances(
    first: Sites, second: Sites, widths: tuple[int, int], pairing: NDArray[np.integer]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which sites do not overlap, and the distances of all, read on the strand of the first."""
    starts = second.starts[pairing]
    apart = (starts >= first.starts + widths[0]) | (first.starts >= starts + widths[1])
    turned = (first.starts + widths[0]) - (starts + widths[1])
    return apart, np.where(first.reverse, turned, starts - first.starts)


def _commonest(distances: NDArray[np.int64]) -> tuple[int, int, int]:
    """Of the three neighbouring distances that most have: the commonest, the middle one, and how many have them."""
    low = int(distances.min()) - 1
    each = np.bincount(distances - low, minlength=int(distances.max()) - low + 2)
    together = each[:-2] + each[1:-1] + each[2:]
    best = int(together.argmax())
    return low + best + int(each[best : best + NEIGHBOURS].argmax()), low + best + 1, int(together[best])


def _class_test(there: NDArray[np.bool_], codes: NDArray[np.floating] | None) -> tuple[float, int]:
    """p of the distance being commoner in one class, and which; over the sequences whose class is known."""
    known = np.zeros(0, dtype=bool) if codes is None else ~np.isnan(codes)
    if codes is None or len(np.unique(codes[known])) < 2:
        return np.nan, -1
    there, codes = there[known], codes[known]
    names = np.unique(codes)
    p = [
        float(hypergeom.sf(np.sum(there & (codes == name)) - 1, len(codes), int(there.sum()), np.sum(codes == name)))
        for name in names
    ]
    best = int(np.argmin(p))
    return min(1.0, len(names) * p[best]), int(names[best])
