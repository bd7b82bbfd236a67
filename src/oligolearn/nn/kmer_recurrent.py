"""Embedded k-mers, a convolution, and a bidirectional LSTM (the best model of deepRAM)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn.encoder import Encoder
from oligolearn.nn.kmer_embedding import InputLayer
from oligolearn.nn.motif_cnn import Convolution, Rectifier
from oligolearn.nn.recurrent import LeftAligned, RecurrentLayer, recurrent_pool
from oligolearn.nn.sequence_pooling import readout
from oligolearn.nn.track import Letters, Track

_MOST_WORDS = 2**14


class KmerRecurrentCNN(Encoder):
    """K-mer embedding, convolution, max-pooling, BiLSTM: the best model of deepRAM (Trabelsi 2019).

    Shapes: codes ``(batch, length) -> (batch, out_dim)``.

    Differs from the paper (doi:10.1093/bioinformatics/btz339): the embedding is learned with the rest, not by word2vec
    beforehand; a k-mer with an ambiguous letter is the mean of the k-mers that it may be.

    Parameters
    ----------
    shares
        What each code is, ``(n_codes, n_letters)``; or `EmbeddedKmers`, which take the place of these words.
    k, embedding
        Letters of a word, and numbers that stand for it.
    n_filters, width, pool
        Of the convolution, and the places whose maximum goes on.
    n_units
        Of the LSTM, in each direction.
    pooling, hidden, dropout
        As in `Recurrent`; by default the last state of each direction.

    Examples
    --------
    >>> encoder = KmerRecurrentCNN(torch.cat([torch.zeros(1, 4), torch.eye(4)]))
    >>> encoder(torch.randint(1, 5, (3, 50))).shape, encoder.out_dim, len(encoder.blocks)
    (torch.Size([3, 64]), 64, 4)
    """

    def __init__(
        self,
        shares: Tensor | InputLayer,
        k: int = 3,
        embedding: int = 50,
        *,
        n_filters: int = 32,
        width: int = 10,
        pool: int = 3,
        n_units: int = 32,
        pooling: str = "last",
        length: int | None = None,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        words = Words(shares, k, embedding) if isinstance(shares, Tensor) else shares
        convolution = nn.Sequential(Convolution(words.n_channels, n_filters, width), Rectifier(), LocalMax(pool))
        places = None if length is None else -(-length // pool)
        states = recurrent_pool(pooling, n_units, bidirectional=True, length=places, window=1)
        last, self.out_dim = readout(states, hidden, dropout)
        recurrent = RecurrentLayer("lstm", n_filters, n_units, bidirectional=True)
        self.blocks = nn.ModuleList([nn.Sequential(LeftAligned(), words), convolution, recurrent, last])

    def forward(self, x: Tensor) -> Tensor:
        """Embed codes."""
        for block in self.blocks:
            x = block(x)
        return x


class Words(nn.Module):
    """Embedding of the word that begins at each letter, as a `Track`; beyond the end a letter may be any."""

    def __init__(self, shares: Tensor, k: int, embedding: int) -> None:
        super().__init__()
        self.k, self.n_channels = k, embedding
        n_letters = shares.shape[1]
        if k < 1 or n_letters**k > _MOST_WORDS:
            raise ValueError(
                f"words of k={k} letters over an alphabet of {n_letters} are {n_letters ** max(k, 0):,}, but 1 to "
                f"{_MOST_WORDS:,} are meant; choose another k"
            )
        self.letters = Letters(shares)
        self.weight = nn.Parameter(torch.randn(n_letters**k, embedding))

    def forward(self, codes: Tensor) -> Track:
        """Mean of the embeddings of the words that each may be."""
        track: Track = self.letters(codes)
        n_places = track.values.shape[2]
        # Centred letters, and the zeros beyond the end, become shares again: those of any letter there.
        letters = F.pad(track.values.transpose(1, 2), (0, 0, 0, self.k - 1)) + 1 / self.letters.n_letters
        words = letters[:, :n_places]
        for shift in range(1, self.k):
            following = letters[:, shift : shift + n_places]
            words = (words[..., None] * following[:, :, None]).flatten(2)
        embedded: Tensor = words @ self.weight
        return track.with_values(embedded.transpose(1, 2))


class LocalMax(nn.Module):
    """Maximum of every `window` places of a rectified `Track`; the last window may be shorter."""

    def __init__(self, window: int) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"pool must be 1 or more places, found {window}")
        self.window = window

    def forward(self, track: Track) -> Track:
        """Pool values, and where there is any letter."""
        mask = track.mask
        if mask is not None:
            mask = F.max_pool1d(mask, self.window, ceil_mode=True)
        return Track(F.max_pool1d(track.values, self.window, ceil_mode=True), mask)
