"""What every training loop does in a step: order of rows, clipping, AdamW."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from oligolearn.training.memory import lasting
from oligolearn.training.schedule import Schedule

_MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamW:
    """AdamW (Loshchilov 2019), each parameter updated in one pass over memory.

    The arithmetic is that of `torch.optim.AdamW(fused=True)`. That class would import torch's compiler, which takes two
    seconds in every process that trains, and knows no rates of replicas.

    Parameters
    ----------
    parameters
        Updated in place.
    schedules
        Learning rate and weight decay: one schedule, or one for each replica, over which the parameters are stacked in
        their first dimension.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], schedules: Schedule | Sequence[Schedule]) -> None:
        self._parameters = list(parameters)
        for parameter in self._parameters:
            parameter.grad = None
        self._moments = [[lasting(p.shape, p.dtype, p.device) for p in self._parameters] for _ in _MOMENTS]
        self._steps = torch.zeros((), device=self._parameters[0].device)
        each = [schedules] if isinstance(schedules, Schedule) else schedules
        self._replicas = {schedule: [i for i, one in enumerate(each) if one == schedule] for schedule in each}

    @torch.no_grad()
    def step(self, step: int) -> None:
        """Update every parameter that has a gradient, by the rates of `step`, counted from 0; gradients are spent."""
        self._steps.add_(1)
        moved = [i for i, parameter in enumerate(self._parameters) if parameter.grad is not None]
        parameters = [self._parameters[i].detach() for i in moved]
        gradients = [cast(Tensor, self._parameters[i].grad) for i in moved]
        parts = [parameters, gradients, *([part[i] for i in moved] for part in self._moments)]
        if len(self._replicas) == 1:
            self._update(next(iter(self._replicas)), step, *parts)
        else:
            single = [[tensor.unbind() for tensor in part] for part in parts]
            for schedule, replicas in self._replicas.items():
                self._update(schedule, step, *([tensor[r] for tensor in part for r in replicas] for part in single))
        for parameter in self._parameters:
            parameter.grad = None

    def _update(
        self,
        schedule: Schedule,
        step: int,
        parameters: list[Tensor],
        gradients: list[Tensor],
        averages: list[Tensor],
        squares: list[Tensor],
    ) -> None:
        torch._fused_adamw_(
            parameters,
            gradients,
            averages,
            squares,
            [],
            [self._steps] * len(parameters),
            lr=schedule.rate(step),
            beta1=0.9,
            beta2=0.999,
            weight_decay=schedule.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, by name; the tensors themselves."""
        moments = {
            f"{number}.{name}": value
            for name, part in zip(_MOMENTS, self._moments, strict=True)
            for number, value in enumerate(part)
        }
        return {"steps": self._steps, **moments}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for name, value in self.state().items():
            value.copy_(state[name])


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
    if n_replicas is None:
        _clip_together(gradients, longest)
        return
    rows = [g.reshape(n_replicas, -1) for g in gradients]
    norms = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in rows])
    scale = (longest / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    if scale.device.type == "cpu" and bool((scale == 1).all()):
        return  # on a GPU, to ask would wait for it
    for g in rows:
        g.mul_(scale[:, None])


def _clip_together(gradients: list[Tensor], longest: float) -> None:
    """Clip those of a single model: one call for all norms, and one for all products."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    scale = (longest / (norm + 1e-6)).clamp(max=1.0)
    if scale.device.type == "cpu" and scale.item() == 1:
        return  # on a GPU, to ask would wait for it
    torch._foreach_mul_(gradients, scale)
