"""Classifiers for a domain without labels: toy shifts with known answers, and what every estimator promises."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import make_moons
from sklearn.utils.estimator_checks import parametrize_with_checks

from oligolearn import DomainAdaptedClassifier, SelfSupervisedEncoder, load_model, save_model
from oligolearn.estimators import CollapseWarning

# Networks that are hardly trained name rows at random, and are warned of; test_transfer_safety.py looks at warnings.
pytestmark = pytest.mark.filterwarnings("ignore::oligolearn.estimators.NegativeTransferWarning")

SMALL: dict[str, Any] = {"encoder_options": {"hidden": (32, 32)}, "device": "cpu", "precision": "32"}
METHODS = (
    "auto",
    "linear",
    "coral",
    "optimal-transport",
    "combat",
    "quantile",
    "source",
    "dann",
    "cdan",
    "deep-coral",
    "dan",
    "wdgrl",
    "cada",
)
Shift = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64], NDArray[np.floating]]


@parametrize_with_checks(
    [
        DomainAdaptedClassifier(),
        DomainAdaptedClassifier("dann", min_steps=200, epochs=2, random_state=0, **SMALL),
        DomainAdaptedClassifier("cada", min_steps=150, epochs=1, random_state=0, **SMALL),
    ]
)
def test_is_a_scikit_learn_estimator(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="there are no rows of a target")
        check(estimator)


def moons(seed: int, angle: float = 35.0) -> Shift:
    """Two moons, and as many that are rotated: X, y with the target hidden, domains, the target's labels."""
    (xs, ys), (xt, yt) = (make_moons(300, noise=0.1, random_state=seed + k) for k in (0, 1000))
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    middle = np.array([0.5, 0.25])
    xt = (xt - middle) @ np.array([[c, -s], [s, c]]).T + middle
    return np.vstack([xs, xt]), np.append(ys, np.full(300, np.nan)), np.repeat([0, -1], 300), yt


def gaussians(seed: int, share: float = 0.9) -> Shift:
    """No shift but of the mix of classes: half and half in the source, `share` of one class in the target."""
    rng = np.random.default_rng(seed)
    y = np.append(rng.random(300) < 0.5, rng.random(300) < share).astype(float)
    X = rng.normal(size=(600, 10))
    X[:, 0] += 3 * y
    return X, np.append(y[:300], np.full(300, np.nan)), np.repeat([0, -1], 300), y[300:]


def accuracy(method: str, data: Shift, seed: int, **options: Any) -> float:
    X, y, domain, truth = data
    options = {"standardize": "together", "min_steps": 800, "learning_rate": 3e-3, **SMALL, **options}
    model = DomainAdaptedClassifier(method, random_state=seed, **options).fit(X, y, domain)
    return float(np.mean(model.predict(X[domain < 0]) == truth))


def over_seeds(method: str, make: Any, n: int = 10, **options: Any) -> float:
    return float(np.mean([accuracy(method, make(seed), seed, **options) for seed in range(n)]))


@pytest.mark.slow
def test_rotated_moons_are_followed() -> None:
    """10 seeds: no adaptation gets .77 right; adversarial training and consensus 8 points more at the least."""
    source = over_seeds("source", moons)
    assert 0.7 < source < 0.85
    for method in ("dann", "cada"):
        assert over_seeds(method, moons) > source + 0.08, method


@pytest.mark.slow
def test_adaptation_hurts_where_only_the_mix_of_classes_differs() -> None:
    source = over_seeds("source", gaussians, 5)
    assert source > 0.85
    assert over_seeds("dann", gaussians, 5) < source - 0.05
    assert over_seeds("source", gaussians, 5, standardize="each") < source - 0.05, "and so does standardising"


@pytest.mark.slow
def test_consensus_with_both_labels_inverted_works_in_small_steps() -> None:
    source = over_seeds("source", moons, 4)
    options = {"method_options": {"convention": "both-inverted"}}
    assert over_seeds("cada", moons, 4, consensus_rate=0.03, **options) > source + 0.03
    assert over_seeds("cada", moons, 4, consensus_rate=1.0, **options) < source, "in large ones classes get lost"


