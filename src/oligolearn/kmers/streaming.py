"""FASTA and FASTQ files, gzipped or not, and lists of strings, as blocks of packed bases; memory does not grow.

What is said of bad files is said here as in `oligolearn.data.textfile`, which is not imported: with it come pandas and
anndata, and they take longer than counting a bacterial genome.
"""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers import kernels

BLOCK = 1 << 19  # bytes of text packed at once: they, and what is made of them, stay in a core's cache
_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_RETURN, _NEWLINE = b"\r\n"
_AMBIGUOUS = frozenset("RYKMSWBDHVNX-.*")  # letters of nucleotides that are not known, gaps, ends
_MOST_OTHERS = 0.1

Tell = Callable[[float, float, str], None]  # work done, all work, what is done


class Packed(NamedTuple):
    """Bases of one block, two bits each; see `oligolearn.kmers.kernels`.

    Attributes
    ----------
    bases
        Packed.
    starts
        ``(n_runs + 1,)``, where runs begin, and where the last one ends.
    records
        ``(n_runs,)``, number of the record that each run belongs to.
    n_windows
        Windows of k bases, at most the number of bases.
    """

    bases: NDArray[np.uint8]
    starts: NDArray[np.int64]
    records: NDArray[np.int64]
    n_windows: int


class Packer:
    """Packs the text of one FASTA file, block by block.

    Parameters
    ----------
    k
        Length of the windows that will be asked for, 1 to 31.
    named
        Whether to keep the names of records.

    Attributes
    ----------
    n_windows
        Windows so far.
    """

    def __init__(self, k: int, *, named: bool = False) -> None:
        self.n_windows = 0
        self._k, self._named = k, named
        self._state = np.zeros(kernels.STATE_SIZE, np.int64)
        self._others = np.zeros(256, np.int64)
        self._name_lines: list[bytes] = []

    @property
    def n_records(self) -> int:
        """Records so far."""
        return int(self._state[kernels.RECORD])

    @property
    def n_empty(self) -> int:
        """Records so far that have no letter."""
        state = self._state
        last = self.n_records > 0 and state[kernels.LETTERS] == state[kernels.LETTERS_BEFORE]
        return int(state[kernels.EMPTY] + last)

    @property
    def n_letters(self) -> int:
        """Letters so far, those that are no base too."""
        return int(self._state[kernels.LETTERS])

    @property
    def others(self) -> dict[str, int]:
        """Letters other than A, C, G and T and how often each was met, most frequent first."""
        found = [(int(count), chr(letter)) for letter, count in enumerate(self._others) if count]
        return {letter: count for count, letter in sorted(found, reverse=True)}

    @property
    def headers(self) -> list[str]:
        """Each name line without its mark, if `named`."""
        return [line.decode("utf-8", "replace").strip() for line in self._name_lines]

    @property
    def names(self) -> list[str]:
        """First word of each name line, if `named`; the number of a record that has none."""
        words = [header.split() for header in self.headers]
        return [word[0] if word else str(number) for number, word in enumerate(words, 1)]

    def pack(self, text: NDArray[np.uint8], n: int) -> Packed:
        """Pack the next `n` bytes; `text` is longer by `kernels.SLACK`."""
        bases = np.empty((n + kernels.SLACK) // 4 + kernels.SLACK, np.uint8)
        starts, records = np.empty((2, (n + kernels.SLACK) // self._k + 2), np.int64)
        places = np.empty(n + 1, np.int64)
        name_goes_on = self._state[kernels.PHASE] == kernels.NAME
        n_runs, n_names = kernels.pack(text, n, self._k, self._state, self._others, bases, starts, records, places)
        if self._named:
            block = text[:n].tobytes()
            if name_goes_on:
                self._name_lines[-1] += block.partition(b"\n")[0]
            for place in places[:n_names].tolist():
                end = block.find(b"\n", place)
                self._name_lines.append(block[place + 1 : end if end >= 0 else n])
        starts, records = starts[: n_runs + 1].copy(), records[:n_runs].copy()
        n_windows = int(starts[-1]) - n_runs * (self._k - 1)
        self.n_windows += n_windows
        return Packed(bases[: int(starts[-1]) // 4 + kernels.SLACK], starts, records, n_windows)


def pack_strings(sequences: Sequence[str], k: int) -> tuple[Packer, Packed]:
    """Pack strings, each of them a record.

    Raises
    ------
    ValueError
        One of them begins a record of FASTA.
    """
    packer = Packer(k)
    text = (">\n" + "\n>\n".join(sequences)).encode("ascii", "replace") if len(sequences) else b""
    packed = packer.pack(np.frombuffer(bytearray(text + bytes(kernels.SLACK)), np.uint8), len(text))
    if packer.n_records != len(sequences):
        place = next(i for i, sequence in enumerate(sequences) if ">" in sequence)
        raise ValueError(f"sequence {place} holds '>': give one sequence a string, without its name")
    return packer, packed


def check_strings(sequences: Sequence[str], first: int = 0) -> None:
    """Refuse strings that are no DNA or RNA.

    Parameters
    ----------
    first
        Number of the first one.

    Raises
    ------
    ValueError
        One has a character that is no letter of nucleotides, nor one for what is not known; which, and where.
    """
    known = "ACGTU" + "".join(_AMBIGUOUS) + "\n\r\t "
    allowed = np.zeros(256, bool)
    allowed[np.frombuffer((known + known.lower()).encode(), np.uint8)] = True

    def wrong(text: str) -> bytes:
        letters = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
        return letters[~allowed[letters]].tobytes()

    if not wrong("".join(sequences)):
        return
    place = next(i for i, text in enumerate(sequences) if wrong(text))
    found = wrong(sequences[place])[:1].decode()
    if found == ">":
        raise ValueError(f"sequence {first + place} holds '>': give one sequence a string, without its name")
    raise ValueError(
        f"sequence {first + place} is no DNA or RNA: it holds {found!r}; k-mers are of A, C, G and T, a protein "
        "has none"
    )


def pack_file(
    path: str | os.PathLike[str], packer: Packer, tell: Callable[[int], None] | None = None
) -> Iterator[Packed]:
    """Yield a FASTA or FASTQ file, gzipped or not, in blocks.

    Parameters
    ----------
    packer
        A new one.
    tell
        Is told how many bytes of the file have been read.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is neither FASTA nor FASTQ, is damaged or empty, or holds proteins.
    """
    path = Path(path)
    with _open(path) as raw, _decompressed(raw, path) as stream:
        blocks = _blocks(stream, path)
        text, n = next(blocks, (np.empty(0, np.uint8), 0))
        while n and not text[:n].tobytes().strip():
            text, n = next(blocks, (text, 0))
        first = _check_start(text[:n].tobytes().lstrip()[:20], path)
        reads = _Reads(path)
        while n:
            if first == b"@":
                text, n = reads.to_fasta(text, n)
            yield packer.pack(text, n)
            if tell is not None and raw.seekable():
                tell(raw.tell())
            text, n = next(blocks, (text, 0))
        if first == b"@":
            reads.check_end()
    check_letters(packer, path.name)


def check_letters(packer: Packer, what: str) -> None:
    """Refuse proteins.

    Raises
    ------
    ValueError
        More than a tenth of the letters are neither A, C, G, T nor a code of nucleotides that are not known.
    """
    others = packer.others
    strange = {letter: n for letter, n in others.items() if letter.upper() not in _AMBIGUOUS}
    if sum(strange.values()) <= _MOST_OTHERS * packer.n_letters:
        return
    letter, n = next(iter(strange.items()))
    raise ValueError(
        f"{what} is no DNA: {n:,} of its {packer.n_letters:,} letters are {letter!r}; k-mers are of A, C, G and T, "
        "and a protein has none"
    )


class _Reads:
    """FASTQ on its way to FASTA."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._state = np.zeros(kernels.STATE_SIZE, np.int64)
        self._out = np.zeros(BLOCK + 2 * kernels.SLACK, np.uint8)

    def to_fasta(self, text: NDArray[np.uint8], n: int) -> tuple[NDArray[np.uint8], int]:
        size = kernels.fastq_to_fasta(text, n, self._state, self._out)
        line = int(self._state[kernels.LINES])
        error = self._state[kernels.ERROR]
        if error == kernels.OTHER_LENGTH:
            bases, qualities = self._state[kernels.BASES], self._state[kernels.QUALITIES]
            raise ValueError(
                f"{self._name}, line {line}: {qualities} qualities for {bases} bases; each read of a FASTQ file takes "
                "four lines, the last as long as the second"
            )
        if error == kernels.NO_QUALITY:
            raise ValueError(
                f"{self._name}, line {line + 1}: a byte that is no quality (characters from '!' to '~'); the file is "
                "damaged: download it again"
            )
        if error:
            wanted = "'@' and the name of a read" if error == kernels.NO_NAME else "'+' after the bases of a read"
            raise ValueError(
                f"{self._name}, line {line + 1}: expected {wanted}; each read of a FASTQ file takes four lines"
            )
        return self._out, size

    def check_end(self) -> None:
        state = self._state
        in_last = state[kernels.WHICH] == 3 and state[kernels.BASES] == state[kernels.QUALITIES]
        if state[kernels.WHICH] != 0 and not in_last:
            line = state[kernels.LINES] + state[kernels.BEGUN]
            raise ValueError(
                f"{self._name} is cut short: its last read ends with line {line}; download or copy it again"
            )


def _open(path: Path) -> BufferedReader:
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder: give the file in it")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path (relative paths start at {Path.cwd()})")
    return path.open("rb")


def _decompressed(raw: BufferedReader, path: Path) -> BinaryIO:
    start = raw.peek(2)[:2]
    if not start:
        raise ValueError(f"{path.name} is empty (0 bytes): write or download it again")
    if path.suffix == ".gz" and start != _GZIP:
        raise ValueError(f"{path.name} is not gzip although its name ends in .gz: rename it, or download it again")
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if start == _GZIP else raw


def _blocks(stream: BinaryIO, path: Path) -> Iterator[tuple[NDArray[np.uint8], int]]:
    buffer = np.zeros(BLOCK + kernels.SLACK, np.uint8)
    first, old_ends = True, False
    while True:
        try:
            n = stream.readinto(buffer[:BLOCK])  # type: ignore[attr-defined]
        except EOFError:
            raise ValueError(
                f"{path.name} is cut short: the compressed stream ends before its end mark; download or compress it "
                "again"
            ) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path.name} is damaged: its compressed stream cannot be read ({error}); copy it again"
            ) from error
        if not n:
            return
        text = buffer[:n]
        if first and text[:3].tobytes() == _UTF8_MARK:
            text[:-3] = text[3:].copy()
            text, n = text[:-3], n - 3
        if first:  # old Macintosh files have no other
            old_ends = bool((text == _RETURN).any()) and not (text == _NEWLINE).any()
        if old_ends:
            text[text == _RETURN] = _NEWLINE
        first = False
        yield buffer, n


def _check_start(text: bytes, path: Path) -> bytes:
    """Return the first letter if it is that of FASTA or FASTQ."""
    if not text:
        raise ValueError(f"{path.name} has no text in it: write or download it again")
    if text[:1] not in (b">", b"@", b";"):  # a semicolon begins a comment of old FASTA
        raise ValueError(
            f"{path.name} is neither FASTA, which begins with '>', nor FASTQ, which begins with '@': found "
            f"{text.decode('ascii', 'backslashreplace')!r}; write the sequences of a table or an alignment as FASTA"
        )
    return text[:1]
