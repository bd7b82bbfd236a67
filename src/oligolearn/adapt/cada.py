"""CADA: two encoders, one for each domain, that agree on features which no discriminator can tell apart."""

import torch
from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, label_loss
from oligolearn.nn import Discriminator, Encoder

CONVENTIONS = ("inverted", "both-inverted")
SOURCE, TARGET = 0, 1


class Consensus(nn.Module):
    """Second phase of consensus adversarial domain adaptation (Zou 2019, AAAI, eq. 2 to 4).

    In the first phase an encoder and a classifier learn the labels of the source. In this one that encoder, and a copy
    of it for the target, are trained against a discriminator of the domains until it recognises neither. In the third
    the source encoder stays as it is and a new classifier learns the labels of the source on top of it; rows of the
    target go through their own encoder and then through that classifier.

    ``forward(batch)`` takes a `Batch`, looks at no labels, and returns the cross-entropy of the discriminator, which
    teaches it alone, plus that of the encoders, which teaches them alone.

    Parameters
    ----------
    source_encoder, target_encoder
        Encoders of the same width; the second one starts as a copy of the first.
    convention
        Which labels teach the encoders. ``"inverted"``: that of the source for both, so that the target encoder learns
        to be taken for the source and the source encoder holds its place while it gives way (eq. 3 and 4).
        ``"both-inverted"``: each that of the other domain, so that both flee; it needs small steps, since nothing
        keeps classes where they were.
    hidden
        Units of the discriminator.

    Raises
    ------
    ValueError
        If the convention is unknown or the encoders differ in width.

    Notes
    -----
    Differs from the paper: one step of the discriminator and one of the encoders are taken at once, on the same
    features; all source domains count as one.
    """

    def __init__(
        self, source_encoder: Encoder, target_encoder: Encoder, *, convention: str = "inverted", hidden: int = 128
    ) -> None:
        super().__init__()
        if convention not in CONVENTIONS:
            raise ValueError(f"convention must be {' or '.join(CONVENTIONS)}, found {convention!r}")
        if source_encoder.out_dim != target_encoder.out_dim:
            raise ValueError(
                f"both encoders must have the same width, found {source_encoder.out_dim} and {target_encoder.out_dim}"
            )
        self.source_encoder = source_encoder
        self.target_encoder = target_encoder
        self.discriminator = Discriminator(source_encoder.out_dim, hidden, 2)
        self.convention = convention

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the discriminator plus that of the encoders."""
        source, _, domains, target, _ = batch
        embedding = torch.cat([self.source_encoder(source), self.target_encoder(target)])
        truth = torch.cat([domains.new_full((len(source),), SOURCE), domains.new_full((len(target),), TARGET)])
        pretended = torch.zeros_like(truth) + SOURCE if self.convention == "inverted" else 1 - truth
        recognised = label_loss(self.discriminator(embedding.detach()), truth)
        return recognised + label_loss(self.discriminator.judge(embedding), pretended)
