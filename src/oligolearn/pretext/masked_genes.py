"""Masked-gene modelling: reconstructing hidden genes from the others."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from oligolearn.nn import Decoder, Encoder
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.autoencoder import with_features


class MaskedGenes(nn.Module):
    """Predict the hidden genes of a sample from the others (Richter 2024, doi:10.1038/s42256-024-00934-3).

    ``forward(views)`` takes a view with hidden genes and the standardised rows themselves, each
    ``(batch, n_features)``, and returns the mean of ``(decoder(encoder(view)) - x)^2`` over the hidden values, those in
    which the view differs from the row, a scalar; 0 where nothing is hidden. What is visible does not count, so copying
    it earns nothing.

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
    Differs from the paper: genes are standardised, and a hidden one is set to 0, its mean; a value that is that mean
    to the last digit does not count as hidden. Differs from the language models that the name comes from (Devlin 2019,
    arXiv:1810.04805): the encoder is not told which genes are hidden, and none is left as it is on purpose.

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import MLP
    >>> objective = MaskedGenes(MLP(20, (16, 8)), n_features=20, decoder=(16,))
    >>> clean = torch.randn(32, 20)
    >>> objective((clean * (clean > 0), clean)).shape
    torch.Size([])
    """

    augmented = (True, False)
    needs_rows = False
    default_view: tuple[str, dict[str, Any]] = ("masking", {"share": 0.5, "per": "row", "fill": "zero"})

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
        """Mean squared error of the hidden values."""
        corrupted, clean = views
        errors = (at_least_float32(self.decoder(self.encoder(corrupted))) - at_least_float32(clean)).square()
        hidden = (corrupted != clean).to(errors.dtype)
        return (errors * hidden).sum() / hidden.sum().clamp(min=1)
