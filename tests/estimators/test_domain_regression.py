"""Regression for a domain without values: shifts with known answers, and what every estimator promises."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from oligolearn import DomainAdaptedRegressor, SelfSupervisedEncoder, load_model, save_model
from oligolearn.data import ExpressionScaler
from oligolearn.estimators import CollapseWarning, NegativeTransferWarning
from oligolearn.estimators.adaptation_conclusion import conclude

# Networks that are hardly trained give all rows the same value, and are warned of.
pytestmark = pytest.mark.filterwarnings("ignore::oligolearn.estimators.NegativeTransferWarning")

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
    assert model.target_model_.module_.encoder.out_dim == 4
    assert model.adaptation_["pretrained"] == "swav"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "cada"}, "method 'cada' needs classes, not values"),
        ({"method": "cdan"}, "method 'cdan' needs classes, not values"),
        ({"method": "other"}, "unknown method 'other'; choose one of auto, linear, coral"),
        ({"method": "coral", "standardize": "together"}, "method 'coral' needs centred domains"),
        ({"method": "quantile", "standardize": "each"}, "'quantile' is a standardisation of its own"),
        ({"method": "select", "candidates": ["linear", "cada"]}, "method 'cada' needs classes, not values"),
        ({"method": "select", "candidates": []}, "candidates has no method"),
        ({"measure_shift": False}, "name method and standardize"),
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


@pytest.mark.parametrize("method", ["linear", "coral", "combat", "quantile", "dann"])
def test_what_is_saved_predicts_the_target_as_before(tmp_path: Path, method: str) -> None:
    X, y, domain, _ = platforms(7)
    model = DomainAdaptedRegressor(method, **QUICK).fit(X, y, domain)
    save_model(model, tmp_path / "model", features=[f"G{i}" for i in range(12)])
    saved = load_model(tmp_path / "model")
    assert np.array_equal(saved.model.predict(X[150:]), model.predict(X[150:]))
    assert saved.description["adaptation"]["method"] == method
    save_model(saved.model, tmp_path / "again", features=saved.description["features"])
    assert np.array_equal(load_model(tmp_path / "again").model.predict(X[150:]), model.predict(X[150:]))
    if method == "dann":
        assert np.array_equal(saved.model.embed(X[150:]), model.embed(X[150:]))
        return
    with pytest.raises(ValueError, match="has no encoder"):
        saved.model.embed(X)


def older(seed: int, shift: float, n: int = 200) -> Shift:
    """30 genes of which 10 tell a value; it is higher in the target, and the platform may differ."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=2 * n) + np.repeat([0.0, 1.0], n)
    X = rng.normal(size=(2 * n, 30))
    X[:, :10] += factor[:, None]
    X[n:] += shift * rng.normal(size=30)
    y = 50 + 10 * factor
    return X, np.append(y[:n], np.full(n, np.nan)), np.repeat([0, -1], n), y[n:]


@pytest.mark.parametrize(("shift", "wanted"), [(0.0, "together"), (4.0, "each")])
def test_auto_keeps_a_difference_in_the_values_where_the_platform_is_the_same(shift: float, wanted: str) -> None:
    for seed in range(3):
        X, y, domain, truth = older(seed, shift)
        model = DomainAdaptedRegressor().fit(X, y, domain)
        found = model.predict(X[200:])
        told = model.adaptation_
        assert told["standardize"] == wanted
        within = told["domain_auroc_within_values"]
        assert within > 0.95 if wanted == "each" else within < 0.65
        assert np.corrcoef(found, truth)[0, 1] > 0.85, "how samples differ is found either way"
        level = abs(found.mean() - truth.mean())
        assert level > 6 if wanted == "each" else level < 3, "and the level where the platform is the same"
        assert told["values"]["source_mean"] == pytest.approx(y[:200].mean())
        assert told["values"]["target_mean"] == pytest.approx(found.mean(), rel=1e-6)
        assert told["warnings"] == []


