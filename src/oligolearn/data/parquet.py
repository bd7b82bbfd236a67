"""Parquet files to a table of float32."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oligolearn.data.layout import numbers_name_rows
from oligolearn.data.table import Table, some, text_column
from oligolearn.data.textfile import existing_file

CELLS_AT_ONCE = 1 << 22


def read_parquet(path: Path, labels: Collection[str] = ()) -> Table:
    """Read a Parquet file: columns of numbers are the matrix, the first of text (or pandas' index) names the rows.

    Parameters
    ----------
    path
        File.
    labels
        Columns to be kept beside the matrix even if they hold numbers.

    Raises
    ------
    ValueError
        Not Parquet, nested columns, no column of numbers.
    """
    existing_file(path)
    try:
        with pq.ParquetFile(path) as file:
            return _read(file, path, labels)
    except (pa.ArrowException, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is not a Parquet file that can be read ({str(error)[:120]})") from error


def _read(file: pq.ParquetFile, path: Path, labels: Collection[str]) -> Table:
    schema = file.schema_arrow
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise ValueError(f"{path.name}: columns {some(nested)} are nested; expected one number per cell")
    index = _index_column(file, labels)
    numeric = [f.name for f in schema if _is_number(f.type) and f.name not in labels and f.name != index]
    others = [field.name for field in schema if field.name not in {*numeric, index}]
    if not numeric:
        raise ValueError(f"{path.name} has no column of numbers; its columns are {some(schema.names, 5)}")
    n_rows = file.metadata.num_rows
    values = np.empty((n_rows, len(numeric)), np.float32)
    start = 0
    for batch in file.iter_batches(max(1, CELLS_AT_ONCE // len(numeric)), columns=numeric):
        for i, column in enumerate(batch.select(numeric).columns):
            values[start : start + len(batch), i] = column.to_numpy(zero_copy_only=False)
        start += len(batch)
    words = file.read(columns=[*others, *([index] if index else [])], use_pandas_metadata=False)
    info = pd.DataFrame({name: _text(words.column(name)) for name in others}, index=pd.RangeIndex(n_rows))
    notes = [] if index else ["No column names the rows: they are called 1, 2, 3, ..."]
    if others:
        notes.append(f"Columns without numbers describe the rows: {some(others, 5)}.")
    return Table(
        values,
        _row_names(words, index, path) if index else [str(i + 1) for i in range(n_rows)],
        numeric,
        info,
        pd.DataFrame(index=pd.RangeIndex(len(numeric))),
        "" if index is None or index.startswith("__index") else index,
        notes,
        has_names=index is not None,
    )


def _row_names(words: pa.Table, index: str, path: Path) -> list[str]:
    names = [str(name) if name is not None else "" for name in words.column(index).to_pylist()]
    if "" in names:
        raise ValueError(f"{path.name}: column {index!r} names the rows but is empty in row {names.index('') + 1}")
    return names


def _index_column(file: pq.ParquetFile, labels: Collection[str]) -> str | None:
    """Return the column of row names: pandas' index if it was stored, else the first if it is text or distinct ids."""
    schema = file.schema_arrow
    stored = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    if len(stored) == 1 and stored[0] in schema.names:
        return stored[0]
    first = schema.field(0)
    if first.name in labels:
        return None
    if pa.types.is_integer(first.type):
        cells = [None if cell is None else str(cell) for cell in file.read(columns=[first.name]).column(0).to_pylist()]
        return first.name if numbers_name_rows(schema.names, cells) else None
    return first.name if _is_text(first.type) else None


def _text(column: pa.ChunkedArray) -> "pd.Series[Any]":
    cells = [None if cell is None else str(cell) for cell in column.to_pylist()]
    return text_column(cells, numbers=_is_number(column.type))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
