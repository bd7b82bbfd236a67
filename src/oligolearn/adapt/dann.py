"""DANN: features from which no discriminator can tell the domain."""

import math

from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, label_loss, see, with_target
from oligolearn.nn import Classifier, Discriminator, reverse_gradient


def reversal_strength(progress: float) -> float:
    """Strength of gradient reversal, from 0 at the start of a training to almost 1 (Ganin 2016, eq. 14).

    Examples
    --------
    >>> [round(reversal_strength(progress), 3) for progress in (0, 0.1, 0.5, 1)]
    [0.0, 0.462, 0.987, 1.0]
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DANN(nn.Module):
    """Domain-adversarial network (Ganin 2016, arXiv:1505.07818).

    ``forward(batch)`` takes a `Batch` and returns the cross-entropy of the labels that are known plus that of a
    discriminator which names the domain of each row from the embedding. Between the two a layer reverses gradients:
    what helps the discriminator is unlearned by the encoder, more and more as the training goes on.

    Parameters
    ----------
    model
        Encoder and output layer.
    n_sources
        Number of source domains.
    weight
        Of the reversed gradient; the discriminator itself learns at full strength.
    hidden
        Units of the discriminator.
    class_weight
        Weight of each class, ``(n_classes,)``, or None.

    Notes
    -----
    Differs from the paper: several source domains are told apart as well as from the target; target rows whose labels
    are known count in the label loss; AdamW with the training's schedule instead of gradient descent with momentum .9
    and a rate that falls as ``(1 + 10 p) ** -0.75``. Source and target share a batch, and so its statistics.

    Examples
    --------
    >>> import torch
    >>> from oligolearn.nn import MLP
    >>> objective = DANN(Classifier(MLP(20, (16, 8)), 3))
    >>> x, y = torch.randn(6, 20), torch.tensor([0, 1, 2, 0, 1, 2])
    >>> objective((x, y, torch.zeros_like(y), x + 1, torch.full_like(y, -1))).shape
    torch.Size([])
    """

    class_weight: Tensor | None

    def __init__(
        self,
        model: Classifier,
        *,
        n_sources: int = 1,
        weight: float = 1.0,
        hidden: int = 128,
        class_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.discriminator = Discriminator(model.encoder.out_dim, hidden, n_sources + 1)
        self.n_sources = n_sources
        self.weight = weight
        self.register_buffer("class_weight", class_weight)
        self._strength = 0.0

    def on_step(self, progress: float) -> None:
        """Hear which share of the training is done, from 0 to 1."""
        self._strength = reversal_strength(progress)

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the labels plus that of the domains."""
        _, _, domains, target, _ = batch
        seen = see(self.model, batch, self.class_weight)
        told = self.discriminator(reverse_gradient(seen.embedding, self.weight * self._strength))
        return seen.loss + label_loss(told, with_target(domains, target, self.n_sources))
