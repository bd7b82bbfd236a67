"""Labels of which a sequence may have several: from columns, cells, headers and sheets."""

import numpy as np
import pytest

from oligolearn.data import encode_sequences, inspect_sequences, read_sequences
from oligolearn.data.multi_label import large_labels, several_labels, values_of_label

ROWS = ["1,0,yes,nucleus;membrane", "0,1,NO,membrane", "1,,no,;", "0,1,true,", "1,0,False,nucleus ; golgi"]


@pytest.fixture
def sequences(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"s{i},ACGTACGTA{'ACGTT'[i]},{row}" for i, row in enumerate(ROWS)]
    path.write_text("\n".join(["id,sequence,kinase,membrane,secreted,place", *lines]))
    return read_sequences(path)


def test_columns_of_yes_and_no_are_labels_and_empty_cells_are_not_known(sequences):
    found = several_labels(sequences, "kinase, membrane,secreted")
    assert found is not None
    assert list(found.columns) == ["kinase", "membrane", "secreted"]
    expected = [[1, 0, 1], [0, 1, 0], [1, np.nan, 0], [0, 1, 1], [1, 0, 0]]
    np.testing.assert_array_equal(found.to_numpy(), expected)
    kept = large_labels(found, "all")
    assert kept.notes[-1] == "1 cells of labelled sequences are empty: nothing is learned from them."


def test_names_in_a_cell_are_labels_and_a_separator_alone_is_none_of_them(sequences):
    found = several_labels(sequences, "place", ";")
    assert found is not None
    assert list(found.columns) == ["golgi", "membrane", "nucleus"]
    expected = [[0, 1, 1], [0, 1, 0], [0, 0, 0], [np.nan] * 3, [1, 0, 1]]
    np.testing.assert_array_equal(found.to_numpy(), expected)
    assert values_of_label(sequences, "place", "nucleus", ";").tolist()[:3] == [1, 0, 0]
    assert values_of_label(sequences, "kinase", "any name").tolist() == [1, 0, 1, 0, 1]


def test_one_label_is_left_to_others(sequences):
    assert several_labels(sequences, "kinase") is None
    sequences.obs["a,b"] = "x"
    assert several_labels(sequences, "a,b") is None, "a column may have a comma in its name"


def test_headers_and_sheets_have_labels_too(tmp_path):
    (tmp_path / "t.fa").write_text(">p1 kinase=1 membrane=0\nACGT\n>p2 kinase=0 membrane=1\nACGG\n")
    (tmp_path / "s.csv").write_text("id,place\np1,a|b\np2,b\n")
    read = read_sequences(tmp_path / "t.fa", samples=tmp_path / "s.csv")
    in_header, in_sheet = several_labels(read, "kinase,membrane"), several_labels(read, "place", "|")
    assert in_header is not None
    assert in_sheet is not None
    assert in_header.to_numpy().tolist() == [[1, 0], [0, 1]]
    assert in_sheet.to_numpy().tolist() == [[1, 1], [0, 1]]


def test_small_labels_are_refused_or_left_out(sequences):
    found = several_labels(sequences, "place", ";")
    assert found is not None
    with pytest.raises(ValueError, match=r"'golgi' is 1 for 1 sequences and 0 for 3.*--min-class-size 2") as caught:
        large_labels(found, "place")
    assert "\n" not in str(caught.value)
    kept = large_labels(found, "place", min_class_size=2)
    assert list(kept.values.columns) == ["membrane", "nucleus"]
    assert kept.notes[1] == "1 labels that fewer than 2 sequences have, or have not, are left out: 'golgi (1)'."
    with pytest.raises(ValueError, match="0 of the 3 labels of 'place' are 1 for at least 3 sequences"):
        large_labels(found, "place", min_class_size=3)


@pytest.mark.parametrize(
    ("label", "separator", "expected"),
    [
        ("kinase,place", None, "column 'place' must say 1 or 0"),
        ("kinase,kinase", None, "different names of columns between commas"),
        ("kinase,", None, "different names of columns between commas"),
        ("kinase,bond", None, "no column 'bond' to use"),
        ("place", "x", "--separator must be what stands between names"),
        ("place", " ", "--separator must be what stands between names"),
        ("kinase", ";", "--separator out for one label"),
    ],
)
def test_what_is_no_set_of_labels_is_refused_in_one_line(sequences, label, separator, expected):
    sequences.obs["kinase"] = sequences.obs["kinase"].replace(0, np.nan)
    with pytest.raises(ValueError, match=expected) as caught:
        several_labels(sequences, label, separator)
    assert "\n" not in str(caught.value)


def test_too_many_names_are_refused():
    texts = encode_sequences(["ACGT"] * 3)
    texts.obs["place"] = [";".join(f"n{i}" for i in range(501)), "n1", "n2"]
    with pytest.raises(ValueError, match="501 different names"):
        several_labels(texts, "place", ";")


def test_inspect_counts_each_label_among_those_where_it_is_known(sequences):
    found = inspect_sequences(sequences, "t.csv", "kinase,membrane")
    assert found["label"]["classes"] == {"kinase": 3, "membrane": 2}
    assert found["label"]["known"] == {"kinase": 5, "membrane": 4}
    assert "1 sequences are there several times with different labels." in found["warnings"]
    by_cell = inspect_sequences(sequences, "t.csv", "place", separator=";")["label"]
    assert by_cell["n_unlabelled"] == 1
    assert by_cell["classes"] == {"golgi": 1, "membrane": 2, "nucleus": 2}
