"""SwAV: swapping assignments between views."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder, ProjectionHead
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import joined, same_rows


def sinkhorn(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Codes that share samples equally among prototypes (Caron 2020, eq. 3 to 5).

    Alternately scales ``exp(scores / epsilon)`` so that each prototype receives the same total weight and each sample
    gives a total weight of one, ending on the samples. Works on logarithms in at least 32 bits, so it cannot overflow.

    Parameters
    ----------
    scores
        Similarity of samples and prototypes, ``(batch, n_prototypes)``.
    epsilon
        Entropy of the codes; small values approach hard assignments.
    iterations
        Number of scalings of both sides.

    Returns
    -------
    Tensor
        Codes ``(batch, n_prototypes)``, each row summing to 1.

    Examples
    --------
    >>> sinkhorn(torch.tensor([[1.0, 0.9], [1.0, -1.0]])).round(decimals=2)
    tensor([[0.1400, 0.8600],
            [1.0000, 0.0000]])
    """
    log_codes = at_least_float32(scores) / epsilon
    for _ in range(iterations):
        log_codes = log_codes - torch.logsumexp(log_codes, dim=0, keepdim=True)
        log_codes = log_codes - torch.logsumexp(log_codes, dim=1, keepdim=True)
    return log_codes.exp()


LONGEST_QUEUE = 3840  # the paper's


class SwAV(nn.Module):
    """Predict the cluster of one view of a sample from another view of it (Caron 2020, arXiv:2006.09882).

    ``forward(views)`` takes two or more views of the same rows, each ``(batch, n_features)``, and returns the loss of
    the swapped prediction (eq. 1 and 2), a scalar. An encoder that cannot tell samples apart has the loss
    ``ln(n_prototypes)``, the `plateau`.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    n_prototypes
        Number of clusters. Laurent (2022): about three for each class, and no more than rows in a batch, unless a
        queue helps out.
    epsilon, iterations
        Of the Sinkhorn codes.
    temperature
        Of the softmax that predicts a code.
    projection
        Hidden units and outputs of the projection head.
    queue_length
        Earlier embeddings of each of two views that join the batch when its codes are computed, 0 for none. They are
        scored with the current prototypes, and only once there are `queue_length` of them.
    frozen_share
        Share of the training, from its start, in which the prototypes do not learn (the paper: the first epoch).

    Raises
    ------
    ValueError
        If a setting is out of its range, or a queue meets other than two views.

    Notes
    -----
    Differs from the paper: the prototypes are normalised inside the loss, so that their gradient is tangent to the
    sphere, where the authors overwrite them by their normalised values before each step; views have equal sizes, there
    is no multi-crop; the projection head has 128 hidden units, not 2048.

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> objective = SwAV(MLP(20, (16, 8)), n_prototypes=4)
    >>> objective((torch.randn(32, 20), torch.randn(32, 20))).shape
    torch.Size([])
    """

    per_replica = ("epsilon", "temperature")

    queue: Tensor
    queued: Tensor

    def __init__(
        self,
        encoder: Encoder,
        n_prototypes: int = 50,
        *,
        epsilon: float = 0.05,
        iterations: int = 3,
        temperature: float = 0.1,
        projection: tuple[int, int] = (128, 128),
        queue_length: int = 0,
        frozen_share: float = 0.01,
    ) -> None:
        super().__init__()
        _check_settings(n_prototypes, epsilon, temperature, iterations, queue_length)
        n_hidden, n_out = projection
        self.encoder = encoder
        self.head = ProjectionHead(encoder.out_dim, n_hidden, n_out)
        self.prototypes = nn.Linear(n_out, n_prototypes, bias=False)
        self.epsilon = epsilon
        self.iterations = iterations
        self.temperature = temperature
        self.queue_length = queue_length
        self.frozen_share = frozen_share
        self.plateau = math.log(n_prototypes)
        self._frozen = frozen_share > 0
        # of a fixed shape and changed in place, so that they survive saving and stack over replicas
        self.register_buffer("queue", torch.zeros(2, queue_length, n_out))
        self.register_buffer("queued", torch.zeros((), dtype=torch.long))

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Complete the settings that a user has chosen by some that suit the cohort.

        Half as many prototypes as rows in a batch, up to 50; a queue where there are more prototypes than rows in a
        batch, so that codes can share rows equally among them; one frozen epoch.
        """
        n_prototypes = chosen.get("n_prototypes", max(2, min(50, batch_size // 2, n_rows // 4)))
        if n_prototypes > n_rows:
            raise ValueError(f"n_prototypes must be at most the number of rows, {n_rows}, found {n_prototypes}")
        queue_length = 0
        if n_prototypes > batch_size:
            queue_length = min(LONGEST_QUEUE, n_rows, batch_size * math.ceil(2 * n_prototypes / batch_size))
        suggested = {"n_prototypes": n_prototypes, "queue_length": queue_length, "frozen_share": 1 / n_epochs}
        return {**suggested, **chosen}

    def on_step(self, progress: float) -> None:
        """Hear which share of the training is done, from 0 to 1."""
        self._frozen = progress < self.frozen_share

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Loss of predicting each view's codes from every other view."""
        n_views, n_rows = len(same_rows(views, n_views=None)), len(views[0])
        if self.queue_length and n_views != 2:
            raise ValueError(f"a queue serves two views, found {n_views}; pass two or set queue_length to 0")
        z = F.normalize(self.head(self.encoder(joined(views))), dim=1)
        prototypes = F.normalize(self.prototypes.weight, dim=1)
        if self._frozen:
            prototypes = prototypes.detach()
        codes = self._codes(z.detach().view(n_views, n_rows, -1), prototypes.detach())
        predictions = F.log_softmax(at_least_float32(z @ prototypes.T) / self.temperature, dim=1).view_as(codes)
        # the sum over all pairs of views, less each view with itself
        pairs = (codes.sum(dim=0) * predictions.sum(dim=0)).sum() - (codes * predictions).sum()
        return -pairs / (n_rows * n_views * (n_views - 1))

    @torch.no_grad()
    def _codes(self, z: Tensor, prototypes: Tensor) -> Tensor:
        """Codes of each view's rows, ``(n_views, batch, n_prototypes)``; the rows join the queue."""
        codes = self._assign(z, prototypes)
        if not self.queue_length:
            return codes
        n_rows = z.shape[1]
        pool = torch.cat([z, self.queue], dim=1)
        full = self.queued >= self.queue_length
        codes = torch.where(full, self._assign(pool, prototypes)[:, :n_rows], codes)
        self.queue.copy_(pool[:, : self.queue_length])
        self.queued.add_(n_rows)
        return codes

    def _assign(self, z: Tensor, prototypes: Tensor) -> Tensor:
        return torch.stack(
            [sinkhorn(view @ prototypes.T, epsilon=self.epsilon, iterations=self.iterations) for view in z]
        )


def _check_settings(n_prototypes: int, epsilon: float, temperature: float, iterations: int, queue_length: int) -> None:
    if n_prototypes < 2:
        raise ValueError(f"n_prototypes must be at least 2, found {n_prototypes}")
    if not (epsilon > 0 and temperature > 0):
        raise ValueError(f"epsilon and temperature must be positive, found {epsilon} and {temperature}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, found {iterations}")
    if queue_length < 0:
        raise ValueError(f"queue_length must not be negative, found {queue_length}")
