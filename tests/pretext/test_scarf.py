"""SCARF: both losses in loops and against a public port, who is compared with whom, its plateau."""

import math

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import SCARF, info_nce
from oligolearn.pretext.simclr import nt_xent
from oligolearn.training import Schedule, fit
from oligolearn.views import make_view

N_GENES = 12


def make(**options: object) -> SCARF:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SCARF(MLP(N_GENES, (9, 7)), **{"projection": (10, 6), **options})  # type: ignore[arg-type]


def batch(n_rows: int = 7) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    clean = torch.randn(n_rows, N_GENES, generator=source, dtype=torch.float64)
    return clean, torch.where(torch.rand(clean.shape, generator=source) < 0.6, clean.flip(0), clean)


def cosine(a: Tensor, b: Tensor) -> float:
    return float((a @ b) / (a.norm() * b.norm()))


def algorithm_1(anchors: Tensor, corrupted: Tensor, temperature: float) -> float:
    """The paper's loss, with the 1/N in its denominator."""
    n, total = len(anchors), 0.0
    for i in range(n):
        own = math.exp(cosine(anchors[i], corrupted[i]) / temperature)
        total -= math.log(own / (sum(math.exp(cosine(anchors[i], z) / temperature) for z in corrupted) / n))
    return total / n


def both_ways(anchors: Tensor, corrupted: Tensor, temperature: float) -> float:
    """NT-Xent: every row of both looks for its partner among all others."""
    z, n, total = [*anchors, *corrupted], len(anchors), 0.0
    for i in range(2 * n):
        own = math.exp(cosine(z[i], z[(i + n) % (2 * n)]) / temperature)
        total -= math.log(own / sum(math.exp(cosine(z[i], z[k]) / temperature) for k in range(2 * n) if k != i))
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_losses_equal_the_equations(temperature: float) -> None:
    clean, corrupted = batch()
    for loss in ("info-nce", "nt-xent"):
        objective = make(loss=loss, temperature=temperature).double()
        with torch.no_grad():
            z = objective.head(objective.encoder(torch.cat([clean, corrupted]))).chunk(2)
        expected = algorithm_1(*z, temperature) + math.log(7) if loss == "info-nce" else both_ways(*z, temperature)
        assert objective((clean, corrupted)).detach().item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, 2.738269309981628), (0.3, 3.7419045979423182)])
def test_nt_xent_equals_that_of_a_public_port(temperature: float, expected: float) -> None:
    """Values of `NTXent(temperature)(a, b)` of clabrugere/pytorch-scarf (scarf/loss.py), for these a and b."""
    source = torch.Generator().manual_seed(0)
    a, b = (torch.randn(7, 5, generator=source, dtype=torch.float64) for _ in range(2))
    assert nt_xent(a, b, temperature=temperature).item() == pytest.approx(expected, abs=1e-12)


def test_the_paper_s_loss_tells_anchors_from_views() -> None:
    source = torch.Generator().manual_seed(0)
    a, b = (torch.randn(7, 5, generator=source, dtype=torch.float64) for _ in range(2))
    assert abs(info_nce(a, b, temperature=0.3) - info_nce(b, a, temperature=0.3)) > 1e-3
    assert nt_xent(a, b, temperature=0.3) == pytest.approx(nt_xent(b, a, temperature=0.3).item())


@pytest.mark.parametrize(("loss", "n_others"), [("nt-xent", 13), ("info-nce", 7)])
def test_a_constant_encoder_stays_at_the_plateau(loss: str, n_others: int) -> None:
    objective = make(loss=loss).double()
    assert objective.plateau == math.inf
    with torch.no_grad():
        for p in objective.encoder.parameters():
            p.zero_()
        objective.head.layers[-1].bias.fill_(1.0)
    assert objective(batch()).detach().item() == pytest.approx(math.log(n_others))
    assert objective.plateau == pytest.approx(math.log(n_others))


def test_learning_finds_the_sample_behind_its_corrupted_copy() -> None:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(64, 3, generator=source) @ torch.randn(3, N_GENES, generator=source)
    name, options = SCARF.default_view
    view = make_view(name, {**options, "share": 0.3}, rows=x)
    objective = make(temperature=0.2)
    history = fit(
        objective,
        lambda numbers: (x[numbers], view(x[numbers], generator=source)),
        64,
        Schedule(300, 32, 1e-2),
        generator=torch.Generator().manual_seed(0),
    )
    assert history.losses[-1] < 0.8 * objective.plateau


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "nce"}, "loss must be one of nt-xent, info-nce, found 'nce'"),
        ({"temperature": 0.0}, "temperature must be positive, found 0.0"),
        ({"temperature": math.nan}, "temperature must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_batch_of_one_row_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="at least 2, found 1"):
        SCARF.suggest_options({}, n_rows=1, batch_size=1, n_epochs=10, n_features=5)
