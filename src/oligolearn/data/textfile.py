"""Text files, gzipped or not, as batches of lines with their line numbers."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

GZIP_MAGIC = b"\x1f\x8b"
UTF8_MARK = b"\xef\xbb\xbf"
BLOCK = 1 << 20  # bytes read at once: larger blocks cost memory and gain no time


class TextFile:
    """Lines of a text file, read in blocks; knows the number of the line it has reached.

    Gzip is undone, a byte order mark dropped, and Windows and old Macintosh line ends become ``\\n``.

    Parameters
    ----------
    path
        File to read; one whose name ends in ``.gz`` must be gzip, any other must not.

    Raises
    ------
    FileNotFoundError
        No such file, or it is a folder.
    ValueError
        The file is empty, cut short, binary, or not compressed as its name says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_read = 0  # lines handed out so far
        self._stream = _open(path)
        self._rest = b""
        self._ended = False
        try:
            self._rest = self._next_block()
            self._rest = self._rest.removeprefix(UTF8_MARK)
            _refuse_binary(self._rest, path)
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def line(self) -> bytes | None:
        """Return the next line without its end, or None at the end of the file."""
        self._fill(1)
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        self.n_read += 1
        return line

    def text_line(self) -> str | None:
        """Return the next line as text, or None at the end of the file."""
        line = self.line()
        return None if line is None else decode(line, self.path, self.n_read)

    def put_back(self, line: bytes) -> None:
        """Undo `line`."""
        self._rest = line + b"\n" + self._rest
        self.n_read -= 1

    def batches(self, size: int = BLOCK) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the remaining lines, about `size` bytes at a time, each batch with the number of its first line."""
        while self._rest or not self._ended:
            self._fill(size)
            cut = len(self._rest) if self._ended else self._rest.rfind(b"\n") + 1
            lines, self._rest = self._rest[:cut].split(b"\n"), self._rest[cut:]
            if not lines[-1]:
                lines.pop()
            first = self.n_read + 1
            self.n_read += len(lines)
            if lines:
                yield first, lines

    def _fill(self, size: int) -> None:
        """Read on until `size` bytes and a whole line are there; a line of hundreds of megabytes is joined once."""
        blocks, there = [self._rest], len(self._rest)
        whole = b"\n" in self._rest
        while not self._ended and (there < size or not whole):
            blocks.append(self._next_block())
            there += len(blocks[-1])
            whole = whole or b"\n" in blocks[-1]
        if len(blocks) > 1:
            self._rest = b"".join(blocks)

    def _next_block(self) -> bytes:
        block = self._read(BLOCK)
        while block.endswith(b"\r"):  # its \n may be the first byte of the next block
            more = self._read(1)
            block += more
            if not more:
                break
        self._ended = not block
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return block

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except EOFError as error:
            raise ValueError(
                f"{self.path.name} is cut short: the compressed stream ends before its end mark; "
                "download or compress it again"
            ) from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{self.path.name} is damaged: its compressed stream cannot be read ({error}); copy it again"
            ) from error


def existing_file(path: str | Path) -> Path:
    """Return `path` if it is a file with something in it.

    Raises
    ------
    FileNotFoundError
        There is no such file, or it is a folder.
    ValueError
        The file is empty.
    """
    path = Path(path)
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder: give the file in it")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path (relative paths start at {Path.cwd()})")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes): write or download it again")
    return path


def decode(line: bytes, path: Path, number: int) -> str:
    """Decode one line, or say which byte of which line is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8 text; save the file as UTF-8 "
            "(iconv -f latin1 -t utf-8)"
        ) from None


def _open(path: Path) -> BinaryIO:
    existing_file(path)
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == GZIP_MAGIC
    if path.suffix == ".gz" and not is_gzip:
        raise ValueError(f"{path.name} is not gzip although its name ends in .gz: rename it, or download it again")
    if is_gzip and path.suffix != ".gz":
        raise ValueError(f"{path.name} is gzip although its name does not end in .gz: rename it to {path.name}.gz")
    return cast("BinaryIO", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _refuse_binary(start: bytes, path: Path) -> None:
    if not start:
        raise ValueError(f"{path.name} is empty once decompressed: write or download it again")
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise ValueError(f"{path.name} is UTF-16 text (Excel's 'Unicode text'): save it as UTF-8")
    if start[:4] == b"PK\x03\x04":
        raise ValueError(f"{path.name} is a ZIP or Excel file, not text: export the sheet as CSV, or unzip it")
    if b"\0" in start:
        raise ValueError(f"{path.name} holds binary data, not the text that its name promises: check what it is")
