"""Transfer studies on small simulated cohorts: what is compared, on which rows, and that nothing else reaches it."""

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.estimators.adaptation_methods import method_names
from oligolearn.report import conclude
from oligolearn.study import transfer
from oligolearn.study.cohort import Cohort
from oligolearn.study.statistics import paired_t_test
from oligolearn.study.transfer_design import TransferDesign, draw_transfer, plan_budgets
from oligolearn.study.transfer_methods import BOUNDS, TRANSFER_METHODS
from oligolearn.study.transfer_planning import plan_transfer
from oligolearn.study.transfer_training import Domains, _drawn_rows, _task, as_seen
from oligolearn.study.transferring import rebuild_transfer

SMALL = {"encoder_options": {"hidden": (8, 4)}, "epochs": 1, "min_steps": 10}
QUICK: dict[str, Any] = {
    "methods": ("linear", "coral"), "budgets": (0, 2), "repeats": 3, "workers": 1, "progress": False,
}  # fmt: skip


def cohort(name: str, n: int = 60, *, seed: int = 0, unit: float = 1.0, classes: str = "AB") -> ad.AnnData:
    """Samples of two patients each, whose classes differ in 10 of 30 genes; `unit` stretches and moves all values."""
    rng = np.random.default_rng([seed, *map(ord, name)])
    y = np.repeat(np.arange(n // 2) % len(classes), 2)
    profiles = 1.2 * np.random.default_rng(7).normal(size=(len(classes), 30)) * (np.arange(30) < 10)
    X = unit * (rng.normal(size=(n, 30)) + profiles[y]) + (unit - 1) * 20
    obs = pd.DataFrame(
        {"y": np.array(list(classes), dtype=object)[y], "patient": [f"{name}-patient-{i // 2}" for i in range(n)]},
        index=[f"{name}-{i}" for i in range(n)],
    )
    made = ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(30)]))
    made.uns["oligolearn"] = {"file": f"{name}.h5ad", "notes": []}
    return made


