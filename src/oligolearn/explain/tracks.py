"""A model of sequences as a function of what its first layers look up, so that this can be changed and differentiated.

Every encoder begins by looking codes up: letters in the table of its `Letters`, or k-mers in that of its
`EmbeddedKmers`. Here each place gets a number of its own for a code, and the table holds what is at each place;
whatever an encoder does with codes before (turning a strand, moving padding) it does with these numbers, and what it
looks up follows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.data import Alphabet
from oligolearn.explain.motif import complement_of_letters
from oligolearn.nn import BothStrands, EmbeddedKmers, Letters, reverse_complement
from oligolearn.training import exact_copy


class Track(NamedTuple):
    """Sequences as the first layers see them.

    Attributes
    ----------
    values
        Channels of each place, ``(batch, length, n_channels)``, 0 where there is no letter.
    there
        Whether there is a letter, ``(batch, length)``.
    """

    values: Tensor
    there: Tensor


class LetterChannels:
    """Shares of the letters less their mean: a channel for each letter, the same for every network.

    Parameters
    ----------
    alphabet
        Of the sequences.
    n_networks
        That read them.
    both_strands
        Whether these read the other strand as well.
    """

    def __init__(self, alphabet: Alphabet, n_networks: int, *, both_strands: bool) -> None:
        self._shares = torch.from_numpy(alphabet.shares).double() - 1 / len(alphabet.letters)
        self._turned = torch.from_numpy(complement_of_letters(alphabet)) if both_strands else None
        self._n_networks = n_networks

    def track(self, codes: Tensor) -> Track:
        """Channels of codes ``(batch, length)``."""
        there = codes > 0
        return Track(self._shares[codes.long()] * there[..., None], there)

    def tables(self, values: Tensor) -> list[Tensor]:
        """What each network looks up: nothing, every place, every place as the other strand has it."""
        flat = values.flatten(0, 1)
        parts = [flat.new_zeros(1, flat.shape[1]), flat]
        if self._turned is not None:
            parts.append(flat[:, self._turned])
        return [torch.cat(parts)] * self._n_networks

    def letter_scores(self, products: Tensor) -> Tensor:
        """Scores of letters ``(batch, length)`` from those of channels."""
        return products.sum(dim=2)

    def contributions(self, multipliers: Tensor, codes: Tensor) -> Tensor:
        """What each letter would give at each place less the mean of all, ``(batch, length, n_letters)``."""
        return (multipliers - multipliers.mean(dim=2, keepdim=True)) * (codes > 0)[..., None]


class KmerChannels:
    """Vectors of the k-mers that begin at each letter, those of every network and strand side by side.

    A score of a vector is divided evenly among the k letters of its k-mer: the vector is there only if all of them are
    known (with one N it is zero), and of a game that only all players together win each has the same share (Shapley
    1953). So GkmExplain divides those of gapped k-mers (Shrikumar 2019, doi:10.1093/bioinformatics/btz322).

    Parameters
    ----------
    layers
        The one of each network, in 64 bits.
    n_letters
        Of the alphabet.
    complement
        Code on the other strand of each code, where the networks read it as well.
    """

    def __init__(self, layers: Sequence[EmbeddedKmers], n_letters: int, complement: Tensor | None) -> None:
        self._layers, self._n_letters, self._complement = layers, n_letters, complement
        self._k = layers[0].k
        self._n_forward = sum(layer.n_channels for layer in layers)

    def track(self, codes: Tensor) -> Track:
        """Channels of codes ``(batch, length)``: of k-mers of the strand given, then of those of the other strand.

        Those of the other strand stand at the letter at which they begin when that strand is read.
        """
        there = codes > 0
        values = self._vectors(codes)
        if self._complement is not None:
            length = codes.shape[1]
            places = torch.arange(1, length + 1) * there
            mirrored = (reverse_complement(places, torch.arange(length + 1)) - 1).clamp(min=0)
            other = self._vectors(reverse_complement(codes, self._complement))
            other = other.gather(1, mirrored[..., None].expand_as(other)) * there[..., None]
            values = torch.cat([values, other], dim=2)
        return Track(values, there)

    def _vectors(self, codes: Tensor) -> Tensor:
        return torch.cat([layer(codes).values.transpose(1, 2) for layer in self._layers], dim=2)

    def tables(self, values: Tensor) -> list[Tensor]:
        """What each network looks up: nothing, every place, every place as the other strand has it."""
        sizes = [layer.n_channels for layer in self._layers]
        strands = [
            torch.split(part, sizes, dim=1) for part in torch.split(values.flatten(0, 1), self._n_forward, dim=1)
        ]
        return [torch.cat([mine[0].new_zeros(1, mine[0].shape[1]), *mine]) for mine in zip(*strands, strict=True)]

    def letter_scores(self, products: Tensor) -> Tensor:
        """Scores of letters ``(batch, length)`` from those of channels: a k-mer's go to its letters in even parts."""
        return self._over_letters(products) / self._k

    def _over_letters(self, products: Tensor) -> Tensor:
        """Sum over all k-mers, of both strands, that hold each letter."""
        forward, other = products[..., : self._n_forward].sum(dim=2), products[..., self._n_forward :].sum(dim=2)
        before, after = F.pad(forward, (self._k - 1, 0)), F.pad(other, (0, self._k - 1))
        return before.unfold(1, self._k, 1).sum(dim=2) + after.unfold(1, self._k, 1).sum(dim=2)

    def contributions(self, multipliers: Tensor, codes: Tensor) -> Tensor:
        """What each letter would give at each place less the mean of all, ``(batch, length, n_letters)``.

        All k-mers that hold the letter count. A k-mer holds one of every k places, so that these are changed together.
        """
        given = multipliers.new_zeros(*codes.shape, self._n_letters)
        for first in range(self._k):
            some = slice(first, None, self._k)
            for letter in range(self._n_letters):
                changed = codes.clone()
                changed[:, some] = torch.where(codes[:, some] > 0, letter + 1, 0).to(codes)
                products = multipliers * self.track(changed).values
                given[:, some, letter] = self._over_letters(products)[:, some]
        return (given - given.mean(dim=2, keepdim=True)) * (codes > 0)[..., None]


