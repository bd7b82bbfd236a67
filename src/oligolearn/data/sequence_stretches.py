"""Which sequences have a stretch in common that is alike: what their words cannot say where these are few.

Two sequences are laid on each other wherever they share a word, without gaps, and their equal letters are counted.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom

from oligolearn.data.sequences import Sequences
from oligolearn.machine import memory_of_machine

_BYTES_PER_LETTER = 250  # of all sequences: measured, both strands of DNA
_CELLS = 1e10  # letters to compare, at most: some 20 s
_CELLS_AT_ONCE = 5_000_000
_PAIRS_AT_ONCE = 500_000
_FOLLOWING = 1000  # sequences of one word, in order, that each is compared with: the rest are linked over these
_FEW_MISSED = 0.02  # of the pairs just alike enough
_BY_CHANCE = 0.01  # pairs that are alike enough by chance, among all


class Stretches(NamedTuple):
    """Groups of rows that are linked, ``(n_sequences,)``, and the share of pairs just alike enough that is missed."""

    groups: NDArray[np.int64]
    missed: float


def linked_by_stretches(sequences: Sequences, short: NDArray[np.bool_], identity: float) -> Stretches:
    """Link each short sequence with those that have a stretch alike to one of its own.

    A stretch has no gaps, at least `identity` of its letters are equal, and it is as long as half of the shorter of
    the two, or longer where unrelated sequences of this number, length and composition would be as alike by chance, up
    to the whole of it; where that does not suffice, the longer one may be no longer than `identity` allows. Of DNA both
    strands are compared. Only where two share a word are they laid on each other: one so short that next to no pair
    alike throughout is without, or longer where that takes too much time.

    Parameters
    ----------
    sequences
        Without gaps.
    short
        ``(n_sequences,)``: those up to some length. Of a pair that is compared the shorter one is such.
    identity
        Share of equal letters, above 0 and up to 1.

    Raises
    ------
    ValueError
        If that takes more than half of the machine's memory.
    """
    n_bytes = _BYTES_PER_LETTER * len(sequences.codes)
    if n_bytes > memory_of_machine() / 2:
        raise ValueError(
            f"to compare {len(sequences):,} sequences letter by letter takes some {n_bytes / 2**30:.0f} GiB; install "
            "MMseqs2, which --identity then takes"
        )
    longest = int(sequences.lengths[short].max())
    strands = _lay_out(sequences, longest)
    lengths = sequences.lengths[short]
    needed, most = _needed_lengths(lengths, strands, identity)
    k = _word_length(lengths, strands, identity)
    words = _find_words(strands, k)
    groups = np.arange(len(sequences))
    for first, second in _sharing(words.codes):
        pairs = _laid(strands, words, first, second, groups)
        pairs = pairs[strands.lengths[pairs[:, 1]] <= most[strands.lengths[pairs[:, 0]]]]
        alike = _alike(strands, pairs, needed, longest, identity)
        if len(alike):
            links = groups[strands.row[alike[:, :2]].T]
            graph = coo_array((np.ones(len(alike), np.int8), tuple(links)), shape=(len(groups),) * 2)
            groups = connected_components(graph, directed=False)[1][groups]
    return Stretches(groups.astype(np.int64), _missed(lengths, k, identity))


def chance_that_letters_are_equal(codes: NDArray[np.uint8], n_letters: int) -> float:
    """That two known letters drawn from `codes` are equal, away from 0 and 1, whose logarithms are of no use."""
    counts = np.bincount(codes, minlength=n_letters + 1)[1 : n_letters + 1]
    shares = counts / max(1, int(counts.sum()))
    return float(np.clip((shares**2).sum(), 1e-3, 0.999))


class _Strands(NamedTuple):
    """Letters of all sequences and of the reverse complements of DNA, far enough from each other."""

    letters: NDArray[np.uint8]  # 0 between strands, and where a letter is ambiguous
    starts: NDArray[np.int64]  # of a strand among the letters
    lengths: NDArray[np.int64]
    row: NDArray[np.int64]  # of a strand's sequence
    reverse: NDArray[np.bool_]
    n_letters: int
    chance: float  # that two letters are equal


class _Words(NamedTuple):
    """Where words stand, in the order of their codes."""

    codes: NDArray[np.int64]
    strand: NDArray[np.int64]
    place: NDArray[np.int64]  # in the strand


def _lay_out(sequences: Sequences, longest: int) -> _Strands:
    alphabet = sequences.alphabet
    texts = [sequences.of(row) for row in range(len(sequences))]
    if alphabet.name == "dna" and alphabet.complement is not None:
        texts += [alphabet.complement[codes[::-1]] for codes in texts]
    lengths = np.array([len(codes) for codes in texts], np.int64)
    gap = 2 * longest + 2  # so that a strand laid on another never reaches a third
    starts = gap + np.concatenate([[0], np.cumsum(lengths[:-1] + gap)]).astype(np.int64)
    letters = np.zeros(int(starts[-1] + lengths[-1]) + 2 * gap, np.uint8)
    for start, codes in zip(starts, texts, strict=True):
        letters[start : start + len(codes)] = np.where(codes <= len(alphabet.letters), codes, 0)
    strand = np.arange(len(texts))
    chance = chance_that_letters_are_equal(letters, len(alphabet.letters))
    return _Strands(
        letters, starts, lengths, strand % len(sequences), strand >= len(sequences), len(alphabet.letters), chance
    )


def _needed_lengths(
    lengths: NDArray[np.int64], strands: _Strands, identity: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Length of the stretch that links a sequence, and that of the longest it is laid on, by its length.

    Lengths that no short sequence has are laid on none.
    """
    needed, most = np.zeros((2, int(strands.lengths.max()) + 1), np.int64)
    n_pairs = len(lengths) * len(strands.row)
    for length in np.unique(lengths):
        tried = np.arange((length + 1) // 2, length + 1)
        by_chance = 2 * length**2 * n_pairs * binom.sf(np.ceil(identity * tried - 1e-9) - 1, tried, strands.chance)
        rare = by_chance <= _BY_CHANCE
        needed[length] = tried[np.argmax(rare)] if rare.any() else length
        most[length] = strands.lengths.max() if rare.any() else int(length / identity + 1e-9)
    return needed, most


def _word_length(lengths: NDArray[np.int64], strands: _Strands, identity: float) -> int:
    """Length of the words that pairs share: the longest that next to none is without, or longer, to save time."""
    cells = float(lengths.sum()) * strands.lengths.sum() * lengths.max()
    affordable = int(np.ceil(np.log(max(1.0, cells / _CELLS)) / -np.log(strands.chance)))
    longest = int(62 / np.log2(strands.n_letters))  # whose code is a number of 64 bits
    good = [k for k in range(1, longest + 1) if _missed(lengths, k, identity) <= _FEW_MISSED]
    return min(longest, max(affordable, *good, 1))


def _missed(lengths: NDArray[np.int64], k: int, identity: float) -> float:
    """Share of pairs with errors at random, alike throughout to `identity`, that have no word in common."""
    different, counts = np.unique(lengths, return_counts=True)
    errors = ((1 - identity) * different + 1e-9).astype(np.int64)
    always = -(-(different - errors) // (errors + 1))  # errors as far apart as can be leave words of this length
    run = identity**k
    missed = (1 - run) * (1 - (1 - identity) * run) ** np.maximum(different - k, 0)
    missed = np.where(different < k, 1.0, np.where(k <= always, 0.0, missed))
    return float(np.average(missed, weights=counts))


def _find_words(strands: _Strands, k: int) -> _Words:
    letters = strands.letters
    n_windows = len(letters) - k + 1
    codes = np.zeros(n_windows, np.int64)
    plain = np.ones(n_windows, bool)
    for i in range(k):
        here = letters[i : i + n_windows]
        codes *= strands.n_letters
        codes += here
        plain &= here > 0
    at = np.flatnonzero(plain)
    at = at[np.argsort(codes[at], kind="stable")]
    strand = np.searchsorted(strands.starts, at, side="right") - 1
    return _Words(codes[at], strand, at - strands.starts[strand])


def _sharing(codes: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of places with the same word, some at a time."""
    ends = np.searchsorted(codes, codes, side="right")
    following = np.minimum(ends - np.arange(len(codes)) - 1, _FOLLOWING)
    before = np.concatenate([[0], np.cumsum(following)])
    start = 0
    while start < len(codes):
        end = max(start + 1, int(np.searchsorted(before, before[start] + _PAIRS_AT_ONCE, side="right")) - 1)
        first = np.repeat(np.arange(start, end), following[start:end])
        yield first, first + 1 + np.arange(len(first)) - (before[first] - before[start])
        start = end


def _laid(
    strands: _Strands,
    words: _Words,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> NDArray[np.int64]:
    """How strands are to be laid on each other: the shorter, the longer, and the shift, ``(n, 3)``."""
    ones, others = words.strand[first], words.strand[second]
    row, other_row = strands.row[ones], strands.row[others]
    forwards = ~strands.reverse[ones] & ~strands.reverse[others]
    # One of two strands that both are turned is the same pair again, and so is either one of them turned.
    mixed = (strands.reverse[ones] != strands.reverse[others]) & ((row < other_row) != strands.reverse[ones])
    wanted = (forwards | mixed) & (groups[row] != groups[other_row])
    ones, others, shift = ones[wanted], others[wanted], (words.place[second] - words.place[first])[wanted]
    turned = strands.lengths[ones] > strands.lengths[others]
    shorter, longer = np.where(turned, others, ones), np.where(turned, ones, others)
    most = int(strands.lengths.max())
    laid = (shorter * len(strands.row) + longer) * (2 * most + 1) + np.where(turned, -shift, shift) + most
    laid = np.sort(laid)
    laid = laid[np.concatenate([np.ones(min(1, len(laid)), bool), laid[1:] != laid[:-1]])]  # np.unique is slower
    both, shift = np.divmod(laid, 2 * most + 1)
    return np.stack([*np.divmod(both, len(strands.row)), shift - most], axis=1)


def _alike(
    strands: _Strands, pairs: NDArray[np.int64], needed: NDArray[np.int64], longest: int, identity: float
) -> NDArray[np.int64]:
    """Those of `pairs` that have a stretch which is alike, ``(n, 3)``."""
    # A stretch may reach over the ends of either strand, where nothing is equal: short ends cost what they lack.
    over = int((1 - identity) * longest) + 1
    windows = sliding_window_view(strands.letters, longest + 2 * over)
    step = max(1, _CELLS_AT_ONCE // windows.shape[1])
    found = []
    for start in range(0, len(pairs), step):
        some = pairs[start : start + step]
        one, other, shift = some.T
        letters = windows[strands.starts[one] - over]
        equal = (letters == windows[strands.starts[other] + shift - over]) & (letters > 0)
        lengths = needed[strands.lengths[one]]
        enough = np.count_nonzero(equal, axis=1) >= identity * lengths - 1e-9
        some, equal, lengths = some[enough], equal[enough], lengths[enough]
        for length in np.unique(lengths):
            chosen = lengths == length
            found.append(some[chosen][_has_stretch(equal[chosen], int(length), identity)])
    return np.concatenate(found) if found else pairs[:0]


def _has_stretch(equal: NDArray[np.bool_], length: int, identity: float) -> NDArray[np.bool_]:
    """Whether rows have a stretch of `length` or more, `identity` of which is true."""
    over = np.cumsum(equal - identity, axis=1, dtype=np.float64)
    over = np.concatenate([np.zeros((len(over), 1)), over], axis=1)
    lowest = np.minimum.accumulate(over[:, : over.shape[1] - length], axis=1)
    return np.asarray((over[:, length:] >= lowest - 1e-6).any(axis=1))
