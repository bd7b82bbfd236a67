"""Autoregressive modelling: each letter of a sequence from those before it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from oligolearn.nn import Encoder, channels_of_letters, left_aligned, letter_features, looks_ahead
from oligolearn.pretext.masked_letters import letter_loss


class NextLetter(nn.Module):
    """Predict each letter from those before it (of proteins: UniRep, Alley 2019, doi:10.1038/s41592-019-0598-1).

    ``forward((codes,))`` takes codes ``(batch, length)`` and returns the mean of ``-log softmax(W h_i + b)[x_(i+1)]``
    over all letters but the first of each sequence, with the encoder's output `h_i` at letter i before it pools.

    Parameters
    ----------
    encoder
        Module with `blocks`, the last of which pools, and whose output at a letter knows no later one; the part that
        is kept after pretraining.
    n_letters
        Of the alphabet.

    Raises
    ------
    ValueError
        If the encoder has no output at each letter, or looks ahead.

    Notes
    -----
    Differs from UniRep: the network is any that reads from left to right, the first letter is not predicted, and a
    sequence may begin anywhere.

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import Recurrent
    >>> encoder = Recurrent(torch.cat([torch.zeros(1, 4), torch.eye(4)]), n_units=8, bidirectional=False)
    >>> NextLetter(encoder, n_letters=4)((torch.randint(1, 5, (3, 30)),)).shape
    torch.Size([])
    """

    reads_letters = True
    needs_rows = False

    def __init__(self, encoder: Encoder, *, n_letters: int) -> None:
        super().__init__()
        channels = channels_of_letters(encoder, "next-letter")
        if looks_ahead(encoder):
            raise ValueError(
                "next-letter needs an encoder that reads from left to right, but this one sees later letters; choose "
                "recurrent with bidirectional=False, and one-hot letters"
            )
        self.encoder = encoder
        self.head = nn.Linear(channels, n_letters)

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Add the number of letters."""
        return {"n_letters": n_features, **chosen}

    @staticmethod
    def guessing(n_letters: int) -> float:
        """Loss of an encoder that knows nothing, letters being all as frequent."""
        return math.log(n_letters)

    def forward(self, batch: Sequence[Tensor]) -> Tensor:
        """Mean cross-entropy of each letter but the first."""
        (codes,) = left_aligned(batch[0])
        features = letter_features(self.encoder, codes).values
        logits = self.head(features.transpose(1, 2)).transpose(1, 2)
        return letter_loss(logits[:, :, :-1], codes[:, 1:])
