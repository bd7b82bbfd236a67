"""A sweep compares settings on validation samples alone, can be stopped anywhere, and says what it found."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.estimators.rows import chosen_view
from oligolearn.pretext import SwAV
from oligolearn.report import conclude
from oligolearn.study import Design, compare, holm, sweep, sweep_training, sweeping
from oligolearn.study.design import Run, draw_repeat, redraw_repeat
from oligolearn.study.search_space import estimator_settings, search_space, shown_value
from oligolearn.study.sweep_choices import Sizes, make_choices, read_vary
from oligolearn.study.sweep_training import plan_jobs
from oligolearn.training import DivergedError

SMALL = {"encoder_options": {"hidden": [8, 4]}, "min_steps": 4, "epochs": 1}
TINY = {
    "repeats": 3,
    "fractions": (0.2, 1.0),
    "training": SMALL,
    "pretraining": SMALL,
    "normalize": "log",
    "progress": False,
    "workers": 1,
}
PROTOTYPES = {"n_prototypes": [2, 5]}
SIZES = Sizes(n_classes=3, n_pretrain=63, n_genes=20)


def cohort(n=90, n_genes=20, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = rng.normal(8, 1, (n, n_genes)) + 1.2 * rng.normal(size=(3, n_genes))[y]
    obs = pd.DataFrame(
        {"y": np.array(["A", "B", "C"])[y], "patient": [f"p{i // 2}" for i in range(n)]},
        index=[f"s{i}" for i in range(n)],
    )
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]))


def scores_of(folder):
    return pd.read_csv(folder / "results.csv").drop(columns="seconds")


def runs_of(folder):
    """Runs by place, without what a clock decides."""
    lines = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    ordered = sorted(lines, key=lambda run: (run["method"], run["repeat"], run["fraction"]))
    return [{name: value for name, value in run.items() if name != "seconds"} for run in ordered]


@pytest.fixture(autouse=True)
def _not_drawn(monkeypatch):
    """Figures take longer than all trainings of a test; those of `finished` are drawn before this."""
    for name in ("write_figures", "write_report"):
        monkeypatch.setattr(f"oligolearn.report.{name}", lambda *_: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    sweep(cohort(), "y", out=folder, vary=PROTOTYPES, **TINY)
    return folder


def test_a_sweep_leaves_what_it_promises(finished):
    names = sorted(path.name for path in finished.iterdir())
    assert names == ["figures", "report.html", "results.csv", "runs.jsonl", "summary.json", "sweep.json"]
    table = pd.read_csv(finished / "results.csv")
    assert list(table.columns[:6]) == ["repeat", "fraction", "n_labels", "method", "n_prototypes", "default"]
    assert len(table) == 3 * 3 * 2  # two values and the default, three repeats, two fractions
    assert set(table["n_prototypes"]) == {2, 5, 9}
    assert set(table.loc[table["default"], "n_prototypes"]) == {9}  # three for each class
    drawn = {path.name for path in (finished / "figures").iterdir()}
    assert drawn == {
        f"{name}.{kind}" for name in ("accuracy", "difference", "other_metrics") for kind in ("svg", "pdf")
    }


@pytest.mark.slow  # two processes start
def test_the_number_of_workers_changes_nothing(finished, tmp_path):
    sweep(cohort(), "y", out=tmp_path / "o", vary=PROTOTYPES, **{**TINY, "workers": 2})
    pd.testing.assert_frame_equal(scores_of(finished), scores_of(tmp_path / "o"), check_exact=True)
    assert runs_of(finished) == runs_of(tmp_path / "o")


def test_runs_that_are_missing_come_out_as_they_were(finished, tmp_path):
    folder = tmp_path / "o"
    folder.mkdir()
    (folder / "sweep.json").write_bytes((finished / "sweep.json").read_bytes())
    lines = (finished / "runs.jsonl").read_text().splitlines(keepends=True)
    (folder / "runs.jsonl").write_text("".join(lines[:4]) + lines[4][:30])  # in the middle of a job and of a line
    sweep(cohort(), "y", out=folder, vary=PROTOTYPES, **TINY)
    assert runs_of(folder) == runs_of(finished)
    assert len((folder / "runs.jsonl").read_text().splitlines()) == len(lines)
    pd.testing.assert_frame_equal(scores_of(finished), scores_of(folder), check_exact=True)


def test_a_report_of_some_of_the_runs_says_so_first(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "o")
    lines = (finished / "runs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "o" / "runs.jsonl").write_text("".join(lines[:12]))
    said = conclude(sweeping.rebuild_sweep(tmp_path / "o").summary)
    assert said[0].startswith("Unfinished: 12 of 18 runs are there")
    assert not conclude(sweeping.rebuild_sweep(finished).summary)[0].startswith("Unfinished")


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_sweep import PROTOTYPES, TINY, cohort
from oligolearn.study import sweep
sweep(cohort(), "y", out={out!r}, vary=PROTOTYPES, **TINY)
"""


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_and_ends_with_the_same_numbers(finished, tmp_path):
    out = tmp_path / "o"
    script = SCRIPT.format(tests=os.path.dirname(__file__), out=str(out))
    process = subprocess.Popen([sys.executable, "-c", script])
    limit = time.monotonic() + 120
    while time.monotonic() < limit and process.poll() is None:
        if (out / "runs.jsonl").exists() and (out / "runs.jsonl").stat().st_size:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "runs.jsonl").exists()
    sweep(cohort(), "y", out=out, vary=PROTOTYPES, **TINY)
    assert runs_of(out) == runs_of(finished)


