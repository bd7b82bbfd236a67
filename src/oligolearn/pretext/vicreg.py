"""VICReg: the same output for both views, with variance and without redundancy."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import same_rows

_EPSILON = 1e-4  # added to variances: the square root has no slope at 0


def expander(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Three linear layers ``(batch, n_in) -> (batch, n_out)``, batch norm and ReLU between them.

    No biases: batch norm brings its own, and losses on centred outputs see none of the last layer.
    """
    return nn.Sequential(
        nn.Linear(n_in, n_hidden, bias=False),
        nn.BatchNorm1d(n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_hidden, bias=False),
        nn.BatchNorm1d(n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_out, bias=False),
    )


def suggest_width(batch_size: int) -> int:
    """Outputs of an expander: four for each row of the batch as in VICReg (8,192 for 2,048), from 16 to 256.

    With more of them, what correlates by chance outweighs the rest of the loss.
    """
    return min(256, max(16, 4 * batch_size))


def variance_loss(z: Tensor) -> Tensor:
    """How far the standard deviations of outputs ``(batch, dim)`` lie below 1, on average (Bardes 2022, eq. 1)."""
    return F.relu(1 - torch.sqrt(z.var(dim=0) + _EPSILON)).mean()


def covariance_loss(z: Tensor) -> Tensor:
    """Sum of squared covariances of different outputs ``(batch, dim)``, divided by `dim` (Bardes 2022, eq. 4).

    Examples
    --------
    >>> z = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])
    >>> round(covariance_loss(z).item(), 4)  # two covariances of 4/3
    1.7778
    """
    centred = z - z.mean(dim=0)
    covariance = at_least_float32(centred.T @ centred) / (len(z) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]


class VICReg(nn.Module):
    """Same output for both views, with variance and without redundancy (Bardes 2022, arXiv:2105.04906).

    ``forward(views)`` takes two views of the same rows, each ``(batch, n_features)``, and returns, for their outputs
    `a` and `b`, ``invariance * mean((a - b)^2) + variance * (v(a) + v(b)) / 2 + covariance * (c(a) + c(b))``, a
    scalar, with `v` of `variance_loss` and `c` of `covariance_loss`.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    invariance, variance, covariance
        Weights of the three terms.
    projection
        Hidden units of both hidden layers of the expander, and its outputs.

    Attributes
    ----------
    plateau : float
        Loss of an encoder that cannot tell samples apart: ``variance``, but for the epsilon in the square root.

    Raises
    ------
    ValueError
        If a weight is negative, or that of the variance, which keeps it from collapse, is 0.

    Notes
    -----
    Differs from the paper: invariance is a mean over outputs and the variance term is halved, as in the authors' code
    (the paper's eq. 5 and 6 sum over outputs and add the variances; a library that does not halve has twice our
    weight); the expander follows from the batch, see `suggest_options`, where the paper has 8,192 units three
    times.

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> objective = VICReg(MLP(20, (16, 8)))
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    augmented = (True, True)
    needs_rows = False
    per_replica = ("invariance", "variance", "covariance", "plateau")

    def __init__(
        self,
        encoder: Encoder,
        *,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        projection: tuple[int, int] = (256, 256),
    ) -> None:
        super().__init__()
        if not (invariance >= 0 and variance > 0 and covariance >= 0):
            raise ValueError(
                "invariance and covariance must not be negative and variance must be positive, found "
                f"{invariance}, {covariance} and {variance}"
            )
        self.encoder = encoder
        self.head = expander(encoder.out_dim, *projection)
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance
        self.plateau = variance * (1 - math.sqrt(_EPSILON))

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Complete the settings that a user has chosen by an expander as wide as four batches (`suggest_width`)."""
        if batch_size < 2:
            raise ValueError(f"VICReg takes variances over a batch: it needs at least 2 rows, found {batch_size}")
        return {"projection": (suggest_width(batch_size),) * 2, **chosen}

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Weighted sum of invariance, variance and covariance."""
        first, second = (at_least_float32(self.head(self.encoder(view))) for view in same_rows(views))
        return (
            self.invariance * F.mse_loss(first, second)
            + self.variance * (variance_loss(first) + variance_loss(second)) / 2
            + self.covariance * (covariance_loss(first) + covariance_loss(second))
        )
