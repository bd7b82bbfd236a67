"""Recurrent networks along a sequence, in both directions."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import InputLayer, input_layer
from oligolearn.nn.sequence_pooling import LastStates, SequencePool, readout
from oligolearn.nn.track import Track, lengths

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(Encoder):
    """Stacked RNN, GRU or LSTM over the letters, from torch.

    Shapes: codes ``(batch, length) -> (batch, out_dim)``.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers` to read in their place.
    cell
        ``"rnn"``, ``"gru"`` or ``"lstm"``.
    n_units, n_layers
        Units of each layer and direction.
    bidirectional
        Read from both ends.
    pooling
        ``"last"``: the state after the last letter and, read backwards, after the first. Else as in `SequencePool`.
    length, window, hidden
        As in `MotifCNN`.
    dropout
        Between layers, and before the hidden one.
    truncation
        Letters through which the gradient goes back (truncated back-propagation through time), in one direction only;
        None for all. Outputs are the same; memory and what is learned of long distances are not.

    Examples
    --------
    >>> encoder = Recurrent(torch.cat([torch.zeros(1, 4), torch.eye(4)]), "lstm", 16, n_layers=2)
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 32]), 32, 3)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        cell: str = "gru",
        n_units: int = 64,
        *,
        n_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "max",
        length: int | None = None,
        window: int = 1,
        hidden: int = 0,
        dropout: float = 0.0,
        truncation: int | None = None,
    ) -> None:
        super().__init__()
        if n_layers < 1:
            raise ValueError(f"n_layers must be at least 1, found {n_layers}")
        if truncation is not None and (bidirectional or truncation < 1):
            raise ValueError(
                f"truncation is of a network that reads in one direction, and at least 1 letter, found {truncation}; "
                "pass bidirectional=False"
            )
        letters = input_layer(shares)
        width = n_units * (2 if bidirectional else 1)
        sizes = [letters.n_channels, *[width] * (n_layers - 1)]
        layers = [
            RecurrentLayer(cell, size, n_units, bidirectional=bidirectional, truncation=truncation) for size in sizes
        ]
        pool = recurrent_pool(pooling, n_units, bidirectional=bidirectional, length=length, window=window)
        last, self.out_dim = readout(pool, hidden, dropout)
        first = nn.Sequential(LeftAligned(), letters, layers[0])
        self.blocks = nn.ModuleList([first, *(nn.Sequential(TrackDropout(dropout), one) for one in layers[1:]), last])

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class LeftAligned(nn.Module):
    """Codes with the letters of each sequence moved to its start, so that no state is spent on padding."""

    def forward(self, codes: Tensor) -> Tensor:
        """Move padding to the end."""
        order = (codes == 0).to(torch.uint8).argsort(dim=1, stable=True)
        return codes.gather(1, order)


class RecurrentLayer(nn.Module):
    """One layer of torch's, `Track` to `Track` ``(batch, n_units * directions, length)``."""

    def __init__(
        self, cell: str, n_in: int, n_units: int, *, bidirectional: bool, truncation: int | None = None
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}; choose one of {', '.join(CELLS)}")
        self.layer = CELLS[cell](n_in, n_units, batch_first=True, bidirectional=bidirectional)
        self.truncation = truncation

    def forward(self, track: Track) -> Track:
        """Run along the letters; the backward direction begins at the last letter, not at padding."""
        rows = track.values.transpose(1, 2)
        if self.truncation is not None and self.training:
            states = self._in_parts(rows, self.truncation).transpose(1, 2)
            return Track(states if track.mask is None else states * track.mask, track.mask)
        if track.mask is None:
            return Track(self.layer(rows)[0].transpose(1, 2), None)
        packed = pack_padded_sequence(rows, lengths(track).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.layer(packed)[0], batch_first=True, total_length=rows.shape[1])
        return Track(states.transpose(1, 2), track.mask)

    def _in_parts(self, rows: Tensor, size: int) -> Tensor:
        """States of parts of the sequence, each from the last state of the one before, through which nothing learns.

        From left to right what follows the letters does not change their states, so that padding may be read as well.
        """
        found, state = [], None
        for part in torch.split(rows, size, dim=1):
            states, state = self.layer(part, state)
            found.append(states)
            state = tuple(one.detach() for one in state) if isinstance(state, tuple) else state.detach()
        return torch.cat(found, dim=1)


class TrackDropout(nn.Module):
    """Dropout of a `Track`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(p)

    def forward(self, track: Track) -> Track:
        """Set some channels of some places to zero."""
        return Track(self.dropout(track.values), track.mask)


def recurrent_pool(
    pooling: str, n_units: int, *, bidirectional: bool, length: int | None, window: int
) -> SequencePool | LastStates:
    """Pooling of the states of both directions, of which ``"last"`` means the last that each came to."""
    if bidirectional and pooling == "last":
        return LastStates(n_units)
    return SequencePool(pooling, n_units * (2 if bidirectional else 1), length=length, window=window)
