"""A method is chosen without labels of the target, by a rule whose every part is seen to matter."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_moons

from oligolearn import DomainAdaptedClassifier
from oligolearn.estimators.adaptation_selection import Scored, choose, describe_selection, why_not
from oligolearn.estimators.shift import There

NETWORK: dict[str, Any] = {"encoder_options": {"hidden": (32, 32)}, "min_steps": 400, "learning_rate": 3e-3}
LABELS = np.tile([0, 1], 50)


def scored(
    method: str, *, linear: bool, source: float = 1.0, back: float = 0.9, wrong: float = 0.0, entropy: float = 1
):
    """A candidate that names as large a share of rows of each class right."""

    def there(share: float) -> There:
        return There(np.arange(100) < 100 * share, share)

    return Scored(method, linear, there(source), there(back), wrong, entropy, 1.0, 0.1)


def chosen(*candidates: Scored) -> str:
    ruled_out = [why_not(one, candidates, LABELS) for one in candidates]
    return candidates[choose(candidates, ruled_out, LABELS)].method


def test_the_first_linear_one_is_taken_unless_another_is_ahead():
    linear = scored("linear", linear=True, back=0.8)
    network = scored("dann", linear=False, back=1.0, entropy=0.0)
    assert chosen(linear, scored("coral", linear=True, back=0.82), network) == "linear"
    assert chosen(linear, scored("coral", linear=True, back=0.95), network) == "coral"
    assert chosen(network, linear) == "linear"


def test_networks_are_taken_where_linear_ones_fail_in_the_source():
    linear = scored("linear", linear=True, source=0.8)
    networks = [scored("dann", linear=False, entropy=0.3), scored("cada", linear=False, entropy=0.1)]
    assert chosen(linear, *networks) == "cada"
    assert why_not(linear, [linear, *networks], LABELS) == "behind dann in the source"
    assert chosen(scored("linear", linear=True, source=0.98), *networks) == "linear", "within the error"


def test_names_that_the_mix_of_classes_contradicts_are_out():
    sure = scored("cada", linear=False, entropy=0.0, wrong=0.3)
    assert chosen(sure, scored("dann", linear=False, entropy=0.5)) == "dann"
    assert why_not(sure, [sure], LABELS) is None, "if there is no better one"
    assert chosen(sure, scored("dann", linear=False, wrong=0.4)) == "cada", "the one that is contradicted least"


def moons(seed: int, n: int = 200):
    (xs, ys), (xt, yt) = (make_moons(n, noise=0.1, random_state=seed + k) for k in (0, 1000))
    c, s = np.cos(np.deg2rad(35)), np.sin(np.deg2rad(35))
    middle = np.array([0.5, 0.25])
    xt = (xt - middle) @ np.array([[c, -s], [s, c]]).T + middle
    return np.vstack([xs, xt]), np.append(ys, np.full(n, np.nan)), np.repeat([0, -1], n), yt


@pytest.mark.slow
def test_a_network_is_chosen_on_rotated_moons():
    X, y, domain, truth = moons(0)
    options: dict[str, Any] = {"standardize": "together", "random_state": 0, "device": "cpu", **NETWORK}
    model = DomainAdaptedClassifier("select", candidates=["linear", "source", "cada"], **options).fit(X, y, domain)
    table = {row["method"]: row for row in model.adaptation_["selection"]}
    assert [row["chosen"] for row in table.values()] == [False, False, True]
    assert table["linear"]["ruled_out"] == "behind source in the source"
    plain = DomainAdaptedClassifier("linear").fit(X, y, domain)
    assert np.mean(model.predict(X[200:]) == truth) > np.mean(plain.predict(X[200:]) == truth) + 0.1
    lines = describe_selection(model.adaptation_["selection"])
    assert sum("chosen" in line for line in lines[:-1]) == 1


def test_logistic_regression_is_chosen_where_only_the_mix_of_classes_differs():
    rng = np.random.default_rng(0)
    y = np.append(rng.random(200) < 0.5, rng.random(200) < 0.9).astype(float)
    X = rng.normal(size=(400, 10))
    X[:, 0] += 3 * y
    shown = np.append(y[:200], np.full(200, np.nan))
    domain = np.repeat([0, -1], 200)
    options: dict[str, Any] = {"random_state": 0, "device": "cpu", **NETWORK}
    model = DomainAdaptedClassifier("select", candidates=["linear", "coral", "dann"], **options).fit(X, shown, domain)
    assert model.adaptation_["method"] == "linear"
    assert model.adaptation_["selection"][1]["ruled_out"] == "contradicted by the mix of classes"
    assert model.adaptation_["selection"][2]["mix_error"] > 0.1 > model.adaptation_["selection"][0]["mix_error"]


def test_held_out_labels_are_not_learned_from_and_the_choice_is_reproducible():
    X, y, domain, _ = moons(1, 100)
    options: dict[str, Any] = {"candidates": ("linear", "coral"), "random_state": 3, "standardize": "each"}
    one, again = (DomainAdaptedClassifier("select", **options).fit(X, y, domain).adaptation_ for _ in range(2))
    assert one == again
    rng = np.random.default_rng(0)
    noise = np.append(rng.integers(0, 2, 100).astype(float), np.full(100, np.nan))  # labels that nothing explains
    table = DomainAdaptedClassifier("select", **options).fit(X, noise, domain).adaptation_["selection"]
    assert all(abs(row["source_accuracy"] - 0.5) < 0.3 for row in table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": ["linear", "other"]}, "unknown method 'other'"),
        ({"method_options": {"weight": 2.0}}, "method 'select' has no options, found weight"),
        ({"candidates": ["coral"], "standardize": "together"}, "needs centred domains"),
        ({"candidates": []}, "candidates has no method"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(options: dict[str, Any], message: str):
    X, y, domain, _ = moons(2)
    with pytest.raises(ValueError, match=message):
        DomainAdaptedClassifier("select", **options).fit(X, y, domain)


def test_too_few_labels_to_choose_by_are_refused():
    X, y, domain, _ = moons(3)
    y[(y == 1) & (np.cumsum(y == 1) > 4)] = np.nan
    with pytest.raises(ValueError, match="each class needs 5 labelled samples of the sources, the smallest has 4"):
        DomainAdaptedClassifier("select").fit(X, y, domain)
