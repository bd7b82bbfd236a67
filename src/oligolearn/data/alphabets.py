"""Alphabets of DNA, RNA and protein: what each letter stands for, and which alphabet a text is written in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

PADDING = 0  # the code of a place where there is no letter
GAPS = "-."
STOP = "*"
_UNKNOWN = 255
_COUNTED_AT_ONCE = 2**20
_NUCLEOTIDE_SHARE = 0.95  # proteins have 3 in 10 of these letters, so little more than an error lies between
_AMBIGUOUS = {
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
_AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True, eq=False)
class Alphabet:
    """Letters, the ambiguous ones among them, and their codes.

    Code 0 is padding, codes from 1 on are `letters`, then the ambiguous letters. Lower case means the same.

    Attributes
    ----------
    name
        ``"dna"``, ``"rna"`` or ``"protein"``.
    letters
        Those that one-hot encoding has a channel for, in order; the gap ``-`` is the last where there is one.
    ambiguous
        Letter to the letters that it may be, each as likely.
    synonyms
        Letter to the one that it is read as.
    complements
        Letter to the one on the other strand; None for protein.

    Examples
    --------
    >>> DNA.shares[DNA.encode(b"aN-")[:2]]
    array([[1.  , 0.  , 0.  , 0.  ],
           [0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    name: str
    letters: str
    ambiguous: Mapping[str, str]
    synonyms: Mapping[str, str]
    complements: Mapping[str, str] | None = None

    @property
    def has_gap(self) -> bool:
        """Whether a gap is a letter."""
        return "-" in self.letters

    @cached_property
    def symbols(self) -> str:
        """Letter of each code; code 0, padding, reads as a space."""
        return " " + self.letters + "".join(self.ambiguous)

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """What each code is in one-hot encoding, ``(n_codes, n_letters)``: padding is nothing, N a quarter of each."""
        shares = np.zeros((len(self.symbols), len(self.letters)), np.float32)
        for code, symbol in enumerate(self.symbols):
            meant = [self.letters.index(letter) for letter in self.ambiguous.get(symbol, symbol.strip())]
            shares[code, meant] = 1 / max(1, len(meant))
        return shares

    @cached_property
    def complement(self) -> NDArray[np.uint8] | None:
        """Code on the other strand of each code, ``(n_codes,)``; None for protein."""
        if self.complements is None:
            return None
        other = {symbol: self.complements.get(symbol, symbol) for symbol in self.symbols}
        for symbol, meant in self.ambiguous.items():
            turned = {self.complements[letter] for letter in meant}
            other[symbol] = next(name for name, letters in self.ambiguous.items() if set(letters) == turned)
        return np.array([self.symbols.index(other[symbol]) for symbol in self.symbols], np.uint8)

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        """Code of each byte, 255 for what is no letter."""
        codes = np.full(256, _UNKNOWN, np.uint8)
        same = {letter: letter for letter in self.symbols.strip()} | dict(self.synonyms)
        if self.has_gap:
            same |= dict.fromkeys(GAPS, "-")
        for letter, read_as in same.items():
            codes[[ord(letter), ord(letter.lower())]] = self.symbols.index(read_as)
        return codes

    def encode(self, letters: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Code of each letter, ``(n,)``, 255 where it is none of the alphabet."""
        read = np.frombuffer(letters, np.uint8) if isinstance(letters, bytes) else letters
        return self._codes[read]

    def decode(self, codes: NDArray[np.uint8]) -> str:
        """Text of codes; padding is left out."""
        symbols = np.frombuffer(self.symbols.encode(), np.uint8)
        text: bytes = symbols[codes[codes != PADDING]].tobytes()
        return text.decode()

    def with_gap(self) -> "Alphabet":
        """Give the alphabet of an alignment, in which a gap is one more letter."""
        return self if self.has_gap else replace(self, letters=self.letters + "-")


DNA = Alphabet("dna", "ACGT", _AMBIGUOUS, {"U": "T", "X": "N"}, dict(zip("ACGT", "TGCA", strict=True)))
RNA = Alphabet(
    "rna",
    "ACGU",
    {letter: meant.replace("T", "U") for letter, meant in _AMBIGUOUS.items()},
    {"T": "U", "X": "N"},
    dict(zip("ACGU", "UGCA", strict=True)),
)
# Selenocysteine and pyrrolysine are too rare to have channels of their own: as unknown as X.
PROTEIN = Alphabet("protein", _AMINO_ACIDS, {"X": _AMINO_ACIDS, "B": "DN", "Z": "EQ", "J": "IL"}, {"U": "X", "O": "X"})
ALPHABETS = {alphabet.name: alphabet for alphabet in (DNA, RNA, PROTEIN)}


def find_alphabet(name: str) -> Alphabet:
    """Look an alphabet up by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name.lower() not in ALPHABETS:
        raise ValueError(f"unknown alphabet {name!r}; choose auto, {', '.join(ALPHABETS)}")
    return ALPHABETS[name.lower()]


def count_letters(letters: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each byte occurs, ``(256,)``; counted in pieces, as `numpy.bincount` makes 8 bytes of each."""
    counts = np.zeros(256, np.int64)
    for start in range(0, len(letters), _COUNTED_AT_ONCE):
        counts += np.bincount(letters[start : start + _COUNTED_AT_ONCE], minlength=256)
    return counts


def detect_alphabet(counts: NDArray[np.integer]) -> tuple[Alphabet, str]:
    """Tell DNA, RNA and protein apart.

    Parameters
    ----------
    counts
        How often each byte occurs, ``(256,)``.

    Returns
    -------
    alphabet, why
        Nucleotides if 95 % of the letters are A, C, G, T, U or N, or half of them and the others ambiguous nucleotides;
        RNA if there is U and no T.

    Examples
    --------
    >>> alphabet, why = detect_alphabet(count_letters(np.frombuffer(b"acguN", np.uint8)))
    >>> alphabet.name, why
    ('rna', '100% of the letters are A, C, G, U or N')
    """
    folded = {chr(byte).upper(): 0 for byte in range(33, 127) if chr(byte) not in GAPS + STOP}
    for byte in range(33, 127):
        if chr(byte).upper() in folded:
            folded[chr(byte).upper()] += int(counts[byte])
    total = max(1, sum(folded.values()))
    share = sum(folded[letter] for letter in "ACGTUN") / total
    all_nucleotides = all(letter in "ACGTU" or letter in _AMBIGUOUS for letter, n in folded.items() if n)
    if share < (0.5 if all_nucleotides else _NUCLEOTIDE_SHARE):
        return PROTEIN, f"only {share:.0%} of the letters are A, C, G, T, U or N"
    alphabet = RNA if folded["U"] and not folded["T"] else DNA
    found = f"{int(share * 1000) / 10:g}% of the letters are A, C, G, {'U' if alphabet is RNA else 'T'} or N"
    if alphabet is DNA and folded["U"]:
        found += f"; {folded['U']:,} U are read as T"
    return alphabet, found