Channels: TypeAlias = LetterChannels | KmerChannels


def channels_of(networks: Sequence[nn.Module], alphabet: Alphabet) -> Channels:
    """Find out what networks look up.

    Parameters
    ----------
    networks
        In 64 bits, of the same architecture.
    alphabet
        Of the sequences.

    Raises
    ------
    ValueError
        If it is neither letters nor k-mers.
    """
    both = _first(networks[0], BothStrands) is not None
    if _first(networks[0], Letters) is not None:
        return LetterChannels(alphabet, len(networks), both_strands=both)
    layers = [_first(network, EmbeddedKmers) for network in networks]
    if layers[0] is None:
        raise ValueError(
            "the encoder reads its input neither through oligolearn.nn.Letters nor as EmbeddedKmers, so that there are "
            "no channels to attribute to; use mutagenesis"
        )
    complement = torch.from_numpy(alphabet.complement).long() if both and alphabet.complement is not None else None
    return KmerChannels(layers, len(alphabet.letters), complement)


def _first(network: nn.Module, kind: type) -> Any:
    return next((one for one in network.modules() if isinstance(one, kind)), None)


class OpenNetwork:
    """A network as a function of the table of what it looks up, in evaluation mode and 64 bits, on the processor.

    Parameters
    ----------
    network
        `oligolearn.nn.Classifier` over an encoder of sequences; not changed.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = exact_copy(network).cpu().requires_grad_(requires_grad=False)
        for parent in list(self.network.modules()):
            for name, child in parent.named_children():
                if isinstance(child, EmbeddedKmers):
                    setattr(parent, name, Letters(torch.zeros(1, child.n_channels)))
        self.lookups: list[Any] = [one for one in self.network.modules() if isinstance(one, Letters)]
        self.strands: list[Any] = [one for one in self.network.modules() if isinstance(one, BothStrands)]

    def __call__(self, table: Tensor, there: Tensor) -> Tensor:
        """Outputs of the network, ``(batch, n_out)``, differentiable in the table.

        Parameters
        ----------
        table
            ``(1 + n, n_channels)`` for one strand or ``(1 + 2 * n, n_channels)`` for both, n the number of places: see
            `LetterChannels.tables`.
        there
            Whether there is a letter, ``(batch, length)``.
        """
        n = there.numel()
        if self.strands:
            one, other = torch.arange(1, n + 1), torch.arange(n + 1, 2 * n + 1)
            for module in self.strands:
                module.complement = torch.cat([torch.zeros(1, dtype=torch.long), other, one])
        for module in self.lookups:
            module.table = table
        outputs: Tensor = self.network(torch.arange(1, n + 1).view(there.shape) * there)
        return outputs
