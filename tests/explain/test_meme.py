"""Files of motifs come back as they were written; broken ones are refused in one line that says where."""

import numpy as np
import pytest

from oligolearn.explain import Motif, meme_text, motif_of, read_meme, write_meme

GOOD = """MEME version 4

ALPHABET= ACGT

MOTIF MA1 BOX

letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
 0.1 0.2\t0.3 0.4
 1.0 0.0 0.0 0.0

URL http://example.org

MOTIF MA2
letter-probability matrix: alength= 4
0.25 0.25 0.25 0.25
"""


def test_what_other_programs_write_before_the_alphabet_is_read(tmp_path):
    path = tmp_path / "dreme.meme"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("ALPHABET= ACGT", 'ALPHABET "DNA" DNA-LIKE').encode())
    plain = tmp_path / "plain.meme"
    plain.write_text(GOOD)
    assert [one.name for one in read_meme(path)] == [one.name for one in read_meme(plain)]


@pytest.mark.parametrize("letters", ["ACGT", "ACGU", "ACDEFGHIKLMNPQRSTVWY"])
def test_what_is_written_is_read(tmp_path, letters):
    rng = np.random.default_rng(0)
    motifs = [
        Motif(f"filter{i}", letters, rng.dirichlet(np.ones(len(letters)), i + 3), 10 + i, "other" * (i % 2))
        for i in range(4)
    ]
    write_meme(tmp_path / "m.meme", motifs)
    again = read_meme(tmp_path / "m.meme")
    assert [one._replace(probabilities=0) for one in again] == [one._replace(probabilities=0) for one in motifs]
    for one, other in zip(motifs, again, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=2e-6)


def test_names_widths_and_defaults_are_understood(tmp_path):
    (tmp_path / "m.meme").write_text(GOOD)
    first, second = read_meme(tmp_path / "m.meme")
    assert (first.name, first.other_name, first.n_sites) == ("MA1", "BOX", 20)
    assert first.probabilities.tolist() == [[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0]]
    assert (second.name, second.other_name, second.n_sites, len(second.probabilities)) == ("MA2", "", 0, 1)


def test_jaspar_is_read(shared_data):
    motifs = read_meme(shared_data / "sequence" / "jaspar2016_vertebrates.meme")
    assert len(motifs) == 519
    usf1 = next(one for one in motifs if one.other_name == "USF1")
    assert "CACGTG" in usf1.consensus.upper()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is not in MEME format: no line begins with 'MEME version'"),
        (">a\nACGT\n", "is not in MEME format"),
        ("MEME version 4\n", "has no motifs"),
        (GOOD.replace("ALPHABET= ACGT", "ALPHABET= ACGTM"), "has the alphabet 'ACGTM'"),
        (
            GOOD.replace(" 1.0 0.0 0.0 0.0\n", ""),
            "line 7: the matrix of motif 'MA1' needs 2 rows of 4 numbers, found 1",
        ),
        (GOOD.replace("0.3 0.4", "0.3"), "motif 'MA1' needs 2 rows of 4 numbers, found 1"),
        (GOOD.replace("0.3 0.4", "0.3 0.9"), "is not one of probabilities: a row sums to 1.5"),
        (GOOD.replace("0.3 0.4", "0.3 1e"), "what is no number"),
        (GOOD.rsplit("letter", 1)[0], "is cut off: motif 'MA2' has no letter-probability matrix"),
        (GOOD.replace("letter-probability matrix: alength= 4 w= 2", "matrix"), "motif 'MA1' has no letter-probability"),
        (GOOD.replace("MOTIF MA2", "MOTIF"), "MOTIF needs a name"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, text, expected):
    (tmp_path / "m.meme").write_text(text)
    with pytest.raises(ValueError) as refused:
        read_meme(tmp_path / "m.meme")
    assert expected in str(refused.value)
    assert "m.meme" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_meme(tmp_path / "no.meme")
    (tmp_path / "z.meme").write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(ValueError, match="is not text"):
        read_meme(tmp_path / "z.meme")
    with pytest.raises(ValueError, match="motifs of one alphabet"):
        meme_text([])
    with pytest.raises(ValueError, match="found ACGT-"):
        meme_text([motif_of("a", "ACGT-", np.ones((3, 5)))])
