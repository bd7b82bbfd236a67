"""Every broken file is answered in one line that says what is wrong and where."""

import gzip
import re

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from oligolearn.cli import main
from oligolearn.data import read_expression

GOOD = "id,g1,g2,y\na,1.5,2,x\nb,1,2.5,z\n"
GCT = "#1.2\n2\t2\nName\tDescription\ta\tb\ng1\tx\t1\t2\ng2\tx\t3\t4\n"
GEO = '!Series_title\t"t"\n!Sample_geo_accession\t"GSM1"\t"GSM2"\n!series_matrix_table_begin\n'

TEXTS = {
    "empty.csv": ("", r"empty\.csv is empty \(0 bytes\)"),
    "blank.csv": ("\n\n", r"no header and no rows"),
    "header.csv": ("id,g1,g2\n", r"header but no rows"),
    "ragged.csv": ("id,g1,g2,y\na,1,2,x\nb,1\n", r"line 3: 2 fields where the header has 4"),
    "long.csv": ("id,g1,g2,y\na,1,2,x\nb,1,2,z,5\n", r"line 3: 5 fields where the header has 4"),
    "trailing.csv": ("id,g1,g2\na,1,2,\nb,1,2,\n", r"line 2: 4 fields where the header has 3"),
    "word.csv": ("id,g1,g2,y\na,1,two,x\nb,1,2,z\n", r"row 'a', column 'g2': 'two'"),
    "late.csv": (
        "id,g1,g2\n" + "".join(f"s{i},{i},1\n" for i in range(150_000)) + "q,1,x1\n",
        r"row 'q', column 'g2': 'x1'",
    ),
    "dup.csv": ("id,g1,g2,y\na,1,2,x\na,1,2,z\n", r"1 sample id\(s\) occur more than once \('a'\)"),
    "inf.csv": ("id,g1,g2,y\na,1,inf,x\nb,1,2,z\n", r"infinite values.*sample 'a', gene 'g2'"),
    "huge.csv": ("id,g1,g2,y\na,1,1e39,x\nb,1,2,z\n", r"too large for 32 bits.*sample 'a', gene 'g2'"),
    "onegene.csv": ("id,g1,y\na,1,x\nb,2,z\n", r"1 gene\(s\), 2 samples; expected at least 2 genes"),
    "onesample.csv": ("id,g1,g2\na,1,2\n", r"1 sample\(s\), 2 genes; expected at least 2 samples"),
    "missing.csv": ("id,g1,g2\na,NA,\nb,,nan\n", r"all 2 x 2 values are missing"),
    "comma.csv": ("id;g1;g2\na;1,5;2,5\nb;1,25;3,5\n", r"decimal comma \('1,5'\)"),
    "unnamed.csv": ("id,g1,,g3\na,1,2,3\nb,1,2,3\n", r"column 3 has no name"),
    "noid.csv": ("id,g1,g2,y\na,1,2,x\n,1,2,x\n", r"names the rows but is empty in row 2"),
    "quote.csv": ('id,g1,g2,y\na,1,2,"x\nb,1,2,z\n', r"quote"),
    "words.csv": ("id,note,other\na,hello,there\nb,good,bye\n", r"no numbers in its first 2 rows"),
    "onefield.csv": ("hello\nworld\n", r"header 'hello' is one field"),
    "short.gct": ("#1.2\n2\t2\nName\tDescription\ta\tb\ng1\tx\t1\n", r"line 4: 3 fields where the header has 4"),
    "version.gct": (GCT.replace("#1.2", "#2.0"), r"expected '#1.2' or '#1.3' in line 1, found '#2.0'"),
    "sizes.gct": (GCT.replace("2\t2", "two"), r"line 2: expected 2 numbers"),
    "nosamples.gct": (
        "#1.2\n2\t0\nName\tDescription\ng1\tx\n",
        r"line 3: expected 2 description names and the samples",
    ),
    "word.gct": (GCT.replace("\t4", "\tfour"), r"row 'g2', column 'b': 'four'"),
    "cut_series.txt": (GEO + '"ID_REF"\t"GSM1"\t"GSM2"\n"p1"\t1\t2\n', r"cut short"),
    "empty_series.txt": (
        GEO + '"ID_REF"\t"GSM1"\t"GSM2"\n!series_matrix_table_end\n',
        r"supplementary files",
    ),
    "notable_series.txt": ('!Series_title\t"t"\n', r"no line !series_matrix_table_begin"),
    "other_samples.txt": (
        GEO.replace("GSM2", "GSM3") + '"ID_REF"\t"GSM1"\t"GSM2"\n"p1"\t1\t2\n!series_matrix_table_end\n',
        r"name different samples",
    ),
    "table.docx": (GOOD, r"unknown extension; expected one of \.h5ad, \.csv"),
}


