"""Many models of one architecture trained together, as one program."""

import copy
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import vmap

from oligolearn.machine import memory_of_machine
from oligolearn.training.descent import AdamW, clip_gradients, shuffled
from oligolearn.training.loop import Batch, Runtime, diverged, dropout_generators, fit
from oligolearn.training.memory import freed_memory_kept, lasting
from oligolearn.training.products import fast_products, resolve_precision
from oligolearn.training.schedule import DivergedError, History, Schedule, n_batches

MOST_REPLICAS = 64
LARGEST_STACKED_ON_CPU = 2_000_000  # weights: from there on one model at a time is as fast, and takes less memory
_INTERNAL = vars(nn.Module()).keys()
ReplicaBatch = Callable[[Tensor, Sequence[int]], Batch]


class Replicas(NamedTuple):
    """What became of replicas.

    Attributes
    ----------
    results
        History of each, or the error of one that diverged; it does not touch the others.
    how
        ``"stacked"``, or ``"one at a time: "`` and the reason.
    """

    results: list[History | DivergedError]
    how: str


def fit_replicas(  # noqa: PLR0913  (the whole of a training)
    modules: Sequence[nn.Module],
    make_batch: ReplicaBatch,
    n_rows: int,
    schedule: Schedule | Sequence[Schedule],
    *,
    generators: Sequence[torch.Generator] | torch.Generator,
    draws: Sequence[torch.Generator] = (),
    before_epoch: Callable[[int], None] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
    runtime: Runtime | None = None,
    stacked: bool | None = None,
) -> Replicas:
    """Train modules that differ in weights, rows and numbers alone; each ends as `fit` alone would leave it.

    Parameters and buffers are stacked, and one program computes all losses (`torch.func.vmap`), where that is faster:
    always on a GPU, on a CPU up to two million weights. Rounding apart (float64: 1e-8), the result of a
    replica depends on its own generator, rows and weights, not on how many others there are.

    Parameters
    ----------
    modules
        Alike but for the values of parameters and buffers, rates of dropout, and the numbers that a module names in its
        attribute `per_replica`: those that its `forward` alone uses, in arithmetic with tensors, such as a temperature.
        Trained in place and left in evaluation mode.
    make_batch
        Row numbers ``(n, batch)`` on the CPU, and the numbers of the `n` replicas they are for -> what the modules
        take, every tensor with a first dimension of `n`. With a single generator: row numbers ``(batch,)`` -> what the
        modules take, seen by all.
        On a CPU it may be called from several threads at once.
    n_rows
        Rows that each replica draws from.
    schedule
        Length, batch size, learning rate; of all, or one for each: these may differ in learning rate, warm-up and
        weight decay.
    generators
        One for each replica: orders its rows, seeds its dropout. Or one for all: they see the same batches.
    draws
        Other generators that `make_batch` draws from.
    before_epoch
        Called before each epoch with the number of each replica, whose module has its present weights and buffers and
        is in evaluation mode; it may change buffers in place. From several threads at once on a CPU.
    on_epoch
        Called with ``(epochs done, all epochs, mean loss of the replicas)``; of those of the first thread where there
        are several.
    runtime
        Precision; replicas keep no checkpoints.
    stacked
        True or False decides; None lets device and size decide.

    Returns
    -------
    Replicas

    Raises
    ------
    ValueError
        If `stacked` is True and the modules cannot be stacked, schedules differ in length, batch size or clipping, or a
        checkpoint is asked for.
    """
    runtime = runtime or Runtime()
    if runtime.checkpoint is not None:
        raise ValueError("replicas keep no checkpoints: each is done again after a stop")
    schedules = [schedule] * len(modules) if isinstance(schedule, Schedule) else list(schedule)
    if len({(one.steps, one.batch_size, one.clip_norm) for one in schedules}) > 1:
        raise ValueError("replicas must have the same steps, batch_size and clip_norm")
    training = _Training(modules, make_batch, n_rows, schedules, generators, draws, before_epoch, on_epoch, runtime)
    differs = _difference(modules)
    if stacked and differs:
        raise ValueError(f"replicas must be alike, but {differs}")
    reason = differs or (None if stacked else _why_not(modules, stacked))
    if reason is None:
        before = training.state()
        try:
            with freed_memory_kept():
                return Replicas(_fit_in_threads(training), "stacked")
        except _NotVectorisedError as error:
            if stacked:
                raise ValueError(f"these modules cannot be stacked: {error}") from error
            training.restore(before)
            reason = f"torch.func.vmap refuses it ({error})"
    return Replicas(_fit_one_at_a_time(training), f"one at a time: {reason}")


