"""Barlow Twins against the paper's equations in loops and the authors' own loss; its plateau."""

import math

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, BarlowTwins, suggest_options
from oligolearn.pretext.barlow_twins import cross_correlation

N_GENES = 12


def make(seed: int = 0, **options: object) -> BarlowTwins:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"projection": (10, 6), **options}
        return BarlowTwins(MLP(N_GENES, (9, 7)), **settings).double()  # type: ignore[arg-type]


def make_views(n_rows: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n_rows, N_GENES, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, second


def equation(a: list[list[float]], b: list[list[float]], redundancy: float) -> float:
    """Equations 1 and 2 in loops, with batch norm's epsilon."""
    n, dim = len(a), len(a[0])

    def standardised(z: list[list[float]], j: int) -> list[float]:
        mean = sum(row[j] for row in z) / n
        deviation = math.sqrt(sum((row[j] - mean) ** 2 for row in z) / n + 1e-5)
        return [(row[j] - mean) / deviation for row in z]

    total = 0.0
    for i in range(dim):
        for j in range(dim):
            c = sum(p * q for p, q in zip(standardised(a, i), standardised(b, j), strict=True)) / n
            total += (1 - c) ** 2 if i == j else redundancy * c**2
    return total


@pytest.mark.parametrize("redundancy", [0.0051, 0.7])
def test_the_loss_equals_the_equations(redundancy: float) -> None:
    objective, views = make(redundancy=redundancy), make_views()
    with torch.no_grad():
        a, b = (objective.head(objective.encoder(view)).tolist() for view in views)
    assert objective(views).detach().item() == pytest.approx(equation(a, b, redundancy), abs=1e-9)


def test_the_loss_equals_that_of_the_authors() -> None:
    """`BarlowTwins.forward` of main.py (facebookresearch/barlowtwins, 8e8d284) in one process, without networks.

    lightly's `BarlowTwinsLoss(0.0051)` (e8d317f) gives the same, to the last bit.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    objective = make()
    objective.encoder, objective.head = torch.nn.Identity(), torch.nn.Identity()  # type: ignore[assignment]
    assert objective((a, b)).item() == pytest.approx(4.36027077801183, abs=1e-9)


def test_neither_the_order_of_the_views_nor_scale_and_shift_of_outputs_matter() -> None:
    first, second = make_views()
    assert make()((first, second)).item() == pytest.approx(make()((second, first)).item(), abs=1e-9)
    scaled = first * torch.linspace(1.0, 50.0, N_GENES) - 7
    torch.testing.assert_close(cross_correlation(scaled, second), cross_correlation(first, second), rtol=0, atol=1e-4)


def test_outputs_that_agree_and_do_not_correlate_have_no_loss() -> None:
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    torch.testing.assert_close(cross_correlation(z, 3 * z), torch.eye(2), rtol=0, atol=1e-4)


def test_an_encoder_that_cannot_tell_samples_apart_stays_at_the_plateau() -> None:
    objective = make()
    same = torch.ones(8, N_GENES, dtype=torch.float64)
    loss = objective((same, same))
    assert objective.plateau == 6
    assert loss.item() == pytest.approx(6, abs=1e-6)
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in objective.parameters())


def test_settings_and_suggestions() -> None:
    for redundancy in (-1.0, math.nan):
        with pytest.raises(ValueError, match="redundancy must not be negative"):
            make(redundancy=redundancy)
    for batch_size, width in [(4, 16), (33, 132), (2000, 256)]:
        options = suggest_options(
            OBJECTIVES["barlow-twins"], {}, n_rows=9000, batch_size=batch_size, n_epochs=9, n_features=N_GENES
        )
        assert options == {"projection": (width, width)}
        make(**options)
    with pytest.raises(ValueError, match="needs at least 2 rows, found 1"):
        suggest_options(OBJECTIVES["barlow-twins"], {}, n_rows=1, batch_size=1, n_epochs=9, n_features=N_GENES)
