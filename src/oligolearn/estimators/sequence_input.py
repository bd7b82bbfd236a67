"""What users give as sequences, as codes; and rows that are held out without leaking."""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold

from oligolearn.data import Alphabet, Sequences, encode_sequences, leak_free_groups
from oligolearn.data.sequence_groups import joined_groups
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
        If they were read as DNA or RNA and the model is one of protein, or the other way round; or as `as_sequences`.
    """
    if isinstance(X, Sequences) and (X.alphabet.complement is None) != (alphabet.complement is None):
        raise ValueError(
            f"the model reads {alphabet.name}, found sequences of {X.alphabet.name}; give it {alphabet.name}"
        )
    return as_sequences(X, alphabet.name, aligned=alphabet.has_gap)


def independent_groups(sequences: Sequences, groups: ArrayLike | None) -> NDArray[np.int64]:
    """Groups that a hold-out must not part: copies, and what the user says."""
    copies, _ = leak_free_groups(sequences)
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

    Classes are stratified, other numbers by fifths, several labels at once by the rarest that a row has.

    Raises
    ------
    ValueError
        If the fraction is out of range, or there are too few rows.
    """
    if not 0 < fraction <= 0.5:
        raise ValueError(f"validation_fraction must lie above 0 and up to 0.5, found {fraction}")
    n_parts = round(1 / fraction)
    if len(np.unique(groups)) < 2 * n_parts:
        raise ValueError(
            f"holding out one row in {n_parts} needs at least {2 * n_parts} different sequences or groups, found "
            f"{len(np.unique(groups))}; name an encoder (--encoder), and leave early stopping out"
        )
    strata = target
    if target.ndim == 2:
        strata = rarest_label(target)
    elif target.dtype.kind == "f":
        strata = np.searchsorted(np.quantile(target, [0.2, 0.4, 0.6, 0.8]), target)
    if np.unique(strata, return_counts=True)[1].max() < n_parts:  # classes too small to be in every part
        strata = np.zeros(len(target), dtype=int)
    with few_of_each_class():
        folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
        train, held_out = next(folds.split(strata, strata, groups))
    return train, held_out


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
