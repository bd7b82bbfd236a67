"""Expression matrices from the files that people have, as AnnData."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from oligolearn.data.delimited import read_delimited
from oligolearn.data.gct import read_gct
from oligolearn.data.genes import DUPLICATE_GENES, merge_duplicate_genes, note_on_dates
from oligolearn.data.geo import is_series_matrix, read_series_matrix
from oligolearn.data.h5ad import read_h5ad, read_zarr
from oligolearn.data.leakage import PATIENT
from oligolearn.data.orientation import find_genes
from oligolearn.data.parquet import read_parquet
from oligolearn.data.samples import check_sample_ids, join_sheet, read_sample_sheet
from oligolearn.data.sequence_kinds import FASTA, FASTQ, STOCKHOLM
from oligolearn.data.table import Table, some, text_column
from oligolearn.data.textfile import existing_file

EXTENSIONS = (".h5ad", ".csv", ".tsv", ".txt", ".parquet", ".gct", ".csv.gz", ".tsv.gz", ".txt.gz", ".gct.gz", ".zarr")
GENES_IN = ("auto", "rows", "columns")
CELLS_AT_ONCE = 1 << 22
_OF_PATIENTS = re.compile(  # EFS alone is a gene
    rf"({PATIENT.pattern}|(sample|barcode|label|class|target|diagnosis|outcome|subtype|response|phenotype|cohort|site"
    r"|center|hospital)([ _.-]?(id|no|code|name|number))?)|"
    r"(patient[ _.-]?)?(age|sex|gender|bmi|race|ethnicity|height|weight)([ _.-](at|in|years|group|kg|cm).*)?"
    r"|(tumou?r|clinical|pathologic|disease)?[ _.-]?(stage|grade|size|status)|batch|plate|dose|treatment|smok(er|ing).*"
    r"|((os|pfs|dfs|rfs|dss|efs)[ _.-]|overall[ _.-]|survival|follow[ _.-]?up|vital[ _.-]|event|time|days|months|years)"
    r"([ _.-]?(to|survival|time|status|event|days|months|years|death|last|relapse|recurrence|progression|up|in|free))*",
    re.IGNORECASE,
)


class _Expression(NamedTuple):
    """Samples in rows, genes in columns, and how that came about."""

    X: npt.NDArray[np.float32]
    obs: pd.DataFrame
    var: pd.DataFrame
    genes_in: str
    notes: list[str]


def read_expression(
    path: str | Path,
    *,
    samples: str | Path | None = None,
    label: str | Sequence[str] | None = None,
    genes_in: str = "auto",
    duplicate_genes: str = "auto",
    min_samples: int = 2,
    sheet_needed: bool = True,
) -> ad.AnnData:
    """Read an expression matrix and what is known about its samples.

    Parameters
    ----------
    path
        ``.h5ad``, ``.zarr``; ``.csv``, ``.tsv``, ``.txt`` or ``.gct``, each also with ``.gz``; ``.parquet``; a GEO
        series matrix (``.txt``, ``.txt.gz``).
    samples
        Sample sheet, joined to the samples by id.
    label
        Column (or columns) of the table that describe the samples even if they hold numbers. Columns without any
        number need not be named.
    genes_in
        "rows" or "columns" of a table; "auto" finds out and says so.
    duplicate_genes
        Genes named more than once: "sum", "mean", "refuse", or "auto" (counts are summed, all else averaged).
    min_samples
        Fewer are refused: 1 is enough where a model is applied to them.
    sheet_needed
        Refuse a sample sheet that describes none of the samples; False where it may be about those of other files.

    Returns
    -------
    AnnData with X float32 `(n_samples, n_genes)`, missing values NaN, nothing transformed; ``obs`` with text as
    categories and missing cells NaN; unique gene names; ``uns["oligolearn"]`` with ``file``, ``format``,
    ``genes_in``, ``in_sheet`` (whether the sample sheet describes any) and ``notes``, sentences on every decision.

    Raises
    ------
    FileNotFoundError
        A file is missing, or is a folder.
    ValueError
        Anything else that is wrong with a file: the message says what was expected, what was found, and where.
    """
    path = Path(path) if Path(path).suffix == ".zarr" else existing_file(path)
    if genes_in not in GENES_IN:
        raise ValueError(f"genes_in must be one of {', '.join(GENES_IN)}, found {genes_in!r}")
    if duplicate_genes not in DUPLICATE_GENES:
        raise ValueError(f"duplicate_genes must be one of {', '.join(DUPLICATE_GENES)}, found {duplicate_genes!r}")
    kind = _format(path)
    labels = [label] if isinstance(label, str) else list(label or ())
    sheet = None if samples is None else read_sample_sheet(existing_file(samples))
    sheet_ids = set() if sheet is None else {str(cell).strip() for cell in sheet.to_numpy().ravel() if cell}

    if kind in {"h5ad", "zarr"}:
        found = _from_anndata(path, genes_in)
    else:
        table = _read_table(path, kind, labels)
        if sheet is not None and not table.has_names:
            raise ValueError(
                f"{path.name} does not name its samples, so no sample sheet can be joined to it: put their ids in a "
                "first column"
            )
        found = _orient(table, kind, genes_in, sheet_ids, labels)
        del table
    check_sample_ids(list(found.obs.index), path.name)
    found = _labels_from_genes(found, labels, path)
    found = _merge_genes(found, duplicate_genes)
    _check_values(found, path, min_samples)
    in_sheet = False
    if sheet is not None and samples is not None:
        obs, notes = join_sheet(found.obs, sheet, Path(samples).name, needed=sheet_needed)
        in_sheet = obs is not found.obs
        found = found._replace(obs=obs, notes=found.notes + notes)
    summary = {
        "file": path.name,
        "format": kind,
        "genes_in": found.genes_in,
        "in_sheet": in_sheet,
        "notes": found.notes,
    }
    return ad.AnnData(X=found.X, obs=found.obs, var=found.var, uns={"oligolearn": summary})


def _format(path: Path) -> str:
    """Return the name of the file's format by its extension, or for text by its first line."""
    name = path.name.lower()
    known = [extension for extension in EXTENSIONS if name.endswith(extension)]
    if not known:
        raise ValueError(
            f"{path.name}: unknown extension; expected one of {', '.join(EXTENSIONS)}, or for sequences one of "
            f"{', '.join(FASTA + FASTQ + STOCKHOLM)}"
        )
    kind = known[0].removeprefix(".").removesuffix(".gz")
    return "series matrix" if kind == "txt" and is_series_matrix(path) else kind


