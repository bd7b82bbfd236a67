"""Sequences of several files as one set."""

import numpy as np
import pytest

from oligolearn.data import read_sequence_files, read_sequences


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.fa").write_text(">x\nACGTAC\n>y\nACGTTTGC\n")
    (tmp_path / "b.csv").write_text("id,sequence,y\nx,GGGTTTACC,1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.fa").write_text(">z\nTTTTACGT\n")
    (tmp_path / "p.fa").write_text(">p\nMKVLEEPW\n")
    (tmp_path / "gaps.fa").write_text(">g\nAC-GTA\n>h\nACCGTA\n")
    (tmp_path / "more.fa").write_text(">g\nAC-GTAA\n>h\nACCGTAA\n")
    return tmp_path


def test_files_follow_each_other_and_ids_say_which(folder):
    both = read_sequence_files([folder / "a.fa", folder / "b.csv"])
    assert both.texts() == ["ACGTAC", "ACGTTTGC", "GGGTTTACC"]
    assert both.ids == ["a.fa:x", "a.fa:y", "b.csv:x"]
    assert both.offsets.tolist() == [0, 6, 14, 23]
    assert [note.split(":")[0] for note in both.notes] == ["a.fa", "b.csv"]
    np.testing.assert_array_equal(both.padded()[2], read_sequences(folder / "b.csv").padded()[0])
    alike = read_sequence_files([folder / "a.fa", folder / "sub" / "a.fa"])
    assert len(set(alike.ids)) == 3
    assert alike.ids[2].endswith("sub/a.fa:z")


def test_one_file_is_what_it_is(folder):
    one = read_sequence_files([folder / "b.csv"])
    assert one.ids == ["x"]
    assert list(one.obs.columns) == ["y"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.fa", "p.fa"], "a.fa was read as dna and p.fa as protein; give files of one kind, or say which"),
        (["a.fa", "gaps.fa"], "gaps.fa is an alignment with gaps and a.fa is not"),
        (["gaps.fa", "a.fa"], "gaps.fa is an alignment with gaps and a.fa is not"),
        (["gaps.fa", "more.fa"], "gaps.fa is an alignment of 6 columns and more.fa of 7"),
        (["a.fa", "b.csv", "sub/../a.fa"], "is given twice"),
        (["a.fa", "no.fa"], "does not exist"),
    ],
)
def test_files_that_do_not_go_together_are_refused_in_one_line(folder, names, expected):
    with pytest.raises((ValueError, FileNotFoundError), match=expected) as caught:
        read_sequence_files([folder / name for name in names])
    assert "\n" not in str(caught.value)
