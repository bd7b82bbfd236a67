"""Sequences: formats, alphabets, padding, and what is refused."""

import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from oligolearn.data import DNA, PROTEIN, RNA, PaddingRule, encode_sequences, read_sequences
from oligolearn.data.sequence_kinds import is_sequence_file


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def refusal(folder: Path, name: str, text: str | bytes, **options: object) -> str:
    """The message that refuses a file: one line."""
    with pytest.raises(ValueError) as caught:
        read_sequences(write(folder, name, text), **options)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    return str(caught.value)


def test_each_ambiguous_letter_is_shared_among_what_it_stands_for():
    published = {"R": "AG", "Y": "CT", "S": "GC", "W": "AT", "K": "GT", "M": "AC"}
    published |= {"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"}  # Cornish-Bowden 1985
    for letter, meant in published.items():
        row = encode_sequences([letter], alphabet="dna").one_hot()[0, 0]
        assert row.tolist() == pytest.approx([1 / len(meant) if base in meant else 0 for base in "ACGT"])
    protein = {name: encode_sequences([name], alphabet="protein").one_hot()[0, 0] for name in "XBZJ"}
    assert protein["X"].tolist() == pytest.approx([0.05] * 20)
    for name, halves in {"B": "DN", "Z": "EQ", "J": "IL"}.items():
        assert {PROTEIN.letters[i]: v for i, v in enumerate(protein[name]) if v} == {halves[0]: 0.5, halves[1]: 0.5}


@pytest.mark.parametrize("alphabet", [DNA, RNA, DNA.with_gap()])
def test_the_complement_of_a_code_means_the_complements_of_its_letters(alphabet):
    pairs = {"A": alphabet.letters[3], "C": "G", "G": "C", alphabet.letters[3]: "A", "-": "-"}
    turned = [alphabet.letters.index(pairs[letter]) for letter in alphabet.letters]
    np.testing.assert_allclose(alphabet.shares[alphabet.complement][:, turned], alphabet.shares)
    assert (alphabet.complement[alphabet.complement] == np.arange(len(alphabet.symbols))).all()
    assert alphabet.complement[0] == 0
    assert PROTEIN.complement is None


def test_one_hot_is_what_a_table_of_letters_says():
    sequences = encode_sequences(["acgtN", "GGT"])
    expected = np.zeros((2, 5, 4))
    for row, text in enumerate(["ACGTN", "GGT"]):
        for place, letter in enumerate(text):
            expected[row, place] = 0.25 if letter == "N" else [letter == base for base in "ACGT"]
    np.testing.assert_array_equal(sequences.one_hot(), expected)
    assert sequences.codes.dtype == np.uint8
    assert sequences.codes.nbytes == 8, "a byte a letter"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (PaddingRule(), ["ACGTAC", "GGT   "]),
        (PaddingRule(pad="start"), ["ACGTAC", "   GGT"]),
        (PaddingRule(8, pad="both"), [" ACGTAC ", "  GGT   "]),
        (PaddingRule(4), ["ACGT", "GGT "]),
        (PaddingRule(4, pad="start", truncate="start"), ["GTAC", " GGT"]),
        (PaddingRule(4, truncate="both"), ["CGTA", "GGT "]),
        (PaddingRule(2, truncate="both"), ["GT", "GG"]),
    ],
)
def test_padding_and_truncation_follow_the_rule(rule, expected):
    codes = encode_sequences(["ACGTAC", "GGT"]).padded(rule=rule)
    assert ["".join(DNA.symbols[code] for code in row) for row in codes] == expected
    assert (encode_sequences(["ACGTAC", "GGT"]).one_hot(rule=rule)[codes == 0] == 0).all()


def test_rules_that_are_none_are_refused():
    sequences = encode_sequences(["ACG"])
    with pytest.raises(ValueError, match="pad must be one of start, end, both, found 'left'"):
        sequences.padded(rule=PaddingRule(pad="left"))
    with pytest.raises(ValueError, match="a length of at least 1, found 0"):
        sequences.padded(rule=PaddingRule(0))


