"""MoCo: telling the other view of a sample from a queue of other samples."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oligolearn.nn import Encoder
from oligolearn.nn.precision import at_least_float32
from oligolearn.pretext.joining import same_rows
from oligolearn.pretext.momentum import MomentumCopy, check_momentum, suggest_momentum

LONGEST_QUEUE = 65_536  # the paper's
_EMPTY = -1  # no row has this number


def queued_info_nce(queries: Tensor, keys: Tensor, others: Tensor, allowed: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of finding each query's key among other keys (He 2020, eq. 1).

    Parameters
    ----------
    queries, keys
        Unit features of two views of the same rows, ``(batch, dim)``.
    others
        Unit features of keys that may be negatives, ``(n_others, dim)``.
    allowed
        Which of them are negatives of each query, ``(batch, n_others)``, boolean.
    temperature
        Divides the cosines.

    Returns
    -------
    Tensor
        Mean over queries, a scalar.

    Examples
    --------
    >>> z = torch.eye(2)
    >>> allowed = torch.tensor([[True], [False]])  # the second query has no negative
    >>> round(queued_info_nce(z, z, z[:1], allowed, temperature=1.0).item(), 4)  # half of ln 2
    0.3466
    """
    positives = at_least_float32((queries * keys).sum(dim=1, keepdim=True)) / temperature
    negatives = at_least_float32(queries @ others.T) / temperature
    logits = torch.cat([positives, negatives.masked_fill(~allowed, -math.inf)], dim=1)
    return (torch.logsumexp(logits, dim=1) - positives[:, 0]).mean()


