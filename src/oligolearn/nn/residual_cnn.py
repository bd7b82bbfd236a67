"""Deep dilated convolutions with residual connections (ProtCNN)."""

from collections.abc import Sequence

from torch import Tensor, nn

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import InputLayer, input_layer
from oligolearn.nn.motif_cnn import Convolution, Rectifier
from oligolearn.nn.sequence_pooling import SequencePool, readout
from oligolearn.nn.track import MaskedNorm, Track


class ResidualCNN(Encoder):
    """A convolution, then pre-activation residual blocks of growing dilation (ProtCNN, Bileschi 2022).

    Each residual block is batch norm, ReLU, dilated convolution, batch norm, ReLU, convolution of width 1, added to
    what came in (doi:10.1038/s41587-021-01179-w). The paper has 1,100 filters of width 9, bottlenecks of 550, and
    blocks of dilation 1, 1, 3, 9, 27.

    Shapes: codes ``(batch, length) -> (batch, out_dim)``.

    Differs from the paper: fewer filters by default, and batch norm takes its mean and variance over letters alone,
    not over padding.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers` to read in their place.
    n_filters, width
        Of the first convolution, and width of the dilated ones.
    dilations
        One residual block each.
    bottleneck
        Filters of the dilated convolutions.
    pooling, length, window, hidden, dropout
        As in `MotifCNN`.

    Examples
    --------
    >>> import torch
    >>> encoder = ResidualCNN(torch.cat([torch.zeros(1, 4), torch.eye(4)]), 16)
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 16]), 16, 7)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        n_filters: int = 64,
        *,
        width: int = 9,
        dilations: Sequence[int] = (1, 1, 3, 9, 27),
        bottleneck: int = 32,
        pooling: str = "max",
        length: int | None = None,
        window: int = 1,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        pool, self.out_dim = readout(SequencePool(pooling, n_filters, length=length, window=window), hidden, dropout)
        letters = input_layer(shares)
        first = nn.Sequential(letters, Convolution(letters.n_channels, n_filters, width))
        middle = [Residual(n_filters, bottleneck, width, dilation) for dilation in dilations]
        last = nn.Sequential(MaskedNorm(n_filters), Rectifier(), *pool)
        self.blocks = nn.ModuleList([first, *middle, last])

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class Residual(nn.Module):
    """Pre-activation residual block with a bottleneck."""

    def __init__(self, n_filters: int, bottleneck: int, width: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            MaskedNorm(n_filters),
            Rectifier(),
            Convolution(n_filters, bottleneck, width, dilation),
            MaskedNorm(bottleneck),
            Rectifier(),
            Convolution(bottleneck, n_filters, 1),
        )

    def forward(self, track: Track) -> Track:
        """Add the block's output to its input."""
        added: Track = self.layers(track)
        return Track(track.values + added.values, track.mask)
