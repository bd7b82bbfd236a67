"""SimCLR against equation 1 of the paper in loops, against lightly's loss, and its plateau."""

import math

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, SimCLR, suggest_options
from oligolearn.pretext.simclr import nt_xent

N_GENES = 12


def make(seed: int = 0, **options: object) -> SimCLR:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SimCLR(MLP(N_GENES, (9, 7)), projection=(10, 6), **options)  # type: ignore[arg-type]


def make_views(n_rows: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n_rows, N_GENES, generator=generator) for _ in range(2))
    return first, second


def equation(first: Tensor, second: Tensor, temperature: float) -> float:
    """Equation 1, with a loop for every index."""
    z = [row.tolist() for row in torch.cat([first, second])]
    n_rows = len(first)

    def similarity(i: int, j: int) -> float:
        dot = sum(p * q for p, q in zip(z[i], z[j], strict=True))
        return dot / math.sqrt(sum(p * p for p in z[i])) / math.sqrt(sum(p * p for p in z[j]))

    total = 0.0
    for i in range(2 * n_rows):
        j = i + n_rows if i < n_rows else i - n_rows
        others = sum(math.exp(similarity(i, k) / temperature) for k in range(2 * n_rows) if k != i)
        total -= math.log(math.exp(similarity(i, j) / temperature) / others)
    return total / (2 * n_rows)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_equals_the_equation(temperature: float) -> None:
    objective = make(temperature=temperature).double()
    views = tuple(view.double() for view in make_views())
    with torch.no_grad():
        first, second = objective.head(objective.encoder(torch.cat(views))).chunk(2)
    found = objective(views).detach().item()
    assert found == pytest.approx(equation(first, second, temperature), abs=1e-10)
    assert make(temperature=temperature)(make_views()).detach().item() == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize(("temperature", "value"), [(0.5, 2.89189031115611), (0.1, 6.792692038306197)])
def test_the_loss_equals_that_of_lightly(temperature: float, value: float) -> None:
    """`NTXentLoss(temperature)` of lightly (commit e8d317f, lightly/loss/ntx_ent_loss.py) on these tensors."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    assert nt_xent(first, second, temperature=temperature).item() == pytest.approx(value, abs=1e-9)


def test_neither_the_order_of_the_views_nor_the_length_of_features_matters() -> None:
    first, second = make_views()
    assert make()((first, second)).item() == pytest.approx(make()((second, first)).item(), abs=1e-5)
    lengths = torch.linspace(0.1, 9.0, 8)[:, None]
    found = nt_xent(first * lengths, second, temperature=0.2)
    torch.testing.assert_close(found, nt_xent(first, second, temperature=0.2))


def test_an_encoder_that_cannot_tell_samples_apart_stays_at_the_plateau() -> None:
    same = torch.ones(8, 3, dtype=torch.float64)
    objective = make()
    assert objective.plateau == math.inf
    objective(make_views())
    assert objective.plateau == pytest.approx(math.log(15))
    assert nt_xent(same, same, temperature=0.1).item() == pytest.approx(math.log(15), abs=1e-12)


def test_small_temperatures_do_not_overflow() -> None:
    first, _ = make_views()
    first.requires_grad_()
    loss = nt_xent(first, first.detach(), temperature=1e-4)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-2)  # logits of 10,000
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_settings_out_of_range_are_refused() -> None:
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="temperature must be positive"):
            make(temperature=temperature)
    with pytest.raises(ValueError, match="needs at least 2, found 1"):
        suggest_options(OBJECTIVES["simclr"], {}, n_rows=1, batch_size=1, n_epochs=9, n_features=N_GENES)