def room_for_replicas(module: nn.Module, batch_values: int, device: torch.device) -> int:
    """How many replicas of a module fit into a third of the memory, from 1 to 64.

    Of all memory and not of what is free, which differs from day to day: replicas that are trained together are rounded
    together, and the same command has to give the same digits.

    Parameters
    ----------
    module
        One of them.
    batch_values
        Numbers in a batch of one replica.
    device
        Where they are trained.
    """
    memory = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else memory_of_machine()
    n_weights = sum(p.numel() for p in module.parameters())
    each = 32 * n_weights + 40 * batch_values  # weights, moments, gradients, copies in bf16; views and activations
    return int(max(1, min(MOST_REPLICAS, memory / 3 / each)))


class _NotVectorisedError(Exception):
    """`torch.func.vmap` cannot run a module."""


class _Training(NamedTuple):
    modules: Sequence[nn.Module]
    make_batch: ReplicaBatch
    n_rows: int
    schedules: Sequence[Schedule]
    generators: Sequence[torch.Generator] | torch.Generator
    draws: Sequence[torch.Generator]
    before_epoch: Callable[[int], None] | None
    on_epoch: Callable[[int, int, float], None] | None
    runtime: Runtime

    @property
    def shared(self) -> bool:
        """Whether all replicas see the same rows."""
        return isinstance(self.generators, torch.Generator)

    def orders(self) -> list[torch.Generator]:
        """Generators of row orders: one for each replica, or one for all."""
        return [self.generators] if isinstance(self.generators, torch.Generator) else list(self.generators)

    def state(self) -> Any:
        """Everything that a step changes, but for weights."""
        drawn = [generator.get_state() for generator in (*self.orders(), *self.draws)]
        return drawn, [{name: value.clone() for name, value in m.named_buffers()} for m in self.modules]

    def restore(self, state: Any) -> None:
        """Put back what `state` gave."""
        for generator, value in zip((*self.orders(), *self.draws), state[0], strict=True):
            generator.set_state(value)
        for module, buffers in zip(self.modules, state[1], strict=True):
            for name, value in module.named_buffers():
                value.copy_(buffers[name])


def _difference(modules: Sequence[nn.Module]) -> str | None:
    """What else than the values of parameters and buffers differs between modules, in words."""
    first = dict(modules[0].named_modules())
    for module in modules[1:]:
        parts = dict(module.named_modules())
        if parts.keys() != first.keys():
            return "they have different parts"
        for name, part in parts.items():
            found = _different_setting(first[name], part)
            if found:
                return f"{found} of {name or type(part).__name__} differs between them"
    return None


def _different_setting(one: nn.Module, other: nn.Module) -> str | None:
    if type(one) is not type(other):
        return "the type"
    for mine, theirs in ((one._parameters, other._parameters), (one._buffers, other._buffers)):
        for name in sorted(mine.keys() | theirs.keys()):
            if _kind(mine.get(name)) != _kind(theirs.get(name)):
                return f"the shape of {name}"
    for name in vars(one).keys() - _INTERNAL - _numbers(one, other):
        value = vars(one)[name]
        if not callable(value) and not _same(value, vars(other).get(name)):
            return f"{name}"
    return None


def _numbers(one: nn.Module, other: nn.Module) -> set[str]:
    """Attributes in which two modules of the same type may differ."""
    if isinstance(one, nn.Dropout) and isinstance(other, nn.Dropout):
        return {"p"} if one.p > 0 and other.p > 0 else set()  # without dropout, no mask is drawn
    return {name for name in _per_replica(one) if isinstance(vars(other).get(name), float | int)}


def _per_replica(module: nn.Module) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(module, "per_replica", ())
    return names


def _kind(value: Tensor | None) -> Any:
    return None if value is None else (value.shape, value.dtype, value.requires_grad)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False


def _why_not(modules: Sequence[nn.Module], stacked: bool | None) -> str | None:  # noqa: FBT001  (None, True, False)
    """Why not to stack modules that could be."""
    if stacked is False:
        return "asked for"
    if len(modules) < 2:
        return "a single replica"
    first = next(modules[0].parameters())
    n_weights = sum(p.numel() for p in modules[0].parameters())
    if first.device.type == "cpu" and n_weights > LARGEST_STACKED_ON_CPU:
        return f"on a CPU networks of {n_weights:,} weights are as fast alone"
    return None


