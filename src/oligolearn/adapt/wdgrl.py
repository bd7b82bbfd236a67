"""WDGRL: embeddings whose distributions lie close in Wasserstein distance."""

from typing import cast

import torch
from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, see
from oligolearn.adapt.dann import reversal_strength
from oligolearn.nn import Classifier, Discriminator, reverse_gradient
from oligolearn.nn.precision import at_least_float32


def slopes(critic: Discriminator, x: Tensor) -> Tensor:
    """Gradient of the critic's one score by each row of `x`, ``(n, n_in) -> (n, n_in)``; itself differentiable.

    Examples
    --------
    >>> critic = Discriminator(1, 1, 1)
    >>> for value, parameter in zip((3.0, 0.0, 2.0, 0.0), critic.parameters()):
    ...     _ = nn.init.constant_(parameter, value)
    >>> slopes(critic, torch.tensor([[1.0], [-1.0]])).tolist()  # 2 * relu(3 x)
    [[6.0], [0.0]]
    """
    first, last = cast(nn.Linear, critic.layers[0]), cast(nn.Linear, critic.layers[2])
    active: Tensor = (first(x) > 0).to(x.dtype)
    return torch.mm(active * last.weight, first.weight)


class WDGRL(nn.Module):
    """Wasserstein distance guided representation learning (Shen 2018, arXiv:1707.01217).

    ``forward(batch)`` takes a `Batch` and returns the cross-entropy of the labels that are known, minus the difference
    of a critic's mean scores in source and target, plus the penalty that keeps its slopes near 1 (eq. 2 and 3). A layer
    between encoder and critic reverses gradients, so that the encoder brings close what the critic pulls apart.

    Parameters
    ----------
    model, hidden, class_weight
        As in `DANN`.
    weight
        Of the reversed gradient. The authors' code has 1, .1 and .00045, by data set; at 1 a table whose domains lie
        close loses what tells its classes apart.
    penalty
        Weight of the gradient penalty.

    Notes
    -----
    Differs from the paper: the critic takes one step for each of the encoder's, not five, and the reversal grows as in
    DANN; the penalty is taken at evenly spread points between pairs of rows, which a shuffled batch makes random.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        model: Classifier,
        *,
        weight: float = 0.1,
        penalty: float = 10.0,
        hidden: int = 128,
        class_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.critic = Discriminator(model.encoder.out_dim, hidden, 1)
        self.weight = weight
        self.penalty = penalty
        self.register_buffer("class_weight", class_weight)
        self._strength = 0.0

    def on_step(self, progress: float) -> None:
        """Hear which share of the training is done, from 0 to 1."""
        self._strength = reversal_strength(progress)

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the labels, minus the distance of the domains, plus the penalty."""
        seen, n = see(self.model, batch, self.class_weight), len(batch[0])
        embedding = seen.embedding
        scores = at_least_float32(self.critic(reverse_gradient(embedding, self.weight * self._strength)))
        distance = scores[:n].mean() - scores[n:].mean()
        steep = at_least_float32(slopes(self.critic, _between(embedding[:n].detach(), embedding[n:].detach())))
        penalty: Tensor = (torch.linalg.vector_norm(steep, dim=1) - 1).pow(2).mean()
        return seen.loss + self.penalty * penalty - distance


def _between(source: Tensor, target: Tensor) -> Tensor:
    """One point on the line between each pair of rows, nearer and nearer to the target."""
    n = min(len(source), len(target))
    place = (torch.arange(n, device=source.device, dtype=source.dtype)[:, None] + 0.5) / n
    return torch.lerp(source[:n], target[:n], place)
