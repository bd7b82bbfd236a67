"""Whole studies of sequences whose label is a number."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr

from oligolearn.data import encode_sequences
from oligolearn.report import conclude, figures
from oligolearn.study import sequence_efficiency
from oligolearn.study.efficiency import rebuild
from oligolearn.study.sequence_cohort import SequenceCohort
from oligolearn.study.sequence_methods import NUMBER_METHODS, SEQUENCE_METHODS, one_hot_letters
from oligolearn.study.sequence_numbers import read_numbers
from oligolearn.study.sequence_planning import plan_sequence_study
from oligolearn.study.statistics import learned_order
from oligolearn.study.store import NUMBER_COLUMNS, Store

SMALL = {"encoder": "motif-cnn", "encoder_options": {"n_filters": 4, "width": 4, "pooling": "mean"}}
QUICK = {"training": {"epochs": 1, "min_steps": 4}, "encoder": SMALL, "progress": False, "workers": 1}
METHODS = ("kmer-ridge", "onehot-ridge", "scratch")
ASKED = {"methods": METHODS, "fractions": (0.2, 1.0), "repeats": 3}


def draw(n=110, length=24, seed=0, *, shortest=None):
    """Sequences whose number is the G and C they have, with noise; some are not measured."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("ACGT"), rng.integers(shortest or length, length + 1))) for _ in range(n)]
    sequences = encode_sequences(texts, alphabet="dna")
    rate = np.array([text.count("G") + text.count("C") for text in texts]) + rng.normal(0, 0.5, n)
    rate[-10:] = np.nan
    obs = {"rate": rate, "chromosome": [f"chr{i // 8}" for i in range(n)]}
    return replace(sequences, obs=pd.DataFrame(obs, index=sequences.obs.index))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "out"
    sequence_efficiency(draw(), "rate", out=folder, **ASKED, **QUICK)
    return folder


def test_methods_are_compared_by_the_order_of_their_predictions(finished):
    results = pd.read_csv(finished / "results.csv")
    assert tuple(results.columns) == NUMBER_COLUMNS
    assert len(results) == 3 * 2 * 3
    assert not results.isna().any(axis=None)
    most = results.query("fraction == 1.0").groupby("method")
    assert most.spearman.mean()["kmer-ridge"] > 0.6
    assert most.r2.mean()["onehot-ridge"] > 0.3
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["metric"] == "spearman"
    assert {row["metric"] for row in summary["comparisons"]} == {"spearman"}
    assert {"labels_needed", "confusion", "calibration"}.isdisjoint(summary)
    assert sum(one["n"] for one in summary["data"]["ranges"]) == 100
    kept = summary["predictions"]["methods"]["kmer-ridge"]
    assert len(kept["measured"]) == len(kept["predicted"]) == 3 * summary["design"]["n_test"]


def test_the_report_speaks_of_numbers(finished):
    report = (finished / "report.html").read_text()
    words = re.sub(r"<style.*?</style>|<svg.*?</svg>", "", report, flags=re.DOTALL)
    assert "Spearman&#39;s correlation and labels" in words
    assert "Labelled samples of each range" in words
    assert "stratified by ranges of the number" in words
    assert not re.search(r"accuracy|AUROC|[Cc]onfusion|percentage point", words)
    summary = json.loads((finished / "summary.json").read_text())
    said = " ".join(conclude(summary))
    assert "Spearman's correlation" in said
    assert "accuracy" not in said
    assert "points" not in said
    assert {"spearman", "difference", "other_metrics", "predictions"} <= set(figures(summary))


def test_a_target_is_refused_and_nothing_is_lost(finished):
    before = (finished / "results.csv").read_bytes()
    with pytest.raises(ValueError, match="--target is an accuracy") as caught:
        rebuild(finished, target=0.9)
    assert "\n" not in str(caught.value)
    rebuild(finished)
    assert (finished / "results.csv").read_bytes() == before


