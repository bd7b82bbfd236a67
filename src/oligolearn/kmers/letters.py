"""Codes of k-mers and their letters."""

import numpy as np
from numpy.typing import NDArray

LONGEST = 31  # a code has 64 bits
_LETTERS = np.frombuffer(b"ACGT", np.uint8)
_CODE_OF = np.full(256, 4, np.uint8)
_CODE_OF[_LETTERS] = _CODE_OF[_LETTERS + 32] = range(4)  # 32 apart: capitals and small letters
# Neighbours that change places: letters in pairs, then pairs in bytes; bytes follow.
_SWAPPED = [
    (np.uint64(0x3333333333333333), np.uint64(2)),
    (np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(4)),
]


def check_k(k: int) -> int:
    """Return `k` if k-mers of that length can be counted.

    Raises
    ------
    ValueError
        It is below 1 or above 31.
    """
    if not 1 <= k <= LONGEST:
        raise ValueError(f"k is the length of a k-mer, 1 to {LONGEST}: found {k}")
    return k


def n_canonical(k: int) -> int:
    """How many k-mers come first in the alphabet among themselves and their reverse complement.

    Only where k is even can a k-mer be its own reverse complement.

    >>> n_canonical(2), n_canonical(3)
    (10, 32)
    """
    own: int = 4 ** (k // 2) if k % 2 == 0 else 0
    total: int = 4**k
    return (total + own) // 2


def kmers(codes: NDArray[np.uint64], k: int) -> NDArray[np.str_]:
    """Letters of codes, ``(n,)`` strings of length `k`.

    >>> kmers(np.array([0, 27], np.uint64), 4).tolist()
    ['AAAA', 'ACGT']
    """
    shifts = np.arange(2 * k - 2, -1, -2, dtype=np.uint64)
    places = (np.asarray(codes, np.uint64)[:, None] >> shifts) & np.uint64(3)
    return _LETTERS[places.astype(np.uint8)].view(f"S{k}")[:, 0].astype(f"U{k}")


def codes_of(kmers: NDArray[np.str_] | list[str], k: int) -> NDArray[np.uint64]:
    """Codes of k-mers, ``(n,)``; the inverse of `kmers`, lower case allowed.

    >>> codes_of(["AAAA", "acgt"], 4).tolist()
    [0, 27]

    Raises
    ------
    ValueError
        One of them is not of `k` letters A, C, G, T.
    """
    words = list(kmers)
    letters = np.array(words, f"S{k + 1}").view(np.uint8).reshape(len(words), k + 1)  # one more shows longer words
    found = _CODE_OF[letters]
    wrong = np.flatnonzero((found[:, :k] > 3).any(axis=1) | (letters[:, k] > 0))
    if len(wrong):
        raise ValueError(f"expected k-mers of {k} letters A, C, G, T, found {words[wrong[0]]!r}")
    codes = np.zeros(len(words), np.uint64)
    for place in range(k):
        codes = (codes << np.uint64(2)) | found[:, place]
    return codes


def reverse_complements(codes: NDArray[np.uint64], k: int) -> NDArray[np.uint64]:
    """Codes of the reverse complements.

    >>> kmers(reverse_complements(codes_of(["AACG"], 4), 4), 4).tolist()
    ['CGTT']
    """
    words = ~np.asarray(codes, np.uint64)
    for mask, shift in _SWAPPED:
        words = ((words & mask) << shift) | ((words >> shift) & mask)
    turned: NDArray[np.uint64] = words.byteswap() >> np.uint64(64 - 2 * k)
    return turned