def test_taking_rows_keeps_letters_and_columns_together():
    sequences = encode_sequences(["AC", "GGGT", "T"], ids=["a", "b", "c"])
    some = sequences.take([2, 0])
    assert (some.texts(), some.ids, some.lengths.tolist()) == (["T", "AC"], ["c", "a"], [1, 2])
    assert sequences.take(np.array([False, True, False])).texts() == ["GGGT"]
    assert sequences.padded([1]).tolist() == [[3, 3, 3, 4]]


FASTA = ">s1 class=a; length=3 | source=Homo sapiens\nacgt\nRYN\n\n>s2 class=b\nTTuU\n"


@pytest.mark.parametrize("name", ["x.fa", "x.fasta.gz", "x.fna"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_fasta_of_several_lines_lower_case_and_headers_with_values(tmp_path, name, end):
    sequences = read_sequences(write(tmp_path, name, FASTA.replace("\n", end)))
    assert sequences.texts() == ["ACGTRYN", "TTTT"]
    assert sequences.ids == ["s1", "s2"]
    assert sequences.obs["class"].tolist() == ["a", "b"]
    assert sequences.obs["source"].dropna().to_dict() == {"s1": "Homo sapiens"}
    assert any("2 U are read as T" in note for note in sequences.notes)


def test_fields_between_bars_are_columns_counted_from_both_ends_where_their_number_differs(tmp_path):
    equal = read_sequences(write(tmp_path, "a.fa", ">p1|kinase|human\nMKV\n>p2|protease|mouse\nMLL\n"))
    assert equal.obs["field_2"].tolist() == ["kinase", "protease"]
    assert "field_-1" not in equal.obs
    unequal = read_sequences(write(tmp_path, "b.fa", ">gi|1|pdb|1A|human|kinase|\nMKV\n>gi|2|mouse|protease|\nMLL\n"))
    assert unequal.obs["field_-1"].tolist() == ["kinase", "protease"]
    assert unequal.label("field_2").tolist() == ["1", "2"]


def test_fastq_is_read_like_fasta_also_over_several_lines(tmp_path):
    text = "@r1 lane=2\nACG\nTT\n+r1\n!~@\nII\n@r2\nGG\n+\n@@\n"
    sequences = read_sequences(write(tmp_path, "r.fq.gz", text))
    assert sequences.texts() == ["ACGTT", "GG"]
    assert sequences.label("lane").dropna().to_dict() == {"r1": "2"}


def test_a_table_gives_its_other_columns_as_labels_and_a_sheet_adds_more(tmp_path):
    table = write(tmp_path, "t.csv", 'id,Sequence,class\nx1,ACGT,"a,b"\nx2,GGT,\n')
    sheet = write(tmp_path, "s.tsv", "name\tstage\nx2\tII\nx1\tI\n")
    sequences = read_sequences(table, samples=sheet)
    assert sequences.label("class").tolist()[0] == "a,b"
    assert sequences.label("class").isna().tolist() == [False, True]
    assert sequences.label("stage").tolist() == ["I", "II"]
    with pytest.raises(ValueError, match="no column 'grade' to use; the columns are: class, stage"):
        sequences.label("grade")


def test_places_of_a_genome_give_a_column_of_chromosomes(tmp_path):
    sequences = read_sequences(write(tmp_path, "p.fa", ">chr1:5-8(+)\nACG\n>peak::chrX:1-4\nACG\n"))
    assert sequences.obs["chromosome"].tolist() == ["chr1", "chrX"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.afa", ">r1\nMK-\nV\n>r2\nM.lI\n"),
        ("a.sto", "# STOCKHOLM 1.0\n#=GS r1 OS human\nr1 MK\nr2 M.\n\nr1 -V\nr2 lI\n//\n"),
    ],
)
def test_in_an_alignment_a_gap_is_a_letter(tmp_path, name, text):
    sequences = read_sequences(write(tmp_path, name, text), alphabet="protein")
    assert sequences.aligned
    assert sequences.texts() == ["MK-V", "M-LI"]
    assert sequences.one_hot().shape == (2, 4, 21)
    assert sequences.one_hot()[:, :, 20].tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
    opened = read_sequences(tmp_path / name, alphabet="protein", aligned=False)
    assert (opened.texts(), opened.aligned) == (["MKV", "MLI"], False)


def test_stockholm_features_are_columns(tmp_path):
    text = "# STOCKHOLM 1.0\n#=GS r1 OS Homo sapiens\n#=GC SS_cons ..\nr1 AC\nr2 GU\n//\n"
    sequences = read_sequences(write(tmp_path, "a.stk", text))
    assert sequences.obs["OS"].dropna().to_dict() == {"r1": "Homo sapiens"}
    assert sequences.alphabet.name == "rna"


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["ACGT", "NNA"], "dna"),
        (["ACGU", "AAA"], "rna"),
        (["ACGU", "ACGT"], "dna"),
        (["MKVLAAGIV"], "protein"),
        (["ACGTRYKN"], "dna"),
        (["MKRWSVHD"], "protein"),
    ],
)
def test_alphabets_are_told_apart_and_can_be_set(texts, name):
    found = encode_sequences(texts)
    assert found.alphabet.name == name
    assert any(note.startswith("Read as") for note in found.notes)
    assert encode_sequences(["ACGT"], alphabet="protein").alphabet.name == "protein"
    assert encode_sequences(["ACGT"], alphabet="rna").texts() == ["ACGU"]