@pytest.mark.parametrize("method", [method for method in METHODS if method != "combat"])  # whose scales are shrunken
def test_units_of_each_domain_do_not_matter_when_each_is_standardised(method: str) -> None:
    X, y, domain, _ = moons(0)
    scaled = X.copy()
    scaled[domain < 0] = 100 * scaled[domain < 0] - 7
    how = "auto" if method == "quantile" else "each"
    options = {"standardize": how, "random_state": 0, "min_steps": 30, "epochs": 1, **SMALL}
    one = DomainAdaptedClassifier(method, **options).fit(X, y, domain)
    other = DomainAdaptedClassifier(method, **options).fit(scaled, y, domain)
    assert np.allclose(one.predict_proba(X[:300], domain[:300]), other.predict_proba(X[:300], domain[:300]), atol=1e-3)
    assert np.allclose(one.predict_proba(X[300:]), other.predict_proba(scaled[300:]), atol=1e-3)
    assert not np.allclose(one.predict_proba(X[300:]), one.predict_proba(X[300:], domain[:300]), atol=1e-3)


def with_few_labels(data: Shift, seed: int, n: int = 3) -> Shift:
    """Show the labels of `n` target rows of each class."""
    X, y, domain, truth = data
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(truth == number), n, replace=False) for number in (0, 1)])
    y[np.flatnonzero(domain < 0)[rows]] = truth[rows]
    return X, y, domain, truth


@pytest.mark.slow
def test_few_labels_of_the_target_tell_which_moon_is_which() -> None:
    """Turned by 50 degrees, three labels for each moon; ten seeds: docs/methods/adaptation.md."""

    def shown(seed: int) -> Shift:
        return with_few_labels(moons(seed, 50.0), seed)

    few, none = (over_seeds(method, shown, 2, min_steps=500) for method in ("f-cada", "cada"))
    assert few > none + 0.05


def test_what_few_labels_teach_is_the_targets_alone_and_is_saved(tmp_path: Path) -> None:
    X, y, domain, _ = with_few_labels(moons(0, 50.0), 0)
    options = {"random_state": 0, "min_steps": 60, "epochs": 1, **SMALL}
    few, none = (DomainAdaptedClassifier(method, **options).fit(X, y, domain) for method in ("f-cada", "cada"))
    assert not np.allclose(few.predict_proba(X[300:]), none.predict_proba(X[300:]), atol=0.01)
    encoders = [model.source_model_.module_.encoder.state_dict() for model in (few, none)]
    assert all(torch.equal(one, other) for one, other in zip(*(e.values() for e in encoders), strict=True))
    assert len(few.target_model_.history_.losses) > len(none.target_model_.history_.losses)
    save_model(few, tmp_path / "model", features=["a", "b"])
    assert np.array_equal(load_model(tmp_path / "model").model.predict_proba(X), few.predict_proba(X))


@pytest.mark.parametrize("method", METHODS)
def test_hidden_labels_of_the_target_cannot_matter_and_shown_ones_do(method: str) -> None:
    X, y, domain, truth = moons(1)
    options = {"random_state": 0, "min_steps": 30, "epochs": 1, "class_weight": None, **SMALL}
    hidden = DomainAdaptedClassifier(method, **options).fit(X, y, domain)
    again = DomainAdaptedClassifier(method, **options).fit(X, y)  # rows without labels are the target
    assert np.array_equal(hidden.predict_proba(X), again.predict_proba(X))
    y[-20:] = truth[-20:]
    shown = DomainAdaptedClassifier(method, **options).fit(X, y, domain)
    assert shown.adaptation_["n_target_labelled"] == 20
    assert np.allclose(hidden.predict_proba(X), shown.predict_proba(X)) == (method in {"source", "cada"})


