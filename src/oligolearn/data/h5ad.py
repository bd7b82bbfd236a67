"""AnnData files to a dense matrix with clean sample columns."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from oligolearn.data.table import some, text_column
from oligolearn.data.textfile import existing_file
from oligolearn.writing import check_folder, whole_file

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
CELLS_AT_ONCE = 1 << 22


def read_h5ad(path: Path) -> ad.AnnData:
    """Read an ``.h5ad`` file; X becomes dense float32, text columns become categories with NaN for missing cells.

    Layers, embeddings and graphs are left behind: nothing here uses them, and they can be larger than X.

    Raises
    ------
    ValueError
        Not an AnnData file, without X, X not made of numbers, or a damaged sparse X.
    """
    existing_file(path)
    with path.open("rb") as stream:
        if stream.read(len(HDF5_MAGIC)) != HDF5_MAGIC:
            raise ValueError(f"{path.name} is not an HDF5 file although its name ends in .h5ad: check what it is")
    return _read(ad.read_h5ad, path)


def read_zarr(path: Path) -> ad.AnnData:
    """`read_h5ad` for a ``.zarr`` store, a folder.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        As `read_h5ad`.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path (relative paths start at {Path.cwd()})")
    if not path.is_dir():
        raise ValueError(f"{path.name} is a file; a .zarr store is a folder: unpack it if it is an archive")
    return _read(ad.read_zarr, path)


def _read(reader: Callable[[Path], ad.AnnData], path: Path) -> ad.AnnData:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # repeated names and old formats are dealt with below
            raw = reader(path)
    except Exception as error:
        # anndata and h5py raise whatever the damaged place leads to: KeyError, OSError, AttributeError, their own
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path.name} is not an AnnData file that can be read ({reason}); write it again") from error
    if raw.X is None:
        kept = f"; layers {some(list(raw.layers))} could be put there" if len(raw.layers) else ""
        raise ValueError(f"{path.name} has no X: expected the samples x genes matrix in X{kept}")
    return ad.AnnData(
        X=_dense(raw.X, path),
        obs=clean_table(raw.obs),
        var=clean_table(raw.var),
        uns={"oligolearn": {"notes": earlier_notes(raw.uns)}},
    )


def _dense(X: Any, path: Path) -> npt.NDArray[np.float32]:
    if sp.issparse(X):
        matrix = sp.csr_matrix(X)
        try:
            matrix.check_format(full_check=True)  # a wrong index would write outside the array below
        except ValueError as error:
            raise ValueError(f"{path.name}: the sparse X is damaged ({error}); write the file again") from error
        X = matrix
    if not (np.issubdtype(X.dtype, np.number) or X.dtype == bool) or np.issubdtype(X.dtype, np.complexfloating):
        raise ValueError(f"{path.name}: X holds {X.dtype}, expected numbers")
    if not sp.issparse(X) and X.dtype == np.float32:
        return np.ascontiguousarray(X)
    dense = np.empty(X.shape, np.float32)
    step = max(1, CELLS_AT_ONCE // max(1, X.shape[1]))
    for start in range(0, len(dense), step):
        block = X[start : start + step]
        dense[start : start + step] = block.toarray() if sp.issparse(block) else block
    return dense


def clean_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn text into categories without missing-value words; leave numbers and booleans alone."""
    columns = {}
    for name, column in frame.items():
        is_plain = pd.api.types.is_numeric_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype)
        columns[str(name)] = (
            column if is_plain else text_column(column.astype(object), numbers=False).set_axis(frame.index)
        )
    return pd.DataFrame(columns, index=frame.index.astype(str))


def earlier_notes(uns: Any) -> list[str]:
    """Return what an earlier reading noted, if this file was written by `oligolearn convert`."""
    ours = uns.get("oligolearn", {})
    notes = ours.get("notes", []) if isinstance(ours, dict) else []
    return [str(note) for note in np.atleast_1d(np.asarray(notes, dtype=object))]


def check_target(path: Path) -> None:
    """Refuse a place where no AnnData file can be written, before the work for it is done.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        The name does not end in ``.h5ad``.
    """
    if path.suffix != ".h5ad":
        raise ValueError(f"{path.name}: expected a name ending in .h5ad for the file to write")
    check_folder(path)


def write_h5ad(adata: ad.AnnData, path: Path) -> None:
    """Write an AnnData file: complete, or not at all.

    Parameters
    ----------
    adata
        What to write; "/" in the name of a column, which HDF5 takes for a folder, becomes "_".
    path
        File to write or to replace.

    Raises
    ------
    ValueError, FileNotFoundError
        As `check_target`.
    """
    check_target(path)
    written = ad.AnnData(
        X=adata.X,
        obs=adata.obs.rename(columns=lambda name: str(name).replace("/", "_")),
        var=adata.var.rename(columns=lambda name: str(name).replace("/", "_")),
        uns=dict(adata.uns),
    )
    with whole_file(path) as temporary:
        written.write_h5ad(temporary)
