"""Embedded k-mers as the channels that an encoder reads, in place of one-hot letters."""

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn.track import Letters, Track

_MOST_WORDS = 2**18


class EmbeddedKmers(nn.Module):
    """Codes to channels: at each letter the vector of the k-mer that begins there, as a `Track`.

    A k-mer with a place that holds no letter of the alphabet (N, padding, what lies beyond the end) is zero: it is
    never read as another one. The mask is that of the letters, so the last ``k - 1`` places of a sequence are zero but
    there. Shapes: codes ``(batch, length)``, 0 for padding, to values ``(batch, dim, length)``.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``, row 0 for padding: `oligolearn.data.Alphabet.shares`.
    k, dim
        Letters of a word, and numbers that stand for it.
    weight
        Initial vectors, ``(n_letters ** k, dim)``, words in the order of the alphabet; None draws them from N(0, 1).
    frozen
        Whether they stay as they are.

    Attributes
    ----------
    complete
        As in `Letters`.

    Raises
    ------
    ValueError
        If there are too many words, or the vectors are not of that shape.

    Examples
    --------
    >>> shares = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])  # padding, A, B, either
    >>> vectors = torch.tensor([[1.0], [2.0], [3.0], [4.0]])  # AA, AB, BA, BB
    >>> track = EmbeddedKmers(shares, 2, 1, weight=vectors)(torch.tensor([[1, 2, 2, 3, 1, 0]]))
    >>> track.values.tolist(), track.mask.tolist()
    ([[[2.0, 4.0, 0.0, 0.0, 0.0, 0.0]]], [[[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]]])
    """

    letter: Tensor
    weight: Tensor

    def __init__(
        self, shares: Tensor, k: int = 3, dim: int = 50, *, weight: Tensor | None = None, frozen: bool = False
    ) -> None:
        super().__init__()
        n_letters = shares.shape[1]
        n_words = n_letters ** max(k, 0)
        if k < 1 or n_words > _MOST_WORDS:
            raise ValueError(
                f"k-mers of k={k} letters over an alphabet of {n_letters} are {n_words:,}, but up to {_MOST_WORDS:,} "
                "of at least one letter are meant; choose another k"
            )
        if dim < 1:
            raise ValueError(f"a k-mer is embedded in at least 1 number, found dim={dim}")
        if weight is not None and weight.shape != (n_words, dim):
            raise ValueError(
                f"vectors of {k}-mers over an alphabet of {n_letters} letters are {n_words:,} x {dim}, found "
                f"{' x '.join(f'{n:,}' for n in weight.shape)}"
            )
        self.k, self.n_channels, self._n_letters = k, dim, n_letters
        known, which = shares.max(dim=1)
        self.register_buffer("letter", torch.where(known == 1, which, -1), persistent=False)
        vectors = torch.randn(n_words, dim) if weight is None else weight.detach().float().clone()
        if frozen:
            self.register_buffer("weight", vectors)
        else:
            self.weight = nn.Parameter(vectors)
        self.complete: bool | None = None

    def forward(self, codes: Tensor) -> Track:
        """Look the k-mers up."""
        numbers = codes.long()
        letters = F.pad(self.letter[numbers], (0, self.k - 1), value=-1).unfold(1, self.k, 1)
        words = torch.zeros_like(numbers)
        for place in range(self.k):
            words = words * self._n_letters + letters[:, :, place].clamp(min=0)
        whole = (letters >= 0).all(dim=2)
        values = (F.embedding(words, self.weight) * whole[:, :, None].to(self.weight)).transpose(1, 2)
        there = numbers > 0
        complete = bool(there.all()) if self.complete is None else self.complete
        return Track(values, None if complete else there[:, None].to(values))


InputLayer: TypeAlias = Letters | EmbeddedKmers


def input_layer(given: Tensor | InputLayer) -> InputLayer:
    """Give the layer through which an encoder reads codes: one-hot letters, where it is only told their shares."""
    return Letters(given) if isinstance(given, Tensor) else given
