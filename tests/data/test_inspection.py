"""What `inspect` reports: associations, repeated samples, shared patients, in numbers and in words."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from oligolearn.data import read_expression
from oligolearn.data.association import associations, cramers_v, eta_squared
from oligolearn.data.inspection import inspect_expression
from oligolearn.data.leakage import exact_duplicates, near_duplicates, shared_patients


def test_cramers_v_approaches_the_uncorrected_value_of_scipy():
    rng = np.random.default_rng(0)
    table = rng.multinomial(2_000_000, rng.dirichlet(np.ones(12))).reshape(3, 4)
    value, p = cramers_v(table)
    assert value == pytest.approx(stats.contingency.association(table, method="cramer"), abs=1e-4)
    assert p == stats.chi2_contingency(table, correction=False).pvalue


def test_cramers_v_is_the_formula_of_bergsma():
    table = np.array([[12, 5, 3], [4, 9, 11]])
    n, r, k = 44, 2, 3
    phi2 = stats.contingency.association(table, method="cramer") ** 2 * min(r - 1, k - 1)
    phi2 = max(0, phi2 - (k - 1) * (r - 1) / (n - 1))
    smaller = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1))
    assert cramers_v(table)[0] == pytest.approx(np.sqrt(phi2 / (smaller - 1)))


def test_cramers_v_of_unrelated_columns_has_no_bias():
    rng = np.random.default_rng(1)
    values = []
    for _ in range(200):
        rows, columns = rng.integers(0, 5, 60), rng.integers(0, 6, 60)
        values.append(cramers_v(pd.crosstab(rows, columns).to_numpy())[0])
    assert np.mean(values) < 0.12  # uncorrected: .29


def test_eta_squared_agrees_with_anova():
    rng = np.random.default_rng(2)
    classes = np.array(list("aaaabbbbbccccccc"), dtype=object)
    values = rng.normal(size=16) + (classes == "b")
    eta2, p = eta_squared(values, classes)
    test = stats.f_oneway(*(values[classes == name] for name in "abc"))
    assert p == pytest.approx(test.pvalue)
    assert eta2 == pytest.approx(test.statistic * 2 / (test.statistic * 2 + 13))


def test_rows_without_label_or_value_and_ids_are_left_out():
    label = pd.Series(["a", "b", "a", "b", np.nan, "a"] * 5, name="y")
    obs = pd.DataFrame({"y": label, "batch": ["u", "v", "u", "v", "u", None] * 5, "id": [f"s{i}" for i in range(30)]})
    found = associations(obs, label)
    assert [one.column for one in found] == ["batch"]
    assert (found[0].value, found[0].n_pure, found[0].is_batch) == (1.0, 2, True)


def cohort(n=60, genes=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, genes)).astype(np.float32) + rng.normal(8, 2, genes).astype(np.float32)


def test_duplicates_are_found_and_unrelated_samples_are_not():
    X = cohort(700, 2500)  # more than one block of rows, more genes than are compared at first
    X[650] = X[3]
    X[10] = X[600] + np.random.default_rng(1).normal(0, 0.01, 2500)
    assert exact_duplicates(X) == [[3, 650]]
    assert {(pair.first, pair.second) for pair in near_duplicates(X)} == {(3, 650), (10, 600)}


def test_near_duplicates_equal_the_correlation_matrix():
    X = cohort(40, 50)
    X[5] = X[30] + 0.05 * cohort(1, 50, seed=9)[0]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = np.corrcoef(Z)
    rows, columns = np.where(np.triu(expected, 1) > 0.4)
    found = near_duplicates(X, threshold=0.4)
    assert {pair[:2] for pair in found} == set(zip(rows.tolist(), columns.tolist(), strict=True))
    for pair in found:
        assert pair.correlation == pytest.approx(expected[pair.first, pair.second], abs=1e-5)


def test_missing_values_do_not_hide_a_duplicate():
    X = cohort()
    X[:, 7] = np.nan
    X[4] = X[9]
    X[9, 0] = X[4, 0] = np.nan
    assert exact_duplicates(X) == [[4, 9]]
    assert [pair[:2] for pair in near_duplicates(X)] == [(4, 9)]


def test_shared_patients_by_name_and_by_shape():
    ids = [f"P{i // 2}" for i in range(60)]
    obs = pd.DataFrame({"patient": ids[:50] + [f"Q{i}" for i in range(10)], "who": ids, "sex": ["m", "f"] * 30})
    assert {one.column: (one.n_patients, one.n_shared, one.n_rows) for one in shared_patients(obs)} == {
        "patient": (35, 25, 50),
        "who": (30, 30, 60),
    }
    assert shared_patients(pd.DataFrame({"patient": [f"P{i}" for i in range(60)]})) == []


def test_a_class_of_copies_and_contradicting_labels_are_said():
    X = cohort()
    X[:5] = X[0]
    X[10] = X[11]
    label = pd.Categorical(["filled"] * 5 + ["a", "b"] * 27 + [None])
    adata = ad.AnnData(X, obs=pd.DataFrame({"y": label}, index=[f"s{i}" for i in range(60)]))
    summary = inspect_expression(adata, "y")
    words = " ".join(summary["warnings"])
    assert "all 5 samples of class 'filled' have the same values" in words
    assert "1 of them differ in label" in words
    assert summary["label"]["n_unlabelled"] == 1


def test_one_class_only_is_said():
    adata = ad.AnnData(cohort(), obs=pd.DataFrame({"y": ["a"] * 60}, index=[f"s{i}" for i in range(60)]))
    assert "one class only" in inspect_expression(adata, "y")["warnings"][0]


def test_the_traps_of_a_real_compendium_are_said_in_words(shared_data):
    adata = read_expression(shared_data / "expression" / "rnaseqdb_counts.h5ad")
    summary = inspect_expression(adata, "cohort_status")
    json.dumps(summary)
    words = " ".join(summary["warnings"])
    n_classes = adata.obs["cohort_status"].nunique()
    assert (
        f"a batch column `source` explains the label (Cramer's V 0.99): in {n_classes} of {n_classes} classes" in words
    )
    assert "the batch instead of the biology" in words
    assert "use --group patient" in words
    shared = adata.obs["patient"].duplicated(keep=False)
    assert summary["patients"][0]["n_rows"] == shared.sum()
    assert "--group" not in " ".join(inspect_expression(adata, "cohort_status", "patient")["warnings"])
    assert summary["constant_genes"]["n"] == (adata.X.min(axis=0) == adata.X.max(axis=0)).sum()


def test_organ_is_only_partly_confounded_with_source(shared_data):
    adata = read_expression(shared_data / "expression" / "rnaseqdb_counts.h5ad")
    table = pd.crosstab(adata.obs["organ"], adata.obs["source"]).to_numpy()
    found = {one["column"]: one for one in inspect_expression(adata, "organ")["associations"]}
    assert found["source"]["n_pure"] == ((table > 0).sum(axis=1) == 1).sum()
    assert found["source"]["n_classes"] == 14


def test_the_class_of_filled_in_samples_of_the_mirna_set_is_found(shared_data):
    adata = read_expression(shared_data / "expression" / "tcga_mirna.h5ad")
    words = " ".join(inspect_expression(adata, "cancer_type")["warnings"])
    assert "all 127 samples of class 'GBM' have the same values" in words
