"""Every objective on cohorts that real ones resemble at their worst: its numbers stay numbers.

One cohort has it all: genes that never vary, each row twice, a single class. It is met with small batches, with large
ones, and with fewer rows than a batch should have, in 32 bits and under autocast to bfloat16, with the settings that
objectives suggest for it.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, effective_rank, suggest_options
from oligolearn.training import Schedule, fit, n_batches

N_FEATURES, N_CONSTANT, STEPS = 24, 6, 200
COHORTS = [  # rows, batch size asked for
    pytest.param(40, 8, id="batches of 8"),
    pytest.param(20, 64, id="fewer rows than a batch"),
    pytest.param(2048, 1024, id="batches of 1,024", marks=pytest.mark.slow),
]


class InHalf(nn.Module):
    """An objective under autocast. Within one step only: autocast keeps rounded weights until it is left."""

    def __init__(self, objective: nn.Module) -> None:
        super().__init__()
        self.objective = objective

    def on_step(self, progress: float) -> None:
        """Pass it on."""
        getattr(self.objective, "on_step", lambda _: None)(progress)

    def forward(self, views: tuple[Tensor, ...]) -> Tensor:
        """Loss of the objective."""
        with torch.autocast("cpu", torch.bfloat16):
            loss: Tensor = self.objective(views)
        return loss


def cohort(n_rows: int) -> Tensor:
    """Standardised rows, each twice, of one class; the first genes are constant."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(n_rows // 2, 3, generator=generator) @ torch.randn(3, N_FEATURES, generator=generator)
    x = (factors + 0.5 * torch.randn(factors.shape, generator=generator)).repeat(2, 1)
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    x[:, :N_CONSTANT] = 0  # what standardising leaves of a constant gene
    return x


def batches(objective: nn.Module, x: Tensor) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """What the objective takes for given rows: half of the genes are replaced by noise in its random views."""
    generator = torch.Generator().manual_seed(1)

    def draw(rows: Tensor) -> tuple[Tensor, ...]:
        seen = [_corrupted(x[rows], generator) if is_random else x[rows] for is_random in _augmented(objective)]
        return (*seen, rows) if getattr(objective, "needs_rows", False) else tuple(seen)

    return draw


def _augmented(objective: nn.Module) -> tuple[bool, ...]:
    found: tuple[bool, ...] = getattr(objective, "augmented", (True, True))
    return found


def _corrupted(x: Tensor, generator: torch.Generator) -> Tensor:
    hidden = torch.rand(x.shape, generator=generator) < 0.5
    return torch.where(hidden, torch.randn(x.shape, generator=generator), x)


def recluster(objective: nn.Module, x: Tensor) -> None:
    """Do before an epoch what an objective that clusters all rows asks for."""
    if hasattr(objective, "on_epoch"):
        objective.eval()
        with torch.no_grad():
            objective.on_epoch(objective.encoder(x))


@pytest.mark.parametrize("half", [False, True], ids=["32 bits", "bf16"])
@pytest.mark.parametrize(("n_rows", "batch_size"), COHORTS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_number_is_lost_in_200_steps(name: str, n_rows: int, batch_size: int, half: bool) -> None:
    x = cohort(n_rows)
    per_epoch = n_batches(n_rows, batch_size)
    options: dict[str, Any] = suggest_options(
        OBJECTIVES[name],
        {},
        n_rows=n_rows,
        batch_size=n_rows // per_epoch,
        n_epochs=STEPS // per_epoch,
        n_features=N_FEATURES,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective = OBJECTIVES[name](MLP(N_FEATURES, (16, 8)), **options)
    recluster(objective, x)
    history = fit(  # raises where the loss of an epoch is no number
        InHalf(objective) if half else objective,
        batches(objective, x),
        n_rows,
        Schedule(STEPS, batch_size, 3e-3),
        generator=torch.Generator().manual_seed(0),
        on_epoch=lambda *_: recluster(objective, x),
    )
    assert len(history.losses) == STEPS // per_epoch
    for what, value in objective.state_dict().items():
        assert value.isfinite().all(), what
    with torch.no_grad():
        embedding = objective.encoder(x)
    assert effective_rank(embedding) > 1.5
