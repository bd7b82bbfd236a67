"""Views that add noise."""

import torch
from torch import Tensor

from oligolearn.views.drawing import draw_normal


def add_noise(x: Tensor, *, scale: float = 0.5, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise: ``x + scale * N(0, 1)``, for standardised expression ``(batch, n_genes)``.

    Source: Laurent (2022), second augmentation.
    """
    if scale < 0:
        raise ValueError(f"scale of the noise must not be negative, found {scale}")
    return x + scale * draw_normal(x.shape, generator=generator, dtype=x.dtype)
