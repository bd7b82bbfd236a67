"""Training on rows of two sides, sources and target, at once."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from oligolearn.adapt import Batch
from oligolearn.estimators.building import OnEpoch
from oligolearn.estimators.labels import UNLABELLED
from oligolearn.training import Runtime, Schedule, fit

_SOURCE, _TARGET = 0, -1


class DomainRows(NamedTuple):
    """What an estimator is fitted to, checked.

    Attributes
    ----------
    values
        ``(n_samples, n_genes)``, NaN where missing.
    labels
        Class numbers, -1 where not known; or numbers in floating point, NaN where not known, ``(n_samples,)``.
    domains
        0 or more for sources, negative for targets, ``(n_samples,)``.
    """

    values: NDArray[np.floating]
    labels: NDArray[Any]
    domains: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Rows whose label is known, ``(n_samples,)``."""
        return is_known(self.labels)

    @property
    def is_target(self) -> NDArray[np.bool_]:
        """Rows of targets, ``(n_samples,)``."""
        return self.domains < 0

    @property
    def n_sources(self) -> int:
        """Number of source domains."""
        return len(np.unique(self.domains[self.domains >= 0]))

    def describe(self) -> dict[str, Any]:
        """Sizes, JSON-able."""
        return {
            "n_source": int((~self.is_target).sum()),
            "n_target": int(self.is_target.sum()),
            "n_target_labelled": int((self.is_target & self.known).sum()),
            "source_domains": np.unique(self.domains[~self.is_target]).tolist(),
        }


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
                sides.labels.index_select(0, rows),
                sides.numbers.index_select(0, rows),
                sides.target.index_select(0, others),
                sides.target_labels.index_select(0, others),
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


def split_sides(x: Tensor, y: Tensor, domains: NDArray[np.integer]) -> Sides:
    """Standardised rows, what is known of them, and their domains, 0 or more for sources, as `Sides`."""
    is_source = torch.from_numpy(domains >= 0).to(x.device)
    sources = np.unique(domains[domains >= 0])
    numbers = torch.from_numpy(np.searchsorted(sources, domains[domains >= 0])).to(x.device)
    return Sides(x[is_source], y[is_source], numbers, x[~is_source], y[~is_source])


def is_known(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each label is known: a class number that is not -1, or a number that is not NaN."""
    return ~np.isnan(labels) if np.issubdtype(labels.dtype, np.floating) else labels != UNLABELLED


def checked_domains(sample_domain: ArrayLike | None, is_unlabelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Domain of each row, ``(n_samples,)``; without one, unlabelled rows are the target.

    Raises
    ------
    ValueError
        If there is not a whole number for each row, or no row of a source has a label.
    """
    domains = np.where(is_unlabelled, _TARGET, _SOURCE) if sample_domain is None else np.asarray(sample_domain)
    if domains.shape != is_unlabelled.shape or not np.issubdtype(domains.dtype, np.integer):
        raise ValueError(
            f"sample_domain must be {len(is_unlabelled)} whole numbers, one for each row, 0 or more for sources and "
            f"negative for the target; found {domains.dtype} of shape {domains.shape}"
        )
    if is_unlabelled[domains >= 0].all():
        raise ValueError(
            f"no row of a source has a label: of {len(domains)} rows, {(domains >= 0).sum()} are of a source "
            "(sample_domain of 0 or more)"
        )
    return domains.astype(np.int64)


def main_domain(domains: NDArray[np.int64]) -> int:
    """The one of sorted `domains` that rows are from where nothing else is said: the target, else the first source."""
    targets = domains[domains < 0]
    return int(targets[-1]) if len(targets) else int(domains[0])


def refuse_several_targets(domains: NDArray[np.int64]) -> None:
    """Refuse to save what knows several targets, each standardised and predicted by itself."""
    targets = domains[domains < 0]
    if len(targets) > 1:
        raise ValueError(
            f"the model knows {len(targets)} targets, and one is kept when it is saved; fit one model for each of them"
        )


def first_source(domains: NDArray[np.int64]) -> int:
    """The one of sorted `domains` that rows of sources are from where nothing else is said."""
    return int(domains[domains >= 0][0])


def domains_to_predict(sample_domain: ArrayLike | None, domains: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Domain of each row to predict, ``(n_rows,)``; without one all are of the target.

    Raises
    ------
    ValueError
        If there are several targets and nothing says which one it is, or a domain was not seen in training.
    """
    targets = domains[domains < 0]
    if sample_domain is None and len(targets) > 1:
        raise ValueError(
            f"there are several targets, {', '.join(map(str, targets))}: pass sample_domain, the one of each row"
        )
    found = np.full(n_rows, main_domain(domains)) if sample_domain is None else np.asarray(sample_domain)
    unseen = np.setdiff1d(found, domains)
    if len(unseen):
        raise ValueError(
            f"sample_domain has {unseen[0]}, of which no row was seen in training; known are "
            f"{', '.join(map(str, domains))}"
        )
    return found
