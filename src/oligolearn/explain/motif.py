"""A motif: how often each letter stands at each place."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import Alphabet

PSEUDOCOUNT = 4.0  # at each place, shared among the letters: 1 for each nucleotide, as Basset has it
FEWEST_SITES = 10
_UNINFORMATIVE = 0.25  # bits of a place that says nothing


class Motif(NamedTuple):
    """Probabilities of letters along a motif.

    Attributes
    ----------
    name
        Its own.
    letters
        Of the columns, such as ``"ACGT"``.
    probabilities
        ``(width, n_letters)``, rows summing to 1.
    n_sites
        Sites that it was counted from.
    other_name
        A second name, as databases have for the factor; empty where there is none.

    Examples
    --------
    >>> box = motif_of("box", "ACGT", np.array([[0, 40, 0, 0], [40, 0, 0, 0], [10, 10, 10, 10]]))
    >>> box.consensus, box.n_sites, box.trimmed().consensus
    ('CAn', 40, 'CA')
    >>> [round(float(bits), 2) for bits in box.information]
    [1.53, 1.53, 0.0]
    """

    name: str
    letters: str
    probabilities: NDArray[np.float64]
    n_sites: int
    other_name: str = ""

    @property
    def information(self) -> NDArray[np.float64]:
        """Bits of each place over letters that are all as likely, ``(width,)``."""
        p = self.probabilities
        bits: NDArray[np.float64] = np.log2(p.shape[1]) + (p * np.log2(np.where(p > 0, p, 1))).sum(axis=1)
        return bits

    @property
    def consensus(self) -> str:
        """The likeliest letters: capital from 1 bit on, ``n`` (of protein ``x``) where a place says next to nothing."""
        unknown = "n" if len(self.letters) < 10 else "x"
        best = [self.letters[i] for i in self.probabilities.argmax(axis=1)]
        return "".join(
            unknown if bits < _UNINFORMATIVE else letter if bits >= 1 else letter.lower()
            for letter, bits in zip(best, self.information, strict=True)
        )

    def trimmed(self) -> "Motif":
        """Without the places at both ends that say less than .25 bits; the whole where all do."""
        said = np.flatnonzero(self.information >= _UNINFORMATIVE)
        return self if not len(said) else self._replace(probabilities=self.probabilities[said[0] : said[-1] + 1])

    @property
    def says_something(self) -> bool:
        """Whether any place says at least .25 bits."""
        return bool((self.information >= _UNINFORMATIVE).any())

    def other_strand(self, alphabet: Alphabet) -> "Motif":
        """Give the motif as the other strand has it."""
        return self._replace(probabilities=self.probabilities[::-1, complement_of_letters(alphabet)])


def motif_of(name: str, letters: str, counts: NDArray[np.floating] | NDArray[np.integer]) -> Motif:
    """Motif of counts ``(width, n_letters)``, with a pseudocount of 4 at each place, shared among the letters."""
    counted = counts + PSEUDOCOUNT / counts.shape[1]
    n_sites = round(float(counts.sum(axis=1).max()))
    return Motif(name, letters, counted / counted.sum(axis=1, keepdims=True), n_sites)


def complement_of_letters(alphabet: Alphabet) -> NDArray[np.intp]:
    """Number of each letter's complement among the letters, ``(n_letters,)``.

    Raises
    ------
    ValueError
        If the alphabet has one strand.
    """
    if alphabet.complement is None:
        raise ValueError(f"{alphabet.name} has one strand")
    return alphabet.complement[1 : len(alphabet.letters) + 1].astype(np.intp) - 1


class Sites(NamedTuple):
    """Where a motif stands.

    Attributes
    ----------
    rows
        Number of the sequence, ``(n,)``.
    starts
        Leftmost letter, counted from the first that the model reads, ``(n,)``; below 0 where the site begins before.
    reverse
        Whether it stands on the other strand, ``(n,)``.
    strengths
        How strongly it was found, ``(n,)``.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    reverse: NDArray[np.bool_]
    strengths: NDArray[np.float64]

    def take(self, chosen: NDArray[Any]) -> "Sites":
        """Some of the sites, by number or mask."""
        return Sites(self.rows[chosen], self.starts[chosen], self.reverse[chosen], self.strengths[chosen])


def joined_sites(parts: Sequence[Sites]) -> Sites:
    """Sites of several parts as one, by sequence and place."""
    if not parts:
        return Sites(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0))
    rows, starts, reverse, strengths = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Sites(rows, starts, reverse, strengths).take(np.lexsort((starts, rows)))


def said_at(motif: Motif, sites: Sites) -> tuple[Sites, int]:
    """Sites from where the motif says something, and for how many letters it does: as it is trimmed."""
    width = len(motif.probabilities)
    said = np.flatnonzero(motif.information >= _UNINFORMATIVE)
    if not len(said):
        return sites, width
    cut = np.where(sites.reverse, width - 1 - said[-1], said[0])
    return sites._replace(starts=sites.starts + cut), int(said[-1] - said[0]) + 1


def strongest(sites: Sites) -> Sites:
    """The strongest site of each sequence; of equals the leftmost."""
    order = np.lexsort((sites.starts, -sites.strengths, sites.rows))
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.diff(sites.rows[order]) > 0
    return sites.take(order[first])
