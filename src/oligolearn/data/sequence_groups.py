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
from oligolearn.data.sequence_stretches import chance_that_letters_are_equal, linked_by_stretches
from oligolearn.data.sequences import PaddingRule, Sequences
from oligolearn.machine import available_processors

TOOLS = ("auto", "mmseqs", "kmers")
WORD_LENGTHS = {"dna": 11, "rna": 11, "protein": 5}
_BY_CHANCE = 0.01  # pairs that share enough words in a row by chance, among all
_ENOUGH_WORDS = 30  # that a pair just alike enough shares on average: with fewer, letters are compared
_MOST_MISSED = 0.5  # of pairs just alike enough, above which it is better to say that words cannot tell
_LARGEST_SKETCH = 2000  # words: those of a whole gene; of longer sequences a sample that is the same for all
_ROWS_AT_ONCE = 1000
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # multiplicative hashing (Knuth, volume 3, 6.4)


def leak_free_groups(
    sequences: Sequences,
    *,
    column: str | None = None,
    identity: float | None = None,
    tool: str = "auto",
    read: PaddingRule | None = None,
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
    read
        How a model cuts what is too long for it: sequences are copies, too, where the letters that it reads are.

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
    cut = sequences if read is None else sequences.cut(read)
    links = [copies(without_gaps(cut))]  # what is alike in all letters is alike in those that are read
    n_copies = len(sequences) - len(np.unique(links[0]))
    alike = "copies of others" if cut is sequences else "like others in the letters that are read"
    notes = [f"{n_copies:,} of {len(sequences):,} sequences are {alike}; they stay together."] * (n_copies > 0)
    sequences = without_gaps(sequences)
    if column is not None:
        values = sequences.label(column)
        codes = pd.factorize(values)[0].astype(np.int64)
        codes[codes < 0] = codes.max() + 1 + np.arange((codes < 0).sum())
        links.append(codes)
        notes.append(f"{values.nunique():,} values of {column!r} stay together.")
    if identity is not None:
        clusters, missed = _clusters(sequences, identity, tool)
        links.append(clusters)
        n_clusters, largest = len(np.unique(clusters)), int(np.bincount(clusters).max())
        by = "MMseqs2" if _program(tool) else "the words and stretches that they share"
        notes.append(
            f"Clusters at {identity:.0%} identity, by {by}, stay together: {n_clusters:,}, the largest of {largest:,} "
            "sequences."
        )
        if missed >= 0.005:
            notes.append(
                f"Of pairs of short sequences that are alike to just {identity:.0%}, some {missed:.0%} have no word in "
                "common and may be parted; a lower --identity or MMseqs2 parts fewer."
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

    Copies are in one cluster, and so are those that are linked over others, at the price of clusters in which the
    farthest are less alike than `identity`.

    Parameters
    ----------
    sequences
        Of DNA, both strands are compared.
    identity
        Share of equal letters, above 0 and up to 1.
    tool
        ``"mmseqs"`` for MMseqs2 (Steinegger and Söding 2017), which must be on the path; ``"kmers"`` for what follows;
        ``"auto"`` takes MMseqs2 where it is installed.

    Notes
    -----
    ``"kmers"`` links two sequences by either of two rules. By the words that they share: of the shorter one, beyond
    what is shared by chance, the other has a share `identity` to the power of the length of a word, 11 letters (5 of
    protein), as errors at random would leave. That tolerates gaps and says well how alike long sequences are. Where a
    pair just alike enough would share fewer than 30 words, letters are compared, without gaps: see
    `oligolearn.data.sequence_stretches.linked_by_stretches`.

    Raises
    ------
    ValueError
        If the identity is out of range, or so low that words find less than half of the pairs; if the tool is unknown,
        absent, or failing.
    """
    return _clusters(sequences, identity, tool)[0]


def _clusters(sequences: Sequences, identity: float, tool: str) -> tuple[NDArray[np.int64], float]:
    """Clusters, and the share of the pairs just alike enough that is missed, as far as that is known."""
    if not 0 < identity <= 1:
        raise ValueError(f"identity must lie above 0 and up to 1, found {identity}")
    if tool not in TOOLS:
        raise ValueError(f"unknown tool {tool!r}; choose one of {', '.join(TOOLS)}")
    program = _program(tool)
    if tool == "mmseqs" and program is None:
        raise ValueError("tool 'mmseqs' was asked for but no `mmseqs` is on the path; install MMseqs2 or take 'kmers'")
    sequences = without_gaps(sequences)
    if program is not None:
        return _by_mmseqs(sequences, identity, program), 0.0
    return _by_words(sequences, identity)


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


def _by_words(sequences: Sequences, identity: float) -> tuple[NDArray[np.int64], float]:
    """Number the clusters, and say which share of the pairs that are just alike enough is missed."""
    k = WORD_LENGTHS[sequences.alphabet.name]
    links, missed = [copies(sequences), _by_shared_words(sequences, identity, k)], 0.0
    short = (sequences.lengths - k + 1) * identity**k < _ENOUGH_WORDS
    if short.any():
        groups, missed = linked_by_stretches(sequences, short, identity)
        links.append(groups)
    if missed > _MOST_MISSED:
        raise ValueError(
            f"words cannot tell which of these {len(sequences):,} sequences are alike to {identity:g}: {missed:.0%} of "
            "the pairs would be missed. Ask for a higher identity, or install MMseqs2."
        )
    return joined_groups(links), missed


def _by_shared_words(sequences: Sequences, identity: float, k: int) -> NDArray[np.int64]:
    sketches = [_sketch(sequences, row, k) for row in range(len(sequences))]
    rows = np.repeat(np.arange(len(sketches)), [len(sketch.hashes) for sketch in sketches])
    numbers, of_word = np.unique(np.concatenate([sketch.hashes for sketch in sketches]), return_inverse=True)
    held = csr_array((np.ones(len(rows), np.float32), (rows, of_word)), shape=(len(sketches), len(numbers)))
    sizes = np.array([sketch.n_words for sketch in sketches], np.float64)
    kept = np.array([sketch.share for sketch in sketches])
    groups = np.arange(len(sketches))
    for pairs in _similar_pairs(held, sizes, kept, identity**k, _chance(sequences, k)):  # too many to be kept at once
        graph = coo_array((np.ones(pairs.shape[1], np.int8), tuple(groups[pairs])), shape=(len(groups), len(groups)))
        groups = connected_components(graph, directed=False)[1][groups]
    return _numbered(groups)


class _Chance(NamedTuple):
    word: float  # that a word of one sequence is at a place of another, unrelated one
    fewest: int  # words in a row that no two of all unrelated sequences share


def _chance(sequences: Sequences, k: int) -> _Chance:
    """What unrelated sequences share, by the shares of their letters, on either strand of DNA."""
    alphabet = sequences.alphabet
    equal = chance_that_letters_are_equal(sequences.codes, len(alphabet.letters))
    strands = 2 if alphabet.name == "dna" else 1
    longest_run = np.log(max(1.0, strands * float(len(sequences.codes)) ** 2 / _BY_CHANCE)) / -np.log(equal)
    return _Chance(strands * equal**k, max(1, int(np.ceil(longest_run)) - k + 1))


def _similar_pairs(
    held: "csr_array", sizes: NDArray[np.float64], kept: NDArray[np.float64], share: float, chance: _Chance
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows that share enough words, ``(2, n_pairs)``, a block of rows at a time."""
    turned = held.T.tocsr()
    for start in range(0, held.shape[0], _ROWS_AT_ONCE):
        common = (held[start : start + _ROWS_AT_ONCE] @ turned).tocoo()
        first, second = common.row + start, common.col
        smaller, seen = np.minimum(sizes[first], sizes[second]), np.minimum(kept[first], kept[second])
        by_chance = smaller * np.minimum(1, chance.word * np.maximum(sizes[first], sizes[second]))
        # Of the words that both have, the sketches share those below the smaller of their bounds.
        wanted = (by_chance + share * (smaller - by_chance)) * seen
        above_chance = (by_chance * seen) + 5 * np.sqrt(by_chance * seen)
        enough = common.data >= np.maximum(np.maximum(chance.fewest * seen, wanted - 1e-6), above_chance)
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
    numbers = _word_numbers(codes, k, len(alphabet.letters))
    if alphabet.name == "dna" and alphabet.complement is not None:
        numbers = np.minimum(numbers, _word_numbers(alphabet.complement[codes[::-1]], k, len(alphabet.letters))[::-1])
    hashes = np.unique(_mixed(numbers[numbers > 0]))
    if not len(hashes):
        return _Sketch(np.frombuffer(hashlib.blake2b(codes.tobytes(), digest_size=8).digest(), np.uint64), 1, 1.0)
    share = min(1.0, _LARGEST_SKETCH / len(hashes))
    few = hashes if share == 1 else hashes[hashes < np.uint64(int(share * 2**64))]
    return _Sketch(few if len(few) else hashes[:1], len(hashes), share)


def _word_numbers(codes: NDArray[np.uint8], k: int, n_letters: int) -> NDArray[np.uint64]:
    """Number of each word of `k` letters, 0 where one of them is ambiguous."""
    if len(codes) < k:
        return np.zeros(0, np.uint64)
    n_words = len(codes) - k + 1
    numbers, plain = np.zeros(n_words, np.uint64), np.ones(n_words, bool)
    for i in reversed(range(k)):
        letters = codes[i : i + n_words]
        numbers *= np.uint64(n_letters)
        numbers += letters
        plain &= (letters > PADDING) & (letters <= n_letters)
    numbers[~plain] = 0
    return numbers


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
