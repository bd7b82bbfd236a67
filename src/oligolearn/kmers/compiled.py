"""Numba, where it is installed, and its cache on disk, where there is a place for one."""

from collections.abc import Callable
from typing import Any, TypeVar

try:
    from llvmlite import ir
    from numba import njit, types
    from numba.extending import intrinsic
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "k-mers need numba, which is not installed: pip install 'oligolearn[sequences]'"
    ) from None


__all__ = ["compiled", "intrinsic", "ir", "types"]

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compile `function` when it is first called, without the interpreter's lock, and keep the result for later runs.

    It is kept in ``NUMBA_CACHE_DIR`` where that is set, else beside the source, else, where the installation is read
    only, in the user's cache folder. With none of them writable it is compiled in every run, which takes seconds.
    """
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no place to write to
        return njit(function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