def binary_files():
    noise = np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8).tobytes()
    whole = gzip.compress("".join(f"s{i},{i},2\n" for i in range(5000)).encode())
    return {
        "noise.h5ad": (noise, r"not an HDF5 file"),
        "empty.h5ad": (b"", r"empty\.h5ad is empty"),
        "noise.gct": (noise, r"binary data"),
        "noise.csv": (noise, r"binary data"),
        "noise.csv.gz": (noise, r"not gzip although its name ends in \.gz"),
        "noise.parquet": (noise, r"not a Parquet file"),
        "cut.csv.gz": (whole[: len(whole) // 2], r"cut short"),
        "damaged.csv.gz": (whole[:2000] + b"\xff" * 200 + whole[2200:], r"damaged"),
        "nothing.csv.gz": (gzip.compress(b""), r"empty once decompressed"),
        "hidden.csv": (gzip.compress(GOOD.encode()), r"is gzip although its name does not end in \.gz"),
        "latin.csv": (GOOD.replace("x", "\xe9").encode("latin-1"), r"line 2: byte 0xe9 is not UTF-8"),
        "utf16.csv": (GOOD.encode("utf-16"), r"UTF-16"),
        "excel.csv": (b"PK\x03\x04" + noise, r"ZIP or Excel"),
    }


@pytest.mark.parametrize("name", TEXTS)
def test_broken_text_is_refused_with_the_reason(name, tmp_path):
    text, reason = TEXTS[name]
    (tmp_path / name).write_text(text)
    assert_refused(tmp_path / name, reason)


@pytest.mark.parametrize("name", binary_files())
def test_broken_bytes_are_refused_with_the_reason(name, tmp_path):
    content, reason = binary_files()[name]
    (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path / name, reason)


def assert_refused(path, reason, **options):
    with pytest.raises((ValueError, FileNotFoundError), match=reason) as caught:
        read_expression(path, label="y", **options)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    assert_refused(tmp_path / "none.h5ad", "does not exist")
    assert_refused(tmp_path, "is a folder")


def small_h5ad(path, X, **parts):
    obs = pd.DataFrame(index=["a", "b", "c"])
    ad.AnnData(X, obs=obs, var=pd.DataFrame(index=["g1", "g2", "g3", "g4"]), **parts).write_h5ad(path)
    return path


def test_h5ad_without_x_names_the_layers(tmp_path):
    path = small_h5ad(tmp_path / "no_x.h5ad", None, layers={"raw": np.ones((3, 4), np.float32)})
    assert_refused(path, r"has no X.*'raw'")


def test_h5ad_with_damaged_sparse_indices_is_refused_not_a_crash(tmp_path):
    path = small_h5ad(tmp_path / "sparse.h5ad", sp.csr_matrix(np.eye(3, 4, dtype=np.float32)))
    with h5py.File(path, "r+") as file:
        file["X/indices"][0] = 1_000_000
    assert_refused(path, "sparse X is damaged")


def test_hdf5_that_is_no_anndata(tmp_path):
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["table"] = np.ones(3)
    assert_refused(tmp_path / "other.h5ad", "other.h5ad")


def test_all_missing_is_refused(tmp_path):
    assert_refused(
        small_h5ad(tmp_path / "nan.h5ad", np.full((3, 4), np.nan, np.float32)), "all 3 x 4 values are missing"
    )


def test_nested_parquet_columns_are_named(tmp_path):
    pq.write_table(pa.table({"id": ["a", "b"], "g1": [[1.0], [2.0]], "g2": [1.0, 2.0]}), tmp_path / "nested.parquet")
    assert_refused(tmp_path / "nested.parquet", "'g1' are nested")


def test_parquet_without_numbers(tmp_path):
    pq.write_table(pa.table({"id": ["a", "b"], "note": ["u", "v"]}), tmp_path / "words.parquet")
    assert_refused(tmp_path / "words.parquet", "no column of numbers")


def test_duplicate_genes_can_be_refused(tmp_path):
    (tmp_path / "genes.csv").write_text("id,TP53,TP53,MYC\na,1,2,3\nb,4,5,6\n")
    assert_refused(tmp_path / "genes.csv", r"named more than once \('TP53'\)", duplicate_genes="refuse")
    assert_refused(tmp_path / "genes.csv", "must be one of", duplicate_genes="max")


def test_wrong_options_are_refused(tmp_path):
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "good.gct").write_text(GCT)
    assert_refused(tmp_path / "good.csv", "genes_in must be one of", genes_in="left")
    assert_refused(tmp_path / "good.gct", "genes in rows by definition", genes_in="columns")


@pytest.mark.parametrize(
    ("sheet", "reason"),
    [
        ("sample,t\nu,1\nv,2\n", r"the file has 'a', 'b', the sheet's column 'sample' has 'u', 'v'"),
        ("sample,t\nA,1\nB,2\n", r"would match if"),
        ("sample,t\na,1\na,2\n", r"have rows that differ \('a'\)"),
        ("sample,t\na,1,3\n", r"line 2: 3 fields where the header has 2"),
        ("sample,t,t\na,1,3\n", r"column 't' appears twice"),
        ("sample,t\n", r"describes no samples"),
    ],
)
def test_sample_sheets_that_do_not_fit(sheet, reason, tmp_path):
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "sheet.csv").write_text(sheet)
    assert_refused(tmp_path / "good.csv", reason, samples=tmp_path / "sheet.csv")


def test_two_columns_of_words_of_one_name_are_refused(tmp_path):
    (tmp_path / "two.csv").write_text("sample,kind,g1,g2,kind\na,x,1,3,y\nb,x,2,4,y\n")
    assert_refused(tmp_path / "two.csv", "column 'kind' appears twice")


@pytest.mark.parametrize("name", ["missing.h5ad", "ragged.csv", "word.csv", "short.gct", "cut.csv.gz", "noise.h5ad"])
def test_the_command_answers_in_one_line_with_code_2(name, tmp_path, capsys):
    if name in TEXTS:
        (tmp_path / name).write_text(TEXTS[name][0])
    elif name in binary_files():
        (tmp_path / name).write_bytes(binary_files()[name][0])
    with pytest.raises(SystemExit) as stopped:
        main(["inspect", str(tmp_path / name), "--label", "y"])
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert re.fullmatch(r"oligolearn: .+\n", printed.err)