def test_a_stop_at_the_end_of_a_protein_is_left_out():
    assert encode_sequences(["MKVLI*", "MLLPW"]).texts() == ["MKVLI", "MLLPW"]
    with pytest.raises(ValueError, match="has '\\*' at position 3"):
        encode_sequences(["MK*VLI"])


def test_wrong_letters_are_named_with_record_and_position(tmp_path):
    said = refusal(tmp_path, "x.fa", ">s1\nACGT\n>s2\nAC!GTACGTACGTACGTACGTACGTACGTAC\n")
    assert "sequence 's2' has '!' at position 3, which is no letter of DNA" in said
    said = refusal(tmp_path, "p.faa", ">p1\nMKVLEPQ\n", alphabet="dna")
    assert "'p1' has 'L' at position 4" in said
    assert "this looks like protein" in said
    assert "give alphabet 'protein'" in said
    with pytest.raises(ValueError, match="unknown alphabet 'DNS'; choose auto, dna, rna, protein"):
        encode_sequences(["ACGT"], alphabet="DNS")
    with pytest.raises(TypeError, match="must be texts such as 'ACGT', found int"):
        encode_sequences(["ACGT", 3])


def test_empty_records_repeated_ids_and_unequal_rows_are_refused(tmp_path):
    assert "1 of 2 sequences are empty ('s2')" in refusal(tmp_path, "e.fa", ">s1\nACG\n>s2\n")
    assert "1 of 2 sequences are empty ('row_2')" in refusal(tmp_path, "e.tsv", "sequence\ty\nACG\t1\n\t2\n")
    assert "1 id(s) name records that differ ('s1')" in refusal(tmp_path, "d.fa", ">s1\nACG\n>s1\nACT\n")
    assert "'a' has 3 letters and 'b' has 4" in refusal(tmp_path, "m.fa", ">a\nA-C\n>b\nACGT\n")
    assert "'a' has 3 letters and 'b' has 4" in refusal(tmp_path, "m.fa", ">a\nAGC\n>b\nACGT\n", aligned=True)
    assert "nothing but gaps" in refusal(tmp_path, "g.fa", ">a\n---\n>b\nACG\n", aligned=False)


