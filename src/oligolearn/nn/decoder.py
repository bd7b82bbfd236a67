"""Network from an embedding back to genes."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Decoder(nn.Module):
    """Reconstruct expression, ``(batch, n_in) -> (batch, n_features)``; used while pretraining and dropped afterwards.

    Hidden layers are linear, batch norm, ReLU; the last is linear alone, as standardised expression has no bounds.

    Parameters
    ----------
    n_in
        Width of the embedding.
    n_features
        Number of genes.
    hidden
        Units of the hidden layers, from the embedding to the genes; none makes the decoder linear.

    Raises
    ------
    ValueError
        If a layer has no unit.

    Examples
    --------
    >>> import torch
    >>> Decoder(8, 383, (16,))(torch.zeros(4, 8)).shape
    torch.Size([4, 383])
    """

    def __init__(self, n_in: int, n_features: int, hidden: Sequence[int] = ()) -> None:
        super().__init__()
        sizes = [n_in, *hidden]
        if min(sizes) < 1 or n_features < 1:
            raise ValueError(f"each layer of a decoder must have a unit, found {(*sizes, n_features)}")
        layers: list[nn.Module] = []
        for n_from, n_to in pairwise(sizes):
            layers += [nn.Linear(n_from, n_to, bias=False), nn.BatchNorm1d(n_to), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_features))

    def forward(self, embedding: Tensor) -> Tensor:
        """Decode an embedding."""
        decoded: Tensor = self.layers(embedding)
        return decoded
