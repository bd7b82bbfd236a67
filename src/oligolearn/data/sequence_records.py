"""Records of FASTA, FASTQ, Stockholm and tables: letters as they are written, and what headers and columns say."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.cells import split_line
from oligolearn.data.sequence_kinds import FASTA, FASTQ, STOCKHOLM, TABLES, file_kind, table_header
from oligolearn.data.table import MISSING, some
from oligolearn.data.textfile import TextFile, decode

_KEY_VALUE = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]*)=\s*(.*?)\s*(?=[\s;|,]+[A-Za-z_][\w.-]*=|[;|]|$)")
_BRACKETED = re.compile(r"\[([A-Za-z_][\w.-]*)=\s*([^\]]*?)\s*\]")  # as NCBI writes
_LONGEST_HEADER = 100_000
_PLACE = re.compile(r"(?:^|::)(chr[0-9A-Za-z]+(?:_\w+)?)[:,]")
_ID_COLUMNS = ("id", "sequence_id", "seq_id")
_NAME_COLUMN = "name"  # an id where each is there once
_BEST_QUALITY = 126
_WORST_QUALITY = 33


class Records(NamedTuple):
    """What a file holds, before letters become codes.

    Attributes
    ----------
    letters
        Of all sequences, one after the other.
    lengths
        Of each sequence, ``(n_sequences,)``.
    obs
        Text or None, indexed by id.
    notes
        What was done, in sentences.
    aligned
        Whether the format is one of alignments.
    """

    letters: bytes
    lengths: NDArray[np.int64]
    obs: pd.DataFrame
    notes: list[str]
    aligned: bool = False


class _Headed(NamedTuple):
    """Headers without their mark, and the letters below each."""

    headers: list[str]
    letters: bytes
    lengths: NDArray[np.int64]


def read_records(path: Path, column: str) -> Records:
    """Read a file of any kind.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, of no known kind, or not what its name says: which line, and what to do.
    """
    kind = file_kind(path)
    if kind in TABLES:
        return _read_table(path, column)
    if kind not in FASTA + FASTQ + STOCKHOLM:
        known = ", ".join(FASTA + FASTQ + STOCKHOLM + TABLES)
        raise ValueError(f"{path.name}: files of sequences end in {known} (and .gz), found {kind!r}; rename it")
    with TextFile(path) as text:
        if kind in STOCKHOLM:
            return _read_stockholm(text)
        headed = _read_fasta(text) if kind in FASTA else _read_fastq(text)
    obs, notes = describe_headers(headed.headers)
    return Records(headed.letters, headed.lengths, obs, notes)


def _read_fasta(text: TextFile) -> _Headed:
    headers: list[str] = []
    lengths: list[int] = []
    parts: list[bytes] = []
    for first, lines in text.batches():
        for number, line in enumerate(lines, first):
            if line.startswith(b">"):
                headers.append(_header(line, text.path, number))
                lengths.append(0)
                if not headers[-1]:
                    raise ValueError(f"{text.path.name}, line {number}: a '>' without a name; name the sequence")
            elif line and not line.startswith(b";"):  # a comment of old FASTA
                if not headers:
                    raise ValueError(_no_header(text.path, number, line, ">", "FASTA"))
                plain = line[-1:].isalpha() and b" " not in line and b"\t" not in line
                letters = line if plain else b"".join(line.split())
                parts.append(letters)
                lengths[-1] += len(letters)
    return _Headed(headers, b"".join(parts), np.array(lengths, np.int64))


def _header(line: bytes, path: Path, number: int) -> str:
    """Text of a line with a name, without its mark."""
    if len(line) > _LONGEST_HEADER:
        raise ValueError(
            f"{path.name}, line {number}: a name of {len(line):,} characters, {line[:30].decode('utf-8', 'replace')!r} "
            "...; is the line break after it missing?"
        )
    return decode(line[1:], path, number).strip()


def _no_header(path: Path, number: int, line: bytes, mark: str, kind: str) -> str:
    return (
        f"{path.name}, line {number}: expected {mark!r} and a name, as {kind} has it, found "
        f"{line[:30].decode('utf-8', 'replace')!r}; check what the file is"
    )


def _read_fastq(text: TextFile) -> _Headed:
    """Sequences of FASTQ, whose letters and qualities may take several lines; qualities are checked and left."""
    headers: list[str] = []
    lengths: list[int] = []
    parts: list[bytes] = []
    lines = ((number, line) for first, batch in text.batches() for number, line in enumerate(batch, first))
    for number, line in lines:
        if not line.strip():
            continue
        if not line.startswith(b"@"):
            raise ValueError(_no_header(text.path, number, line, "@", "FASTQ"))
        headers.append(_header(line, text.path, number))
        lengths.append(0)
        n_lines = 0
        for _, letters in _until_plus(lines, text.path, headers[-1]):
            parts.append(letters.replace(b".", b"N"))  # as early sequencers wrote a base that they could not call
            lengths[-1] += len(letters)
            n_lines += 1
        _pass_qualities(lines, text.path, headers[-1], lengths[-1], on_one_line=n_lines == 1)
    return _Headed(headers, b"".join(parts), np.array(lengths, np.int64))


def _until_plus(lines: Iterator[tuple[int, bytes]], path: Path, header: str) -> Iterator[tuple[int, bytes]]:
    for number, line in lines:
        if line.startswith(b"+"):
            return
        yield number, line.strip()
    raise ValueError(
        f"{path.name} is cut short: sequence {_id(header)!r} has no '+' and no qualities; download it again"
    )


def _pass_qualities(
    lines: Iterator[tuple[int, bytes]], path: Path, header: str, n_letters: int, *, on_one_line: bool
) -> None:
    """Read as many qualities as there are letters, on one line where those are, and refuse what are none."""
    n_read, number = 0, 0
    for number, line in lines:
        qualities = line.rstrip()
        if qualities and not _WORST_QUALITY <= min(qualities) <= max(qualities) <= _BEST_QUALITY:
            wrong = next(byte for byte in qualities if not _WORST_QUALITY <= byte <= _BEST_QUALITY)
            raise ValueError(
                f"{path.name}, line {number}: byte 0x{wrong:02x} of sequence {_id(header)!r} is no quality "
                "(characters from '!' to '~'); the file is damaged: download it again"
            )
        n_read += len(qualities)
        if n_read >= n_letters or on_one_line:
            break
    if not number:
        raise ValueError(
            f"{path.name} is cut short: sequence {_id(header)!r} has no qualities after its '+'; download it again"
        )
    if n_read != n_letters:
        raise ValueError(
            f"{path.name}, line {number}: sequence {_id(header)!r} has {n_letters:,} letters and {n_read:,} qualities; "
            "they must be as many: the file is damaged or cut short"
        )


def _read_stockholm(text: TextFile) -> Records:
    """Rows of one alignment, in one block or several, with the ``#=GS`` features of each as columns."""
    start = text.text_line() or ""
    if not start.startswith("# STOCKHOLM"):
        raise ValueError(f"{text.path.name}: expected '# STOCKHOLM 1.0' in line 1, found {start[:30]!r}")
    rows: dict[str, list[str]] = {}
    features: dict[str, dict[str, str]] = {}
    ended = False
    lines = ((number, line) for first, batch in text.batches() for number, line in enumerate(batch, first))
    for number, raw in lines:
        line = decode(raw, text.path, number)
        words = line.split(None, 3)
        if ended and words:
            raise ValueError(
                f"{text.path.name}, line {number}: a second alignment begins after the end mark '//'; keep one in a "
                "file"
            )
        if line.startswith("//"):
            ended = True
        elif words[:1] == ["#=GS"] and len(words) == 4:
            features.setdefault(words[2], {})[words[1]] = words[3]
        elif words and not line.startswith("#"):
            if len(words) != 2:
                raise ValueError(
                    f"{text.path.name}, line {number}: expected a name and a row of the alignment, "
                    f"found {len(words)} words"
                )
            rows.setdefault(words[0], []).append(words[1])
    if not ended:
        raise ValueError(f"{text.path.name} is cut short: its alignment has no end mark '//'; download it again")
    joined = ["".join(parts).encode() for parts in rows.values()]
    index = pd.Index(list(rows), dtype=object)
    columns = {name: [values.get(row) for row in rows] for name, values in features.items()}
    obs = pd.DataFrame(columns, index=index, dtype=object)
    return Records(b"".join(joined), np.array([len(row) for row in joined], np.int64), obs, [], aligned=True)


