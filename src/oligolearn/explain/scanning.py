"""Where sequences fit a motif; and which motifs are copies of each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Sequences
from oligolearn.explain.motif import Motif, Sites, joined_sites, said_at

_FITS = 0.7  # share of the largest score that a site has at least
_SMALLEST = 1e-3  # probability that a letter has at least, so that no score is without end
_COPY = 0.5  # share of sites that overlap those of another motif, from which it is a copy


def scan_motif(motif: Motif, sequences: Sequences, *, both_strands: bool = True) -> Sites:
    """Windows that fit a motif, trimmed: with at least .7 of the largest log-odds score over even letters.

    Of DNA on both strands, unless the model reads one. Sites begin where the motif does, untrimmed.
    """
    alphabet = sequences.alphabet
    trimmed = motif.trimmed()
    found = [_one_strand(trimmed, sequences, reverse=False)]
    if both_strands and alphabet.name == "dna" and not alphabet.has_gap:
        found.append(_one_strand(trimmed.other_strand(alphabet), sequences, reverse=True))
    sites = joined_sites(found)
    cut = said_at(motif, sites)[0].starts - sites.starts
    return sites._replace(starts=sites.starts - cut)


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


def rows_with_hits(motifs: Sequence[Motif], sequences: Sequences, *, both_strands: bool = True) -> NDArray[np.bool_]:
    """Whether each sequence fits each motif anywhere, ``(n_motifs, n_sequences)``."""
    found = np.zeros((len(motifs), len(sequences)), dtype=bool)
    for i, motif in enumerate(motifs):
        found[i, scan_motif(motif, sequences, both_strands=both_strands).rows] = True
    return found


def without_copies(found: Sequence[tuple[Motif, Sites]], sequences: Sequences) -> list[str]:
    """Name for each motif the first one before it with which most of its sites overlap, empty where there is none.

    Two sites overlap that have half of the letters of the shorter in common, both trimmed.
    """
    kept: list[tuple[str, NDArray[np.int64], int]] = []
    names = []
    for motif, sites in found:
        said, width = said_at(motif, sites)
        starts = np.sort(sequences.offsets[said.rows] + said.starts)
        name = next((one for one, at, wide in kept if _share_that_overlaps(starts, width, at, wide) > _COPY), "")
        names.append(name)
        if not name:
            kept.append((motif.name, starts, width))
    return names


def _share_that_overlaps(starts: NDArray[np.int64], width: int, others: NDArray[np.int64], other_width: int) -> float:
    """Share of spans that have half of the letters of the shorter in common with one of the others, sorted."""
    common = (min(width, other_width) + 1) // 2
    first = np.searchsorted(others, starts - (other_width - common), side="left")
    after = np.searchsorted(others, starts + (width - common), side="right")
    return float((after > first).mean()) if len(starts) else 0.0
