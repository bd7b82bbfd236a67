"""k-mers of whole files: counters for k up to 12, sorted codes beyond, on all cores, in bounded memory."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers import kernels
from oligolearn.kmers.letters import check_k, reverse_complements
from oligolearn.kmers.streaming import Packed, Packer, pack_file, pack_strings
from oligolearn.kmers.workers import Workers, ranges

MEMORY = 2 << 30
_LEAST_MEMORY = 1 << 20
_LONGEST_DIRECT = 12
_SHORTEST_DIRECT = 8  # shorter k-mers are counted in the table of this length
_PIECE = 1 << 18  # codes of a table that are collected together
_BYTES_PER_KEY = 24  # the code, the space to sort it in, and the result: code and count
_BITS = 10  # by which codes are put in order first: more places to write to at a time do not stay in the cache
_MOST_BITS = 16
_FEWEST_KEYS = 1 << 16  # sorted in one call
_MOST_WRAPPED = 1 << 22


class Counts(NamedTuple):
    """k-mers and how often each occurs.

    Attributes
    ----------
    codes
        ``(n_kmers,)``, ascending; letters are two bits each, A = 0, C = 1, G = 2, T = 3, the first one highest.
    counts
        ``(n_kmers,)``.
    """

    codes: NDArray[np.uint64]
    counts: NDArray[np.unsignedinteger]


def count_files(
    paths: Sequence[str | os.PathLike[str]], k: int, *, canonical: bool = False, min_count: int = 1,
    threads: int | None = None,
) -> Counts:  # fmt: skip
    """Count the k-mers of FASTA and FASTQ files, gzipped or not.

    Windows with a letter other than A, C, G, T, in either case, are skipped.

    Parameters
    ----------
    paths
        Files, counted together.
    k
        Length, 1 to 31.
    canonical
        Count a k-mer and its reverse complement as the one that comes first in the alphabet.
    min_count
        k-mers that occur less often are left out.
    threads
        Default: one for each processor. The result does not depend on it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A file is damaged, or is neither FASTA nor FASTQ of nucleotides; k is out of range.
    """
    check_k(k)
    counter = Counter(k, canonical=canonical, min_count=min_count, threads=threads)
    for path in paths:
        counter.add(pack_file(path, Packer(k)))
    return counter.all()


def count_strings(
    sequences: Sequence[str], k: int, *, canonical: bool = False, min_count: int = 1, threads: int | None = None
) -> Counts:
    """Count the k-mers of strings together, as `count_files` does.

    Examples
    --------
    >>> from oligolearn.kmers import kmers
    >>> counts = count_strings(["ACGTN", "acgg"], 3)
    >>> kmers(counts.codes, 3).tolist(), counts.counts.tolist()
    (['ACG', 'CGG', 'CGT'], [2, 1, 1])
    """
    counter = Counter(check_k(k), canonical=canonical, min_count=min_count, threads=threads)
    counter.add([pack_strings(sequences, k)[1]])
    return counter.all()


class Counter:
    """Counts k-mers of blocks of packed bases.

    Up to k = 12 there is a counter for each k-mer: 4^k bytes a thread, 16 MiB for k = 12. Beyond, packed bases are
    kept, a quarter of a byte each, and counted in as many passes as `memory` asks for, each over a range of codes.

    Parameters
    ----------
    k, canonical, min_count, threads
        As in `count_files`.
    memory
        Bytes for what a pass works on and finds.

    Attributes
    ----------
    n_windows
        Windows so far.
    """

    def __init__(
        self, k: int, *, canonical: bool, min_count: int = 1, threads: int | None = None, memory: int = MEMORY
    ) -> None:
        if memory < _LEAST_MEMORY:
            raise ValueError(f"the memory for a pass must be 1 MiB or more, found {memory} bytes")
        if min_count < 1:
            raise ValueError(f"the smallest count that is kept must be 1 or more, found {min_count}")
        self.n_windows = 0
        self._k, self._canonical, self._min_count = check_k(k), canonical, min_count
        self._workers = Workers(threads)
        self._memory = memory
        self._table = _Table(k, self._workers.number, memory, canonical=canonical) if k <= _LONGEST_DIRECT else None
        self._kept: list[Packed] = []

    def add(self, blocks: Iterable[Packed]) -> None:
        """Count blocks, or keep them to be counted."""
        if self._table is not None:
            for n_windows, wrapped in self._workers.in_order(self._table.count, blocks):
                self.n_windows += n_windows
                self._table.keep(wrapped)
        else:
            for block in blocks:
                self.n_windows += block.n_windows
                if block.n_windows:
                    self._kept.append(block._replace(records=block.records[:0]))

    def pieces(self, tell: Callable[[float, float, str], None] | None = None) -> Iterator[Counts]:
        """Yield k-mers in the order of the alphabet, a part at a time.

        Parameters
        ----------
        tell
            Is told the work done, all work, and what is done.
        """
        if self._table is not None:
            yield from self._collected(self._table)
        elif self._kept:
            done = 0
            for piece, n_windows in self._sorted(0, 2 * self._k, self.n_windows):
                done += n_windows
                if tell is not None:
                    tell(done, self.n_windows, "counting")
                yield piece

    def all(self, tell: Callable[[float, float, str], None] | None = None) -> Counts:
        """All k-mers, in the order of the alphabet."""
        pieces = list(self.pieces(tell))
        if not pieces:
            return Counts(np.empty(0, np.uint64), np.empty(0, self._dtype))
        return Counts(np.concatenate([p.codes for p in pieces]), np.concatenate([p.counts for p in pieces]))

    @property
    def _dtype(self) -> type[np.unsignedinteger]:
        return np.uint32 if self.n_windows < 1 << 32 else np.uint64

    def _collected(self, table: "_Table") -> Iterator[Counts]:
        over, n_codes = table.lacking(), 4**self._k

        def collect(first: int) -> Counts:
            last = min(first + _PIECE, n_codes)
            found = Counts(np.empty(_PIECE + 1, np.uint64), np.empty(_PIECE + 1, self._dtype))
            behind = slice(np.searchsorted(over.codes, np.uint64(first)), None)
            n = kernels.collect(
                table.totals(first, last), first, over.codes[behind], over.counts[behind], self._min_count, *found
            )
            return _first(found, n)

        yield from self._workers.in_order(collect, range(0, n_codes, _PIECE))

    def _sorted(self, low: int, bits: int, n_windows: int) -> Iterator[tuple[Counts, int]]:
        """k-mers whose codes are `low` in all but the lowest `bits` bits, and the number of windows they come from."""
        most = max(self._memory // _BYTES_PER_KEY, 1)
        n_bits = min(bits, _BITS + (n_windows // most).bit_length(), _MOST_BITS)
        shift = bits - n_bits
        groups = self._groups()

        def histogram(group: list[Packed]) -> NDArray[np.int64]:
            counts = np.zeros(1 << n_bits, np.int64)
            for block in group:
                kernels.histogram(
                    block.bases, block.starts, self._k, self._canonical, np.uint64(low), np.uint64(1 << bits), shift,
                    counts,
                )  # fmt: skip
            return counts

        sizes = np.array(list(self._workers.in_order(histogram, groups)))
        totals = sizes.sum(axis=0)
        if shift == 0:
            codes = np.flatnonzero(totals >= self._min_count)
            yield Counts(codes.astype(np.uint64) + np.uint64(low), totals[codes].astype(self._dtype)), n_windows
            return
        alone = most // (4 * self._workers.number)  # a part that is sorted takes as much again
        for first, last in ranges(totals, most, alone):
            start, n = low + (first << shift), int(totals[first:last].sum())
            if last == first + 1 and n > alone:
                yield from self._sorted(start, shift, n)
            elif n:
                yield from self._pass(groups, sizes[:, first:last], start, shift)

    def _pass(
        self, groups: list[list[Packed]], sizes: NDArray[np.int64], low: int, shift: int
    ) -> Iterator[tuple[Counts, int]]:
        """Scatter the codes from `low` on by their bits above `shift`, then sort and count each part."""
        bounds = np.concatenate([[0], sizes.sum(axis=0).cumsum()])
        places = bounds[:-1] + sizes.cumsum(axis=0) - sizes
        keys = np.empty(bounds[-1], np.uint64)
        start, width = np.uint64(low), np.uint64(sizes.shape[1] << shift)

        def scatter(number: int) -> None:
            for block in groups[number]:
                kernels.scatter(
                    block.bases, block.starts, self._k, self._canonical, start, width, shift, places[number], keys
                )

        for _ in self._workers.in_order(scatter, range(len(groups))):
            pass

        def sort(parts: tuple[int, int]) -> tuple[Counts, int]:
            inner = bounds[parts[0] : parts[1] + 1]
            mine = keys[inner[0] : inner[-1]]
            other, counts = np.empty(np.diff(inner).max(), np.uint64), np.empty(len(mine), self._dtype)
            n = kernels.sort_and_count(mine, inner - inner[0], shift, start, self._min_count, other, counts)
            return _first(Counts(mine, counts), n), len(mine)

        at_once = max(_FEWEST_KEYS, len(keys) // (8 * self._workers.number))
        yield from self._workers.in_order(sort, ranges(np.diff(bounds), at_once))

    def _groups(self) -> list[list[Packed]]:
        """Blocks for each thread, about the same number of windows each."""
        before = np.cumsum([0] + [block.n_windows for block in self._kept])
        wanted = np.arange(1, self._workers.number) * before[-1] // self._workers.number
        cuts = [0, *np.searchsorted(before, wanted).tolist(), len(self._kept)]
        return [self._kept[a:b] for a, b in pairwise(cuts) if a < b]


class _Table:
    """A counter of one byte for each k-mer and thread, and how often counters went from 255 to 0."""

    def __init__(self, k: int, threads: int, memory: int, *, canonical: bool) -> None:
        self._k, self._canonical = k, canonical
        self._width = max(k, _SHORTEST_DIRECT)
        # Not np.zeros: NumPy asks for large pages of memory only where it hands out memory as it is.
        self._counters = np.empty((max(1, min(threads, memory // 4**self._width)), 4**self._width), np.uint8)
        self._counters[:] = 0
        self._free: SimpleQueue[int] = SimpleQueue()
        for number in range(len(self._counters)):
            self._free.put(number)
        self._new: list[NDArray[np.uint32]] = []
        self._old = Counts(np.empty(0, np.uint64), np.empty(0, np.uint64))

    @property
    def _folded_later(self) -> bool:
        """Whether counters are of k-mers as they stand although canonical ones are asked for."""
        return self._canonical and self._k <= _SHORTEST_DIRECT

    def count(self, block: Packed) -> tuple[int, NDArray[np.uint32]]:
        """Count a block; return its windows and the codes whose counters wrapped."""
        number = self._free.get()
        table, wrapped = self._counters[number], np.empty(block.n_windows, np.uint32)
        if self._canonical and not self._folded_later:
            n = kernels.count_canonical(block.bases, block.starts, self._k, table, wrapped)
        else:
            n = kernels.count_direct(block.bases, block.starts, self._k, self._width, table, wrapped)
        self._free.put(number)
        return block.n_windows, wrapped[:n].copy()

    def totals(self, first: int, last: int) -> NDArray[np.uint32]:
        """What the counters of all threads hold of codes from `first` to below `last`, which for k <= 8 are all."""
        if self._k >= _SHORTEST_DIRECT and not self._folded_later:
            totals: NDArray[np.uint32] = self._counters[:, first:last].sum(axis=0, dtype=np.uint32)
            return totals
        totals = self._counters.reshape(len(self._counters), 4**self._k, -1).sum(axis=(0, 2), dtype=np.uint32)
        if self._canonical:
            codes = np.arange(len(totals), dtype=np.uint64)
            others = reverse_complements(codes, self._k)
            totals = np.where(codes < others, totals + totals[others], totals * (codes == others))
        return totals

    def lacking(self) -> Counts:
        """Codes whose counters wrapped, and what is to be added to them."""
        self._sum()
        codes = self._old.codes >> np.uint64(2 * (self._width - self._k))
        if self._canonical:
            codes = np.minimum(codes, reverse_complements(codes, self._k))
        return _summed(codes, 256 * self._old.counts)

    def keep(self, wrapped: NDArray[np.uint32]) -> None:
        """Remember what `count` returned."""
        self._new.append(wrapped)
        if sum(map(len, self._new)) > _MOST_WRAPPED:
            self._sum()

    def _sum(self) -> None:
        new = np.concatenate([np.empty(0, np.uint32), *self._new]).astype(np.uint64)
        codes = np.concatenate([self._old.codes, new])
        self._old = _summed(codes, np.concatenate([self._old.counts, np.ones(len(new), np.uint64)]))
        self._new = []


def _first(found: Counts, n: int) -> Counts:
    return Counts(found.codes[:n].copy(), found.counts[:n].copy())


def _summed(codes: NDArray[np.uint64], counts: NDArray[np.uint64]) -> Counts:
    """Each code once, ascending, its counts added."""
    order = np.argsort(codes, kind="stable")
    codes, counts = codes[order], counts[order]
    first = np.flatnonzero(np.diff(codes, prepend=codes[:1] + np.uint64(1)))
    return Counts(codes[first], np.add.reduceat(counts, first) if len(first) else counts)