def _read_table(path: Path, column: str) -> Records:
    """Rows of a table; the column of sequences is not kept as text."""
    with TextFile(path) as text:
        header = decode(table_header(text), path, text.n_read)
        marks = (b"\t", b",", b";")
        separator = max(marks, key=lambda mark: header.count(mark.decode()))
        if file_kind(path) == ".tsv" and "\t" in header:
            separator = marks[0]
        names = [name.strip() for name in split_line(header, separator)]
        place = _sequence_column(names, column, path)
        cells: list[list[str]] = []
        parts: list[bytes] = []
        for first, lines in text.batches():
            for number, line in enumerate(lines, first):
                if line.strip(b" \t,;"):  # a row of separators alone is what a spreadsheet leaves
                    fields = _fields(line, separator, len(names), path, number)
                    letters = fields.pop(place).strip()
                    parts.append(b"" if letters in MISSING else letters.encode())
                    cells.append([field.strip() for field in fields])
    if not cells:
        raise ValueError(f"{path.name} has a header but no rows below it")
    obs = pd.DataFrame(cells, columns=[*names[:place], *names[place + 1 :]], dtype=object)
    by_name = {name.lower(): name for name in reversed(obs.columns)}
    given = next((by_name[name] for name in _ID_COLUMNS if name in by_name), None)
    named = by_name.get(_NAME_COLUMN)
    if given is None and named is not None and obs[named].is_unique and not obs[named].isin(list(MISSING)).any():
        obs.index = pd.Index(obs[named], dtype=object, name=None)
    elif given is None:
        obs.index = pd.Index([f"row_{number}" for number in range(1, len(obs) + 1)], dtype=object)
    else:
        n_without = int(obs[given].isin(list(MISSING)).sum())
        if n_without:
            raise ValueError(f"{path.name}: column {given!r} names no sequence in {n_without:,} row(s)")
        obs = obs.set_index(given)
    obs = _with_places(obs)
    return Records(b"".join(parts), np.array([len(part) for part in parts], np.int64), obs, [])


