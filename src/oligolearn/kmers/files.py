"""Files of sequences to files of counts."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers import kernels
from oligolearn.kmers.counting import MEMORY, Counter, Counts
from oligolearn.kmers.letters import kmers
from oligolearn.kmers.profiles import Rows, count_rows, joined
from oligolearn.kmers.streaming import Packed, Packer, pack_file
from oligolearn.kmers.words import Words
from oligolearn.kmers.workers import Workers
from oligolearn.writing import whole_file

Tell = Callable[[float, float, str], None]  # work done, all work, what is done

_HEADER = b"kmer\tcount\n"
_ROWS = 1 << 17  # formatted at once
_MOST_DIGITS = 20  # of a 64-bit number
_LARGEST_EXACT = 2**24  # whole number in 32 bits
# The text of each byte of packed bases, the first letter in the lowest bits.
_FOUR_LETTERS = kmers(np.arange(256, dtype=np.uint64), 4).astype("S4").view(np.uint32).astype(np.uint64)


def add_files(counter: Counter, paths: Sequence[Path], k: int, tell: Tell | None = None) -> list[str]:
    """Let a counter read files; return what was found in them, in sentences.

    Raises
    ------
    FileNotFoundError, ValueError
        As `oligolearn.kmers.streaming.pack_file`; or there are no k letters A, C, G, T in a row.
    """
    packers = []
    for _, packer, blocks in _read(paths, k, tell):
        counter.add(blocks)
        packers.append(packer)
    return _notes(paths, packers, k)


class KmerTable(NamedTuple):
    """Counts with a row for each file or record.

    Attributes
    ----------
    names
        Of the rows.
    headers
        Name lines of the records; of files none.
    kmers
        Of the columns, in the order of the alphabet.
    counts
        ``(n_rows, n_kmers)``, CSR of 64-bit integers.
    notes
        What was found in the files, in sentences.
    """

    names: list[str]
    headers: list[str]
    kmers: NDArray[np.str_]
    counts: Any
    notes: list[str]


def count_apart(
    paths: Sequence[Path], words: Words, *, records: bool, min_count: int = 1, threads: int | None = None,
    memory: int = MEMORY, tell: Tell | None = None,
) -> KmerTable:  # fmt: skip
    """Count the k-mers of each file, or of each record of all files.

    The result is in memory, and 24 bytes for each different k-mer of a record in a block of half a MiB of text.

    Raises
    ------
    FileNotFoundError, ValueError
        As `add_files`; or two rows have the same name, or no k-mer occurs often enough.
    """
    from scipy.sparse import csr_matrix

    if min_count < 1:
        raise ValueError(f"min_count must be at least 1, found {min_count}")
    workers, names, headers, packers = Workers(threads), list[str](), list[str](), []
    parts: list[Rows] = []
    if not records:
        _refuse_twice([path.name for path in paths])
    for path, packer, blocks in _read(paths, words.k, tell, named=records):
        if records:
            found = [count_rows(block, words, workers) for block in blocks if block.n_windows]
            parts += [rows._replace(rows=rows.rows + len(names)) for rows in found]
            names += packer.names
            headers += packer.headers
        else:
            counter = Counter(words.k, canonical=words.canonical, threads=threads, memory=memory)
            counter.add(blocks)
            codes, counts = counter.all()
            parts.append(Rows(np.full(len(codes), len(names)), codes, counts.astype(np.int64)))
            names.append(path.name)
        packers.append(packer)
    notes = _notes(paths, packers, words.k)
    _refuse_twice(names)
    rows, keys, values = joined(parts)
    vocabulary, columns = np.unique(keys, return_inverse=True)
    table = csr_matrix((values, (rows, columns)), (len(names), len(vocabulary)))
    kept = np.asarray(table.sum(axis=0)).ravel() >= min_count
    if not kept.any():
        raise ValueError(f"no k-mer occurs {min_count:,} times or more in all; lower min_count (--min-count)")
    return KmerTable(names, headers, kmers(vocabulary[kept], words.k), table[:, kept], notes)


def write_tsv(path: Path, pieces: Iterable[Counts], k: int, threads: int | None = None) -> int:
    """Write a line for each k-mer, its letters and its count, under a line of titles; return how many.

    Memory is that of a few pieces.
    """
    n = 0

    def parts() -> Iterator[Counts]:
        nonlocal n
        for piece in pieces:
            n += len(piece.codes)
            for start in range(0, len(piece.codes), _ROWS):
                yield Counts(piece.codes[start : start + _ROWS], piece.counts[start : start + _ROWS])

    def lines(part: Counts) -> NDArray[np.uint8]:
        out = np.empty(len(part.codes) * (k + 2 + _MOST_DIGITS) + kernels.SLACK, np.uint8)
        return out[: kernels.format_rows(part.codes, part.counts, k, _FOUR_LETTERS, out)]

    with whole_file(path) as temporary, temporary.open("wb", buffering=0) as file:
        file.write(_HEADER)
        for text in Workers(threads).in_order(lines, parts()):
            file.write(text.data)
    return n


def write_npz(path: Path, counts: Counts, k: int, *, canonical: bool) -> None:
    """Write `codes`, `counts`, `k` and `canonical` for `numpy.load`."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, codes=counts.codes, counts=counts.counts, k=np.int64(k), canonical=np.bool_(canonical))