def test_a_finished_sweep_trains_nothing_again(finished, monkeypatch):
    monkeypatch.setattr(sweep_training, "fit_together", lambda *_, **__: pytest.fail("trained again"))
    before = {name: (finished / name).read_bytes() for name in ("runs.jsonl", "results.csv", "summary.json")}
    sweep(cohort(), "y", out=finished, vary=PROTOTYPES, **TINY)
    assert {name: (finished / name).read_bytes() for name in before} == before


def test_another_sweep_in_the_folder_is_refused(finished):
    with pytest.raises(ValueError, match="holds another sweep: repeats is 3 there and 2 here"):
        sweep(cohort(), "y", out=finished, vary=PROTOTYPES, **{**TINY, "repeats": 2})
    with pytest.raises(ValueError, match="holds another sweep"):
        sweep(cohort(), "y", out=finished, vary={"n_prototypes": [2, 6]}, **TINY)


def test_test_samples_are_never_looked_at(finished, tmp_path, monkeypatch):
    data = cohort()
    y = pd.factorize(data.obs["y"])[0]
    drawn = {}

    def kept(design, y, groups, repeat):
        return drawn.setdefault(repeat, redraw_repeat(design, y, groups, repeat))

    for module in (sweeping, sweep_training):
        monkeypatch.setattr(module, "redraw_repeat", kept)
    sweep(data, "y", out=tmp_path / "clean", vary=PROTOTYPES, **TINY)
    test = drawn[0].split.test
    assert all(np.array_equal(draw.split.test, test) for draw in drawn.values())
    assert not np.array_equal(drawn[0].split.validation, drawn[1].split.validation)
    spoiled = data.copy()
    spoiled.X[test] = np.random.default_rng(1).normal(8, 5, (len(test), data.n_vars)).astype(np.float32)
    labels = spoiled.obs["y"].to_numpy().copy()
    labels[test] = np.array(["A", "B", "C"])[(y[test] + 1) % 3]
    spoiled.obs["y"] = labels
    sweep(spoiled, "y", out=tmp_path / "spoiled", vary=PROTOTYPES, **TINY)  # draws those of the clean data
    pd.testing.assert_frame_equal(scores_of(tmp_path / "clean"), scores_of(tmp_path / "spoiled"), check_exact=True)
    pd.testing.assert_frame_equal(scores_of(tmp_path / "clean"), scores_of(finished), check_exact=True)


def test_the_test_samples_are_those_of_a_tuning_and_of_a_fixed_study():
    y = np.arange(90) % 3
    design = Design(label="y", fractions=(1.0,), repeats=4, split="fixed", seed=5)
    theirs = draw_repeat(design, y, None, 2).split.test
    assert all(np.array_equal(redraw_repeat(design, y, None, repeat).split.test, theirs) for repeat in range(4))


def test_differences_are_paired_with_the_default_and_adjusted_over_the_whole_sweep(finished):
    summary = json.loads((finished / "summary.json").read_text())
    table = pd.read_csv(finished / "results.csv")
    rows = [row for row in summary["comparisons"] if row["metric"] == "accuracy"]
    assert len(rows) == 2 * 2  # values that are not the default, times fractions
    for row in rows:
        value = int(row["method"].partition("=")[2])
        at = table[table["fraction"] == row["fraction"]].set_index("repeat")
        difference = at[at["n_prototypes"] == value]["accuracy"] - at[at["default"]]["accuracy"]
        assert row["difference"] == pytest.approx(difference.mean())
    assert [row["p_holm"] for row in rows] == holm([row["p_corrected"] for row in rows])
    sizes = summary["design"]
    runs = table.assign(method=table["n_prototypes"].astype(str))
    again = compare(runs, "2", "9", n_train=sizes["n_train"], n_test=sizes["n_validation"])
    assert [row["p_corrected"] for row in rows if row["method"].endswith("=2")] == [one["p_corrected"] for one in again]


