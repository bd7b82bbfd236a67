"""k-mers of encoded sequences of any alphabet, as a sparse table; needs no compiler, unlike what counts genomes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Sequences

_LETTERS_AT_ONCE = 1 << 21


def count_words(sequences: Sequences, k: int, known: NDArray[np.bool_] | None = None) -> Any:
    """Count the words of k letters of each sequence.

    Windows with a letter that may be several (N, of protein X) are skipped. Memory: 8 bytes for each different word of
    a sequence, twice that for a moment.

    Parameters
    ----------
    sequences
        Of any alphabet; a gap is a letter where the alphabet has it.
    k
        Letters of a word. There must be fewer than 2 ** 31 words, n_letters ** k.
    known
        Which of them are columns, ``(n_letters ** k,)``; None for all.

    Returns
    -------
    csr_matrix
        ``(n_sequences, n_columns)`` of 32-bit floats, words in the order of the alphabet's letters.

    Examples
    --------
    >>> from oligolearn.data import encode_sequences
    >>> count_words(encode_sequences(["ACACN", "T"]), 2).toarray()[:, [1, 4]].tolist()  # AC, CA
    [[2.0, 1.0], [0.0, 0.0]]
    """
    from scipy.sparse import csr_matrix, vstack

    n_words = len(sequences.alphabet.letters) ** k
    parts = []
    for words, bounds in _windows(sequences, k):
        ones = np.ones(len(words), np.float32)
        part = csr_matrix((ones, words, bounds), (len(bounds) - 1, n_words))
        part.sum_duplicates()
        parts.append(part if known is None else part[:, known])
    return vstack(parts, format="csr") if len(parts) > 1 else parts[0]


def occurring_words(sequences: Sequences, k: int) -> NDArray[np.bool_]:
    """Which words of k letters stand in any of the sequences, ``(n_letters ** k,)``."""
    found = np.zeros(len(sequences.alphabet.letters) ** k, dtype=bool)
    for words, _ in _windows(sequences, k):
        found[words] = True
    return found


def _windows(sequences: Sequences, k: int) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """For some sequences at a time: the words of all their windows, and where those of each begin and the last end."""
    offsets, n_letters = sequences.offsets, len(sequences.alphabet.letters)
    first = 0
    while first < len(sequences):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _LETTERS_AT_ONCE, "right")) - 1)
        starts = offsets[first : last + 1] - offsets[first]
        letters = np.asarray(sequences.codes[offsets[first] : offsets[last]]).astype(np.int32) - 1
        n_windows = max(0, len(letters) - k + 1)
        words, whole = np.zeros(n_windows, np.int32), np.ones(n_windows, dtype=bool)
        for place in range(k):
            part = letters[place : place + n_windows]
            words = words * n_letters + part
            whole &= part < n_letters
        for back in range(1, k):  # windows that end in the next sequence
            at = starts[1:] - back
            whole[at[(at >= 0) & (at < n_windows)]] = False
        before = np.concatenate([[0], np.cumsum(whole)])
        yield words[whole], before[starts.clip(max=n_windows)]
        first = last
