"""Which rows train, validate and test, and which of the training rows have their labels shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHARES = (0.70, 0.15, 0.15)
MIN_CLASS_SIZE = 7  # fewer cannot be split 70/15/15 with one of each class in every part
_UNLABELLED = -1


class Split(NamedTuple):
    """Row numbers, in ascending order.

    Attributes
    ----------
    train, validation, test
        Labelled rows.
    pretrain
        The training rows and all unlabelled rows that share no group with validation or test rows.
    """

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    pretrain: NDArray[np.intp]


def split_rows(y: NDArray[np.integer], *, groups: NDArray[np.integer] | None, rng: np.random.Generator) -> Split:
    """Split the labelled rows 70/15/15, stratified by class, with the rows of a group on one side.

    Every class has at least one row in each part.

    Parameters
    ----------
    y
        Class numbers ``(n_rows,)``, -1 where unlabelled.
    groups
        Group numbers ``(n_rows,)``, such as patients, or None.
    rng
        Source of randomness.

    Raises
    ------
    ValueError
        If some class has fewer than three rows, or its rows belong to fewer than three groups.
    """
    labelled = np.flatnonzero(y != _UNLABELLED)
    part = np.full(len(y), -1)
    if groups is None:
        part[labelled] = _stratified_parts(y[labelled], rng)
    else:
        part[labelled] = _grouped_parts(y[labelled], groups[labelled], rng)
    _check_every_class_everywhere(y[labelled], part[labelled], grouped=groups is not None)
    return _split(y, groups, part)


def redraw_validation(
    split: Split, y: NDArray[np.integer], *, groups: NDArray[np.integer] | None, rng: np.random.Generator
) -> Split:
    """Draw training and validation rows anew from those of `split`, of each class as many; test rows stay test rows.

    Parameters
    ----------
    split
        As `split_rows` gives it.
    y, groups, rng
        As in `split_rows`. Where groups stay together, the sizes of the parts vary a little.

    Raises
    ------
    ValueError
        If the rows of some class belong to fewer than two groups besides those of its test rows.
    """
    part = np.full(len(y), -1)
    part[split.test] = 2
    rows = np.sort(np.concatenate([split.train, split.validation]))
    if groups is None:
        for label in np.unique(y[rows]):
            drawn = rng.permutation(rows[y[rows] == label])
            part[drawn] = 0
            part[drawn[: int((y[split.validation] == label).sum())]] = 1
    else:
        part[rows] = _grouped_parts(y[rows], groups[rows], rng, shares=SHARES[:2])
    labelled = np.flatnonzero(y != _UNLABELLED)
    _check_every_class_everywhere(y[labelled], part[labelled], grouped=groups is not None)
    return _split(y, groups, part)


def _split(y: NDArray[np.integer], groups: NDArray[np.integer] | None, part: NDArray[np.intp]) -> Split:
    """Rows of the parts 0, 1 and 2; unlabelled rows that share no group with the last two serve pretraining."""
    usable = y == _UNLABELLED
    if groups is not None:
        usable &= ~np.isin(groups, groups[part > 0])
    train, validation, test = (np.flatnonzero(part == i) for i in range(3))
    return Split(train, validation, test, np.flatnonzero((part == 0) | usable))


def _stratified_parts(y: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.intp]:
    part = np.empty(len(y), dtype=np.intp)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        n_validation, n_test = (max(1, round(share * len(rows))) for share in SHARES[1:])
        part[rows] = 0
        part[rows[:n_validation]] = 1
        part[rows[n_validation : n_validation + n_test]] = 2
    return part


def _grouped_parts(
    y: NDArray[np.integer], groups: NDArray[np.integer], rng: np.random.Generator, shares: Sequence[float] = SHARES
) -> NDArray[np.intp]:
    """Deal out whole groups, the largest first, each to the part that lacks its classes most."""
    group_names, group_of = np.unique(groups, return_inverse=True)
    classes, class_of = np.unique(y, return_inverse=True)
    counts = np.zeros((len(group_names), len(classes)))
    np.add.at(counts, (group_of, class_of), 1)
    class_sizes = counts.sum(axis=0)
    wanted = np.maximum(np.outer(np.array(shares) / sum(shares), class_sizes), 1.0)
    shuffled = rng.permutation(len(group_names))
    rarest_first = np.lexsort((class_sizes[counts[shuffled].argmax(axis=1)], -counts[shuffled].sum(axis=1)))
    placed = np.zeros_like(wanted)
    part_of_group = np.empty(len(group_names), dtype=np.intp)
    for group in shuffled[rarest_first]:
        lack = ((wanted - placed) / wanted) @ counts[group]
        part_of_group[group] = np.argmax(lack)
        placed[part_of_group[group]] += counts[group]
    return part_of_group[group_of]


def _check_every_class_everywhere(y: NDArray[np.integer], part: NDArray[np.intp], *, grouped: bool) -> None:
    for label in np.unique(y):
        if len(np.unique(part[y == label])) < len(SHARES):
            what = "groups" if grouped else "samples"
            raise ValueError(
                f"class number {label} has too few {what} to be in training, validation and test, or they cannot be "
                "dealt out; try another seed, leave it out with a larger min_class_size, or merge it with another"
            )


def label_order(y: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.intp]:
    """Order in which training rows get their labels: every prefix is stratified, and the first rows are one per class.

    Subsets of different sizes taken from the front are nested, so that more labels always means the same labels and
    some more.

    Parameters
    ----------
    y
        Class numbers of the training rows, ``(n_train,)``, none unlabelled.
    rng
        Source of randomness.

    Examples
    --------
    >>> y = np.array([0] * 8 + [1] * 4)
    >>> y[label_order(y, np.random.default_rng(0))[:6]]
    array([1, 0, 0, 0, 1, 0])
    """
    key = np.empty(len(y))
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        key[rows] = (np.arange(len(rows)) + rng.uniform(size=len(rows))) / len(rows)
        key[rows[0]] = rng.uniform() - 1.0
    return np.argsort(key, kind="stable")


def label_counts(fractions: Sequence[float], n_train: int, n_classes: int) -> dict[float, int]:
    """Number of labels for fractions of the training rows, at least one for each class.

    Of fractions that come to the same number only the largest is there.

    Examples
    --------
    >>> label_counts([0.01, 0.02, 0.5], n_train=100, n_classes=3)
    {0.02: 3, 0.5: 50}
    """
    fraction_of = {max(n_classes, round(fraction * n_train)): fraction for fraction in sorted(fractions)}
    return {fraction: n_labels for n_labels, fraction in fraction_of.items()}
