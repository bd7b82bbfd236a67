"""Draws of a study: paired, nested, and the same whenever they are asked for."""

import numpy as np
import pytest

from oligolearn.study.design import Design, draw_repeat, plan_runs, spread_fractions, training_seed

Y = np.repeat([0, 1, 2, -1], [60, 30, 14, 20])


def design(**settings):
    return Design(label="y", fractions=(0.1, 1.0), **settings)


def test_a_repeat_is_drawn_the_same_in_any_order_and_process():
    first = [draw_repeat(design(seed=3), Y, None, repeat) for repeat in (0, 1, 2)]
    again = [draw_repeat(design(seed=3), Y, None, repeat) for repeat in (2, 0, 1)]
    for one, other in zip(first, [again[1], again[2], again[0]], strict=True):
        np.testing.assert_array_equal(one.order, other.order)
        np.testing.assert_array_equal(one.split.test, other.split.test)
        assert one.seed == other.seed
    assert not np.array_equal(first[0].split.test, first[1].split.test)


def test_the_labels_shown_are_training_rows_each_once():
    draw = draw_repeat(design(), Y, None, 0)
    assert sorted(draw.order) == draw.split.train.tolist()
    assert set(Y[draw.order[:3]]) == {0, 1, 2}
    assert set(draw.split.pretrain) == set(draw.split.train) | set(np.flatnonzero(Y < 0))


def test_a_fixed_split_changes_the_seeds_alone():
    one, other = (draw_repeat(design(split="fixed"), Y, None, repeat) for repeat in (0, 7))
    np.testing.assert_array_equal(one.order, other.order)
    assert one.seed != other.seed


def test_seeds_of_different_places_differ():
    seeds = {training_seed(seed, repeat, n) for seed in range(10) for repeat in range(10) for n in (5, 50)}
    assert len(seeds) == 200


def test_every_class_keeps_a_label_and_all_methods_the_same_labels():
    runs = plan_runs(design(methods=("logistic", "scratch"), repeats=2), [70, 71], n_classes=9)
    assert [run.n_labels for run in runs] == [9, 9, 70, 70, 9, 9, 70, 70]
    assert len(set(runs)) == 8


def test_fractions_spread_evenly_on_a_log_scale():
    fractions = spread_fractions(10, 2186, 9)
    assert fractions[0] == 0.01
    assert fractions[-1] == 1.0
    steps = np.diff(np.log(fractions))
    assert steps.max() / steps.min() < 1.02
    assert spread_fractions(3, 50, 10)[0] == 0.2  # a label for each class


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": ("logistic", "svm")}, "svm"),
        ({"methods": ()}, "found none"),
        ({"repeats": 0}, "at least 1"),
        ({"split": "random"}, "resampled, fixed"),
        ({"seed": -1}, "negative"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        design(**settings)


@pytest.mark.parametrize("fractions", [(), (0.0, 1.0), (0.5, 0.1), (0.5, 0.5), (1.5,), (float("nan"),)])
def test_fractions_must_be_ascending_shares(fractions):
    with pytest.raises(ValueError, match="fractions must"):
        Design(label="y", fractions=fractions)
