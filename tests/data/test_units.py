"""Units are recognised, and normalisation equals its formula without looking across samples."""

import numpy as np
import pytest

from oligolearn.data import check_missing, guess_units, normalize, read_expression

EXPECTED = {
    "rnaseqdb_counts.h5ad": "counts",
    "tcga_60genes.h5ad": "log",
    "tcga_mirna.h5ad": "centred",
    "breast_er_nkis.h5ad": "centred",
    "breast_er_vdxs.h5ad": "log",
    "breast_er_expos.h5ad": "log",
    "gtex_v8_reads_59genes.gct.gz": "counts",
    "microarray_golub.csv.gz": "linear",
    "microarray_khan.csv.gz": "centred",
    "microarray_alon.csv.gz": "linear",
    "microarray_chowdary.csv.gz": "linear",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_units_of_real_data(name, shared_data):
    units, why = guess_units(read_expression(shared_data / "expression" / name).X)
    assert units == EXPECTED[name]
    assert "from" in why


def counts(n=7, genes=2500):
    return np.random.default_rng(5).poisson(30, (n, genes)).astype(np.float32)


def test_counts_become_log2_cpm():
    X = counts()
    expected = np.array(
        [[np.log2(value / sum(row) * 1_000_000 + 1) for value in row] for row in X.astype(float).tolist()]
    )
    result = normalize(X)
    assert result.units == "counts"
    assert "log2(CPM + 1)" in result.sentence
    np.testing.assert_allclose(result.X, expected, rtol=1e-6)


def test_linear_values_become_log2():
    X = counts() + np.float32(0.25)
    result = normalize(X * 4.1)
    assert result.units == "linear"
    np.testing.assert_allclose(result.X, np.log2(X * 4.1 + 1), rtol=1e-6)


@pytest.mark.parametrize("mode", ["auto", "counts", "linear"])
def test_a_sample_alone_is_normalised_as_among_others(mode):
    X = counts()
    whole = normalize(X, mode)
    for i in range(len(X)):
        np.testing.assert_array_equal(normalize(X[i : i + 1], whole.units).X[0], whole.X[i])


@pytest.mark.parametrize("X", [counts(), counts() + np.float32(0.5), counts() / 10 - 3, -counts()])
def test_the_returned_units_repeat_what_auto_did(X):
    first = normalize(X)
    np.testing.assert_array_equal(normalize(X, first.units).X, first.X)


def test_missing_counts_stay_missing_and_do_not_change_the_others():
    X = counts()
    X[2, 5] = 0
    with_gap = X.copy()
    with_gap[2, 5] = np.nan
    expected = normalize(X, "counts").X
    expected[2, 5] = np.nan
    np.testing.assert_array_equal(normalize(with_gap).X, expected)


def test_input_is_kept_unless_given_away():
    X = counts()
    before = X.copy()
    normalize(X)
    np.testing.assert_array_equal(X, before)
    given = normalize(X, inplace=True)
    assert given.X is X


@pytest.mark.parametrize("mode", ["log", "centred", "none"])
def test_values_left_as_they_are(mode):
    X = counts() - 5
    np.testing.assert_array_equal(normalize(X, mode).X, X)


def test_whole_numbers_with_negatives_are_left_as_they_are():
    X = counts() - 15
    X[0, 0] = 20_000
    result = normalize(X)
    np.testing.assert_array_equal(result.X, X)
    assert "negatives have no log" in result.sentence


@pytest.mark.parametrize("mode", ["counts", "linear"])
def test_negative_values_are_named_when_a_log_is_asked_for(mode):
    X = counts()
    X[3, 2] = -1
    with pytest.raises(ValueError, match=r"negative: sample 'd' has -1 in column 3"):
        normalize(X, mode, sample_names=list("abcdefg"))


def test_samples_without_counts_are_named():
    X = counts()
    X[[1, 4]] = 0
    with pytest.raises(ValueError, match=r"2 sample\(s\) have no counts at all \('b', 'e'\)"):
        normalize(X, sample_names=list("abcdefg"))


def test_an_unknown_mode_lists_the_known_ones():
    with pytest.raises(ValueError, match="auto, counts, linear, log, centred, none, found 'cpm'"):
        normalize(counts(), "cpm")


def test_missing_values_below_the_limit_are_noted_above_refused(shared_data):
    adata = read_expression(shared_data / "expression" / "breast_er_nkis.h5ad")
    note = check_missing(adata.X, adata.var_names, 0.25)
    assert note is not None
    assert "199 of 862 genes" in note
    with pytest.raises(ValueError, match=r"1 of 862 genes miss more than 10%.*NDUFS1 22\.0%.*max_missing=0\.22"):
        check_missing(adata.X, adata.var_names, 0.1)
    check_missing(adata.X, adata.var_names, 0.22)  # what the message proposes


def test_nothing_missing_is_nothing_to_say():
    assert check_missing(counts(), [str(i) for i in range(2500)], 0.0) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        check_missing(counts(), [], 20)