def mixes(seed: int, share: float, shift: float) -> Shift:
    """30 genes of which 10 tell the classes; the target has another mix of these and, maybe, another platform."""
    rng = np.random.default_rng(seed)
    y = np.append(rng.random(150) < 0.5, rng.random(150) < share).astype(float)
    X = rng.normal(size=(300, 30))
    X[:, :10] += 1.2 * y[:, None]
    X[150:] += shift * rng.normal(size=30)
    return X, np.append(y[:150], np.full(150, np.nan)), np.repeat([0, -1], 150), y[150:]


def test_auto_standardises_each_platform_by_itself_and_mixes_of_classes_together() -> None:
    for seed in range(3):
        for share, shift, wanted in ((0.5, 4.0, "each"), (0.9, 0.0, "together")):
            X, y, domain, truth = mixes(seed, share, shift)
            model = DomainAdaptedClassifier(random_state=seed, device="cpu").fit(X, y, domain)
            assert model.adaptation_["standardize"] == wanted
            within = model.adaptation_["domain_auroc_within_classes"]
            assert within > 0.95 if wanted == "each" else within < 0.65
            right = np.mean(model.predict(X[150:]) == truth)
            other = {"each": "together", "together": "each"}[wanted]
            worse = DomainAdaptedClassifier("linear", standardize=other, random_state=seed).fit(X, y, domain)
            assert right > max(0.85, np.mean(worse.predict(X[150:]) == truth))


def test_several_sources_are_standardised_and_told_apart() -> None:
    X, y, domain, truth = moons(2)
    domain[:150] = 3
    X[domain == 3] = 50 + 10 * X[domain == 3]
    model = DomainAdaptedClassifier("dann", random_state=0, min_steps=400, **SMALL).fit(X, y, domain)
    assert model.adaptation_["source_domains"] == [0, 3]
    assert np.mean(model.predict(X[domain == 3], domain[domain == 3]) == y[domain == 3]) > 0.9
    assert np.mean(model.predict(X[domain < 0]) == truth) > 0.7


