"""ComBat and quantile normalisation against formulas worked out gene by gene, and in their limits."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from oligolearn.data import ExpressionScaler
from oligolearn.estimators.harmonising import N_QUANTILES, Moments, combat_scalers, quantile_scalers, shrunken


def cohorts(n_source: int = 30, n_target: int = 12, n_genes: int = 25) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """A source and a target whose genes are moved and stretched, each by its own."""
    rng = np.random.default_rng(0)
    X = rng.gamma(2.0, size=(n_source + n_target, n_genes)) * rng.uniform(0.5, 2, n_genes) + rng.normal(5, 1, n_genes)
    X[n_source:] = X[n_source:] * rng.uniform(0.7, 1.8, n_genes) + rng.normal(1, 1, n_genes)
    return X, np.repeat([0, -1], [n_source, n_target])


def combat_by_hand(source: NDArray[Any], target: NDArray[Any]) -> NDArray[Any]:
    """The published program with `ref.batch`, no covariates and parametric priors, one gene and one step at a time."""
    n_genes, n = target.shape[1], len(target)
    z = [[(v - source[:, g].mean()) / source[:, g].std() for v in target[:, g]] for g in range(n_genes)]
    means = [np.mean(gene) for gene in z]
    variances = [np.var(gene, ddof=1) for gene in z]
    gamma_bar, tau2 = np.mean(means), np.var(means, ddof=1)
    m, s2 = np.mean(variances), np.var(variances, ddof=1)
    a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    adjusted = np.empty_like(target)
    for g in range(n_genes):
        gamma, delta = means[g], variances[g]
        for _ in range(200):
            gamma = (tau2 * n * means[g] + delta * gamma_bar) / (tau2 * n + delta)
            delta = (0.5 * sum((v - gamma) ** 2 for v in z[g]) + b) / (n / 2 + a - 1)
        adjusted[:, g] = [(v - gamma) / delta**0.5 * source[:, g].std() + source[:, g].mean() for v in z[g]]
    return adjusted


def test_combat_is_the_published_program() -> None:
    X, domains = cohorts()
    scalers = combat_scalers(X, domains)
    adjusted = combat_by_hand(X[domains == 0], X[domains < 0])
    wanted = ExpressionScaler().fit(X[domains == 0]).transform(adjusted)
    assert np.allclose(scalers[-1].transform(X[domains < 0]), wanted, atol=1e-5)
    own = ExpressionScaler().fit_transform(X[domains == 0])
    assert np.allclose(scalers[0].transform(X[domains == 0]), own, atol=1e-5), "the reference stays as it is"


def test_shrunken_moments_are_posterior_means_found_by_integration() -> None:
    """Given the other one, each is the mean of prior times likelihood, here summed over a fine grid."""
    rng = np.random.default_rng(1)
    z = rng.normal(0.5, 1.2, size=(6, 40)) * rng.uniform(0.6, 1.5, 40) + rng.normal(0, 0.5, 40)
    n, means, variances = len(z), z.mean(axis=0), z.var(axis=0, ddof=1)
    location, scale = shrunken(Moments(np.full(40, 6.0), means, z.var(axis=0)))
    prior = stats.norm(means.mean(), means.std(ddof=1))
    m, s2 = variances.mean(), variances.var(ddof=1)
    of_scale = stats.invgamma(2 + m**2 / s2, scale=m + m**3 / s2)
    assert of_scale.mean() == pytest.approx(m)
    assert of_scale.var() == pytest.approx(s2)
    for gene in range(3):
        grid = np.linspace(-6, 6, 20_001)
        density = prior.pdf(grid) * stats.norm(grid, (scale[gene] / n) ** 0.5).pdf(means[gene])
        assert location[gene] == pytest.approx((grid * density).sum() / density.sum(), abs=1e-6)
        grid = np.linspace(1e-3, 60, 200_001)
        squares = ((z[:, gene] - location[gene]) ** 2).sum()
        density = of_scale.pdf(grid) * grid ** (-n / 2) * np.exp(-squares / (2 * grid))
        assert scale[gene] == pytest.approx((grid * density).sum() / density.sum(), rel=1e-4)


def test_combat_of_many_samples_standardises_each_domain_and_that_of_few_shrinks() -> None:
    X, domains = cohorts(400, 4000)
    found = combat_scalers(X, domains)[-1].transform(X[domains < 0])
    assert np.allclose(found, ExpressionScaler().fit_transform(X[domains < 0]), atol=0.02)
    X, domains = cohorts(400, 3)
    few = combat_scalers(X, domains)[-1].transform(X[domains < 0])
    assert few.mean(axis=0).std() > 0.1, "genes keep a part of what is their own"
    assert few.std(axis=0).std() > 0.1


def test_combat_leaves_equal_domains_alone() -> None:
    X, _ = cohorts(200, 0)
    twice = np.concatenate([X, X])
    scalers = combat_scalers(twice, np.repeat([0, -1], 200))
    assert np.allclose(scalers[0].transform(X), scalers[-1].transform(X), rtol=0.003, atol=1e-5)


def test_combat_brings_several_sources_to_their_common_mean() -> None:
    X, domains = cohorts(400, 300)
    X[:150] += 4
    domains[:150] = 7
    X[:150, 0] = np.nan
    scalers = combat_scalers(X, domains)
    for domain, scaler in scalers.items():
        found = scaler.transform(X[domains == domain])
        assert np.abs(found.mean(axis=0)).max() < 0.1, domain
        assert np.allclose(found[:, 1:].std(axis=0), 1, atol=0.1), domain


def test_combat_of_genes_that_say_nothing() -> None:
    X, domains = cohorts()
    X[:, 0] = 3.0
    X[domains == 0, 1] = 3.0
    X[domains < 0, 2] = np.nan
    X[domains < 0, 3] = 8.0
    found = combat_scalers(X, domains)[-1].transform(X[domains < 0])
    assert np.isfinite(found).all()
    assert not found[:, :3].any()
    assert np.ptp(found[:, 3]) == 0
    one = np.concatenate([X[domains == 0], X[-1:]])
    assert np.isfinite(combat_scalers(one, np.append(domains[domains == 0], -1))[-1].transform(one)).all()


def test_quantile_normalisation_replaces_sorted_values_by_those_of_the_source() -> None:
    X, domains = cohorts(20, 20)
    found = quantile_scalers(X, domains)
    source, target = (found[domain].transform(X[domains == domain]) for domain in (0, -1))
    assert np.allclose(np.sort(source, axis=0), np.sort(target, axis=0), atol=1e-5)
    order = np.argsort(X[domains < 0], axis=0)
    assert np.array_equal(np.argsort(target, axis=0), order), "samples keep their order in each gene"
    assert np.allclose(source, ExpressionScaler().fit_transform(X[domains == 0]), atol=1e-5)


def test_a_gene_that_does_not_vary_in_a_domain_says_nothing_there() -> None:
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(120, 2))
    domains = np.repeat([0, -1], 60)
    values[60:, 0] = 0.0
    scaler = quantile_scalers(values, domains)[-1]
    for new in (0.0, 0.001, 5.0):
        assert scaler.transform(np.array([[new, 1.0]]))[0, 0] == 0
    assert scaler.transform(np.array([[0.0, 5.0]]))[0, 1] > 1


def test_quantile_tables_are_bounded_and_close_to_all_values() -> None:
    X, domains = cohorts(700, 900, 5)
    scalers = quantile_scalers(X, domains)
    assert scalers[-1].quantiles_.shape == (5, N_QUANTILES)
    source, target = (scalers[domain].transform(X[domains == domain]) for domain in (0, -1))
    assert max(stats.ks_2samp(source[:, g], target[:, g]).statistic for g in range(5)) < 0.02


def test_several_sources_have_the_mean_of_their_quantiles() -> None:
    X, domains = cohorts(20, 20, 4)
    domains[:5] = 1
    X[domains == 1] += 10
    places = np.linspace(0, 1, 20)
    each = [np.quantile(X[domains == domain], places, axis=0) for domain in (0, 1)]
    mean = (15 * each[0] + 5 * each[1]) / 20
    wanted = ExpressionScaler().fit_transform(mean)
    for domain in (0, 1, -1):
        scaler = quantile_scalers(X, domains)[domain]
        assert np.allclose(scaler.reference_.T, wanted, atol=1e-5)
        assert np.allclose(scaler.quantiles_.T, np.quantile(X[domains == domain], places, axis=0), atol=1e-5)