def _fit_one_at_a_time(training: _Training) -> list[History | DivergedError]:
    results: list[History | DivergedError] = []
    before = [generator.get_state() for generator in (*training.orders(), *training.draws)]
    for number, module in enumerate(training.modules):

        def make_batch(rows: Tensor, number: int = number) -> Batch:
            if training.shared:
                return training.make_batch(rows, range(len(training.modules)))
            return _first(training.make_batch(rows[None], [number]))

        if training.shared:
            for generator, state in zip((*training.orders(), *training.draws), before, strict=True):
                generator.set_state(state)
        order = training.orders()[0 if training.shared else number]
        try:
            result = fit(
                module,
                make_batch,
                training.n_rows,
                training.schedules[number],
                generator=order,
                before_epoch=None if training.before_epoch is None else partial(training.before_epoch, number),
                on_epoch=training.on_epoch,
                runtime=training.runtime,
            )
        except DivergedError as error:
            module.eval()
            results.append(error)
        else:
            results.append(result)
    return results


def _first(batch: Batch) -> Batch:
    """A batch for one replica from one with a first dimension of 1."""
    if isinstance(batch, Tensor):
        return batch[0]
    return type(batch)(_first(part) for part in batch)


def _stack(modules: Sequence[nn.Module]) -> tuple[dict[str, nn.Parameter], dict[str, Tensor]]:
    """Parameters and buffers of all modules, ``(n_replicas, ...)``; the modules' own become views of them."""
    parameters: dict[str, nn.Parameter] = {}
    for name, first in modules[0].named_parameters():
        together = lasting((len(modules), *first.shape), first.dtype, first.device)
        torch.stack([module.get_parameter(name).detach() for module in modules], out=together)
        parameters[name] = nn.Parameter(together, requires_grad=first.requires_grad)
    buffers = {
        name: torch.stack([module.get_buffer(name) for module in modules]) for name, _ in modules[0].named_buffers()
    }
    for number, module in enumerate(modules):
        for name, parameter in parameters.items():
            module.get_parameter(name).data = parameter.data[number]
        for name, buffer in buffers.items():
            module.get_buffer(name).data = buffer[number]
    return parameters, buffers


