"""Lines of delimited text to one long array of cells, which pyarrow parses at full speed whatever the table's shape."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from oligolearn.data.table import MISSING
from oligolearn.data.textfile import decode

NO_SEPARATOR = "\x1f"  # a cell may hold commas and tabs, but hardly this
NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$|^\s*[+-]?(?i:inf|infinity)\s*$"


def split_line(line: str, separator: bytes) -> list[str]:
    """Split one line into fields, minding quotes."""
    mark = separator.decode()
    if '"' not in line:  # the parser below takes no field of more than 128 KiB
        return line.split(mark) if line else []
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error as error:
        raise ValueError(f"{error} in the line that begins {line[:30]!r}; write long fields without quotes") from error


def flat_cells(lines: list[bytes], first: int, separator: bytes, n_fields: int, path: Path) -> pa.StringArray:
    """Parse lines into one array of cells, row after row; missing ones are null.

    Parameters
    ----------
    lines, first
        Lines without their ends, and the number of the first of them in the file.
    separator, n_fields
        What is between two fields, and how many of these a line has.

    Raises
    ------
    ValueError
        A line has more or fewer fields, is not UTF-8, or opens a quote that it does not close.
    """
    n_separators = n_fields - 1
    parts = []
    for number, line in enumerate(lines, first):
        if line.count(separator) == n_separators:
            if n_separators and line.strip(separator + b' "'):  # Excel leaves rows of separators behind
                parts.append(line.replace(separator, b"\n"))
        elif line.strip():
            parts.append(_unusual_line(line, number, separator, n_fields, path))
    if not parts:
        return pa.array([], pa.string())
    body = b"\n".join(parts) + b"\n"
    try:
        column = pacsv.read_csv(
            pa.BufferReader(body),
            read_options=pacsv.ReadOptions(column_names=["cell"], block_size=len(body) + 1),
            parse_options=pacsv.ParseOptions(delimiter=NO_SEPARATOR, ignore_empty_lines=False),
            convert_options=pacsv.ConvertOptions(
                column_types={"cell": pa.string()}, strings_can_be_null=True, null_values=list(MISSING)
            ),
        ).column("cell")
    except pa.ArrowInvalid as error:
        for number, line in enumerate(lines, first):
            decode(line, path, number)
        raise ValueError(f"{path.name}, lines {first}-{first + len(lines) - 1}: {error}; check the quotes") from error
    if len(column) != len(parts) * n_fields:
        raise ValueError(f"{path.name}, lines {first}-{first + len(lines) - 1}: a quote is opened and never closed")
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _unusual_line(line: bytes, number: int, separator: bytes, n_fields: int, path: Path) -> bytes:
    """Put a line with quoted separators into the form of the others, or refuse it."""
    text = decode(line, path, number)
    fields = split_line(text, separator)
    if len(fields) != n_fields:
        raise ValueError(
            f"{path.name}, line {number}: {len(fields)} fields where the header has {n_fields}; "
            "every row needs one cell per column (an empty cell for a missing value)"
        )
    quoted = ('"' + field.replace('"', '""') + '"' for field in fields)
    return "\n".join(quoted).encode()


def every(cells: pa.StringArray, field: int, width: int) -> pa.StringArray:
    """Return one field of every row."""
    return cells.take(pa.array(np.arange(field, len(cells), width), pa.int32()))


def mask(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Convert to booleans; null is False."""
    return np.asarray(pc.fill_null(array, pa.scalar(False)).to_numpy(zero_copy_only=False), dtype=bool)  # noqa: FBT003
