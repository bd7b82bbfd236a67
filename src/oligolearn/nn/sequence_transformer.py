"""Transformer over letters with rotary positions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import InputLayer, input_layer
from oligolearn.nn.motif_cnn import Convolution
from oligolearn.nn.sequence_pooling import SequencePool, readout
from oligolearn.nn.track import Track

_BASE = 10_000.0


class SequenceTransformer(Encoder):
    """Pre-norm transformer (Vaswani 2017) whose attention knows distances by rotation (RoFormer, Su 2021).

    Letters are embedded by a convolution, as single letters say little. Shapes: codes ``(batch, length) -> (batch,
    out_dim)``. Time and memory grow with the square of the length.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers` to read in their place.
    n_channels, n_heads, n_layers
        Width, attention heads (which divide it into even parts), layers.
    width
        Of the first convolution.
    pooling, length, window, hidden, dropout
        As in `MotifCNN`; dropout also after each attention and each hidden layer.

    Examples
    --------
    >>> encoder = SequenceTransformer(torch.cat([torch.zeros(1, 4), torch.eye(4)]))
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 64]), 64, 4)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        n_channels: int = 64,
        n_heads: int = 4,
        *,
        n_layers: int = 2,
        width: int = 9,
        pooling: str = "max",
        length: int | None = None,
        window: int = 1,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if n_heads < 1 or n_channels % (2 * n_heads):
            raise ValueError(f"n_channels must be a multiple of twice n_heads, found {n_channels} and {n_heads}")
        pool, self.out_dim = readout(SequencePool(pooling, n_channels, length=length, window=window), hidden, dropout)
        letters = input_layer(shares)
        first = nn.Sequential(letters, Convolution(letters.n_channels, n_channels, width))
        layers = [TransformerLayer(n_channels, n_heads, dropout) for _ in range(n_layers)]
        self.blocks = nn.ModuleList([first, *layers, nn.Sequential(LastNorm(n_channels), *pool)])

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class TransformerLayer(nn.Module):
    """Attention and a two-layer network, each normalised before and added."""

    def __init__(self, n_channels: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before_attention = nn.LayerNorm(n_channels)
        self.queries_keys_values = nn.Linear(n_channels, 3 * n_channels, bias=False)
        self.mixed = nn.Linear(n_channels, n_channels)
        self.network = nn.Sequential(
            nn.LayerNorm(n_channels),
            nn.Linear(n_channels, 4 * n_channels),
            nn.GELU(),
            nn.Linear(4 * n_channels, n_channels),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, track: Track) -> Track:
        """Let each letter look at all others of its sequence."""
        x = track.values.transpose(1, 2)
        batch, length, n_channels = x.shape
        parts = self.queries_keys_values(self.before_attention(x)).view(batch, length, 3, self.n_heads, -1)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        there = None if track.mask is None else track.mask[:, None] > 0
        seen = F.scaled_dot_product_attention(rotated(queries), rotated(keys), values, attn_mask=there)
        x = x + self.dropout(self.mixed(seen.transpose(1, 2).reshape(batch, length, n_channels)))
        x = x + self.dropout(self.network(x))
        return track.with_values(x.transpose(1, 2))


class LastNorm(nn.Module):
    """Layer norm over the channels of a `Track`."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_channels)

    def forward(self, track: Track) -> Track:
        """Normalise each place."""
        return track.with_values(self.norm(track.values.transpose(1, 2)).transpose(1, 2))


def rotated(x: Tensor) -> Tensor:
    """Turn pairs of channels by an angle that grows with the place, so that products depend on distances alone.

    Parameters
    ----------
    x
        ``(..., length, n)`` with `n` even; channel i is paired with channel ``i + n / 2`` (Su 2021, equation 34).
    """
    length, n = x.shape[-2:]
    speed = _BASE ** (-torch.arange(0, n, 2, device=x.device, dtype=x.dtype) / n)
    angle = torch.arange(length, device=x.device, dtype=x.dtype)[:, None] * speed
    left, right = x.chunk(2, dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)
