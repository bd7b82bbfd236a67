"""Studies on real data: pretraining helps where it is known to, and nothing is found where there is nothing."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from oligolearn.data import read_expression
from oligolearn.report import conclude
from oligolearn.study import label_efficiency
from oligolearn.study.planning import plan_study

EXPRESSION = "expression"


@pytest.mark.slow
def test_swav_saves_labels_on_tcga_mirna(shared_data: Path, tmp_path: Path) -> None:
    result = label_efficiency(
        shared_data / EXPRESSION / "tcga_mirna.h5ad",
        "cancer_type",
        out=tmp_path / "o",
        methods=("logistic", "scratch", "swav"),
        fractions=(0.01,),
        repeats=2,
        seed=11,
        workers=2,
        progress=False,
        pretraining={"epochs": 80},
    )
    accuracy = result.results.groupby("method")["accuracy"].mean()
    assert accuracy["swav"] > accuracy["scratch"] + 0.03
    assert accuracy["swav"] > accuracy["logistic"] + 0.03


@pytest.mark.slow
def test_shuffled_labels_teach_nothing_and_the_report_says_so(shared_data: Path, tmp_path: Path) -> None:
    adata = read_expression(shared_data / EXPRESSION / "tcga_mirna.h5ad")
    adata = adata[adata.obs["cancer_type"].isin(["BLCA", "LUAD"])].copy()
    adata.obs["shuffled"] = np.random.default_rng(0).permutation(adata.obs["cancer_type"].astype(str))
    result = label_efficiency(
        adata,
        "shuffled",
        out=tmp_path / "o",
        methods=("logistic", "scratch", "swav"),
        fractions=(0.1, 1.0),
        repeats=4,
        workers=2,
        progress=False,
        pretraining={"epochs": 5},
        training={"epochs": 5},
    )
    assert result.results.groupby("method")["balanced_accuracy"].mean().max() < 0.58
    said = " ".join(conclude(result.summary))
    assert "Nothing was learned" in said
    assert "no better than chance" in said
    assert "raises accuracy" not in said


def test_rnaseqdb_keeps_patients_together_and_names_its_traps(shared_data: Path) -> None:
    adata = read_expression(shared_data / EXPRESSION / "rnaseqdb_counts.h5ad")
    settings = {"group": "patient", "min_class_size": 10, "repeats": 2, "fractions": (0.1, 1.0)}
    study = plan_study(adata, "cohort_status", settings)
    assert len(study.labels.classes) == 24
    assert study.about["data"]["units"] == "counts"
    notes, warnings = " ".join(study.about["data"]["notes"]), " ".join(study.about["warnings"])
    assert "CHOL normal (9), CESC normal (2)" in notes or "CESC normal (2), CHOL normal (9)" in notes
    assert "source" in warnings


@pytest.mark.parametrize("name", ["golub", "khan", "singh", "alon", "shipp", "chowdary"])
def test_every_microarray_cohort_can_be_studied(shared_data: Path, name: str) -> None:
    adata = read_expression(shared_data / EXPRESSION / f"microarray_{name}.csv.gz", label="y")
    study = plan_study(adata, "y", {"repeats": 2, "points": 3})
    assert np.isfinite(study.X).all()
    assert study.runs


def test_real_missing_labels_join_pretraining(shared_data: Path) -> None:
    adata = read_expression(shared_data / EXPRESSION / "breast_er_expos.h5ad")
    study = plan_study(adata, "er", {"repeats": 1, "fractions": (1.0,)})
    assert study.about["data"]["n_unlabelled"] == 107
    assert study.about["sizes"]["n_pretrain"] == study.about["sizes"]["n_train"] + 107


@pytest.mark.slow
def test_the_gct_of_gtex_with_its_sheet_is_split_by_donor(shared_data: Path) -> None:
    folder = shared_data / EXPRESSION
    adata: ad.AnnData = read_expression(
        folder / "gtex_v8_reads_59genes.gct.gz", samples=folder / "gtex_v8_samples.csv.gz"
    )
    study = plan_study(adata, "tissue", {"group": "donor", "repeats": 1, "fractions": (1.0,), "min_class_size": 10})
    assert len(study.X) == 17_382
    assert study.about["data"]["n_unlabelled"] >= 17_382 - 7_123
