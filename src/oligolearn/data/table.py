"""A rectangle of numbers with names on both sides: what every text and Parquet reader returns."""

import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

# What a user may write for "no value". "None" is not one of them: it can be a class ("treatment: none").
MISSING = frozenset(["", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null"])


_NAME = re.compile(r"[+-]?0\d[\d.]*|\d+[eE]\d+|[+-]?\d{16,}")  # a number to read, but not one to count with


class Table(NamedTuple):
    """Numbers with named rows and columns, before anyone has decided which of them are genes.

    Attributes
    ----------
    values
        float32, `(n_rows, n_columns)`, missing cells NaN.
    rows, columns
        Their names.
    row_info
        Text columns of the file, one row per row of `values`, missing cells NaN.
    column_info
        Text rows above the numbers, one row per column of `values`.
    corner
        Header of the column of row names: "gene_id", "sample", often nothing.
    notes
        Sentences on what the reader decided.
    has_names
        Whether the file names its rows; else they are called 1, 2, 3, ...
    """

    values: npt.NDArray[np.float32]
    rows: list[str]
    columns: list[str]
    row_info: pd.DataFrame
    column_info: pd.DataFrame
    corner: str
    notes: list[str]
    has_names: bool = True


def text_column(cells: "pd.Series[Any] | list[str | None]", *, numbers: bool = True) -> "pd.Series[Any]":
    """Clean a column of text: missing cells become NaN, then numbers if all are numbers, else categories.

    Numbers that are names stay text: with zeros in front, like ``007`` or ``12E4``, or too long to be exact.

    Parameters
    ----------
    cells
        Text or None.
    numbers
        False keeps text as it is even where all of it could be read as numbers.

    Examples
    --------
    >>> text_column(["1", "0", "NA"]).tolist()
    [1.0, 0.0, nan]
    >>> text_column(["ER+", "", "ER-"]).tolist()
    ['ER+', nan, 'ER-']
    """
    column = pd.Series(cells, dtype=object).reset_index(drop=True)
    column = column.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    column = column.where(~column.isin(MISSING) & column.notna(), np.nan)
    if numbers and column.notna().any() and not column.dropna().map(_is_name).any():
        as_numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
        if bool(np.isfinite(as_numbers[column.notna()]).all()):
            whole = as_numbers.notna().all() and bool((as_numbers % 1 == 0).all())
            return as_numbers.astype(np.int64) if whole else as_numbers
    return column.astype("category")


def _is_name(cell: object) -> bool:
    return isinstance(cell, str) and _NAME.fullmatch(cell) is not None


def some(names: "list[str] | pd.Index[str]", limit: int = 3) -> str:
    """List the first names, and how many more there are, for a sentence.

    Examples
    --------
    >>> some(["a", "b", "c", "d"], limit=2)
    "'a', 'b' and 2 more"
    """
    listed = ", ".join(repr(str(name)) for name in names[:limit])
    return listed if len(names) <= limit else f"{listed} and {len(names) - limit:,} more"
