"""Motifs matched to those of a database with the statistics of TOMTOM."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from oligolearn.explain.meme import read_meme
from oligolearn.explain.motif import Motif
from oligolearn.training import threads

FEW_TARGETS = 25  # fewer say too little of what a column by chance looks like


class Match(NamedTuple):
    """The motif of a database that is most like a motif.

    Attributes
    ----------
    target
        Of the database.
    p
        Of an alignment as good as their best, at any offset and on either strand (Gupta 2007).
    q
        After Benjamini and Hochberg's method over the targets that the motif was compared with, as TOMTOM has it.
    offset
        Place of the target, on the strand that was compared, at which the motif begins; below 0 where it begins before.
    overlap
        Places that stand side by side.
    strand
        ``"+"``, or ``"-"`` where the motif is like the other strand of the target.
    """

    target: Motif
    p: float
    q: float
    offset: int
    overlap: int
    strand: str


class Similarities(NamedTuple):
    """Every motif with every target of a database, each array ``(n_motifs, n_targets)``.

    Attributes
    ----------
    p, q, offsets, overlaps
        As in `Match`.
    reverse
        Whether the motif is like the other strand of the target.
    """

    p: NDArray[np.float64]
    q: NDArray[np.float64]
    offsets: NDArray[np.int64]
    overlaps: NDArray[np.int64]
    reverse: NDArray[np.bool_]


def match_motifs(motifs: Sequence[Motif], database: Sequence[Motif]) -> list[Match | None]:
    """Find the most similar motif of a database for each motif, with TOMTOM's statistics by memelite.

    Ends that say less than .25 bits are trimmed first. p is that of the complete score of Gupta 2007
    (doi:10.1186/gb-2007-8-2-r24); of fewer than 25 targets it depends on which they are.

    Parameters
    ----------
    motifs
        At least one; one that says nothing (all places under .25 bits) is not compared.
    database
        Of the same alphabet. On both strands where that is DNA.

    Returns
    -------
    list of Match or None
        One for each motif, None where it was not compared.

    Raises
    ------
    ValueError
        If the alphabets differ.
    ModuleNotFoundError
        If memelite is not installed.
    """
    letters = motifs[0].letters
    if letters != database[0].letters:
        raise ValueError(
            f"the motifs are over {letters}, those of the database over {database[0].letters}; give a database of the "
            "same alphabet"
        )
    matches: list[Match | None] = [None] * len(motifs)
    compared = [i for i, motif in enumerate(motifs) if motif.says_something]
    if not compared:
        return matches
    alike = similarities([motifs[i] for i in compared], database)
    for row, i in enumerate(compared):
        best = int(alike.p[row].argmin())
        matches[i] = Match(
            database[best],
            float(alike.p[row, best]),
            float(alike.q[row, best]),
            int(alike.offsets[row, best]),
            int(alike.overlaps[row, best]),
            "-" if alike.reverse[row, best] else "+",
        )
    return matches


def read_database(path: str | os.PathLike[str], letters: str) -> list[Motif]:
    """Read a database of motifs over `letters`, and see that it can be compared with, before any work is done.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_meme` does, or if it is over other letters.
    ModuleNotFoundError
        If memelite is not installed.
    """
    _tomtom()
    database = read_meme(path)
    if database[0].letters != letters:
        raise ValueError(
            f"{Path(path).name} holds motifs over {database[0].letters}, the model reads {letters}; give a database of "
            "the same alphabet"
        )
    return database


def _tomtom() -> Callable[..., NDArray[np.float64]]:
    try:
        from memelite import tomtom
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "matching motifs needs memelite, which is not installed: pip install 'oligolearn[motifs]'"
        ) from None
    return tomtom  # type: ignore[no-any-return]


def similarities(motifs: Sequence[Motif], database: Sequence[Motif]) -> Similarities:
    """Compare every motif, trimmed, with every target, by memelite; see `match_motifs`."""
    tomtom = _tomtom()
    letters = motifs[0].letters
    bins = 100 if len(letters) == 4 else None  # memelite's hash of columns has no room for 20 letters
    # numba, in which memelite is written, leaves torch with a thread for each core
    with threads(torch.get_num_threads()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="tomtom was given")  # who calls says so, see `FEW_TARGETS`
        p, _, offsets, overlaps, strands = tomtom(
            [np.ascontiguousarray(motif.trimmed().probabilities.T) for motif in motifs],
            [np.ascontiguousarray(motif.probabilities.T) for motif in database],
            reverse_complement=letters == "ACGT",
            n_target_bins=bins,
            n_jobs=1,
        )
    q = false_discovery_control(p.clip(0, 1), axis=1, method="bh")  # of each motif, as TOMTOM has it
    return Similarities(p, q, offsets.astype(np.int64), overlaps.astype(np.int64), strands > 0)
