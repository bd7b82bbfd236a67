"""Replicas end where separate trainings end, whatever the others do."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oligolearn.training import Checkpoint, DivergedError, History, Runtime, Schedule, fit, fit_replicas

N_ROWS, N_FEATURES, N_REPLICAS = 30, 7, 5
SCHEDULE = Schedule(40, 8, 1e-2, weight_decay=0.01, clip_norm=0.3)


class Network(nn.Module):
    """Squared error of a network with batch norm, dropout and a weight of its own for the loss."""

    def __init__(self, seed: int, *, dropout: float = 0.2, width: int = 9) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = nn.Sequential(
                nn.Linear(N_FEATURES, width, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(width, 1),
            )
        self.register_buffer("weight", torch.tensor(1.0 + seed))
        self.tilt = 1.0

    def on_step(self, progress: float) -> None:
        self.tilt = 1 - 0.5 * progress

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return self.tilt * self.weight * (self.net(x)[:, 0] - y).square().mean()


def make(n: int = N_REPLICAS, dtype: torch.dtype = torch.float64, **options: Any) -> list[Network]:
    return [Network(seed, **options).to(dtype) for seed in range(n)]


class Data:
    """One matrix; each replica has its own rows of it and its own noise."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(3)
        self.x = torch.randn(100, N_FEATURES, generator=generator, dtype=dtype)
        self.y = self.x.sum(dim=1)
        self.rows = torch.stack([torch.randperm(100, generator=generator)[:N_ROWS] for _ in range(N_REPLICAS)])
        self.noise = [torch.Generator().manual_seed(50 + i) for i in range(N_REPLICAS)]

    def batch(self, rows: Tensor, replicas: Sequence[int]) -> tuple[Tensor, Tensor]:
        places = self.rows[list(replicas)].gather(1, rows)
        noise = [torch.randn(rows.shape[1], N_FEATURES, generator=self.noise[i], dtype=self.x.dtype) for i in replicas]
        return self.x[places] + 0.1 * torch.stack(noise), self.y[places]

    def batch_of(self, replica: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        def make_batch(rows: Tensor) -> tuple[Tensor, Tensor]:
            x, y = self.batch(rows[None], [replica])
            return x[0], y[0]

        return make_batch


def orders(n: int = N_REPLICAS) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(n)]


def distance(one: nn.Module, other: nn.Module) -> float:
    there = other.state_dict()
    return max(float((value - there[name]).abs().max()) for name, value in one.state_dict().items())


def separately(dtype: torch.dtype = torch.float64, **options: Any) -> tuple[list[Network], list[History]]:
    modules, data = make(dtype=dtype, **options), Data(dtype)
    histories = [
        fit(module, data.batch_of(i), N_ROWS, SCHEDULE, generator=order)
        for i, (module, order) in enumerate(zip(modules, orders(), strict=True))
    ]
    return modules, histories


class Scaled(Network):
    """Has a number of its own."""

    per_replica = ("scale",)

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed, **options)
        self.scale = 0.5 + seed / 3

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return super().forward(batch) / self.scale


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-4)])
def test_rates_dropout_and_numbers_of_their_own(dtype: torch.dtype, tolerance: float, n_threads: int) -> None:
    schedules = [replace(SCHEDULE, learning_rate=1e-3 * 2**i, weight_decay=0.01 * (i % 2)) for i in range(N_REPLICAS)]
    alone, modules = ([Scaled(i, dropout=0.1 + 0.1 * i).to(dtype) for i in range(N_REPLICAS)] for _ in range(2))
    data = Data(dtype)
    for i, module in enumerate(alone):
        fit(module, data.batch_of(i), N_ROWS, schedules[i], generator=orders()[i])
    data, before = Data(dtype), torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        fit_replicas(modules, data.batch, N_ROWS, schedules, generators=orders(), stacked=True)
    finally:
        torch.set_num_threads(before)
    for module, other in zip(modules, alone, strict=True):
        assert distance(module, other) < tolerance
        assert isinstance(module.scale, float)
        assert isinstance(module.net[3].p, float)


def test_a_number_that_the_forward_cannot_take_from_a_tensor_makes_them_train_one_at_a_time() -> None:
    class Whole(Scaled):
        def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            return super().forward(batch) * (2.0 if self.scale > 1 else 1.0)

    modules, alone = ([Whole(i).double() for i in range(N_REPLICAS)] for _ in range(2))
    data, other = Data(), Data()
    found = fit_replicas(modules, data.batch, N_ROWS, SCHEDULE, generators=orders(), draws=data.noise)
    assert found.how.startswith("one at a time: torch.func.vmap refuses it")
    for i, module in enumerate(alone):
        fit(module, other.batch_of(i), N_ROWS, SCHEDULE, generator=orders()[i])
        assert distance(modules[i], module) < 1e-12


