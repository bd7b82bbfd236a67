"""Genes of several domains on one scale, that of the sources: ComBat and quantile normalisation, without labels."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import ExpressionScaler, QuantileScaler

Scaler = ExpressionScaler | QuantileScaler
N_QUANTILES = 101
_TOLERANCE = 1e-10  # in standard deviations of the reference
_MOST_STEPS = 10_000


class Moments(NamedTuple):
    """Of each gene in one domain, ``(n_genes,)``: number of values, their mean, their mean squared distance from it."""

    n: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


def combat_scalers(values: NDArray[np.floating], domains: NDArray[np.integer]) -> dict[int, Scaler]:
    """ComBat: what brings the genes of each domain to mean and variance of the sources (Johnson 2007, section 3).

    The location and the scale of a gene in a domain, against the reference, are shrunken towards those that the genes
    of this domain have in common, the more the fewer samples it has (see `shrunken`). The reference is the source:
    rows of a single one are left as they are, as with `ref.batch` of the authors' program. Of several sources it is the
    mean of their rows and their variance within sources, and each of them is brought to it as well.

    Parameters
    ----------
    values
        ``(n_samples, n_genes)``, NaN where missing.
    domains
        Domain of each row, ``(n_samples,)``: 0 or more for sources, negative for targets.

    Returns
    -------
    dict
        For each domain what standardises its rows: adjusts them to the reference, whose genes have mean 0 and
        variance 1.

    Notes
    -----
    No covariates, since labels of the target are not known: a mix of classes that differs between domains is taken for
    a shift, as it is where each domain is standardised by itself. That is also what comes out for many samples.
    """
    found = {domain: _moments(values[domains == domain]) for domain in np.unique(domains).tolist()}
    sources = [domain for domain in found if domain >= 0]
    of_sources = Moments(*np.stack([found[domain] for domain in sources], axis=1))
    n = np.maximum(of_sources.n.sum(axis=0), 1)
    mean = (of_sources.n * of_sources.mean).sum(axis=0) / n
    variance = (of_sources.n * of_sources.variance).sum(axis=0) / n
    scalers: dict[int, Scaler] = {}
    for domain, one in found.items():
        if sources == [domain]:
            scalers[domain] = ExpressionScaler.from_moments(mean, variance)
            continue
        deviation = np.sqrt(variance)
        varies = deviation > 1e-6 * np.abs(mean)
        inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
        location, scale = np.zeros_like(mean), np.ones_like(mean)
        against = Moments(one.n, (one.mean - mean) * inverse, one.variance * inverse**2)
        location[varies], scale[varies] = shrunken(Moments(*(part[varies] for part in against)))
        scalers[domain] = ExpressionScaler.from_moments(
            mean + deviation * location, np.where(varies, variance * scale, 0)
        )
    return scalers


def shrunken(genes: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Empirical-Bayes estimates of the means and variances of genes (Johnson 2007, eq. 3.1 and supplement A.2).

    Means have a normal prior and variances an inverse gamma prior, whose parameters are those that the moments of the
    genes' own estimates give. Each gene's posterior mean and variance are found in turn, until they change no more.

    Parameters
    ----------
    genes
        Of one domain, in standard deviations of the reference.

    Returns
    -------
    location, scale
        Mean and variance of each gene, ``(n_genes,)``. Where there are fewer than two genes with two values that
        differ, they are the genes' own means and a variance of 1.

    Examples
    --------
    >>> genes = Moments(np.full(3, 4.0), np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.0, 1.5]))
    >>> location, scale = shrunken(genes)
    >>> bool(0 < location[0] < 1 - 1e-9 < location[1] < 1 + 1e-9 < location[2] < 2), bool(np.all(np.diff(scale) > 0))
    (True, True)
    """
    n, mean, variance = genes
    usable = (n > 1) & (variance > 0)
    if usable.sum() < 2:
        return np.where(n > 0, mean, 0.0), np.ones_like(mean)
    own = variance[usable] * n[usable] / (n[usable] - 1)
    centre, spread = mean[usable].mean(), mean[usable].var(ddof=1)
    middle, width = own.mean(), own.var(ddof=1)
    alike = width <= 1e-12 * middle**2
    shape = np.inf if alike else 2 + middle**2 / width
    location, scale = np.where(n > 0, mean, centre), np.full_like(mean, middle)
    for _ in range(_MOST_STEPS):
        before = location, scale
        location = (spread * n * np.where(n > 0, mean, 0) + scale * centre) / (spread * n + scale)
        if not alike:
            squares = n * variance + n * np.square(mean - location)
            scale = (middle * (shape - 1) + squares / 2) / (shape - 1 + n / 2)
        if all(np.abs(new - old).max() < _TOLERANCE for new, old in zip((location, scale), before, strict=True)):
            break
    return location, scale


def quantile_scalers(values: NDArray[np.floating], domains: NDArray[np.integer]) -> dict[int, Scaler]:
    """Feature-specific quantile normalisation: each gene is given its distribution in the source (Franks 2018, FSQN).

    Quantile normalisation (Bolstad 2003) replaces sorted values by those of a reference distribution. Within samples,
    as it is mostly done, it leaves differences of platforms that are specific to a gene; here it is done gene by gene,
    by at most 101 quantiles, so that new samples can be mapped one by one. The reference is the source; of several
    ones, the mean of their quantiles, weighted by their rows, to which they are mapped as well.

    Parameters and returned values are those of `combat_scalers`; mapped genes are standardised by the reference.
    """
    sides = {domain: values[domains == domain] for domain in np.unique(domains).tolist()}
    places = np.linspace(0.0, 1.0, min(N_QUANTILES, max(2, *(len(rows) for rows in sides.values()))))
    tables = {domain: _quantiles(rows, places) for domain, rows in sides.items()}
    for table in tables.values():
        table[:, np.ptp(table, axis=0) == 0] = np.nan  # a gene that does not vary says nothing, whatever a new row has
    of_sources = [domain for domain in tables if domain >= 0]
    total, weight = np.zeros((len(places), values.shape[1])), np.zeros(values.shape[1])
    for domain in of_sources:
        known, n = ~np.isnan(tables[domain][0]), len(sides[domain])
        total += n * np.where(known, tables[domain], 0)
        weight += n * known
    reference = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    standardised = ExpressionScaler().fit_transform(reference)
    standardised[np.isnan(reference)] = np.nan
    return {domain: QuantileScaler(table.T, standardised.T) for domain, table in tables.items()}


HARMONISERS: dict[str, Callable[[NDArray[np.floating], NDArray[np.integer]], dict[int, Scaler]]] = {
    "combat": combat_scalers,
    "quantile": quantile_scalers,
}
"""Ways to bring domains to the scale of the sources, by name."""


def _moments(rows: NDArray[np.floating]) -> Moments:
    known = ~np.isnan(rows)
    n = known.sum(axis=0).astype(np.float64)
    mean = np.where(known, rows, 0).sum(axis=0, dtype=np.float64) / np.maximum(n, 1)
    squares = np.square(np.where(known, rows - mean, 0)).sum(axis=0, dtype=np.float64)
    return Moments(n, mean, squares / np.maximum(n, 1))


def _quantiles(rows: NDArray[np.floating], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n_quantiles, n_genes)``, NaN for genes that are missing throughout."""
    table = np.full((len(places), rows.shape[1]), np.nan)
    known = ~np.isnan(rows).all(axis=0)
    table[:, known] = np.nanquantile(rows[:, known].astype(np.float64), places, axis=0)
    return table
