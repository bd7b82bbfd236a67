"""One training loop for any module whose ``forward(batch)`` returns a loss."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from oligolearn.training.checkpoint import Checkpoint, Progress
from oligolearn.training.descent import AdamW, clip_gradients, shuffled
from oligolearn.training.memory import freed_memory_kept
from oligolearn.training.products import draws_dropout, fast_products, resolve_precision
from oligolearn.training.schedule import DivergedError, History, Schedule, n_batches
from oligolearn.training.team import Team

Batch = Any  # whatever the module's forward takes: a tuple of views, or rows and their labels


class Epoch(Protocol):
    """Yields, for each batch of an epoch, what `make_batch` takes."""

    def __call__(self, n_parts: int, generator: torch.Generator, *, skip: int) -> Iterable[Any]:
        """Draw an epoch of `n_parts` batches and leave out its first `skip` ones: they were done before a stop."""


@dataclass(frozen=True)
class Runtime:
    """How a training is carried out: decides its speed and its rounding, and nothing else.

    Attributes
    ----------
    precision
        Of the products of linear layers: ``"32"``, ``"bf16"``, or ``"auto"`` for bf16 where the hardware has it.
    checkpoint
        Where to keep the state of the training as it goes; if it holds one, training goes on from there.
    team
        Processes that share the work of each batch; the first of them writes the checkpoint.
    """

    precision: str = "32"
    checkpoint: Checkpoint | None = None
    team: Team | None = None


def fit(  # noqa: PLR0913, PLR0915  (the whole of a training)
    module: nn.Module,
    make_batch: Callable[[Any], Batch],
    n_rows: int,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    epoch: Epoch | None = None,
    before_epoch: Callable[[], None] | None = None,
    score: Callable[[], float] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
    runtime: Runtime | None = None,
) -> History:
    """Minimise ``module(make_batch(rows))`` over shuffled batches of rows.

    Parameters
    ----------
    module
        ``forward(batch)`` returns a scalar loss. A method ``on_step(progress)``, where there is one, hears before each
        step which share of the training is done.
    make_batch
        Row numbers ``(batch,)``, on the CPU, or what `epoch` yields -> what the module takes.
    n_rows
        Number of rows to draw from.
    schedule
        Length, batch size, learning rate.
    generator
        Orders the rows, and seeds dropout.
    epoch
        Draws the batches of an epoch, for rows that cannot be had in any order; None shuffles row numbers.
    before_epoch
        Called before each epoch with the module in evaluation mode; it may change buffers.
    score
        Called after each epoch with the module in evaluation mode; the weights of the best epoch are kept, and
        training ends after `schedule.patience` epochs without a better one.
    on_epoch
        Called with ``(epochs done, all epochs, mean loss)``.
    runtime
        Precision, checkpoint and team.

    Returns
    -------
    History
        The module itself is trained in place and left in evaluation mode.

    Raises
    ------
    DivergedError
        If the loss of an epoch is not finite.
    ValueError
        If a checkpoint or a team meets a `score`, or a checkpoint is not that of this training.
    """
    runtime = runtime or Runtime()
    checkpoint, team = runtime.checkpoint, runtime.team
    if (checkpoint is not None or team is not None) and score is not None:
        raise ValueError("a training with early stopping keeps no checkpoints and has no team: pass `score` or these")
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = AdamW(parameters, schedule)
    tell: Callable[[float], None] = getattr(module, "on_step", lambda _: None)
    draw = epoch or shuffled(n_rows)
    per_epoch = n_batches(n_rows, schedule.batch_size)
    n_epochs = math.ceil(schedule.steps / per_epoch)
    best = _Best(module, schedule.patience)
    device = parameters[0].device
    dropout = dropout_generators(module, [generator], device)
    at = Progress()
    with ExitStack() as stack:
        stack.enter_context(freed_memory_kept())
        precision = resolve_precision(runtime.precision, device)
        changed = stack.enter_context(fast_products(module, precision, generators=dropout))
        if checkpoint is not None:
            checkpoint.generators += dropout
            at = checkpoint.resume(module, optimizer, generator)
        if team is not None:
            stack.enter_context(team.share(module))
            team.check_alike("checkpoint: its step", [at.step])
            checkpoint = checkpoint if team.is_first else None
        while at.step < schedule.steps:
            if before_epoch is not None and not at.epoch_losses:
                module.eval()
                before_epoch()
            module.train()
            at.order = generator.get_state()
            for rows in draw(per_epoch, generator, skip=len(at.epoch_losses)):
                tell(at.step / schedule.steps)
                loss = module(make_batch(rows))
                loss.backward()
                if team is not None:
                    team.reduce_gradients(parameters)
                clip_gradients(parameters, schedule.clip_norm)
                optimizer.step(at.step)
                changed()
                at.epoch_losses.append(loss.detach())
                at.step += 1
                if at.step == schedule.steps:
                    break
                if checkpoint is not None:
                    checkpoint.save_if_due(module, optimizer, at)
            _end_epoch(at, n_epochs, schedule)
            at.order = generator.get_state()
            if checkpoint is not None:
                checkpoint.save_if_due(module, optimizer, at)
            if on_epoch is not None:
                on_epoch(len(at.losses), n_epochs, at.losses[-1])
            module.eval()
            if score is not None and best.enough(score()):
                break
    module.eval()
    best.restore()
    return History(at.losses, best.scores, best.epoch if best.scores else len(at.losses) - 1)


def dropout_generators(
    module: nn.Module, generators: Sequence[torch.Generator], device: torch.device
) -> list[torch.Generator]:
    """Generators for dropout masks, each seeded by one of `generators`; none for a module without dropout."""
    if not draws_dropout(module):
        return []
    seeds = [int(torch.randint(2**62, (), generator=generator)) for generator in generators]
    return [torch.Generator(device).manual_seed(seed) for seed in seeds]


def _end_epoch(at: Progress, n_epochs: int, schedule: Schedule) -> None:
    """Add the mean loss of the epoch; here the host waits for the device, once."""
    at.losses.append(torch.stack(at.epoch_losses).mean().item())
    at.epoch_losses = []
    if not math.isfinite(at.losses[-1]):
        raise diverged(at.losses[-1], len(at.losses), n_epochs, schedule)


def diverged(loss: float, epoch: int, n_epochs: int, schedule: Schedule) -> DivergedError:
    """Say when a loss stopped being a number, and what may help."""
    return DivergedError(
        f"the loss became {loss} in epoch {epoch} of {n_epochs}; a smaller learning rate than "
        f"{schedule.learning_rate:g} may help"
    )


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
        """Put the best weights back."""
        if self._weights:
            self.module.load_state_dict(self._weights)
