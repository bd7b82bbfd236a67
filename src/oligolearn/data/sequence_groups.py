"""Which sequences must stay on one side of a split: copies, those of one chromosome, those that resemble each other.

The numbers are groups for `oligolearn.data.split_rows`, for scikit-learn's ``GroupKFold``, and for the estimators.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from oligolearn.data.alphabets import PADDING, PROTEIN
from oligolearn.data.sequences import Sequences
from oligolearn.machine import available_processors

TOOLS = ("auto", "mmseqs", "kmers")
WORD_LENGTHS = {"dna": 11, "rna": 11, "protein": 5}
_LARGEST_SKETCH = 2000  # words: those of a whole gene; of longer sequences a sample that is the same for all
_ROWS_AT_ONCE = 1000
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # multiplicative hashing (Knuth, volume 3, 6.4)


def leak_free_groups(
    sequences: Sequences, *, column: str | None = None, identity: float | None = None, tool: str = "auto"
) -> tuple[NDArray[np.int64], list[str]]:
    """Number the groups of sequences that a split must not part.

    Parameters
    ----------
    sequences
        What is to be split.
    column
        Of `obs`, such as ``chromosome`` or a patient: rows of one value stay together.
    identity
        Smallest share of equal letters at which two sequences stay together, see `cluster_sequences`; None for exact
        copies alone, which always do (of DNA, also where one is the reverse complement of the other).
    tool
        As in `cluster_sequences`.

    Returns
    -------
    groups, notes
        ``(n_sequences,)``; rows that are linked in any of these ways, over others too, have one number. What was
        found, in sentences.

    Raises
    ------
    ValueError
        If there is no such column, or the identity or the tool is none.
    """
    sequences = without_gaps(sequences)
    links = [copies(sequences)]
    n_copies = len(sequences) - len(np.unique(links[0]))
    notes = [f"{n_copies:,} of {len(sequences):,} sequences are copies of others; they stay together."] * (n_copies > 0)
    if column is not None:
        values = sequences.label(column)
        codes = pd.factorize(values)[0].astype(np.int64)
        codes[codes < 0] = codes.max() + 1 + np.arange((codes < 0).sum())
        links.append(codes)
        notes.append(f"{values.nunique():,} values of {column!r} stay together.")
    if identity is not None:
        links.append(cluster_sequences(sequences, identity=identity, tool=tool))
        n_clusters, largest = len(np.unique(links[-1])), int(np.bincount(links[-1]).max())
        by = "MMseqs2" if _program(tool) else "the words that they share"
        notes.append(
            f"Clusters at {identity:.0%} identity, by {by}, stay together: {n_clusters:,}, the largest of {largest:,} "
            "sequences."
        )
        if largest > len(sequences) / 2:
            notes.append(
                "More than half of the sequences form one cluster: no split can keep it on one side and be even."
            )
    return joined_groups(links), notes


def copies(sequences: Sequences) -> NDArray[np.int64]:
    """Number the different sequences, ``(n_sequences,)``; a strand of DNA and its reverse complement are one."""
    complement = sequences.alphabet.complement if sequences.alphabet.name == "dna" else None
    seen: dict[bytes, int] = {}
    numbers = np.empty(len(sequences), np.int64)
    for row in range(len(sequences)):
        codes = sequences.of(row)
        text = codes.tobytes()
        if complement is not None:
            text = min(text, complement[codes[::-1]].tobytes())
        numbers[row] = seen.setdefault(text, len(seen))
    return numbers


def cluster_sequences(sequences: Sequences, *, identity: float = 0.8, tool: str = "auto") -> NDArray[np.int64]:
    """Number clusters of sequences that resemble each other, ``(n_sequences,)``.

    Two sequences that are clearly more alike than `identity` are in one cluster, and so are those linked over others,
    at the price of clusters in which the farthest are less alike. Words say of a pair near `identity` only on average
    how alike it is: of 101 letters of DNA with errors at random and an identity of .8, 60 % of the pairs that are
    alike to .8 are parted, 17 % of those to .85, 1 % of those to .9. Ask for somewhat less than what has to stay
    together.

    Parameters
    ----------
    sequences
        Of DNA, both strands are compared.
    identity
        Share of equal letters, above 0 and up to 1.
    tool
        ``"mmseqs"`` for MMseqs2 (Steinegger and Söding 2017), which must be on the path; ``"kmers"`` for the words that
        two sequences share: of the shorter one, a share `identity` to the power of the length of a word, 11 letters
        (5 of protein), as errors at random would leave. ``"auto"`` takes MMseqs2 where it is installed.

    Raises
    ------
    ValueError
        If the identity is out of range, or the tool unknown, absent, or failing.
    """
    if not 0 < identity <= 1:
        raise ValueError(f"identity must lie above 0 and up to 1, found {identity}")
    if tool not in TOOLS:
        raise ValueError(f"unknown tool {tool!r}; choose one of {', '.join(TOOLS)}")
    program = _program(tool)
    if tool == "mmseqs" and program is None:
        raise ValueError("tool 'mmseqs' was asked for but no `mmseqs` is on the path; install MMseqs2 or take 'kmers'")
    sequences = without_gaps(sequences)
    return _by_words(sequences, identity) if program is None else _by_mmseqs(sequences, identity, program)


def _program(tool: str) -> str | None:
    """Path of MMseqs2, where that is what clusters."""
    return None if tool == "kmers" else shutil.which("mmseqs")


def without_gaps(sequences: Sequences) -> Sequences:
    """The letters of an alignment alone; of a row that is nothing but gaps, these."""
    if not sequences.alphabet.has_gap:
        return sequences
    letter = sequences.codes != sequences.alphabet.symbols.index("-")
    before = np.concatenate([[0], np.cumsum(letter)])
    empty = np.diff(before[sequences.offsets]) == 0
    letter |= np.repeat(empty, sequences.lengths)
    before = np.concatenate([[0], np.cumsum(letter)])
    return replace(sequences, codes=sequences.codes[letter], offsets=before[sequences.offsets], aligned=False)


def joined_groups(links: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Number the rows that are in one group of any of several groupings."""
    n_rows = len(links[0])
    starts = np.cumsum([n_rows, *(int(link.max()) + 1 for link in links)])
    rows = np.tile(np.arange(n_rows), len(links))
    corners = np.concatenate([start + link for start, link in zip(starts, links, strict=False)])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, corners)), shape=(starts[-1], starts[-1]))
    return _numbered(connected_components(graph, directed=False)[1][:n_rows])


