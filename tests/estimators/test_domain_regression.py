"""Regression for a domain without values: shifts with known answers, and what every estimator promises."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from oligolearn import DomainAdaptedRegressor, SelfSupervisedEncoder
from oligolearn.data import ExpressionScaler
from oligolearn.estimators import CollapseWarning

SMALL: dict[str, Any] = {"encoder_options": {"hidden": (32, 16)}, "device": "cpu", "precision": "32"}
QUICK: dict[str, Any] = {"random_state": 0, "min_steps": 30, "epochs": 1, **SMALL}
LINEAR = ("linear", "coral", "optimal-transport", "combat", "quantile")
NETWORKS = ("source", "dann", "deep-coral", "dan", "wdgrl")
Shift = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64], NDArray[np.floating]]


@parametrize_with_checks(
    [DomainAdaptedRegressor(), DomainAdaptedRegressor("dann", min_steps=200, epochs=2, random_state=0, **SMALL)]
)
def test_is_a_scikit_learn_estimator(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="there are no rows of a target")
        check(estimator)


def platforms(seed: int, n: int = 150) -> Shift:
    """A value that six genes of twelve tell; the target is on another platform, and its values are hidden."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=2 * n)
    X = rng.normal(size=(2 * n, 12))
    X[:, :6] += 1.5 * factor[:, None]
    X[n:] = X[n:] * rng.uniform(0.5, 3, 12) + rng.normal(6, 4, 12)
    y = 70 + 20 * factor
    return X, np.append(y[:n], np.full(n, np.nan)), np.repeat([0, -1], n), y[n:]


@pytest.mark.parametrize("method", [*LINEAR, *NETWORKS])
def test_values_are_found_on_another_platform(method: str) -> None:
    X, y, domain, truth = platforms(0)
    raw = RidgeCV().fit(X[:150], y[:150]).score(X[150:], truth)
    model = DomainAdaptedRegressor(method, random_state=0, min_steps=250, **SMALL).fit(X, y, domain)
    found = model.predict(X[150:])
    assert raw < 0
    assert 1 - np.var(found - truth) / np.var(truth) > 0.75
    assert np.corrcoef(model.predict(X[:150], domain[:150]), y[:150])[0, 1] > 0.9
    assert model.adaptation_["standardize"] == (method if method in ("combat", "quantile") else "each")


def test_ridge_is_that_of_standardised_rows() -> None:
    X, y, domain, _ = platforms(1)
    found = DomainAdaptedRegressor().fit(X, y, domain).predict(X[150:])
    own, other = (ExpressionScaler().fit_transform(part) for part in (X[:150], X[150:]))
    wanted = RidgeCV([10.0**power for power in range(-1, 7)]).fit(own, (y[:150] - y[:150].mean()) / y[:150].std())
    assert np.allclose(found, y[:150].mean() + y[:150].std() * wanted.predict(other), atol=1e-3)


@pytest.mark.parametrize("method", ["coral", "dann"])
def test_the_unit_of_the_values_does_not_matter(method: str) -> None:
    X, y, domain, _ = platforms(2)
    one = DomainAdaptedRegressor(method, **QUICK).fit(X, y, domain).predict(X)
    other = DomainAdaptedRegressor(method, **QUICK).fit(X, 1000 * y - 5, domain).predict(X)
    assert np.allclose(1000 * one - 5, other, rtol=1e-3)


@pytest.mark.parametrize("method", ["linear", "dann", "dan"])
def test_hidden_values_of_the_target_cannot_matter_and_shown_ones_do(method: str) -> None:
    X, y, domain, truth = platforms(3)
    hidden = DomainAdaptedRegressor(method, **QUICK).fit(X, y, domain).predict(X)
    assert np.array_equal(hidden, DomainAdaptedRegressor(method, **QUICK).fit(X, y).predict(X)), "NaN is the target"
    y[-20:] = -truth[-20:]
    assert not np.allclose(hidden, DomainAdaptedRegressor(method, **QUICK).fit(X, y, domain).predict(X), rtol=1e-3)


def test_several_sources_and_a_pretrained_encoder() -> None:
    X, y, domain, truth = platforms(4)
    domain[:60] = 2
    X[:60] = 9 - 3 * X[:60]
    X[:60] *= -1
    model = DomainAdaptedRegressor("dann", random_state=0, min_steps=250, **SMALL).fit(X, y, domain)
    assert np.corrcoef(model.predict(X[150:]), truth)[0, 1] > 0.85
    pretrained = SelfSupervisedEncoder(encoder_options={"hidden": (8, 4)}, epochs=1, min_steps=4, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = DomainAdaptedRegressor("dann", pretrained, **QUICK).fit(X, y, domain)
    assert model.target_model_.encoder.out_dim == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "cada"}, "method 'cada' needs classes, not values"),
        ({"method": "cdan"}, "method 'cdan' needs classes, not values"),
        ({"method": "other"}, "unknown method 'other'; choose one of linear, coral"),
        ({"method": "coral", "standardize": "together"}, "method 'coral' needs standardize='each'"),
        ({"method": "quantile", "standardize": "each"}, "method 'quantile' needs standardize='quantile'"),
        ({"method": "linear", "method_options": {"weight": 1}}, "has no options"),
        ({"pretrained": "folder"}, "pretrained is for networks"),
    ],
)
def test_what_cannot_be_used_is_refused(settings: dict[str, Any], message: str) -> None:
    X, y, domain, _ = platforms(5)
    with pytest.raises(ValueError, match=message):
        DomainAdaptedRegressor(**settings).fit(X, y, domain)


def test_values_and_domains_that_cannot_be_used_are_refused() -> None:
    X, y, domain, _ = platforms(6)
    for values, domains, message in (
        (np.where(np.isnan(y), np.inf, y), domain, "contains infinity"),
        (y, -1 - domain, "no row of a source has a label"),
        (y[:-1], domain, "as many rows"),
    ):
        with pytest.raises(ValueError, match=message):
            DomainAdaptedRegressor().fit(X, values, domains)
