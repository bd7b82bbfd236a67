"""SwAV against the equations of the paper written out in loops; its queue, its frozen prototypes, its plateau."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, SwAV, sinkhorn, suggest_options
from oligolearn.training import Schedule, fit

Floats = NDArray[np.float64]
N_GENES = 12


def make(seed: int = 0, **options: object) -> SwAV:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"n_prototypes": 5, "projection": (10, 6), "frozen_share": 0.0, **options}
        return SwAV(MLP(N_GENES, (9, 7)), **settings)  # type: ignore[arg-type]


def make_views(n_views: int, n_rows: int = 8, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n_rows, N_GENES, generator=generator) for _ in range(n_views))


@torch.no_grad()
def embed(objective: SwAV, views: tuple[Tensor, ...]) -> Tensor:
    """Unit features of all views, ``(n_views, batch, dim)``; a forward pass of its own, statistics left alone."""
    z = objective.head(objective.encoder(torch.cat(views)))
    return (z / z.norm(dim=1, keepdim=True)).view(len(views), len(views[0]), -1)


def loss_of(objective: SwAV, views: tuple[Tensor, ...]) -> float:
    return objective(views).detach().item()


@torch.no_grad()
def unit_prototypes(objective: SwAV) -> Tensor:
    weight = objective.prototypes.weight
    return weight / weight.norm(dim=1, keepdim=True)


def code(scores: Floats, epsilon: float, iterations: int) -> Floats:
    """Equations 3 to 5: Q = Diag(u) exp(C'Z / epsilon) Diag(v), by alternate scaling."""
    mass = np.exp(scores / epsilon)
    for _ in range(iterations):
        mass = mass / mass.sum(axis=0, keepdims=True)
        mass = mass / mass.sum(axis=1, keepdims=True)
    return mass


def swapped_prediction(z: Floats, prototypes: Floats, *, epsilon: float, iterations: int, temperature: float) -> float:
    """Equations 1 and 2, with a loop for every index: the mean over samples and over ordered pairs of views."""
    n_views, n_rows, _ = z.shape
    codes = [code(z[view] @ prototypes.T, epsilon, iterations) for view in range(n_views)]
    total, n_pairs = 0.0, 0
    for t in range(n_views):
        for s in range(n_views):
            if s == t:
                continue
            n_pairs += 1
            for n in range(n_rows):
                odds = [math.exp(float(z[t, n] @ c) / temperature) for c in prototypes]
                for k in range(len(prototypes)):
                    total -= codes[s][n, k] * math.log(odds[k] / sum(odds))
    return total / (n_rows * n_pairs)


@pytest.mark.parametrize("n_views", [2, 3])
@pytest.mark.parametrize(
    "options", [{}, {"epsilon": 0.2, "temperature": 0.3}, {"iterations": 1, "n_prototypes": 9}], ids=str
)
def test_loss_equals_the_equations(n_views: int, options: dict[str, float]) -> None:
    objective = make(**options).double()
    views = tuple(view.double() for view in make_views(n_views))
    settings = {"epsilon": 0.05, "iterations": 3, "temperature": 0.1, **options}
    settings.pop("n_prototypes", None)
    expected = swapped_prediction(
        embed(objective, views).numpy(),
        unit_prototypes(objective).numpy(),
        **settings,  # type: ignore[arg-type]
    )
    assert loss_of(objective, views) == pytest.approx(expected, abs=1e-10)
    assert loss_of(make(**options), make_views(n_views)) == pytest.approx(expected, abs=1e-4)


def test_the_order_of_the_views_does_not_matter() -> None:
    views = make_views(2)
    assert loss_of(make(), views) == pytest.approx(loss_of(make(), views[::-1]), abs=1e-5)


def test_length_of_prototypes_does_not_matter() -> None:
    objective, scaled = make(), make()
    with torch.no_grad():
        scaled.prototypes.weight.mul_(torch.tensor([[0.1], [2.0], [30.0], [1.0], [5.0]]))
    views = make_views(2)
    assert loss_of(objective, views) == pytest.approx(loss_of(scaled, views), abs=1e-5)


def test_no_gradient_flows_through_the_codes() -> None:
    objective = make().double()
    views = tuple(view.double() for view in make_views(2))
    objective(views).backward()
    expected = [p.grad for p in objective.parameters()]
    with torch.no_grad():
        codes = [sinkhorn(z @ unit_prototypes(objective).T) for z in embed(objective, views)]
    objective.zero_grad()
    z = objective.head(objective.encoder(torch.cat(views)))
    z = z / z.norm(dim=1, keepdim=True)
    weight = objective.prototypes.weight
    scores = z @ (weight / weight.norm(dim=1, keepdim=True)).T / 0.1
    first, second = torch.log_softmax(scores, dim=1).chunk(2)
    (-(codes[1] * first).sum(dim=1).mean() / 2 - (codes[0] * second).sum(dim=1).mean() / 2).backward()
    for found, wanted in zip(objective.parameters(), expected, strict=True):
        torch.testing.assert_close(found.grad, wanted)


def test_prototypes_learn_only_after_their_freeze() -> None:
    objective = make(frozen_share=0.25)
    for progress, frozen in [(0.0, True), (0.24, True), (0.25, False), (0.9, False)]:
        objective.zero_grad()
        objective.on_step(progress)
        objective(make_views(2)).backward()
        gradient = objective.prototypes.weight.grad
        assert (gradient is None) is frozen
        assert frozen or gradient.abs().sum() > 0
        assert all(p.grad is not None for p in objective.encoder.parameters())


def test_a_new_objective_starts_frozen_and_none_is_frozen_for_a_share_of_zero() -> None:
    for share, frozen in [(0.1, True), (0.0, False)]:
        objective = make(frozen_share=share)
        objective(make_views(2)).backward()
        assert (objective.prototypes.weight.grad is None) is frozen


def test_training_freezes_prototypes_for_one_epoch_exactly() -> None:
    x = torch.randn(40, N_GENES, generator=torch.Generator().manual_seed(0))
    n_epochs, batch_size = 7, 8
    options = suggest_options(
        OBJECTIVES["swav"], {}, n_rows=40, batch_size=batch_size, n_epochs=n_epochs, n_features=N_GENES
    )
    objective = make(frozen_share=options["frozen_share"])
    start = objective.prototypes.weight.detach().clone()
    seen: list[bool] = []

    def after_epoch(*_: object) -> None:
        seen.append(torch.equal(objective.prototypes.weight, start))

    fit(
        objective,
        lambda rows: (x[rows], x[rows] + 0.1),
        40,
        Schedule(n_epochs * 5, batch_size, 1e-2, weight_decay=0.1),
        generator=torch.Generator().manual_seed(0),
        on_epoch=after_epoch,
    )
    assert seen == [True] + [False] * (n_epochs - 1)


class Recorder(nn.Module):
    """Passes its input through and keeps it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.outputs: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        self.outputs.append(y.detach().clone())
        return y


def queue_loss(features: list[Tensor], past: list[Tensor], prototypes: Tensor, queue_length: int) -> float:
    """Loss of the last features, whose codes are computed together with the newest of the past ones."""
    codes = []
    for view in range(2):
        earlier = [z[view] for z in reversed(past)]
        pool = torch.cat([features[view], *earlier])[: len(features[view]) + queue_length]
        codes.append(sinkhorn(pool @ prototypes.T)[: len(features[view])])
    predictions = [torch.log_softmax(z @ prototypes.T / 0.1, dim=1) for z in features]
    swapped = (codes[0] * predictions[1]).sum(dim=1).mean() + (codes[1] * predictions[0]).sum(dim=1).mean()
    return -float(swapped) / 2


def test_the_queue_serves_once_full_with_the_current_prototypes_and_forgets_the_oldest() -> None:
    """Six batches of 8 through a queue of 20: full after three; the last 20 features of each view count."""
    objective, length, n_rows = make(queue_length=20).double(), 20, 8
    objective.head = Recorder(objective.head)
    generator = torch.Generator().manual_seed(5)
    past: list[Tensor] = []
    for step in range(6):
        views = tuple(view.double() for view in make_views(2, n_rows, seed=step))
        loss = loss_of(objective, views)
        z = nn.functional.normalize(objective.head.outputs[-1], dim=1).view(2, n_rows, -1)
        prototypes = unit_prototypes(objective)
        with_queue = queue_loss(list(z), past, prototypes, length)
        without = queue_loss(list(z), [], prototypes, 0)
        full = step >= 3
        assert loss == pytest.approx(with_queue if full else without, abs=1e-9), f"step {step}"
        if full:
            longer = queue_loss(list(z), past, prototypes, 1000)
            assert abs(with_queue - without) > 1e-6
            assert abs(with_queue - longer) > 1e-6
        past.append(z)
        with torch.no_grad():  # the prototypes move, and so do the scores of what is in the queue
            objective.prototypes.weight.add_(torch.randn(5, 6, generator=generator, dtype=torch.float64))


def test_a_queue_shorter_than_the_batch_keeps_its_length() -> None:
    objective = make(queue_length=3)
    for step in range(3):
        objective(make_views(2, seed=step))
        assert objective.queue.shape == (2, 3, 6)
    assert objective.queue.norm(dim=2).allclose(torch.ones(2, 3))


def test_a_queue_needs_two_views() -> None:
    with pytest.raises(ValueError, match="a queue serves two views, found 3"):
        make(queue_length=4)(make_views(3))


def test_a_constant_encoder_stays_at_the_plateau() -> None:
    class Constant(nn.Module):
        out_dim = 4

        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(len(x), 4, dtype=x.dtype)

    objective = SwAV(Constant(), 7, projection=(4, 3))  # type: ignore[arg-type]
    objective.head = nn.Linear(4, 3)
    views = tuple(view.double() for view in make_views(2))
    loss = loss_of(objective.double(), views)
    assert objective.plateau == pytest.approx(math.log(7))
    # scores that are the same for all samples give codes of 1/7 and a cross-entropy of ln 7 or more
    assert loss >= objective.plateau - 1e-9
    with torch.no_grad():
        objective.prototypes.weight.copy_(torch.ones(7, 3))
    assert loss_of(objective, views) == pytest.approx(math.log(7), abs=1e-9)


def test_learning_leaves_the_plateau_and_finds_the_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(4, N_GENES, generator=generator)
    x = centres.repeat_interleave(16, dim=0) + 0.3 * torch.randn(64, N_GENES, generator=generator)
    objective = make(n_prototypes=4, frozen_share=0.02)

    def views(rows: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(x[rows] + 0.3 * torch.randn(len(rows), N_GENES, generator=generator) for _ in range(2))  # type: ignore[return-value]

    history = fit(objective, views, 64, Schedule(120, 32, 1e-2), generator=torch.Generator().manual_seed(0))
    assert history.losses[-1] < 0.25 * objective.plateau
    nearest = (embed(objective, (x,))[0] @ unit_prototypes(objective).T).argmax(dim=1).view(4, 16)
    assert all(len(row.unique()) == 1 for row in nearest)
    assert len(nearest[:, 0].unique()) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_prototypes": 1}, "n_prototypes must be at least 2, found 1"),
        ({"epsilon": 0.0}, "must be positive"),
        ({"temperature": -1.0}, "must be positive"),
        ({"epsilon": math.nan}, "must be positive"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"queue_length": -1}, "queue_length must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_suggestions_suit_the_cohort_and_keep_what_was_chosen() -> None:
    for n_rows, batch_size in [(6, 6), (30, 30), (200, 64), (9000, 256)]:
        options = suggest_options(
            OBJECTIVES["swav"], {}, n_rows=n_rows, batch_size=batch_size, n_epochs=10, n_features=N_GENES
        )
        assert 2 <= options["n_prototypes"] <= max(2, batch_size)
        assert options["frozen_share"] == pytest.approx(0.1)
        OBJECTIVES["swav"](MLP(N_GENES, (4,)), **options)
    chosen = suggest_options(
        OBJECTIVES["swav"],
        {"n_prototypes": 11, "epsilon": 0.02},
        n_rows=99,
        batch_size=64,
        n_epochs=10,
        n_features=N_GENES,
    )
    assert chosen["n_prototypes"] == 11
    assert chosen["epsilon"] == 0.02
