"""Labels of which a sequence may have several at once: from columns of 0 and 1, or from names in one cell."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from oligolearn.data.sequences import Sequences
from oligolearn.data.table import some

_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")
_FEWEST = 2  # sequences with a label, and without: one to learn from, one to test on
_MANY = 500


class SeveralLabels(NamedTuple):
    """Labels of sequences that may have several at once, each known of enough sequences.

    Attributes
    ----------
    values
        As `several_labels` gives them.
    notes
        What was done, in sentences.
    """

    values: pd.DataFrame
    notes: list[str]


def several_labels(sequences: Sequences, label: str, separator: str | None = None) -> pd.DataFrame | None:
    """Read labels of which a sequence may have several at once; None where `label` is one label.

    Parameters
    ----------
    sequences
        With their columns.
    label
        Columns, separated by commas, of 1 and 0 (or true and false, yes and no), empty where not known. Or with a
        `separator` one column, of names; a cell of the separator alone says that there is none of them, an empty
        one that nothing is known.
    separator
        Between names in a cell.

    Returns
    -------
    DataFrame
        1 where a sequence has a label, 0 where it has not, NaN where that is not known, ``(n_sequences, n_labels)``;
        the columns are the names of the labels.

    Raises
    ------
    ValueError
        If there is no such column, or a cell holds something else.

    Examples
    --------
    >>> from oligolearn.data import encode_sequences
    >>> proteins = encode_sequences(["MKV", "MKL", "MRV", "MRL"], alphabet="protein")
    >>> proteins.obs["place"] = ["nucleus;membrane", "membrane", ";", "nucleus"]
    >>> several_labels(proteins, "place", separator=";").to_numpy()
    array([[1., 1.],
           [1., 0.],
           [0., 0.],
           [0., 1.]])
    """
    if separator is not None:
        return _from_cells(sequences, label, separator)
    if "," not in label or label in sequences.obs.columns:
        return None
    names = [name.strip() for name in label.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise ValueError(f"--label takes different names of columns between commas, found {label!r}")
    return pd.DataFrame({name: _yes_or_no(sequences, name) for name in names})


def values_of_label(sequences: Sequences, label: str, name: str, separator: str | None = None) -> "pd.Series[float]":
    """One of several labels: 1, 0 or NaN, ``(n_sequences,)``.

    Parameters
    ----------
    sequences, label, separator
        As in `several_labels`; `label` may be one column of 1 and 0 as well.
    name
        Of the label, not looked for where there is one column.

    Raises
    ------
    ValueError
        As `several_labels` does, or if no label has that name.
    """
    values = several_labels(sequences, label, separator)
    if values is None:
        return _yes_or_no(sequences, label)
    if name not in values:
        raise ValueError(f"there is no label {name!r} in {label!r}, which has {some(values.columns)}")
    return values[name]


def _yes_or_no(sequences: Sequences, name: str) -> "pd.Series[float]":
    """A column of 1 and 0."""
    text = sequences.label(name).str.strip().str.lower()
    unknown = text[text.notna() & ~text.isin([*_TRUE, *_FALSE])]
    if len(unknown):
        raise ValueError(
            f"column {name!r} must say 1 or 0 (or true and false, yes and no) of each sequence, empty where that is "
            f"not known, found {unknown.iloc[0]!r}; for classes or numbers give one column"
        )
    return text.isin(_TRUE).astype(float).where(text.notna())


def _from_cells(sequences: Sequences, label: str, separator: str) -> pd.DataFrame:
    if not separator.strip() or separator.isalnum():
        raise ValueError(f"--separator must be what stands between names, such as ';' or '|', found {separator!r}")
    text = sequences.label(label)
    cells = [None if pd.isna(cell) else {part.strip() for part in str(cell).split(separator)} - {""} for cell in text]
    names = sorted(set().union(*(cell for cell in cells if cell)))
    if len(names) < 2:
        raise ValueError(
            f"column {label!r} has {len(names)} name(s) between {separator!r}, and at least two are needed; give the "
            "separator of the file, or leave --separator out for one label"
        )
    if len(names) > _MANY:
        raise ValueError(
            f"column {label!r} has {len(names):,} different names between {separator!r}, more than {_MANY}; write the "
            "ones to learn into a column of their own"
        )
    values = [[np.nan if cell is None else float(name in cell) for name in names] for cell in cells]
    return pd.DataFrame(values, index=text.index, columns=names)


def large_labels(values: pd.DataFrame, label: str, *, min_class_size: int | None = None) -> SeveralLabels:
    """Labels that enough sequences have, and enough have not.

    Parameters
    ----------
    values
        As `several_labels` gives them.
    label
        What the user called them.
    min_class_size
        Labels with fewer sequences that have them, or have them not, are left out; None refuses those with fewer than
        2.

    Raises
    ------
    ValueError
        If one is too small, or fewer than two are left.
    """
    fewest = _FEWEST if min_class_size is None else min_class_size
    if fewest < _FEWEST:
        raise ValueError(f"min_class_size of several labels must be at least {_FEWEST}, found {fewest}")
    n_with, n_without = (values == 1).sum(), (values == 0).sum()
    small = (n_with < fewest) | (n_without < fewest)
    if small.any() and min_class_size is None:
        first = str(small.idxmax())
        raise ValueError(
            f"label {first!r} is 1 for {n_with[first]:,} sequences and 0 for {n_without[first]:,}, and at least "
            f"{_FEWEST} of each are needed; leave it out, or pass --min-class-size {_FEWEST} to leave out all such"
        )
    kept = values.loc[:, ~small.to_numpy()]
    if kept.shape[1] < 2:
        raise ValueError(
            f"{kept.shape[1]} of the {values.shape[1]} labels of {label!r} are 1 for at least {fewest} sequences and 0 "
            "for as many; at least two such labels are needed"
        )
    notes = [f"{kept.shape[1]} labels, of which a sequence may have several at once, or none."]
    if small.any():
        listed = some([f"{name} ({n_with[name]})" for name in values.columns[small.to_numpy()]])
        notes.append(
            f"{int(small.sum())} labels that fewer than {fewest} sequences have, or have not, are left out: {listed}."
        )
    n_empty = int(kept[kept.notna().any(axis=1)].isna().to_numpy().sum())
    if n_empty:
        notes.append(f"{n_empty:,} cells of labelled sequences are empty: nothing is learned from them.")
    return SeveralLabels(kept, notes)
