"""Training on rows of two sides, sources and target, at once."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from oligolearn.adapt import Batch
from oligolearn.estimators.building import OnEpoch
from oligolearn.training import Runtime, Schedule, fit


class Sides(NamedTuple):
    """Standardised rows of both sides, on the device.

    Attributes
    ----------
    source, labels, numbers
        Rows of the sources, ``(n, n_genes)``, their class numbers, -1 where not known, and the numbers of their domains
        from 0 on, ``(n,)``.
    target, target_labels
        Rows of the target and their class numbers.
    """

    source: Tensor
    labels: Tensor
    numbers: Tensor
    target: Tensor
    target_labels: Tensor


class DomainTraining(NamedTuple):
    """How an objective of `oligolearn.adapt` is trained: the phases of a method have this in common."""

    sides: Sides
    schedule: Schedule
    seed: int
    runtime: Runtime
    on_epoch: OnEpoch | None

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.sides.source.device

    def fit(self, objective: nn.Module, rate: float = 1.0) -> list[float]:
        """Train in batches with as many rows of the target as of the sources; gives the loss of each epoch.

        Parameters
        ----------
        objective
            ``forward(batch)`` takes what `oligolearn.adapt.Batch` says.
        rate
            Multiplies the learning rate.
        """
        sides, draws = self.sides, torch.Generator().manual_seed(self.seed)
        n_target = len(sides.target)

        def make_batch(drawn: Tensor) -> Batch:
            rows = drawn.to(self.device)
            others = torch.randint(max(1, n_target), (len(rows) if n_target else 0,), generator=draws).to(self.device)
            return (
                sides.source.index_select(0, rows),
                sides.labels[rows],
                sides.numbers[rows],
                sides.target.index_select(0, others),
                sides.target_labels[others],
            )

        return fit(
            objective,
            make_batch,
            len(sides.source),
            replace(self.schedule, learning_rate=rate * self.schedule.learning_rate),
            generator=torch.Generator().manual_seed(self.seed),
            on_epoch=self.on_epoch,
            runtime=self.runtime,
        ).losses
