"""Multilayer perceptron over all genes of a sample."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from oligolearn.nn.encoder import Encoder


class MLP(Encoder):
    """Fully connected encoder: each block is linear, batch norm, ReLU, dropout.

    Shapes: ``(batch, n_features) -> (batch, out_dim)``.

    Parameters
    ----------
    n_features
        Number of genes.
    hidden
        Units of each block, from input to output. The default is the network that Laurent (2022) found by grid
        search on TCGA.
    dropout
        Share of each block's outputs set to zero while training.
    batch_norm
        Normalise each block's pre-activations over the batch.

    Examples
    --------
    >>> import torch
    >>> encoder = MLP(383)
    >>> encoder(torch.zeros(4, 383)).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([4, 128]), 128, 3)
    """

    def __init__(
        self, n_features: int, hidden: Sequence[int] = (512, 256, 128), *, dropout: float = 0.0, batch_norm: bool = True
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must name at least one block of at least one unit, found {tuple(hidden)}")
        sizes = [n_features, *hidden]
        self.blocks = nn.ModuleList(
            _block(n_in, n_out, dropout=dropout, batch_norm=batch_norm) for n_in, n_out in pairwise(sizes)
        )
        self.out_dim = sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(batch, n_features)`` as ``(batch, out_dim)``."""
        for block in self.blocks:
            x = block(x)
        return x


def _block(n_in: int, n_out: int, *, dropout: float, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not batch_norm)]  # batch norm brings its own bias
    if batch_norm:
        layers.append(nn.BatchNorm1d(n_out))
    layers.append(nn.ReLU())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