def test_settings_reach_the_trainings_they_are_for(tmp_path, monkeypatch):
    seen = []
    original = sweep_training.fit_together
    monkeypatch.setattr(
        sweep_training, "fit_together", lambda m, *more, **named: seen.append(list(m)) or original(m, *more, **named)
    )
    vary = {"view": ["noise", "mixup"], "view_strength": [0.25]}
    sweep(cohort(), "y", out=tmp_path / "o", vary=vary, **{**TINY, "repeats": 1, "fractions": (1.0,)})
    pretrained = [one.get_params(deep=False) for models in seen for one in models if hasattr(one, "objective")]
    views = {(one["view"], one["view_strength"]) for one in pretrained}
    assert views == {("noise", 0.25), ("mixup", 0.25), (None, None)}
    assert {one["objective_options"]["n_prototypes"] for one in pretrained} == {9}  # what is not varied is a study's


@pytest.mark.parametrize(
    ("method", "name", "values"),
    [
        ("vicreg", "covariance", [0.5]),
        ("barlow-twins", "redundancy", [0.05]),
        ("vime", "alpha", [1.0]),
        ("moco", "version", [1]),
        ("scarf", "loss", ["info-nce"]),
        ("swav", "iterations", [5]),
    ],
)
def test_every_setting_of_an_objective_has_a_name(method, name, values):
    design = Design(label="y", methods=(method,), fractions=(1.0,), pretraining=SMALL, training=SMALL)
    varied = read_vary({name: values}, method, given={})
    choices = make_choices(design, varied, SIZES)
    other = next(choice for choice in choices if not choice.default)
    assert other.settings["pretraining"]["objective_options"][name] == values[0]


def test_epochs_are_what_differs_where_they_are_few_steps(tmp_path, monkeypatch):
    seen = []
    original = sweep_training.fit_together
    monkeypatch.setattr(
        sweep_training, "fit_together", lambda m, *more, **named: seen.append(list(m)) or original(m, *more, **named)
    )
    one = {**TINY, "repeats": 1, "fractions": (1.0,)}
    sweep(cohort(), "y", out=tmp_path / "o", vary={"epochs": [1, 7]}, method="scratch", **{**one, "training": {}})
    steps = {(model.epochs, model._schedule(63).steps) for models in seen for model in models}
    assert steps == {(1, 1), (7, 7), (30, 200)}


def test_a_sweep_says_what_pretraining_warned_of_and_the_fix(tmp_path):
    vary = {"queue_length": [0, 300]}
    done = sweep(cohort(), "y", out=tmp_path / "o", vary=vary, **{**TINY, "fractions": (1.0,)})
    said = " ".join(done.summary["warnings"])
    assert "queue" in said
    assert "set queue_length to" in said


def test_choices_that_differ_after_pretraining_share_it(tmp_path, monkeypatch):
    fitted = []
    original = sweep_training.fit_together
    monkeypatch.setattr(
        sweep_training, "fit_together", lambda m, *more, **named: fitted.extend(m) or original(m, *more, **named)
    )
    done = sweep(cohort(), "y", out=tmp_path / "o", vary={"transfer_layers": [0, 1, 2]}, **TINY)
    assert sum(hasattr(model, "objective") for model in fitted) == 3  # one for each repeat
    assert len(fitted) == 3 + 3 * 3 * 2
    assert done.summary["choices"][2]["default"]  # both layers
    assert set(done.results.loc[done.results["default"], "transfer_layers"]) == {2}


