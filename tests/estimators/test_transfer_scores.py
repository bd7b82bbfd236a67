"""Scores without target labels against their papers' formulas, written out, and against what they are to estimate."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy, norm

from oligolearn.estimators import density_ratio, embedded_validation, mean_entropy, neighbourhood_density


@pytest.fixture
def probabilities():
    return np.random.default_rng(0).dirichlet([0.5, 0.5, 0.5], size=40)


def test_mean_entropy_is_scipys(probabilities):
    assert mean_entropy(probabilities) == pytest.approx(entropy(probabilities, axis=1).mean())
    assert mean_entropy(np.eye(3)) == 0


@pytest.mark.parametrize("n", [40, 1500])  # more than one block
def test_neighbourhood_density_is_the_papers(n):
    p = torch.from_numpy(np.random.default_rng(n).dirichlet([0.5, 0.5, 0.5], size=n))
    f = torch.nn.functional.normalize(p)
    similarity = (f @ f.T / 0.05).fill_diagonal_(-torch.inf)
    weights = similarity.softmax(dim=1)
    wanted = torch.special.entr(weights).sum(dim=1).mean().item()
    assert neighbourhood_density(p.numpy()) == pytest.approx(wanted, rel=1e-10)


def test_density_is_largest_where_all_rows_are_named_alike_and_needs_two():
    alike = np.tile([0.7, 0.3], (20, 1))
    groups = np.repeat([[0.99, 0.01], [0.01, 0.99]], 10, axis=0)
    assert neighbourhood_density(alike) == pytest.approx(np.log(19))
    assert neighbourhood_density(groups) == pytest.approx(np.log(9), abs=1e-6)
    with pytest.raises(ValueError, match="at least 2 rows, found 1"):
        neighbourhood_density(alike[:1])


def test_density_ratio_finds_that_of_two_gaussians():
    rng = np.random.default_rng(0)
    train, target = rng.normal(size=(4000, 1)), rng.normal(loc=1, size=(2000, 1))
    x = np.linspace(-1, 2, 7)[:, None]
    wanted = (norm.pdf(x, 1) / norm.pdf(x))[:, 0]
    assert density_ratio(train, x, target) == pytest.approx(wanted, rel=0.2)


def test_embedded_validation_is_the_papers_and_estimates_the_loss_in_the_target():
    rng = np.random.default_rng(0)
    losses, weights = rng.random(50), rng.gamma(2.0, size=50)
    covariance = np.cov(weights * losses, weights)
    eta = -covariance[0, 1] / covariance[1, 1]
    wanted = np.mean(weights * losses) + eta * np.mean(weights) - eta
    assert embedded_validation(losses, weights) == pytest.approx(wanted)
    assert embedded_validation(losses, np.ones(50)) == pytest.approx(losses.mean())
    x = rng.normal(size=20_000)  # errors are more frequent on the right, where the target is
    losses = (rng.random(20_000) < norm.cdf(x)).astype(float)
    found = embedded_validation(losses, norm.pdf(x, 0.5) / norm.pdf(x))
    assert found == pytest.approx(norm.cdf(0.5 / np.sqrt(2)), abs=0.02)
    assert losses.mean() == pytest.approx(0.5, abs=0.02)
