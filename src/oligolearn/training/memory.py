"""Memory for tensors of many megabytes that every step reads or writes as a whole."""

import mmap
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

_SMALLEST = 2**22  # bytes: below, what the processor knows of addresses reaches anyway


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
