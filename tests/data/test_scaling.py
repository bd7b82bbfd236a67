"""The scaler against NumPy, on the training rows alone."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from oligolearn.data import ExpressionScaler, top_variance_genes

Floats = NDArray[np.floating]


def matrix(n_rows: int = 700, n_genes: int = 9, *, missing: float = 0.1, seed: int = 0) -> Floats:
    """Genes of all scales and positions, some values missing; more rows than the scaler takes at a time."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, size=(n_rows, n_genes)) * np.geomspace(0.01, 1000, n_genes) + np.arange(n_genes)
    X[rng.random(X.shape) < missing] = np.nan
    return X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rows", [2, 256, 257, 700])
def test_equals_numpys_statistics(n_rows: int, dtype: type) -> None:
    X = matrix(n_rows, missing=0.1 if n_rows > 2 else 0.0).astype(dtype)
    scaler = ExpressionScaler(clip=None).fit(X)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(scaler.mean_, np.nanmean(wide, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.scale_, np.nanstd(wide, axis=0), rtol=1e-10)
    expected = np.nan_to_num((wide - np.nanmean(wide, axis=0)) / np.nanstd(wide, axis=0), nan=0.0)
    found = scaler.transform(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_the_training_rows_come_out_standardised() -> None:
    Z = ExpressionScaler(clip=None).fit_transform(matrix(missing=0.0)).astype(np.float64)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(Z.std(axis=0), 1, rtol=1e-6)


def test_a_large_offset_costs_no_accuracy() -> None:
    X = np.random.default_rng(0).normal(size=(400, 3)) + 1e5
    scaler = ExpressionScaler().fit(X)
    np.testing.assert_allclose(scaler.scale_, X.std(axis=0), rtol=1e-9)


def test_outliers_are_clipped_after_standardising() -> None:
    X = np.vstack([matrix(missing=0.0), np.full((1, 9), 1e9)])
    scaler = ExpressionScaler(clip=2.5).fit(X[:-1])
    Z = scaler.transform(X)
    assert (Z[-1] == 2.5).all()
    unclipped = ExpressionScaler(clip=None).fit(X[:-1]).transform(X)
    assert np.array_equal(Z, np.clip(unclipped, -2.5, 2.5))
    assert np.abs(ExpressionScaler().fit(X[:-1]).transform(X)).max() == 10


def test_missing_values_become_the_training_mean() -> None:
    X = matrix()
    scaler = ExpressionScaler().fit(X)
    new = matrix(5, missing=0.0, seed=1)
    holes = new.copy()
    holes[:, 3] = np.nan
    new[:, 3] = scaler.mean_[3]
    assert np.array_equal(scaler.transform(holes), scaler.transform(new))
    assert (scaler.transform(holes)[:, 3] == 0).all()


def test_constant_and_empty_genes_become_zero_whatever_comes_later() -> None:
    X = matrix(missing=0.0)
    X[:, 2] = 0.1 + 0.2  # its mean differs from it by rounding
    X[:, 5] = np.nan
    X[:, 7] = 1e7
    scaler = ExpressionScaler().fit(X)
    assert (scaler.scale_[[2, 5, 7]] == 0).all()
    assert (scaler.scale_[[0, 1, 3, 4, 6, 8]] > 0).all()
    assert (scaler.transform(matrix(20, seed=4))[:, [2, 5, 7]] == 0).all()


def test_one_row_is_transformed_like_many() -> None:
    X = matrix()
    scaler = ExpressionScaler().fit(X)
    whole = scaler.transform(X)
    assert all(np.array_equal(scaler.transform(X[i : i + 1])[0], whole[i]) for i in (0, 255, 256, 699))


def test_rows_outside_the_training_change_nothing() -> None:
    X = matrix()
    train = np.arange(0, 700, 2)
    spoiled = X.copy()
    spoiled[1::2] *= 1000
    first, second = ExpressionScaler().fit(X[train]), ExpressionScaler().fit(spoiled[train])
    assert np.array_equal(first.mean_, second.mean_)
    assert np.array_equal(first.scale_, second.scale_)
    assert not np.array_equal(first.mean_, ExpressionScaler().fit(spoiled).mean_)


def test_the_input_is_left_as_it_is() -> None:
    for dtype in (np.float32, np.float64):
        X = matrix().astype(dtype)
        before = X.copy()
        ExpressionScaler().fit(X).transform(X)
        np.testing.assert_array_equal(X, before)


def test_statistics_survive_json_to_the_last_digit() -> None:
    scaler = ExpressionScaler(clip=3.0).fit(matrix())
    back = ExpressionScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert np.array_equal(back.mean_, scaler.mean_)
    assert np.array_equal(back.scale_, scaler.scale_)
    assert np.array_equal(back.transform(matrix(seed=2)), scaler.transform(matrix(seed=2)))
    assert clone(back).get_params() == {"clip": 3.0}


def test_infinite_values_and_other_genes_are_refused() -> None:
    X = matrix()
    scaler = ExpressionScaler().fit(X)
    with pytest.raises(ValueError, match="9 features"):
        scaler.transform(X[:, :8])
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        scaler.transform(X)


def test_top_genes_are_those_of_largest_variance_in_their_order() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 40)) * rng.permutation(np.linspace(1, 9, 40))
    expected = np.sort(np.argsort(X.var(axis=0))[-7:])
    assert top_variance_genes(X, 7).tolist() == expected.tolist()
    assert top_variance_genes(X, 99).tolist() == list(range(40))


def test_top_genes_ignore_missing_values_and_break_ties_by_position() -> None:
    X = np.tile([[0.0], [1.0], [0.0], [1.0]], (1, 6))
    assert top_variance_genes(X, 3).tolist() == [0, 1, 2]
    X[:, 4] *= 5
    X[2:, 4] = np.nan
    X[:, 0] = np.nan  # missing in all training rows: says nothing
    assert top_variance_genes(X, 2).tolist() == [1, 4]


def test_top_genes_are_those_of_the_training_rows() -> None:
    X = np.random.default_rng(0).normal(size=(40, 30)) * np.arange(1, 31)
    spoiled = X.copy()
    spoiled[30:] = np.random.default_rng(1).normal(size=(10, 30)) * 1000
    assert np.array_equal(top_variance_genes(X[:30], 5), top_variance_genes(spoiled[:30], 5))
    assert not np.array_equal(top_variance_genes(X, 5), top_variance_genes(spoiled, 5))


def test_fewer_than_two_genes_are_refused() -> None:
    with pytest.raises(ValueError, match="top_genes must be at least 2, found 1"):
        top_variance_genes(matrix(), 1)