def test_a_study_would_give_the_default_the_same_scores(tmp_path):
    """The default is trained as `label_efficiency` trains it: same rows, labels, seeds and settings."""
    done = sweep(cohort(), "y", out=tmp_path / "o", vary={"dropout": [0.5]}, method="scratch", **{**TINY, "repeats": 1})
    default = done.results[done.results["default"]].set_index("fraction")
    from oligolearn.estimators import FineTunedClassifier
    from oligolearn.study.design import training_seed

    data = cohort()
    y = pd.factorize(data.obs["y"], sort=True)[0]
    design = Design(label="y", fractions=(1.0,), repeats=1)
    draw = redraw_repeat(design, y, None, 0)
    for fraction, n_labels in ((0.2, 13), (1.0, len(draw.split.train))):
        shown = draw.order[:n_labels]
        target = np.where(np.isin(draw.split.pretrain, shown), y[draw.split.pretrain], np.nan).astype(float)
        model = FineTunedClassifier(random_state=training_seed(draw.seed, n_labels), device="cpu", **SMALL)
        model.fit(data.X[draw.split.pretrain], target)
        rows = draw.split.validation
        accuracy = np.mean(model.predict(data.X[rows]) == y[rows])
        assert default.loc[fraction, "accuracy"] == pytest.approx(accuracy)


def test_methods_can_be_the_setting(tmp_path):
    vary = {"method": ["swav", "scratch", "vicreg"]}
    done = sweep(cohort(), "y", out=tmp_path / "o", vary=vary, **{**TINY, "repeats": 1, "fractions": (1.0,)})
    assert done.results["method"].tolist() == ["swav", "scratch", "vicreg"]
    assert done.results["default"].tolist() == [True, False, False]


def test_a_training_that_diverges_is_said_and_stops_nothing(tmp_path, monkeypatch):
    original = sweep_training.fit_together

    def fails(models, *more, **named):
        found = original(models, *more, **named)
        if hasattr(models[0], "objective") and models[0].objective_options["n_prototypes"] == 2:
            return found._replace(models=[DivergedError("the loss became nan") for _ in models])
        return found

    monkeypatch.setattr(sweep_training, "fit_together", fails)
    done = sweep(cohort(), "y", out=tmp_path / "o", vary=PROTOTYPES, **TINY)
    assert set(done.results["n_prototypes"]) == {5, 9}
    assert len(done.summary["failures"]) == 6
    assert any("6 runs failed" in sentence for sentence in conclude(done.summary))


def test_patients_stay_on_one_side_and_never_meet_the_test_samples(tmp_path, monkeypatch):
    splits = []
    original = sweep_training.redraw_repeat
    monkeypatch.setattr(
        sweep_training, "redraw_repeat", lambda *given: splits.append(original(*given).split) or original(*given)
    )
    data = cohort()
    sweep(data, "y", out=tmp_path / "o", vary=PROTOTYPES, group="patient", **TINY)
    for split in splits:
        sides = [set(data.obs["patient"].iloc[rows]) for rows in (split.pretrain, split.validation, split.test)]
        assert not (sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2])


def choices_of(vary, method="swav", **settings):
    varied = read_vary(vary, method, given=settings)
    return make_choices(Design(label="y", methods=(method,), fractions=(1.0,), **settings), varied, SIZES)


@pytest.mark.parametrize(
    ("vary", "default"),
    [
        (["prototypes=4,9"], "n_prototypes=9"),  # three for each of three classes
        (["prototypes=4"], "default"),
        (["epsilon=.05,.1"], "epsilon=0.05"),
        (["view=masked-mixup,noise"], "view=masked-mixup"),
        (["mask_share=0.25,0.9"], "default"),  # it follows from the number of genes
        (["layers=512-256-128,64"], "layers=512,256,128"),
        (["transfer_layers=1,3"], "transfer_layers=3"),
        (["learning_rate=1e-3"], "default"),
        (["view=masked-mixup,noise", "view_strength=0.25,1"], "default"),
    ],
)
def test_the_default_is_found_among_the_values(vary, default):
    choices = choices_of(vary)
    assert [choice.name for choice in choices if choice.default] == [default]


def test_pairs_that_mean_the_same_are_trained_once():
    choices = choices_of(["transfer_layers=1,2,3", "frozen_layers=0,1,2"])
    names = [choice.name for choice in choices]
    assert "transfer_layers=1, frozen_layers=1" in names
    assert "transfer_layers=1, frozen_layers=2" not in names  # only what is taken over can be frozen
    assert len(names) == 8


