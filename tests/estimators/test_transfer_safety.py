"""Harm is warned of where it comes, and not where it does not; what cannot work is refused or mended, and said."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_moons

from oligolearn import DomainAdaptedClassifier
from oligolearn.estimators import (
    NegativeTransferWarning,
    find_negative_transfer,
    neighbour_agreement,
    principal_components,
    study_shift,
)
from oligolearn.estimators.shift import domain_auroc, linear_classifier, row_coordinates, same_mix, standardise_domains
from oligolearn.estimators.transfer_safety import describe_safety

NETWORK: dict[str, Any] = {
    "encoder_options": {"hidden": (32, 32)},
    "min_steps": 400,
    "learning_rate": 3e-3,
    "random_state": 0,
    "device": "cpu",
    "precision": "32",
}
Shift = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64], NDArray[np.floating]]


def mixes(seed: int, share: float, shift: float = 0.0, n: int = 150) -> Shift:
    """30 genes of which 10 tell the classes; `share` of one class in the target, and maybe another platform."""
    rng = np.random.default_rng(seed)
    y = np.append(rng.random(150) < 0.5, rng.random(n) < share).astype(float)
    X = rng.normal(size=(150 + n, 30))
    X[:, :10] += 1.2 * y[:, None]
    X[150:] += shift * rng.normal(size=30)
    return X, np.append(y[:150], np.full(n, np.nan)), np.repeat([0, -1], [150, n]), y[150:]


def moons(seed: int) -> Shift:
    """Two moons, and as many that are rotated by 35 degrees."""
    (xs, ys), (xt, yt) = (make_moons(300, noise=0.1, random_state=seed + k) for k in (0, 1000))
    c, s = np.cos(np.deg2rad(35)), np.sin(np.deg2rad(35))
    middle = np.array([0.5, 0.25])
    xt = (xt - middle) @ np.array([[c, -s], [s, c]]).T + middle
    return np.vstack([xs, xt]), np.append(ys, np.full(300, np.nan)), np.repeat([0, -1], 300), yt


def right(model: DomainAdaptedClassifier, data: Shift) -> float:
    X, _, domain, truth = data
    return float(np.mean(model.predict(X[domain < 0]) == truth))


@pytest.mark.parametrize(("method", "standardize"), [("linear", "each"), ("dann", "each"), ("dann", "together")])
def test_where_only_the_mix_of_classes_differs_adaptation_hurts_and_is_warned_of(method: str, standardize: str) -> None:
    data = mixes(0, 0.9)
    auto = DomainAdaptedClassifier(random_state=0).fit(*data[:3])  # no warning: those are errors here
    options = NETWORK if method == "dann" else {}
    with pytest.warns(NegativeTransferWarning, match=f"{method} on genes standardised .* may do harm: at least"):
        model = DomainAdaptedClassifier(method, standardize=standardize, **options).fit(*data[:3])
    assert right(model, data) < right(auto, data) - 0.08
    assert model.adaptation_["class_mix"]["differs"]
    assert auto.adaptation_["warnings"] == []
    assert "Compare it with logistic regression on genes standardised together" in model.adaptation_["warnings"][0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dann", "cada"])
def test_where_adaptation_helps_there_is_no_warning(method: str) -> None:
    data = moons(0)
    plain = DomainAdaptedClassifier("source", standardize="together", **NETWORK).fit(*data[:3])
    model = DomainAdaptedClassifier(method, standardize="together", **NETWORK).fit(*data[:3])
    assert right(model, data) > right(plain, data) + 0.05
    assert model.adaptation_["warnings"] == []


def test_to_leave_a_platform_as_it_is_is_warned_of_and_to_undo_it_is_not() -> None:
    data = mixes(1, 0.5, shift=4.0)
    each = DomainAdaptedClassifier("linear", standardize="each").fit(*data[:3])
    with pytest.warns(NegativeTransferWarning, match="genes standardised together may do harm"):
        together = DomainAdaptedClassifier("linear", standardize="together").fit(*data[:3])
    assert right(each, data) > right(together, data) + 0.1


def test_names_that_contradict_the_mix_are_wrong_at_least_as_often_as_is_said() -> None:
    for seed in range(3):
        X, y, domain, truth = mixes(seed, 0.8)
        study = study_shift(X, np.where(np.isnan(y), -1, y).astype(int), domain)
        rng = np.random.default_rng(seed)
        for share in (0.2, 0.5, 0.8):
            named = (rng.random(150) < share).astype(int)
            assert study.mix_error(named) <= np.mean(named != truth)
        assert study.mix_error(np.zeros(150, dtype=int)) > 0.6
        assert find_negative_transfer(study, study.named) == []
        assert any("one class" in reason for reason in find_negative_transfer(study, np.zeros(150, dtype=int)))
        assert study.mix_error(np.full(150, 2)) is None, "a class that no source has"


def test_domains_are_told_apart_before_and_not_after() -> None:
    data = mixes(2, 0.5, shift=4.0)
    told = DomainAdaptedClassifier("linear").fit(*data[:3]).adaptation_
    assert told["domain_auroc"] > 0.95
    assert told["domain_auroc_after"] < 0.6
    apart, _ = standardise_domains(data[0], data[2], "each")
    assert told["domain_auroc_after"] == pytest.approx(domain_auroc(principal_components(apart), data[2] < 0), abs=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NegativeTransferWarning)
        left = DomainAdaptedClassifier("source", standardize="together", **NETWORK).fit(*data[:3])
    assert left.adaptation_["domain_auroc_after"] > 0.9, "in the embedding of a network that was not adapted"


def test_coordinates_change_no_regression() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 9000)).astype(np.float32), np.tile([0, 1, 2], 20)  # more than a block of genes
    X[:, :200] += y[:, None]
    rows = row_coordinates(X)
    assert rows.shape == (60, 60)
    assert np.allclose(rows @ rows.T, X.astype(float) @ X.T.astype(float))
    one, other = (linear_classifier(x[:45], y[:45]).predict_proba(x[45:]) for x in (X, rows))
    assert np.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("n", [1, 4])
def test_a_handful_of_target_rows_is_standardised_with_the_source_or_refused(n: int) -> None:
    X, y, domain, _ = mixes(3, 0.5, n=n)
    model = DomainAdaptedClassifier().fit(X, y, domain)
    assert model.adaptation_["standardize"] == "together"
    assert any(f"The target has {n} samples, too few" in note for note in describe_safety(model.adaptation_))
    refused = ({"standardize": "each"}, {"standardize": "combat"}, {"standardize": "quantile"}, {"method": "coral"})
    for options in (*refused, {"method": "dann"}):
        with pytest.raises(ValueError, match=f"a target has {n} rows, and at least 5 are needed"):
            DomainAdaptedClassifier(**options).fit(X, y, domain)


def test_a_target_whose_rows_are_all_alike_is_refused() -> None:
    X, y, domain, _ = mixes(4, 0.5)
    X[domain < 0] = X[-1]
    X[domain < 0, 3] = np.nan
    with pytest.raises(ValueError, match=r"the 150 rows of the target .* are all alike: none of their 30 genes varies"):
        DomainAdaptedClassifier().fit(X, y, domain)
    X[-1, 5] += 1
    with pytest.warns(NegativeTransferWarning, match="may do harm"):
        DomainAdaptedClassifier("linear", standardize="together").fit(X, y, domain)


def test_sentences_have_the_numbers() -> None:
    X, y, domain, _ = mixes(0, 0.9)
    model = DomainAdaptedClassifier().fit(X, np.where(np.isnan(y), None, np.where(y == 1, "sick", "well")), domain)
    mix = model.adaptation_["class_mix"]
    notes = " ".join(describe_safety(model.adaptation_))
    assert f"The target seems to have {mix['target']['sick']:.0%} of class sick" in notes
    assert f"the source {mix['source']['sick']:.0%}" in notes
    assert "to standardise each domain by itself would take this difference away" in notes
    assert mix["low"]["sick"] < 0.9 < mix["high"]["sick"]


@pytest.mark.parametrize(("share", "shift", "expected"), [(0.9, 0.3, "together"), (0.5, 2.0, "each")])
def test_clusters_of_the_target_break_a_tie_of_reverse_validation(monkeypatch, share, shift, expected):
    monkeypatch.setattr("oligolearn.estimators.transfer_safety.is_ahead", lambda *_: False)
    rng = np.random.default_rng(0)
    X, y, domain, _ = mixes(0, share)
    X[:, :10] += 3 * np.append(y[:150], (truth := mixes(0, share)[3]))[:, None]
    X[domain < 0] += shift * rng.normal(size=30)
    study = study_shift(X, np.where(np.isnan(y), -1, y).astype(int), domain)
    assert study.facts["domain_auroc_within_classes"] > 0.65
    near = study.facts["neighbour_agreement"]
    assert (near["together"] > near["each"] + 0.1) == (expected == "together")
    assert study.how == expected
    assert np.mean(study.named == truth) > 0.95


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_target_of_one_class_is_no_other_platform(seed: int) -> None:
    """A class that the target lacks counts on neither side; else its absence looks like a shift within classes."""
    data = mixes(seed, 0.0, n=100)
    model = DomainAdaptedClassifier(random_state=0).fit(*data[:3])
    assert model.adaptation_["standardize"] == "together"
    assert right(model, data) > 0.85


def test_agreement_of_neighbours_is_a_kappa():
    rng = np.random.default_rng(1)
    rows, names = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2) + np.diag(np.full(40, np.inf))
    same = np.mean([names[np.argsort(line)[:5]] == name for line, name in zip(distances, names, strict=True)])
    by_chance = np.sum((np.bincount(names) / 40) ** 2)
    assert neighbour_agreement(rows, names) == pytest.approx((same - by_chance) / (1 - by_chance))
    assert neighbour_agreement(rows[:1], names[:1]) == 0


def test_rows_are_weighted_to_one_mix_of_what_both_sides_have() -> None:
    classes = np.array([0] * 50 + [1] * 40 + [2] * 10 + [0] * 5 + [1] * 95)
    is_target = np.repeat([False, True], 100)
    weight = same_mix(classes, is_target)
    there, here = (np.bincount(classes[side], weight[side], minlength=3) for side in (~is_target, is_target))
    np.testing.assert_allclose(there, here)
    assert there[2] == 0
    assert there[0] == 50  # .5 of the source, ten times the .05 of the target
