"""GCT files, versions 1.2 and 1.3 (https://software.broadinstitute.org/software/igv/GCT)."""

from pathlib import Path

from oligolearn.data.cells import split_line
from oligolearn.data.delimited import parse_table
from oligolearn.data.layout import Layout
from oligolearn.data.table import Table
from oligolearn.data.textfile import TextFile


def read_gct(path: Path) -> Table:
    """Read a GCT file: genes in rows, the descriptions of genes and (1.3) of samples beside the numbers.

    A declared size that differs from what the file holds is a note, not an error: published extracts keep the header of
    the file they were cut from.

    Raises
    ------
    ValueError
        Not a GCT file, short rows (which line), cells that are not numbers (which).
    """
    with TextFile(path) as text:
        version = (text.text_line() or "").strip()
        if version not in {"#1.2", "#1.3"}:
            raise ValueError(
                f"{path.name} is not a GCT file: expected '#1.2' or '#1.3' in line 1, found {version[:40]!r}"
            )
        n_rows, n_columns, n_row_info, n_column_info = _declared_sizes(text, version)
        names = split_line(text.text_line() or "", b"\t")
        n_text = 1 + n_row_info
        if len(names) <= n_text:
            raise ValueError(
                f"{path.name}, line 3: expected {n_text} description names and the samples, found {names[:4]}"
            )
        layout = Layout(names, list(range(n_text)), frozenset(range(n_text)), has_ids=True, n_leading=n_column_info)
        table = parse_table(text, b"\t", names, layout=layout)
    notes = [] if not n_column_info else [f"{n_column_info} rows describe the samples."]
    found = table.values.shape
    if found != (n_rows, n_columns):
        notes.append(
            f"The header announces {n_rows:,} genes and {n_columns:,} samples; "
            f"the file holds {found[0]:,} and {found[1]:,}."
        )
    return table._replace(notes=notes)


def _declared_sizes(text: TextFile, version: str) -> tuple[int, int, int, int]:
    """Return genes, samples, descriptions per gene, descriptions per sample."""
    line = (text.text_line() or "").split()
    expected = 2 if version == "#1.2" else 4
    if len(line) != expected or not all(size.isdigit() for size in line):
        raise ValueError(
            f"{text.path.name}, line 2: expected {expected} numbers (genes, samples), found {' '.join(line)[:40]!r}"
        )
    sizes = [int(size) for size in line]
    return (sizes[0], sizes[1], 1, 0) if version == "#1.2" else (sizes[0], sizes[1], sizes[2], sizes[3])
