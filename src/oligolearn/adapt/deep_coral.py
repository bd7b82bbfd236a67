"""Deep CORAL: embeddings with the same covariances in both domains."""

from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, see
from oligolearn.nn import Classifier
from oligolearn.nn.precision import at_least_float32


def covariance(x: Tensor) -> Tensor:
    """Covariances of the columns of `x`, ``(n, d) -> (d, d)``, with ``n - 1`` in the denominator."""
    centred = x - x.mean(dim=0)
    return centred.T @ centred / (len(x) - 1)


def coral_distance(source: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of covariances, divided by ``4 d ** 2`` (Sun 2016, eq. 1 to 3).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [2.0]])  # variance 2
    >>> coral_distance(x, 2 * x).item()  # (8 - 2) ** 2 / 4
    9.0
    """
    gap = covariance(at_least_float32(source)) - covariance(at_least_float32(target))
    return gap.pow(2).sum() / (4 * source.shape[1] ** 2)


class DeepCORAL(nn.Module):
    """Correlation alignment of embeddings (Sun 2016, arXiv:1607.01719).

    ``forward(batch)`` takes a `Batch` and returns the cross-entropy of the labels that are known plus `weight` times
    the `coral_distance` of source and target.

    Parameters
    ----------
    model, class_weight
        As in `DANN`.
    weight
        Of the distance. It is small where the embedding is wide: the paper chooses the weight so that both losses end
        at the same size.

    Notes
    -----
    Differs from the paper: on the embedding instead of the logits, of which there are few; all source domains
    together are aligned with the target.
    """

    class_weight: Tensor | None

    def __init__(self, model: Classifier, *, weight: float = 100.0, class_weight: Tensor | None = None) -> None:
        super().__init__()
        self.model = model
        self.weight = weight
        self.register_buffer("class_weight", class_weight)

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the labels plus the distance of the covariances."""
        seen, n = see(self.model, batch, self.class_weight), len(batch[0])
        return seen.loss + self.weight * coral_distance(seen.embedding[:n], seen.embedding[n:])
