"""What every self-supervised objective promises, over every encoder.

A new objective or encoder is checked by being in `OBJECTIVES` or `ENCODERS`. An objective with settings that change
how it works has them in `VARIANTS` as well.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from oligolearn.nn import ENCODERS
from oligolearn.pretext import OBJECTIVES, diagnose_collapse
from oligolearn.training import History, Schedule, fit, fit_replicas

N_FEATURES = 24
N_ROWS = 1000  # more than the numbers of rows that `two_views` gives
ENCODER_OPTIONS: dict[str, dict[str, Any]] = {"mlp": {"hidden": (12, 8)}}
# A queue of whole batches of 8: of a batch kept in part, the order of rows decides which ones.
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "swav": {
        "swav": {"n_prototypes": 6, "projection": (12, 8), "frozen_share": 0.0},
        "swav with a queue": {"n_prototypes": 6, "projection": (12, 8), "frozen_share": 0.0, "queue_length": 16},
    },
    "simclr": {"simclr": {"projection": (12, 8), "temperature": 0.2}},
    "moco": {
        "moco": {"projection": (12, 8), "momentum": 0.9, "queue_length": 16},
        "moco without a queue": {"projection": (12, 8), "momentum": 0.9},
        "moco of version 1": {"projection": (12, 8), "momentum": 0.9, "queue_length": 16, "version": 1},
    },
    "byol": {"byol": {"projection": (12, 8), "momentum": 0.9}},
    "vicreg": {"vicreg": {"projection": (12, 8)}},
    "barlow-twins": {"barlow-twins": {"projection": (12, 8)}},
    "deepcluster": {"deepcluster": {"n_rows": N_ROWS, "n_prototypes": 6, "projection": (12, 8)}},
    "autoencoder": {"autoencoder": {"n_features": N_FEATURES, "decoder": (12,)}},
    "denoising-autoencoder": {
        "denoising-autoencoder": {"n_features": N_FEATURES, "decoder": (12,)},
        "denoising-autoencoder with a linear decoder": {"n_features": N_FEATURES, "decoder": ()},
    },
    "vime": {"vime": {"n_features": N_FEATURES}},
    "masked-genes": {"masked-genes": {"n_features": N_FEATURES, "decoder": (12,)}},
    "scarf": {
        "scarf": {"projection": (12, 8), "temperature": 0.2},
        "scarf with the loss of the paper": {"projection": (12, 8), "temperature": 0.2, "loss": "info-nce"},
    },
}

Make = Callable[..., nn.Module]
Views = tuple[Tensor, ...]
CASES = [
    pytest.param((objective, options, encoder), id=f"{variant}-{encoder}")
    for objective in OBJECTIVES
    for variant, options in VARIANTS.get(objective, {objective: {}}).items()
    for encoder in ENCODERS
]


@pytest.fixture(params=CASES)
def make(request: pytest.FixtureRequest) -> Make:
    """Build the objective with initial weights of a seed."""
    objective, options, encoder = request.param

    def build(seed: int = 0, n_rows: int = N_ROWS) -> nn.Module:
        sized = {"n_rows": n_rows} if "n_rows" in options else {}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = ENCODERS[encoder](N_FEATURES, **ENCODER_OPTIONS.get(encoder, {}))
            return OBJECTIVES[objective](made, **{**options, **sized})

    return build


@pytest.fixture(autouse=True)
def _leave_the_global_generator_alone() -> Any:
    with torch.random.fork_rng():
        yield


def two_views(objective: nn.Module, n_rows: int = 8, seed: int = 0) -> Views:
    """What the objective takes, for a batch of rows of its own: no seed gives rows that another one gives."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_rows, N_FEATURES, generator=generator)
    first, second = (x + 0.5 * torch.randn(n_rows, N_FEATURES, generator=generator) for _ in range(2))
    return as_taken(objective, (first, second), x, n_rows * seed + torch.arange(n_rows))


def as_taken(objective: nn.Module, views: Views, clean: Tensor, rows: Tensor) -> Views:
    """What the objective takes: random views, the rows themselves in the place of some, the numbers of the rows.

    For an objective that compares a view with the row, every other gene is as in the row.
    """
    augmented = getattr(objective, "augmented", (True, True))
    if not all(augmented):
        even = torch.arange(clean.shape[-1]) % 2 == 0
        views = tuple(torch.where(even, clean, view) for view in views)
    random_ones = iter(views)
    taken = tuple(next(random_ones) if random else clean for random in augmented)
    return (*taken, rows) if getattr(objective, "needs_rows", False) else taken