class MoCo(nn.Module):
    """Tell the other view of a sample from a queue of other samples (He 2020, arXiv:1911.05722).

    ``forward(views)`` takes two views of the same rows, each ``(batch, n_features)``, and the numbers of the rows,
    ``(batch,)``; it returns InfoNCE (eq. 1), a scalar: the mean over rows of
    ``-log(exp(q k / temperature) / (exp(q k / temperature) + sum of exp(q k' / temperature)))`` with the query `q` of
    the first view, the key `k` of the second, and as `k'` the keys of all other rows in the batch and in the queue.
    Keys come from a copy of encoder and head that follows them slowly (eq. 2).

    Row numbers keep other views of a row, which a small cohort's queue is full of, from being its negatives.
    Without them, when `views` has two elements, each row of the batch counts as one never seen before: then keep the
    queue shorter than the cohort, less a batch, or set it to 0.

    Parameters
    ----------
    encoder
        Module with `out_dim`; the part that is kept after pretraining.
    version
        2 (Chen 2020, arXiv:2003.04297) or 1, which has a head without hidden layer and a temperature of .07.
    queue_length
        Earlier keys that serve as negatives, 0 for those of the batch alone.
    momentum
        Share of itself that each weight of the copy keeps in a step.
    temperature
        Divides the cosines; None for the version's own, .2 or .07.
    projection
        Hidden units, for version 2, and outputs of the head.

    Attributes
    ----------
    plateau : float
        Loss of an encoder that cannot tell samples apart, the mean of ``ln(1 + number of negatives)`` in the last
        batch; infinite before.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Differs from the paper: negatives are also the other keys of the batch, and none while the queue is empty (the
    authors fill it with random directions); no key of the query's own row is one; batches are not shuffled between
    devices for batch norm, which has one batch here; queue and momentum follow from the cohort, see
    `suggest_options` (the paper: 65,536 and .999).

    Examples
    --------
    >>> from oligolearn.nn import MLP
    >>> objective = MoCo(MLP(20, (16, 8)), queue_length=64)
    >>> objective((torch.randn(32, 20), torch.randn(32, 20), torch.arange(32))).shape
    torch.Size([])
    """

    augmented = (True, True)
    needs_rows = True
    per_replica = ("temperature",)
    queue: Tensor
    queue_rows: Tensor
    unnumbered: Tensor
    _plateau: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        version: int = 2,
        queue_length: int = 0,
        momentum: float = 0.99,
        temperature: float | None = None,
        projection: tuple[int, int] = (128, 128),
    ) -> None:
        super().__init__()
        if version not in (1, 2):
            raise ValueError(f"version must be 1 or 2, found {version}")
        self.temperature = {1: 0.07, 2: 0.2}[version] if temperature is None else temperature
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, found {temperature}")
        if queue_length < 0:
            raise ValueError(f"queue_length must not be negative, found {queue_length}")
        check_momentum(momentum)
        n_hidden, n_out = projection
        self.encoder = encoder
        self.head: nn.Module = nn.Linear(encoder.out_dim, n_out)
        if version == 2:
            self.head = nn.Sequential(nn.Linear(encoder.out_dim, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out))
        self.slow = MomentumCopy(encoder, self.head)
        self.momentum = momentum
        # of a fixed shape and changed in place, so that they survive saving and stack over replicas
        self.register_buffer("queue", torch.zeros(queue_length, n_out))
        self.register_buffer("queue_rows", torch.full((queue_length,), _EMPTY))
        self.register_buffer("unnumbered", torch.zeros((), dtype=torch.long))
        self.register_buffer("_plateau", torch.tensor(math.inf))

    @property
    def plateau(self) -> float:
        """Loss of an encoder that cannot tell samples apart."""
        return float(self._plateau)

    @staticmethod
    def suggest_options(
        chosen: Mapping[str, Any], *, n_rows: int, batch_size: int, n_epochs: int, n_features: int
    ) -> dict[str, Any]:
        """Complete the settings that a user has chosen by some that suit the cohort.

        The copy averages over a twentieth of the steps (`suggest_momentum`). The queue holds whole batches, as many
        as pass in a quarter of that time, as in the paper (256 batches at a momentum of .999), so that its keys are
        not older than what the copy remembers; but no more than the rows outside of a batch.
        """
        if batch_size < 2:
            raise ValueError(f"MoCo compares the rows of a batch: it needs at least 2, found {batch_size}")
        momentum = chosen.get("momentum", suggest_momentum(n_epochs * max(1, n_rows // batch_size)))
        check_momentum(momentum)
        n_queued = min(round(0.25 / (1 - momentum)), (n_rows - batch_size) // batch_size, LONGEST_QUEUE // batch_size)
        options = {"momentum": momentum, "queue_length": batch_size * n_queued, **chosen}
        if options["queue_length"] > n_rows:
            raise ValueError(
                f"queue_length must not exceed the {n_rows} training rows, found {options['queue_length']}; "
                "a longer queue holds old keys of rows that it has newer ones of: leave it out, or choose a smaller one"
            )
        return options

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Loss of finding the second view of each row of the first."""
        first, second = same_rows(views[:2])
        numbers = views[2:]
        if self.training:
            self.slow.follow(self.encoder, self.head, momentum=self.momentum)
        queries = F.normalize(at_least_float32(self.head(self.encoder(first))), dim=1)
        keys = F.normalize(at_least_float32(self.slow(second)), dim=1)
        rows = numbers[0] if numbers else self._new_numbers(len(first), keys.device)
        others = torch.cat([keys, self.queue.to(keys.dtype)])
        other_rows = torch.cat([rows, self.queue_rows])
        allowed = (other_rows != rows[:, None]) & (other_rows != _EMPTY)
        self._plateau.copy_(allowed.sum(dim=1).log1p().mean())
        self._enqueue(others, other_rows)
        return queued_info_nce(queries, keys, others, allowed, temperature=self.temperature)

    def _new_numbers(self, n_rows: int, device: torch.device) -> Tensor:
        """Numbers that no row has had yet: all below that of an empty place."""
        self.unnumbered.add_(n_rows)
        return _EMPTY - 1 - self.unnumbered + torch.arange(n_rows, device=device)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor, rows: Tensor) -> None:
        """Keep the first keys, the newest: those of the batch, then those that were in the queue."""
        self.queue.copy_(keys[: len(self.queue)])
        self.queue_rows.copy_(rows[: len(self.queue_rows)])
