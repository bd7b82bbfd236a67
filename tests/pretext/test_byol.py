"""BYOL against the equations in loops and the authors' own functions; the slow copy and its schedule."""

import copy
import math

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import BYOL, OBJECTIVES, suggest_options
from oligolearn.pretext.byol import distance_of_directions
from oligolearn.training import Schedule, fit

N_GENES = 12


def make(seed: int = 0, **options: object) -> BYOL:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"projection": (10, 6), "momentum": 0.9, **options}
        return BYOL(MLP(N_GENES, (9, 7)), **settings).double()  # type: ignore[arg-type]


def make_views(n_rows: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n_rows, N_GENES, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, second


def equation(predictions: Tensor, targets: Tensor) -> float:
    """Equation 2 in loops: squared distance of the normalised vectors, mean over rows."""
    total = 0.0
    for q, z in zip(predictions.tolist(), targets.tolist(), strict=True):
        length_q, length_z = math.sqrt(sum(v * v for v in q)), math.sqrt(sum(v * v for v in z))
        total += sum((a / length_q - b / length_z) ** 2 for a, b in zip(q, z, strict=True))
    return total / len(predictions)


def test_three_steps_equal_the_equations_written_out() -> None:
    """The momentum is heard before each step; weights move in between."""
    objective, generator = make(), torch.Generator().manual_seed(2)
    encoder, projector = copy.deepcopy(objective.encoder), copy.deepcopy(objective.projector)
    for step, progress in enumerate([0.0, 0.5, 0.9]):
        objective.on_step(progress)
        tau = 1 - (1 - 0.9) * (math.cos(math.pi * progress) + 1) / 2
        views = make_views(seed=step)
        with torch.no_grad():
            pairs = [(encoder, objective.encoder), (projector, objective.projector)]
            for slow, fast in pairs:
                for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                    p.copy_(tau * p + (1 - tau) * q)
            online = copy.deepcopy(objective)
            predictions = [online.predictor(online.projector(online.encoder(view))) for view in views]
            targets = [copy.deepcopy(projector)(copy.deepcopy(encoder)(view)) for view in views]
        expected = equation(predictions[0], targets[1]) + equation(predictions[1], targets[0])
        assert objective(views).detach().item() == pytest.approx(expected, abs=1e-9), f"step {step}"
        with torch.no_grad():
            for p in (*objective.encoder.parameters(), *objective.projector.parameters()):
                p.add_(0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64))


def test_the_loss_equals_that_of_the_authors() -> None:
    """`regression_loss` of byol/utils/helpers.py (deepmind-research, f5de0ed), run with numpy in jax.numpy's place."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    assert distance_of_directions(first, second).item() == pytest.approx(1.8080765770804021, abs=1e-9)


def test_the_momentum_follows_the_authors_schedule() -> None:
    """`target_ema(step, 0.99, 1000)` of byol/utils/schedules.py, likewise."""
    objective = make(momentum=0.99)
    assert objective._momentum == 0.99
    for step, tau in [(0, 0.99), (250, 0.9914644660940672), (500, 0.995), (900, 0.9997552825814757)]:
        objective.on_step(step / 1000)
        assert objective._momentum == pytest.approx(tau, abs=1e-12)


def test_training_moves_the_copy_by_the_schedule_and_by_no_gradient() -> None:
    x = torch.randn(16, N_GENES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = make()
    heard: list[float] = []
    follow = objective.slow.follow
    objective.slow.follow = lambda *networks, momentum: (heard.append(momentum), follow(*networks, momentum=momentum))  # type: ignore[assignment,func-returns-value]
    fit(objective, lambda rows: (x[rows], x[rows] + 0.1), 16, Schedule(10, 8, 1e-2), generator=torch.Generator())
    assert heard == pytest.approx([1 - 0.1 * (math.cos(math.pi * step / 10) + 1) / 2 for step in range(10)])
    assert all(p.grad is None for p in objective.slow.parameters())


def test_the_order_of_the_views_does_not_matter() -> None:
    first, second = make_views()
    assert make()((first, second)).item() == pytest.approx(make()((second, first)).item(), abs=1e-9)


def test_a_point_has_the_lowest_loss_so_there_is_no_plateau() -> None:
    same = torch.ones(8, 3)
    assert distance_of_directions(same, 5 * same).item() == pytest.approx(0, abs=1e-6)
    assert distance_of_directions(same, -same).item() == pytest.approx(4, abs=1e-6)
    assert not hasattr(make(), "plateau")


def test_settings_and_suggestions() -> None:
    with pytest.raises(ValueError, match="momentum must lie between 0 and 1"):
        make(momentum=1.5)

    def suggested(chosen: dict[str, float], n_epochs: int) -> dict[str, float]:
        return suggest_options(
            OBJECTIVES["byol"], chosen, n_rows=100, batch_size=50, n_epochs=n_epochs, n_features=N_GENES
        )

    assert suggested({}, 100) == {"momentum": 0.9}
    assert suggested({}, 1000) == {"momentum": 0.99}
    assert suggested({"momentum": 0.5}, 1000) == {"momentum": 0.5}
