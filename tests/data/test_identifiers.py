"""Gene names of different kinds: told apart, matched, translated by a table, many to one by a stated rule."""

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from oligolearn.data import (
    GeneMap,
    Translation,
    gather_genes,
    gene_key,
    match_genes,
    measured_by,
    merge_duplicate_genes,
    naming_of,
    read_gene_map,
)

PROBES = GeneMap(
    "chip.csv",
    {
        "probe": [["1_at"], ["2_s_at"], ["3_x_at"], ["4_at"], ["5_at"], ["6_at"], ["6_at"], ["7_at"]],
        "symbol": [["TP53"], ["TP53"], ["EGFR"], ["BRCA1", "NBR1"], [], ["ESR1"], ["PGR"], ["C1orf112"]],
        "entrez": [["7157"], ["7157"], ["1956"], ["672", "4077"], [], ["2099"], ["5241"], ["55732"]],
    },
)


def found(names, wanted, **options):
    """Wanted genes by the columns that were found for them."""
    match = match_genes(names, wanted, **options)
    return {(names[column], wanted[place]) for column, place in zip(match.columns, match.places, strict=True)}


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["ENSG00000141510", "ENSG00000012048"], "Ensembl genes"),
        (["ENSG00000141510.18", "ENSG00000002586.20_PAR_Y"], "Ensembl genes"),
        (["ENSMUSG00000059552.14"], "Ensembl genes (ENSMUS)"),
        (["ENST00000269305.9"], "Ensembl transcripts"),
        (["ENSG00000141510_at"], "Ensembl genes"),
        (["7157", "672.0"], "whole numbers, as Entrez has"),
        (["1007_s_at", "AFFX-BioB-5_at", "hum_alu_at", "AFFX-HUMISGF3A/M97935_MA_at"], "Affymetrix probes"),
        (["ILMN_1762337"], "Illumina probes"),
        (["A_23_P100001"], "Agilent probes"),
        (["NM_000546.6", "NR_046018"], "RefSeq transcripts"),
        (["hsa-miR-21-5p", "hsa-let-7a-5p"], "miRNAs"),
        (["TP53|7157", "?|100130426"], "names joined by '|'"),
        (["gene_00001", "V1", "g2"], "anonymous names"),
        (["TP53", "C1orf112", "HLA-A", "MIR21"], "symbols"),
        (["Trp53", "Actb", "Cdkn2a", "1700001C19Rik"], "symbols spelled as those of mouse and rat"),
    ],
)
def test_the_kind_of_most_names_is_told(names, kind):
    assert naming_of(names).kind == kind
    assert naming_of([*names * 3, "__no_feature"]).kind == kind, "a few other names change nothing"


def test_real_names_are_told(shared_data):
    for file, kind in (
        ("rnaseqdb_counts", "symbols"),
        ("tcga_60genes", "whole numbers, as Entrez has"),
        ("tcga_mirna", "miRNAs"),
    ):
        names = list(ad.read_h5ad(shared_data / "expression" / f"{file}.h5ad", backed="r").var_names)
        assert naming_of(names).kind == kind
    for file in ("golub", "chowdary"):
        with gzip.open(shared_data / "expression" / f"microarray_{file}.csv.gz", "rt") as text:
            names = [name.strip('"') for name in text.readline().split(",")[2:]]
        assert naming_of(names).kind == "Affymetrix probes"


def test_versions_do_not_matter_but_an_exact_match_comes_first():
    assert found(["ENSG00000000001.7"], ["ENSG00000000001.2"]) == {("ENSG00000000001.7", "ENSG00000000001.2")}
    assert found(["ENSG00000000001"], ["ENSG00000000001.2"]) == {("ENSG00000000001", "ENSG00000000001.2")}
    both = ["ENSG00000000001.1", "ENSG00000000001.2"]
    assert found(both, [both[1]]) == {(both[1], both[1])}
    assert found(both, both[::-1]) == {(name, name) for name in both}
    unclear = match_genes(["ENSG00000000001.3"], both)
    assert not unclear.found.any()
    assert "1 names fit several of the genes and are left out." in unclear.notes


