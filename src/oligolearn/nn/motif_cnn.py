"""One convolution whose filters are motif detectors (DeepBind)."""

from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import InputLayer, input_layer
from oligolearn.nn.sequence_pooling import SequencePool, readout
from oligolearn.nn.track import MaskedNorm, Track


class MotifCNN(Encoder):
    """Motif detectors, rectified, pooled over the sequence (DeepBind, Alipanahi 2015, doi:10.1038/nbt.3300).

    Shapes: codes ``(batch, length) -> (batch, out_dim)``.

    Differs from the paper: batch norm before the rectifier takes the place of each detector's threshold; a padded batch
    gives what its rows give by themselves; detectors beyond the ends of a sequence read a mean letter only where their
    middle is inside.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers` to read in their place.
    n_filters, width
        Number of detectors and their letters; 16 of 24 in the paper (16 letters for RNA).
    pooling, length, window
        As in `SequencePool`.
    hidden
        Units of a layer after pooling, 0 for none; 0 or 32 in the paper.
    dropout
        Share of what is pooled that is set to zero before that layer.

    Examples
    --------
    >>> import torch
    >>> shares = torch.cat([torch.zeros(1, 4), torch.eye(4)])
    >>> encoder = MotifCNN(shares, 8)
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 8]), 8, 2)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        n_filters: int = 64,
        *,
        width: int = 24,
        pooling: str = "max",
        length: int | None = None,
        window: int = 1,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        pool, self.out_dim = readout(SequencePool(pooling, n_filters, length=length, window=window), hidden, dropout)
        letters = input_layer(shares)
        detectors = Convolution(letters.n_channels, n_filters, width)
        first = nn.Sequential(letters, detectors, MaskedNorm(n_filters), Rectifier())
        self.blocks = nn.ModuleList([first, pool])

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class Convolution(nn.Conv1d):
    """Convolution of a `Track` that keeps its length; beyond the ends it reads zeros, and gives none there."""

    def __init__(self, n_in: int, n_out: int, width: int, dilation: int = 1) -> None:
        for what, number in (("filters", n_out), ("letters", width), ("places a dilation", dilation)):
            if number < 1:
                raise ValueError(f"a convolution needs 1 or more {what}, found {number}")
        super().__init__(n_in, n_out, width, dilation=dilation)

    def forward(self, track: Track) -> Track:  # type: ignore[override]
        """Convolve."""
        reach = (self.kernel_size[0] - 1) * self.dilation[0]
        return track.with_values(super().forward(F.pad(track.values, (reach // 2, reach - reach // 2))))


class Rectifier(nn.Module):
    """ReLU of a `Track`."""

    def forward(self, track: Track) -> Track:
        """Rectify."""
        return Track(F.relu(track.values), track.mask)
