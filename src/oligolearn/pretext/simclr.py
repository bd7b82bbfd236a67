"""SimCLR: telling the other view of a sample from all other samples."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder, ProjectionHead
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import joined, same_rows


def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of finding each row's other view among all other rows of both views (Chen 2020, eq. 1).

    Parameters
    ----------
    first, second
        Features of two views of the same rows, ``(batch, dim)``, of any length.
    temperature
        Divides the cosines.

    Returns
    -------
    Tensor
        Mean over the ``2 * batch`` rows, a scalar.

    Examples
    --------
    >>> same = torch.ones(4, 3)
    >>> round(nt_xent(same, same, temperature=0.5).exp().item(), 3)  # one of seven
    7.0
    """
    z = F.normalize(at_least_float32(torch.cat([first, second])), dim=1)
    n_rows = len(first)
    cosines = at_least_float32(z @ z.T) / temperature
    itself = torch.eye(2 * n_rows, dtype=torch.bool, device=z.device)
    positives = (z * z.roll(n_rows, dims=0)).sum(dim=1) / temperature
    return (torch.logsumexp(cosines.masked_fill(itself, -math.inf), dim=1) - positives).mean()


class SimCLR(nn.Module):
    """Tell the other view of a sample from the views of all other samples (Chen 2020, arXiv:2002.05709).

    ``forward(views)`` takes two views of the same rows, each ``(batch, n_features)``, and returns NT-Xent (eq. 1), a
    scalar: for each of the ``2 * batch`` views i with the other view j of the same row, the mean of
    ``-log(exp(cos(z_i, z_j) / temperature) / sum of exp(cos(z_i, z_k) / temperature) over all k but i)``.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    temperature
        Divides the cosines. The paper: .1 for large batches of images, .5 best for small ones.
    projection
        Hidden units and outputs of the projection head.

    Attributes
    ----------
    plateau : float
        Loss of an encoder that cannot tell samples apart, ``ln(2 * batch - 1)`` of the last batch; infinite before.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Differs from the paper: the head has no batch norm after its last layer, and 128 hidden units instead of the
    encoder's width; the learning rate is the training's and not scaled by the batch; the mean goes over all views,
    as in eq. 1, where the authors' code adds the means of the two views and so gives twice the loss.

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> objective = SimCLR(MLP(20, (16, 8)))
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    augmented = (True, True)
    needs_rows = False
    per_replica = ("temperature",)
    _plateau: Tensor

    def __init__(self, encoder: Encoder, *, temperature: float = 0.5, projection: tuple[int, int] = (128, 128)) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, found {temperature}")
        self.encoder = encoder
        self.head = ProjectionHead(encoder.out_dim, *projection)
        self.temperature = temperature
        # a buffer changed in place, so that each of stacked replicas has its own
        self.register_buffer("_plateau", torch.tensor(math.inf))

    @property
    def plateau(self) -> float:
        """Loss of an encoder that cannot tell samples apart."""
        return float(self._plateau)

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Take the settings as they are: none depends on the cohort. Refuses batches without other samples."""
        if batch_size < 2:
            raise ValueError(f"SimCLR compares the rows of a batch: it needs at least 2, found {batch_size}")
        return dict(chosen)

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Loss of finding each row's other view."""
        first, second = same_rows(views)
        self._plateau.fill_(math.log(2 * len(first) - 1))
        z = self.head(self.encoder(joined((first, second))))
        return nt_xent(*z.chunk(2), temperature=self.temperature)
