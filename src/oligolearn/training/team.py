"""Several processes, on one machine or many, that train one model together.

Every process runs the whole training with the same seeds: same rows, same views, same objective. What takes the time is
shared: an encoder, which is any module with `out_dim` and `blocks`, encodes on each process a part of the rows, and the
embeddings of all rows are gathered on every process. What compares samples across the batch (codes, negatives, queues,
batch norm in heads) therefore sees the whole batch, needs to know nothing of other processes, and gives the result of a
single one, rounding apart.

Gradients: all `n` processes compute the same loss. Each hands the gradient of its own rows, times `n`, to its encoder.
The mean over processes (`Team.reduce_gradients`) then is the gradient of one process, for the weights of encoders and
for all others alike.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_LARGE = 2**20  # numbers: a gradient of this size goes by itself, to copy it beside others would take longer


class RowShare(NamedTuple):
    """The rows of a batch that one process encodes, as even a part as can be.

    Attributes
    ----------
    n_rows
        In the whole batch.
    n_parts
        Processes.
    part
        This process.

    Examples
    --------
    >>> [RowShare(7, 3, part).rows for part in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """

    n_rows: int
    n_parts: int
    part: int

    @property
    def sizes(self) -> list[int]:
        """Rows of every process."""
        least, more = divmod(self.n_rows, self.n_parts)
        return [least + (part < more) for part in range(self.n_parts)]

    @property
    def rows(self) -> slice:
        """Rows of this process."""
        start = sum(self.sizes[: self.part])
        return slice(start, start + self.sizes[self.part])


class Team:
    """Processes that share the work of each batch; the trained model is that of one process with the same batches.

    Parameters
    ----------
    device
        Where this process computes.

    Attributes
    ----------
    size
        Number of processes.
    number
        Of this process, from 0.

    Raises
    ------
    ValueError
        If `torch.distributed` has not been started; `Team.launch` starts it.
    """

    def __init__(self, device: torch.device) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise ValueError("the processes of a team are not connected; start them with Team.launch")
        self.device = device
        self.size = dist.get_world_size()
        self.number = dist.get_rank()
        self._share: RowShare | None = None

    @classmethod
    def launch(cls, kind: str, devices: int, nodes: int = 1) -> Self:
        """Start the processes and connect them, by Lightning Fabric.

        Called once by the first process, it runs the present script again, with the same arguments, for every other
        process of this machine; each comes to this call and goes on from here. Under `torchrun` and SLURM's `srun`,
        which start all processes themselves, it connects them. A second call in a process gives the same team.

        Parameters
        ----------
        kind
            ``"cpu"`` or ``"cuda"``.
        devices
            Processes on each machine; with CUDA each has a GPU. Processes on CPUs share the cores.
        nodes
            Machines.

        Raises
        ------
        ModuleNotFoundError
            If Lightning Fabric is not installed.
        ValueError
            If there are fewer GPUs than `devices`, or the numbers are not those of `torchrun` or SLURM.
        """
        if devices < 1 or nodes < 1:
            raise ValueError(f"devices and nodes must be at least 1, found {devices} and {nodes}")
        if kind == "cuda" and devices > torch.cuda.device_count():
            raise ValueError(f"devices={devices} were asked for but this machine has {torch.cuda.device_count()} GPUs")
        if dist.is_initialized():
            device = torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)
            team = cls(device)
        else:
            team = cls(_launch(kind, devices, nodes))
        if team.size != devices * nodes:
            raise ValueError(
                f"devices={devices} and nodes={nodes} make {devices * nodes} processes but {team.size} are connected; "
                "give every model of a script, and torchrun, the same numbers"
            )
        return team

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a copy of a patched module stays in the team

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.number == 0

    @contextmanager
    def share(self, module: nn.Module) -> Iterator[None]:
        """Let the encoders in `module` share their rows while they train, from the weights of the first process on.

        In evaluation mode an encoder computes by itself, so that one process may do so alone. Dropout of an encoder
        draws for all rows and takes its own: enter this after what changes how dropout draws.

        Parameters
        ----------
        module
            Computes as before when the context is left.

        Raises
        ------
        ValueError
            By an encoder, if a batch has fewer rows than there are processes.
        """
        self._send_state(module)
        patched: list[tuple[nn.Module, Any]] = []
        try:
            for encoder in _encoders(module) if self.size > 1 else ():
                for layer, forward in self._forwards(encoder):
                    patched.append((layer, layer.__dict__.get("forward")))
                    layer.forward = forward
            yield
        finally:
            for layer, before in reversed(patched):
                del layer.forward
                if before is not None:
                    layer.forward = before

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over processes: the same everywhere, to the last bit."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        for dtype in dict.fromkeys(g.dtype for g in gradients):
            alike = [g for g in gradients if g.dtype == dtype]
            small = [g for g in alike if g.numel() < _LARGE or not g.is_contiguous()]
            for gradient in alike:
                if gradient.numel() >= _LARGE and gradient.is_contiguous():
                    self._sum(gradient).mul_(1 / self.size)
            if small:
                flat = self._sum(torch.cat([g.reshape(-1) for g in small])).mul_(1 / self.size)
                for gradient, part in zip(small, torch.split(flat, [g.numel() for g in small]), strict=True):
                    gradient.copy_(part.view_as(gradient))

    def first_says(self, number: int) -> int:
        """Give the number that the first process has: for a seed that was drawn."""
        sent = torch.tensor(number, device=self.device)
        with _connected():
            dist.broadcast(sent, src=0)
        return int(sent)

    def check_alike(self, what: str, numbers: Sequence[float]) -> None:
        """Refuse to go on where processes differ, which would end in each waiting for another.

        Raises
        ------
        ValueError
            On every process, if numbers of one differ from those of the first.
        """
        own = torch.tensor([float(number) for number in numbers], dtype=torch.float64, device=self.device)
        first, *others = self._gather(own).tolist()
        for number, other in enumerate(others, start=1):
            if not all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(first, other, strict=True)):
                raise ValueError(
                    f"processes that train together must have the same {what}: process 0 has {first}, process "
                    f"{number} has {other}; read the same files and draw with the same seed on all of them"
                )

    def _send_state(self, module: nn.Module) -> None:
        with torch.no_grad(), _connected():
            for value in (*module.parameters(), *module.buffers()):
                sent = value.detach().contiguous()
                dist.broadcast(sent, src=0)
                value.copy_(sent)

    def _forwards(self, encoder: nn.Module) -> Iterator[tuple[nn.Module, Callable[..., Tensor]]]:
        """Modules of an encoder that compute otherwise in a team, and how."""
        yield encoder, partial(self._encode, encoder, encoder.forward)
        for layer in encoder.modules():
            if type(layer) in _NORMS:
                yield layer, partial(self._normalise, layer)
            elif type(layer) is nn.Dropout and layer.p > 0:
                yield layer, partial(self._drop, layer, layer.forward)

    def _encode(self, encoder: nn.Module, forward: Callable[..., Tensor], *inputs: Any, **named: Any) -> Tensor:
        """What the encoder gives for all rows, of which this process encodes its own."""
        n_rows = next(len(value) for value in (*inputs, *named.values()) if isinstance(value, Tensor))
        if not encoder.training:
            return forward(*inputs, **named)
        if n_rows < self.size:
            raise ValueError(f"{self.size} processes cannot share a batch of {n_rows} rows; use a larger batch_size")
        share = RowShare(n_rows, self.size, self.number)

        def own(value: Any) -> Any:
            if not (isinstance(value, Tensor) and value.dim() and len(value) == n_rows):
                return value
            return _Own.apply(value, share, self)  # type: ignore[no-untyped-call]

        self._share = share
        try:
            out = forward(*map(own, inputs), **{name: own(value) for name, value in named.items()})
        finally:
            self._share = None
        if len(out) != share.sizes[share.part]:
            raise ValueError(f"an encoder must give a row for each row, found {len(out)} for {share.sizes[share.part]}")
        gathered: Tensor = _Gathered.apply(out, share, self)  # type: ignore[no-untyped-call]
        return gathered

    def _normalise(self, layer: Any, x: Tensor) -> Tensor:
        """What batch norm gives, by mean and variance of the whole batch."""
        if self._share is None or not (layer.training or layer.running_mean is None):
            out: Tensor = type(layer).forward(layer, x)
            return out
        out, mean, variance, count = _Norm.apply(x, layer.weight, layer.bias, layer.eps, self)  # type: ignore[no-untyped-call]
        if layer.training and layer.running_mean is not None:
            layer.num_batches_tracked.add_(1)
            weight = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
            layer.running_mean.mul_(1 - weight).add_(weight * mean)
            layer.running_var.mul_(1 - weight).add_(weight * variance * count / (count - 1))
        return out

    def _drop(self, layer: nn.Dropout, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What dropout gives, with the mask that a single process would draw for these rows."""
        share = self._share
        if share is None or not layer.training:
            return forward(x)
        n_own = share.sizes[share.part]
        each, rest = divmod(len(x), n_own)
        if rest:  # rows are not in the first dimension: draw for what is here
            return forward(x)
        mask = forward(x.new_ones(share.n_rows * each, *x.shape[1:]))
        rows = share.rows
        return x * mask[rows.start * each : rows.stop * each]

    def _gather(self, x: Tensor) -> Tensor:
        """Stack `x` of all processes, ``(size, *x.shape)``."""
        gathered = x.new_empty(self.size, *x.shape)
        with _connected():
            dist.all_gather(list(gathered), x.contiguous())
        return gathered

    def _gather_rows(self, x: Tensor, share: RowShare) -> Tensor:
        """Join the rows of all processes in their order, ``(share.n_rows, ...)``."""
        longest = max(share.sizes)
        if len(x) < longest:
            x = torch.cat([x, x.new_zeros(longest - len(x), *x.shape[1:])])
        parts = self._gather(x)
        if len(set(share.sizes)) == 1:
            return parts.flatten(0, 1)
        return torch.cat([part[:size] for part, size in zip(parts, share.sizes, strict=True)])

    def _sum(self, x: Tensor) -> Tensor:
        """Add `x` up over processes, in its place."""
        with _connected():
            dist.all_reduce(x)
        return x


def is_first_process() -> bool:
    """Whether this process speaks and writes: True for a process by itself."""
    return not (dist.is_available() and dist.is_initialized() and dist.get_rank() > 0)


def _launch(kind: str, devices: int, nodes: int) -> torch.device:
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "training by several processes needs Lightning Fabric: pip install 'oligolearn[distributed]'"
        ) from None
    fabric = Fabric(accelerator=kind, devices=devices, num_nodes=nodes, strategy="ddp")
    log = logging.getLogger("lightning_fabric")
    level = log.level
    log.setLevel(logging.WARNING)  # it would announce every process
    try:
        with _connected():
            fabric.launch()
    finally:
        log.setLevel(level)
    device: torch.device = fabric.device
    return device


