"""Memory that every step of a training uses again: to have it anew from the operating system takes long."""

import ctypes
import mmap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

_SMALLEST = 2**22  # bytes: below, what the processor knows of addresses reaches anyway
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_BLOCK = 2**25  # glibc takes no more
_lock = threading.Lock()
_training: list[None] = []  # trainings under way, in any thread


def lasting(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of zeros; on Linux, a large one on a CPU lies on huge pages.

    With pages of 4 KiB the processor looks up 5,000 addresses to go through 20 MB once, which on a virtual machine
    takes longer than to add the numbers up.
    """
    n_bytes = torch.Size(shape).numel() * dtype.itemsize
    if device.type != "cpu" or n_bytes < _SMALLEST or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # of a kernel without them
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype).view(shape)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the C library keep what a step frees for the next one; what it keeps is given back in the end.

    glibc hands blocks of many megabytes back to the system at once, which then has to clear them, page by page, for
    the next step: with 20,000 genes that is a quarter of a step. Elsewhere this does nothing.
    """
    with _lock:
        _training.append(None)
        _tell_malloc(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        _tell_malloc(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with _lock:
            _training.pop()
            if not _training:
                _tell_malloc(_M_TRIM_THRESHOLD, 2 * _LARGEST_BLOCK)  # where glibc's own adapting ends, too
                _give_back()


def _tell_malloc(what: int, value: int) -> None:
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(what, value)


def _give_back() -> None:
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
