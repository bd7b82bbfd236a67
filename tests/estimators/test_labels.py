"""Labels of every kind, with every way to say that there is none."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.multiclass import check_classification_targets

from oligolearn.estimators.baselines import SubspaceLogisticRegression
from oligolearn.estimators.labels import encode_labels

NAN = float("nan")


@pytest.mark.parametrize(
    "y",
    [
        [1, 0, None, 1],
        [1.0, 0.0, NAN, 1.0],
        np.array([1, 0, np.nan, 1]),
        np.array([1, 0, None, 1], dtype=object),
        np.array([1, 0, NAN, 1], dtype=object),
        pd.Series([1, 0, None, 1]),
        pd.Series([1, 0, pd.NA, 1], dtype="Int64"),
        pd.Series([1, 0, None, 1], dtype="category"),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_numbers_with_a_missing_one(y: Any) -> None:
    classes, codes = encode_labels(y)
    assert classes.tolist() == [0, 1]
    assert codes.tolist() == [1, 0, -1, 1]


@pytest.mark.parametrize(
    "y",
    [
        ["b", "a", None, "b"],
        ["b", "a", NAN, "b"],
        ("b", "a", None, "b"),
        np.array(["b", "a", None, "b"], dtype=object),
        np.array(["b", "a", NAN, "b"], dtype=object),
        pd.Series(["b", "a", None, "b"]),
        pd.Series(["b", "a", pd.NA, "b"], dtype="string"),
        pd.Series(["b", "a", None, "b"], dtype="category"),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_texts_with_a_missing_one(y: Any) -> None:
    classes, codes = encode_labels(y)
    assert classes.tolist() == ["a", "b"]
    assert codes.tolist() == [1, 0, -1, 1]


def test_truth_values_are_classes() -> None:
    classes, codes = encode_labels([True, None, False])
    assert classes.tolist() == [False, True]
    assert codes.tolist() == [1, -1, 0]


def test_minus_one_is_a_class_unless_it_is_said_to_mean_unlabelled() -> None:
    y = np.array([-1, 1, -1, 1])
    classes, codes = encode_labels(y)
    assert classes.tolist() == [-1, 1]
    assert codes.tolist() == [0, 1, 0, 1]
    classes, codes = encode_labels(np.array([-1, 5, 3]), unlabelled=-1)
    assert classes.tolist() == [3, 5]
    assert codes.tolist() == [-1, 1, 0]


def test_a_word_may_mean_unlabelled() -> None:
    classes, codes = encode_labels(["a", "unknown", "b", None], unlabelled="unknown")
    assert classes.tolist() == ["a", "b"]
    assert codes.tolist() == [0, -1, 1, -1]


def test_classes_keep_their_type_and_order() -> None:
    classes, codes = encode_labels(np.array([10, 9, 10], dtype=np.int16))
    assert classes.tolist() == [9, 10]
    assert np.issubdtype(classes.dtype, np.integer)
    assert classes[codes].tolist() == [10, 9, 10]
    assert encode_labels(["10", "9"])[0].tolist() == ["10", "9"]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([NAN, NAN], "2 rows and no label"),
        ([None, None, None], "3 rows and no label"),
        (["a", "a", None], "one class only, 'a'"),
        ([0.5, 1.5, 2.25], "continuous"),
        ([0.0, np.inf, 1.0], "infinity"),
        (np.array([[0, 1], [1, 0]]), "1d array"),
        (["a", 1, None], "mixes text and numbers"),
    ],
)
def test_what_is_no_class_label_is_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_labels(y)


def test_few_samples_of_many_classes_are_no_reason_to_warn() -> None:
    y = np.arange(21) % 12
    with pytest.warns(UserWarning, match="number of unique classes"):
        check_classification_targets(y)  # scikit-learn's own check
    assert len(encode_labels(y)[0]) == 12
    X = np.random.default_rng(0).normal(size=(21, 30))
    assert SubspaceLogisticRegression().fit(X, y).coef_.shape == (12, 30)
