"""Auto-encoders: reconstructing a sample from its embedding."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from oligolearn.nn import Decoder, Encoder
from oligolearn.nn.precision import at_least_float32


class AutoEncoder(nn.Module):
    """Reconstruct all genes of a sample from its embedding (Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647).

    ``forward(views)`` takes a sequence of one element, standardised rows ``(batch, n_features)``, and returns the mean
    of ``(decoder(encoder(x)) - x)^2`` over rows and genes, a scalar. Predicting each gene's mean gives a loss of about
    1, the mean variance of standardised genes; there is no random view.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    n_features
        Number of genes.
    decoder
        Units of the decoder's hidden layers; the default mirrors the default encoder.

    Raises
    ------
    ValueError
        If a layer has no unit.

    Notes
    -----
    Differs from the paper: no layer-by-layer pretraining; batch norm and ReLU; the last layer is linear and the loss
    the squared error, as expression is standardised.

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import MLP
    >>> objective = AutoEncoder(MLP(20, (16, 8)), n_features=20, decoder=(16,))
    >>> objective((torch.randn(32, 20),)).shape
    torch.Size([])
    """

    augmented = (False,)
    needs_rows = False
    default_view: tuple[str, dict[str, Any]] = ("masking", {})  # never drawn

    def __init__(self, encoder: Encoder, *, n_features: int, decoder: Sequence[int] = (256, 512)) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder(encoder.out_dim, n_features, decoder)

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Add the number of genes."""
        return with_features(chosen, n_features)

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Mean squared error of the reconstruction."""
        (clean,) = views
        return squared_error(self.decoder(self.encoder(clean)), clean)


class DenoisingAutoEncoder(nn.Module):
    """Reconstruct a sample from the embedding of a corrupted copy of it (Vincent 2008, doi:10.1145/1390156.1390294).

    ``forward(views)`` takes a random view and the standardised rows themselves, each ``(batch, n_features)``, and
    returns the mean of ``(decoder(encoder(view)) - x)^2`` over rows and all genes, a scalar.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    n_features
        Number of genes.
    decoder
        Units of the decoder's hidden layers; the default mirrors the default encoder.

    Raises
    ------
    ValueError
        If a layer has no unit.

    Notes
    -----
    Differs from the paper: whole network at once instead of layer by layer; squared error instead of cross-entropy, as
    expression is standardised; any view may corrupt. The default sets a quarter of the values to zero, the mean of
    their gene, as the paper sets pixels to zero (it tries shares from 0 to .5).

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import MLP
    >>> objective = DenoisingAutoEncoder(MLP(20, (16, 8)), n_features=20, decoder=(16,))
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    augmented = (True, False)
    needs_rows = False
    default_view: tuple[str, dict[str, Any]] = ("masking", {"share": 0.25, "per": "row", "fill": "zero"})

    def __init__(self, encoder: Encoder, *, n_features: int, decoder: Sequence[int] = (256, 512)) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder(encoder.out_dim, n_features, decoder)

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Add the number of genes."""
        return with_features(chosen, n_features)

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Mean squared error of the reconstruction."""
        corrupted, clean = views
        return squared_error(self.decoder(self.encoder(corrupted)), clean)


def squared_error(found: Tensor, expected: Tensor) -> Tensor:
    """Mean squared error in at least 32 bits."""
    return (at_least_float32(found) - at_least_float32(expected)).square().mean()


def with_features(chosen: Mapping[str, Any], n_features: int) -> dict[str, Any]:
    """Settings with the number of genes, which decides the size of the decoder.

    Raises
    ------
    ValueError
        If another number was chosen.
    """
    found = chosen.get("n_features", n_features)
    if found != n_features:
        raise ValueError(f"n_features is the number of genes, {n_features}, found {found}; leave it out")
    return {**chosen, "n_features": n_features}
