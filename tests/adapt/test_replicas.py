"""Adaptation objectives trained together as replicas give what they give one at a time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from oligolearn.adapt import ADAPTATIONS, Batch, Consensus, FewShot, SourceOnly
from oligolearn.nn import MLP, Classifier
from oligolearn.training import History, Schedule, fit, fit_replicas

N_ROWS, N_TARGET, R = 40, 30, 3


def classifier() -> Classifier:
    return Classifier(MLP(6, (8, 5)), 3)


MAKE: dict[str, Callable[[], nn.Module]] = {
    **{name: (lambda made=made: made(classifier())) for name, made in ADAPTATIONS.items()},
    "source": lambda: SourceOnly(classifier()),
    "cdan with random products": lambda: ADAPTATIONS["cdan"](classifier(), largest_product=8),
    "consensus": lambda: Consensus(MLP(6, (8, 5)), MLP(6, (8, 5))),
    "values in place of classes": lambda: ADAPTATIONS["dann"](Classifier(MLP(6, (8, 5)), 1)),
    "few labels": lambda: FewShot(MLP(6, (8, 5)), MLP(6, (8, 5)), nn.Linear(5, 3), dropout=0.2),
}


def built(name: str, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MAKE[name]().double()


@pytest.mark.parametrize("name", MAKE)
def test_replicas_equal_trainings_one_at_a_time(name: str) -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(R, N_ROWS + N_TARGET, 6, generator=draw).double(), torch.randint(3, (R, N_ROWS), generator=draw)
    schedule = Schedule(12, 16, 1e-2)

    if name == "values in place of classes":
        y = torch.where(y == 2, torch.nan, y.double() - 0.5)

    def rows_of(replica: int, numbers: Tensor) -> Batch:
        others = N_ROWS + (numbers * 7) % N_TARGET
        return (
            x[replica, numbers],
            y[replica, numbers],
            torch.zeros_like(numbers),
            x[replica, others] + 1,
            torch.where(numbers % 3 == 0, numbers % 2, torch.nan if y.is_floating_point() else -1),
        )

    def together(numbers: Tensor, replicas: range) -> tuple[Tensor, ...]:
        each = [rows_of(replica, mine) for replica, mine in zip(replicas, numbers, strict=True)]
        return tuple(torch.stack(parts) for parts in zip(*each, strict=True))

    modules = [built(name, seed) for seed in range(R)]
    generators = [torch.Generator().manual_seed(seed) for seed in range(R)]
    found = fit_replicas(modules, together, N_ROWS, schedule, generators=generators, stacked=True)
    assert all(isinstance(result, History) for result in found.results)
    for replica, module in enumerate(modules):
        alone = built(name, replica)
        generator = torch.Generator().manual_seed(replica)
        fit(alone, lambda numbers, r=replica: rows_of(r, numbers), N_ROWS, schedule, generator=generator)
        for mine, theirs in zip(module.state_dict().values(), alone.state_dict().values(), strict=True):
            assert torch.allclose(mine.double(), theirs.double(), atol=1e-8)
