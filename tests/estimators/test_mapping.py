"""Maps between domains against formulas with whole matrices, and what makes them maps."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import inv, sqrtm

from oligolearn.estimators.mapping import coral_map, transport_map


def domains(n_genes: int, n: int = 60, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    found = [rng.normal(size=(n, n_genes)) @ rng.normal(size=(n_genes, n_genes)) for _ in range(2)]
    return found[0] - found[0].mean(axis=0), found[1] - found[1].mean(axis=0)


@pytest.mark.parametrize("n_genes", [5, 100])
def test_maps_are_those_of_whole_matrices(n_genes: int) -> None:
    """Also with more genes than rows, where the maps act in the space of the rows alone."""
    source, target = domains(n_genes)
    cs, ct = (np.cov(x.T) + 1.0 * np.eye(n_genes) for x in (source, target))
    coral = inv(sqrtm(cs)) @ sqrtm(ct)
    root = sqrtm(cs)
    transport = inv(root) @ sqrtm(root @ ct @ root) @ inv(root)
    x = np.random.default_rng(1).normal(size=(7, n_genes))
    assert np.allclose(coral_map(source, target)(x), np.real(x @ coral), atol=1e-6)
    assert np.allclose(transport_map(source, target)(x), np.real(x @ transport), atol=1e-6)


@pytest.mark.parametrize("make", [coral_map, transport_map])
def test_what_is_mapped_has_the_covariance_of_the_target(make: Any) -> None:
    source, target = domains(6, 200)
    assert np.allclose(np.cov(make(source, target, ridge=1e-9)(source).T), np.cov(target.T))
    assert np.allclose(make(source, source)(source), source), "a domain is mapped to itself as it is"


def test_transport_moves_less_than_coral() -> None:
    source, target = domains(8, 200)
    moved = [((make(source, target, ridge=1e-9)(source) - source) ** 2).sum() for make in (coral_map, transport_map)]
    assert moved[1] < moved[0]


@pytest.mark.parametrize("make", [coral_map, transport_map])
def test_weights_before_a_map_are_those_after_it(make: Any) -> None:
    source, target = domains(30, 20)
    one = make(source, target)
    x, weights = np.random.default_rng(2).normal(size=(5, 30)), np.random.default_rng(3).normal(size=(3, 30))
    assert np.allclose(one(x) @ weights.T, x @ one.before(weights).T)
