"""Labels as users bring them: some rows have none."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

UNLABELLED = -1
MANY_CLASSES = "The number of unique classes is greater than 50%"  # how a warning of scikit-learn begins


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


def check_are_classes(y: ArrayLike) -> None:
    """Refuse numbers that are no classes, as scikit-learn does, but take few samples of many classes for granted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MANY_CLASSES)
        check_classification_targets(y)


def _is_mixed(y: ArrayLike) -> bool:
    """Whether NumPy would turn labels and missing values into one type, such as the text 'nan'."""
    return isinstance(y, list | tuple) and any(label is None or isinstance(label, float) for label in y)