def test_a_stop_changes_nothing(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "again")
    lines = (finished / "runs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "again" / "runs.jsonl").write_text("".join(lines[::2]) + lines[1][:20])  # torn in the middle of a run
    sequence_efficiency(draw(), "rate", out=tmp_path / "again", **ASKED, **QUICK)
    one, again = (
        pd.read_csv(folder / "results.csv").drop(columns="seconds") for folder in (finished, tmp_path / "again")
    )
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    assert (finished / "summary.json").read_bytes() == (tmp_path / "again" / "summary.json").read_bytes()
    other = draw()
    other.obs.iloc[0, 0] += 0.001
    with pytest.raises(ValueError, match="holds another study"):
        sequence_efficiency(other, "rate", out=finished, **ASKED, **QUICK)


def test_a_pretrained_regressor_starts_from_what_its_encoder_learned(tmp_path):
    settings = {name: QUICK[name] for name in ("training", "encoder")}
    settings |= {"methods": ("scratch", "simclr"), "fractions": (0.5,), "repeats": 2, "group": "chromosome"}
    settings |= {"pretraining": {"epochs": 1, "min_steps": 3}}
    found = sequence_efficiency(draw(), "rate", out=tmp_path / "out", progress=False, workers=1, **settings)
    assert sorted(found.results.method) == ["scratch"] * 2 + ["simclr"] * 2
    study = plan_sequence_study(draw(), "rate", settings)
    cohort = SequenceCohort.laid(study, Store(tmp_path))
    one = study.design.draw(cohort.y, cohort.groups, 0)
    (encoder,) = cohort.pretrain(study.design, [(one, None)], "simclr")
    task = cohort.task(study.design, one, None, 20, encoder)
    np.testing.assert_allclose(task.labels, draw().obs.rate.to_numpy()[one.order[:20]])
    frozen = {**task.settings, "frozen_layers": None, "epochs": 1}
    (fitted,) = NUMBER_METHODS["simclr"].fit([task._replace(settings=frozen)])
    kept, learned = fitted.model.module_[0].encoder.state_dict(), encoder.encoder_.state_dict()
    name = next(name for name in kept if name.endswith("weight") and kept[name].ndim == 3)
    assert np.array_equal(kept[name].numpy(), learned[name].numpy())


def test_ridge_regression_is_that_of_the_normal_equations(tmp_path):
    study = plan_sequence_study(draw(), "rate", {"methods": ("onehot-ridge",), "fractions": (1.0,), "repeats": 1})
    cohort = SequenceCohort.laid(study, Store(tmp_path))
    task = cohort.task(study.design, study.design.draw(cohort.y, cohort.groups, 0), None, 60, None)
    (fitted,) = NUMBER_METHODS["onehot-ridge"].fit([task])
    X, test = (one_hot_letters(some, 24).astype(float) for some in (task.sequences, draw(seed=3)))
    centre, mean = X.mean(axis=0), task.labels.mean()
    inner = (X - centre).T @ (X - centre) + fitted.model._model.alpha_ * np.eye(X.shape[1])
    weights = np.linalg.solve(inner, (X - centre).T @ (task.labels - mean))
    np.testing.assert_allclose(fitted.model.predict(draw(seed=3)), (test - centre) @ weights + mean, rtol=1e-6)


def test_numbers_are_stratified_by_ranges_that_can_be_split():
    groups = np.arange(100)
    text = pd.Series([str(i) for i in range(100)])
    assert np.bincount(read_numbers(text, "y", groups).ranges.codes).tolist() == [20] * 5
    ties = pd.Series(["0"] * 60 + [str(i) for i in range(40)])
    codes = read_numbers(ties, "y", groups).ranges.codes
    assert np.bincount(codes).min() >= 7
    assert len(np.unique(codes[:60])) == 1, "equal numbers are in one range"
    by_three = read_numbers(text[:36].reset_index(drop=True), "y", np.arange(36) // 2)
    assert len(by_three.ranges.classes) == 2, "18 groups make two ranges of 9"
    with pytest.raises(ValueError, match="is a number for 5 different sequences or groups"):
        read_numbers(text, "y", groups // 20)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"methods": ("kmer-logistic",)},
            "methods for a label that is a number must be different names",
        ),
        ({"methods": ("onehot-ridge",)}, "onehot-ridge compares letters at the same place, but lengths differ"),
        ({"min_class_size": 7}, "--min-class-size is for classes, but label 'rate' is a number"),
    ],
)
def test_what_cannot_be_studied_is_one_line(settings, said):
    with pytest.raises(ValueError, match=said) as caught:
        plan_sequence_study(draw(shortest=20), "rate", {"fractions": (1.0,), "repeats": 1, **settings})
    assert "\n" not in str(caught.value)


def test_numbers_have_the_networks_that_classes_have():
    networks = {name for name, method in SEQUENCE_METHODS.items() if method.network}
    assert networks | {"kmer-ridge", "onehot-ridge"} == set(NUMBER_METHODS)


def test_order_by_chance_is_no_order_learned():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        scores = [spearmanr(rng.normal(size=30), rng.normal(size=30))[0] for _ in range(5)]
        runs = pd.DataFrame({"method": "m", "fraction": 1.0, "n_labels": 20, "repeat": range(5), "spearman": scores})
        hits += bool(learned_order(runs, n_train=100, n_test=30)["any"])
    assert hits < 20
    runs["spearman"] = 0.4
    (row,) = learned_order(runs, n_train=100, n_test=30, resampled=False)["rows"]
    assert row["p"] == pytest.approx(norm.sf(0.4 * np.sqrt(29)))
    assert row["chance"] == 0
