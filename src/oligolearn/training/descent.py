"""What every training loop does in a step: order of rows, clipping, AdamW."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from oligolearn.training.memory import lasting
from oligolearn.training.schedule import Schedule


def adamw(parameters: Iterable[nn.Parameter], schedule: Schedule) -> torch.optim.AdamW:
    """AdamW that updates each parameter in one pass over memory."""
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)
    for parameter in optimizer.param_groups[0]["params"]:
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            **{name: lasting(parameter.shape, parameter.dtype, parameter.device) for name in ("exp_avg", "exp_avg_sq")},
        }
    return optimizer


def shuffled(n_rows: int) -> Callable[..., Iterable[Tensor]]:
    """Draw the row numbers of an epoch's batches: equal in size, each row once, but for a remainder."""

    def draw(n_parts: int, generator: torch.Generator, *, skip: int = 0) -> Iterable[Tensor]:
        size = n_rows // n_parts
        order = torch.randperm(n_rows, generator=generator)[: n_parts * size]
        return torch.split(order, size)[skip:]

    return draw


def clip_gradients(parameters: Iterable[nn.Parameter], longest: float, n_replicas: int | None = None) -> None:
    """Scale gradients down to the norm `longest`, those of each replica by themselves.

    Parameters
    ----------
    parameters
        With their gradients; stacked over replicas in the first dimension where `n_replicas` is given.
    longest
        Norm; infinite for none.
    n_replicas
        None for a single model.
    """
    if math.isinf(longest):
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    rows = [g.reshape(n_replicas or 1, -1) for g in gradients]
    norms = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in rows])
    scale = (longest / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    if scale.device.type == "cpu" and bool((scale == 1).all()):
        return  # on a GPU, to ask would wait for it
    for g in rows:
        g.mul_(scale[:, None])