def test_copies_on_the_y_chromosome_are_no_copies_of_those_on_x():
    names = ["ENSG00000002586.20", "ENSG00000002586.20_PAR_Y"]
    wanted = ["ENSG00000002586.18_PAR_Y", "ENSG00000002586.18"]
    assert found(names, wanted) == {(names[0], wanted[1]), (names[1], wanted[0])}
    assert found(names[1:], wanted[1:]) == set()


def test_blanks_and_numbers_written_as_fractions_do_not_matter():
    assert found([" TP53", "7157.0"], ["TP53 ", "7157"]) == {(" TP53", "TP53 "), ("7157.0", "7157")}


def test_parts_of_joined_names_are_found_on_either_side():
    joined = ["TP53|7157", "?|100130426", "EGFR|1956"]
    assert found(joined, ["EGFR", "TP53"]) == {(joined[0], "TP53"), (joined[2], "EGFR")}
    assert found(["1956", "100130426"], joined) == {("1956", joined[2]), ("100130426", joined[1])}
    assert found(joined, joined[::-1]) == {(name, name) for name in joined}


def test_capitals_do_not_matter_for_symbols_of_one_species_where_one_name_fits():
    assert found(["C1ORF112", "TP53"], ["C1orf112", "TP53"]) == {("C1ORF112", "C1orf112"), ("TP53", "TP53")}
    assert found(["tp53", "egfr"], ["TP53", "EGFR"]) == {("tp53", "TP53"), ("egfr", "EGFR")}
    assert found(["TP53", "tp53"], ["Tp53"]) == set(), "two names fit"
    assert found(["Actb", "Trp53"], ["ACTB", "TP53"]) == set(), "a mouse is no man"
    assert found(["hsa-mir-21"], ["hsa-miR-21"]) == set(), "precursor and mature miRNA"


def test_a_gene_named_twice_is_refused():
    with pytest.raises(ValueError, match="1 genes are named more than once: 'a'"):
        match_genes(["a", "b", "a"], ["a"])


def test_a_map_translates_and_leaves_out_what_is_ambiguous():
    names = [f"{i}{kind}_at" for i, kind in enumerate(("", "", "_s", "_x", "", "", "", ""))][1:]
    match = match_genes(names, ["EGFR", "TP53", "ESR1", "PGR", "BRCA1", "C1ORF112"], gene_map=PROBES)
    pairs = list(zip(match.columns.tolist(), match.places.tolist(), strict=True))
    assert pairs == [(0, 1), (1, 1), (2, 0), (6, 5)]
    assert "chip.csv, 'probe' to 'symbol': 7 of 7 names are in it, 2 of them stand for several genes" in match.notes[1]
    assert found(names, ["7157"], gene_map=PROBES) == {("1_at", "7157"), ("2_s_at", "7157")}, "by the other column"


def test_a_row_with_several_genes_does_not_say_which_is_which():
    names = ["BRCA1", "NBR1", "TP53"]
    assert found(names, ["672", "4077", "7157"], gene_map=PROBES) == {("TP53", "7157")}
    new = ("8_at", "NBR1", "4077")
    alone = {name: [*cells, [extra]] for (name, cells), extra in zip(PROBES.columns.items(), new, strict=True)}
    assert found(names, ["672", "4077"], gene_map=GeneMap("m", alone)) == {("NBR1", "4077")}


def test_the_order_of_columns_and_of_the_map_does_not_matter():
    rng = np.random.default_rng(0)
    names, wanted = ["1_at", "2_s_at", "3_x_at", "4_at", "7_at", "other_at"], ["TP53", "C1orf112", "EGFR"]
    expected = found(names, wanted, gene_map=PROBES)
    for _ in range(5):
        order = rng.permutation(8)
        shuffled = GeneMap("m", {name: [cells[i] for i in order] for name, cells in reversed(PROBES.columns.items())})
        assert found(list(rng.permutation(names)), list(rng.permutation(wanted)), gene_map=shuffled) == expected


