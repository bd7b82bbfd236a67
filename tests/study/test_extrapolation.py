"""Labels needed for a target: intervals that hold what they say, and refusals."""

import math

import numpy as np
import pandas as pd
import pytest

from oligolearn.study import labels_needed
from oligolearn.study.extrapolation import usual_target

NUMBERS = (20, 40, 80, 160, 320, 640)


def law(n, limit=0.95, size=0.45, speed=0.6):
    return limit - size * (n / 20) ** -speed


def simulated(seed=0, numbers=NUMBERS, repeats=10, curve=law, noise=0.02):
    """Runs of one method; the scores of a repeat go up and down together, as on one test set."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=repeats)
    rows = [
        {
            "method": "scratch",
            "repeat": repeat,
            "n_labels": n,
            "fraction": n / max(numbers),
            "accuracy": curve(n) + noise * (0.7 * shared[repeat] + 0.7 * rng.normal()),
        }
        for n in numbers
        for repeat in range(repeats)
    ]
    return pd.DataFrame(rows)


def answer(runs, target, **options):
    return labels_needed(runs, target, **options)[0]


def at(found, n):
    logs = np.log(found["curve"]["n_labels"])
    return [float(np.interp(math.log(n), logs, found["curve"][key])) for key in ("low", "median", "high")]


TRUTHS = [(0.95, 0.45, 0.6), (0.99, 0.5, 0.35), (0.85, 0.3, 1.0), (0.9, 0.25, 0.5)]


@pytest.mark.slow
def test_intervals_hold_the_true_accuracy_and_the_true_number_of_labels():
    held_accuracy, held_labels, widths = [], [], []
    for seed in range(60):
        limit, size, speed = TRUTHS[seed % len(TRUTHS)]
        runs = simulated(seed, curve=lambda n, a=limit, b=size, c=speed: law(n, a, b, c))
        for ahead in (2, 5):
            n = ahead * NUMBERS[-1]
            truth = law(n, limit, size, speed)
            found = answer(runs, truth)
            low, _, high = at(found, n)
            held_accuracy.append(low <= truth <= high)
            widths.append(high - low)
            held_labels.append((found["low"] or 0) <= n <= (found["high"] or math.inf))
    assert np.mean(held_accuracy) >= 0.92
    assert np.mean(held_labels) >= 0.92
    assert np.mean(widths) < 0.12, "an interval that says nothing holds everything"


def test_the_middle_is_near_where_the_truth_is_inside_the_data():
    found = answer(simulated(noise=0.005, repeats=20), law(230))
    assert found["status"] == "tried"
    assert 200 < found["labels"] < 265
    assert found["low"] < found["labels"] < found["high"]


def test_uncertainty_grows_beyond_the_data_and_shrinks_with_less_noise():
    noisy, clean = (answer(simulated(noise=noise), 0.94) for noise in (0.03, 0.005))
    spans = [at(noisy, n)[2] - at(noisy, n)[0] for n in (320, 1280, 5120)]
    assert spans == sorted(spans)
    assert at(clean, 1280)[2] - at(clean, 1280)[0] < spans[1]


def test_shared_rows_widen_the_interval():
    runs = simulated()
    alone, shared = answer(runs, 0.93), answer(runs, 0.93, n_train=700, n_test=150)
    assert at(shared, 640)[2] - at(shared, 640)[0] > at(alone, 640)[2] - at(alone, 640)[0]


def test_the_order_of_the_runs_and_other_methods_do_not_matter():
    runs = simulated()
    both = pd.concat([runs.sample(frac=1, random_state=1), simulated(9).assign(method="swav")])
    assert labels_needed(both, 0.93)[0] == answer(runs, 0.93)


def test_a_target_above_the_limit_is_out_of_reach_in_words():
    found = answer(simulated(curve=lambda n: law(n, 0.8, 0.4, 1.2), noise=0.004, repeats=20), 0.97)
    assert found["status"] == "out of reach"
    assert (found["labels"], found["high"]) == (None, None)
    assert found["reachable"] < 0.05
    assert "levels off at 80" in found["note"] or "levels off at 79" in found["note"]


def test_a_target_far_beyond_the_data_gets_no_number():
    found = answer(simulated(curve=lambda n: 1 - 0.6 * (n / 20) ** -0.12, noise=0.004, repeats=20), 0.85)
    assert found["status"] == "too far"
    assert found["labels"] is None
    assert found["low"] is None or found["low"] > 640
    assert "6,400 labels" in found["note"]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (simulated(numbers=(20, 80, 320)), "at least 4 different numbers of labels, this one has 3"),
        (simulated(repeats=2), "at least 3 repeats"),
        (simulated(numbers=(100, 120, 150, 200)), "span a factor of 2.0"),
        (simulated(numbers=(2, 4, 8, 16)), "at most 16 labels were tried"),
        (simulated(curve=lambda n: 0.7), "does not grow detectably"),
        (simulated(curve=lambda n: 0.9 - 0.05 * math.log10(n)), "does not grow detectably"),
    ],
)
def test_runs_that_cannot_say_are_refused_in_words(runs, words):
    found = answer(runs, 0.95)
    assert found["status"] == "unknown"
    assert words in found["note"]
    assert [found[key] for key in ("labels", "low", "high", "curve")] == [None] * 4


def test_a_target_below_a_flat_curve_is_reached_with_the_fewest_labels():
    found = answer(simulated(curve=lambda n: 0.98, noise=0.003), 0.9)
    assert (found["status"], found["labels"], found["low"]) == ("tried", 20, None)


def test_repeats_that_failed_somewhere_are_left_out():
    runs = simulated()
    broken = runs[~((runs.repeat == 3) & (runs.n_labels == 640))]
    assert answer(broken, 0.93) == answer(runs[runs.repeat != 3], 0.93)


@pytest.mark.parametrize("target", [0.0, -1, 1.01, 95, math.nan])
def test_a_target_that_is_no_accuracy_is_refused(target):
    with pytest.raises(ValueError, match=r"such as 0\.95 or 95%"):
        labels_needed(simulated(), target)


def test_another_metric_has_its_own_answer():
    runs = simulated().assign(balanced_accuracy=lambda table: table.accuracy - 0.1)
    assert answer(runs, 0.8, metric="balanced_accuracy")["labels"] > answer(runs, 0.8)["labels"]
    with pytest.raises(ValueError, match="metric"):
        labels_needed(runs, 0.8, metric="log_loss")


def test_the_usual_target_halves_the_error_of_the_best():
    runs = pd.concat([simulated(noise=0.0), simulated(noise=0.0, curve=lambda n: 0.9).assign(method="logistic")])
    assert usual_target(runs) == pytest.approx(1 - (1 - max(law(640), 0.9)) / 2, abs=5e-4)