def test_records_that_are_there_twice_alike_are_numbered(tmp_path):
    sequences = read_sequences(write(tmp_path, "d.fa", ">s1 y=1\nACG\n>s2 y=1\nACG\n>s1 y=1\nacg\n"))
    assert sequences.ids == ["s1", "s2", "s1.2"]
    assert any("1 records are exact copies of others" in note for note in sequences.notes)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.fa", "ACGT\n>s\nA\n", "line 1: expected '>' and a name, as FASTA has it, found 'ACGT'"),
        ("a.fa", ">\nACGT\n", "line 1: a '>' without a name"),
        ("a.fq", ">s\nACGT\n", "line 1: expected '@' and a name"),
        ("a.fq", "@r1\nACGT\n+\nIII\n", "'r1' has 4 letters and 3 qualities"),
        ("a.fq", "@r1\nACGT\n+\nIIIII\n", "'r1' has 4 letters and 5 qualities"),
        ("a.fq", "@r1\nACGT\n+\nII\x07I\n", "byte 0x07 of sequence 'r1' is no quality"),
        ("a.fq", "@r1\nACGT\n", "'r1' has no '+' and no qualities"),
        ("a.sto", "r1 ACG\n", "expected '# STOCKHOLM 1.0' in line 1"),
        ("a.sto", "# STOCKHOLM 1.0\nr1 ACG\n", "cut short"),
        ("a.tsv", "id\tseq\nx\tACG\n", "has no column 'sequence'; its columns are: 'id', 'seq'"),
        ("a.tsv", "id\tsequence\nx\tACG\t1\n", "line 2: 3 fields where the header has 2"),
        ("a.tsv", "id\tsequence\n", "a header but no rows"),
        ("a.tsv", "x" * 200_000, "has no column 'sequence'"),
        ("a.tsv", 'id\tsequence\nx\t"' + "A" * 200_000 + '"\n', "write long fields without quotes"),
        ("a.doc", "ACG", "files of sequences end in .fasta"),
    ],
)
def test_files_that_are_not_what_their_name_says_are_refused(tmp_path, name, text, expected):
    said = refusal(tmp_path, name, text)
    assert expected in said
    assert len(said) < 500


def test_a_truncated_gzip_is_refused(tmp_path):
    whole = gzip.compress(
        b"".join(b">s%d\n%s\n" % (i, bytes(np.random.default_rng(i).choice(list(b"ACGT"), 200))) for i in range(999))
    )
    (tmp_path / "cut.fa.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.fa\.gz is cut short"):
        read_sequences(tmp_path / "cut.fa.gz")