def _encoders(module: nn.Module) -> list[nn.Module]:
    """Encoders of a module, not those within another one."""
    found: list[nn.Module] = []
    within: set[nn.Module] = set()
    for part in module.modules():  # an outer module comes before what it holds
        if part not in within and hasattr(part, "out_dim") and hasattr(part, "blocks"):
            found.append(part)
            within.update(part.modules())
    return found


@contextmanager
def _connected() -> Iterator[None]:
    """Say in plain words that another process is gone, or never came."""
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(
            "another process of this training stopped, or cannot be reached, so this one stops too"
        ) from error


class _Own(torch.autograd.Function):
    """The own rows of a batch; its gradient is that of all rows, on every process."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: RowShare, team: Team) -> Tensor:
        ctx.share, ctx.team = share, team
        return x[share.rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.team._gather_rows(gradients[0] / ctx.team.size, ctx.share), None, None


class _Gathered(torch.autograd.Function):
    """All rows from the own rows of every process; the loss above is computed by each of them, hence `size`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: RowShare, team: Team) -> Tensor:
        ctx.share, ctx.team = share, team
        return team._gather_rows(x, share)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.share.rows] * ctx.team.size, None, None


class _Norm(torch.autograd.Function):
    """Batch norm over the rows of all processes; gives mean, variance and number of values as well."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, team: Team
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dims = [0, *range(2, x.dim())]
        shape = (1, -1, *[1] * (x.dim() - 2))
        own = x.mean(dim=dims)
        spread = ((x - own.view(shape)) ** 2).sum(dim=dims)
        n_own = torch.full_like(own, x.numel() / x.shape[1])
        means, spreads, counts = team._gather(torch.stack([own, spread, n_own])).unbind(dim=1)
        count = counts.sum(dim=0)
        mean = (means * counts).sum(dim=0) / count
        variance = (spreads + counts * (means - mean) ** 2).sum(dim=0) / count  # Chan, Golub & LeVeque 1979
        scale = torch.rsqrt(variance + eps)
        normal = (x - mean.view(shape)) * scale.view(shape)
        slope = scale if weight is None else weight * scale
        ctx.save_for_backward(normal, slope, count)
        ctx.team, ctx.dims, ctx.shape = team, dims, shape
        ctx.mark_non_differentiable(mean, variance, count)
        ctx.set_materialize_grads(False)
        out = normal if weight is None else normal * weight.view(shape)
        return out.clone() if bias is None else out + bias.view(shape), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        normal, slope, count = ctx.saved_tensors
        d_out = gradients[0]
        d_bias, d_weight = d_out.sum(dim=ctx.dims), (d_out * normal).sum(dim=ctx.dims)
        from_bias, from_weight = (
            part.view(ctx.shape) for part in ctx.team._sum(torch.stack([d_bias, d_weight])) / count
        )
        d_x = slope.view(ctx.shape) * (d_out - from_bias - normal * from_weight)
        needs = ctx.needs_input_grad
        return d_x, d_weight if needs[1] else None, d_bias if needs[2] else None, None, None
