"""SCARF: telling the corrupted copy of a sample from those of other samples."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder, ProjectionHead
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import joined, same_rows
from oligolearn.pretext.simclr import nt_xent

LOSSES = ("nt-xent", "info-nce")


def info_nce(anchors: Tensor, others: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of finding each row of `anchors` among all rows of `others` (Bahri 2022, algorithm 1).

    Parameters
    ----------
    anchors, others
        Features of the same rows, ``(batch, dim)``, of any length.
    temperature
        Divides the cosines.

    Returns
    -------
    Tensor
        Mean over the rows, a scalar.

    Examples
    --------
    >>> same = torch.ones(4, 3)
    >>> round(info_nce(same, same, temperature=1.0).exp().item(), 3)  # one of four
    4.0
    """
    first, second = (F.normalize(at_least_float32(z), dim=1) for z in (anchors, others))
    cosines = at_least_float32(first @ second.T) / temperature
    return (torch.logsumexp(cosines, dim=1) - cosines.diagonal()).mean()


class SCARF(nn.Module):
    """Tell the corrupted copy of a sample from those of other samples (Bahri 2022, arXiv:2106.15147).

    ``forward(views)`` takes the standardised rows themselves, the anchors, and a view of them in which a share of the
    values (.6) was replaced by those of other training rows; each ``(batch, n_features)``. Returns the contrastive loss
    of their features, a scalar.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    loss
        ``"nt-xent"``, SimCLR's: each of the ``2 * batch`` rows is to find its partner among all other rows.
        ``"info-nce"``, the paper's: each anchor is to find its corrupted copy among those of the batch.
    temperature
        Divides the cosines; the paper's is 1.
    projection
        Hidden units and outputs of the projection head.

    Attributes
    ----------
    plateau : float
        Loss of an encoder that cannot tell samples apart, ``ln(2 * batch - 1)``, or ``ln(batch)`` of the paper's loss,
        for the last batch; infinite before.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Differs from the paper: NT-Xent by default; the paper's loss without its constant ``-ln(batch)``; values are
    replaced with a probability of .6 each, not exactly 60% of them; the head has batch norm and 128 units, not 256. A
    public port replaces 40% when asked for 60%, and draws uniformly between each gene's extremes: neither is done here.

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> objective = SCARF(MLP(20, (16, 8)))
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    augmented = (False, True)
    needs_rows = False
    default_view: tuple[str, dict[str, Any]] = ("masking", {"share": 0.6, "per": "row", "fill": "marginal"})
    per_replica = ("temperature",)
    _plateau: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        loss: str = "nt-xent",
        temperature: float = 1.0,
        projection: tuple[int, int] = (128, 128),
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, found {loss!r}")
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, found {temperature}")
        self.encoder = encoder
        self.head = ProjectionHead(encoder.out_dim, *projection)
        self.loss = loss
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
            raise ValueError(f"SCARF compares the rows of a batch: it needs at least 2, found {batch_size}")
        return dict(chosen)

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Loss of finding each row's other version."""
        anchors, corrupted = same_rows(views)
        compare, n_others = (info_nce, len(anchors)) if self.loss == "info-nce" else (nt_xent, 2 * len(anchors) - 1)
        self._plateau.fill_(math.log(n_others))
        z = self.head(self.encoder(joined((anchors, corrupted))))
        return compare(*z.chunk(2), temperature=self.temperature)