def test_jobs_are_replicas_of_one_architecture_whatever_is_done():
    choices = choices_of(["view=masking,noise,swapping", "prototypes=4,8"])
    runs = [Run(repeat, 1.0, 9, choice.name) for choice in choices for repeat in range(4)]
    jobs = plan_jobs(choices, runs, 8)
    assert sorted(run for job in jobs for run in job.all_runs()) == sorted(runs)
    for job in jobs:
        assert len(job.starts) <= 8
        assert len({start.settings["objective_options"]["n_prototypes"] for start in job.starts}) == 1
    views = [len({start.settings.get("view") for start in job.starts}) for job in jobs]
    assert max(views) > 1  # different views stand in one job


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["prototypse=4,8"], "swav has no setting 'prototypse'; it has"),
        (["prototypse=4,8"], "did you mean n_prototypes?"),
        (["momentum=0.9"], "swav has no setting 'momentum'"),
        (["prototypes"], "--vary takes name=a,b,c"),
        (["prototypes="], "--vary takes name=a,b,c"),
        (["prototypes=4,,8"], "--vary takes name=a,b,c"),
        (["prototypes=4,x"], "--vary n_prototypes takes whole numbers, found 'x'"),
        (["prototypes=1"], "--vary n_prototypes must be at least 2"),
        (["prototypes=4,4"], "names a value twice"),
        (["epsilon=nan"], "epsilon must be above 0"),
        (["view=masking,blur"], "--vary view: unknown view 'blur'; choose one of masking, marginal, noise"),
        (["view=masking,gone.gmt"], "--vary view: gone.gmt does not exist"),
        (["view=masking,masking:0.3", "view_strength=0.2"], "view_strength is known of the views"),
        (["method=swav,logistic"], "--vary method must be one of scratch, swav"),
        (["layers=64-x"], "layers takes layers such as"),
        (["epsilon=.1", "epsilon=.2"], "names epsilon twice"),
        (["epsilon=.1", "prototypes=4", "view=noise"], "one or two settings, found epsilon, n_prototypes, view"),
        ([], "one or two settings, found none"),
        (["epochs=5"], "fixed by another option"),
        (["view=noise", "mask_share=0.2"], "the view noise has no mask_share to set"),
        (["mask_share=0.2", "view_strength=0.2"], "name one of them"),
        (["method=swav,byol", "epsilon=.1"], "byol has no setting 'epsilon'"),
        ({"epsilon": []}, "needs at least one value"),
    ],
)
def test_a_sweep_that_cannot_be_made_says_why_before_work(tmp_path, vary, message):
    settings = {**TINY, "training": {"epochs": 3}}
    with pytest.raises(ValueError) as error:
        sweep(cohort(), "y", out=tmp_path / "o", vary=vary, **settings)
    assert message in str(error.value)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["transfer_layers=2,3,4"], "mean the same here"),
        (["view_strength=0.5,2"], "must be at least 0 and at most 1, found 2"),
    ],
)
def test_values_that_the_network_or_view_cannot_have_are_refused_before_work(tmp_path, vary, message):
    with pytest.raises(ValueError, match=message):
        sweep(cohort(), "y", out=tmp_path / "o", vary=vary, **{**TINY, "training": {}, "pretraining": {}})
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("view", "strength", "options"),
    [
        ("masking", 0.7, {"share": 0.7}),
        ("noise", 2.0, {"scale": 2.0}),
        ("mixup", 0.3, {"lowest": 0.7}),
        ("latent", 0.4, {"strength": 0.4}),
        ("hallmark.gmt", 0.4, {"share": 0.4}),
    ],
)
def test_the_strength_of_a_view_is_its_own_setting_and_reads_back(view, strength, options):
    settings = estimator_settings({"view": view, "view_strength": strength}, {}, pretrains=True)
    chosen = chosen_view(SwAV, settings["pretraining"]["view"], None, settings["pretraining"]["view_strength"])
    assert chosen == (view, pytest.approx(options))
    assert shown_value("view_strength", settings, "swav") == pytest.approx(strength)


def test_a_tuning_can_search_views_as_well():
    assert "view_strength" in search_space("swav", ["view=masking|noise"])
    assert "mask_share" not in search_space("swav")
    space = search_space("swav", ["view=masking|swapping", "mask_share=0.1:0.5"])
    assert "view_strength" not in space
    assert "view_strength" not in search_space("swav", given={"pretraining": {"view_options": {"share": 0.3}}})
    assert "view_strength" not in search_space("autoencoder")  # sees samples as they are
    several = search_space("swav", ["view=masking:0.3+noise:0.1|swapping:0.2"])
    assert several["view"].values == ("masking:0.3+noise:0.1", "swapping:0.2")
    assert "view_strength" not in several  # which both say themselves
    with pytest.raises(ValueError, match="the view noise has no mask_share to set"):
        search_space("swav", ["view=masking|noise", "mask_share=0.1:0.5"])
    with pytest.raises(ValueError, match="--search view: unknown view 'blur'"):
        search_space("swav", ["view=blur"])