def _different_numbers(modules: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Numbers in which modules differ, by name, ``(n_replicas,)``."""
    parts = [dict(module.named_modules()) for module in modules]
    dtype = next(modules[0].parameters()).dtype
    found: dict[str, Tensor] = {}
    for name, first in parts[0].items():
        for key in ("p",) if isinstance(first, nn.Dropout) else _per_replica(first):
            values = [float(getattr(part[name], key)) for part in parts]
            if len(set(values)) > 1:
                device = next(modules[0].parameters()).device
                kept = torch.float64 if isinstance(first, nn.Dropout) else dtype
                found[f"{name}.{key}" if name else key] = torch.tensor(values, dtype=kept, device=device)
    return found


def _fit_in_threads(training: _Training) -> list[History | DivergedError]:
    """Train a stack of replicas on each of torch's threads: less waiting than all threads on one stack."""
    n, n_threads = len(training.modules), torch.get_num_threads()
    device = next(training.modules[0].parameters()).device
    precision = resolve_precision(training.runtime.precision, device)
    if device.type != "cpu" or training.shared or n_threads < 2 or n < 2 * n_threads:
        return _fit_stacked(training, range(n), precision, threading.Event())
    stop = threading.Event()
    parts = [range(k * n // n_threads, (k + 1) * n // n_threads) for k in range(n_threads)]
    with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            jobs = [pool.submit(_fit_stacked, training, part, precision, stop) for part in parts]
            results = [result for job in jobs for result in job.result()]
        finally:
            stop.set()  # where one failed, or the user interrupts, the others end too
    torch.set_num_threads(n_threads)  # some libraries count for the whole process
    return results


def _fit_stacked(
    training: _Training, which: Sequence[int], precision: str, stop: threading.Event
) -> list[History | DivergedError]:
    modules, schedules = [training.modules[i] for i in which], [training.schedules[i] for i in which]
    schedule = schedules[0]
    orders = training.orders() if training.shared else [training.orders()[i] for i in which]
    per_epoch = n_batches(training.n_rows, schedule.batch_size)
    n_epochs = math.ceil(schedule.steps / per_epoch)
    draw = shuffled(training.n_rows)
    base, dropout = _prepare(modules, orders)
    tell: Callable[[float], None] = getattr(base, "on_step", lambda _: None)
    prepare = training.before_epoch or (lambda _: None)
    outcome = _Outcome(schedules, n_epochs)
    numbers = _different_numbers(modules)
    parameters, buffers = _stack(modules)
    learning = [p for p in parameters.values() if p.requires_grad]
    optimizer = AdamW(learning, schedules)
    state = _by_every_name(modules[0], parameters | buffers) | numbers
    losses_of = _Vectorised(base, state, None if training.shared else 0)
    step = 0
    with fast_products(base, precision, generators=dropout, stacked=parameters | buffers | numbers) as changed:
        while step < schedule.steps and not outcome.all_diverged and not stop.is_set():
            epoch_losses = []
            for replica in which:
                prepare(replica)
            for parts in zip(*(draw(per_epoch, generator) for generator in orders), strict=True):
                tell(step / schedule.steps)
                batch = training.make_batch(parts[0] if training.shared else torch.stack(parts), which)
                losses = losses_of(batch)
                losses.sum().backward()  # type: ignore[no-untyped-call]
                clip_gradients(learning, schedule.clip_norm, len(modules))
                optimizer.step(step)
                changed()
                epoch_losses.append(losses.detach())
                step += 1
                if step == schedule.steps:
                    break
            outcome.add(torch.stack(epoch_losses).mean(dim=0).tolist())
            if training.on_epoch is not None and 0 in which:
                training.on_epoch(outcome.epoch, n_epochs, outcome.mean())
    for module in modules:
        for value in (*module.parameters(), *module.buffers()):
            value.data = value.data.clone()  # its own again: none keeps the memory of all
    return outcome.results()


def _prepare(
    modules: Sequence[nn.Module], orders: Sequence[torch.Generator]
) -> tuple[nn.Module, list[torch.Generator]]:
    """The module without weights that computes for all, and the generators of their dropout."""
    for module in modules:
        module.train()
    device = next(modules[0].parameters()).device
    base = copy.deepcopy(modules[0]).to("meta")
    for module in modules:
        module.eval()
    dropout = dropout_generators(base, orders, device)
    if len(dropout) == 1 < len(modules):  # they see the same rows and the same masks
        dropout = [torch.Generator(device).manual_seed(dropout[0].initial_seed()) for _ in modules]
    return base, dropout


def _by_every_name(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stacked parameters and buffers under all names they have: layers may share one."""
    every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    first = {id(value): name for name, value in reversed(every)}
    return {name: state[first[id(value)]] for name, value in every}


class _Vectorised:
    """Losses ``(n_replicas,)`` of batches, computed by `base` from parameters, buffers and numbers of all replicas.

    What `torch.func.functional_call` does, without looking at each step for what the module consists of.
    """

    def __init__(self, base: nn.Module, state: Mapping[str, Tensor], batch_dim: int | None) -> None:
        self._base = base
        self._places = [
            (values, key, state[f"{name}.{key}" if name else key])
            for name, part in base.named_modules()
            if not isinstance(part, nn.Dropout)  # its rate never comes here
            for values in (cast(dict[str, Any], part._parameters), part._buffers, vars(part))
            for key, value in values.items()
            if value is not None and (f"{name}.{key}" if name else key) in state
        ]
        self._compute = vmap(self._loss, in_dims=(batch_dim, *[0] * len(self._places)))
        self._first = True

    def __call__(self, batch: Batch) -> Tensor:
        """Compute the losses; buffers change in place."""
        before = [values[key] for values, key, _ in self._places]
        try:
            losses: Tensor = self._compute(batch, *(value for _, _, value in self._places))
        except (RuntimeError, NotImplementedError, TypeError) as error:
            if not self._first:
                raise
            raise _NotVectorisedError(str(error).split("\n", 1)[0]) from error
        finally:
            for (values, key, _), value in zip(self._places, before, strict=True):
                values[key] = value
        self._first = False
        return losses

    def _loss(self, batch: Batch, *state: Tensor) -> Tensor:
        for (values, key, _), value in zip(self._places, state, strict=True):
            values[key] = value
        loss: Tensor = self._base(batch)
        return loss


class _Outcome:
    """Losses of all replicas, and which of them are no longer numbers."""

    def __init__(self, schedules: Sequence[Schedule], n_epochs: int) -> None:
        self.epoch = 0
        self.losses: list[list[float]] = [[] for _ in schedules]
        self._n_epochs = n_epochs
        self._schedules = schedules
        self._errors: dict[int, DivergedError] = {}

    @property
    def all_diverged(self) -> bool:
        """Whether nothing is left to train."""
        return len(self._errors) == len(self.losses)

    def add(self, losses: Sequence[float]) -> None:
        """Note the mean losses of one more epoch."""
        self.epoch += 1
        for number, loss in enumerate(losses):
            self.losses[number].append(loss)
            if not math.isfinite(loss) and number not in self._errors:
                self._errors[number] = diverged(loss, self.epoch, self._n_epochs, self._schedules[number])

    def mean(self) -> float:
        """Mean loss of the last epoch over replicas that have not diverged."""
        last = [losses[-1] for number, losses in enumerate(self.losses) if number not in self._errors]
        return sum(last) / len(last) if last else math.nan

    def results(self) -> list[History | DivergedError]:
        """History or error of each."""
        return [self._errors.get(i) or History(losses, [], len(losses) - 1) for i, losses in enumerate(self.losses)]
