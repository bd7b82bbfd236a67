"""k-mers of many sequences, a row for each: as they stand, with mismatches, or with gaps."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers import kernels
from oligolearn.kmers.streaming import Packed, check_strings, pack_strings
from oligolearn.kmers.words import Words
from oligolearn.kmers.workers import Workers, ranges

_LETTERS_AT_ONCE = 1 << 24
_LOOKED_UP_AT_ONCE = 1 << 22  # words
_MOST_DIRECT_BITS = 24  # of keys that are looked up in a table


class Rows(NamedTuple):
    """Words of each row and how often they occur: a sparse matrix without columns yet.

    Attributes
    ----------
    rows
        ``(n,)``, the row of each entry.
    keys
        ``(n,)``, its word, as a number.
    counts
        ``(n,)``.
    """

    rows: NDArray[np.int64]
    keys: NDArray[np.uint64]
    counts: NDArray[np.int64]


def count_rows(packed: Packed, words: Words, workers: Workers) -> Rows:
    """Windows of each record as codes, equal ones together; canonical if those are the words that are asked for."""
    first = np.flatnonzero(np.diff(packed.records, prepend=-1))  # runs with which records begin
    runs = np.append(first, len(packed.records))
    before = np.concatenate([[0], np.cumsum(np.diff(packed.starts) - (words.k - 1))])  # windows before each run
    bounds, sizes = before[runs], np.empty(len(first), np.int64)
    keys, counts = np.empty(bounds[-1], np.uint64), np.empty(bounds[-1], np.int64)
    canonical = words.canonical and words.as_they_stand

    def count(records: tuple[int, int]) -> None:
        a, b = records
        mine = slice(bounds[a], bounds[b])
        kernels.list_windows(packed.bases, packed.starts[runs[a] : runs[b] + 1], words.k, canonical, keys[mine])
        kernels.count_rows(keys[mine], bounds[a : b + 1] - bounds[a], 2 * words.k, counts[mine], sizes[a:b])

    wanted = np.linspace(0, bounds[-1], 4 * workers.number + 1)
    cuts = np.unique([0, *np.searchsorted(bounds, wanted).clip(max=len(first)), len(first)]).tolist()
    for _ in workers.in_order(count, pairwise(cuts)):
        pass
    kept = np.arange(len(keys)) < np.repeat(bounds[:-1] + sizes, np.diff(bounds))
    return Rows(np.repeat(packed.records[first], sizes), keys[kept], counts[kept])


def count_sequences(sequences: Sequence[str], words: Words, workers: Workers) -> Rows:
    """Windows of each sequence, equal ones together.

    Raises
    ------
    ValueError
        A sequence is protein, or has what is no letter of DNA or RNA (U is read as T).
    """
    found, start = [], 0
    while start < len(sequences):
        stop, n_letters = start, 0
        while stop < len(sequences) and n_letters < _LETTERS_AT_ONCE:
            n_letters += len(sequences[stop])
            stop += 1
        check_strings(sequences[start:stop], start)
        _, packed = pack_strings(sequences[start:stop], words.k)
        rows = count_rows(packed, words, workers)
        found.append(rows._replace(rows=rows.rows + start))
        start = stop
    return joined(found)


def joined(parts: Sequence[Rows]) -> Rows:
    """Entries of all parts, one after the other."""
    if not parts:
        return Rows(np.empty(0, np.int64), np.empty(0, np.uint64), np.empty(0, np.int64))
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def occurring(rows: Rows, words: Words) -> NDArray[np.uint64]:
    """Words that occur without mismatch, ascending."""
    windows = np.unique(rows.keys)
    if words.as_they_stand:
        return windows
    exact = replace(words, mismatches=0)
    at_once = max(1, _LOOKED_UP_AT_ONCE // len(exact.masks))
    found = [np.unique(exact.of_windows(windows[i : i + at_once])) for i in range(0, len(windows), at_once)]
    return np.unique(np.concatenate(found)) if found else windows


def table(rows: Rows, n_rows: int, words: Words, vocabulary: NDArray[np.uint64], workers: Workers) -> Any:
    """How often each row has each word of a vocabulary, ``(n_rows, n_words)``, CSR of 32-bit floats.

    Parameters
    ----------
    rows
        Windows, the rows ascending.
    vocabulary
        Keys in the order of the columns; other words are left out.
    """
    from scipy.sparse import csr_matrix

    order = np.argsort(vocabulary)
    ascending = vocabulary[order]
    places = np.empty(0, np.int32)
    bits = (3 if words.gapped else 2) * words.k
    if bits <= _MOST_DIRECT_BITS:
        places = np.full(1 << bits, -1, np.int32)
        places[vocabulary] = np.arange(len(vocabulary))
    bounds = np.searchsorted(rows.rows, np.arange(n_rows + 1))
    most = np.minimum(np.diff(bounds) * len(words.masks), len(vocabulary))  # entries of each row

    def count(part: tuple[int, int]) -> tuple[NDArray[Any], ...]:
        a, b = part
        mine = slice(bounds[a], bounds[b])
        columns, values = np.empty(most[a:b].sum(), np.int32), np.empty(most[a:b].sum(), np.float32)
        sizes = np.empty(b - a, np.int64)
        kernels.count_words(
            *words.strands(rows.keys[mine]), rows.counts[mine], bounds[a : b + 1] - bounds[a],
            words.gapped, words.masks, words.turned_masks, ascending, order, places, columns, values, sizes,
        )  # fmt: skip
        n = sizes.sum()
        return columns[:n].copy(), values[:n].copy(), sizes

    parts = list(workers.in_order(count, ranges(most, _LOOKED_UP_AT_ONCE)))
    columns, values, sizes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    result = csr_matrix((values, columns, np.concatenate([[0], np.cumsum(sizes)])), (n_rows, len(vocabulary)))
    result.sort_indices()
    return result