@pytest.mark.parametrize("other", [{"steps": 41}, {"batch_size": 9}, {"clip_norm": 1.0}])
def test_schedules_of_another_length_are_refused(other: dict[str, Any]) -> None:
    schedules = [SCHEDULE, replace(SCHEDULE, **other)]
    with pytest.raises(ValueError, match="the same steps, batch_size and clip_norm"):
        fit_replicas(make(2), Data().batch, N_ROWS, schedules, generators=orders(2))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-4)])
def test_equal_separate_trainings(dtype: torch.dtype, tolerance: float, n_threads: int) -> None:
    expected, histories = separately(dtype)
    modules, data = make(dtype=dtype), Data(dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        found = fit_replicas(modules, data.batch, N_ROWS, SCHEDULE, generators=orders(), stacked=True)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert found.how == "stacked"
    for module, other, result, history in zip(modules, expected, found.results, histories, strict=True):
        assert not module.training
        assert distance(module, other) < tolerance
        assert isinstance(result, History)
        assert result.losses == pytest.approx(history.losses, abs=100 * tolerance)
        assert len(result.losses) == math.ceil(SCHEDULE.steps / 3)


def test_a_replica_is_the_same_alone_and_among_others() -> None:
    alone, data = make()[3:4], Data()
    fit_replicas(alone, lambda rows, _: data.batch(rows, [3]), N_ROWS, SCHEDULE, generators=orders()[3:4], stacked=True)
    among, data = make(), Data()
    fit_replicas(among, data.batch, N_ROWS, SCHEDULE, generators=orders(), stacked=True)
    assert distance(alone[0], among[3]) < 1e-8
    assert distance(among[2], among[3]) > 1e-2


@pytest.mark.parametrize("stacked", [True, False])
def test_a_diverging_replica_is_reported_and_spoils_no_other(*, stacked: bool) -> None:
    expected, _ = separately()
    modules, data = make(), Data()
    with torch.no_grad():
        modules[1].weight.fill_(math.nan)
    found = fit_replicas(modules, data.batch, N_ROWS, SCHEDULE, generators=orders(), stacked=stacked).results
    assert isinstance(found[1], DivergedError)
    assert "epoch 1 of 14" in str(found[1])
    for i in (0, 2, 3, 4):
        assert isinstance(found[i], History)
        assert distance(modules[i], expected[i]) < 1e-8


@pytest.mark.parametrize("stacked", [True, False])
def test_one_generator_for_all_shows_all_the_same_rows(*, stacked: bool) -> None:
    data = Data()
    seen: list[Tensor] = []

    def make_batch(rows: Tensor, replicas: Sequence[int]) -> tuple[Tensor, Tensor]:
        seen.append(rows)
        noise = torch.randn(len(rows), N_FEATURES, generator=data.noise[0], dtype=data.x.dtype)
        return data.x[rows] + noise, data.y[rows]

    modules = make()
    one = torch.Generator().manual_seed(9)
    fit_replicas(modules, make_batch, N_ROWS, SCHEDULE, generators=one, draws=data.noise[:1], stacked=stacked)
    assert {rows.dim() for rows in seen} == {1}
    data = Data()
    for number, expected in enumerate(make()):
        data.noise[0].manual_seed(50)
        fit(
            expected,
            lambda rows: make_batch(rows, []),
            N_ROWS,
            SCHEDULE,
            generator=torch.Generator().manual_seed(9),
        )
        assert distance(modules[number], expected) < 1e-8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: setattr(m, "tilt", 3.0), "tilt"),
        (lambda m: m.net[4].requires_grad_(False), "the shape of"),
        (lambda m: setattr(m.net[3], "p", 0.0), "p of net.3"),
        (lambda m: m.net.append(nn.Identity()), "different parts"),
    ],
)
def test_modules_that_differ_in_more_than_values_are_trained_one_at_a_time(
    change: Callable[[Network], object], reason: str
) -> None:
    modules, data = make(), Data()
    change(modules[2])
    alone = copy.deepcopy(modules[2])
    found = fit_replicas(modules, data.batch, N_ROWS, SCHEDULE, generators=orders())
    assert found.how.startswith("one at a time: ")
    assert reason in found.how
    fit(alone, Data().batch_of(2), N_ROWS, SCHEDULE, generator=orders()[2])
    assert distance(alone, modules[2]) == 0
    with pytest.raises(ValueError, match="replicas must be alike"):
        fit_replicas(make(2) + modules[2:3], data.batch, N_ROWS, SCHEDULE, generators=orders(3), stacked=True)


class Branching(Network):
    """Asks for the value of its loss, which `torch.func.vmap` cannot tell."""

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss = super().forward(batch)
        return loss if loss.item() > 0 else loss * 2


def test_what_vmap_refuses_is_trained_one_at_a_time_from_the_start() -> None:
    modules = [Branching(seed).double() for seed in range(N_REPLICAS)]
    data, expected = Data(), separately()[0]
    found = fit_replicas(modules, data.batch, N_ROWS, SCHEDULE, generators=orders(), draws=data.noise)
    assert "vmap refuses it" in found.how
    for module, other in zip(modules, expected, strict=True):
        assert distance(module, other) < 1e-12


