"""Motif detectors of several widths side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import InputLayer, input_layer
from oligolearn.nn.motif_cnn import Convolution, Rectifier
from oligolearn.nn.sequence_pooling import SequencePool
from oligolearn.nn.track import MaskedNorm, Track


class MultiScaleCNN(Encoder):
    """Detectors of each width, rectified, pooled by themselves and joined, then a hidden layer.

    Short detectors with every position say what stands exactly where; long ones, pooled over a few positions, find what
    may be shifted. Shapes: codes ``(batch, length) -> (batch, hidden)``.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers` to read in their place.
    n_filters
        Number of detectors of each width.
    widths, windows
        Letters of the detectors, and for pooling ``"positions"`` the places that are pooled into one, for each width.
    pooling, length
        As in `SequencePool`.
    hidden, dropout
        Units of the layer after pooling, and the share of what is pooled that is set to zero before it.

    Raises
    ------
    ValueError
        If there are not as many windows as widths.

    Examples
    --------
    >>> encoder = MultiScaleCNN(torch.cat([torch.zeros(1, 4), torch.eye(4)]), 8, hidden=32)
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 32]), 32, 2)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        n_filters: int = 64,
        *,
        widths: Sequence[int] = (6, 15),
        windows: Sequence[int] = (1, 4),
        pooling: str = "max",
        length: int | None = None,
        hidden: int = 256,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) != len(windows) or not widths:
            raise ValueError(f"each width needs a window, found widths {tuple(widths)} and windows {tuple(windows)}")
        letters = input_layer(shares)
        pools = [SequencePool(pooling, n_filters, length=length, window=window) for window in windows]
        scales = [
            nn.Sequential(Convolution(letters.n_channels, n_filters, width), MaskedNorm(n_filters), Rectifier(), pool)
            for width, pool in zip(widths, pools, strict=True)
        ]
        n_pooled = sum(pool.out_dim for pool in pools)
        last = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(n_pooled, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.out_dim = hidden
        self.blocks = nn.ModuleList([nn.Sequential(letters, SideBySide(scales)), last])

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class SideBySide(nn.Module):
    """What several modules make of a `Track`, joined: ``(batch, sum of their widths)``."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, track: Track) -> Tensor:
        """Join."""
        return torch.cat([module(track) for module in self.each], dim=1)