def test_what_cannot_be_known_is_said() -> None:
    X, y, domain, _ = older(0, 4.0)
    notes = " ".join(conclude(DomainAdaptedRegressor().fit(X, y, domain)))
    assert "among samples of like predicted values of" in notes
    assert "Trained: a ridge regression." in notes
    assert (
        "By how much the target's true mean differs cannot be known without values of it: the mean of the source"
        in notes
    )
    X, y, domain, _ = older(0, 0.0)
    notes = " ".join(conclude(DomainAdaptedRegressor().fit(X, y, domain)))
    assert "All samples were standardised together: among samples of like values the domains hardly differ." in notes
    assert "a shift between platforms would be taken for a difference in the values" in notes


def test_to_leave_a_platform_as_it_is_is_warned_of() -> None:
    X, y, domain, truth = platforms(8)
    with pytest.warns(NegativeTransferWarning, match=r"together may do harm: \d+% of its values lie outside .* ridge"):
        together = DomainAdaptedRegressor("linear", standardize="together").fit(X, y, domain)
    each = DomainAdaptedRegressor("linear").fit(X, y, domain)
    assert each.score(X[150:], truth) > together.score(X[150:], truth) + 0.5


def test_a_network_that_learned_nothing_is_warned_of() -> None:
    X, y, domain, _ = platforms(9)
    options = {**QUICK, "min_steps": 1, "learning_rate": 1e-9, "encoder_options": {"hidden": (8,), "dropout": 0.0}}
    with pytest.warns(NegativeTransferWarning, match="dann on genes standardised in each domain by itself may do harm"):
        DomainAdaptedRegressor("dann", **options).fit(X, y, domain)


@pytest.mark.parametrize("n", [1, 4])
def test_a_handful_of_target_rows_is_standardised_with_the_source_or_refused(n: int) -> None:
    X, y, domain, _ = older(1, 0.0)
    X, y, domain = X[: 200 + n], y[: 200 + n], domain[: 200 + n]
    model = DomainAdaptedRegressor().fit(X, y, domain)
    assert model.adaptation_["standardize"] == "together"
    notes = " ".join(conclude(model))
    assert f"The target has {n} samples, too few" in notes
    assert "standardised together: the target has few samples" in notes
    with pytest.raises(ValueError, match=f"a target has {n} rows, and at least 5 are needed"):
        DomainAdaptedRegressor("coral").fit(X, y, domain)


def test_a_target_whose_rows_are_all_alike_is_refused() -> None:
    X, y, domain, _ = older(2, 0.0)
    X[domain < 0] = X[-1]
    with pytest.raises(ValueError, match="are all alike: none of their 30 genes varies"):
        DomainAdaptedRegressor().fit(X, y, domain)


def test_a_method_is_chosen_without_values_of_the_target_and_the_choice_is_reproducible() -> None:
    X, y, domain, truth = platforms(10)
    options: dict[str, Any] = {"candidates": ["linear", "coral", "dann"], **QUICK}
    one, again = (DomainAdaptedRegressor("select", **options).fit(X, y, domain) for _ in range(2))
    assert one.adaptation_ == again.adaptation_
    table = {row["method"]: row for row in one.adaptation_["selection"]}
    assert one.adaptation_["method"] == "linear"
    assert table["linear"]["chosen"]
    assert table["dann"]["ruled_out"] == "behind linear in the source"
    assert table["linear"]["source_r2"] > 0.8 > table["dann"]["source_r2"]
    assert np.corrcoef(one.predict(X[150:]), truth)[0, 1] > 0.9
    assert sum("chosen" in line for line in conclude(one)[1:5]) == 1


def test_select_pretrains_its_networks() -> None:
    X, y, domain, _ = platforms(11)
    pretrained = SelfSupervisedEncoder(
        "autoencoder", encoder_options={"hidden": (8, 4)}, epochs=1, min_steps=4, device="cpu"
    )
    model = DomainAdaptedRegressor("select", pretrained, candidates=["source", "dann"], **QUICK).fit(X, y, domain)
    assert model.adaptation_["pretrained"] == "autoencoder"
    assert len(model.adaptation_["selection"]) == 2
