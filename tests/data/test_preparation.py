"""From AnnData to a matrix, class numbers and group numbers; what is left out is said."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.data import (
    check_class_sizes,
    class_labels,
    group_numbers,
    is_number,
    label_of,
    numbers_of,
    prepare_expression,
)
from oligolearn.data.splits import MIN_CLASS_SIZE


def cohort(n_samples: int = 12, n_genes: int = 6, **obs: object) -> ad.AnnData:
    rng = np.random.default_rng(0)
    X = rng.normal(7, 1, size=(n_samples, n_genes)).astype(np.float32)
    return ad.AnnData(
        X,
        obs=pd.DataFrame(obs, index=[f"s{i}" for i in range(n_samples)]),
        var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]),
    )


def test_constant_genes_are_dropped_with_a_count_and_the_others_kept_in_order() -> None:
    adata = cohort()
    adata.X[:, 1] = 3.0
    adata.X[:, 4] = 3.0
    adata.X[2, 4] = np.nan  # the same wherever it is known
    prepared = prepare_expression(adata)
    assert prepared.genes == ["g0", "g2", "g3", "g5"]
    np.testing.assert_array_equal(prepared.X, adata.X[:, [0, 2, 3, 5]])
    assert "2 genes with the same value in all samples were dropped." in prepared.notes


def test_counts_become_log_cpm_of_all_genes_including_those_dropped_later() -> None:
    counts = np.random.default_rng(0).poisson(50, size=(8, 5)).astype(np.float32)
    counts[:, 2] = 0
    adata = ad.AnnData(counts)
    prepared = prepare_expression(adata)
    assert prepared.units == "counts"
    expected = np.log2(counts / counts.sum(axis=1, keepdims=True) * 1e6 + 1)
    np.testing.assert_allclose(prepared.X, np.delete(expected, 2, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(adata.X, counts)


def test_a_sample_is_prepared_the_same_whatever_the_others() -> None:
    adata = ad.AnnData(np.random.default_rng(1).poisson(30, size=(20, 9)).astype(np.float32))
    whole = prepare_expression(adata).X
    np.testing.assert_array_equal(prepare_expression(adata[3:9].copy()).X, whole[3:9])


def test_missing_values_stay_missing_up_to_the_limit() -> None:
    adata = cohort()
    adata.X[:4, 2] = np.nan
    prepared = prepare_expression(adata, max_missing=0.34)
    assert np.isnan(prepared.X[:, 2]).sum() == 4
    assert any("filled with the mean of the training samples" in note for note in prepared.notes)
    with pytest.raises(ValueError, match=r"1 of 6 genes miss more than 33% .*g2 33.3%"):
        prepare_expression(adata, max_missing=0.33)


@pytest.mark.parametrize("n_varying", [0, 1])
def test_fewer_than_two_genes_that_vary_are_refused(n_varying: int) -> None:
    adata = cohort()
    adata.X[:, n_varying:] = 1.5
    with pytest.raises(ValueError, match=f"{n_varying} of 6 genes vary between samples; at least 2 are needed"):
        prepare_expression(adata)


def test_classes_are_numbered_in_order_of_their_names() -> None:
    labels = class_labels(cohort(kind=["b", "a", None, "c"] * 3), "kind")
    assert labels.classes == ["a", "b", "c"]
    assert labels.codes.tolist() == [1, 0, -1, 2] * 3
    assert labels.notes == ["3 samples have no label; no class is learned from them."]


def test_classes_that_differ_in_capitals_are_remarked_on() -> None:
    labels = class_labels(cohort(y=["Tumour", "tumour ", "TUMOUR", "b  c", "b c", "normal"] * 2), "y")
    assert [note for note in labels.notes if "capitals" in note] == [
        "The classes 'b  c', 'b c' of 'y' differ in capitals or blanks alone: are they one?",
        "The classes 'TUMOUR', 'Tumour', 'tumour ' of 'y' differ in capitals or blanks alone: are they one?",
    ]
    assert not class_labels(cohort(y=["a", "b", "c"] * 4), "y").notes


def test_small_classes_count_as_unlabelled_and_are_named() -> None:
    labels = class_labels(cohort(kind=["a"] * 5 + ["b"] * 4 + ["c"] * 3), "kind", min_class_size=4)
    assert labels.classes == ["a", "b"]
    assert labels.codes.tolist() == [0] * 5 + [1] * 4 + [-1] * 3
    assert labels.notes[0] == "1 classes with fewer than 4 samples count as unlabelled: c (3)."
    assert len(class_labels(cohort(kind=["a"] * 5 + ["b"] * 4 + ["c"] * 3), "kind").classes) == 3


def test_numbers_and_categories_are_labels_too() -> None:
    assert class_labels(cohort(stage=[1.0, 2.0, np.nan] * 4), "stage").classes == ["1", "2"]
    assert class_labels(cohort(sick=[True, False] * 6), "sick").classes == ["False", "True"]
    categories = pd.Categorical(["x", "y"] * 6, categories=["unused", "y", "x"])
    labels = class_labels(cohort(kind=categories), "kind")
    assert labels.classes == ["x", "y"]
    assert labels.codes.tolist() == [0, 1] * 6


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["a"] * 12, "needs at least two classes, found one only, 'a'"),
        ([f"patient {i}" for i in range(12)], "12 different values in 12 samples: that is no class label"),
        ([None] * 12, "is empty in all 12 samples"),
    ],
)
def test_a_column_that_is_no_label_is_refused(column: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_labels(cohort(kind=column), "kind")


def test_an_unknown_label_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no column 'stage' .* the columns are: kind, batch"):
        class_labels(cohort(kind=["a", "b"] * 6, batch=1), "stage")


def test_when_all_classes_are_too_small_none_is_left() -> None:
    with pytest.raises(ValueError, match="at least two classes, found none"):
        class_labels(cohort(kind=["a", "b", "c"] * 4), "kind", min_class_size=5)
    with pytest.raises(ValueError, match="min_class_size must be at least 3, found 2"):
        class_labels(cohort(kind=["a", "b", "c"] * 4), "kind", min_class_size=2)


def test_a_class_too_small_for_the_split_is_named_with_a_way_out() -> None:
    kinds = ["a"] * 30 + ["b"] * (MIN_CLASS_SIZE - 1)
    labels = class_labels(cohort(len(kinds), kind=kinds), "kind")
    with pytest.raises(ValueError, match=f"has {MIN_CLASS_SIZE - 1} samples of class 'b' but the split needs at least"):
        check_class_sizes("kind", labels)
    enough = class_labels(cohort(len(kinds) + 1, kind=[*kinds, "b"]), "kind")
    check_class_sizes("kind", enough)


def test_samples_of_a_group_share_a_number_and_others_have_their_own() -> None:
    patients = ["p2", "p1", None, "p2", None, "p1"] * 2
    numbers, sentence = group_numbers(cohort(patient=patients), "patient")
    known = np.array([name is not None for name in patients])
    assert len(set(numbers)) == 2 + 4
    assert len(set(numbers[~known])) == 4
    assert not set(numbers[known]) & set(numbers[~known])
    assert numbers[0] == numbers[3] != numbers[1] == numbers[5]
    assert sentence == "12 samples belong to 6 different 'patient'; those of one stay together."


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ([*range(21), np.nan], True),
        ([f"{number}.5" for number in range(21)] + [" "], True),
        ([*range(20), 3, np.nan], False),  # 20 different ones name classes
        ([*(str(number) for number in range(21)), "unknown"], False),
    ],
)
def test_more_than_twenty_different_numbers_and_nothing_else_are_a_number(column: list[object], wanted: bool) -> None:
    assert is_number(label_of(cohort(22, age=column), "age")) == wanted


def test_numbers_are_read_and_what_is_none_is_counted() -> None:
    numbers, notes = numbers_of(cohort(5, age=["61.5", "7", "unknown", "", None]), "age")
    np.testing.assert_array_equal(numbers, [61.5, 7, np.nan, np.nan, np.nan])
    assert notes == [
        "1 samples whose 'age' is no number ('unknown') count as having none.",
        "3 samples have no 'age'.",
    ]
    with pytest.raises(ValueError, match="label 'age' has 1 infinite values; leave those cells empty"):
        numbers_of(cohort(2, age=["inf", "1"]), "age")
