"""Whether two motifs stand at a distance of their own, and whether the class depends on it."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from oligolearn.explain.motif import Motif, Sites, said_at, strongest

FEWEST_PAIRS = 20
NEIGHBOURS = 3  # distances side by side that count as one: motifs are cut a letter more or less
_DRAWS = 999
_LIKE = 0.1  # lengths of a stratum differ by this much at most


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
        second is from, among sequences of like length (to a tenth).
    p, q
        Share of shufflings with as many sequences at any distance, and the same after Benjamini and Hochberg's method
        over the pairs of motifs.
    p_class, q_class
        Fisher's exact test of whether that distance is commoner in one class than in the others (the smallest over the
        classes, times their number), and the same after Benjamini and Hochberg's method over the pairs; NaN where no
        class is known.
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
    q_class: float
    toward: int
    distances: NDArray[np.int64]


def spacings(
    found: Sequence[tuple[Motif, Sites]],
    rng: np.random.Generator,
    classes: NDArray[np.floating] | None = None,
    lengths: NDArray[np.integer] | None = None,
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
    lengths
        Of the sequences; None where they are alike.

    Returns
    -------
    list of Spacing
        The smallest p first.
    """
    placed = [_placed(motif, sites) for motif, sites in found]
    result = []
    for a, b in combinations(range(len(found)), 2):
        one = _spacing(placed[a], placed[b], rng, _Known(classes, lengths))
        if one is not None:
            result.append(one._replace(first=found[a][0].name, second=found[b][0].name))
    if not result:
        return []
    q = false_discovery_control([one.p for one in result], method="bh")
    of_class = np.array([one.p_class for one in result])
    tested = ~np.isnan(of_class)
    if tested.any():
        of_class[tested] = false_discovery_control(of_class[tested], method="bh")
    order = np.argsort([one.p for one in result], kind="stable")
    return [result[i]._replace(q=float(q[i]), q_class=float(of_class[i])) for i in order]


class _Known(NamedTuple):
    """What is known of the sequences: classes and lengths."""

    classes: NDArray[np.floating] | None
    lengths: NDArray[np.integer] | None


class _Placed(NamedTuple):
    """The strongest site of each sequence, without what the motif has to say nothing at."""

    sites: Sites
    width: int


def _placed(motif: Motif, sites: Sites) -> _Placed:
    return _Placed(*said_at(motif, strongest(sites)))


def _spacing(a: _Placed, b: _Placed, rng: np.random.Generator, known: _Known) -> Spacing | None:
    rows, in_a, in_b = np.intersect1d(a.sites.rows, b.sites.rows, return_indices=True)
    if len(rows) < FEWEST_PAIRS:
        return None
    first, second = a.sites.take(in_a), b.sites.take(in_b)
    apart, distances = _distances(first, second, (a.width, b.width), np.arange(len(rows)))
    if apart.sum() < max(FEWEST_PAIRS, len(rows) / 2):
        return None
    distance, middle, n_there = _commonest(distances[apart])
    drawn, strata = [], _like_lengths(None if known.lengths is None else known.lengths[rows], len(rows))
    for _ in range(_DRAWS):
        kept, other = _distances(first, second, (a.width, b.width), _shuffled_within(strata, rng))
        drawn.append(_commonest(other[kept])[2] if kept.any() else 0)
    p = (1 + sum(one >= n_there for one in drawn)) / (1 + _DRAWS)
    there = np.abs(distances[apart] - middle) <= NEIGHBOURS // 2
    p_class, toward = _class_test(there, None if known.classes is None else known.classes[rows[apart]])
    mean = float(np.mean(drawn))
    n = int(apart.sum())
    return Spacing("", "", n, distance, n_there, mean, p, p, p_class, p_class, toward, distances[apart])


def _like_lengths(lengths: NDArray[np.integer] | None, n: int) -> NDArray[np.int64]:
    """Number of the stratum of each of `n` sequences: a site can be anywhere in its own, so short ones have it near."""
    if lengths is None:
        return np.zeros(n, np.int64)
    strata: NDArray[np.int64] = np.floor(np.log(lengths / lengths.min()) / np.log(1 + _LIKE)).astype(np.int64)
    return strata


def _shuffled_within(strata: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw an order of all that leaves each in its stratum."""
    order = np.empty(len(strata), np.intp)
    order[np.argsort(strata, kind="stable")] = np.lexsort((rng.random(len(strata)), strata))
    return order


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
