"""What is known about samples: the sheet that describes them, and their labels."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oligolearn.data.cells import split_line
from oligolearn.data.orientation import SAMPLE_CORNER
from oligolearn.data.table import some, text_column
from oligolearn.data.textfile import TextFile, decode, existing_file

if TYPE_CHECKING:
    import anndata as ad

_FEWEST_NUMBERS = 20  # different ones: a label with fewer names classes


def read_sample_sheet(path: Path) -> pd.DataFrame:
    """Read a sample sheet: CSV, TSV or TXT (gzipped or not) or Parquet, a row per sample, all cells as text or None.

    Raises
    ------
    ValueError
        Ragged rows (which line), no rows, a column name used twice.
    FileNotFoundError
        No such file.
    """
    if path.suffix == ".parquet":
        existing_file(path)
        try:
            sheet = pq.read_table(path).to_pandas()
            if not isinstance(sheet.index, pd.RangeIndex) or sheet.index.name is not None:
                sheet = sheet.reset_index()
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path.name} is not a Parquet file that can be read ({str(error)[:120]})") from error
        return pd.DataFrame(sheet.astype(object).map(lambda cell: None if pd.isna(cell) else str(cell)))
    with TextFile(path) as text:
        header = text.text_line() or ""
        counts = {separator: header.count(separator) for separator in ("\t", ",", ";")}
        separator = max(counts, key=lambda key: counts[key]).encode()
        names = [name.strip() for name in split_line(header, separator)]
        rows = []
        for first, lines in text.batches():
            for number, line in enumerate(lines, first):
                if line.strip(separator + b" "):
                    rows.append(split_line(decode(line, path, number), separator))
                    if len(rows[-1]) != len(names):
                        raise ValueError(
                            f"{path.name}, line {number}: {len(rows[-1])} fields where the header has {len(names)}"
                        )
    if not rows:
        raise ValueError(f"{path.name} describes no samples: expected a header and a row per sample")
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise ValueError(f"{path.name}: column {some(repeated)} appears twice in the header; rename one")
    return pd.DataFrame(rows, columns=names, dtype=object)


def id_column(sheet: pd.DataFrame, ids: Iterable[str]) -> tuple[str, int]:
    """Return the column of a sheet that holds most of the ids, and how many of them.

    Raises
    ------
    ValueError
        If several hold as many and say different things.
    """
    wanted = set(ids)
    matches = {str(name): len(wanted & set(column.dropna().str.strip())) for name, column in sheet.items()}
    most = max(matches.values())
    best = [name for name, n in matches.items() if n == most]
    named = [name for name in best if SAMPLE_CORNER.match(name)]
    if most and len(named) != 1 and any(not sheet[name].equals(sheet[best[0]]) for name in best[1:]):
        raise ValueError(
            f"the columns {some(best)} of the sample sheet hold as many of the sample ids, in another order; remove "
            "the one that does not name the samples, or call the other 'sample'"
        )
    return (named if len(named) == 1 else best)[0], most


def join_sheet(
    obs: pd.DataFrame, sheet: pd.DataFrame, name: str, *, needed: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """Add the columns of a sample sheet to the samples with the same id.

    Parameters
    ----------
    obs
        Samples; the index holds their ids. Those without a row in the sheet keep missing cells.
    sheet
        As from `read_sample_sheet`; the column that holds most of the ids is the one to join by.
    name
        Of the sheet, for sentences.
    needed
        False where it may be about other samples alone.

    Returns
    -------
    obs
        With the columns of the sheet but the ids.
    notes
        How many matched, and what was replaced.

    Raises
    ------
    ValueError
        No id matches (two of each side are shown) and the sheet is needed, or an id has two rows that differ.
    """
    column, n_matched = id_column(sheet, obs.index)
    if n_matched == 0 and not needed:
        return obs, [f"The sample sheet {name} describes none of the samples."]
    if n_matched == 0:
        raise ValueError(_no_match(obs.index, sheet, name))
    sheet = sheet.assign(**{column: sheet[column].str.strip()})
    sheet = sheet[sheet[column].isin(obs.index)].drop_duplicates()
    repeated = sheet.loc[sheet[column].duplicated(), column].unique().tolist()
    if repeated:
        raise ValueError(f"{name}: {len(repeated)} sample(s) have rows that differ ({some(repeated)}); keep one each")
    rows = sheet.set_index(column).reindex(obs.index)
    notes = [
        f"The sample sheet {name} describes {n_matched:,} of {len(obs):,} samples (joined by {column!r})"
        + (f"; the other {len(obs) - n_matched:,} have no label." if n_matched < len(obs) else ".")
    ]
    joined = obs.copy()
    replaced = [str(other) for other in rows.columns if other in joined.columns]
    if replaced:
        notes.append(f"Columns of the sample sheet replace those of the file: {some(replaced)}.")
    for other in rows.columns:
        joined[str(other)] = text_column(rows[other]).set_axis(obs.index)
    return joined, notes


def _no_match(ids: "pd.Index[str]", sheet: pd.DataFrame, name: str) -> str:
    first = sheet.columns[0]
    message = (
        f"{name}: no sample id of the data file occurs in the sheet; the file has {some(list(ids[:2]))}, "
        f"the sheet's column {first!r} has {some(sheet[first].dropna().tolist()[:2])}; make the ids equal"
    )
    simple = {_simplified(sample) for sample in ids}
    for column, cells in sheet.items():
        if simple & {_simplified(cell) for cell in cells.dropna()}:
            return f"{message} (column {column!r} would match if '.', '-', '_', a leading X and case were alike)"
    return message


def _simplified(sample: str) -> str:
    return sample.strip().lower().removeprefix("x").replace(".", "-").replace("_", "-")


def label_of(adata: "ad.AnnData", label: str) -> "pd.Series[str]":
    """Return a label as text, NaN where it is missing.

    Parameters
    ----------
    adata
        Samples in rows.
    label
        Column of ``obs``.

    Returns
    -------
    Series of object dtype, indexed by sample; whole numbers read "0", "1", not "0.0".

    Raises
    ------
    ValueError
        There is no such column (those there are listed), or it holds no value.
    """
    if label not in adata.obs.columns:
        known = ", ".join(str(column) for column in adata.obs.columns) or "none (are the genes in rows? see --genes-in)"
        raise ValueError(
            f"there is no column {label!r} to use as label; the columns are: {known} "
            "(a sample sheet can add others: --samples)"
        )
    column = adata.obs[label]
    if column.isna().all():
        raise ValueError(f"column {label!r} is empty in all {len(column):,} samples; choose another label")
    return as_text(column)


def as_text(column: "pd.Series[Any]") -> "pd.Series[str]":
    """Cells as text, NaN where missing; whole numbers read "0", "1", not "0.0"."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_float_dtype(column.dtype):
        known = column.dropna()
        if bool(((known % 1 == 0) & (known.abs() < 2**53)).all()):
            column = column.astype("Int64")
    text: pd.Series[str] = column.astype(object).map(lambda cell: np.nan if pd.isna(cell) else str(cell))
    return text.astype(object)


