"""Delimited text (CSV, TSV, TXT, the tables inside GCT and GEO files) to a table of float32, in one pass.

A reader with one column builder per gene needs minutes and gigabytes for tens of thousands of columns.
Here each block of lines becomes one long column of cells, which pyarrow parses at full speed whatever the shape of the
table, and which is then folded back into rows: memory is the matrix plus a few blocks.
"""

import itertools
import re
from collections.abc import Collection
from pathlib import Path

from oligolearn.data.cells import flat_cells, split_line
from oligolearn.data.layout import Layout, find_layout
from oligolearn.data.rows import Rows
from oligolearn.data.table import Table
from oligolearn.data.textfile import BLOCK, TextFile, decode


def read_delimited(path: Path, labels: Collection[str] = ()) -> Table:
    """Read a CSV, TSV or TXT file whose cells are numbers but for names, labels and descriptions.

    Parameters
    ----------
    path
        File, gzipped if its name ends in ``.gz``.
    labels
        Columns (or rows above the numbers) to be kept as text even if they hold numbers.

    Raises
    ------
    ValueError
        Ragged rows (which line), cells that are not numbers (which), no data.
    """
    with TextFile(path) as text:
        separator, names, notes = _read_header(text)
        text.put_back(first_row(text))
        names, has_header_gap = _match_header(text, separator, names)
        if has_header_gap:
            notes.append(
                "The header has one name fewer than the rows have fields, as R writes it: the first is the id."
            )
        table = parse_table(text, separator, names, labels=labels)
        return table._replace(notes=notes + table.notes)


def parse_table(
    text: TextFile,
    separator: bytes,
    names: list[str],
    *,
    layout: Layout | None = None,
    labels: Collection[str] = (),
    end_mark: bytes | None = None,
) -> Table:
    """Parse the lines below a header.

    Parameters
    ----------
    text
        File, positioned below the header.
    separator, names
        What is between two fields, and the header.
    layout
        Which fields hold text; found from the first block of lines if not given.
    labels
        Names of text fields that may hold numbers.
    end_mark
        Start of the line after the table, which then must come.
    """
    rows = None if layout is None else Rows(text.path, layout)
    ended = end_mark is None
    # Several rows are needed to tell text from numbers, however long a row is.
    for first, lines in text.batches(max(BLOCK, 8 * len("".join(names)))):
        inside = lines
        if end_mark is not None:
            inside = list(itertools.takewhile(lambda line: not line.startswith(end_mark), lines))
            ended = len(inside) < len(lines)
        cells = flat_cells(inside, first, separator, len(names), text.path)
        if rows is None and len(cells):
            rows = Rows(text.path, find_layout(cells, names, labels, text.path))
        if rows is not None:
            rows.add(cells)
        if end_mark is not None and ended:
            break
    if not ended:
        raise ValueError(f"{text.path.name} is cut short: its table has no end mark; download it again")
    if rows is None:
        raise ValueError(f"{text.path.name} has a header but no rows below it")
    return rows.table()


def first_row(text: TextFile) -> bytes:
    """Return the first line below the header."""
    line = text.line()
    while line is not None and not line.strip():
        line = text.line()
    if line is None:
        raise ValueError(f"{text.path.name} has a header but no rows below it")
    return line


def _read_header(text: TextFile) -> tuple[bytes, list[str], list[str]]:
    """Return separator, names and notes of the first line that is neither blank nor a comment."""
    notes, n_comments = [], 0
    line = text.text_line()
    while line is not None and (not line.strip() or (line.startswith("#") and _is_comment(line, text))):
        n_comments += bool(line.strip())
        line = text.text_line()
    if line is None:
        raise ValueError(f"{text.path.name} has no header and no rows: check that it was written completely")
    if n_comments:
        notes.append(f"{n_comments} comment line(s) above the header were skipped.")
    separator = _sniff(line, text.path)
    usual = b"\t" if ".tsv" in text.path.suffixes else b","
    if separator != usual and ".txt" not in text.path.suffixes:
        notes.append(f"Fields are separated by {separator.decode()!r}.")
    return separator, split_line(line, separator), notes


def _is_comment(line: str, text: TextFile) -> bool:
    """Tell a comment from a header that starts with '#': a header has as many fields as the line below it."""
    following = text.line()
    if following is None:
        return False
    text.put_back(following)
    separator = _sniff(line, text.path, default=b"\t")
    return following.count(separator) != line.encode().count(separator) or not following.count(separator)


def _sniff(line: str, path: Path, default: bytes | None = None) -> bytes:
    unquoted = re.sub(r'"[^"]*"', "", line)
    likely = ["\t", ",", ";", " "] if {".tsv", ".txt"} & set(path.suffixes) else [",", "\t", ";"]
    for separator in likely:
        if separator in unquoted:
            return separator.encode()
    if default is not None:
        return default
    raise ValueError(
        f"{path.name}: its header {line[:60]!r} is one field; expected names separated by commas, tabs or semicolons"
    )


def _match_header(text: TextFile, separator: bytes, names: list[str]) -> tuple[list[str], bool]:
    """Let the header have one name fewer than the rows, as R writes it."""
    line = first_row(text)
    fields = split_line(decode(line, text.path, text.n_read), separator)
    text.put_back(line)
    if len(fields) == len(names) + 1 and fields[-1]:
        return ["", *names], True
    return names, False
