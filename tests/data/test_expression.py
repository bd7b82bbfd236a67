"""Files of every format become the same arrays, and every decision is stated."""

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from oligolearn.data import label_of, read_expression
from oligolearn.data.h5ad import write_h5ad

SAMPLES = ["TCGA-01", "TCGA-02", "TCGA-03"]
GENES = ["TP53", "MYC", "GAPDH", "ACTB"]
X = np.array([[1.5, -2.25, 0.0, 1e-3], [np.nan, 7.0, 3e7, 2.0], [4.0, 5.0, 6.0, 7.5]], np.float32)


def notes(adata):
    return " ".join(adata.uns["oligolearn"]["notes"])


def as_table(genes_in, label=True):
    frame = pd.DataFrame(X, index=SAMPLES, columns=GENES)
    frame.index.name = "id"
    if genes_in == "rows":
        return frame.T
    if label:
        frame.insert(0, "y", ["ER+", None, "ER-"])
    return frame


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if ".tsv" in path.name or ".txt" in path.name else ",")


@pytest.mark.parametrize("genes_in", ["rows", "columns"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.txt.gz", "t.parquet"])
def test_every_table_format_gives_the_same_matrix(name, genes_in, tmp_path):
    write(as_table(genes_in), tmp_path / name)
    adata = read_expression(tmp_path / name)
    assert adata.X.dtype == np.float32
    assert adata.X.flags.c_contiguous
    np.testing.assert_array_equal(adata.X, X)
    assert list(adata.obs_names) == SAMPLES
    assert list(adata.var_names) == GENES
    assert adata.uns["oligolearn"]["genes_in"] == genes_in
    assert f"Genes are in {genes_in}" in notes(adata)
    if genes_in == "columns":
        assert adata.obs["y"].isna().tolist() == [False, True, False]
        assert adata.obs["y"].tolist()[::2] == ["ER+", "ER-"]


@pytest.mark.parametrize("matrix", [sp.csr_matrix, sp.csc_matrix, np.asarray, lambda x: x.astype(np.float64)])
def test_h5ad_becomes_dense_float32_whatever_it_was(matrix, tmp_path):
    obs = pd.DataFrame({"y": pd.Categorical(["NA", "b", "nan"]), "age": [1, 2, 3]}, index=SAMPLES)
    full = np.nan_to_num(X)
    ad.AnnData(matrix(full), obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(tmp_path / "m.h5ad")
    adata = read_expression(tmp_path / "m.h5ad")
    assert isinstance(adata.X, np.ndarray)
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X, full)
    assert adata.obs["y"].isna().tolist() == [True, False, True]
    assert list(adata.obs["y"].cat.categories) == ["b"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(",", ";"),
        lambda text: text + "\n,,,,,\n\n",
        lambda text: "# made by a program\n" + text,
        lambda text: text.replace("id,", ",", 1),
        lambda text: text.removeprefix("id,"),
        lambda text: text.replace("TCGA-01", '"TCGA-01"').replace("TP53", '"TP53"').replace("7.0", '"7.0"'),
        lambda text: text.replace("4.0", " 4.0 ").replace("5.0", "+5"),
        lambda text: text.rstrip("\n"),
    ],
)
def test_what_programs_do_to_a_csv_does_not_change_the_matrix(change, tmp_path):
    text = as_table("columns").to_csv()
    (tmp_path / "t.csv").write_bytes(change(text).encode())
    adata = read_expression(tmp_path / "t.csv")
    np.testing.assert_array_equal(adata.X, X)
    assert list(adata.obs_names) == SAMPLES
    assert list(adata.var_names) == GENES


def test_a_quoted_separator_inside_a_text_cell(tmp_path):
    (tmp_path / "t.csv").write_text('id,note,TP53,MYC\na,"liver, left",1,2\nb,"so called ""normal""",3,4\n')
    adata = read_expression(tmp_path / "t.csv", genes_in="columns")
    assert adata.obs["note"].tolist() == ["liver, left", 'so called "normal"']
    np.testing.assert_array_equal(adata.X, [[1, 2], [3, 4]])


def test_a_column_missing_in_many_rows_can_still_turn_out_to_be_text(tmp_path):
    n = 120_000  # beyond the first block of lines
    rows = "".join(f"s{i},{i % 7},NA,{i % 5}\n" for i in range(n))
    (tmp_path / "t.csv").write_text("sample,TP53,stage,MYC\n" + rows + "last,1,II,2\n")
    adata = read_expression(tmp_path / "t.csv")
    assert adata.obs["stage"].notna().sum() == 1
    assert adata.obs["stage"].iloc[-1] == "II"
    assert list(adata.var_names) == ["TP53", "MYC"]
    np.testing.assert_array_equal(adata.X[:n, 1], np.arange(n) % 5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_label_of_numbers_is_not_a_gene(suffix, tmp_path):
    frame = as_table("columns").assign(y=[0, 1, 1])
    write(frame, tmp_path / f"t{suffix}")
    assert "y" in read_expression(tmp_path / f"t{suffix}").var_names  # nothing tells it from a gene
    adata = read_expression(tmp_path / f"t{suffix}", label="y")
    assert list(adata.var_names) == GENES
    assert label_of(adata, "y").tolist() == ["0", "1", "1"]


def test_a_label_of_numbers_in_a_row_is_not_a_gene(tmp_path):
    frame = as_table("columns").assign(y=[0, 1, 1]).T
    frame.to_csv(tmp_path / "t.csv")
    adata = read_expression(tmp_path / "t.csv", label="y")
    assert list(adata.var_names) == GENES
    assert label_of(adata, "y").tolist() == ["0", "1", "1"]
    np.testing.assert_array_equal(adata.X, X)


def test_a_row_of_text_above_the_numbers_describes_the_samples(tmp_path):
    as_table("columns").T.to_csv(tmp_path / "t.csv")
    adata = read_expression(tmp_path / "t.csv")
    np.testing.assert_array_equal(adata.X, X)
    assert adata.obs["y"].tolist()[::2] == ["ER+", "ER-"]


def test_annotation_of_counting_programs_is_not_a_sample(tmp_path):
    (tmp_path / "counts.txt").write_text(
        "# Program:featureCounts v2.0.1\nGeneid\tChr\tStart\tEnd\tStrand\tLength\ta.bam\tb.bam\n"
        "ENSG00000223972\t1;1\t11869;12010\t12227;12057\t+;+\t1735\t0\t3\n"
        "ENSG00000227232\tX\t14404\t29570\t-\t1351\t12\t40\n"
    )
    adata = read_expression(tmp_path / "counts.txt")
    assert list(adata.obs_names) == ["a.bam", "b.bam"]
    np.testing.assert_array_equal(adata.X, [[0, 12], [3, 40]])
    assert adata.var["Length"].tolist() == [1735, 1351]


@pytest.mark.parametrize(
    ("genes", "samples"),
    [
        ([f"ENSG0000012{i:04d}.3" for i in range(5)], ["u1", "u2", "u3"]),
        (["1007_s_at", "1053_at", "117_at", "AFFX-BioB-5_at", "121_at"], ["11", "12", "13"]),
        (["hsa-miR-21-5p", "hsa-let-7a-3p", "hsa-miR-155", "hsa-mir-10b", "hsa-miR-1"], ["GSM1", "GSM2", "GSM3"]),
        (["Trp53", "Myc", "Gapdh", "Actb1", "Brca2"], ["sample_1", "sample_2", "sample_3"]),
        (["7157", "4609", "2597", "60", "672"], ["TCGA-A1-1", "TCGA-A1-2", "TCGA-A1-3"]),
        (["TP53", "BRCA1"], ["p1", "p2", "p3"]),  # more samples than genes
    ],
)
def test_genes_are_found_by_their_names_on_either_side(genes, samples, tmp_path):
    values = np.arange(len(genes) * len(samples)).reshape(len(samples), len(genes)) + 0.5
    frame = pd.DataFrame(values, index=samples, columns=genes)
    frame.to_csv(tmp_path / "columns.csv")
    frame.T.to_csv(tmp_path / "rows.csv")
    for side in ("columns", "rows"):
        adata = read_expression(tmp_path / f"{side}.csv")
        assert adata.uns["oligolearn"]["genes_in"] == side
        assert list(adata.var_names) == genes
        np.testing.assert_array_equal(adata.X, values.astype(np.float32))


def test_the_sample_sheet_decides_where_names_do_not(tmp_path):
    frame = pd.DataFrame(np.arange(12.0).reshape(3, 4) + 0.5, index=["k", "l", "m"], columns=["w", "x", "y", "z"])
    frame.to_csv(tmp_path / "t.csv")
    (tmp_path / "sheet.csv").write_text("name,batch\nx,1\nz,2\n")
    assert read_expression(tmp_path / "t.csv").uns["oligolearn"]["genes_in"] == "columns"
    adata = read_expression(tmp_path / "t.csv", samples=tmp_path / "sheet.csv")
    assert adata.uns["oligolearn"]["genes_in"] == "rows"
    assert "2 of 4 samples (joined by 'name'); the other 2 have no label" in notes(adata)
    np.testing.assert_array_equal(adata.obs["batch"], [np.nan, 1, np.nan, 2])


def test_genes_in_overrides_what_was_found(tmp_path):
    write(as_table("columns", label=False), tmp_path / "t.csv")
    assert list(read_expression(tmp_path / "t.csv", genes_in="rows").var_names) == SAMPLES


@pytest.mark.parametrize(("counts", "how"), [(True, "sum"), (False, "mean")])
def test_genes_named_twice_are_merged_as_pandas_groups_them(counts, how, tmp_path):
    rng = np.random.default_rng(3)
    values = rng.poisson(20, (6, 7)).astype(float) if counts else rng.normal(8, 2, (6, 7)).round(3)
    values[2, 1] = values[3, 1] = values[3, 4] = values[3, 6] = np.nan
    names = ["TP53", "MYC", "GAPDH", "TP53", "MYC", "ACTB", "MYC"]
    frame = pd.DataFrame(values, index=[f"s{i}" for i in range(6)], columns=names)
    frame.to_csv(tmp_path / "t.csv")
    adata = read_expression(tmp_path / "t.csv")
    grouped = frame.T.groupby(level=0, sort=False)
    expected = (grouped.sum(min_count=1) if counts else grouped.mean()).T
    assert list(adata.var_names) == list(expected.columns)
    np.testing.assert_allclose(adata.X, expected, rtol=1e-6)
    assert f"2 gene(s) named more than once were {'summed' if how == 'sum' else 'averaged'}" in notes(adata)
    np.testing.assert_array_equal(read_expression(tmp_path / "t.csv", duplicate_genes=how).X, adata.X)


def test_gct_1_3_brings_the_descriptions_of_samples(tmp_path):
    (tmp_path / "t.gct").write_text(
        "#1.3\n2\t3\t1\t2\nid\tsymbol\ta\tb\tc\ntissue\tna\tliver\tNA\tlung\nage\tna\t40\t50\t60\n"
        "p1\tTP53\t1\t2\t3\np2\tMYC\t4\t5\t6.5\n"
    )
    adata = read_expression(tmp_path / "t.gct")
    np.testing.assert_array_equal(adata.X, [[1, 4], [2, 5], [3, 6.5]])
    assert adata.obs["age"].tolist() == [40, 50, 60]
    assert adata.obs["tissue"].isna().tolist() == [False, True, False]
    assert adata.var["symbol"].tolist() == ["TP53", "MYC"]


@pytest.mark.parametrize("name", ["GSE1_series_matrix.txt", "GSE1_series_matrix.txt.gz"])
def test_geo_series_matrix(name, tmp_path):
    text = (
        '!Series_title\t"Livers and lungs"\n\n'
        '!Sample_title\t"one"\t"two"\t"three"\n'
        '!Sample_geo_accession\t"GSM11"\t"GSM12"\t"GSM13"\n'
        '!Sample_characteristics_ch1\t"tissue: liver"\t"tissue: lung"\t"age: 50"\n'
        '!Sample_characteristics_ch1\t"age: 40"\t""\t"tissue: lung: left"\n'
        '!Sample_contact_name\t"A"\t"A"\t"A"\n'
        "!series_matrix_table_begin\n"
        '"ID_REF"\t"GSM11"\t"GSM12"\t"GSM13"\n"1007_s_at"\t1.5\t2.5\tnull\n"1053_at"\t4\t\t6\n'
        "!series_matrix_table_end\n"
    )
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    adata = read_expression(tmp_path / name)
    np.testing.assert_array_equal(adata.X, [[1.5, 4], [2.5, np.nan], [np.nan, 6]])
    assert list(adata.obs_names) == ["GSM11", "GSM12", "GSM13"]
    assert list(adata.var_names) == ["1007_s_at", "1053_at"]
    assert adata.obs["tissue"].tolist() == ["liver", "lung", "lung: left"]
    np.testing.assert_array_equal(adata.obs["age"], [40, np.nan, 50])
    assert adata.obs["title"].tolist() == ["one", "two", "three"]
    assert "contact_name" not in adata.obs
    assert adata.uns["oligolearn"]["format"] == "series matrix"


def test_what_is_written_reads_back_identical(tmp_path):
    write(as_table("columns"), tmp_path / "t.csv")
    first = read_expression(tmp_path / "t.csv")
    write_h5ad(first, tmp_path / "t.h5ad")
    again = read_expression(tmp_path / "t.h5ad")
    np.testing.assert_array_equal(again.X, first.X)
    pd.testing.assert_frame_equal(again.obs, first.obs)
    pd.testing.assert_frame_equal(again.var, first.var)
    assert again.uns["oligolearn"]["notes"] == first.uns["oligolearn"]["notes"]
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_an_unknown_label_lists_the_columns(tmp_path):
    write(as_table("columns"), tmp_path / "t.csv")
    adata = read_expression(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"no column 'nope'.*the columns are: y"):
        label_of(adata, "nope")
    assert label_of(adata, "y").isna().tolist() == [False, True, False]


MICROARRAYS = {
    "golub": (72, 7129, 2),
    "khan": (63, 2308, 4),
    "singh": (102, 12600, 2),
    "alon": (62, 2000, 2),
    "shipp": (77, 7129, 2),
    "chowdary": (104, 22283, 2),
}


@pytest.mark.parametrize("name", MICROARRAYS)
def test_microarray_files_equal_what_pandas_reads(name, shared_data):
    path = shared_data / "expression" / f"microarray_{name}.csv.gz"
    n_samples, n_genes, n_classes = MICROARRAYS[name]
    adata = read_expression(path, label="y")
    assert adata.shape == (n_samples, n_genes)
    assert label_of(adata, "y").nunique() == n_classes
    if n_genes < 3000:
        expected = pd.read_csv(path, index_col=0, dtype={0: str})
        np.testing.assert_array_equal(adata.X, expected.drop(columns="y").to_numpy(np.float32))
        assert list(adata.var_names) == list(expected.columns.drop("y"))


def test_gtex_gct_with_its_sample_sheet(shared_data):
    folder = shared_data / "expression"
    adata = read_expression(
        folder / "gtex_v8_reads_59genes.gct.gz", samples=folder / "gtex_v8_samples.csv.gz", label="tissue"
    )
    assert adata.shape == (17382, 59)
    assert adata.obs["tissue"].notna().sum() == 7123
    assert adata.obs["tissue"].nunique() == 30
    assert "7,123 of 17,382 samples" in notes(adata)
    assert "announces 56,200 genes and 17,382 samples; the file holds 59" in notes(adata)
    assert adata["GTEX-1117F-0226-SM-5GZZ7", "ENSG00000117118.9"].X.item() == 1993
    assert adata.var["Description"].iloc[0] == "SDHB"


H5AD = {
    "rnaseqdb_counts": (989, 20242),
    "tcga_60genes": (6703, 60),
    "tcga_mirna": (3123, 383),
    "breast_er_nkis": (150, 862),
    "breast_er_vdxs": (150, 657),
    "breast_er_expos": (353, 657),
}


@pytest.mark.parametrize("name", H5AD)
def test_h5ad_files_are_read_unchanged(name, shared_data):
    path = shared_data / "expression" / f"{name}.h5ad"
    adata, raw = read_expression(path), ad.read_h5ad(path)
    assert adata.shape == H5AD[name]
    np.testing.assert_array_equal(adata.X, raw.X)
    assert list(adata.obs_names) == list(raw.obs_names)
    if "er" in adata.obs:
        assert adata.obs["er"].isna().sum() == raw.obs["er"].isna().sum()


def test_the_wrong_label_of_a_real_file_lists_its_columns(shared_data):
    adata = read_expression(shared_data / "expression" / "tcga_mirna.h5ad")
    with pytest.raises(ValueError, match="cancer_type"):
        label_of(adata, "nope")


@pytest.mark.parametrize("genes_in", ["rows", "columns"])
def test_numbers_that_describe_patients_are_not_genes(tmp_path, genes_in):
    """Survival among the genes would be learned from."""
    numbers = pd.DataFrame(
        np.arange(32.0).reshape(4, 8),
        index=pd.Index([f"s{i}" for i in range(4)], name="sample"),
        columns=["TP53", "age_at_diagnosis", "EFS", "OS_months", "REST", "Stage", "AGER", "days_to_death"],
    )
    path = tmp_path / "t.csv"
    (numbers if genes_in == "columns" else numbers.T.rename_axis("gene")).to_csv(path)
    found = read_expression(path)
    assert list(found.var_names) == ["TP53", "EFS", "REST", "AGER"]
    assert found.obs["OS_months"].tolist() == [3, 11, 19, 27]
    assert any(
        note == "'age_at_diagnosis', 'OS_months', 'Stage' and 1 more describe samples, by their names, and were not "
        "taken for genes."
        for note in found.uns["oligolearn"]["notes"]
    )
    by_label = read_expression(path, label="age_at_diagnosis")
    said = "'OS_months', 'Stage', 'days_to_death' describe samples, by their names, and were not taken for genes."
    assert said in by_label.uns["oligolearn"]["notes"]


def test_genes_that_a_spreadsheet_made_dates_of_are_remarked_on(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("gene,s1,s2\n1-Mar,1,2\nTP53,3,4\n1-Mar,5,6\nSep-02,7,8\nMARCHF1,9,10\nDEC1,1,2\n")
    notes = read_expression(path).uns["oligolearn"]["notes"]
    assert (
        "3 gene(s) have dates for names ('1-Mar', '1-Mar', 'Sep-02'), as spreadsheets make of MARCH1 or SEPT2; "
        in "".join(notes)
    )


@pytest.mark.parametrize(
    "name", ["patient", "Patient_ID", "donor", "subject-no", "label", "diagnosis_code", "hospital_no"]
)
def test_who_a_sample_is_from_is_no_gene(tmp_path, name):
    path = tmp_path / "t.csv"
    path.write_text(f"sample,TP53,BRCA1,{name}\ns1,1,2,101\ns2,3,4,102\ns3,5,6,101\n")
    found = read_expression(path)
    assert list(found.var_names) == ["TP53", "BRCA1"]
    assert found.obs[name].tolist() == [101, 102, 101]


@pytest.mark.parametrize("header", ["ID", "INDEX", "No", "barcode", "Patient"])
def test_numbers_under_a_header_of_ids_name_the_rows(tmp_path, header):
    path = tmp_path / "t.csv"
    path.write_text(f"{header},TP53,BRCA1,EGFR\n11,5,6,1\n12,5,8,2\n13,9,6,3\n")
    assert read_expression(path).obs_names.tolist() == ["11", "12", "13"]


def test_a_gene_without_ids_before_it_stays_a_gene(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("TP53,BRCA1,EGFR,diagnosis\n11,5,6,a\n12,5,8,b\n13,9,6,a\n")
    found = read_expression(path)
    assert list(found.var_names) == ["TP53", "BRCA1", "EGFR"]
    assert found.obs_names.tolist() == ["1", "2", "3"]
    (tmp_path / "s.csv").write_text("sample,dx\n1,a\n2,b\n3,a\n")
    with pytest.raises(ValueError, match="does not name its samples, so no sample sheet can be joined"):
        read_expression(path, samples=tmp_path / "s.csv")


def test_whole_numbers_name_the_rows_of_parquet_as_of_csv(tmp_path):
    order = [3, 1, 4, 2]
    table = pd.DataFrame({"sample_id": order, "TP53": [1.0, 2, 3, 4], "BRCA1": [5.0, 6, 7, 9]})
    table.to_parquet(tmp_path / "t.parquet", index=False)
    table.to_csv(tmp_path / "t.csv", index=False)
    sheet = pd.DataFrame({"id": [1, 2, 3, 4], "dx": list("abcd")})
    sheet.to_parquet(tmp_path / "s.parquet", index=False)
    for name in ("t.parquet", "t.csv"):
        found = read_expression(tmp_path / name, samples=tmp_path / "s.parquet")
        assert list(found.var_names) == ["TP53", "BRCA1"], name
        assert found.obs["dx"].tolist() == ["c", "a", "d", "b"], name


def test_a_sheet_with_two_columns_of_ids_is_joined_by_the_samples(tmp_path):
    (tmp_path / "t.csv").write_text("id,TP53,BRCA1\n0,1,2\n1,3,4\n2,5,6\n")
    sheet = tmp_path / "s.csv"
    sheet.write_text("Unnamed: 0,sample,dx\n0,2,c\n1,0,a\n2,1,b\n")
    assert read_expression(tmp_path / "t.csv", samples=sheet).obs["dx"].tolist() == ["a", "b", "c"]
    sheet.write_text("Unnamed: 0,key,dx\n0,2,c\n1,0,a\n2,1,b\n")
    with pytest.raises(ValueError, match="the columns 'Unnamed: 0', 'key' of the sample sheet hold as many"):
        read_expression(tmp_path / "t.csv", samples=sheet)


@pytest.mark.parametrize(
    "cells",
    [["01", "1", "007"], ["12E4", "120E3", "1"], ["10000000000000001", "", "2"], ["123456789012345678901", "5", "6"]],
)
def test_names_that_look_like_numbers_stay_as_they_are(tmp_path, cells):
    (tmp_path / "t.csv").write_text("sample,TP53,BRCA1\ns0,1,2\ns1,3,4\ns2,5,6\n")
    (tmp_path / "s.csv").write_text("sample,dx\n" + "".join(f"s{i},{cell}\n" for i, cell in enumerate(cells)))
    found = read_expression(tmp_path / "t.csv", samples=tmp_path / "s.csv")
    assert found.obs["dx"].astype(object).fillna("").tolist() == cells
