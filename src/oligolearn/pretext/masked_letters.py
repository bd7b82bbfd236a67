"""Masked-letter modelling: hidden letters of a sequence from those around them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder, channels_of_letters, left_aligned, letter_features
from oligolearn.nn.precision import at_least_float32


def letter_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of predicted letters; 0 where there is none to predict.

    Parameters
    ----------
    logits
        ``(batch, n_letters, length)``.
    target
        Codes ``(batch, length)``: 1 to ``n_letters``, and 0 or more than that where nothing is predicted.

    Examples
    --------
    >>> round(letter_loss(torch.zeros(1, 4, 3), torch.tensor([[2, 0, 15]])).exp().item(), 3)  # one of four
    4.0
    """
    numbers = target.long()
    counted = (numbers > 0) & (numbers <= logits.shape[1])
    wanted = torch.where(counted, numbers - 1, torch.full_like(numbers, -100))
    total = F.cross_entropy(at_least_float32(logits), wanted, ignore_index=-100, reduction="sum")
    return total / counted.sum().clamp(min=1)


class MaskedLetters(nn.Module):
    """Predict hidden letters from the others (BERT, Devlin 2019, arXiv:1810.04805; of DNA, Ji 2021, DNABERT).

    ``forward((seen, target))`` takes codes with hidden letters and the letters that were chosen, 0 elsewhere, both
    ``(batch, length)``, as `oligolearn.views.mask_letters` draws them, and returns the mean of
    ``-log softmax(W h_i + b)[x_i]`` over the chosen places i, with the encoder's output `h_i` at that letter before
    it pools.

    Parameters
    ----------
    encoder
        Module with `blocks`, the last of which pools; the part that is kept after pretraining.
    n_letters
        Of the alphabet.

    Raises
    ------
    ValueError
        If the encoder has no output at each letter.

    Notes
    -----
    Differs from the papers: letters, not pieces of words or k-mers, are hidden; a hidden letter is read as an unknown
    one (N, X), which is zero, where BERT has a sign of its own; there is no second task.

    Examples
    --------
    >>> from oligolearn.nn import MotifCNN
    >>> objective = MaskedLetters(MotifCNN(torch.cat([torch.zeros(1, 4), torch.eye(4)]), 8), n_letters=4)
    >>> codes = torch.randint(1, 5, (3, 30))
    >>> objective((codes, codes * (torch.rand(3, 30) < 0.15))).shape
    torch.Size([])
    """

    reads_letters = True
    hides_letters = True
    needs_rows = False

    def __init__(self, encoder: Encoder, *, n_letters: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(channels_of_letters(encoder, "masked-letters"), n_letters)

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Add the number of letters."""
        return {"n_letters": n_features, **chosen}

    @staticmethod
    def guessing(n_letters: int) -> float:
        """Loss of an encoder that knows nothing but that most letters it sees at such places are the true ones.

        Letters that are all as frequent, hidden as `oligolearn.views.mask_letters` does: of the chosen places 80 % show
        nothing, and at the others the letter is the true one with the probability ``1 / 2 + 1 / (2 n)``.

        >>> round(MaskedLetters.guessing(4), 4)
        1.3237
        """
        true = 0.5 + 0.5 / n_letters
        other = (1 - true) / (n_letters - 1)
        seen = -true * math.log(true) - (n_letters - 1) * other * math.log(other)
        return 0.8 * math.log(n_letters) + 0.2 * seen

    def forward(self, batch: Sequence[Tensor]) -> Tensor:
        """Mean cross-entropy of the hidden letters."""
        seen, target = left_aligned(*batch)
        features = letter_features(self.encoder, seen).values
        logits = self.head(features.transpose(1, 2)).transpose(1, 2)
        return letter_loss(logits, target)
