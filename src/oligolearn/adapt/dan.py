"""DAN: embeddings whose distributions have the same kernel means in both domains."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oligolearn.adapt.batches import Batch, see
from oligolearn.nn import Classifier
from oligolearn.nn.precision import at_least_float32

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def kernel_discrepancy(source: Tensor, target: Tensor, widths: Sequence[float] = WIDTHS) -> Tensor:
    """Squared maximum mean discrepancy of two samples, a mean over Gaussian kernels (Gretton 2012, eq. 5).

    Kernels are ``exp(-distance ** 2 / (width * mean squared distance))`` over all pairs of rows, the mean without
    gradient; the estimate is the biased one, which is never negative.

    Parameters
    ----------
    source, target
        ``(n, d)`` and ``(m, d)``.
    widths
        In mean squared distances.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> round(kernel_discrepancy(x, x).item(), 6), kernel_discrepancy(x, x + 5).item() > 0.5
    (0.0, True)
    """
    z = at_least_float32(torch.cat([source, target]))
    norms = z.pow(2).sum(dim=1)
    distances = (norms[:, None] + norms[None, :] - 2 * z @ z.T).clamp(min=0)
    n, both = len(source), len(z)
    spread = distances.detach().sum() / (both * (both - 1))
    spread = spread.clamp(min=torch.finfo(spread.dtype).tiny)
    kernels = torch.stack([torch.exp(-distances / (width * spread)) for width in widths]).mean(dim=0)
    return kernels[:n, :n].mean() + kernels[n:, n:].mean() - 2 * kernels[:n, n:].mean()


class DAN(nn.Module):
    """Deep adaptation network (Long 2015, arXiv:1502.02791): the kernel means of the embeddings are to agree.

    ``forward(batch)`` takes a `Batch` and returns the cross-entropy of the labels that are known plus `weight` times
    the `kernel_discrepancy` of source and target.

    Parameters
    ----------
    model, class_weight
        As in `DANN`.
    weight
        Of the discrepancy, which is at most 2.

    Notes
    -----
    Differs from the paper: one layer, the embedding, is aligned; kernels have equal weights and all pairs are used,
    where the paper optimises the weights on pairs that do not overlap, for speed.
    """

    class_weight: Tensor | None

    def __init__(self, model: Classifier, *, weight: float = 1.0, class_weight: Tensor | None = None) -> None:
        super().__init__()
        self.model = model
        self.weight = weight
        self.register_buffer("class_weight", class_weight)

    def forward(self, batch: Batch) -> Tensor:
        """Loss of the labels plus the discrepancy."""
        seen, n = see(self.model, batch, self.class_weight), len(batch[0])
        return seen.loss + self.weight * kernel_discrepancy(seen.embedding[:n], seen.embedding[n:])
