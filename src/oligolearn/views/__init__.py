"""Random views of a sample: ``(x, generator=...) -> x``, all randomness from an explicit generator."""

from collections.abc import Callable

from torch import Tensor

from oligolearn.views.masking import mask_genes
from oligolearn.views.noise import add_noise

VIEWS: dict[str, Callable[..., Tensor]] = {"masking": mask_genes, "noise": add_noise}

__all__ = ["VIEWS", "add_noise", "mask_genes"]
