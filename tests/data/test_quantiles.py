"""Tables of quantiles: what they do to values inside, outside, tied and missing."""

import numpy as np
import pytest

from oligolearn.data import QuantileScaler


def test_values_at_the_quantiles_become_those_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    quantiles, reference = (np.sort(rng.normal(size=(4, 9)), axis=1) for _ in range(2))
    found = QuantileScaler(quantiles, reference).transform(quantiles.T)
    assert np.allclose(found, reference.T, atol=1e-6)


def test_a_mapping_to_itself_changes_nothing_and_order_is_kept() -> None:
    rng = np.random.default_rng(1)
    table, other = (np.sort(rng.normal(size=(3, 20)), axis=1).astype(np.float32) for _ in range(2))
    x = np.sort(rng.uniform(table.min(axis=1), table.max(axis=1), size=(50, 3)), axis=0).astype(np.float32)
    assert np.allclose(QuantileScaler(table, table).transform(x), x, atol=1e-6)
    assert np.all(np.diff(QuantileScaler(table, other).transform(x), axis=0) >= 0)


def test_tied_values_have_the_middle_of_their_quantiles() -> None:
    """Four samples in five have a count of 0: each stands for the quantile .4."""
    counts = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 9.0]])
    reference = np.linspace(-1, 1, 11)[None]
    scaler = QuantileScaler(counts, reference)
    assert scaler.transform([[0.0], [3.0], [9.0], [6.0]]).ravel() == pytest.approx([-0.2, 0.8, 1.0, 0.9], abs=1e-6)


def test_values_outside_take_the_extremes_and_missing_ones_the_mean() -> None:
    scaler = QuantileScaler(np.array([[0.0, 1.0], [np.nan, np.nan]]), np.array([[-2.0, 5.0], [-1.0, 1.0]]))
    assert scaler.transform([[-9.0, 3.0], [9.0, 3.0], [np.nan, np.nan]]).tolist() == [[-2, 0], [5, 0], [0, 0]]


def test_tables_and_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        QuantileScaler(np.zeros((2, 5)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="at least two quantiles"):
        QuantileScaler(np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="X has 3 genes, but the table has 2"):
        QuantileScaler(np.zeros((2, 5)), np.zeros((2, 5))).transform(np.zeros((1, 3)))
