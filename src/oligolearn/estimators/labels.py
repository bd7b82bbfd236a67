"""Labels as users bring them: some rows have none."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

UNLABELLED = -1


def encode_labels(y: ArrayLike, unlabelled: Any = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Number the classes of `y`.

    Parameters
    ----------
    y
        Labels ``(n_samples,)``; NaN and None mark unlabelled rows.
    unlabelled
        One more value that marks them, such as -1.

    Returns
    -------
    classes
        Sorted labels.
    codes
        Class number of each row, -1 where unlabelled.

    Raises
    ------
    ValueError
        If there are no labels, a single class, or values that are no classes (continuous or infinite).

    Examples
    --------
    >>> encode_labels(["b", None, "a", "b"])
    (array(['a', 'b'], dtype=object), array([ 1, -1,  0,  1]))
    """
    values = column_or_1d(np.asarray(y, dtype=object) if _is_mixed(y) else y, warn=True)
    missing = np.asarray(pd.isna(values))
    if unlabelled is not None:
        missing = missing | np.asarray(values == unlabelled)
    known = values[~missing]
    if len(known) == 0:
        raise ValueError(f"y has {len(values)} rows and no label; at least two classes are needed")
    if known.dtype == object:
        texts = [isinstance(label, str) for label in known]
        if all(texts):
            known = known.astype(str).astype(object)
        elif not any(texts):
            known = np.asarray(known.tolist())  # numbers that stood beside None
        else:
            raise ValueError("y mixes text and numbers; labels must be all of one kind")
    if known.dtype.kind == "f" and np.isinf(known).any():
        raise ValueError("Input y contains infinity; labels must be classes, NaN marks unlabelled rows")
    check_are_classes(known)
    classes, numbers = np.unique(known, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has one class only, {classes.tolist()[0]!r}; at least two classes are needed")
    codes = np.full(len(values), UNLABELLED, dtype=np.int64)
    codes[~missing] = numbers
    return classes, codes


def has_several_labels(y: Any) -> bool:
    """Whether `y` has a column for each of several labels, ``(n_samples, n_labels)``, rather than one label a row.

    Examples
    --------
    >>> has_several_labels([[0, 1], [1, 1]]), has_several_labels([[0], [1]]), has_several_labels(["a", "b"])
    (True, False, False)
    """
    shape = y.shape if hasattr(y, "shape") else np.shape(np.asarray(y, dtype=object))
    return len(shape) == 2 and shape[1] > 1


def encode_several_labels(y: Any) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
    """Read several labels that a row may have at once.

    Parameters
    ----------
    y
        1 where a row has a label, 0 where it has not, NaN or None where that is not known, ``(n_samples, n_labels)``:
        array, scipy.sparse matrix, or a table, whose columns then name the labels.

    Returns
    -------
    labels
        Name or number of each, ``(n_labels,)``.
    values
        1, 0 or NaN, ``(n_samples, n_labels)``.
    labelled
        Whether anything is known of a row.

    Raises
    ------
    ValueError
        If there is anything else in it, or no label that some rows have and others have not.

    Examples
    --------
    >>> encode_several_labels(pd.DataFrame({"nucleus": [1, 0, 0], "membrane": [1, None, None]}))[2]
    array([ True,  True,  True])
    """
    names = (
        np.asarray(y.columns) if isinstance(y, pd.DataFrame) else np.arange(y.shape[1] if issparse(y) else len(y[0]))
    )
    given = pd.DataFrame(y.toarray() if issparse(y) else y)
    values = given.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    other = ~(np.isin(values, (0, 1)) | given.isna().to_numpy())
    if other.any():
        raise ValueError(
            "y with a column for each label must hold 1, 0, or NaN where a label is not known, found "
            f"{given.to_numpy(object)[other][0]!r}"
        )
    nothing = np.isnan(values).all(axis=0)
    if nothing.any():
        raise ValueError(f"of the label {names[nothing][0]!r} nothing is known, in no row; leave its column out")
    if not ((values == 0).any(axis=0) & (values == 1).any(axis=0)).any():
        raise ValueError("y has no label that some rows have (1) and others have not (0); at least one is needed")
    return names, values.astype(np.float32), ~np.isnan(values).all(axis=1)


@contextmanager
def few_of_each_class() -> Iterator[None]:
    """Keep scikit-learn from warning of classes with few samples: that labels are few is what this package is for.

    It would ask whether they are numbers to be learned by regression, and say that not every fold can have each class.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        yield


def check_are_classes(y: ArrayLike) -> None:
    """Refuse numbers that are no classes, as scikit-learn does, but take few samples of many classes for granted."""
    with few_of_each_class():
        check_classification_targets(y)


def _is_mixed(y: ArrayLike) -> bool:
    """Whether NumPy would turn labels and missing values into one type, such as the text 'nan'."""
    return isinstance(y, list | tuple) and any(label is None or isinstance(label, float) for label in y)