def test_a_gene_stands_for_all_its_probes_where_probes_are_wanted():
    wanted = ["2_s_at", "1_at", "3_x_at", "4_at", "6_at"]
    pairs = found(["TP53", "EGFR", "BRCA1", "PGR"], wanted, gene_map=PROBES)
    assert pairs == {("TP53", "1_at"), ("TP53", "2_s_at"), ("EGFR", "3_x_at")}, "not for probes of several genes"
    again = found(["EGFR", "TP53"], wanted, known={"1_at": ["TP53"], "2_s_at": ["TP53"]})
    assert again == {("TP53", "1_at"), ("TP53", "2_s_at")}, "known from training, without the map"


def test_a_map_is_left_alone_where_names_are_alike_and_refused_where_it_does_not_fit():
    assert found(["TP53", "X"], ["TP53", "Y"], gene_map=PROBES) == {("TP53", "TP53")}
    with pytest.raises(
        ValueError,
        match=r"chip.csv: none of its columns holds Illumina probes \(such as 'ILMN_1'\); it has 'probe'"
        r" \(such as 1_at\).*give a table with these names and with symbols",
    ):
        match_genes(["ILMN_1", "ILMN_2"], ["TP53", "EGFR"], gene_map=PROBES)
    with pytest.raises(ValueError, match="none of its columns holds Ensembl genes"):
        match_genes(["1_at", "2_s_at"], ["ENSG00000141510"], gene_map=PROBES)


def test_two_columns_that_fit_alike_are_refused_unless_they_say_the_same():
    rows = {"probe": [["1_at"], ["2_at"]], "symbol": [["TP53"], ["EGFR"]], "alias": [["EGFR"], ["TP53"]]}
    with pytest.raises(ValueError, match="columns 'symbol' and 'alias' hold as many of the gene names"):
        match_genes(["1_at", "2_at"], ["TP53", "EGFR"], gene_map=GeneMap("m.csv", rows))
    ensembl = {"id": [["ENSG00000000001"]], "id with version": [["ENSG00000000001.4"]], "symbol": [["TP53"]]}
    assert found(["ENSG00000000001.2"], ["TP53"], gene_map=GeneMap("m.csv", ensembl))


@pytest.mark.parametrize("how", ["mean", "max-mean", "max-variance"])
def test_many_columns_become_one_by_the_rule(how):
    rng = np.random.default_rng(1)
    X = rng.normal(rng.normal(8, 2, 12), rng.uniform(0.5, 3, 12), (40, 12)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 11] = np.nan
    names = [f"{i}_at" for i in range(12)]
    genes = ["A", "B", "A", "C", "B", "A", "D", "B", "E", "A", "F", "F"]
    table = GeneMap("m", {"probe": [[name] for name in names], "symbol": [[gene] for gene in genes]})
    wanted = ["F", "C", "Z", "B", "A"]
    match = match_genes(names, wanted, gene_map=table)
    gathered = gather_genes(X, match, wanted, how)
    for place, gene in enumerate(wanted):
        columns = [i for i, one in enumerate(genes) if one == gene and i != 11]
        if gene == "Z":
            assert np.isnan(gathered.X[:, place]).all()
        elif how == "mean":
            expected = np.array([np.nanmean(row) if not np.isnan(row).all() else np.nan for row in X[:, columns]])
            np.testing.assert_allclose(gathered.X[:, place], expected, rtol=1e-6)
        else:
            score = np.nanmean if how == "max-mean" else np.nanvar
            best = max(columns, key=lambda column: score(X[:, column].astype(np.float64)))
            np.testing.assert_array_equal(gathered.X[:, place], X[:, best])
    again = match_genes(names, wanted, known=measured_by(names, gathered, wanted))
    np.testing.assert_array_equal(gather_genes(X, again, wanted, "mean").X, gathered.X), "what was taken is known"
    assert "10 columns became 4" in gathered.notes[0]


