"""Series matrix files of the Gene Expression Omnibus (https://www.ncbi.nlm.nih.gov/geo/info/soft.html)."""

from pathlib import Path

import pandas as pd

from oligolearn.data.cells import split_line
from oligolearn.data.delimited import parse_table
from oligolearn.data.layout import Layout
from oligolearn.data.table import Table, some, text_column
from oligolearn.data.textfile import TextFile

BEGIN, END = "!series_matrix_table_begin", b"!series_matrix_table_end"
KEPT = ("title", "source_name_ch1", "source_name_ch2", "organism_ch1", "platform_id", "description")


def is_series_matrix(path: Path) -> bool:
    """Tell a GEO series matrix from another text file by its first line."""
    with TextFile(path) as text:
        line = text.line()
        while line is not None and not line.strip():
            line = text.line()
        return line is not None and line.startswith((b"!Series_", b"!Sample_", b"!series_matrix"))


def read_series_matrix(path: Path) -> Table:
    """Read a series matrix: probes in rows, samples named by accession, their characteristics as columns of text.

    ``!Sample_characteristics_ch1 "tissue: liver"`` becomes column ``tissue`` with value ``liver``, each sample by its
    own key since the lines of a series are not always aligned.

    Raises
    ------
    ValueError
        No table, an empty one (sequencing series keep their counts in supplementary files), or one cut short.
    """
    with TextFile(path) as text:
        properties = _read_properties(text)
        names = split_line(text.text_line() or "", b"\t")
        if len(names) < 2:
            raise ValueError(f"{path.name}: the table of the series has no samples in its header")
        following = text.line()
        if following is None or following.startswith(END):
            raise ValueError(
                f"{path.name}: the table of the series is empty; GEO keeps the counts of sequencing series in "
                "supplementary files: give that file, and this one's sample properties as --samples"
            )
        text.put_back(following)
        layout = Layout(names, [0], frozenset(), has_ids=True, n_leading=0)
        table = parse_table(text, b"\t", names, layout=layout, end_mark=END)
    info = _sample_info(properties, table.columns, path)
    notes = [f"The series describes its samples by {some(list(info.columns), 8)}."] if len(info.columns) else []
    return table._replace(column_info=info, notes=table.notes + notes)


def _read_properties(text: TextFile) -> list[tuple[str, list[str]]]:
    """Read the lines above the table: the properties of samples as (name, one cell per sample)."""
    properties: list[tuple[str, list[str]]] = []
    while (line := text.text_line()) is not None:
        if line.startswith(BEGIN):
            return properties
        if line.startswith("!Sample_"):
            name, *cells = split_line(line, b"\t")
            properties.append((name.removeprefix("!Sample_"), cells))
    raise ValueError(f"{text.path.name} has no line {BEGIN}: it is not a series matrix, or cut short")


def _sample_info(properties: list[tuple[str, list[str]]], samples: list[str], path: Path) -> pd.DataFrame:
    columns: dict[str, list[str | None]] = {}
    for name, cells in properties:
        if len(cells) != len(samples):
            raise ValueError(f"{path.name}: !Sample_{name} has {len(cells)} cells for {len(samples)} samples")
        if name == "geo_accession" and [cell.strip() for cell in cells] != samples:
            raise ValueError(f"{path.name}: !Sample_geo_accession and the table's header name different samples")
        if name.startswith("characteristics"):
            for i, cell in enumerate(cells):
                key, colon, value = cell.partition(":")
                key, value = (key.strip(), value.strip()) if colon else (name, cell)
                column = columns.setdefault(key, [None] * len(samples))
                column[i] = value if column[i] is None else f"{column[i]}; {value}"
        elif name in KEPT and any(cells):
            columns.setdefault(name, list(cells))
    return pd.DataFrame(
        {name: text_column(cells) for name, cells in columns.items()}, index=pd.RangeIndex(len(samples))
    )
