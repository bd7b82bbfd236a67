"""Scores of an embedding that need no label, against formulas computed another way."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from oligolearn.pretext import alpha_req, neighbour_stability, rank_me

RNG = np.random.default_rng(0)


def with_eigenvalues(eigenvalues: NDArray[np.float64], n: int = 200, seed: int = 0) -> Tensor:
    """Rows of mean 0 whose covariance has these eigenvalues, in rotated axes."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n, len(eigenvalues)))
    raw -= raw.mean(axis=0)
    left = np.linalg.svd(raw, full_matrices=False)[0]
    rotation = np.linalg.qr(rng.normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    return torch.from_numpy((left * np.sqrt(n * eigenvalues)) @ rotation)


def test_rank_me_is_equation_1_of_garrido() -> None:
    x = RNG.normal(size=(40, 6)) * [9, 5, 3, 1, 0.5, 0.1] + 2
    values = np.sqrt(np.linalg.eigvalsh(x.T @ x))
    p = values / values.sum() + 1e-7
    assert rank_me(torch.from_numpy(x)) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-9)


def test_rank_me_of_a_point_is_1_and_of_nothing_0() -> None:
    assert rank_me(torch.full((30, 8), 2.0)) == pytest.approx(1, abs=1e-4)
    assert rank_me(torch.zeros(30, 8)) == 0


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("dim", [5, 8, 60, 150])
def test_alpha_is_the_exponent_that_the_eigenvalues_were_made_with(alpha: float, dim: int) -> None:
    eigenvalues = np.arange(1, dim + 1, dtype=float) ** -alpha
    assert alpha_req(with_eigenvalues(eigenvalues) + 7) == pytest.approx(alpha, abs=1e-6)


def test_alpha_is_the_weighted_regression_on_ranks_4_to_100() -> None:
    eigenvalues = np.sort(np.random.default_rng(1).lognormal(0, 1, 150))[::-1]
    ranks = np.arange(4, 101)
    # the weights of np.polyfit multiply residuals, not their squares
    slope = np.polyfit(np.log(ranks), np.log(eigenvalues[3:100]), 1, w=np.sqrt(1 / ranks))[0]
    assert alpha_req(with_eigenvalues(eigenvalues)) == pytest.approx(-slope, rel=1e-6)


def test_alpha_of_too_few_directions_is_unknown() -> None:
    assert math.isnan(alpha_req(torch.ones(20, 8)))
    assert math.isnan(alpha_req(torch.linspace(0, 1, 20)[:, None] * torch.ones(8)))


def by_hand(first: NDArray[np.float64], second: NDArray[np.float64], k: int) -> float:
    n = len(first)
    shared = 0
    for i in range(n):
        near = []
        for x in (first, second):
            distances = np.linalg.norm(x - x[i], axis=1)
            distances[i] = np.inf
            near.append(set(np.argsort(distances)[:k]))
        shared += len(near[0] & near[1])
    chance = k / (n - 1)
    return (shared / (n * k) - chance) / (1 - chance)


def test_stability_counts_shared_neighbours() -> None:
    first = RNG.normal(size=(50, 4))
    second = first + 0.5 * RNG.normal(size=(50, 4))
    found = neighbour_stability(torch.from_numpy(first), torch.from_numpy(second), n_neighbours=7)
    assert found == pytest.approx(by_hand(first, second, 7), abs=1e-12)
    assert 0.2 < found < 0.9


def test_the_same_neighbours_are_1_and_unrelated_ones_0() -> None:
    x = torch.from_numpy(RNG.normal(size=(300, 5)))
    rotation = torch.linalg.qr(torch.from_numpy(RNG.normal(size=(5, 5)))).Q
    assert neighbour_stability(x, 3 * x @ rotation + 1) == 1
    assert neighbour_stability(x, torch.from_numpy(RNG.normal(size=(300, 5)))) == pytest.approx(0, abs=0.03)


def test_a_collapsed_embedding_is_not_stable() -> None:
    """All are equally near: no neighbour is like another."""
    point = torch.ones(100, 5)
    assert neighbour_stability(point, point) < 0.15
    two = torch.cat([torch.zeros(50, 5), torch.ones(50, 5)])
    assert neighbour_stability(two, two) < 0.5


def test_stability_does_not_depend_on_the_order_of_rows() -> None:
    first = torch.from_numpy(RNG.normal(size=(60, 4)))
    second = first + 0.5 * torch.from_numpy(RNG.normal(size=(60, 4)))
    order = torch.from_numpy(RNG.permutation(60))
    assert neighbour_stability(first[order], second[order]) == pytest.approx(neighbour_stability(first, second))


def test_rows_that_do_not_match_are_refused_and_few_rows_unknown() -> None:
    with pytest.raises(ValueError, match="5 and 4 rows"):
        neighbour_stability(torch.ones(5, 2), torch.ones(4, 2))
    assert math.isnan(neighbour_stability(torch.ones(2, 2), torch.ones(2, 2)))