def test_the_rule_that_is_chosen():
    assert Translation().column_rule("log") == "max-mean"
    assert Translation().column_rule("centred") == "max-variance"
    assert Translation(probes="mean").column_rule("centred") == "mean"
    with pytest.raises(ValueError, match="auto, mean, max-mean, max-variance, found 'median'"):
        Translation(probes="median").column_rule("log")


def test_equal_columns_give_way_to_the_first():
    X = np.ones((3, 2), dtype=np.float32)
    for how in ("max-mean", "max-variance"):
        assert merge_duplicate_genes(X.copy(), ["a", "a"], how)[1] == [0]


def test_known_columns_come_before_any_map():
    names = ["1_at", "2_s_at", "TP53"]
    assert found(names[:2], ["TP53"], known={"TP53": ["2_s_at"]}, gene_map=PROBES) == {("2_s_at", "TP53")}
    assert found(["ENST00000269305.9"], ["TP53"], known={"TP53": ["ENST00000269305.2"]}), "another version"


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt", ".tsv.gz"])
def test_tables_of_annotation_are_read(tmp_path: Path, ending: str):
    """The form of Affymetrix and GEO: comments, quotes, several genes in a cell, nothing as ---."""
    separator = "," if ending == ".csv" else "\t"
    rows = [
        ["ID", "Gene Title", "Gene Symbol"],
        ["1007_s_at", '"discoidin, receptor"', "DDR1 /// MIR4640"],
        ["1053_at", "replication", "RFC2"],
        ["117_at", "heat shock", "---"],
        ["121_at", "paired box", " PAX8 "],
    ]
    text = "#ID = the probe\n#Gene Symbol = from Entrez, a gene\n" + "\n".join(map(separator.join, rows)) + "\n\n"
    path = tmp_path / f"map{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    table = read_gene_map(path)
    assert table.columns["Gene Symbol"] == [["DDR1", "MIR4640"], ["RFC2"], [], ["PAX8"]]
    assert list(table.columns) == rows[0]


def test_a_header_may_begin_with_the_mark_of_a_comment(tmp_path: Path):
    path = tmp_path / "map.tsv"
    path.write_text("#probe\tsymbol\n1_at\tTP53\n")
    assert read_gene_map(path).columns == {"probe": [["1_at"]], "symbol": [["TP53"]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"probe\n1_at\n", "two columns or more"),
        (b"probe,symbol\n", "maps no genes"),
        (b"probe,symbol\n,\n", "maps no genes"),
        (b"#only\n#comments\n", "maps no genes"),
        (b"probe,symbol\n1_at,TP53,more\n", "line 2: 3 fields where the header has 2"),
        (b"probe,probe\n1_at,TP53\n", "'probe' appears twice"),
        (b"\x00\x01\x02,\xff", "binary data"),
        (b"probe,symbol\n\xff\xfe,a\n", "not UTF-8"),
        (b"PK\x03\x04....", "ZIP or Excel"),
    ],
)
def test_what_is_no_table_of_genes_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "map.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as refused:
        read_gene_map(path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("map.csv")


def test_real_names_of_two_projects_meet_through_the_symbols_of_a_gct_file(shared_data):
    with gzip.open(shared_data / "expression" / "gtex_v8_reads_59genes.gct.gz", "rt") as text:
        rows = [line.split("\t", 2)[:2] for line in text][3:]
    names, symbols = (list(column) for column in zip(*rows, strict=True))
    there = list(ad.read_h5ad(shared_data / "expression" / "rnaseqdb_counts.h5ad", backed="r").var_names)
    table = GeneMap("gtex", {"Name": [[name] for name in names], "Description": [[symbol] for symbol in symbols]})
    assert found(there, names, gene_map=table) == {(symbol, name) for name, symbol in zip(names, symbols, strict=True)}
    later = [f"{gene_key(name)}.99" for name in names]
    assert match_genes(there, later, gene_map=table).found.all()