def is_number(text: "pd.Series[str]") -> bool:
    """Whether a label is learned by regression: it has more than 20 different numbers and nothing else.

    Parameters
    ----------
    text
        As `label_of` gives it.
    """
    numbers = pd.to_numeric(_filled(text), errors="coerce")
    return bool(numbers.notna().all()) and numbers.nunique() > _FEWEST_NUMBERS


def _filled(text: "pd.Series[str]") -> "pd.Series[str]":
    """Cells that are neither missing nor blank."""
    known = text.dropna()
    return known[known.str.strip() != ""]


def parse_numbers(text: "pd.Series[str]", label: str) -> NDArray[np.float64]:
    """Numbers that are given as text, NaN where there is none, ``(n,)``.

    Raises
    ------
    ValueError
        If one is infinite.
    """
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    if np.isinf(numbers).any():
        raise ValueError(f"label {label!r} has {int(np.isinf(numbers).sum())} infinite values; leave those cells empty")
    return numbers


def numbers_of(adata: "ad.AnnData", label: str) -> tuple[NDArray[np.float64], list[str]]:
    """Numbers of a label, NaN where there are none, and how many samples lack one, in sentences.

    Raises
    ------
    ValueError
        If there is no such column, or a number is infinite.
    """
    text = label_of(adata, label)
    numbers = parse_numbers(text, label)
    notes = []
    others = _filled(text[np.isnan(numbers)])
    if len(others):
        found = some(others.unique().tolist())
        notes.append(f"{len(others):,} samples whose {label!r} is no number ({found}) count as having none.")
    missing = int(np.isnan(numbers).sum())
    if missing:
        notes.append(f"{missing:,} samples have no {label!r}.")
    return numbers, notes


def check_sample_ids(ids: Sequence[str], name: str) -> None:
    """Refuse sample ids that occur twice."""
    repeated = pd.Index(ids)[pd.Index(ids).duplicated()].unique().tolist()
    if repeated:
        raise ValueError(
            f"{name}: {len(repeated)} sample id(s) occur more than once ({some(repeated)}); each sample needs its own "
            "(if these are genes, say --genes-in)"
        )