def test_a_line_of_many_megabytes_is_read_in_linear_time(tmp_path):
    """One line of 48 MB; joining block after block would move a gigabyte and a half."""
    n = 48_000_000
    path = write(tmp_path, "chromosome.fa", b">chr1\n" + b"ACGT" * (n // 4) + b"\n")
    start = time.perf_counter()
    sequences = read_sequences(path)
    assert sequences.lengths.tolist() == [n]
    assert time.perf_counter() - start < 20
    junk = write(tmp_path, "junk.fa", b"ACGT" * (n // 16))
    with pytest.raises(ValueError, match="line 1: expected '>' and a name, as FASTA has it, found 'ACGTACGT"):
        read_sequences(junk)


def test_files_of_sequences_are_known_by_name_or_column(tmp_path):
    assert is_sequence_file(tmp_path / "x.fasta.gz")
    assert is_sequence_file(write(tmp_path, "t.tsv.gz", "id\tSequence\n1\tAC\n"))
    assert not is_sequence_file(write(tmp_path, "e.csv", "sample,TP53\na,1\n"))
    assert not is_sequence_file(tmp_path / "x.h5ad")


def test_real_files_are_read_as_described(shared_data):
    folder = shared_data / "sequence"
    splice = read_sequences(folder / "splice_junctions.tsv.gz")
    assert (len(splice), set(splice.lengths), splice.alphabet.name) == (3190, {60}, "dna")
    rrna = read_sequences(folder / "rrna16s_1000.fasta.gz", samples=folder / "rrna16s_1000_taxonomy.tsv.gz")
    assert (len(rrna), rrna.lengths.min(), rrna.lengths.max()) == (1000, 1200, 1623)
    assert rrna.label("genus").value_counts().tolist() == [10] * 100
    proteases = read_sequences(folder / "proteases_s1a_aligned.fasta.gz")
    assert (len(proteases), set(proteases.lengths), proteases.aligned) == (1470, {832}, True)
    assert proteases.label("field_-1").value_counts()["trypsin"] == 188


def test_what_headers_say_in_brackets_and_in_identifiers_with_bars(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text(">lcl|a [gene=thrL] [protein=thr operon leader]\nACGT\n>lcl|b [gene=thrA]\nACGA\n")
    obs = read_sequences(path).obs
    assert obs["gene"].tolist() == ["thrL", "thrA"]
    assert obs["protein"].tolist()[0] == "thr operon leader"
    path.write_text(">sp|P1|A_HUMAN One protein\nMKVLLE\n>sp|P2|B_MOUSE Another\nMKVLWE\n")
    assert read_sequences(path).obs["field_3"].tolist() == ["A_HUMAN", "B_MOUSE"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.fa", ">" + "A" * 200_000 + "\nACGT\n", "line 1: a name of 200,001 characters"),
        ("x.csv", "id,sequence\na,ACGT\nb,NA\n", "1 of 2 sequences are empty \\('b'\\)"),
        ("x.sto", "# STOCKHOLM 1.0\na ACG\n//\n# STOCKHOLM 1.0\nb ACG\n//\n", "line 4: a second alignment"),
        ("x.sto", "# STOCKHOLM 1.0\na ACG\n", "cut short"),
    ],
)
def test_what_would_be_misread_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sequences(tmp_path / name)


def test_tables_as_spreadsheets_leave_them(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("# exported\n\n#id,name,sequence,y\na,fam1,ACGT,1\n,,,\nb,fam1,ACGA,0\n")
    assert is_sequence_file(path)
    read = read_sequences(path)
    assert (read.ids, read.obs["name"].tolist()) == (["a", "b"], ["fam1", "fam1"])
    path.write_text("name,sequence\nfam1,ACGT\nfam1,ACGA\n")
    assert read_sequences(path).ids == ["row_1", "row_2"]
    path.write_text("name,sequence\np,ACGT\nq,ACGA\n")
    named = read_sequences(path)
    assert (named.ids, named.label("name").tolist()) == (["p", "q"], ["p", "q"])


def test_a_stop_at_the_end_of_a_row_of_an_alignment_is_a_gap(tmp_path):
    path = tmp_path / "x.afa"
    path.write_text(">a\nMK-L*\n>b\nMKVLW\n>c\nMK*--\n")
    read = read_sequences(path)
    assert read.texts() == ["MK-L-", "MKVLW", "MK---"]
    path.write_text(">a\nMK-L*\n>b\nMKVL*\n")
    assert read_sequences(path).texts() == ["MK-L", "MKVL"]


def test_a_dot_of_fastq_is_a_base_that_was_not_called(tmp_path):
    path = tmp_path / "x.fq"
    path.write_text("@a\nACG.\n+\nIIII\n@b\nACGT\n+\nIIII\n")
    read = read_sequences(path)
    assert (read.texts(), read.aligned) == (["ACGN", "ACGT"], False)


def test_dna_that_is_to_be_read_as_protein_is_remarked_on(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text(">a\n" + "ACGT" * 20 + "\n")
    assert "looks like DNA" in " ".join(read_sequences(path, alphabet="protein").notes)
    assert read_sequences(path, alphabet="DNA").alphabet.name == "dna"


def test_no_rows_and_wrong_ids():
    both = encode_sequences(["ACGT", "AC"])
    assert len(both.take([])) == 0
    with pytest.raises(ValueError, match="one for each of 2 sequences, found 1"):
        encode_sequences(["ACGT", "AC"], ids=["x"])
    with pytest.raises(TypeError, match="found one text"):
        encode_sequences("ACGT")


@pytest.mark.parametrize("side", ["end", "start", "both"])
def test_cutting_leaves_what_padding_would(side):
    rng = np.random.default_rng(0)
    sequences = encode_sequences(["".join(rng.choice(list("ACGT"), n)) for n in (3, 10, 11, 25)])
    rule = PaddingRule(10, truncate=side)
    assert sequences.cut(rule).lengths.tolist() == [3, 10, 10, 10]
    np.testing.assert_array_equal(sequences.cut(rule).padded(), sequences.padded(rule=rule))
    assert sequences.cut(PaddingRule(25)) is sequences
    assert sequences.cut(PaddingRule()) is sequences