def start_epoch(objective: nn.Module, x: Tensor) -> None:
    """Do what a training does before each epoch for an objective that clusters rows."""
    if hasattr(objective, "on_epoch"):
        objective.on_epoch(copy.deepcopy(objective.encoder).eval()(x).detach())


def to_double(views: Views) -> Views:
    return tuple(view.double() if view.is_floating_point() else view for view in views)


def losses_of(objective: nn.Module, seeds: range) -> list[Tensor]:
    return [objective(two_views(objective, seed=seed)).detach() for seed in seeds]


def test_the_loss_is_a_finite_scalar_in_32_and_16_bits(make: Make) -> None:
    objective = make()
    full = objective(two_views(objective))
    assert full.shape == ()
    assert full.dtype == torch.float32
    assert full.isfinite()
    objective = make()
    with torch.autocast("cpu", torch.bfloat16):
        for seed in range(4):
            half = objective(two_views(objective, seed=seed))
            assert half.shape == ()
            assert half.isfinite()
            half.backward()
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.grad is not None)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(make()(two_views(objective)).float(), full, rtol=0.1, atol=0.05)


def test_gradients_reach_every_weight(make: Make) -> None:
    objective = make().double()
    objective(to_double(two_views(objective))).backward()
    encoder = {name for name, _ in objective.encoder.named_parameters(prefix="encoder")}
    names = {name for name, p in objective.named_parameters() if p.requires_grad}
    assert encoder <= names
    # what remains of a weight that cancels out, such as a bias before a batch norm, is rounding: about 1e-17
    without = [
        name
        for name, p in objective.named_parameters()
        if p.requires_grad and (p.grad is None or p.grad.abs().max() < 1e-12)
    ]
    assert without == []


def test_the_order_of_rows_does_not_matter(make: Make) -> None:
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    plain, shuffled = make().double(), make().double()
    for seed in range(3):
        views = to_double(two_views(plain, seed=seed))
        torch.testing.assert_close(plain(views), shuffled(tuple(view[order] for view in views)))


def test_rows_that_no_longer_belong_together_change_the_loss(make: Make) -> None:
    views = two_views(make())
    if len(views) == 1:  # each row is on its own
        torch.testing.assert_close(make()((views[0].roll(1, dims=0),)), make()(views))
        return
    first, second, *rows = views
    assert abs(make()((first, second, *rows)) - make()((first, second.roll(1, dims=0), *rows))) > 1e-3


def test_no_random_numbers_are_drawn(make: Make) -> None:
    objective, same = make(), make()
    before = torch.get_rng_state()
    loss = objective(two_views(objective))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1234)
    assert torch.equal(same(two_views(same)), loss)


def test_the_views_are_left_as_they_are(make: Make) -> None:
    objective = make()
    views = two_views(objective)
    objective(views).backward()
    assert all(torch.equal(view, before) for view, before in zip(views, two_views(objective), strict=True))


def test_state_survives_saving_in_the_middle_of_training(make: Make) -> None:
    objective = make(0)
    losses_of(objective, range(5))
    other = make(1)
    other.load_state_dict({name: value.clone() for name, value in objective.state_dict().items()})
    for one, two in zip(losses_of(objective, range(5, 9)), losses_of(other, range(5, 9)), strict=True):
        assert torch.equal(one, two)


def test_it_works_as_a_function_of_its_state(make: Make) -> None:
    module, template = make(0), make(1)
    state = copy.deepcopy(dict(module.state_dict()))
    for seed in range(5):
        found = functional_call(template, state, (two_views(module, seed=seed),))
        torch.testing.assert_close(found, module(two_views(module, seed=seed)))
    for name, value in module.state_dict().items():
        torch.testing.assert_close(state[name], value)


def test_replicas_at_once_equal_replicas_one_by_one(make: Make) -> None:
    replicas = [make(seed) for seed in range(3)]
    alone = copy.deepcopy(replicas)
    parameters, buffers = stack_module_state(replicas)
    template = copy.deepcopy(replicas[0]).to("meta")

    def loss(weights: dict[str, Tensor], state: dict[str, Tensor], views: Views) -> Tensor:
        return functional_call(template, (weights, state), (views,))

    for step in range(4):
        each = [two_views(template, seed=10 * step + number) for number in range(3)]
        stacked = tuple(torch.stack(parts) for parts in zip(*each, strict=True))
        found = torch.vmap(loss)(parameters, buffers, stacked)
        expected = torch.stack([module(views) for module, views in zip(alone, each, strict=True)])
        torch.testing.assert_close(found, expected)


