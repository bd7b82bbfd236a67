"""From what was read to what is learned from: a matrix on a log scale, class numbers, group numbers."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data.genes import FEWEST_GENES, check_missing
from oligolearn.data.samples import label_of
from oligolearn.data.splits import MIN_CLASS_SIZE
from oligolearn.data.table import some
from oligolearn.data.units import normalize

if TYPE_CHECKING:
    import anndata as ad

_SMALLEST_SPLIT = 3  # one sample each for training, validation and test


class Prepared(NamedTuple):
    """Expression ready to be learned from.

    Attributes
    ----------
    X
        ``(n_samples, n_genes)``, float32, on a log scale, missing values NaN. Nothing here looks across samples, but
        for the genes that are the same in all of them, which are gone.
    genes
        Names of the columns.
    units
        The mode of `normalize` that prepares other samples alike.
    notes
        What was done, in sentences.
    """

    X: NDArray[np.float32]
    genes: list[str]
    units: str
    notes: list[str]


class Labels(NamedTuple):
    """Classes and who belongs to which.

    Attributes
    ----------
    classes
        Sorted names.
    codes
        Class number of each sample, -1 where unlabelled.
    notes
        What was left out, in sentences.
    """

    classes: list[str]
    codes: NDArray[np.int64]
    notes: list[str]


def prepare_expression(adata: "ad.AnnData", *, normalize_as: str = "auto", max_missing: float = 0.3) -> Prepared:
    """Put the matrix of `adata` on a log scale, check what is missing and drop genes that never vary.

    Parameters
    ----------
    adata
        As `read_expression` gives it.
    normalize_as
        Mode of `normalize`.
    max_missing
        Largest share of missing values a gene may have.

    Raises
    ------
    ValueError
        If the values do not suit the mode, a gene misses too much, or fewer than two genes vary.
    """
    genes = [str(name) for name in adata.var_names]
    missing = check_missing(adata.X, genes, max_missing)
    X, units, sentence = normalize(adata.X, normalize_as, sample_names=[str(name) for name in adata.obs_names])
    smallest, largest = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
    varies = largest > smallest
    notes = [sentence, *([missing] if missing else [])]
    if varies.sum() < FEWEST_GENES:
        raise ValueError(
            f"{int(varies.sum())} of {len(genes)} genes vary between samples; at least {FEWEST_GENES} are needed"
        )
    if not varies.all():
        notes.append(f"{int((~varies).sum()):,} genes with the same value in all samples were dropped.")
        X = X[:, varies]
        genes = [name for name, kept in zip(genes, varies, strict=True) if kept]
    return Prepared(X, genes, units, notes)


def class_labels(adata: "ad.AnnData", label: str, *, min_class_size: int | None = None) -> Labels:
    """Number the classes of a label.

    Parameters
    ----------
    adata
        As `read_expression` gives it.
    label
        Column of `obs`.
    min_class_size
        Classes with fewer samples count as unlabelled; None accepts classes of any size.

    Raises
    ------
    ValueError
        If there is no such column, it has a single class, or more classes than a class label has.
    """
    labels = number_classes(label_of(adata, label), label, min_class_size=min_class_size)
    n_unlabelled = int((labels.codes < 0).sum())
    if n_unlabelled:
        labels.notes.append(f"{n_unlabelled:,} samples have no label; no class is learned from them.")
    return labels


def number_classes(text: "pd.Series[str]", label: str, *, min_class_size: int | None = None) -> Labels:
    """Number the classes of a column of text, as `class_labels` does.

    Parameters
    ----------
    text
        NaN where there is no label.
    label
        Its name, for messages.
    min_class_size
        As in `class_labels`.
    """
    sizes = text.value_counts()
    notes = []
    if min_class_size is not None:
        if min_class_size < _SMALLEST_SPLIT:
            raise ValueError(f"min_class_size must be at least {_SMALLEST_SPLIT}, found {min_class_size}")
        small = sizes[sizes < min_class_size]
        if len(small):
            listed = ", ".join(f"{name} ({size})" for name, size in sorted(small.items()))
            notes.append(
                f"{len(small)} classes with fewer than {min_class_size} samples count as unlabelled: {listed}."
            )
            text = text.where(~text.isin(small.index))
            sizes = sizes.drop(small.index)
    if len(sizes) < 2:
        found = "none" if len(sizes) == 0 else f"one only, {sizes.index[0]!r}"
        raise ValueError(f"label {label!r} needs at least two classes, found {found}; choose another label")
    if len(sizes) > max(2, text.notna().sum() / 2):
        raise ValueError(
            f"label {label!r} has {len(sizes)} different values in {text.notna().sum()} samples: that is no class "
            "label; choose another column"
        )
    classes = sorted(sizes.index)
    alike = pd.Series(classes).groupby([" ".join(name.casefold().split()) for name in classes]).agg(list)
    notes += [
        f"The classes {some(names)} of {label!r} differ in capitals or blanks alone: are they one?"
        for names in alike
        if len(names) > 1
    ]
    codes = pd.Categorical(text, categories=classes).codes.astype(np.int64)
    return Labels(classes, codes, notes)


def check_class_sizes(label: str, labels: Labels) -> None:
    """Refuse classes that are too small to be in training, validation and test, unless the user let them in.

    Raises
    ------
    ValueError
        Names the smallest class.
    """
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.classes))
    smallest = int(sizes.argmin())
    if sizes[smallest] < MIN_CLASS_SIZE:
        raise ValueError(
            f"label {label!r} has {sizes[smallest]} samples of class {labels.classes[smallest]!r} but the split needs "
            f"at least {MIN_CLASS_SIZE}; merge classes, pass --min-class-size {MIN_CLASS_SIZE} to count smaller ones "
            f"as unlabelled, or a smaller --min-class-size (3 or more) to accept them as they are"
        )


def check_class_groups(labels: Labels, groups: NDArray[np.int64], group: str) -> None:
    """Refuse classes whose samples belong to too few groups to be in training, validation and test.

    Raises
    ------
    ValueError
        Names the class and the number of its groups.
    """
    for code, name in enumerate(labels.classes):
        n_groups = len(np.unique(groups[labels.codes == code]))
        if n_groups < _SMALLEST_SPLIT:
            raise ValueError(
                f"class {name!r} has samples of {n_groups} {group!r} only, but training, validation and test need one "
                "each; choose another --group or --identity, or leave the class out with a larger --min-class-size"
            )


def group_numbers(adata: "ad.AnnData", group: str) -> tuple[NDArray[np.int64], str]:
    """Number the groups, such as patients, of a column; a sample without one is a group of its own.

    Returns
    -------
    numbers, sentence
        ``(n_samples,)``, and how many groups there are.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    text = label_of(adata, group)
    numbers = pd.factorize(text)[0].astype(np.int64)
    alone = numbers < 0
    numbers[alone] = numbers.max() + 1 + np.arange(alone.sum())
    n_groups = len(np.unique(numbers))
    return numbers, f"{len(numbers):,} samples belong to {n_groups:,} different {group!r}; those of one stay together."