@pytest.mark.parametrize("method", ["auto", "linear", "coral", "combat", "quantile", "dann", "cada"])
def test_what_is_saved_predicts_the_target_as_before(tmp_path: Path, method: str) -> None:
    X, y, domain, _ = moons(3)
    model = DomainAdaptedClassifier(method, random_state=0, min_steps=30, epochs=1, **SMALL).fit(X, y, domain)
    save_model(model, tmp_path / "model", features=["a", "b"])
    loaded = load_model(tmp_path / "model")
    assert np.array_equal(loaded.model.predict_proba(X[300:]), model.predict_proba(X[300:]))
    assert loaded.description["adaptation"]["method"] == ("linear" if method == "auto" else method)
    if method not in ("dann", "cada"):
        with pytest.raises(ValueError, match="has no encoder"):
            loaded.model.embed(X)
    else:
        assert np.array_equal(loaded.model.embed(X[300:]), model.embed(X[300:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"method": "other"},
            "unknown method 'other'; choose one of auto, linear, coral, optimal-transport, combat, quantile, source, ",
        ),
        ({"standardize": "none"}, "each, together or auto"),
        ({"method": "f-cada"}, "learns from a few labels of the target, found none.*or choose 'cada'"),
        ({"method": "combat", "standardize": "each"}, "'combat' is a standardisation of its own"),
        ({"method": "coral", "standardize": "quantile"}, "needs centred domains"),
        ({"pretrained": "a-folder"}, "method 'linear' trains none: choose one, such as dann"),
        ({"domain": np.repeat(-1, 600)}, "no row of a source has a label"),
        ({"domain": np.repeat(0.5, 600)}, "whole numbers"),
        ({"domain": np.repeat(0, 5)}, "whole numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(change: dict[str, Any], message: str) -> None:
    X, y, domain, _ = moons(4)
    domain = change.pop("domain", domain)
    with pytest.raises(ValueError, match=message):
        DomainAdaptedClassifier(min_steps=5, epochs=1, **{**SMALL, **change}).fit(X, y, domain)


def test_rows_of_unknown_domains_and_of_which_of_two_targets_are_refused() -> None:
    X, y, domain, _ = moons(5)
    options = {"random_state": 0, "min_steps": 5, "epochs": 1, **SMALL}
    model = DomainAdaptedClassifier(**options).fit(X, y, domain)
    with pytest.raises(ValueError, match="has 7, of which no row was seen"):
        model.predict(X, np.repeat(7, 600))
    domain[-100:] = -2
    model = DomainAdaptedClassifier(**options).fit(X, y, domain)
    with pytest.raises(ValueError, match="several targets, -2, -1"):
        model.predict(X[-5:])
    assert len(model.predict(X[-5:], domain[-5:])) == 5
    with pytest.raises(ValueError, match="knows 2 targets, and one is kept when it is saved"):
        model.to_bundle()


def test_candidates_are_compared_with_the_encoder_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, domain, _ = moons(5)
    encoder = SelfSupervisedEncoder(epochs=1, min_steps=1, encoder_options={"hidden": (8,)}, random_state=0).fit(X)
    options = {"random_state": 0, "min_steps": 5, "epochs": 1, "candidates": ["source", "dann"], **SMALL}
    options.pop("encoder_options", None)
    monkeypatch.setattr(SelfSupervisedEncoder, "fit", lambda *_, **__: pytest.fail("pretrained again"))
    model = DomainAdaptedClassifier("select", pretrained=encoder, **options).fit(X, y, domain)
    assert {row["method"] for row in model.adaptation_["selection"]} >= {"source", "dann"}


@pytest.mark.parametrize("method", ["linear", "dann"])
def test_weights_of_classes_go_by_their_names(method: str) -> None:
    X, y, domain, _ = moons(6)
    names = np.where(np.isnan(y), None, np.where(y == 1, "sick", "well"))
    options = {"random_state": 0, "min_steps": 60, "epochs": 1, "standardize": "each", **SMALL}
    sick = [
        np.mean(
            DomainAdaptedClassifier(method, class_weight=weight, **options).fit(X, names, domain).predict(X) == "sick"
        )
        for weight in ({"well": 20.0}, None, {"sick": 20.0})
    ]
    assert sick[0] < sick[1] < sick[2]


def correlated(seed: int) -> Shift:
    """The class lies along a direction in which the source hardly varies otherwise, and the target does."""
    rng = np.random.default_rng(seed)
    y = np.append(rng.random(300) < 0.5, rng.random(300) < 0.5).astype(float)
    X = rng.normal(size=(600, 4))
    X[:, 0] += 3 * y
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    X[300:] = X[300:] @ (np.diag([1.0, 1.0, 1.0, 1.0]) + 0.6 * turn)
    return X, np.append(y[:300], np.full(300, np.nan)), np.repeat([0, -1], 300), y[300:]


def test_maps_need_centred_domains_and_map_rows_of_sources_back() -> None:
    X, y, domain, _ = correlated(0)
    with pytest.raises(ValueError, match="needs centred domains"):
        DomainAdaptedClassifier("coral", standardize="together").fit(X, y, domain)
    for method in ("coral", "optimal-transport"):
        model = DomainAdaptedClassifier(method).fit(X, y, domain)
        assert model.adaptation_["standardize"] == "each"
        assert np.mean(model.predict(X[:300], domain[:300]) == y[:300]) > 0.88


@pytest.mark.parametrize("method", ["dann", "f-cada"])
def test_an_encoder_is_pretrained_on_both_domains_as_they_are_standardised(method: str) -> None:
    X, y, domain, _ = with_few_labels(correlated(2), 0)
    scaled = X.copy()
    scaled[domain < 0] = 100 * scaled[domain < 0] - 7
    pretrained = SelfSupervisedEncoder(encoder_options={"hidden": (8, 4)}, epochs=1, min_steps=4, device="cpu")
    options = {"standardize": "each", "random_state": 0, "min_steps": 3, "epochs": 1, **SMALL}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        one, other = (
            DomainAdaptedClassifier(method, pretrained, **options).fit(rows, y, domain) for rows in (X, scaled)
        )
    assert one.adaptation_["pretrained"] == "swav"
    assert one.embed(X[300:]).shape == (300, 4), "the network is the pretrained one's"
    assert not hasattr(pretrained, "encoder_"), "and what was passed is left as it is"
    assert np.allclose(one.predict_proba(X[300:]), other.predict_proba(scaled[300:]), atol=1e-3)


def skewed(seed: int, n_genes: int = 12) -> Shift:
    """The target's genes are those of the source on another, bent scale; its class mix is the same."""
    rng = np.random.default_rng(seed)
    y = (rng.random(400) < 0.5).astype(float)
    X = rng.normal(size=(400, n_genes))
    X[:, :4] += 1.2 * y[:, None]
    X[200:] = np.exp(1.5 * X[200:]) * rng.uniform(0.5, 20, n_genes)
    return X, np.append(y[:200], np.full(200, np.nan)), np.repeat([0, -1], 200), y[200:]


def test_quantiles_undo_what_bends_a_scale() -> None:
    right = {}
    for method in ("combat", "quantile"):
        found = []
        for seed in range(2):
            X, y, domain, truth = skewed(seed)
            model = DomainAdaptedClassifier(method).fit(X, y, domain)
            found.append(np.mean(model.predict(X[200:]) == truth))
            assert model.predict_proba(X[-1:]).shape == (1, 2), "a sample by itself"
        right[method] = np.mean(found)
    assert right["quantile"] > right["combat"] + 0.05
    assert right["quantile"] > 0.85


def test_networks_learn_on_quantiles_too_and_are_saved_with_their_tables(tmp_path: Path) -> None:
    X, y, domain, truth = skewed(0)
    X[250, 3] = np.nan
    model = DomainAdaptedClassifier("dann", standardize="quantile", random_state=0, min_steps=200, **SMALL)
    model.fit(X, y, domain)
    assert model.adaptation_["standardize"] == "quantile"
    assert np.mean(model.predict(X[200:]) == truth) > 0.8
    save_model(model, tmp_path / "model", features=[f"G{i}" for i in range(12)])
    loaded = load_model(tmp_path / "model").model
    assert np.array_equal(loaded.predict_proba(X[200:]), model.predict_proba(X[200:]))
    assert '"quantiles"' not in (tmp_path / "model" / "model.json").read_text(), "tables lie beside the weights"


@pytest.mark.parametrize("method", ["combat", "quantile"])
def test_several_sources_on_scales_of_their_own(method: str) -> None:
    X, y, domain, truth = correlated(1)
    domain[:150] = 3
    X[domain == 3] = 50 + 10 * X[domain == 3]
    model = DomainAdaptedClassifier(method).fit(X, y, domain)
    for one in (0, 3):
        assert np.mean(model.predict(X[domain == one], domain[domain == one]) == y[domain == one]) > 0.88
    assert np.mean(model.predict(X[domain < 0]) == truth) > 0.75


def test_what_measures_the_shift_can_be_left_out_and_changes_no_model() -> None:
    X, y, domain, _ = moons(0)
    settings = {"standardize": "together", "min_steps": 50, "epochs": 1, "random_state": 0, **SMALL}
    measured = DomainAdaptedClassifier("dann", **settings).fit(X, y, domain)
    plain = DomainAdaptedClassifier("dann", measure_shift=False, **settings).fit(X, y, domain)
    np.testing.assert_array_equal(measured.predict_proba(X[domain < 0]), plain.predict_proba(X[domain < 0]))
    assert "domain_auroc" in measured.adaptation_
    assert "domain_auroc" not in plain.adaptation_
    with pytest.raises(ValueError, match="name method and standardize"):
        DomainAdaptedClassifier("dann", measure_shift=False).fit(X, y, domain)
