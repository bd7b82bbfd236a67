"""The shift of a regression is measured, and harm is warned of where it comes."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from oligolearn.estimators import find_value_harm, study_value_shift
from oligolearn.estimators.domain_training import DomainRows
from oligolearn.estimators.value_models import Unit
from oligolearn.estimators.value_shift import (
    describe_source,
    describe_values,
    explained,
    go_back_by_values,
    look_back_on_values,
)


def rows_of(seed: int = 0, n: int = 120, shift: float = 3.0) -> tuple[DomainRows, np.ndarray]:
    """Standardised values that 6 of 20 genes tell, another platform, and those of the target."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=2 * n)
    X = rng.normal(size=(2 * n, 20))
    X[:, :6] += y[:, None]
    X[n:] += shift * rng.normal(size=20)
    shown = np.where(np.arange(2 * n) < n, y, np.nan).astype(np.float32)
    return DomainRows(X, shown, np.repeat([0, -1], n)), y[n:]


def test_the_way_back_is_a_ridge_regression_of_the_target() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(40, 5)), rng.normal(size=(50, 5))
    values, found = rng.normal(size=40), rng.normal(size=50)
    there = RidgeCV([10.0**power for power in range(-1, 7)]).fit(target, found).predict(source)
    assert np.allclose(go_back_by_values(source, values, target, found), (values - there) ** 2)
    assert np.allclose(go_back_by_values(source, values, target, np.full(50, 2.0)), (values - 2) ** 2), "one value"
    assert explained((values - values.mean()) ** 2, values) == pytest.approx(0)


def test_a_linear_function_loses_nothing_on_the_way_back_however_far_the_platform() -> None:
    """Which is why reverse validation does not choose how to standardise."""
    rows, truth = rows_of(shift=0.0)
    moved = rows._replace(values=rows.values + 50 * rows.is_target[:, None])
    of_source = RidgeCV().fit(rows.values[:120], rows.labels[:120])
    found = of_source.predict(moved.values[120:])
    assert np.abs(found - truth).mean() > 10
    errors = go_back_by_values(moved.values[:120], rows.labels[:120], moved.values[120:], found)
    assert explained(errors, rows.labels[:120]) > 0.8


def test_what_is_explained_in_the_source_is_that_of_rows_left_out_one_by_one() -> None:
    rows, _ = rows_of(n=40)
    study = study_value_shift(rows)
    assert study is not None
    x, y = study.rows[:40], study.values
    left = [np.arange(40) != i for i in range(40)]
    errors = [
        np.mean([(RidgeCV([strength]).fit(x[kept], y[kept]).predict(x[~kept])[0] - y[~kept][0]) ** 2 for kept in left])
        for strength in (10.0**power for power in range(-1, 7))
    ]
    assert study.facts["source_r2"] == pytest.approx(1 - min(errors) / np.var(y))
    assert describe_source({"source_r2": 0.456}).startswith("In the source itself ridge regression explains 46% of")
    assert "next to nothing to transfer" in describe_source({"source_r2": -0.2})


def test_each_reason_to_fear_harm_comes_alone() -> None:
    rows, truth = rows_of()
    study = study_value_shift(rows)
    assert study is not None
    assert study.how == "each"
    assert find_value_harm(study, study.found) == []
    assert find_value_harm(study, truth) == [], "noise is no harm"
    (flat,) = find_value_harm(study, 0.01 * study.found)[:1]
    assert flat == "it gives all of the target nearly the same value"
    (outside,) = find_value_harm(study, study.found + 3)[:1]
    share = np.mean(study.found + 3 > study.values.max())
    assert outside.startswith(f"{share:.0%} of its values lie outside of those of the sources (of ridge regression on")
    (back,) = find_value_harm(study, study.found[::-1].copy())
    assert back.startswith("a regression on the target with its values explains ")
    assert back.endswith(f"standardised in each domain by itself {explained(study.errors, study.values):.0%}")


def test_nothing_is_measured_where_there_is_nothing_to_measure() -> None:
    rows, _ = rows_of()
    assert study_value_shift(rows._replace(domains=np.zeros(240, dtype=np.int64))) is None
    constant = np.where(np.isnan(rows.labels), np.float32(np.nan), np.float32(0))
    assert study_value_shift(rows._replace(labels=constant)) is None


def test_what_came_of_it_is_told_in_the_unit_of_the_values() -> None:
    rows, truth = rows_of()
    study = study_value_shift(rows)
    assert study is not None
    told = look_back_on_values(study, truth, study.rows, Unit(100.0, 20.0))
    values = told["values"]
    assert values["target_mean"] == pytest.approx(100 + 20 * truth.mean())
    assert values["source_highest"] == pytest.approx(100 + 20 * np.nanmax(rows.labels))
    assert values["target_outside"] == np.mean((truth > np.nanmax(rows.labels)) | (truth < np.nanmin(rows.labels)))
    assert told["domain_auroc_after"] < 0.6, "each platform was standardised by itself"
    sentence = describe_values(values, together=False)
    assert f"mean {values['target_mean']:.4g} and standard deviation {values['target_sd']:.3g}" in sentence
    assert "outside of that range" not in sentence
    assert "50% lie outside of that range" in describe_values({**values, "target_outside": 0.5}, together=True)
