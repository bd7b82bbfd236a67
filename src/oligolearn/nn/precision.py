"""Precision of losses."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Convert numbers of fewer than 32 bits to 32: sums of exponentials and variances need them."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
