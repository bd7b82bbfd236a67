"""Auto-encoders: their errors written out in loops, what is compared with what, and what they learn."""

import numpy as np
import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import OBJECTIVES, AutoEncoder, DenoisingAutoEncoder, suggest_options
from oligolearn.training import Schedule, fit
from oligolearn.views import make_view

N_GENES = 12
Kind = type[AutoEncoder] | type[DenoisingAutoEncoder]


def make(kind: Kind, **options: object) -> AutoEncoder | DenoisingAutoEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = {"n_features": N_GENES, "decoder": (9,), **options}
        return kind(MLP(N_GENES, (9, 7)), **settings)  # type: ignore[arg-type]


def rows(n_rows: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(n_rows, N_GENES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mean_squared_error(found: Tensor, expected: Tensor) -> float:
    total, a, b = 0.0, found.detach().numpy(), expected.numpy()
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += (a[i, j] - b[i, j]) ** 2
    return total / a.size


def test_the_loss_is_the_mean_squared_error_of_the_decoded_code() -> None:
    clean, corrupted = rows(), rows(seed=1)
    plain, denoising = make(AutoEncoder).double(), make(DenoisingAutoEncoder).double()
    expected = mean_squared_error(plain.decoder(plain.encoder(clean)), clean)
    assert plain((clean,)).detach().item() == pytest.approx(expected, abs=1e-12)
    expected = mean_squared_error(denoising.decoder(denoising.encoder(corrupted)), clean)
    assert denoising((corrupted, clean)).detach().item() == pytest.approx(expected, abs=1e-12)


def test_visible_and_hidden_values_both_count() -> None:
    objective = make(DenoisingAutoEncoder).double()
    clean, corrupted = rows(), rows()
    corrupted[:, :6] = 0
    losses = []
    for changed in (0, 8):  # one was hidden, the other was not
        target = clean.clone()
        target[:, changed] += 1
        losses.append(objective((corrupted, target)).detach().item())
    assert all(abs(loss - objective((corrupted, clean)).detach().item()) > 1e-4 for loss in losses)


@pytest.mark.parametrize("kind", [AutoEncoder, DenoisingAutoEncoder])
def test_predicting_the_mean_of_each_gene_has_the_loss_one(kind: Kind) -> None:
    x = rows(500)
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    objective = make(kind, decoder=()).double()
    with torch.no_grad():
        for p in objective.decoder.parameters():
            p.zero_()
    assert objective((x,) * len(objective.augmented)).detach().item() == pytest.approx(1)


def low_rank(n_rows: int) -> Tensor:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(n_rows, 2, generator=source) @ torch.randn(2, N_GENES, generator=source)
    x = x + 0.1 * torch.randn(n_rows, N_GENES, generator=source)
    return (x - x.mean(dim=0)) / x.std(dim=0, correction=0)


def test_an_auto_encoder_comes_near_the_best_linear_one() -> None:
    """Two directions hold all but 2% of these rows: principal components leave the rest."""
    x = low_rank(200)
    values = np.linalg.svd(x.numpy(), compute_uv=False) ** 2
    best = values[2:].sum() / values.sum()
    objective = make(AutoEncoder)
    history = fit(
        objective,
        lambda numbers: (x[numbers],),
        200,
        Schedule(400, 50, 1e-2),
        generator=torch.Generator().manual_seed(0),
    )
    assert best < 0.03
    assert best < history.losses[-1] < 0.1


def test_a_denoising_auto_encoder_fills_in_what_was_hidden() -> None:
    x = low_rank(200)
    name, options = DenoisingAutoEncoder.default_view
    view, source = make_view(name, options, rows=x), torch.Generator().manual_seed(0)
    objective = make(DenoisingAutoEncoder)
    fit(
        objective,
        lambda numbers: (view(x[numbers], generator=source), x[numbers]),
        200,
        Schedule(400, 50, 1e-2),
        generator=torch.Generator().manual_seed(0),
    )
    corrupted = view(x, generator=source)
    hidden = corrupted != x
    assert 0.2 < hidden.double().mean() < 0.3
    with torch.no_grad():
        error = (objective.decoder(objective.encoder(corrupted)) - x)[hidden].square().mean()
    assert error < 0.3 * x[hidden].square().mean()


@pytest.mark.parametrize("name", ["autoencoder", "denoising-autoencoder", "vime", "masked-genes"])
def test_the_number_of_genes_comes_from_the_data(name: str) -> None:
    cohort = {"n_rows": 50, "batch_size": 25, "n_epochs": 10, "n_features": N_GENES}
    options = suggest_options(OBJECTIVES[name], {}, **cohort)
    assert options == {"n_features": N_GENES}
    OBJECTIVES[name](MLP(N_GENES, (4,)), **options)
    assert suggest_options(OBJECTIVES[name], {"n_features": N_GENES}, **cohort) == options
    with pytest.raises(ValueError, match="n_features is the number of genes, 12, found 13; leave it out"):
        suggest_options(OBJECTIVES[name], {"n_features": 13}, **cohort)
