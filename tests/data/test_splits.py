"""Splits over many seeds and shapes: shares, classes, groups, unlabelled rows, and the order of labels."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from oligolearn.data import label_counts, label_order, redraw_validation, split_rows
from oligolearn.data.splits import MIN_CLASS_SIZE

Ints = NDArray[np.int64]
SEEDS = range(60)


def random_labels(rng: np.random.Generator) -> Ints:
    """Between 2 and 8 classes of 3 to 80 rows, shuffled among unlabelled rows."""
    sizes = rng.integers(3, 80, size=rng.integers(2, 9))
    y = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(rng.integers(0, 60), -1)])
    return rng.permutation(y)


def random_groups(y: Ints, rng: np.random.Generator) -> Ints:
    """Patients of one to five rows, whose rows may differ in class or have none."""
    sizes = rng.integers(1, 6, size=len(y))
    return rng.permutation(np.repeat(np.arange(len(y)), sizes)[: len(y)])


def grouped_cases() -> Iterator[tuple[Ints, Ints, int]]:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.concatenate([np.repeat(np.arange(3), (90, 60, 40)), np.full(40, -1)]))
        yield y, random_groups(y, rng), seed


def test_parts_are_the_labelled_rows_each_once_in_ascending_order() -> None:
    for seed in SEEDS:
        y = random_labels(np.random.default_rng(seed))
        split = split_rows(y, groups=None, rng=np.random.default_rng(seed))
        together = np.concatenate([split.train, split.validation, split.test])
        assert sorted(together) == np.flatnonzero(y >= 0).tolist()
        assert all((np.diff(part) > 0).all() for part in split)


def test_every_class_has_its_share_within_rounding_and_a_row_everywhere() -> None:
    for seed in SEEDS:
        y = random_labels(np.random.default_rng(seed))
        split = split_rows(y, groups=None, rng=np.random.default_rng(seed))
        for label in range(y.max() + 1):
            n = (y == label).sum()
            n_train, n_validation, n_test = ((y[part] == label).sum() for part in split[:3])
            assert n_validation == n_test == max(1, round(0.15 * n))
            assert n_train == n - n_validation - n_test >= 1
            assert n_train == pytest.approx(0.7 * n, abs=1.5)


def test_the_smallest_class_that_is_accepted_by_default_is_stratified() -> None:
    y = np.repeat([0, 1], [100, MIN_CLASS_SIZE])
    split = split_rows(y, groups=None, rng=np.random.default_rng(0))
    assert [int((y[part] == 1).sum()) for part in split[:3]] == [5, 1, 1]


def test_without_groups_all_unlabelled_rows_serve_pretraining_and_nothing_else() -> None:
    for seed in SEEDS:
        y = random_labels(np.random.default_rng(seed))
        split = split_rows(y, groups=None, rng=np.random.default_rng(seed))
        assert split.pretrain.tolist() == sorted([*split.train, *np.flatnonzero(y < 0)])


def test_no_group_is_on_two_sides() -> None:
    for y, groups, seed in grouped_cases():
        split = split_rows(y, groups=groups, rng=np.random.default_rng(seed))
        train, validation, test = (set(groups[part]) for part in split[:3])
        assert not train & validation
        assert not train & test
        assert not validation & test
        assert sorted(np.concatenate(split[:3])) == np.flatnonzero(y >= 0).tolist()


def test_pretraining_sees_no_relative_of_a_test_row() -> None:
    kept_out = 0
    for y, groups, seed in grouped_cases():
        split = split_rows(y, groups=groups, rng=np.random.default_rng(seed))
        held_out = set(groups[split.validation]) | set(groups[split.test])
        assert not held_out & set(groups[split.pretrain])
        expected = [row for row in range(len(y)) if groups[row] not in held_out]
        assert split.pretrain.tolist() == expected
        kept_out += int((y < 0).sum()) - int((y[split.pretrain] < 0).sum())
    assert kept_out > 0, "the case occurs"


def test_grouped_parts_have_every_class_and_about_their_share() -> None:
    for y, groups, seed in grouped_cases():
        split = split_rows(y, groups=groups, rng=np.random.default_rng(seed))
        for label, n in enumerate((90, 60, 40)):
            sizes = [int((y[part] == label).sum()) for part in split[:3]]
            assert min(sizes) >= 1
            for size, share in zip(sizes, (0.7, 0.15, 0.15), strict=True):
                assert size == pytest.approx(share * n, abs=6), f"seed {seed}, class {label}: {sizes}"


def test_groups_of_one_row_are_stratified_like_rows() -> None:
    y = np.repeat([0, 1, 2], [100, 40, 20])
    split = split_rows(y, groups=np.arange(160), rng=np.random.default_rng(0))
    counts = np.array([np.bincount(y[part]) for part in split[:3]])
    assert np.abs(counts - np.outer([0.7, 0.15, 0.15], [100, 40, 20])).max() <= 1


def test_draws_follow_the_generator() -> None:
    y = random_labels(np.random.default_rng(0))
    for groups in (None, np.arange(len(y)) // 2):
        first, again, other = (split_rows(y, groups=groups, rng=np.random.default_rng(seed)) for seed in (5, 5, 6))
        assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
        assert not np.array_equal(first.test, other.test)


def test_every_row_is_tested_about_as_often_as_any_other() -> None:
    y = np.repeat([0, 1], 20)
    rng = np.random.default_rng(0)
    times = np.zeros(40)
    for _ in range(400):
        times[split_rows(y, groups=None, rng=rng).test] += 1
    assert np.abs(times / 400 - 0.15).max() < 4.5 * np.sqrt(0.15 * 0.85 / 400)


def test_a_class_too_small_to_be_everywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="class number 1 has too few samples"):
        split_rows(np.repeat([0, 1], [30, 2]), groups=None, rng=np.random.default_rng(0))
    groups = np.concatenate([np.arange(30), np.repeat([30, 31], 15)])
    with pytest.raises(ValueError, match="class number 1 has too few groups"):
        split_rows(np.repeat([0, 1], [30, 30]), groups=groups, rng=np.random.default_rng(0))


def random_training_labels(rng: np.random.Generator) -> Ints:
    sizes = rng.integers(1, 120, size=rng.integers(2, 9))
    return rng.permutation(np.repeat(np.arange(len(sizes)), sizes))


def test_the_order_of_labels_is_a_permutation_that_starts_with_one_of_each_class() -> None:
    for seed in SEEDS:
        y = random_training_labels(np.random.default_rng(seed))
        order = label_order(y, np.random.default_rng(seed))
        n_classes = y.max() + 1
        assert sorted(order) == list(range(len(y)))
        assert sorted(y[order[:n_classes]]) == list(range(n_classes))


def test_every_prefix_is_stratified() -> None:
    """A class has its share of each prefix, but for its guaranteed first label and the rounding of the others."""
    for seed in SEEDS:
        y = random_training_labels(np.random.default_rng(seed))
        shown = np.eye(y.max() + 1)[y[label_order(y, np.random.default_rng(seed))]].cumsum(axis=0)
        expected = np.outer(np.arange(1, len(y) + 1), np.bincount(y) / len(y))
        n_classes = shown.shape[1]
        worst = np.abs(shown - expected)[n_classes:].max()
        assert worst <= 2 + n_classes * np.bincount(y).max() / len(y), f"seed {seed}: {worst}"


def test_labels_of_a_class_are_spread_evenly_over_the_order() -> None:
    y = np.repeat([0, 1], [900, 100])
    places = np.flatnonzero(y[label_order(y, np.random.default_rng(0))] == 1)
    assert np.diff(places).max() < 22, "two labels of the rare class are never far apart"
    assert np.histogram(places, bins=10, range=(0, 1000))[0].tolist() == pytest.approx([10] * 10, abs=1)


def test_the_same_generator_gives_the_same_order() -> None:
    y = random_training_labels(np.random.default_rng(0))
    first, again, other = (label_order(y, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_subsets_are_nested_and_hold_every_class() -> None:
    y = random_training_labels(np.random.default_rng(3))
    order = label_order(y, np.random.default_rng(3))
    n_classes = int(y.max()) + 1
    counts = list(label_counts([0.001, 0.01, 0.1, 0.5, 1.0], len(y), n_classes).values())
    assert counts == sorted(counts)
    assert counts[0] == n_classes
    assert counts[-1] == len(y)
    subsets = [set(order[:count]) for count in counts]
    assert all(small <= large for small, large in itertools.pairwise(subsets))
    assert all(len(np.unique(y[list(subset)])) == n_classes for subset in subsets)


def test_number_of_labels_for_each_fraction() -> None:
    assert label_counts([0.01, 0.126, 1.0], 1000, 3) == {0.01: 10, 0.126: 126, 1.0: 1000}
    assert label_counts([0.01, 0.126, 1.0], 1000, 20) == {0.01: 20, 0.126: 126, 1.0: 1000}
    assert label_counts([0.02, 0.01, 1.0], 1000, 20) == {0.02: 20, 1.0: 1000}  # 1 % would be as many


def test_redrawn_validation_rows_keep_their_number_and_never_come_from_the_test_rows() -> None:
    for seed in SEEDS:
        y = random_labels(np.random.default_rng(seed))
        split = split_rows(y, groups=None, rng=np.random.default_rng(seed))
        again = redraw_validation(split, y, groups=None, rng=np.random.default_rng(1000 + seed))
        assert np.array_equal(again.test, split.test)
        assert np.array_equal(np.bincount(y[again.validation]), np.bincount(y[split.validation]))
        together = np.concatenate([again.train, again.validation])
        assert np.array_equal(np.sort(together), np.sort(np.concatenate([split.train, split.validation])))
        assert np.array_equal(again.pretrain, np.flatnonzero(np.isin(np.arange(len(y)), again.train) | (y < 0)))
    assert not np.array_equal(again.validation, split.validation)


def test_redrawn_parts_share_no_group() -> None:
    for y, groups, seed in grouped_cases():
        split = split_rows(y, groups=groups, rng=np.random.default_rng(seed))
        again = redraw_validation(split, y, groups=groups, rng=np.random.default_rng(1000 + seed))
        assert np.array_equal(again.test, split.test)
        sides = [set(groups[rows]) for rows in (again.pretrain, again.validation, again.test)]
        assert not (sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2])
        assert len(again.validation) == pytest.approx(len(split.validation), abs=0.05 * (y >= 0).sum())
        assert set(y[again.validation]) == set(y[again.train]) == {0, 1, 2}
