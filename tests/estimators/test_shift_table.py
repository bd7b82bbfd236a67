"""The table of genes by their shift, against SciPy gene by gene."""

import time

import numpy as np
import pytest
from scipy.special import kolmogorov
from scipy.stats import false_discovery_control, ks_2samp

from oligolearn.estimators import tabulate_shift


@pytest.fixture
def two_sides():
    """90 samples of 30 genes with ties and missing values, the first five genes shifted."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(90, 30)), 1)
    x[50:, :5] += 1.5
    x[:, 6] *= np.where(np.arange(90) < 50, 1, 3)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, np.repeat([0, 2, -1], [30, 20, 40])


def test_every_column_is_what_scipy_and_numpy_say_of_each_gene(two_sides):
    x, domains = two_sides
    table = tabulate_shift(x, domains, [f"G{i}" for i in range(30)])
    p = {}
    for i in range(30):
        row = table.loc[f"G{i}"]
        source, target = (side[~np.isnan(side)] for side in (x[:50, i], x[50:, i]))
        found = ks_2samp(source, target, method="asymp")
        assert row.ks == pytest.approx(found.statistic)
        p[f"G{i}"] = kolmogorov(found.statistic * np.sqrt(len(source) * len(target) / (len(source) + len(target))))
        assert row.p == pytest.approx(p[f"G{i}"])
        assert row.p == pytest.approx(found.pvalue, abs=0.1), "SciPy's is of a finite sample"
        assert row.mean_source == pytest.approx(source.mean())
        assert row.sd_target == pytest.approx(target.std(ddof=1))
        pooled = np.sqrt((source.var(ddof=1) + target.var(ddof=1)) / 2)
        assert row.standardised_difference == pytest.approx((target.mean() - source.mean()) / pooled)
        assert row.variance_ratio == pytest.approx(target.var(ddof=1) / source.var(ddof=1))
        assert row.mean_source_2 == pytest.approx(np.nanmean(x[30:50, i]))
        assert row.sd_source_0 == pytest.approx(np.nanstd(x[:30, i], ddof=1))
    q = dict(zip(p, false_discovery_control(list(p.values())), strict=True))
    assert table.q.to_dict() == pytest.approx(q)
    assert table.ks.is_monotonic_decreasing
    assert {"G0", "G1", "G2", "G3", "G4"} == set(table.standardised_difference.nlargest(5).index)


def test_sides_can_be_swapped_and_units_do_not_matter(two_sides):
    x, domains = two_sides
    genes = [f"G{i}" for i in range(30)]
    one, other = tabulate_shift(x, domains, genes), tabulate_shift(7 * x - 3, -1 - np.minimum(domains, 0), genes)
    other = other.loc[one.index]
    assert np.allclose(one.ks, other.ks)
    assert np.allclose(one.standardised_difference, -other.standardised_difference)
    assert np.allclose(one.variance_ratio * other.variance_ratio, 1)


def test_genes_that_are_constant_or_missing_are_not_tested():
    x = np.random.default_rng(0).normal(size=(40, 4))
    x[:, 1] = 5
    x[20:, 2] = np.nan
    table = tabulate_shift(x, np.repeat([0, -1], 20), list("ABCD"))
    assert np.isnan(table.standardised_difference["B"])
    assert table.ks["B"] == 0
    assert table.p["B"] == 1
    assert table.loc["C", ["ks", "p", "q", "mean_target"]].isna().all()
    assert table.q[["A", "B", "D"]].notna().all()
    with pytest.raises(ValueError, match="found 40 rows of sources and 0 of targets"):
        tabulate_shift(x, np.zeros(40, dtype=int), list("ABCD"))


def test_20000_genes_take_seconds():
    x = np.random.default_rng(0).normal(size=(200, 20_000)).astype(np.float32)
    start = time.perf_counter()
    table = tabulate_shift(x, np.repeat([0, -1], 100), [f"G{i}" for i in range(20_000)])
    assert time.perf_counter() - start < 30
    assert (table.q < 0.05).sum() <= 3, "there is no shift"