def _read_table(path: Path, kind: str, labels: Sequence[str]) -> Table:
    if kind == "gct":
        return read_gct(path)
    if kind == "series matrix":
        return read_series_matrix(path)
    if kind == "parquet":
        return read_parquet(path, labels)
    return read_delimited(path, labels)


def _from_anndata(path: Path, genes_in: str) -> _Expression:
    if genes_in == "rows":
        raise ValueError(
            f"{path.name}: an {path.suffix} file has its genes in columns; leave out genes_in (--genes-in)"
        )
    adata = read_zarr(path) if path.suffix == ".zarr" else read_h5ad(path)
    return _Expression(adata.X, adata.obs, adata.var, "columns", adata.uns["oligolearn"]["notes"])


def _orient(table: Table, kind: str, genes_in: str, sheet_ids: set[str], labels: Sequence[str]) -> _Expression:
    """Put samples in rows."""
    if kind in {"gct", "series matrix"}:
        if genes_in == "columns":
            raise ValueError(f"a {kind} file has its genes in rows by definition; leave out genes_in")
        side, why = "rows", f"as in every {kind} file"
    elif genes_in == "auto":
        side, why = find_genes(table, sheet_ids, labels)
    else:
        side, why = genes_in, "as asked"
    notes = [*table.notes, f"Genes are in {side} ({why})."]
    row_info = table.row_info.set_axis(table.rows, axis=0)
    column_info = table.column_info.set_axis(table.columns, axis=0)
    if side == "columns":
        return _Expression(table.values, row_info, column_info, side, notes)
    return _Expression(np.ascontiguousarray(table.values.T), column_info, row_info, side, notes)


def _labels_from_genes(found: _Expression, labels: Sequence[str], path: Path) -> _Expression:
    """Move labels and what is known of patients, read as rows or columns of numbers, to what describes samples."""
    names = [str(name) for name in found.var.index]
    of_patients = [] if path.suffix in {".h5ad", ".zarr"} else [n for n in names if _OF_PATIENTS.fullmatch(n.strip())]
    moving = [i for i, name in enumerate(names) if name in {*labels, *of_patients} and name not in found.obs]
    if not moving:
        return found
    obs = found.obs.copy()
    for i in moving:
        cells = [None if np.isnan(value) else repr(float(value)) for value in found.X[:, i]]
        obs[names[i]] = text_column(cells).set_axis(obs.index)
    notes = list(found.notes)
    if said := [names[i] for i in moving if names[i] not in labels]:
        they = (
            "describes samples, by its name, and was"
            if len(said) == 1
            else "describe samples, by their names, and were"
        )
        notes.append(f"{some(said)} {they} not taken for genes.")
    return found._replace(
        X=np.delete(found.X, moving, axis=1), obs=obs, var=found.var.drop(index=found.var.index[moving]), notes=notes
    )


def _merge_genes(found: _Expression, how: str) -> _Expression:
    names = [str(name) for name in found.var.index]
    if "" in names or "nan" in names:
        raise ValueError(
            f"gene {(names.index('') if '' in names else names.index('nan')) + 1} has no name; name or remove it"
        )
    if dates := note_on_dates(names):
        found = found._replace(notes=[*found.notes, dates])
    X, kept, note = merge_duplicate_genes(found.X, names, how)
    if note is None:
        return found
    return found._replace(X=X, var=found.var.iloc[kept], notes=[*found.notes, note])


def _check_values(found: _Expression, path: Path, min_samples: int) -> None:
    """Refuse a matrix too small, empty or infinite."""
    n_samples, n_genes = found.X.shape
    where = (
        "" if path.suffix in {".h5ad", ".zarr"} else f" (genes were taken to be in {found.genes_in}: see --genes-in)"
    )
    if n_genes < 2:
        raise ValueError(f"{path.name}: {n_genes} gene(s), {n_samples:,} samples; expected at least 2 genes{where}")
    if n_samples < min_samples:
        raise ValueError(
            f"{path.name}: {n_samples} sample(s), {n_genes:,} genes; expected at least {min_samples} samples{where}"
        )
    all_missing = True
    step = max(1, CELLS_AT_ONCE // n_genes)
    for start in range(0, n_samples, step):
        block = found.X[start : start + step]
        infinite = np.argwhere(np.isinf(block))
        if len(infinite):
            names = [f"sample {found.obs.index[start + i]!r}, gene {found.var.index[j]!r}" for i, j in infinite[:3]]
            raise ValueError(
                f"{path.name}: infinite values, or values too large for 32 bits ({'; '.join(names)}); "
                "replace them by finite numbers, or by empty cells if missing (log of zero?)"
            )
        all_missing = all_missing and bool(np.isnan(block).all())
    if all_missing:
        raise ValueError(f"{path.name}: all {n_samples:,} x {n_genes:,} values are missing; expected numbers")
