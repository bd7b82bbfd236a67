"""Sinkhorn codes against the formula in the exponential domain, and what codes must be."""

import mpmath
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from oligolearn.pretext import sinkhorn

Floats = NDArray[np.float64]


def cosines(n_rows: int, n_prototypes: int, seed: int = 0) -> Floats:
    """Scores as SwAV has them: cosines of unit vectors."""
    rng = np.random.default_rng(seed)
    rows, prototypes = rng.normal(size=(n_rows, 16)), rng.normal(size=(n_prototypes, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    return rows @ prototypes.T


def sinkhorn_knopp(scores: Floats, epsilon: float, iterations: int = 3) -> Floats:
    """The algorithm as the paper's authors print it: a matrix of mass, scaled by rows and by columns."""
    mass = np.exp(scores / epsilon).T
    n_prototypes, n_rows = mass.shape
    mass /= mass.sum()
    for _ in range(iterations):
        mass /= mass.sum(axis=1, keepdims=True) * n_prototypes
        mass /= mass.sum(axis=0, keepdims=True) * n_rows
    return (mass * n_rows).T


@pytest.mark.parametrize("epsilon", [0.05, 0.005])
@pytest.mark.parametrize("shape", [(64, 30), (8, 3), (5, 40)])
def test_equals_the_authors_formula(epsilon: float, shape: tuple[int, int]) -> None:
    scores = cosines(*shape)
    expected = sinkhorn_knopp(scores, epsilon)
    exact = sinkhorn(torch.from_numpy(scores), epsilon=epsilon)
    np.testing.assert_allclose(exact.numpy(), expected, atol=1e-12)
    single = sinkhorn(torch.from_numpy(scores).float(), epsilon=epsilon)
    # what 32 bits keep of exp(1 / .005) is what they keep of the number 200
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-6 if epsilon == 0.05 else 1e-5)


@pytest.mark.parametrize("iterations", [1, 2, 10])
def test_counts_its_iterations(iterations: int) -> None:
    scores = cosines(12, 5)
    codes = sinkhorn(torch.from_numpy(scores), iterations=iterations)
    np.testing.assert_allclose(codes.numpy(), sinkhorn_knopp(scores, 0.05, iterations), atol=1e-12)


def test_where_float64_itself_overflows_it_agrees_with_arbitrary_precision() -> None:
    scores = cosines(6, 4)
    epsilon = 0.0005
    assert scores.max() / epsilon > np.log(np.finfo(np.float64).max)
    with mpmath.workdps(50):
        mass = [[mpmath.exp(mpmath.mpf(float(score)) / mpmath.mpf(epsilon)) for score in row] for row in scores]
        for _ in range(3):
            totals = [sum(column) for column in zip(*mass, strict=True)]
            mass = [[value / total for value, total in zip(row, totals, strict=True)] for row in mass]
            mass = [[value / sum(row) for value in row] for row in mass]
    expected = np.array([[float(value) for value in row] for row in mass])
    codes = sinkhorn(torch.from_numpy(scores), epsilon=epsilon)
    np.testing.assert_allclose(codes.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_comes_out_finite_and_in_32_bits(dtype: torch.dtype) -> None:
    scores = torch.from_numpy(cosines(32, 10)).to(dtype)
    assert torch.exp(scores.half() / 0.05).isinf().any()  # what the exponential domain would have met
    for epsilon in (0.05, 0.005):
        codes = sinkhorn(scores, epsilon=epsilon)
        assert codes.dtype == torch.float32
        assert codes.isfinite().all()
        torch.testing.assert_close(codes, sinkhorn(scores.float(), epsilon=epsilon))


@pytest.mark.parametrize("epsilon", [0.5, 0.05, 0.005])
def test_each_sample_gives_a_total_of_one(epsilon: float) -> None:
    codes = sinkhorn(torch.from_numpy(cosines(33, 7)), epsilon=epsilon)
    assert (codes >= 0).all()
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(33, dtype=torch.float64))


def test_prototypes_end_up_with_equal_mass() -> None:
    scores = torch.from_numpy(cosines(40, 8))
    mass = sinkhorn(scores, iterations=2000).sum(dim=0)
    torch.testing.assert_close(mass, torch.full((8,), 5.0, dtype=torch.float64), atol=1e-8, rtol=0)
    assert sinkhorn(scores, iterations=1).sum(dim=0).std() > 1e-3  # it took the iterations


def test_a_constant_added_to_a_sample_or_prototype_changes_nothing() -> None:
    scores = torch.from_numpy(cosines(20, 6))
    generator = torch.Generator().manual_seed(0)
    by_prototype = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(scores + by_prototype), sinkhorn(scores))
    torch.testing.assert_close(sinkhorn(scores + 3.0), sinkhorn(scores))


def test_small_epsilon_assigns_hard_and_large_evenly() -> None:
    scores = torch.from_numpy(cosines(24, 6))

    def sharpest(epsilon: float) -> float:
        return float(sinkhorn(scores, epsilon=epsilon).max(dim=1).values.mean())

    assert sharpest(0.001) > 0.99
    assert sharpest(100.0) == pytest.approx(1 / 6, abs=0.01)
    assert sharpest(0.001) > sharpest(0.05) > sharpest(0.5) > sharpest(100.0)
