"""VIME against its equations written out in loops, and against the mask that its authors' code makes."""

import math

import pytest
import torch
from torch import Tensor

from oligolearn.nn import MLP
from oligolearn.pretext import VIME
from oligolearn.training import Schedule, fit
from oligolearn.views import make_view

N_GENES = 5


def make(n_genes: int = N_GENES, hidden: tuple[int, ...] = (9, 7), **options: float) -> VIME:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VIME(MLP(n_genes, hidden), n_features=n_genes, **options)


# Made by the authors' own `mask_generator(0.5, x)` and `pretext_generator` (jsyoon0823/VIME, vime_utils.py), with
# `numpy.random.RandomState(0).randint(0, 3, (6, 5))` as x, after `numpy.random.seed(0)`: rows, corrupted rows, mask.
# The mask that was drawn has 20 ones; 6 of them replaced a value by an equal one.
CLEAN = [[0, 1, 0, 1, 1], [2, 0, 2, 0, 0], [0, 2, 1, 2, 2], [0, 1, 1, 1, 1], [0, 1, 0, 0, 1], [2, 0, 2, 0, 1]]
CORRUPTED = [[2, 1, 1, 0, 1], [0, 0, 1, 0, 0], [0, 0, 2, 1, 2], [0, 1, 2, 1, 1], [2, 0, 0, 0, 1], [0, 0, 0, 2, 1]]
MASK = [[1, 0, 1, 1, 0], [1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0]]


def vime_loss(odds: Tensor, values: Tensor, clean: Tensor, mask: Tensor, alpha: float) -> float:
    """Equations 3 to 5 with a loop for every index; odds are those of a sigmoid."""
    masks, errors = 0.0, 0.0
    n_rows, n_genes = clean.shape
    for i in range(n_rows):
        for j in range(n_genes):
            p = 1 / (1 + math.exp(-float(odds[i, j])))
            masks -= math.log(p) if mask[i, j] else math.log(1 - p)
            errors += float(values[i, j] - clean[i, j]) ** 2
    return (masks + alpha * errors) / (n_rows * n_genes)


@pytest.mark.parametrize("alpha", [2.0, 0.0, 0.7])
def test_loss_equals_the_equations_with_the_mask_of_the_authors(alpha: float) -> None:
    objective = make(alpha=alpha).double()
    clean, corrupted = (torch.tensor(x, dtype=torch.float64) for x in (CLEAN, CORRUPTED))
    with torch.no_grad():
        embedding = objective.encoder(corrupted)
        odds, values = objective.mask(embedding), objective.values(embedding)
        expected = vime_loss(odds, values, clean, torch.tensor(MASK), alpha)
        assert objective((corrupted, clean)).item() == pytest.approx(expected, abs=1e-12)


def test_both_tasks_are_learned_where_genes_tell_about_each_other() -> None:
    n_genes, n_rows = 20, 400
    source = torch.Generator().manual_seed(1)
    x = torch.randn(n_rows, 2, generator=source) @ torch.randn(2, n_genes, generator=source)
    x = x + 0.1 * torch.randn(n_rows, n_genes, generator=source)
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    name, options = VIME.default_view
    view = make_view(name, options, rows=x)
    objective = make(n_genes, (64, 32))
    fit(
        objective,
        lambda numbers: (view(x[numbers], generator=source), x[numbers]),
        n_rows,
        Schedule(800, 100, 1e-2),
        generator=torch.Generator().manual_seed(0),
    )
    corrupted = view(x, generator=source)
    replaced = corrupted != x
    assert 0.27 < replaced.double().mean() < 0.33
    with torch.no_grad():
        embedding = objective.encoder(corrupted)
        odds, values = objective.mask(embedding), objective.values(embedding)
    chance = 0.3
    p = odds.sigmoid()
    cross_entropy = -torch.where(replaced, p, 1 - p).log().mean()
    assert cross_entropy < 0.95 * -(chance * math.log(chance) + (1 - chance) * math.log(1 - chance))
    assert (values - x)[replaced].square().mean() < 0.5 * (corrupted - x)[replaced].square().mean()


@pytest.mark.parametrize("alpha", [-1.0, math.nan])
def test_a_negative_weight_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must not be negative"):
        make(alpha=alpha)
