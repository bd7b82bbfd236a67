"""One training loop for any module whose ``forward(batch)`` returns a loss."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Batch = Any  # whatever the module's forward takes: a tuple of views, or rows and their labels


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
        Largest norm of a gradient; longer ones are scaled down to it.
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


def fit(
    module: nn.Module,
    make_batch: Callable[[Tensor], Batch],
    n_rows: int,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    score: Callable[[], float] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> History:
    """Minimise ``module(make_batch(rows))`` over shuffled batches of rows.

    Parameters
    ----------
    module
        ``forward(batch)`` returns a scalar loss. A method ``on_step(progress)``, where there is one, hears before each
        step which share of the training is done.
    make_batch
        Row numbers ``(batch,)``, on the CPU -> what the module takes.
    n_rows
        Number of rows to draw from.
    schedule
        Length, batch size, learning rate.
    generator
        Orders the rows.
    score
        Called after each epoch with the module in evaluation mode; the weights of the best epoch are kept, and
        training ends after `schedule.patience` epochs without a better one.
    on_epoch
        Called with ``(epochs done, all epochs, mean loss)``.

    Returns
    -------
    History
        The module itself is trained in place and left in evaluation mode.

    Raises
    ------
    DivergedError
        If the loss of an epoch is not finite.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)
    tell: Callable[[float], None] = getattr(module, "on_step", lambda _: None)
    per_epoch = n_batches(n_rows, schedule.batch_size)
    n_epochs = math.ceil(schedule.steps / per_epoch)
    losses: list[float] = []
    best = _Best(module, schedule.patience)
    step = 0
    for epoch in range(n_epochs):
        module.train()
        epoch_losses = []
        for rows in _shuffled(n_rows, per_epoch, generator)[: schedule.steps - step]:
            optimizer.param_groups[0]["lr"] = schedule.rate(step)
            tell(step / schedule.steps)
            optimizer.zero_grad()
            loss = module(make_batch(rows))
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, schedule.clip_norm)
            optimizer.step()
            epoch_losses.append(loss.detach())
            step += 1
        losses.append(torch.stack(epoch_losses).mean().item())
        if not math.isfinite(losses[-1]):
            raise DivergedError(
                f"the loss became {losses[-1]} in epoch {epoch + 1} of {n_epochs}; a smaller learning rate than "
                f"{schedule.learning_rate:g} may help"
            )
        if on_epoch is not None:
            on_epoch(epoch + 1, n_epochs, losses[-1])
        module.eval()
        if score is not None and best.enough(score()):
            break
    best.restore()
    return History(losses, best.scores, best.epoch if best.scores else len(losses) - 1)


def _shuffled(n_rows: int, n_parts: int, generator: torch.Generator) -> list[Tensor]:
    size = n_rows // n_parts
    order = torch.randperm(n_rows, generator=generator)[: n_parts * size]
    return list(torch.split(order, size))


class _Best:
    """Weights of the epoch with the best score."""

    def __init__(self, module: nn.Module, patience: int) -> None:
        self.module = module
        self.patience = patience
        self.scores: list[float] = []
        self.epoch = -1
        self._weights: dict[str, Tensor] = {}

    def enough(self, score: float) -> bool:
        """Note the score of one more epoch; True when the last `patience` epochs brought nothing better."""
        self.scores.append(score)
        if self.epoch < 0 or score > self.scores[self.epoch]:
            self.epoch = len(self.scores) - 1
            self._weights = {name: value.clone() for name, value in self.module.state_dict().items()}
        return len(self.scores) - 1 - self.epoch >= self.patience

    def restore(self) -> None:
        if self._weights:
            self.module.load_state_dict(self._weights)


@torch.no_grad()
def apply_in_batches(module: nn.Module, x: Tensor, *, batch_size: int = 1024) -> Tensor:
    """Outputs of a module in evaluation mode, computed in 64 bits and rounded to 32.

    In 32 bits the last digits of a matrix product depend on the size of the batch. Rounding from 64 bits makes a
    sample's output the same whatever other samples it is computed with, in any process.

    Parameters
    ----------
    module
        Left as it was found: mode, precision, device.
    x
        ``(n, n_features)``, on the device of the module or on the CPU.
    batch_size
        Rows at a time: bounds the memory, does not change the result.

    Returns
    -------
    Tensor
        ``(n, ...)``, float32, on the CPU.
    """
    exact = copy.deepcopy(module).double().eval()
    device = next(exact.parameters()).device
    parts = [exact(part.to(device, torch.float64)).float().cpu() for part in torch.split(x, batch_size)]
    return torch.cat(parts)
