"""VICReg against the paper's terms in loops and the authors' own loss; its plateau and its expander."""

import math

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, VICReg, suggest_options
from oligolearn.pretext.vicreg import covariance_loss, variance_loss

N_GENES = 12


def make(seed: int = 0, **options: object) -> VICReg:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"projection": (10, 6), **options}
        return VICReg(MLP(N_GENES, (9, 7)), **settings).double()  # type: ignore[arg-type]


def make_views(n_rows: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n_rows, N_GENES, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, second


def terms(a: list[list[float]], b: list[list[float]]) -> tuple[float, float, float]:
    """Invariance as a mean, and equations 1 and 4 added for both views, in loops."""
    n, dim = len(a), len(a[0])
    invariance = sum((a[i][j] - b[i][j]) ** 2 for i in range(n) for j in range(dim)) / (n * dim)
    variance, covariance = 0.0, 0.0
    for z in (a, b):
        mean = [sum(row[j] for row in z) / n for j in range(dim)]
        for j in range(dim):
            for k in range(dim):
                c = sum((row[j] - mean[j]) * (row[k] - mean[k]) for row in z) / (n - 1)
                if j == k:
                    variance += max(0.0, 1 - math.sqrt(c + 1e-4)) / dim
                else:
                    covariance += c**2 / dim
    return invariance, variance, covariance


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 2.0, 30.0)])
def test_the_loss_equals_the_equations(weights: tuple[float, float, float]) -> None:
    objective = make(**dict(zip(("invariance", "variance", "covariance"), weights, strict=True)))
    views = make_views()
    with torch.no_grad():
        a, b = (objective.head(objective.encoder(view)).tolist() for view in views)
    invariance, variance, covariance = terms(a, b)
    assert min(invariance, variance, covariance) > 1e-3
    expected = weights[0] * invariance + weights[1] * variance / 2 + weights[2] * covariance
    assert objective(views).detach().item() == pytest.approx(expected, abs=1e-9)


def test_the_terms_equal_the_loss_of_the_authors() -> None:
    """`VICReg.forward` of main_vicreg.py (facebookresearch/vicreg, 4e12602) in one process, without networks.

    lightly's `VICRegLoss` (e8d317f) gives the same, to the last bit.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    objective = make()
    objective.encoder, objective.head = torch.nn.Identity(), torch.nn.Identity()  # type: ignore[assignment]
    assert objective((a, b)).item() == pytest.approx(47.23880222175944, abs=1e-9)


def test_the_order_of_the_views_and_a_shift_of_the_outputs_do_not_matter() -> None:
    first, second = make_views()
    assert make()((first, second)).item() == pytest.approx(make()((second, first)).item(), abs=1e-9)
    shift = torch.arange(N_GENES)
    torch.testing.assert_close(covariance_loss(first + shift), covariance_loss(first))
    torch.testing.assert_close(variance_loss(first + shift), variance_loss(first))


def test_an_encoder_that_cannot_tell_samples_apart_stays_at_the_plateau() -> None:
    objective = make(variance=7.0)
    same = torch.ones(8, N_GENES, dtype=torch.float64)
    with torch.no_grad():
        objective.head[-1].weight.zero_()
    loss = objective((same, same))
    assert loss.item() == pytest.approx(objective.plateau, abs=1e-9)
    loss.backward()  # a square root without epsilon has no slope there
    assert all(p.grad is None or p.grad.isfinite().all() for p in objective.parameters())


def test_uncorrelated_outputs_of_variance_one_have_the_least_loss() -> None:
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert covariance_loss(z).item() == pytest.approx(0, abs=1e-6)
    assert variance_loss(z).item() == 0
    assert variance_loss(0.5 * z).item() == pytest.approx(1 - math.sqrt(1 / 3 + 1e-4))


def test_settings_out_of_range_are_refused() -> None:
    for options in ({"variance": 0.0}, {"invariance": -1.0}, {"covariance": math.nan}):
        with pytest.raises(ValueError, match="must not be negative and variance must be positive"):
            make(**options)


def test_chance_does_not_outweigh_the_variance_at_any_batch_size() -> None:
    """Outputs that are independent: what they correlate by chance costs less than their variance earns."""
    for batch_size in (6, 8, 64, 1024):
        options = suggest_options(
            OBJECTIVES["vicreg"], {}, n_rows=5000, batch_size=batch_size, n_epochs=9, n_features=N_GENES
        )
        n_out = options["projection"][1]
        z = torch.randn(batch_size, n_out, generator=torch.Generator().manual_seed(0))
        assert 2 * covariance_loss(z) < 25 * 0.5
        make(**options)
    chosen = suggest_options(
        OBJECTIVES["vicreg"], {"projection": (9, 8)}, n_rows=50, batch_size=25, n_epochs=9, n_features=N_GENES
    )
    assert chosen["projection"] == (9, 8)
    with pytest.raises(ValueError, match="needs at least 2 rows, found 1"):
        suggest_options(OBJECTIVES["vicreg"], {}, n_rows=1, batch_size=1, n_epochs=9, n_features=N_GENES)
