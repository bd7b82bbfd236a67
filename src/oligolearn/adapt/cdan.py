"""CDAN: DANN whose discriminator also sees the class that the network believes in."""

import torch
from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, see, with_target
from oligolearn.adapt.dann import reversal_strength
from oligolearn.nn import Classifier, Discriminator, reverse_gradient
from oligolearn.nn.precision import at_least_float32


def certainty_weights(probabilities: Tensor) -> Tensor:
    """Weight of each row, ``1 + exp(-entropy)``, scaled to a mean of 1 (Long 2018, eq. 8).

    Examples
    --------
    >>> certainty_weights(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))  # exp(-entropy): 1 and 1/2
    tensor([1.1429, 0.8571])
    """
    entropy = -torch.special.xlogy(probabilities, probabilities).sum(dim=1)
    weights = 1 + torch.exp(-entropy)
    return weights / weights.mean()


class CDAN(nn.Module):
    """Conditional domain-adversarial network (Long 2018, arXiv:1705.10667), with entropy conditioning (CDAN+E).

    As `DANN`, but the discriminator sees the outer product of the embedding and the probabilities of the classes, so
    that the domains are to agree class by class; rows of whose class the network is sure count more.

    Parameters
    ----------
    model, n_sources, weight, hidden, class_weight
        As in `DANN`.
    entropy_conditioning
        Weigh rows by certainty.
    largest_product
        Where the outer product has more numbers, as many random ones stand for it (eq. 6).

    Notes
    -----
    No gradient flows through the probabilities and the weights, as in the authors' code. Differs from it: the outer
    product is reversed as a whole, and weights have a mean of 1 over both domains together.
    """

    class_weight: Tensor | None
    of_embedding: Tensor | None
    of_classes: Tensor | None

    def __init__(
        self,
        model: Classifier,
        *,
        n_sources: int = 1,
        weight: float = 1.0,
        hidden: int = 128,
        entropy_conditioning: bool = True,
        largest_product: int = 4096,
        class_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        n_embedding, n_classes = model.encoder.out_dim, model.head.out_features
        randomized = n_embedding * n_classes > largest_product
        n_in = largest_product if randomized else n_embedding * n_classes
        self.model = model
        self.discriminator = Discriminator(n_in, hidden, n_sources + 1)
        self.n_sources = n_sources
        self.weight = weight
        self.entropy_conditioning = entropy_conditioning
        self.register_buffer("class_weight", class_weight)
        self.register_buffer("of_embedding", nn.init.normal_(torch.empty(n_embedding, n_in)) if randomized else None)
        self.register_buffer("of_classes", nn.init.normal_(torch.empty(n_classes, n_in)) if randomized else None)
        self._strength = 0.0

    def on_step(self, progress: float) -> None:
        """Hear which share of the training is done, from 0 to 1."""
        self._strength = reversal_strength(progress)

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the labels plus that of the domains given the classes."""
        _, _, domains, target, _ = batch
        seen = see(self.model, batch, self.class_weight)
        embedding = seen.embedding
        probabilities = at_least_float32(seen.logits).softmax(dim=1).detach()
        joint = self._product(embedding, probabilities.to(embedding.dtype))
        told = self.discriminator(reverse_gradient(joint, self.weight * self._strength))
        every = with_target(domains, target, self.n_sources)
        weights = (
            certainty_weights(probabilities) if self.entropy_conditioning else torch.ones_like(probabilities[:, 0])
        )
        losses = -at_least_float32(told).log_softmax(dim=1).gather(1, every[:, None])[:, 0]
        return seen.loss + (weights * losses).mean()

    def _product(self, embedding: Tensor, probabilities: Tensor) -> Tensor:
        if self.of_embedding is None or self.of_classes is None:
            return (embedding[:, :, None] * probabilities[:, None, :]).flatten(1)
        product = torch.mm(embedding, self.of_embedding) * torch.mm(probabilities, self.of_classes)
        return torch.div(product, product.shape[1] ** 0.5)
