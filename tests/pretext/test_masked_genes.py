"""Masked-gene modelling: hidden genes alone count, in loops; it learns to fill in what cannot be copied."""

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import MaskedGenes
from oligolearn.training import Schedule, fit
from oligolearn.views import make_view

N_GENES = 12


def make(n_genes: int = N_GENES) -> MaskedGenes:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MaskedGenes(MLP(n_genes, (9, 7)), n_features=n_genes, decoder=(9,))


def batch(n_rows: int = 8) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    clean = torch.randn(n_rows, N_GENES, generator=source, dtype=torch.float64)
    return torch.where(torch.rand(clean.shape, generator=source) < 0.4, 0.0, clean), clean


def test_the_loss_is_the_mean_error_over_hidden_values() -> None:
    objective = make().double()
    corrupted, clean = batch()
    with torch.no_grad():
        found = objective.decoder(objective.encoder(corrupted))
    total, n_hidden = 0.0, 0
    for i in range(len(clean)):
        for j in range(N_GENES):
            if corrupted[i, j] == 0:
                total += float(found[i, j] - clean[i, j]) ** 2
                n_hidden += 1
    assert 0 < n_hidden < clean.numel()
    assert objective((corrupted, clean)).detach().item() == pytest.approx(total / n_hidden, abs=1e-12)


def test_no_gradient_comes_from_visible_values() -> None:
    objective = make().double()
    corrupted, clean = batch()
    objective((corrupted, clean)).backward()
    hidden = corrupted != clean
    hidden[:, 3] = False  # a gene that is nowhere hidden
    objective.zero_grad()
    objective((torch.where(hidden, corrupted, clean), clean)).backward()
    bias = objective.decoder.layers[-1].bias.grad
    assert bias[3] == 0
    assert (bias != 0).sum() == N_GENES - 1


def test_nothing_hidden_has_the_loss_zero() -> None:
    objective = make()
    clean = batch()[1].float()
    loss = objective((clean, clean))
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.grad is not None)


def test_hidden_genes_are_predicted_from_the_others() -> None:
    n_rows = 300
    source = torch.Generator().manual_seed(1)
    x = torch.randn(n_rows, 2, generator=source) @ torch.randn(2, N_GENES, generator=source)
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    name, options = MaskedGenes.default_view
    view = make_view(name, options, rows=x)
    history = fit(
        make(),
        lambda numbers: (view(x[numbers], generator=source), x[numbers]),
        n_rows,
        Schedule(600, 100, 1e-2),
        generator=torch.Generator().manual_seed(0),
    )
    assert history.losses[0] > 0.9  # about the variance of standardised genes
    assert history.losses[-1] < 0.4