class Centred(Network):
    """Takes from its output what the network gave on average before the epoch."""

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed, **options)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return (self.net(x)[:, 0] - self.mean - y).square().mean()


@pytest.mark.parametrize("stacked", [True, False])
def test_what_is_done_before_an_epoch_sees_and_changes_the_module(*, stacked: bool) -> None:
    data, other = Data(), Data()
    modules, alone = ([Centred(seed).double() for seed in range(N_REPLICAS)] for _ in range(2))
    means: dict[int, list[float]] = {number: [] for number in range(N_REPLICAS)}

    @torch.no_grad()
    def centre(module: Network, number: int) -> None:
        assert not module.training
        module.mean.copy_(module.net(data.x).mean())
        means[number].append(float(module.mean))

    fit_replicas(
        modules,
        data.batch,
        N_ROWS,
        SCHEDULE,
        generators=orders(),
        before_epoch=lambda number: centre(modules[number], number),
        stacked=stacked,
    )
    together, means = means, {number: [] for number in range(N_REPLICAS)}
    for number, module in enumerate(alone):
        fit(
            module,
            other.batch_of(number),
            N_ROWS,
            SCHEDULE,
            generator=orders()[number],
            before_epoch=lambda module=module, number=number: centre(module, number),
        )
        assert len(set(together[number])) == math.ceil(SCHEDULE.steps / 3), "once an epoch of 3 batches"
        assert together[number] == pytest.approx(means[number], abs=1e-8)
        assert distance(modules[number], module) < 1e-8


class Layers(nn.Module):
    """Squared error of layers, over rows with a tail of other dimensions and one weight that two layers share."""

    def __init__(self, seed: int, layers: Callable[[], nn.Module], *, tail: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = layers()
            self.first, self.second = nn.Linear(N_FEATURES, N_FEATURES), nn.Linear(N_FEATURES, N_FEATURES)
        self.second.weight = self.first.weight
        self.tail = tail

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        if self.tail:
            x = x[:, None] * torch.linspace(0.5, 1.5, self.tail, dtype=x.dtype)[:, None]
        out = self.second(self.first(self.layers(x)).tanh())
        return (out.flatten(1).mean(dim=1) - y).square().mean()


@pytest.mark.parametrize(
    ("layers", "tail"),
    [
        (lambda: nn.Sequential(nn.BatchNorm1d(N_FEATURES), nn.Linear(N_FEATURES, N_FEATURES)), 0),
        (lambda: nn.BatchNorm1d(N_FEATURES), 0),
        (lambda: nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(N_FEATURES, N_FEATURES), nn.GELU())), 0),
        (lambda: nn.Dropout(0.3), 0),
        (lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(N_FEATURES, N_FEATURES)), 3),
        (lambda: nn.BatchNorm1d(4), 4),
        (lambda: nn.LayerNorm(N_FEATURES), 2),
    ],
    ids=["norm first", "norm", "nested", "dropout", "dropout first", "norm of channels", "not plain"],
)
@pytest.mark.parametrize("shared", [True, False])
def test_layers_do_the_same_wherever_they_stand(layers: Callable[[], nn.Module], tail: int, *, shared: bool) -> None:
    data, n = Data(), 3
    modules, alone = ([Layers(seed, layers, tail=tail).double() for seed in range(n)] for _ in range(2))

    def make_batch(rows: Tensor, replicas: Sequence[int]) -> tuple[Tensor, Tensor]:
        return data.x[rows], data.y[rows]

    generators = torch.Generator().manual_seed(9) if shared else orders(n)
    fit_replicas(modules, make_batch, N_ROWS, SCHEDULE, generators=generators, stacked=True)
    for number, module in enumerate(alone):
        order = torch.Generator().manual_seed(9 if shared else number)
        fit(module, lambda rows: make_batch(rows, []), N_ROWS, SCHEDULE, generator=order)
        assert distance(modules[number], module) < 1e-8


def test_a_module_with_a_vmap_of_its_own_is_trained_one_at_a_time() -> None:
    class Mapped(Layers):
        def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            x, y = batch
            return (torch.vmap(self.first)(x).mean(dim=1) - y).square().mean()

    modules = [Mapped(seed, nn.Identity).double() for seed in range(2)]
    found = fit_replicas(modules, Data().batch, N_ROWS, Schedule(2, 8, 1e-3), generators=orders(2))
    assert "torch.func.vmap inside of replicas" in found.how


def test_large_networks_are_not_stacked_on_a_cpu() -> None:
    modules, data = make(2, width=300_000), Data()
    found = fit_replicas(modules, data.batch, N_ROWS, Schedule(1, 8, 1e-3), generators=orders(2))
    assert "on a CPU networks of" in found.how


def test_replicas_keep_no_checkpoints() -> None:
    with pytest.raises(ValueError, match="no checkpoints"):
        fit_replicas(
            make(), Data().batch, N_ROWS, SCHEDULE, generators=orders(), runtime=Runtime(checkpoint=Checkpoint("x", {}))
        )
