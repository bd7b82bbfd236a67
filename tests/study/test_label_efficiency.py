"""Whole studies on small simulated cohorts."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.study import METHODS, label_efficiency, rebuild
from oligolearn.study.cohort import Cohort
from oligolearn.study.design import Design, Run, draw_repeat
from oligolearn.study.jobs import drawn_rows, pretrain, task_of
from oligolearn.study.planning import plan_study
from oligolearn.study.store import COLUMNS

QUICK = {"pretraining": {"epochs": 3, "min_steps": 6}, "training": {"epochs": 2, "min_steps": 4}}


def cohort(n=120, n_genes=40, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.normal(8, 1, (n, n_genes)) + 1.5 * rng.normal(size=(n_classes, n_genes))[y]
    obs = pd.DataFrame(
        {"y": np.array(["A", "B", "C"])[y], "patient": [f"p{i // 2}" for i in range(n)]},
        index=[f"s{i}" for i in range(n)],
    )
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]))


def tables(folder):
    results = pd.read_csv(folder / "results.csv").drop(columns="seconds")
    return results, folder.joinpath("summary.json").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "out"
    label_efficiency(cohort(), "y", out=folder, fractions=(0.1, 1.0), repeats=3, workers=1, progress=False, **QUICK)
    return folder


def test_a_study_leaves_what_it_promises(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "embeddings.json",
        "figures",
        "report.html",
        "results.csv",
        "runs.jsonl",
        "study.json",
        "summary.json",
    ]
    results = pd.read_csv(finished / "results.csv")
    assert tuple(results.columns) == COLUMNS
    assert len(results) == 3 * 2 * 5
    assert not results.isna().any(axis=None)
    names = {path.suffix for path in finished.joinpath("figures").iterdir()}
    assert names == {".svg", ".pdf"}


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(finished, tmp_path):
    settings = {"fractions": (0.1, 1.0), "repeats": 3, "progress": False, **QUICK}
    for workers in (2, 4):
        label_efficiency(cohort(), "y", out=tmp_path / str(workers), workers=workers, **settings)
        one, many = tables(finished), tables(tmp_path / str(workers))
        pd.testing.assert_frame_equal(one[0], many[0], check_exact=True)
        assert one[1] == many[1]


def test_methods_are_paired_on_the_same_labels_and_seeds(finished):
    results = pd.read_csv(finished / "results.csv")
    for _, runs in results.groupby(["repeat", "fraction"]):
        assert runs["n_labels"].nunique() == 1
        assert runs["seed"].nunique() == 1


def test_the_report_is_rebuilt_from_the_runs_alone(finished):
    before = {name: finished.joinpath(name).read_bytes() for name in ("results.csv", "summary.json", "report.html")}
    for name in before:
        finished.joinpath(name).unlink()
    rebuild(finished)
    assert {name: finished.joinpath(name).read_bytes() for name in before} == before


def test_a_finished_study_trains_nothing_again(finished, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("oligolearn.study.efficiency.execute", refuse)
    settings = {"fractions": (0.1, 1.0), "repeats": 3, "workers": 1, "progress": False, **QUICK}
    result = label_efficiency(cohort(), "y", out=finished, **settings)
    assert len(result.results) == 30
    assert "<h" in result._repr_html_()


def test_other_data_in_the_same_folder_are_refused(finished):
    settings = {"fractions": (0.1, 1.0), "repeats": 3, "workers": 1, "progress": False, **QUICK}
    with pytest.raises(ValueError, match="data is '"):
        label_efficiency(cohort(seed=1), "y", out=finished, **settings)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_new_study_in_the_place_of_a_removed_one_sees_its_own_data(tmp_path, workers):
    settings = {"workers": workers, "fractions": (1.0,), "repeats": 1, "methods": ("logistic",), "progress": False}
    anew, replaced = tmp_path / "anew", tmp_path / "replaced"
    for out, seed in ((anew, 1), (replaced, 0)):
        label_efficiency(cohort(seed=seed), "y", out=out, **settings)
    shutil.rmtree(replaced)
    label_efficiency(cohort(seed=1), "y", out=replaced, **settings)
    expected, found = (pd.read_csv(out / "results.csv").drop(columns="seconds") for out in (anew, replaced))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_test_rows_do_not_reach_training(tmp_path):
    """Whatever stands in test and validation rows, genes, scaling, encoder and predictions are the same."""
    data = cohort()
    y = pd.factorize(data.obs["y"])[0]
    design = Design(label="y", fractions=(0.5,), repeats=1, top_genes=20, **QUICK)
    split = draw_repeat(design, y, None, 0).split
    spoiled = data.X.copy()
    hidden = np.concatenate([split.validation, split.test])
    spoiled[hidden] = 1e4 * np.random.default_rng(1).normal(size=(len(hidden), data.n_vars))
    np.save(tmp_path / "clean.npy", data.X)
    np.save(tmp_path / "spoiled.npy", spoiled)
    clean, dirty = (Cohort(tmp_path / f"{name}.npy", y, None) for name in ("clean", "spoiled"))
    np.testing.assert_array_equal(*(drawn_rows(design, one, 0)[1] for one in (clean, dirty)))
    bundles = [pretrain(design, one, [0], "swav")[0].bundle for one in (clean, dirty)]
    assert bundles[0].description["scaling"] == bundles[1].description["scaling"]
    assert all(tensor.equal(bundles[1].weights[name]) for name, tensor in bundles[0].weights.items())
    for method in ("logistic", "pca-logistic", "scratch", "untrained"):
        models = [
            METHODS[method].fit([task_of(design, one, Run(0, 0.5, 40, method), None)])[0].model
            for one in (clean, dirty)
        ]
        shown = data.X[split.test][:, drawn_rows(design, clean, 0)[1]]
        np.testing.assert_array_equal(models[0].predict_proba(shown), models[1].predict_proba(shown))


def test_patients_stay_on_one_side(tmp_path):
    data = cohort()
    study = plan_study(data, "y", {"group": "patient", "repeats": 4, "fractions": (1.0,)})
    for repeat in range(4):
        split = draw_repeat(study.design, study.labels.codes, study.groups, repeat).split
        sides = [set(data.obs["patient"].iloc[rows]) for rows in (split.pretrain, split.validation, split.test)]
        assert not (sides[0] & sides[1])
        assert not (sides[0] & sides[2])
        assert not (sides[1] & sides[2])


def test_a_diverged_training_is_reported_and_spoils_no_other(tmp_path):
    settings = {**QUICK, "training": {"learning_rate": 1e30, "min_steps": 20, "epochs": 20}}
    result = label_efficiency(
        cohort(), "y", out=tmp_path / "o", fractions=(1.0,), repeats=2, workers=1, progress=False,
        methods=("logistic", "scratch"), **settings,
    )  # fmt: skip
    assert set(result.results["method"]) == {"logistic"}
    assert [failure["method"] for failure in result.summary["failures"]] == ["scratch", "scratch"]
    assert "learning rate" in result.summary["failures"][0]["reason"]


def test_a_pretraining_that_diverges_costs_the_automatic_choice_one_candidate(tmp_path):
    pretraining = {**QUICK.get("pretraining", {}), "learning_rate": 1e30, "min_steps": 20}
    result = label_efficiency(
        cohort(), "y", out=tmp_path / "o", fractions=(1.0,), repeats=2, workers=1, progress=False,
        methods=("logistic", "simclr", "auto"), **{**QUICK, "pretraining": pretraining},
    )  # fmt: skip
    assert set(result.results["method"]) == {"logistic", "auto"}
    assert [failure["method"] for failure in result.summary["failures"]] == ["simclr", "simclr"]
    told = [text for name, text in result.summary["settings"].items() if name.startswith("auto with")]
    assert "simclr (failed)" in told[0]


@pytest.mark.slow
def test_kill_9_at_ten_random_moments_loses_only_runs_in_flight(tmp_path):
    cohort().write_h5ad(tmp_path / "c.h5ad")
    command = [
        sys.executable, "-c", "from oligolearn.cli import main; main()", "study", str(tmp_path / "c.h5ad"),
        "--label", "y", "--repeats", "6", "--fractions", "0.1,0.3,1", "--workers", "2", "--quiet", "--seed", "5",
        "--pretrain-epochs", "30",
    ]  # fmt: skip
    log = tmp_path / "log"

    def start(out):
        with log.open("w") as output:
            return subprocess.Popen(
                [*command, "--out", str(tmp_path / out)],
                start_new_session=True,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    assert start("whole").wait(timeout=600) == 0, log.read_text()
    draws = random.Random(0)
    done = [0]
    for _ in range(10):
        process = start("killed")
        time.sleep(draws.uniform(3, 9))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        runs = tmp_path / "killed" / "runs.jsonl"
        done.append(runs.read_bytes().count(b"\n") if runs.exists() else 0)
        assert done[-1] >= done[-2]
    assert start("killed").wait(timeout=600) == 0, log.read_text()
    whole, killed = tables(tmp_path / "whole"), tables(tmp_path / "killed")
    pd.testing.assert_frame_equal(whole[0], killed[0], check_exact=True)
    summaries = [json.loads(summary) for summary in (whole[1], killed[1])]
    for summary in summaries:
        summary.pop("command")  # names --out
    assert summaries[0] == summaries[1]
