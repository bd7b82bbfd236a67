"""Windows of letters that a model's attributions single out, and the motifs that they gather to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from oligolearn.data import Alphabet
from oligolearn.explain.attributions import Attributions
from oligolearn.explain.motif import FEWEST_SITES, Motif, Sites, complement_of_letters, motif_of

CORE, FLANK = 7, 5  # letters of a window that is looked for, and those kept on both sides of it
_QUANTILE = 0.95  # of the largest windows of shuffles, above which a window counts
MOST_SEQLETS = 1500  # seqlets that are compared with each other
_ALIKE = 0.5  # smallest mean cosine within a cluster


class NothingFoundError(ValueError):
    """No window stands out from those of shuffled sequences."""


class Seqlets(NamedTuple):
    """Windows of high attribution.

    Attributes
    ----------
    sites
        Where they are; `strengths` are the sums of scores over the middle 7 letters.
    codes
        Letters, ``(n, 17)``, 0 beyond the ends.
    scores
        Of these letters, ``(n, 17)``.
    threshold
        Absolute sum of scores above which a window counts.
    """

    sites: Sites
    codes: NDArray[np.integer]
    scores: NDArray[np.float64]
    threshold: float


def find_seqlets(found: Attributions, in_shuffles: Attributions) -> Seqlets:
    """Windows of 7 letters whose scores sum to more than chance has it, the largest first, none overlapping another.

    The threshold is the absolute sum that the largest window of a shuffled sequence exceeds in 1 of 20. Both signs
    count: what speaks against a class is a motif too.

    Parameters
    ----------
    found, in_shuffles
        Attributions on the sequences, and on dinucleotide shuffles of them.

    Raises
    ------
    ValueError
        If no window exceeds the threshold, or no sequence has 7 letters.
    """
    whole = (in_shuffles.codes > 0).sum(axis=1) >= CORE
    if not whole.any():
        raise ValueError(f"windows of {CORE} letters are looked for, and no sequence has so many")
    threshold = float(np.quantile(np.abs(_window_sums(in_shuffles)[whole]).max(axis=1), _QUANTILE))
    sums = _window_sums(found)
    left = np.abs(sums)
    rows, places = [], []
    while True:  # one window of each sequence at a time
        best = left.argmax(axis=1)
        chosen = np.flatnonzero(left[np.arange(len(left)), best] > threshold)
        if not len(chosen):
            break
        rows.append(chosen)
        places.append(best[chosen])
        near = best[chosen][:, None] + np.arange(-CORE + 1, CORE)
        inside = (near >= 0) & (near < left.shape[1])
        left[np.repeat(chosen, near.shape[1])[inside.ravel()], near[inside]] = 0
    if not rows:
        raise NothingFoundError(
            f"no window of {CORE} letters is attributed more than the {threshold:.3g} that shuffled sequences reach; "
            "the model may have learned no motif"
        )
    row, place = np.concatenate(rows), np.concatenate(places)
    at = place[:, None] + np.arange(-FLANK, CORE + FLANK) + FLANK
    padded = np.pad(found.codes, ((0, 0), (FLANK, FLANK)))
    scores = np.pad(found.scores, ((0, 0), (FLANK, FLANK)))
    sites = Sites(row.astype(np.int64), place - FLANK, np.zeros(len(row), dtype=bool), sums[row, place])
    order = np.argsort(-np.abs(sites.strengths), kind="stable")
    return Seqlets(sites.take(order), padded[row[:, None], at][order], scores[row[:, None], at][order], threshold)


def _window_sums(found: Attributions) -> NDArray[np.float64]:
    """Sum of the scores of every window, ``(n, width - 6)``; 0 where a sequence ends before."""
    width = max(found.scores.shape[1], CORE)
    scores = np.pad(found.scores, ((0, 0), (0, width - found.scores.shape[1])))
    before = np.pad(np.cumsum(scores, axis=1), ((0, 0), (1, 0)))
    ends = (found.codes > 0).sum(axis=1)
    sums: NDArray[np.float64] = before[:, CORE:] - before[:, :-CORE]
    return np.where(np.arange(sums.shape[1]) + CORE <= ends[:, None], sums, 0)


class Cluster(NamedTuple):
    """Seqlets that are alike, as a motif.

    Attributes
    ----------
    motif
        Counted over all of them, aligned.
    sites
        Where they are, on the strand of the motif.
    contribution
        Mean sum of scores of a site.
    """

    motif: Motif
    sites: Sites
    contribution: float


def cluster_seqlets(seqlets: Seqlets, alphabet: Alphabet, *, both_strands: bool = True) -> list[Cluster]:
    """Gather seqlets to motifs: aligned to each other at up to 6 letters of shift, of DNA on both strands.

    On one strand alone where the model reads one: `both_strands` is then False.

    Similarity is the largest cosine of the scores on their letters over shifts and strands; clusters have an average
    linkage of at least .5. Each seqlet is then aligned to the member that is most like all others of its cluster. Of
    more than 1,500 seqlets the strongest are compared.

    Returns
    -------
    list of Cluster
        Those of at least 10 seqlets, by the sum of what they contribute.
    """
    n = min(len(seqlets.codes), MOST_SEQLETS)
    kept = Seqlets(seqlets.sites.take(np.arange(n)), seqlets.codes[:n], seqlets.scores[:n], seqlets.threshold)
    both = both_strands and alphabet.complement is not None and alphabet.name == "dna"
    tracks = alphabet.shares[kept.codes].astype(np.float64) * kept.scores[..., None]
    alike, shift, turned = _aligned(tracks, complement_of_letters(alphabet) if both else None)
    if n == 1:
        return []
    distance = squareform(np.clip(1 - (alike + alike.T) / 2, 0, None) * (1 - np.eye(n)), checks=False)
    labels = fcluster(linkage(distance, "average"), 1 - _ALIKE, "distance")
    clusters = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) >= FEWEST_SITES:
            center = members[alike[np.ix_(members, members)].sum(axis=0).argmax()]
            clusters.append(_cluster(kept, members, (shift[members, center], turned[members, center]), alphabet))
    clusters.sort(key=lambda one: -abs(one.contribution) * len(one.sites.rows))
    return [one._replace(motif=one.motif._replace(name=f"motif{i}")) for i, one in enumerate(clusters, 1)]


def _aligned(
    tracks: NDArray[np.float64], complement: NDArray[np.intp] | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Largest cosine of each pair ``(n, n)``; how far the first is moved, and whether turned, to lie on the second."""
    n, width, _ = tracks.shape
    norm = np.sqrt((tracks**2).sum(axis=(1, 2)))
    unit = tracks / np.where(norm > 0, norm, 1)[:, None, None]
    alike = np.full((n, n), -np.inf)
    shift, turned = np.zeros((n, n), np.int64), np.zeros((n, n), dtype=bool)
    versions = [(False, unit)] + ([] if complement is None else [(True, unit[:, ::-1][:, :, complement])])
    for is_turned, one in versions:
        for move in range(-(CORE - 1), CORE):
            moved = np.zeros_like(one)
            moved[:, max(0, move) : width + min(0, move)] = one[:, max(0, -move) : width - max(0, move)]
            cosine = moved.reshape(n, -1) @ unit.reshape(n, -1).T
            better = cosine > alike + 1e-12
            alike[better], shift[better], turned[better] = cosine[better], move, is_turned
    return alike, shift, turned


