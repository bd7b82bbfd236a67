"""VIME: finding which values were replaced, and what they were."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Decoder, Encoder
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.autoencoder import squared_error, with_features


class VIME(nn.Module):
    """Say which values of a corrupted sample were replaced, and reconstruct it (Yoon 2020, NeurIPS 33).

    ``forward(views)`` takes a corrupted view and the standardised rows themselves, each ``(batch, n_features)``. From
    the embedding of the view, one layer estimates the mask ``m = (view != x)`` and another one the values. The loss
    (eq. 3 to 5), a scalar, is the binary cross-entropy of the mask plus `alpha` times the mean squared error of the
    values, both over rows and all genes.

    The mask is taken from the values, as in the authors' code: a value that was "replaced" by itself, as happens where
    the rows hold equal values, was not.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    n_features
        Number of genes.
    alpha
        Weight of the values' error; 2 in the authors' code.

    Raises
    ------
    ValueError
        If `alpha` is negative.

    Notes
    -----
    Differs from the paper: rows are corrupted anew in each step, where the authors' code does it once, before training;
    a replacement is drawn from any training row instead of by shuffling columns, which is the same marginal; the layer
    of the values has no sigmoid, as expression is standardised and not scaled to [0, 1]; the encoder is deeper than
    their single layer. Only the self-supervised half of VIME, not its semi-supervised one.

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import MLP
    >>> objective = VIME(MLP(20, (16, 8)), n_features=20)
    >>> clean = torch.randn(32, 20)
    >>> objective((clean.roll(1, 0), clean)).shape
    torch.Size([])
    """

    augmented = (True, False)
    needs_rows = False
    default_view: tuple[str, dict[str, Any]] = ("masking", {"share": 0.3, "per": "row", "fill": "marginal"})
    per_replica = ("alpha",)

    def __init__(self, encoder: Encoder, *, n_features: int, alpha: float = 2.0) -> None:
        super().__init__()
        if not alpha >= 0:
            raise ValueError(f"alpha must not be negative, found {alpha}")
        self.encoder = encoder
        self.mask = Decoder(encoder.out_dim, n_features)
        self.values = Decoder(encoder.out_dim, n_features)
        self.alpha = alpha

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Add the number of genes."""
        return with_features(chosen, n_features)

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Loss of the mask and of the values."""
        corrupted, clean = views
        embedding = self.encoder(corrupted)
        odds = at_least_float32(self.mask(embedding))
        found = F.binary_cross_entropy_with_logits(odds, (corrupted != clean).to(odds.dtype))
        return found + self.alpha * squared_error(self.values(embedding), clean)
