"""How long and how fast to train, and what happened."""

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes
    ----------
    steps
        Number of optimizer steps.
    batch_size
        Smallest number of rows in a batch: an epoch is cut into equal batches of at least this size (all rows when
        there are fewer), so that no batch is too small for batch norm.
    learning_rate
        Peak of the rate: it rises linearly over the share `warm_up` of the steps, then falls along a half cosine to 0.
    weight_decay
        Decoupled (AdamW).
    clip_norm
        Largest norm of a gradient; longer ones are scaled down to it. Infinite: none is.
    patience
        Early stopping: epochs without a better score before training stops. Only counts where a score is given.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warm_up: float = 0.05
    clip_norm: float = 1.0
    patience: int = 10

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "clip_norm", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")
        if not (0 <= self.warm_up < 1 and self.weight_decay >= 0):
            raise ValueError(
                f"warm_up must lie in [0, 1) and weight_decay must not be negative, found {self.warm_up} and "
                f"{self.weight_decay}"
            )

    def rate(self, step: int) -> float:
        """Learning rate at `step`, counted from 0."""
        rise = (step + 1) / max(1.0, self.warm_up * self.steps)
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(1.0, rise) * fall


class History(NamedTuple):
    """What happened in a training.

    Attributes
    ----------
    losses
        Mean loss of each epoch, ``(n_epochs,)``.
    scores
        Score after each epoch (larger is better), empty without a `score` function.
    best_epoch
        Epoch whose weights were kept: the last one without a `score` function.
    """

    losses: list[float]
    scores: list[float]
    best_epoch: int


class DivergedError(ValueError):
    """The loss became infinite or not a number."""


def n_batches(n_rows: int, batch_size: int) -> int:
    """Batches in an epoch: equal in size, none smaller than `batch_size` unless there are fewer rows."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, found {batch_size}")
    return max(1, n_rows // batch_size)