def tables(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    summary = json.loads(folder.joinpath("summary.json").read_text())
    del summary["seconds"]
    return pd.read_csv(folder / "results.csv").drop(columns="seconds"), summary


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transfer") / "out"
    transfer(cohort("ours"), cohort("theirs", unit=3.0), "y", out=folder, **QUICK)
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the files of figures out: they take longer than these studies."""
    monkeypatch.setattr("oligolearn.report.write_figures", lambda *_: None)


def test_every_method_of_the_estimator_can_be_compared() -> None:
    assert set(TRANSFER_METHODS) == {*BOUNDS, *method_names()}


def test_the_table_has_a_row_for_each_method_budget_and_repeat(finished: Path) -> None:
    table = pd.read_csv(finished / "results.csv", dtype={"n_per_class": str})
    assert not table.isna().any(axis=None)
    counts = table.groupby(["method", "n_per_class"]).size().to_dict()
    assert counts == {
        ("source-only", "0"): 3, ("linear", "0"): 3, ("linear", "2"): 3, ("coral", "0"): 3, ("coral", "2"): 3,
        ("target-only", "2"): 3, ("target-only", "all"): 3,
    }  # fmt: skip
    assert table.loc[table.n_per_class == "2", "n_labels"].unique().tolist() == [4]
    assert table.loc[table.n_per_class == "all", "n_labels"].unique().tolist() == [44]
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "embeddings.json", "figures", "report.html", "results.csv", "runs.jsonl", "summary.json", "transfer.json",
    }  # fmt: skip


def test_a_shift_of_units_is_undone_and_the_conclusion_says_so(finished: Path) -> None:
    table, summary = tables(finished)
    means = table.groupby(["method", "n_labels"])["balanced_accuracy"].mean()
    assert means["source-only", 0] < 0.7
    assert means["linear", 0] > 0.8
    said = conclude(summary)
    assert said[0].startswith("Adaptation helps here: without a label of the target")
    assert any("labels of the target alone would need" in one for one in said)


@pytest.mark.usefixtures("undrawn")
def test_without_a_shift_no_difference_is_claimed(tmp_path: Path) -> None:
    settings = {**QUICK, "methods": ("linear",), "budgets": (0,)}
    result = transfer(cohort("ours"), cohort("theirs"), "y", out=tmp_path / "o", **settings)
    said = " ".join(conclude(result.summary))
    assert "Adaptation helps" not in said
    assert "detectably better than source only" not in said


def test_differences_are_paired_and_adjusted_over_the_methods_that_answer_a_question(finished: Path) -> None:
    table, summary = tables(finished)
    scores = table[table.n_labels == 0].pivot_table(index="repeat", columns="method", values="balanced_accuracy")
    first = [row for row in summary["comparisons"] if row["metric"] == "balanced_accuracy"][:2]
    tests = [paired_t_test(scores[name] - scores["source-only"], n_train=44, n_test=16) for name in ("linear", "coral")]
    assert [(row["method"], row["baseline"], row["difference"]) for row in first] == [
        ("linear", "source-only", pytest.approx(tests[0].difference)),
        ("coral", "source-only", pytest.approx(tests[1].difference)),
    ]
    alone = sorted(one.p_corrected or 0.0 for one in tests)
    assert sorted(row["p_holm"] for row in first) == pytest.approx([2 * alone[0], max(2 * alone[0], alone[1])])


def data_of(folder: Path, groups: bool = True, change: Any = None, rows: Any = ()) -> Domains:
    """60 samples of a source and 60 of a target, 8 of these without label; some rows changed."""
    source, target = cohort("ours"), cohort("theirs", unit=3.0)
    X = np.concatenate([source.X, target.X])
    X[list(rows)] = change(X[list(rows)]) if change else X[list(rows)]
    y = np.concatenate([pd.factorize(one.obs["y"])[0] for one in (source, target)])
    y[np.random.default_rng(1).choice(np.arange(60, 120), 8, replace=False)] = -1
    patients = np.repeat(np.arange(60), 2)
    folder.mkdir(exist_ok=True)
    np.save(folder / "matrix.npy", X)
    return Domains(Cohort(folder / "matrix.npy", y, patients if groups else None), np.repeat([0, -1], 60))


@pytest.mark.parametrize("method", ["source-only", "linear", "coral", "dann", "cada", "target-only"])
@pytest.mark.parametrize("grouped", [True, False])
def test_rows_that_are_tested_reach_nothing(method: str, grouped: bool, tmp_path: Path) -> None:
    """Neither genes, nor scaling, nor a measure of the shift, nor a prediction."""
    design = TransferDesign("y", methods=("linear",), top_genes=15, training={**SMALL})
    plain = data_of(tmp_path / "plain", grouped)
    draw = plain.draw(design, 0)
    hidden = np.setdiff1d(np.arange(60, 120), draw.seen)
    assert set(draw.test) <= set(hidden)
    changed = data_of(tmp_path / "changed", grouped, lambda x: 1000 * x + 5, hidden)
    found = []
    for data in (plain, changed):
        task, genes = _task(design, data, draw, 2)
        model = TRANSFER_METHODS[method].fit(task)
        told = getattr(model, "adaptation_", None)
        found.append((genes.tolist(), model.predict_proba(task.X[-10:]).tolist(), told))
    assert found[0] == found[1]


@pytest.mark.parametrize(("bound", "other_side"), [("source-only", slice(60, 120)), ("target-only", slice(0, 60))])
def test_a_bound_knows_nothing_of_the_other_side(bound: str, other_side: slice, tmp_path: Path) -> None:
    design = TransferDesign("y")
    plain = data_of(tmp_path / "plain")
    changed = data_of(tmp_path / "changed", True, lambda x: -x + 3, np.arange(120)[other_side])
    draw = plain.draw(design, 0)
    asked = plain.cohort.values(np.arange(120), None)
    models = [TRANSFER_METHODS[bound].fit(_task(design, data, draw, 5)[0]) for data in (plain, changed)]
    np.testing.assert_array_equal(*(model.predict_proba(asked) for model in models))


def test_budgets_are_nested_and_have_as_many_labels_of_each_class(tmp_path: Path) -> None:
    data, design = data_of(tmp_path / "d"), TransferDesign("y")
    for repeat in range(3):
        draw = data.draw(design, repeat)
        before: set[int] = set()
        for budget in (0, 1, 2, 5, 10):
            shown = set(draw.shown(budget).tolist())
            assert before <= shown <= set(draw.train.tolist())
            assert np.bincount(data.cohort.y[list(shown)], minlength=2).tolist() == [budget, budget]
            before = shown
            task, _ = _task(design, data, draw, budget)
            assert np.isfinite(task.y[task.domains < 0]).sum() == 2 * budget
            assert np.isfinite(task.y[task.domains >= 0]).all()
        assert set(draw.shown(None)) == set(draw.train)


def test_patients_of_the_target_stay_on_one_side(tmp_path: Path) -> None:
    data, design = data_of(tmp_path / "d"), TransferDesign("y")
    for repeat in range(5):
        draw = data.draw(design, repeat)
        patients = data.cohort.groups
        assert not set(patients[draw.seen]) & set(patients[draw.test])
        assert set(draw.train) < set(draw.seen)  # unlabelled rows are seen as well
        assert (data.domains[draw.seen] < 0).all()
        assert 0.2 < len(draw.test) / (len(draw.test) + len(draw.train)) < 0.4


def test_repeats_do_not_depend_on_each_other() -> None:
    y, domains = np.repeat([0, 1], 30), np.full(60, -1)
    few, many = TransferDesign("y", repeats=2), TransferDesign("y", repeats=9, methods=("coral",))
    for repeat in range(2):
        for one, two in zip(*(draw_transfer(d, y, domains, None, repeat) for d in (few, many)), strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_budget_of_all_labels_is_trained_once() -> None:
    assert plan_budgets([0, 2, 10], n_train=20, n_classes=2) == [(0, 0.0), (2, 0.2), (10, 1.0)]


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_study_goes_on_and_ends_alike(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    out.mkdir()
    lines = finished.joinpath("runs.jsonl").read_text().splitlines(keepends=True)
    out.joinpath("runs.jsonl").write_text("".join(lines[:8]) + lines[8][:30])  # stopped while it wrote
    out.joinpath("transfer.json").write_bytes(finished.joinpath("transfer.json").read_bytes())
    assert conclude(rebuild_transfer(out).summary)[0].startswith(f"Unfinished: 8 of {len(lines)} runs are there")
    transfer(cohort("ours"), cohort("theirs", unit=3.0), "y", out=out, **QUICK)
    assert out.joinpath("runs.jsonl").read_text().startswith("".join(lines[:8]))
    (table, summary), (expected, told) = tables(out), tables(finished)
    pd.testing.assert_frame_equal(table, expected, check_exact=True)
    assert summary == told


@pytest.mark.usefixtures("undrawn")
def test_a_finished_study_trains_nothing_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oligolearn.study.transfer_training._carry_out", None)
    before = finished.joinpath("report.html").read_bytes()
    finished.joinpath("report.html").unlink()
    result = transfer(cohort("ours"), cohort("theirs", unit=3.0), "y", out=finished, **QUICK)
    assert finished.joinpath("report.html").read_bytes() == before
    assert "<h3" in result._repr_html_()
    with pytest.raises(ValueError, match="holds another transfer study: seed is 0 there and 1 here"):
        transfer(cohort("ours"), cohort("theirs", unit=3.0), "y", out=finished, **{**QUICK, "seed": 1})


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_number_of_workers_changes_nothing(finished: Path, tmp_path: Path) -> None:
    transfer(cohort("ours"), cohort("theirs", unit=3.0), "y", out=tmp_path / "o", **{**QUICK, "workers": 2})
    (table, summary), (expected, told) = tables(tmp_path / "o"), tables(finished)
    pd.testing.assert_frame_equal(table, expected, check_exact=True)
    assert summary == told


@pytest.mark.usefixtures("undrawn")
def test_a_method_that_fails_spoils_no_other_and_its_reason_is_kept(tmp_path: Path) -> None:
    settings = {**QUICK, "standardize": "together", "repeats": 2}
    result = transfer(cohort("ours"), cohort("theirs"), "y", out=tmp_path / "o", **settings)
    assert set(result.results["method"]) == {"source-only", "linear", "target-only"}
    assert [one["method"] for one in result.summary["failures"]] == ["coral"] * 4
    assert "needs centred domains" in result.summary["failures"][0]["reason"]
    said = conclude(result.summary)
    assert any("4 runs failed and are missing from every number here (CORAL)" in one for one in said)
    assert [one["name"] for one in result.summary["embeddings"]] == ["measured", "linear"]


def test_several_sources_are_domains_of_their_own(tmp_path: Path) -> None:
    sources = [cohort("ours"), cohort("others", unit=2.0)]
    plan = plan_transfer(sources, cohort("theirs", unit=3.0), "y", {"repeats": 2})
    assert np.bincount(plan.domains + 1).tolist() == [60, 60, 60]
    assert plan.about["title"] == "Transfer of y from ours.h5ad and others.h5ad to theirs.h5ad"


def test_classes_of_one_side_and_samples_of_both_are_left_out() -> None:
    source, target = cohort("ours", 90, classes="ABC"), cohort("theirs", 60, classes="AB")
    source = ad.concat([source, target[:4]])
    source.uns["oligolearn"] = {"file": "ours.h5ad", "notes": []}
    plan = plan_transfer([source], target, "y", {"repeats": 2})
    assert plan.classes == ["A", "B"]
    assert (plan.domains >= 0).sum() == 60
    assert any("30 samples of the sources are of classes" in one for one in plan.about["warnings"])
    assert any("4 samples have the name of one of your samples" in one for one in plan.about["data"]["notes"])


def test_a_map_shows_what_a_method_sees(tmp_path: Path) -> None:
    """CORAL's source has the covariance of the target (with the ridge of both); a network's rows are its embedding."""
    data, design = data_of(tmp_path / "d"), TransferDesign("y", training={**SMALL})
    draw = data.draw(design, 0)
    task, _ = _task(design, data, draw, 0)
    rows = _drawn_rows(data, draw)
    assert set(rows) == {*data.sources, *draw.seen, *draw.test}
    model = TRANSFER_METHODS["coral"].fit(task)
    seen = as_seen(model, task, task.X, task.domains)
    of_target = model.predict_proba(task.X[task.domains >= 0], task.domains[task.domains >= 0])
    scores = seen[task.domains >= 0] @ model.target_model_.classifier_.coef_[0]
    odds = scores + model.target_model_.classifier_.intercept_[0]
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), of_target[:, 1], atol=1e-6)
    network = TRANSFER_METHODS["cada"].fit(task)
    embedded = as_seen(network, task, task.X, task.domains)
    np.testing.assert_array_equal(embedded[task.domains < 0], network.embed(task.X[task.domains < 0]))


def without(adata: ad.AnnData, column: str) -> ad.AnnData:
    changed = adata.copy()
    changed.obs = changed.obs.drop(columns=column)
    return changed


def labelled(adata: ad.AnnData, values: Any) -> ad.AnnData:
    changed = adata.copy()
    changed.obs["y"] = pd.Series(values, index=changed.obs_names, dtype=object)
    return changed


@pytest.mark.parametrize(
    ("source", "target", "settings", "message"),
    [
        (without(cohort("ours"), "y"), cohort("theirs"), {}, "ours.h5ad: there is no column 'y'"),
        (labelled(cohort("ours"), "A"), cohort("theirs"), {}, "ours.h5ad: .* one only, 'A'"),
        (cohort("ours"), labelled(cohort("theirs"), "A"), {}, "theirs.h5ad: .* one only, 'A'"),
        (cohort("ours"), without(cohort("theirs"), "y"), {}, "theirs.h5ad has no labels in a column 'y'"),
        (
            cohort("ours"),
            labelled(cohort("theirs"), [None] * 60),
            {},
            "theirs.h5ad has no labels .* `oligolearn adapt`",
        ),
        (
            cohort("ours"),
            cohort("theirs", classes="BC"),
            {},
            "two classes of 'y' must be in sources and target, found 1 such; .* the target B, C",
        ),
        (cohort("ours"), cohort("theirs"), {"budgets": (0, 30)}, "30 labels .* more than the 22 samples of class 'A'"),
        (cohort("ours"), cohort("theirs"), {"budgets": (5, 1)}, "budgets must be whole numbers .* ascending"),
        (cohort("ours"), cohort("theirs"), {"methods": ("dann", "svm")}, "methods must be .* found dann, svm"),
        (cohort("ours"), cohort("theirs"), {"methods": ("target-only",)}, "there in any case"),
        (cohort("ours"), cohort("theirs"), {"repeats": 0}, "repeats must be at least 1"),
        (cohort("ours"), cohort("theirs"), {"group": "ward"}, "ward"),
        (cohort("ours"), cohort("theirs", 12), {}, "theirs.h5ad: .* the split needs at least 7"),
        (cohort("ours"), cohort("ours"), {}, "no source has a sample of class 'A' that is not one of the target's"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(
    source: ad.AnnData, target: ad.AnnData, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plan_transfer([source], target, "y", settings)
