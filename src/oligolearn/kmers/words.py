"""What the columns of a table of k-mers count."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers.letters import check_k, codes_of, kmers, reverse_complements

MOST_DENSE = 4**8  # columns of a dense table
_LONGEST_GAPPED = 21  # three bits a letter
_SYMBOLS = "-ACGT"


@dataclass(frozen=True)
class Words:
    """What the columns of a table count: k-mers, or gapped k-mers such as ``A--CG``.

    A word is a 64-bit key; keys sort as words do, a gap before A. A k-mer takes two bits a letter, a gapped one three.

    Attributes
    ----------
    k
        Length of the windows, 1 to 31.
    canonical
        Whether a word and its reverse complement are the one that sorts first.
    mismatches
        A window counts for each k-mer that differs from it in at most so many letters (Leslie et al., 2004).
    informative
        A window counts for each choice of so many of its letters, the others being gaps (Ghandi et al., 2014, who call
        the window's length l and this number k). None for no gaps.

    Raises
    ------
    ValueError
        The settings do not fit together.
    """

    k: int
    canonical: bool = False
    mismatches: int = 0
    informative: int | None = None

    def __post_init__(self) -> None:
        check_k(self.k)
        if not 0 <= self.mismatches < self.k:
            raise ValueError(f"mismatches must be 0 or more and below k={self.k}, found {self.mismatches}")
        if self.informative is not None:
            if not 1 <= self.informative <= self.k:
                raise ValueError(f"informative letters must be 1 to k={self.k}, found {self.informative}")
            if self.k > _LONGEST_GAPPED:
                raise ValueError(f"gapped k-mers have at most {_LONGEST_GAPPED} letters and gaps, found k={self.k}")
            if self.mismatches:
                raise ValueError("choose mismatches or gaps: with gaps, what is not informative may differ already")

    @property
    def gapped(self) -> bool:
        """Whether words have gaps."""
        return self.informative is not None and self.informative < self.k

    @property
    def as_they_stand(self) -> bool:
        """Whether each window is one word."""
        return not self.gapped and not self.mismatches

    @property
    def n_words(self) -> int:
        """How many words there are, both strands counted."""
        n_letters = self.informative or self.k
        of_letters: int = 4**n_letters
        return comb(self.k, n_letters) * of_letters

    def all_keys(self) -> NDArray[np.uint64]:
        """Keys of all words, ascending; there must be few."""
        codes = np.arange(4 ** (self.informative or self.k), dtype=np.uint64)
        if not self.gapped:
            return np.unique(np.minimum(codes, reverse_complements(codes, self.k))) if self.canonical else codes
        found = []
        for places in self._informative_places:
            key, other = np.zeros_like(codes), np.zeros_like(codes)
            for number, place in enumerate(places):
                letters = (codes >> np.uint64(2 * number) & np.uint64(3)) + np.uint64(1)
                key |= letters << np.uint64(3 * place)
                other |= (np.uint64(5) - letters) << np.uint64(3 * (self.k - 1 - place))
            found.append(np.minimum(key, other) if self.canonical else key)
        return np.unique(np.concatenate(found))

    def of_windows(self, codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Keys of the words that windows count for, ``(n_windows, n)``, from their codes."""
        change = np.bitwise_and if self.gapped else np.bitwise_xor
        here, there = self.strands(codes)
        words: NDArray[np.uint64] = change(here[:, None], self.masks)
        return np.minimum(words, change(there[:, None], self.turned_masks)) if self.canonical else words

    def strands(self, codes: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Windows as keys, and their reverse complements, or the windows again if words are not canonical."""
        both = (codes, reverse_complements(codes, self.k) if self.canonical else codes)
        return (self._spread(both[0]), self._spread(both[1])) if self.gapped else both

    @cached_property
    def masks(self) -> NDArray[np.uint64]:
        """For each word of a window, the bits of its key to keep if words have gaps, else those to flip."""
        if self.gapped:
            masks = [sum(7 << (3 * place) for place in places) for places in self._informative_places]
        else:
            masks = [
                sum(change << (2 * place) for change, place in zip(changes, places, strict=True))
                for m in range(self.mismatches + 1)
                for places in combinations(range(self.k), m)
                for changes in product((1, 2, 3), repeat=m)
            ]
        return np.array(masks, np.uint64)

    @cached_property
    def turned_masks(self) -> NDArray[np.uint64]:
        """What does to the reverse complement of a window what `masks` do to the window; these, if not canonical."""
        if not self.canonical:
            return self.masks
        width, symbol = (np.uint64(3), np.uint64(7)) if self.gapped else (np.uint64(2), np.uint64(3))
        rest, turned = self.masks.copy(), np.zeros_like(self.masks)
        for _ in range(self.k):
            turned = (turned << width) | (rest & symbol)
            rest >>= width
        return turned

    def names(self, keys: NDArray[np.uint64]) -> NDArray[np.str_]:
        """Words as text, ``(n,)``."""
        if not self.gapped:
            return kmers(keys, self.k)
        symbols = keys[:, None] >> np.arange(3 * self.k - 3, -1, -3, dtype=np.uint64) & np.uint64(7)
        text = np.frombuffer(_SYMBOLS.encode(), np.uint8)[symbols.astype(np.intp)]
        return text.view(f"S{self.k}")[:, 0].astype(f"U{self.k}")

    def keys(self, names: Iterable[str]) -> NDArray[np.uint64]:
        """Keys of words.

        Raises
        ------
        ValueError
            One of them is no such word.
        """
        names = [str(name).upper() for name in names]
        if not self.gapped:
            keys = codes_of(names, self.k)
        else:
            for name in names:
                if len(name) != self.k or set(name) - set(_SYMBOLS) or self.k - name.count("-") != self.informative:
                    wanted = f"{self.informative} letters A, C, G, T among {self.k}, the others '-'"
                    raise ValueError(f"expected {wanted}, found {name!r}")
            digits = np.array([[_SYMBOLS.index(x) for x in name] for name in names], np.uint64).reshape(-1, self.k)
            shifts = np.arange(3 * self.k - 3, -1, -3, dtype=np.uint64)
            keys = (digits << shifts).sum(axis=1, dtype=np.uint64)
        if self.canonical:
            self._refuse_other_strand(names)
        return keys

    @property
    def _informative_places(self) -> list[tuple[int, ...]]:
        """Choices of informative letters, counted from the last one of a window."""
        return list(combinations(range(self.k), self.informative or 0))

    def _refuse_other_strand(self, names: list[str]) -> None:
        complement = str.maketrans("ACGT", "TGCA")
        for name in names:
            other = name[::-1].translate(complement)
            if other < name:
                raise ValueError(f"{name} is not canonical: its reverse complement {other} comes first; give that")

    def _spread(self, codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Three bits a letter, 1 for A, instead of two."""
        keys = np.zeros_like(codes)
        for place in range(self.k):
            letters = codes >> np.uint64(2 * place) & np.uint64(3)
            keys |= (letters + np.uint64(1)) << np.uint64(3 * place)
        return keys