def test_replicas_end_where_separate_trainings_end(make: Make) -> None:
    x = torch.randn(30, N_FEATURES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    schedules = [Schedule(20, 8, rate) for rate in (1e-3, 5e-4, 2e-3)]

    def views(rows: Tensor) -> Views:  # fixed for each row: what is drawn is not at stake here
        return as_taken(alone[0], (x[rows] + 0.1 * x.flip(0)[rows], x[rows] - 0.1 * x.flip(0)[rows]), x[rows], rows)

    def order(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    alone, together = ([make(seed, n_rows=30).double() for seed in range(3)] for _ in range(2))
    for seed in range(3):
        for name in getattr(alone[0], "per_replica", ()):
            for modules in (alone, together):
                setattr(modules[seed], name, getattr(modules[seed], name) * (1 + 0.2 * seed))
    histories = [
        fit(module, views, 30, schedules[i], generator=order(i), before_epoch=partial(start_epoch, module, x))
        for i, module in enumerate(alone)
    ]
    found = fit_replicas(
        together,
        lambda rows, _: views(rows),
        30,
        schedules,
        generators=[order(i) for i in range(3)],
        before_epoch=lambda i: start_epoch(together[i], x),
        stacked=True,
    )
    for module, other, result, history in zip(together, alone, found.results, histories, strict=True):
        assert isinstance(result, History)
        torch.testing.assert_close(result.losses, history.losses)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], atol=1e-8, rtol=0)


def test_collapse_on_constant_input_is_named(make: Make) -> None:
    objective = make(n_rows=16)
    x = torch.full((16, N_FEATURES), 0.7)
    start_epoch(objective, x)
    history = fit(
        objective,
        lambda rows: as_taken(objective, (x[rows], x[rows]), x[rows], rows),
        16,
        Schedule(10, 8, 1e-3),
        generator=torch.Generator().manual_seed(0),
    )
    with torch.no_grad():
        found = diagnose_collapse(objective, history.losses[-1], objective.encoder(x))
    assert found
    assert all(sentence.startswith("collapse: ") for sentence in found)
    assert any("effective rank of 0.0" in sentence for sentence in found)
    if hasattr(objective, "plateau"):
        assert any("plateau" in sentence for sentence in found)


def test_learning_lowers_the_loss(make: Make) -> None:
    objective, untrained = make(n_rows=100), make(n_rows=100)
    schedule = Schedule(60, 32, 3e-3)
    generator = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(5, N_FEATURES, generator=generator)
    x = centres.repeat(20, 1) + 0.3 * torch.randn(100, N_FEATURES, generator=generator)
    nuisance = torch.randn(N_FEATURES, generator=generator)  # a direction in which views differ, to be unlearned

    def views(rows: Tensor) -> Views:
        first, second = (x[rows] + 0.3 * torch.randn(len(rows), N_FEATURES, generator=generator) for _ in range(2))
        shifts = nuisance * torch.randn(2, len(rows), 1, generator=generator)
        return as_taken(objective, (first + shifts[0], second + shifts[1]), x[rows], rows)

    start_epoch(objective, x)
    start_epoch(untrained, x)
    with torch.no_grad():  # the last batches count: a queue is full by then
        losses = [untrained(views(rows)) for rows in torch.randperm(100, generator=generator)[:96].split(32) * 2]
    before = torch.stack(losses[-3:]).mean()
    history = fit(objective, views, 100, schedule, generator=torch.Generator().manual_seed(0))
    assert history.losses[-1] < 0.8 * before
    assert diagnose_collapse(objective, history.losses[-1], objective.encoder(x).detach()) == []


OF_TWO_VIEWS = ("swav", "simclr", "moco", "byol", "vicreg", "barlow-twins", "deepcluster", "scarf")


@pytest.mark.parametrize("objective", OF_TWO_VIEWS)
def test_one_view_and_views_of_different_rows_are_refused(objective: str) -> None:
    encoder = ENCODERS["mlp"](N_FEATURES, hidden=(12, 8))
    module = OBJECTIVES[objective](encoder, **VARIANTS[objective][objective])
    first, second, *numbers = two_views(module)
    with pytest.raises(ValueError, match="of the same rows, found 1"):
        module((first, *numbers) if objective != "moco" else (first,))
    with pytest.raises(ValueError, match="found views of 8 and 3 rows"):
        module((first, second[:3], *numbers))
