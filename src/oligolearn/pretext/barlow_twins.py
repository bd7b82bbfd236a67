"""Barlow Twins: outputs that agree between views and do not repeat each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from oligolearn.nn import Encoder
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import same_rows
from oligolearn.pretext.vicreg import expander, suggest_width

_EPSILON = 1e-5  # of batch norm, which the authors standardise by


def cross_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Correlation over a batch of each output of one view and each of the other (Zbontar 2021, eq. 2).

    Parameters
    ----------
    first, second
        Outputs for two views of the same rows, ``(batch, dim)``.

    Returns
    -------
    Tensor
        ``(dim, dim)``; 0 for outputs that are constant.

    Examples
    --------
    >>> z = torch.tensor([[1.0, 1.0], [2.0, 0.0], [3.0, 1.0], [4.0, 0.0]])
    >>> cross_correlation(z, z).round(decimals=2)
    tensor([[ 1.0000, -0.4500],
            [-0.4500,  1.0000]])
    """
    return at_least_float32(_standardised(first).T @ _standardised(second)) / len(first)


class BarlowTwins(nn.Module):
    """Make outputs agree between views and not repeat each other (Zbontar 2021, arXiv:2103.03230).

    ``forward(views)`` takes two views of the same rows, each ``(batch, n_features)``, and returns, for the matrix C of
    `cross_correlation`, ``sum of (1 - C_ii)^2 + redundancy * sum of C_ij^2 over i != j`` (eq. 1), a scalar. An encoder
    that cannot tell samples apart has the loss `plateau`, the number of outputs.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    redundancy
        Weight of the second term.
    projection
        Hidden units of both hidden layers of the expander, and its outputs.

    Raises
    ------
    ValueError
        If the weight is negative.

    Notes
    -----
    Differs from the paper: the expander follows from the batch, see `suggest_options`, where the paper has 8,192
    units three times.

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> objective = BarlowTwins(MLP(20, (16, 8)))
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    augmented = (True, True)
    needs_rows = False
    per_replica = ("redundancy",)

    def __init__(
        self, encoder: Encoder, *, redundancy: float = 0.0051, projection: tuple[int, int] = (256, 256)
    ) -> None:
        super().__init__()
        if not redundancy >= 0:
            raise ValueError(f"redundancy must not be negative, found {redundancy}")
        self.encoder = encoder
        self.head = expander(encoder.out_dim, *projection)
        self.redundancy = redundancy
        self.plateau = float(projection[1])

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Complete the settings that a user has chosen by an expander as wide as four batches (`suggest_width`)."""
        if batch_size < 2:
            raise ValueError(f"Barlow Twins correlates over a batch: it needs at least 2 rows, found {batch_size}")
        return {"projection": (suggest_width(batch_size),) * 2, **chosen}

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Distance of the cross-correlation from the identity."""
        first, second = (self.head(self.encoder(view)) for view in same_rows(views))
        correlation = cross_correlation(first, second)
        agreement = correlation.diagonal()
        repeated = correlation.square().sum() - agreement.square().sum()
        return (1 - agreement).square().sum() + self.redundancy * repeated


def _standardised(z: Tensor) -> Tensor:
    z = at_least_float32(z)
    centred = z - z.mean(dim=0)
    return centred * torch.rsqrt(centred.square().mean(dim=0) + _EPSILON)
