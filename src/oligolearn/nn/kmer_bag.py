"""Which k-mers occur, wherever they stand."""

import torch
from torch import Tensor, nn

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import EmbeddedKmers, InputLayer
from oligolearn.nn.sequence_pooling import SequencePool
from oligolearn.nn.track import Track

_MOST_WORDS = 2**13  # by default
_DRAWN = 256  # places, beyond which they are left out alike
_SMALL = 0.1  # of vectors as they are drawn: what a rare word says is then learned, not drawn


class KmerBag(Encoder):
    """Mean over letters of the vectors of k-mers that begin there, normalised and rectified (fastText, Joulin 2017).

    Where a class shows in many weak words, or in words that few training sequences have, this learns from far fewer
    sequences than detectors do. Shapes: codes ``(batch, length) -> (batch, out_dim)``.

    Differs from the paper (arXiv:1607.01759): half of the words are left out while it is trained, and batch norm and a
    rectifier follow the mean.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers`, which take the place of these words.
    k
        Letters of a word; None for the longest of which there are up to 8,192: 6 of DNA and RNA, 3 of protein.
    embedding
        Numbers that stand for a word.
    word_dropout
        Share of the words that a sequence is read without while the network is trained.
    hidden
        Units of a layer after the mean, 0 for none.
    dropout
        Share of the mean that is set to zero before that layer.

    Examples
    --------
    >>> encoder = KmerBag(torch.cat([torch.zeros(1, 4), torch.eye(4)]))
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 64]), 64, 1)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        k: int | None = None,
        embedding: int = 64,
        *,
        word_dropout: float = 0.5,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        words = _words(shares, k, embedding) if isinstance(shares, Tensor) else shares
        self.out_dim = hidden or words.n_channels
        pool = SequencePool("mean", words.n_channels)
        mean = nn.Sequential(words, WordDropout(word_dropout), pool, nn.BatchNorm1d(words.n_channels), nn.ReLU())
        self.blocks = nn.ModuleList([mean])
        if hidden:
            layer = nn.Linear(words.n_channels, hidden, bias=False)
            self.blocks.append(nn.Sequential(nn.Dropout(dropout), layer, nn.BatchNorm1d(hidden), nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class WordDropout(nn.Module):
    """Sets all channels of some places of a `Track` to zero, and the others up, while it is trained."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(share)

    def forward(self, track: Track) -> Track:
        """Leave words out."""
        values = track.values
        kept = self.drop(values.new_ones(len(values), _DRAWN))  # as many draws however far the batch is padded
        places = torch.arange(values.shape[2], device=values.device) % _DRAWN
        return Track(values * kept[:, None, places], track.mask)


def _words(shares: Tensor, k: int | None, embedding: int) -> EmbeddedKmers:
    n_letters = shares.shape[1]
    longest = max(length for length in range(1, _MOST_WORDS.bit_length()) if n_letters**length <= _MOST_WORDS)
    words = EmbeddedKmers(shares, longest if k is None else k, embedding)
    with torch.no_grad():
        words.weight *= _SMALL
    return words
