"""Any network of sequences as a function of its letters' channels, so that these can be changed and differentiated."""

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.data import Alphabet
from oligolearn.explain.motif import complement_of_letters
from oligolearn.nn import BothStrands, Letters


class Track(NamedTuple):
    """Sequences as the first layer sees them.

    Attributes
    ----------
    values
        Shares of the letters less their mean, ``(batch, length, n_letters)``, 0 where there is no letter.
    there
        Whether there is a letter, ``(batch, length)``.
    """

    values: Tensor
    there: Tensor


def track_of(codes: Tensor, alphabet: Alphabet) -> Track:
    """Channels of codes ``(batch, length)``, in 64 bits."""
    there = codes > 0
    shares = torch.from_numpy(alphabet.shares).double()[codes.long()]
    return Track((shares - 1 / len(alphabet.letters)) * there[..., None], there)


class OpenNetwork:
    """A network as a function of a `Track`, in evaluation mode and 64 bits, on the processor.

    Every encoder begins by looking codes up in the table of its `Letters`. Here each place gets a number of its own for
    a code, and the table holds what is at each place; whatever an encoder does with codes before (turning a strand,
    moving padding) it does with these numbers, and what it looks up follows.

    Parameters
    ----------
    network
        `oligolearn.nn.Classifier` over an encoder of sequences; not changed.
    alphabet
        Of the sequences.

    Raises
    ------
    ValueError
        If the encoder does not read its input through `Letters`, but as vectors of k-mers.
    """

    def __init__(self, network: nn.Module, alphabet: Alphabet) -> None:
        self.network: Any = copy.deepcopy(network).cpu().double().eval()
        self.network.requires_grad_(requires_grad=False)
        self.letters: list[Any] = [one for one in self.network.modules() if isinstance(one, Letters)]
        self.strands: list[Any] = [one for one in self.network.modules() if isinstance(one, BothStrands)]
        if not self.letters:
            raise ValueError(
                "the model reads vectors of k-mers, so that its letters have no channels of their own to attribute "
                "to; train one with embedding='one-hot'"
            )
        self.turned: NDArray[np.intp] | None = complement_of_letters(alphabet) if self.strands else None

    def __call__(self, track: Track) -> Tensor:
        """Outputs of the network, ``(batch, n_out)``, differentiable in the track's values."""
        batch, length, n_letters = track.values.shape
        flat = track.values.reshape(-1, n_letters)
        parts = [flat.new_zeros(1, n_letters), flat]
        n = batch * length
        if self.turned is not None:
            parts.append(flat[:, torch.from_numpy(self.turned)])
            one, other = torch.arange(1, n + 1), torch.arange(n + 1, 2 * n + 1)
            for module in self.strands:
                module.complement = torch.cat([torch.zeros(1, dtype=torch.long), other, one])
        table = torch.cat(parts)
        for module in self.letters:
            module.table = table
        numbers = torch.arange(1, n + 1).view(batch, length) * track.there
        outputs: Tensor = self.network(numbers)
        return outputs