def _sequence_column(names: list[str], column: str, path: Path) -> int:
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise ValueError(f"{path.name}: column {some(repeated)} appears twice in the header; rename one")
    places = [number for number, name in enumerate(names) if name.lower() == column.lower()]
    if not places:
        found = some([name[:40] for name in names])
        raise ValueError(
            f"{path.name} has no column {column!r}; its columns are: {found}; name the one that holds the sequences so"
        )
    return places[0]


def _fields(line: bytes, separator: bytes, n_fields: int, path: Path, number: int) -> list[str]:
    text = decode(line, path, number)
    try:
        fields = split_line(text, separator)
    except ValueError as error:
        raise ValueError(f"{path.name}, line {number}: {error}") from error
    if len(fields) != n_fields:
        raise ValueError(f"{path.name}, line {number}: {len(fields)} fields where the header has {n_fields}")
    return fields


def _id(header: str) -> str:
    return header.split(None, 1)[0] if header else ""


def describe_headers(headers: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Ids of headers, and columns of what they say."""
    ids = pd.Index([_id(header) for header in headers], dtype=object)
    columns: dict[str, Iterable[str | None]] = {}
    rests = [header[len(_id(header)) :].strip() or None for header in headers]
    if any(rests):
        columns["description"] = rests
    pairs = [_pairs(header) for header in headers]
    columns |= {key: [found.get(key) or None for found in pairs] for key in dict.fromkeys(k for p in pairs for k in p)}
    of_ids = not any(rest and "|" in rest for rest in rests)
    columns |= _bar_fields([(_id(header) if of_ids else header).rstrip("|").split("|") for header in headers])
    obs = _with_places(pd.DataFrame(columns, index=ids, dtype=object))
    found = [str(name) for name in obs.columns if name != "description"]
    return obs, [f"Columns found in the headers: {', '.join(found)}."] if found else []


def _pairs(header: str) -> dict[str, str]:
    """What a header says as ``key=value``, in brackets or not.

    >>> _pairs("s1 [gene=thrL] [protein=thr operon]"), _pairs("s1 label=a b; n=2")
    ({'gene': 'thrL', 'protein': 'thr operon'}, {'label': 'a b', 'n': '2'})
    >>> _pairs("s1 label=a, split=train"), _pairs("s1 label=a;b,n=2")
    ({'label': 'a', 'split': 'train'}, {'label': 'a', 'n': '2'})
    """
    if "=" not in header:
        return {}
    found = _BRACKETED.findall(header) or _KEY_VALUE.findall(header)
    return {key: value.rstrip(",") for key, value in found}


def _bar_fields(rows: list[list[str]]) -> dict[str, list[str | None]]:
    """Columns of the fields between bars; where their number differs, counted from either end, the last being -1.

    >>> _bar_fields([["sp", "P1", "A_HUMAN"], ["sp", "P2", "B_MOUSE"]])["field_3"]
    ['A_HUMAN', 'B_MOUSE']
    """
    sizes = {len(row) for row in rows}
    n_fields = min(sizes, default=0)
    if n_fields < 2:
        return {}
    from_end = range(-1, -n_fields - 1, -1) if len(sizes) > 1 else range(0)
    numbers = [*range(1, n_fields + 1), *from_end]
    return {f"field_{n}": [row[n - (n > 0)].strip() or None for row in rows] for n in numbers}


def _with_places(obs: pd.DataFrame) -> pd.DataFrame:
    """Add the chromosome where all ids are places of a genome, as in ``chr1:100-200(+)`` or ``chr1,+,100,200``."""
    places = [_PLACE.search(str(name)) for name in obs.index]
    if "chromosome" in obs.columns or not places or not all(places):
        return obs
    return obs.assign(chromosome=[place[1] for place in places if place])
