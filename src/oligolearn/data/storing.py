"""AnnData files written in blocks of rows, for matrices larger than memory."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from oligolearn.data.stored import STORED
from oligolearn.writing import check_folder, whole_file, whole_folder

_STORED_TOGETHER = 1 << 18  # numbers of a sparse matrix
_CHUNK_CELLS = 1 << 20


def check_stored_target(path: Path) -> None:
    """Refuse a place where no such file can be written, before the work for it is done.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        The name ends in neither ``.h5ad`` nor ``.zarr``.
    """
    if path.suffix not in STORED:
        raise ValueError(f"{path.name}: expected a name ending in {' or '.join(STORED)} for the file to write")
    check_folder(path)


def store_expression(
    path: Path,
    frame: ad.AnnData,
    blocks: Iterable[NDArray[np.float32]],
    *,
    sparse: bool = False,
) -> None:
    """Write an AnnData file whose `X` comes in blocks of rows: complete, or not at all.

    Parameters
    ----------
    path
        ``.h5ad`` or ``.zarr``, to write or to replace.
    frame
        `obs`, `var` and `uns`; its `X` is not looked at.
    blocks
        Consecutive rows, ``(n, n_genes)``.
    sparse
        Write CSR.

    Raises
    ------
    ValueError, FileNotFoundError
        As `check_stored_target`.
    """
    check_stored_target(path)
    with _opened(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*zarr.*")  # anndata on its defaults to come
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        elements: Mapping[str, Any] = {"obs": frame.obs, "var": frame.var, "uns": dict(frame.uns)}
        for name, element in elements.items():
            ad.io.write_elem(file, name, element)
        for name in ("layers", "obsm", "obsp", "varm", "varp"):
            ad.io.write_elem(file, name, {})
        write = _write_sparse if sparse else _write_dense
        write(file, frame.shape, blocks)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Root group of a file that takes the place of `path` when all is written."""
    if path.suffix == ".zarr":
        import zarr

        with whole_folder(path) as temporary:
            yield zarr.open_group(temporary, mode="w", zarr_format=2)  # what anndata before 0.13 writes and reads
        return
    import h5py

    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        yield file


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...] | None) -> Any:
    if hasattr(group, "create_array"):  # zarr
        return group.create_array(name, shape=shape, dtype=dtype, chunks=chunks or shape, compressors=None)
    growing = (None,) if len(shape) == 1 and chunks else None
    return group.create_dataset(name, shape=shape, dtype=dtype, chunks=chunks, maxshape=growing)


def _write_dense(file: Any, shape: tuple[int, int], blocks: Iterable[NDArray[np.float32]]) -> None:
    in_pieces = hasattr(file, "create_array")
    chunks = (min(shape[0], max(1, _CHUNK_CELLS // shape[1])), shape[1]) if in_pieces else None
    X = _array(file, "X", shape, np.dtype(np.float32), chunks)
    X.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    start = 0
    for block in blocks:
        X[start : start + len(block)] = block
        start += len(block)


def _write_sparse(file: Any, shape: tuple[int, int], blocks: Iterable[NDArray[np.float32]]) -> None:
    group = file.create_group("X")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(shape)})
    data = _array(group, "data", (0,), np.dtype(np.float32), (_STORED_TOGETHER,))
    indices = _array(group, "indices", (0,), np.dtype(np.int32), (_STORED_TOGETHER,))
    starts = [np.zeros(1, np.int64)]
    for block in blocks:
        rows = sp.csr_matrix(block)
        n_before = int(starts[-1][-1])
        for stored, values in ((data, rows.data), (indices, rows.indices)):
            stored.resize((n_before + rows.nnz,))
            stored[n_before:] = values
        starts.append(rows.indptr[1:].astype(np.int64) + n_before)
    indptr = np.concatenate(starts)
    _array(group, "indptr", indptr.shape, np.dtype(np.int64), None)[:] = indptr
