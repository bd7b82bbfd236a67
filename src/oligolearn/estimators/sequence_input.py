"""What users give as sequences, as codes; and rows that are held out without leaking."""

import warnings
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold

from oligolearn.data import Alphabet, PaddingRule, Sequences, encode_sequences, leak_free_groups
from oligolearn.data.sequence_groups import joined_groups
from oligolearn.data.sequences import looks_like_nucleotides
from oligolearn.estimators.labels import few_of_each_class


def as_sequences(X: Any, alphabet: str = "auto", *, aligned: bool | None = None) -> Sequences:
    """Encode a list, array or column of texts; `Sequences` are taken as they are if their alphabet suits.

    Raises
    ------
    TypeError, ValueError
        If they are no texts, or as `oligolearn.data.encode_sequences` does.

    Examples
    --------
    >>> as_sequences(np.array([["ACG"], ["GGT"]], dtype=object)).texts()
    ['ACG', 'GGT']
    """
    if isinstance(X, Sequences):
        alike = alphabet in ("auto", X.alphabet.name) and aligned in (None, X.alphabet.has_gap)
        return X if alike else encode_sequences(X.texts(), alphabet=alphabet, aligned=aligned, ids=X.ids)
    if isinstance(X, str):
        raise TypeError(f"X must be a list of sequences, found one text {X[:20]!r}; write [X]")
    values = X if isinstance(X, list | tuple) else np.asarray(X)
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ValueError(f"X must be a list of sequences, found an array of shape {values.shape}")
    return encode_sequences(cast(Iterable[str], values), alphabet=alphabet, aligned=aligned)


def in_alphabet(X: Any, alphabet: Alphabet) -> Sequences:
    """Encode sequences as those that a model was trained on.

    Raises
    ------
    ValueError
        If they were read as DNA or RNA and the model is one of protein, or the other way round, or texts look like it;
        or as `as_sequences`.
    """
    if isinstance(X, Sequences) and (X.alphabet.complement is None) != (alphabet.complement is None):
        raise ValueError(
            f"the model reads {alphabet.name}, found sequences of {X.alphabet.name}; give it {alphabet.name}"
        )
    found = as_sequences(X, alphabet.name, aligned=alphabet.has_gap)
    likely = looks_like_nucleotides(found) if alphabet.complement is None and not isinstance(X, Sequences) else None
    if likely:
        raise ValueError(f"X looks like {likely}, and the model reads {alphabet.name}; give it {alphabet.name}")
    return found


def independent_groups(
    sequences: Sequences, groups: ArrayLike | None, read: PaddingRule | None = None
) -> NDArray[np.int64]:
    """Groups that a hold-out must not part: copies, also as they are `read`, and what the user says."""
    copies, _ = leak_free_groups(sequences, read=read)
    if groups is None:
        return copies
    given = np.asarray(groups)
    if given.shape != (len(sequences),):
        raise ValueError(f"groups must be one for each of {len(sequences)} sequences, found shape {given.shape}")
    codes = pd.factorize(given)[0].astype(np.int64)
    codes[codes < 0] = codes.max() + 1 + np.arange((codes < 0).sum())  # of whom no group is known, each is one
    return joined_groups([copies, codes])


def hold_out(
    target: NDArray[Any], groups: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that train and rows that are held out, by whole groups.

    Classes are stratified, other numbers by fifths, several labels at once by the rarest that a row has. Where groups
    are large, the parts differ in size: the first is taken that is within a fifth of what was asked for and leaves some
    rows of every class, or else the one that comes nearest; a warning says so where it is half or twice as large.

    Raises
    ------
    ValueError
        If the fraction is out of range, or there are too few rows.
    """
    if not 0 < fraction <= 0.5:
        raise ValueError(f"validation_fraction must lie above 0 and up to 0.5, found {fraction}")
    n_groups, needed = len(np.unique(groups)), 2 * round(1 / fraction) - 1
    if n_groups < needed:
        raise ValueError(
            f"holding out one row in {round(1 / fraction)} needs at least {needed} different sequences or groups, "
            f"found {n_groups}; name an encoder (--encoder), and leave early stopping out"
        )
    n_parts, n_held_out = _parts_of(fraction, n_groups)
    strata = target
    if target.ndim == 2:
        strata = rarest_label(target)
    elif target.dtype.kind == "f":
        strata = np.searchsorted(np.quantile(target, [0.2, 0.4, 0.6, 0.8]), target)
    if np.unique(strata, return_counts=True)[1].max() < n_parts:  # classes too small to be in every part
        strata = np.zeros(len(target), dtype=int)
    with few_of_each_class():
        folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
        parts = [test for _, test in folds.split(strata, strata, groups)]
    held_out = np.sort(np.concatenate(_nearest(parts, n_held_out, strata, fraction)))
    if not fraction / 2 <= len(held_out) / len(target) <= 2 * fraction:
        warnings.warn(
            f"groups are so large that {len(held_out) / len(target):.0%} of the rows are held out in place of "
            f"{fraction:.0%}",
            UserWarning,
            stacklevel=2,
        )
    return np.setdiff1d(np.arange(len(target)), held_out), held_out


def _parts_of(fraction: float, n_groups: int) -> tuple[int, int]:
    """In how many parts to cut, and how many of them make a fraction, nearly.

    >>> _parts_of(0.2, 100), _parts_of(0.15, 100), _parts_of(0.4, 100), _parts_of(0.5, 3)
    ((5, 1), (7, 1), (5, 2), (2, 1))
    """
    for n_parts in range(2, min(20, n_groups) + 1):
        n_held_out = max(1, round(fraction * n_parts))
        if abs(n_held_out / n_parts - fraction) < 0.01:
            return n_parts, n_held_out
    return max(2, int(1 / fraction)), 1


def _nearest(parts: list[NDArray[np.intp]], n: int, strata: NDArray[Any], fraction: float) -> list[NDArray[np.intp]]:
    """`n` parts in a row that hold out what is asked for, see `hold_out`."""
    n_rows, n_strata = len(strata), len(np.unique(strata))
    choices = [[parts[(first + i) % len(parts)] for i in range(n)] for first in range(len(parts))]

    def lacks(chosen: list[NDArray[np.intp]]) -> tuple[int, float]:
        rows = np.concatenate(chosen)
        off = abs(len(rows) / n_rows / fraction - 1)
        return n_strata - len(np.unique(np.delete(strata, rows))), off if off > 0.2 else 0.0

    return min(choices, key=lacks)


def rarest_label(values: NDArray[np.floating]) -> NDArray[np.intp]:
    """Number of the rarest of the labels that each row has, the number of labels where it has none.

    Stratified by it, a label that few rows have is in every part; common ones are in every part anyway.

    Parameters
    ----------
    values
        1 where a row has a label, ``(n_rows, n_labels)``.

    Examples
    --------
    >>> rarest_label(np.array([[1, 0], [1, 1], [1, np.nan], [0, 0]]))
    array([0, 1, 0, 2])
    """
    has = values == 1
    rarity = np.argsort(has.sum(axis=0), kind="stable")
    return np.where(has.any(axis=1), rarity[has[:, rarity].argmax(axis=1)], values.shape[1])


def sequence_tags(tags: Any) -> Any:
    """Tags of scikit-learn for what takes a list of texts."""
    tags.input_tags.string = True
    tags.input_tags.two_d_array = False
    tags.input_tags.one_d_array = True
    return tags
