"""From channels along a sequence to one vector."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn.track import Track, lengths

POOLINGS = ("max", "mean", "max+mean", "attention", "last", "positions")


class SequencePool(nn.Module):
    """Pool a `Track` into ``(batch, out_dim)``; places without a letter do not count.

    Parameters
    ----------
    pooling
        ``"max"``, ``"mean"``, ``"max+mean"``: over all places, wherever a motif stands. ``"attention"``: a mean with
        weights that a linear layer gives each place (softmax). ``"last"``: the channels of the last letter.
        ``"positions"``: the maximum of every `window` places, one after the other, for sequences in which a place
        means the same in all.
    channels
        Of the track.
    length
        For ``"positions"``: that of the longest sequence.
    window
        Likewise: places that are pooled into one.

    Raises
    ------
    ValueError
        If the pooling is unknown, or lacks its length.
    """

    def __init__(self, pooling: str, channels: int, *, length: int | None = None, window: int = 1) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {pooling!r}; choose one of {', '.join(POOLINGS)}")
        self.pooling = pooling
        self.window = window
        self.length = 0
        self.out_dim = channels * (2 if pooling == "max+mean" else 1)
        self.score = nn.Linear(channels, 1) if pooling == "attention" else None
        if pooling == "positions":
            if length is None or length < 1 or window < 1:
                raise ValueError(
                    f"pooling 'positions' needs the length of the sequences and a window of at least 1, found {length} "
                    f"and {window}"
                )
            self.length = length
            self.out_dim = channels * math.ceil(length / window)

    def forward(self, track: Track) -> Tensor:
        """Pool.

        Raises
        ------
        ValueError
            If a sequence is longer than ``"positions"`` was made for.
        """
        return _POOL[self.pooling](self, track)

    def _max(self, track: Track) -> Tensor:
        if track.mask is None:
            return track.values.amax(dim=2)
        return track.values.masked_fill(track.mask == 0, -math.inf).amax(dim=2)

    def _mean(self, track: Track) -> Tensor:
        return track.values.sum(dim=2) / lengths(track)[:, None].to(track.values)

    def _max_and_mean(self, track: Track) -> Tensor:
        return torch.cat([self._max(track), self._mean(track)], dim=1)

    def _attention(self, track: Track) -> Tensor:
        score = F.linear(track.values.transpose(1, 2), self.score.weight, self.score.bias)  # type: ignore[union-attr]
        if track.mask is not None:
            score = score.masked_fill(track.mask.transpose(1, 2) == 0, -math.inf)
        return torch.bmm(track.values, score.softmax(dim=1))[:, :, 0]

    def _last(self, track: Track) -> Tensor:
        if track.mask is None:
            return track.values[:, :, -1]
        places = torch.arange(track.values.shape[2], device=track.values.device)
        last = (track.mask[:, 0] * places).argmax(dim=1)
        return track.values[torch.arange(len(last), device=last.device), :, last]

    def _positions(self, track: Track) -> Tensor:
        missing = self.length - track.values.shape[2]
        if missing < 0:
            raise ValueError(
                f"the network is for sequences of up to {self.length} letters, found {track.values.shape[2]}"
            )
        values = F.pad(track.values, (0, missing)) if missing else track.values
        if self.window > 1:
            values = F.max_pool1d(values, self.window, ceil_mode=True)
        return values.flatten(1)


_POOL: dict[str, Callable[[SequencePool, Track], Tensor]] = {
    "max": SequencePool._max,
    "mean": SequencePool._mean,
    "max+mean": SequencePool._max_and_mean,
    "attention": SequencePool._attention,
    "last": SequencePool._last,
    "positions": SequencePool._positions,
}


class LastStates(nn.Module):
    """State of the forward direction after the last letter, and of the backward one after the first.

    Parameters
    ----------
    n_units
        Of each direction; the channels of the track are those of the forward one, then of the other.
    """

    def __init__(self, n_units: int) -> None:
        super().__init__()
        self.n_units = n_units
        self.out_dim = 2 * n_units
        self.last = SequencePool("last", self.out_dim)

    def forward(self, track: Track) -> Tensor:
        """Pick the states; letters begin at the first place."""
        last: Tensor = self.last(track)
        return torch.cat([last[:, : self.n_units], track.values[:, self.n_units :, 0]], dim=1)


def readout(pool: SequencePool | LastStates, hidden: int, dropout: float) -> tuple[nn.Sequential, int]:
    """Last block of an encoder, and what it gives: pooling, then a hidden layer where `hidden` is not 0."""
    if hidden < 0:
        raise ValueError(f"hidden must be 0 for no layer, or its units, found {hidden}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie from 0 to below 1, found {dropout}")
    layers: list[nn.Module] = [pool]
    if hidden:
        layers += [nn.Dropout(dropout), nn.Linear(pool.out_dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers), hidden or pool.out_dim
