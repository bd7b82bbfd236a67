"""Outputs of a trained module."""

import torch
from torch import Tensor, nn

from oligolearn.training.products import exact_copy


@torch.no_grad()
def apply_in_batches(module: nn.Module, x: Tensor, *, batch_size: int = 1024) -> Tensor:
    """Outputs of a module in evaluation mode, computed in 64 bits and rounded to 32.

    In 32 bits the last digits of a matrix product depend on the size of the batch. Rounding from 64 bits makes a
    sample's output the same whatever other samples it is computed with, in any process.

    Parameters
    ----------
    module
        Left as it was found: mode, precision, device.
    x
        ``(n, n_features)``, on the device of the module or on the CPU.
    batch_size
        Rows at a time: bounds the memory, does not change the result.

    Returns
    -------
    Tensor
        ``(n, ...)``, float32, on the CPU.
    """
    exact = exact_copy(module)
    device = next(exact.parameters()).device
    parts = [exact(part.to(device, torch.float64)).float().cpu() for part in torch.split(x, batch_size)]
    return torch.cat(parts)