def _numbered(groups: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number groups in the order in which they first occur."""
    return pd.factorize(groups)[0].astype(np.int64)


def _by_words(sequences: Sequences, identity: float) -> NDArray[np.int64]:
    k = WORD_LENGTHS[sequences.alphabet.name]
    sketches = [_sketch(sequences, row, k) for row in range(len(sequences))]
    rows = np.repeat(np.arange(len(sketches)), [len(sketch.hashes) for sketch in sketches])
    numbers, of_word = np.unique(np.concatenate([sketch.hashes for sketch in sketches]), return_inverse=True)
    held = csr_array((np.ones(len(rows), np.float32), (rows, of_word)), shape=(len(sketches), len(numbers)))
    sizes = np.array([sketch.n_words for sketch in sketches], np.float64)
    kept = np.array([sketch.share for sketch in sketches])
    groups = np.arange(len(sketches))
    for pairs in _similar_pairs(held, sizes, kept, identity**k):  # of many alike there are too many to be kept
        graph = coo_array((np.ones(pairs.shape[1], np.int8), tuple(groups[pairs])), shape=(len(groups), len(groups)))
        groups = connected_components(graph, directed=False)[1][groups]
    return _numbered(groups)


def _similar_pairs(
    held: "csr_array", sizes: NDArray[np.float64], kept: NDArray[np.float64], share: float
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows that share enough words, ``(2, n_pairs)``, a block of rows at a time."""
    turned = held.T.tocsr()
    for start in range(0, held.shape[0], _ROWS_AT_ONCE):
        common = (held[start : start + _ROWS_AT_ONCE] @ turned).tocoo()
        first, second = common.row + start, common.col
        # Of the words that both have, the sketches share those below the smaller of their bounds.
        wanted = share * np.minimum(sizes[first], sizes[second]) * np.minimum(kept[first], kept[second])
        enough = common.data >= np.maximum(1, wanted - 1e-6)
        yield np.stack([first[enough], second[enough]]).astype(np.int64)


class _Sketch(NamedTuple):
    hashes: NDArray[np.uint64]  # of words, those below a bound
    n_words: int  # different words there are
    share: float  # of all hashes that lie below the bound


def _sketch(sequences: Sequences, row: int, k: int) -> _Sketch:
    """Hashes of the different words of a sequence, or of those whose hash is small where there are too many.

    A word of DNA stands for its reverse complement too. Words with an ambiguous letter are left out; a sequence that
    is shorter than a word, or has no other, is one word.
    """
    alphabet = sequences.alphabet
    codes = sequences.of(row)
    hashes = _word_hashes(codes, k, len(alphabet.letters))
    if alphabet.name == "dna" and alphabet.complement is not None:
        hashes = np.minimum(hashes, _word_hashes(alphabet.complement[codes[::-1]], k, len(alphabet.letters))[::-1])
    hashes = np.unique(hashes[hashes > 0])
    if not len(hashes):
        return _Sketch(np.frombuffer(hashlib.blake2b(codes.tobytes(), digest_size=8).digest(), np.uint64), 1, 1.0)
    share = min(1.0, _LARGEST_SKETCH / len(hashes))
    few = hashes if share == 1 else hashes[hashes < np.uint64(int(share * 2**64))]
    return _Sketch(few if len(few) else hashes[:1], len(hashes), share)


def _word_hashes(codes: NDArray[np.uint8], k: int, n_letters: int) -> NDArray[np.uint64]:
    """Hash of each word of `k` letters, 0 where one of them is ambiguous."""
    if len(codes) < k:
        return np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(codes, k)
    powers = np.array([n_letters**i for i in range(k)], np.int64)
    numbers = (windows.astype(np.int64) - 1) @ powers + 1
    plain = ((windows > PADDING) & (windows <= n_letters)).all(axis=1)
    return np.where(plain, np.maximum(_mixed(numbers.astype(np.uint64)), np.uint64(1)), np.uint64(0))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread numbers over 64 bits, a different place for each."""
    with np.errstate(over="ignore"):
        spread = numbers * _MIXER
        return (spread ^ (spread >> np.uint64(29))) * _MIXER


def _by_mmseqs(sequences: Sequences, identity: float, program: str) -> NDArray[np.int64]:
    """Clusters of MMseqs2 by single linkage (its ``--cluster-mode 1``)."""
    kind = "1" if sequences.alphabet.name == PROTEIN.name else "2"
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "sequences.fasta"
        lines = (f">{row}\n{text.replace('-', '')}\n" for row, text in enumerate(sequences.texts()))
        fasta.write_text("".join(lines).replace("U", "T" if kind == "2" else "U"))
        settings = ["--min-seq-id", str(identity), "-c", "0.8", "--cov-mode", "1", "--cluster-mode", "1"]
        settings += ["--dbtype", kind, "-v", "1", "--threads", str(available_processors())]
        command = [program, "easy-linclust", fasta.name, "found", "scratch", *settings]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        table = Path(folder) / "found_cluster.tsv"
        if ended.returncode or not table.is_file():
            said = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or ["nothing"]
            raise ValueError(f"mmseqs ended with code {ended.returncode} and said {said[0][:200]!r}; take tool='kmers'")
        found = np.loadtxt(table, dtype=np.int64, ndmin=2)
    groups = np.arange(len(sequences))
    groups[found[:, 1]] = found[:, 0]
    return _numbered(groups)
