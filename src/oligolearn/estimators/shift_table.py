"""By how much each gene differs between sources and target."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import kolmogorov
from scipy.stats import false_discovery_control

_BLOCK = 2048  # genes that are sorted at once


def tabulate_shift(
    values: NDArray[np.floating], domains: NDArray[np.integer], genes: list[str] | NDArray[np.str_]
) -> pd.DataFrame:
    """Table of how the values of each gene differ between the sources, taken together, and the target.

    Parameters
    ----------
    values
        As the model is given them, such as log2 CPM, not standardised; NaN where missing, ``(n_samples, n_genes)``.
    domains
        0 or more for sources, negative for targets, ``(n_samples,)``.
    genes
        Names, ``(n_genes,)``.

    Returns
    -------
    DataFrame
        Indexed by ``gene``, those that differ most first: ``mean_source``, ``mean_target``, ``sd_source``,
        ``sd_target``, with several sources ``mean_source_0``, ``sd_source_0`` and so on; ``standardised_difference``,
        of the means, target minus source, in root mean squares of the two deviations; ``variance_ratio``, target over
        source; ``ks``, the largest difference of the two distribution functions (Kolmogorov-Smirnov); ``p`` of that,
        from the limiting distribution, and ``q``, the false discovery rate (Benjamini-Hochberg). NaN where a side has
        fewer than two values, or a variance is 0.

    Raises
    ------
    ValueError
        If there is no row of a source, or none of a target.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 3))
    >>> x[100:, 1] += 2
    >>> table = tabulate_shift(x, np.repeat([0, -1], 100), ["A", "B", "C"])
    >>> table.index[0], bool(table.q["B"] < 1e-6), bool(table.q["A"] > 0.05)
    ('B', True, True)
    """
    sides = [values[domains >= 0], values[domains < 0]]
    if min(map(len, sides)) == 0:
        raise ValueError(
            f"a shift is between two sides: found {len(sides[0])} rows of sources and {len(sides[1])} of targets"
        )
    (mean, sd), (mean_target, sd_target) = (_moments(side) for side in sides)
    columns = {"mean_source": mean, "mean_target": mean_target, "sd_source": sd, "sd_target": sd_target}
    sources = np.unique(domains[domains >= 0])
    for domain in sources if len(sources) > 1 else []:
        columns[f"mean_source_{domain}"], columns[f"sd_source_{domain}"] = _moments(values[domains == domain])
    pooled = np.sqrt((sd**2 + sd_target**2) / 2)
    columns["standardised_difference"] = _ratio(mean_target - mean, pooled)
    columns["variance_ratio"] = _ratio(sd_target**2, sd**2)
    columns["ks"], columns["p"] = _kolmogorov_smirnov(*sides)
    columns["q"] = np.full(len(mean), np.nan)
    tested = np.isfinite(columns["p"])
    if tested.any():
        columns["q"][tested] = false_discovery_control(columns["p"][tested])
    table = pd.DataFrame(columns, index=pd.Index(genes, name="gene"))
    order = np.lexsort((-np.abs(np.nan_to_num(columns["standardised_difference"])), -np.nan_to_num(columns["ks"])))
    return table.iloc[order]


def _moments(rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (of a sample) of each gene; NaN where there are too few values."""
    known = ~np.isnan(rows)
    n = known.sum(axis=0)
    mean = _ratio(np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64), n.astype(np.float64))
    squares = np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.sqrt(_ratio(squares, (n - 1).astype(np.float64)))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _kolmogorov_smirnov(
    source: NDArray[np.floating], target: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Statistic and limiting p-value of each gene, ``(n_genes,)``."""
    n_genes = source.shape[1]
    statistic, p = np.full(n_genes, np.nan), np.full(n_genes, np.nan)
    for start in range(0, n_genes, _BLOCK):
        block = slice(start, start + _BLOCK)
        both = np.concatenate([source[:, block], target[:, block]])
        order = np.argsort(both, axis=0, kind="stable")  # NaN last
        both = np.take_along_axis(both, order, axis=0)
        known, is_target = ~np.isnan(both), order >= len(source)
        n_target = (known & is_target).sum(axis=0)
        n_source = known.sum(axis=0) - n_target
        steps = np.where(is_target, -_inverse(n_target), _inverse(n_source)) * known
        apart = np.abs(np.cumsum(steps, axis=0))
        # Between equal values the distribution functions have not yet taken their step.
        last = np.ones(both.shape, dtype=bool)
        last[:-1] = (both[1:] != both[:-1]) & known[:-1]
        tested = (n_source > 1) & (n_target > 1)
        found = np.where(last, apart, 0.0).max(axis=0).round(12)  # sums of steps
        size = np.sqrt(_inverse(_inverse(n_source) + _inverse(n_target)))
        statistic[block] = np.where(tested, found, np.nan)
        p[block] = np.where(tested, kolmogorov(size * found), np.nan)
    return statistic, p


def _inverse(n: NDArray[np.number]) -> NDArray[np.float64]:
    """One over n; 0 where n is 0."""
    return np.divide(1.0, n, out=np.zeros(len(n)), where=n > 0)
