"""Where sequences fit a motif; and which motifs are copies of each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Sequences
from oligolearn.explain.motif import Motif, Sites, joined_sites

_FITS = 0.7  # share of the largest score that a site has at least
_SMALLEST = 1e-3  # probability that a letter has at least, so that no score is without end
_COPY = 0.5  # share of sites that overlap those of another motif, from which it is a copy


def scan_motif(motif: Motif, sequences: Sequences) -> Sites:
    """Windows that fit a motif, trimmed: with at least .7 of the largest log-odds score over even letters.

    Of DNA on both strands.
    """
    alphabet = sequences.alphabet
    trimmed = motif.trimmed()
    found = [_one_strand(trimmed, sequences, reverse=False)]
    if alphabet.name == "dna" and not alphabet.has_gap:
        found.append(_one_strand(trimmed.other_strand(alphabet), sequences, reverse=True))
    return joined_sites(found)


def _one_strand(motif: Motif, sequences: Sequences, *, reverse: bool) -> Sites:
    width, n_letters = motif.probabilities.shape
    odds = np.log2(motif.probabilities.clip(_SMALLEST) * n_letters)
    by_code = sequences.alphabet.shares.astype(np.float64) @ odds.T  # of each code at each place
    codes = sequences.codes
    n_windows = len(codes) - width + 1
    if n_windows < 1:
        return joined_sites([])
    scores = np.zeros(n_windows)
    for place in range(width):
        scores += by_code[codes[place : place + n_windows], place]
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)[:n_windows]
    inside = np.arange(n_windows) + width <= sequences.offsets[row + 1]
    at = np.flatnonzero(inside & (scores >= _FITS * odds.max(axis=1).sum()))
    return Sites(row[at], at - sequences.offsets[row[at]], np.full(len(at), reverse), scores[at])


def rows_with_hits(motifs: Sequence[Motif], sequences: Sequences) -> NDArray[np.bool_]:
    """Whether each sequence fits each motif anywhere, ``(n_motifs, n_sequences)``."""
    found = np.zeros((len(motifs), len(sequences)), dtype=bool)
    for i, motif in enumerate(motifs):
        found[i, scan_motif(motif, sequences).rows] = True
    return found


def without_copies(found: Sequence[tuple[Motif, Sites]], sequences: Sequences) -> list[str]:
    """Name for each motif the first one before it with which most of its sites overlap, empty where there is none."""
    offsets, total = sequences.offsets[:-1], int(sequences.offsets[-1])
    kept: list[tuple[str, NDArray[np.bool_]]] = []
    names = []
    for motif, sites in found:
        width = len(motif.probabilities)
        middle = (offsets[sites.rows] + sites.starts + width // 2).clip(0, total - 1)
        name = next((other for other, covered in kept if len(middle) and covered[middle].mean() > _COPY), "")
        names.append(name)
        if not name:
            covered = np.zeros(total, dtype=bool)
            reach = 3 * width // 8  # the middle three quarters of each site
            at = middle[:, None] + np.arange(-reach, reach + 1)
            covered[at.clip(0, total - 1).ravel()] = True
            kept.append((motif.name, covered))
    return names