def _cluster(
    seqlets: Seqlets,
    members: NDArray[np.intp],
    placed: tuple[NDArray[np.int64], NDArray[np.bool_]],
    alphabet: Alphabet,
) -> Cluster:
    """Count the letters of the members, each moved and turned onto the middle one."""
    move, turned = placed
    width = seqlets.codes.shape[1]
    counts = np.zeros((width, len(alphabet.letters)))
    for member, by, is_turned in zip(members, move, turned, strict=True):
        shares = alphabet.shares[seqlets.codes[member]].astype(np.float64)
        if is_turned:
            shares = shares[::-1, complement_of_letters(alphabet)]
        low, high = max(0, by), width + min(0, by)
        counts[low:high] += shares[low - by : high - by]
    sites = seqlets.sites.take(members)
    starts = np.where(turned, sites.starts + move, sites.starts - move)
    sums = seqlets.scores[members].sum(axis=1)
    return Cluster(
        motif_of("", alphabet.letters, counts), sites._replace(starts=starts, reverse=turned), float(sums.mean())
    )


def blanked(codes: NDArray[np.integer], sites: Sequence[Sites], width: int, unknown: int) -> NDArray[np.integer]:
    """Codes ``(n_sequences, length)`` with every letter of the sites replaced by the one that may be any."""
    changed = codes.copy()
    for one in sites:
        at = one.starts[:, None] + np.arange(width)
        inside = (at >= 0) & (at < codes.shape[1])
        row, place = np.repeat(one.rows, width)[inside.ravel()], at[inside]
        changed[row, place] = np.where(codes[row, place] > 0, unknown, 0)
    return changed