def write_h5ad(path: Path, table: KmerTable) -> None:
    """Write a table as AnnData: files or records are samples, k-mers are what elsewhere are genes.

    What the headers of records say, such as ``label=a``, is in its columns.
    """
    import anndata as ad
    import pandas as pd

    from oligolearn.data.sequence_records import describe_headers

    obs, var = pd.DataFrame(index=pd.Index(table.names)), pd.DataFrame(index=pd.Index(table.kmers))
    if table.headers:
        said = describe_headers(table.headers)[0]
        obs = said.set_axis(obs.index).drop(columns="description", errors="ignore")
    with whole_file(path) as temporary:
        exact = np.float32 if table.counts.max() <= _LARGEST_EXACT else np.float64
        ad.AnnData(table.counts.astype(exact), obs, var).write_h5ad(temporary)


def _read(
    paths: Sequence[Path], k: int, tell: Tell | None, *, named: bool = False
) -> Iterator[tuple[Path, Packer, Iterator[Packed]]]:
    refuse_again(paths)
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    for number, path in enumerate(paths):
        before = sum(sizes[:number])

        def told(n_bytes: int, before: int = before, path: Path = path) -> None:
            if tell is not None:
                tell(before + n_bytes, sum(sizes), f"reading {path.name}")

        packer = Packer(k, named=named)
        yield path, packer, pack_file(path, packer, told)


def _notes(paths: Sequence[Path], packers: Sequence[Packer], k: int) -> list[str]:
    if not any(packer.n_letters for packer in packers):
        raise ValueError(f"no record of {', '.join(path.name for path in paths)} has a letter")
    if not any(packer.n_windows for packer in packers):
        raise ValueError(
            f"no record of {', '.join(path.name for path in paths)} has {k} letters A, C, G, T in a row: choose a "
            "smaller k"
        )
    return [_note(path, packer) for path, packer in zip(paths, packers, strict=True)]


def _note(path: Path, packer: Packer) -> str:
    note = f"{path.name}: {_number(packer.n_records, 'record')}, {_number(packer.n_letters, 'letter')}"
    note += f", {_number(packer.n_windows, 'window')}"
    if packer.others:
        found = ", ".join(f"{letter!r} {n:,}" for letter, n in packer.others.items())
        note += f"; windows with other letters are skipped: {found}"
    if packer.n_empty:
        note += f"; {_number(packer.n_empty, 'record')} without a letter"
    return note


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def refuse_again(paths: Sequence[Path]) -> None:
    """Refuse a file that is given twice."""
    resolved = [path.resolve() for path in paths]
    again = next((path for i, path in enumerate(paths) if resolved[i] in resolved[:i]), None)
    if again is not None:
        raise ValueError(f"{again} is given twice; give each file once")


def _refuse_twice(names: Sequence[str]) -> None:
    name, n = Tally(names).most_common(1)[0]
    if n > 1:
        raise ValueError(f"{n} rows would be named {name!r}: rename them, or count in total")
