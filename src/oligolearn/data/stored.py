"""Expression matrices that stay on disk: `.h5ad` and `.zarr`, opened without loading, read in blocks of rows."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from oligolearn.data.h5ad import HDF5_MAGIC, clean_table, earlier_notes
from oligolearn.data.samples import check_sample_ids, join_sheet, read_sample_sheet
from oligolearn.data.table import some
from oligolearn.data.textfile import existing_file
from oligolearn.machine import memory_of_machine

STORED = (".h5ad", ".zarr")
_COPIES = 5  # of the matrix, that learning in memory may hold at a time


class Rows(Protocol):
    """Reads rows of a matrix on disk."""

    shape: tuple[int, int]
    together: int  # rows that are stored together: reading fewer costs as much

    def read(self, start: int, stop: int, out: NDArray[np.float32]) -> None:
        """Fill `out`, ``(stop - start, n_genes)``."""


class StoredExpression:
    """A matrix on disk with what is known about its samples; only that is in memory.

    Parameters
    ----------
    path
        ``.h5ad`` or ``.zarr`` as anndata writes them, `X` dense or sparse by rows (CSR).
    samples
        Sample sheet, joined to the samples by id.

    Attributes
    ----------
    obs
        The samples, as `read_expression` gives them.
    genes
        Names of the columns.
    shape
        ``(n_samples, n_genes)``.
    notes
        Sentences on what was decided.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, has no `X`, or one that cannot be read by rows; genes or samples share a name.
    """

    def __init__(self, path: str | Path, samples: str | Path | None = None) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            with self._reading():
                self.obs, self.genes, self.notes = _tables(self._file)
                self._rows = _rows(self._file, self.path.name)
            self.shape = self._rows.shape
            self.together = self._rows.together
            self._check()
            if samples is not None:
                sheet = read_sample_sheet(existing_file(samples))
                self.obs, notes = join_sheet(self.obs, sheet, Path(samples).name)
                self.notes += notes
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self.shape[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self._file, "close"):
            self._file.close()

    def read(self, start: int, stop: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Values of consecutive samples as they are stored, ``(stop - start, n_genes)``, float32.

        Parameters
        ----------
        start, stop
            First row, and the one after the last.
        out
            Memory to use again.

        Raises
        ------
        ValueError
            The file is damaged there.
        """
        if out is None:
            out = np.empty((stop - start, self.shape[1]), np.float32)
        with self._reading():
            self._rows.read(start, stop, out)
        return out

    @property
    def size(self) -> int:
        """Bytes of the whole matrix, dense, in 32 bits."""
        return 4 * self.shape[0] * self.shape[1]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say in one sentence what is wrong with a file."""
        try:
            yield
        except ValueError as error:
            if type(error) is ValueError and str(error).startswith(self.path.name):
                raise
            raise _damaged(self.path, error) from error
        except MemoryError:
            raise
        except Exception as error:
            # h5py, zarr and anndata raise whatever the damaged place leads to
            raise _damaged(self.path, error) from error

    def _check(self) -> None:
        n_samples, n_genes = self.shape
        if (len(self.obs), len(self.genes)) != self.shape:
            raise ValueError(
                f"{self.path.name}: X is {n_samples:,} x {n_genes:,} but obs has {len(self.obs):,} samples and var "
                f"{len(self.genes):,} genes; write the file again"
            )
        if n_samples < 1 or n_genes < 2:
            raise ValueError(
                f"{self.path.name}: {n_samples:,} sample(s), {n_genes:,} gene(s); expected at least 1 and 2"
            )
        check_sample_ids(list(self.obs.index), self.path.name)
        index = pd.Index(self.genes)
        if "" in index or "nan" in index:
            raise ValueError(f"{self.path.name}: a gene has no name; name or remove it")
        if not index.is_unique:
            twice = index[index.duplicated()].unique()
            raise ValueError(
                f"{self.path.name}: {len(twice):,} gene(s) are named more than once ({some(twice)}); they are merged "
                "only in memory (--no-stream): rename or remove them"
            )


def open_expression(
    path: str | Path, *, samples: str | Path | None = None, stream: bool | None = None
) -> StoredExpression | None:
    """Open a matrix that should stay on disk; None for one to be read into memory.

    Parameters
    ----------
    path
        Any expression file.
    samples
        Sample sheet.
    stream
        True and False decide; None keeps on disk what is larger than a fifth of the memory of the machine, since
        learning in memory holds up to five copies.

    Raises
    ------
    ValueError
        `stream` is True for a file that cannot be read in blocks, or it is damaged.
    """
    path = Path(path)
    if stream is False:
        return None
    if path.suffix not in STORED:
        if stream:
            raise ValueError(
                f"{path.name}: only {' and '.join(STORED)} can be read in blocks; leave out --stream, or write it as "
                ".h5ad (oligolearn convert)"
            )
        return None
    largest = memory_of_machine() // _COPIES
    if stream is None and _dense_size(path) <= largest:
        return None
    stored = StoredExpression(path, samples)
    why = "as asked" if stream else f"more than a fifth of the memory, {largest / 2**30:.1f} GB"
    stored.notes.append(f"The matrix, {stored.size / 2**30:.1f} GB, stays on disk and is read in blocks ({why}).")
    return stored


def _dense_size(path: Path) -> int:
    """Bytes of X as float32, 0 where the file does not say; reading it in memory then tells what is wrong."""
    try:
        file = _open(path)
    except (ValueError, OSError):
        return 0
    try:
        X = file["X"]
        shape = X.shape if _is_array(X) else X.attrs.get("shape", X.attrs.get("h5sparse_shape"))
        return 4 * int(shape[0]) * int(shape[1])
    except (KeyError, TypeError, IndexError, OSError):
        return 0
    finally:
        if hasattr(file, "close"):
            file.close()


def _open(path: Path) -> Any:
    """Open the root group of a file or store."""
    if path.suffix == ".zarr":
        return _open_zarr(path)
    if path.suffix != ".h5ad":
        raise ValueError(f"{path.name}: only {' and '.join(STORED)} can be read in blocks")
    import h5py

    existing_file(path)
    with path.open("rb") as stream:
        if stream.read(len(HDF5_MAGIC)) != HDF5_MAGIC:
            raise ValueError(f"{path.name} is not an HDF5 file although its name ends in .h5ad: check what it is")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from error


def _open_zarr(path: Path) -> Any:
    import zarr

    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path (relative paths start at {Path.cwd()})")
    if not path.is_dir():
        raise ValueError(f"{path.name} is a file; a .zarr store is a folder: unpack it if it is an archive")
    try:
        return zarr.open_group(path, mode="r")
    except Exception as error:  # zarr raises whatever the damaged place leads to
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:160]
    return ValueError(f"{path.name} is not an AnnData file that can be read ({reason}); write it again")


def _tables(file: Any) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Samples, names of genes, and notes of an earlier reading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        obs, var = ad.io.read_elem(file["obs"]), ad.io.read_elem(file["var"])
        uns = ad.io.read_elem(file["uns"]) if "uns" in file else {}
    return clean_table(obs), [str(name) for name in var.index], earlier_notes(uns)


def _is_array(X: Any) -> bool:
    return hasattr(X, "dtype") and hasattr(X, "shape")


def _rows(file: Any, name: str) -> Rows:
    if "X" not in file:
        layers = list(file["layers"]) if "layers" in file else []
        kept = f"; layers {some(layers)} could be put there" if layers else ""
        raise ValueError(f"{name} has no X: expected the samples x genes matrix in X{kept}")
    X = file["X"]
    if _is_array(X):
        return _DenseRows(X, name)
    kind = str(X.attrs.get("encoding-type", X.attrs.get("h5sparse_format", "")))
    if kind.startswith("csc"):
        raise ValueError(
            f"{name}: X is stored by columns (CSC), so that rows cannot be read in blocks; write it by rows "
            "(adata.X = adata.X.tocsr()), or pass --no-stream if it fits in memory"
        )
    if not kind.startswith("csr"):
        raise ValueError(f"{name}: X is stored as {kind or 'a group'}, expected a dense matrix or CSR")
    return _SparseRows(X, name)


def _check_numbers(dtype: Any, name: str) -> None:
    if not (np.issubdtype(dtype, np.number) or dtype == np.bool_) or np.issubdtype(dtype, np.complexfloating):
        raise ValueError(f"{name}: X holds {dtype}, expected numbers")


class _DenseRows:
    def __init__(self, X: Any, name: str) -> None:
        _check_numbers(X.dtype, name)
        if len(X.shape) != 2:
            raise ValueError(f"{name}: X has {len(X.shape)} dimension(s), expected samples x genes")
        self.shape = (int(X.shape[0]), int(X.shape[1]))
        self.together = int(X.chunks[0]) if X.chunks else 1
        self._X = X
        # HDF5 converts values one by one: numpy is faster
        self._direct = hasattr(X, "read_direct") and X.dtype == np.float32

    def read(self, start: int, stop: int, out: NDArray[np.float32]) -> None:
        if self._direct and out.flags.c_contiguous:
            self._X.read_direct(out, np.s_[start:stop])
        else:
            out[:] = self._X[start:stop]


class _SparseRows:
    def __init__(self, X: Any, name: str) -> None:
        shape = X.attrs.get("shape", X.attrs.get("h5sparse_shape"))
        self.shape = (int(shape[0]), int(shape[1]))
        self.together = 1
        self._data, self._indices = X["data"], X["indices"]
        _check_numbers(self._data.dtype, name)
        self._starts = np.asarray(X["indptr"][:], dtype=np.int64)
        n_stored = min(self._data.shape[0], self._indices.shape[0])
        starts = self._starts
        if len(starts) != self.shape[0] + 1 or starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > n_stored:
            raise ValueError(f"{name}: the sparse X is damaged (its row starts do not fit); write the file again")
        self._name = name

    def read(self, start: int, stop: int, out: NDArray[np.float32]) -> None:
        starts = self._starts[start : stop + 1]
        stored = slice(int(starts[0]), int(starts[-1]))
        columns = np.asarray(self._indices[stored])
        values = np.asarray(self._data[stored]).astype(np.float32, copy=False)
        if len(columns) and (columns.min() < 0 or columns.max() >= self.shape[1]):
            # it would be written outside of `out`
            raise ValueError(f"{self._name}: the sparse X is damaged (a column beyond the last); write the file again")
        block = sp.csr_matrix((values, columns, starts - starts[0]), shape=out.shape, copy=False)
        if out.flags.c_contiguous:
            out[:] = 0  # scipy adds
            block.toarray(out=out)
        else:
            out[:] = block.toarray()
