"""Letters as channels along a sequence, and which places hold none."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Track(NamedTuple):
    """Channels along sequences of different lengths.

    Attributes
    ----------
    values
        ``(batch, channels, length)``, zero where there is no letter.
    mask
        ``(batch, 1, length)``, 1 where there is a letter and 0 where there is none; None where all places hold one.
    """

    values: Tensor
    mask: Tensor | None

    def with_values(self, values: Tensor) -> "Track":
        """Other channels at the same places, set to zero where there is no letter."""
        return Track(values if self.mask is None else values * self.mask, self.mask)


class Letters(nn.Module):
    """Codes to channels: ``(batch, length)`` whole numbers, 0 where there is no letter, to a `Track`.

    A letter is one-hot, an ambiguous one shared among what it stands for, and the mean of all letters is taken off: N,
    which says nothing, is zero, like what lies beyond the ends. A convolution then reads beyond the ends what DeepBind
    reads there (Alipanahi 2015), and computes what it would without the shift but for its bias.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``, row 0 for padding: `oligolearn.data.Alphabet.shares`.

    Attributes
    ----------
    complete
        Whether every place of every batch holds a letter, where that is known; None to look at each batch, which
        `torch.func.vmap` cannot do.

    Examples
    --------
    >>> track = Letters(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))(torch.tensor([[1, 3, 0]]))
    >>> track.values.tolist(), track.mask.tolist()
    ([[[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]]], [[[1.0, 1.0, 0.0]]])
    """

    table: Tensor

    def __init__(self, shares: Tensor) -> None:
        super().__init__()
        self.n_letters = self.n_channels = shares.shape[1]
        table = shares - 1 / self.n_letters
        table[0] = 0
        self.register_buffer("table", table, persistent=False)
        self.complete: bool | None = None

    def forward(self, codes: Tensor) -> Track:
        """Look the letters up."""
        numbers = codes.long()
        values = F.embedding(numbers, self.table).transpose(1, 2)
        there = numbers > 0
        complete = bool(there.all()) if self.complete is None else self.complete
        return Track(values, None if complete else there[:, None].to(values))


class MaskedNorm(nn.BatchNorm1d):
    """Batch norm of a `Track`: places without a letter count neither for mean and variance, nor get a value."""

    def forward(self, track: Track) -> Track:  # type: ignore[override]
        """Normalise each channel over batch and length."""
        values, mask = track
        if mask is None or not self.training:
            return track.with_values(super().forward(values))
        n = mask.sum().clamp(min=2)
        mean = (values * mask).sum(dim=(0, 2)) / n
        centred = (values - mean[:, None]) * mask
        variance = centred.square().sum(dim=(0, 2)) / n
        with torch.no_grad():
            share = self.momentum or 0.0
            # not `lerp_`, which torch.func.vmap does one replica at a time
            self.running_mean.mul_(1 - share).add_(share * mean)  # type: ignore[union-attr]
            self.running_var.mul_(1 - share).add_(share * variance * n / (n - 1))  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return track.with_values(centred * scale[:, None] + self.bias[:, None])


def lengths(track: Track) -> Tensor:
    """Number of letters of each sequence, ``(batch,)``."""
    if track.mask is None:
        return torch.full((len(track.values),), track.values.shape[2], device=track.values.device)
    return track.mask[:, 0].sum(dim=1).long()
