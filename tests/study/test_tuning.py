"""A tuning searches on validation samples alone, can be stopped anywhere, and tests once."""

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from oligolearn.estimators import FineTunedClassifier, Together
from oligolearn.study import trial_training, tune, tuning
from oligolearn.study.design import Design, draw_repeat, training_seed
from oligolearn.study.search_space import search_space, settings_of
from oligolearn.study.trial_training import balanced_accuracies, difference_interval
from oligolearn.study.trials import Trial, check_storage, open_trials
from oligolearn.training import DivergedError

TINY = {
    "method": "scratch",
    "repeats": 2,
    "at_once": 3,
    "search": ["layers=8|8,4", "epochs=1:4", "batch_size=16|32"],
    "training": {"min_steps": 4},
    "normalize": "log",
    "progress": False,
    "workers": 1,
}


def cohort(n=90, n_genes=20, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = rng.normal(8, 1, (n, n_genes)) + 1.2 * rng.normal(size=(3, n_genes))[y]
    obs = pd.DataFrame(
        {"y": np.array(["A", "B", "C"])[y], "patient": [f"p{i // 2}" for i in range(n)]},
        index=[f"s{i}" for i in range(n)],
    )
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]))


def trials_of(folder):
    return pd.read_csv(folder / "trials.csv", dtype={"layers": str}).drop(columns="seconds")


def n_finished(database):
    """Trials that a tuning at work has finished."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("select count(*) from trials where state = 'COMPLETE'").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning") / "out"
    tune(cohort(), "y", out=folder, trials=16, **TINY)
    return folder


def test_a_tuning_leaves_what_it_promises(finished):
    assert sorted(path.name for path in finished.iterdir()) == ["best.json", "trials.csv", "tune.db", "tune.json"]
    table = pd.read_csv(finished / "trials.csv")
    assert list(table.columns) == ["number", "value", "state", "seconds", *settings_of("scratch")]
    assert table["number"].tolist() == list(range(16))
    best = json.loads(finished.joinpath("best.json").read_text())
    assert best["validation"]["best"] >= max(table["value"].max(), best["validation"]["default"])
    assert len(best["test"]["best"]) == 2
    if best["trial"] is not None:
        row = table.loc[best["trial"]]
        assert row["value"] == table["value"].max()
        assert best["training"]["encoder_options"]["hidden"] == [int(part) for part in row["layers"].split(",")]
        assert best["training"]["learning_rate"] == row["learning_rate"]


@pytest.mark.slow
def test_the_number_of_workers_and_a_second_run_change_nothing(finished, tmp_path):
    tune(cohort(), "y", out=tmp_path / "o", trials=16, **{**TINY, "workers": 2})
    pd.testing.assert_frame_equal(trials_of(finished), trials_of(tmp_path / "o"), check_exact=True)


def test_the_search_never_looks_at_test_samples(finished, tmp_path, monkeypatch):
    data = cohort()
    y = pd.factorize(data.obs["y"])[0]
    drawn = {}
    original = trial_training.draw_repeat

    def kept(design, y, groups, repeat):
        return drawn.setdefault(repeat, original(design, y, groups, repeat))

    monkeypatch.setattr(trial_training, "draw_repeat", kept)
    tune(data, "y", out=tmp_path / "clean", trials=4, test=False, **TINY)
    test = drawn[0].split.test
    assert len(test) > 0
    assert np.array_equal(test, drawn[1].split.test)  # one test set, whatever the repeat
    spoiled = data.copy()
    spoiled.X[test] = np.random.default_rng(1).normal(8, 5, (len(test), data.n_vars)).astype(np.float32)
    labels = spoiled.obs["y"].to_numpy().copy()
    labels[test] = np.array(["A", "B", "C"])[(y[test] + 1) % 3]
    spoiled.obs["y"] = labels
    tune(spoiled, "y", out=tmp_path / "spoiled", trials=4, test=False, **TINY)  # draws those of the clean data
    pd.testing.assert_frame_equal(trials_of(tmp_path / "clean"), trials_of(tmp_path / "spoiled"), check_exact=True)
    pd.testing.assert_frame_equal(trials_of(tmp_path / "clean"), trials_of(finished)[:4], check_exact=True)
    defaults = [
        json.loads((tmp_path / name / "best.json").read_text())["validation"]["default"]
        for name in ("clean", "spoiled")
    ]
    assert defaults[0] == defaults[1]


def test_validation_samples_do_decide(tmp_path, monkeypatch):
    data = cohort()
    seen = []
    original = tuning.balanced_accuracies
    monkeypatch.setattr(tuning, "balanced_accuracies", lambda y, p: seen.append((len(y), p.shape)) or original(y, p))
    tune(data, "y", out=tmp_path / "o", trials=2, test=False, **TINY)
    assert len(seen) == 3  # two trials and the default settings
    assert {shape for _, shape in seen} == {(2, seen[0][0])}


def test_the_test_is_made_once(finished, tmp_path, monkeypatch):
    parts = []
    original = trial_training.try_all

    def noted(bench, choices, part, *, workers):
        parts.append(part)
        return original(bench, choices, part, workers=workers)

    monkeypatch.setattr(trial_training, "try_all", noted)
    first = tune(cohort(), "y", out=tmp_path / "o", trials=4, **TINY)
    assert parts == ["validation", "validation", "test"]
    parts.clear()
    again = tune(cohort(), "y", out=tmp_path / "o", trials=4, **TINY)
    assert parts == []
    assert again.best == first.best
    more = tune(cohort(), "y", out=tmp_path / "o", trials=7, **TINY)
    assert set(parts) == {"validation"}
    assert more.best["test"] == first.best["test"]
    assert len(more.trials) == 7


def test_scores_are_those_of_a_classifier_trained_by_hand(tmp_path):
    data = cohort()
    settings = {**TINY, "repeats": 1, "training": {"epochs": 3, "min_steps": 4}, "search": ["layers=8"]}
    best = tune(data, "y", out=tmp_path / "o", trials=1, **settings).best
    y = pd.factorize(data.obs["y"])[0]
    design = Design(label="y", fractions=(1.0,), repeats=1, split="fixed")
    draw = draw_repeat(design, y, None, 0)
    train = draw.split.train
    model = FineTunedClassifier(
        random_state=training_seed(draw.seed, len(train)), epochs=3, min_steps=4, device="cpu", precision="32"
    ).fit(data.X[train], y[train])
    expected = {
        part: balanced_accuracy_score(y[rows], model.predict(data.X[rows]))
        for part, rows in (("validation", draw.split.validation), ("test", draw.split.test))
    }
    assert best["validation"]["default"] == pytest.approx(expected["validation"])
    assert best["test"]["default"] == pytest.approx([expected["test"]])


def test_the_database_lies_in_the_folder_whatever_its_name(tmp_path):
    out = tmp_path / "why? 50%20 #1"
    tune(cohort(), "y", out=out, trials=1, test=False, **TINY)
    assert n_finished(out / "tune.db") == 1
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_the_test_can_wait(tmp_path):
    waiting = tune(cohort(), "y", out=tmp_path / "o", trials=2, test=False, **TINY)
    assert waiting.best["test"] is None
    done = tune(cohort(), "y", out=tmp_path / "o", trials=2, **TINY)
    assert done.best["test"]["n_trials"] == 2


@pytest.mark.parametrize("moment", ["before training", "between two tells", "while proposing"])
def test_a_stop_anywhere_changes_no_trial(finished, tmp_path, monkeypatch, moment):
    calls = {"n": 0}

    def stops(original, after):
        def call(*arguments, **keywords):
            calls["n"] += 1
            if calls["n"] == after:
                raise KeyboardInterrupt
            return original(*arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        if moment == "before training":
            patch.setattr(trial_training, "try_all", stops(trial_training.try_all, 5))
        elif moment == "between two tells":
            patch.setattr(tuning.Trials, "tell", stops(tuning.Trials.tell, 14))
        else:
            import optuna

            patch.setattr(optuna.trial.Trial, "_suggest", stops(optuna.trial.Trial._suggest, 82))
        with pytest.raises(KeyboardInterrupt):
            tune(cohort(), "y", out=tmp_path / "o", trials=16, **TINY)
    tune(cohort(), "y", out=tmp_path / "o", trials=16, **TINY)
    pd.testing.assert_frame_equal(trials_of(finished), trials_of(tmp_path / "o"), check_exact=True)


@pytest.mark.slow
def test_kill_9_changes_no_trial(finished, tmp_path):
    cohort().write_h5ad(tmp_path / "c.h5ad")
    code = (
        "import sys, json; from oligolearn.study import tune; "
        f"tune(sys.argv[1], 'y', out=sys.argv[2], trials=16, **json.loads({json.dumps(TINY)!r}))"
    )
    log = tmp_path / "log"

    def start():
        with log.open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path / "c.h5ad"), str(tmp_path / "o")],
                start_new_session=True,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    for n_done in (1, 5, 9, 13):
        process = start()
        while process.poll() is None and n_finished(tmp_path / "o" / "tune.db") < n_done:
            time.sleep(0.02)
        assert process.poll() is None, log.read_text()  # still at work
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start().wait(timeout=120) == 0, log.read_text()
    pd.testing.assert_frame_equal(trials_of(finished), trials_of(tmp_path / "o"), check_exact=True)


def test_another_tuning_in_the_folder_is_refused(finished, tmp_path):
    for changed, message in (
        ({"seed": 3}, "seed is 0 there and 3 here"),
        ({"search": ["layers=8"]}, "search is"),
        ({"repeats": 3}, "repeats is 2 there and 3 here"),
        ({"at_once": 2}, "at_once is 3 there and 2 here"),
    ):
        with pytest.raises(ValueError, match=message):
            tune(cohort(), "y", out=finished, trials=16, **{**TINY, **changed})
    with pytest.raises(ValueError, match="data is"):
        tune(cohort(seed=1), "y", out=finished, trials=16, **TINY)
    tmp_path.joinpath("mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="is not a tuning"):
        tune(cohort(), "y", out=tmp_path, trials=1, **TINY)


def test_a_diverged_trial_stops_nothing_and_cannot_be_best(tmp_path, monkeypatch):
    original = trial_training.fit_together

    def some_diverge(models, *more, **named):
        fast = [(model.learning_rate or 0) > 1e-3 for model in models]
        found = original(models, *more, **named)
        lost = DivergedError("the loss became nan")
        return found._replace(models=[lost if x else m for x, m in zip(fast, found.models, strict=True)])

    monkeypatch.setattr(trial_training, "fit_together", some_diverge)
    result = tune(cohort(), "y", out=tmp_path / "o", trials=6, **TINY)
    diverged = result.trials["state"] == "diverged"
    assert (diverged == (result.trials["learning_rate"] > 1e-3)).all()
    assert 0 < diverged.sum() < 6
    assert result.trials["value"].isna().equals(diverged)
    assert result.best["trial"] is None or not diverged[result.best["trial"]]


def test_when_every_training_diverges_it_is_said(tmp_path, monkeypatch):
    def all_diverge(models, *more, **named):
        return Together([DivergedError("the loss became nan") for _ in models], [])

    monkeypatch.setattr(trial_training, "fit_together", all_diverge)
    with pytest.raises(ValueError, match="every training diverged"):
        tune(cohort(), "y", out=tmp_path / "o", trials=2, **TINY)


def test_pretraining_settings_reach_the_pretraining(tmp_path, monkeypatch):
    seen = []
    original = trial_training.fit_together
    monkeypatch.setattr(
        trial_training,
        "fit_together",
        lambda models, *more, **named: seen.append(list(models)) or original(models, *more, **named),
    )
    search = ["layers=8,4|8", "epochs=1", "mask_share=0.2:0.4", "n_prototypes=4:8", "transfer_layers=1:3"]
    settings = {**TINY, "method": "swav", "search": search, "pretraining": {"epochs": 1, "min_steps": 2}}
    table = tune(cohort(), "y", out=tmp_path / "o", trials=3, test=False, **settings).trials
    assert len(seen) == 4  # the three trials together, then the default settings: pretrained, and trained
    repeats = 2
    pretrained, trained = ([part[i : i + repeats] for i in range(0, len(part), repeats)] for part in seen[:2])
    assert len(pretrained) == 3
    for i, row in table.iterrows():
        encoder, classifier = pretrained[i][0].get_params(deep=False), trained[i][1].get_params(deep=False)
        assert encoder["view_options"] == {"share": row["mask_share"]}
        assert encoder["objective_options"]["n_prototypes"] == row["n_prototypes"]
        assert encoder["learning_rate"] == row["pretraining_learning_rate"]
        assert encoder["epochs"] == 1
        hidden = [int(part) for part in row["layers"].split(",")]
        assert list(encoder["encoder_options"]["hidden"]) == hidden
        assert classifier["transfer_layers"] == min(row["transfer_layers"], len(hidden))
        assert classifier["frozen_layers"] <= classifier["transfer_layers"]
        assert classifier["dropout"] == row["dropout"]
    assert seen[2][0].get_params(deep=False)["view_options"] is None


def test_trials_of_a_family_are_trained_as_one_program(tmp_path, monkeypatch):
    how = []
    original = trial_training.fit_together

    def noted(*given, **named):
        found = original(*given, **named)
        how.append((len(given[0]), set(found.how)))
        return found

    monkeypatch.setattr(trial_training, "fit_together", noted)
    settings = {**TINY, "method": "swav", "pretraining": {"epochs": 1, "min_steps": 2}, "at_once": 6}
    table = tune(cohort(), "y", out=tmp_path / "o", trials=8, test=False, **settings).trials
    shared = ["layers", "batch_size", "epochs", "pretraining_batch_size", "n_prototypes", "transfer_layers"]
    assert [len(table.loc[family, shared].drop_duplicates()) for family in ([0, 1, 2, 3], [4, 5], [6, 7])] == [1, 1, 1]
    own = ["learning_rate", "dropout", "weight_decay", "view_strength", "epsilon", "temperature"]
    assert all(table[name].nunique() == 8 for name in own)
    stacked = [n for n, ways in how if ways == {"stacked"}]
    assert stacked.count(8) == 2  # four trials and two repeats: pretrained together, and trained together
    assert sum(n for n, _ in how) == 2 * 2 * 9


def test_what_was_trained_together_is_trained_together_after_a_stop(tmp_path):
    space = search_space("scratch", ["layers=8|8,4|4"])
    url, shared = f"sqlite:///{tmp_path / 't.db'}", {"layers", "batch_size", "epochs"}

    def opened():
        return open_trials(url, "x", space, seed=0, at_once=8, shared=shared)

    with opened() as trials:
        first = trials.propose(8)
        trials.tell(Trial(0, first[0], 0.5, [0.5], 0.0, None))
        trials.tell(Trial(5, first[5], 0.5, [0.5], 0.0, None))
    with opened() as trials:
        assert trials.propose(8) == first
        assert list(first) == list(range(8))


def test_a_fraction_hides_the_other_labels(tmp_path, monkeypatch):
    shown = []
    original = trial_training.fit_together

    def noted(models, X, shares, **named):
        shown.extend(int(np.isfinite(share.y).sum()) for share in shares)
        return original(models, X, shares, **named)

    monkeypatch.setattr(trial_training, "fit_together", noted)
    tune(cohort(), "y", out=tmp_path / "o", trials=1, fraction=0.25, test=False, **TINY)
    n_train = 90 - 2 * 3 * round(0.15 * 30)
    assert set(shown) == {round(0.25 * n_train)}


def test_trials_share_one_matrix_and_choose_genes_in_it(tmp_path, monkeypatch):
    seen = []
    original = trial_training.fit_together
    monkeypatch.setattr(
        trial_training, "fit_together", lambda m, X, s, **n: seen.append((X, s)) or original(m, X, s, **n)
    )
    data = cohort()
    tune(data, "y", out=tmp_path / "o", trials=1, top_genes=7, test=False, **TINY)
    assert len(seen) == 2  # the trial and the default settings
    for X, shares in seen:
        assert isinstance(X, np.memmap)
        assert X.flags.writeable, "torch would copy it"
        np.testing.assert_array_equal(X, data.X)
        for share in shares:
            variance = data.X[share.rows].var(axis=0, dtype=float)
            np.testing.assert_array_equal(share.genes, np.sort(np.argsort(-variance)[:7]))


def test_patients_stay_on_one_side(tmp_path, monkeypatch):
    splits = []
    original = trial_training.draw_repeat
    monkeypatch.setattr(trial_training, "draw_repeat", lambda *a: splits.append(original(*a).split) or original(*a))
    data = cohort()
    tune(data, "y", out=tmp_path / "o", trials=1, group="patient", **TINY)
    for split in splits:
        sides = [set(data.obs["patient"].iloc[rows]) for rows in (split.pretrain, split.validation, split.test)]
        assert not (sides[0] & sides[1])
        assert not (sides[0] & sides[2])
        assert not (sides[1] & sides[2])


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("lr=0.1:0.2", "scratch has no setting 'lr'; it has layers, learning_rate"),
        ("drop_out=0:0.5", "did you mean dropout"),
        ("mask_share=0.1:0.5", "scratch has no setting 'mask_share'"),
        ("dropout", "--search takes name=low:high"),
        ("dropout=", "--search takes name=low:high"),
        ("dropout=a:b", "dropout takes numbers, found 'a'"),
        ("dropout=0.5:0.1", "low end below its high end"),
        ("dropout=0:2", "dropout must be at least 0 and at most 0.95, found 2"),
        ("dropout=nan", "dropout must be"),
        ("weight_decay=0:0.1:log", "cannot be spread on a log scale from 0"),
        ("learning_rate=0:0.1", "learning_rate must be above 0"),
        ("learning_rate=1e-4:1e-2:exp", "low:high or low:high:log"),
        ("epochs=1.5:3", "epochs takes whole numbers"),
        ("batch_size=16|16", "names a choice twice"),
        ("layers=8:16", "layers takes choices such as"),
        ("layers=8,x", "layers such as 512,256"),
        ("layers=0", "layers must be at least 1"),
        ("dropout=0.1,dropout=0.2", "names dropout twice"),
    ],
)
def test_a_search_that_cannot_be_read_says_why(search, message):
    with pytest.raises(ValueError, match="--search") as error:
        search_space("scratch", [search])
    assert message in str(error.value)


def test_what_is_fixed_is_not_searched():
    given = {"training": {"epochs": 5}, "pretraining": {"view_options": {"share": 0.2}}}
    assert {"epochs", "mask_share"} & search_space("swav", given=given).keys() == set()
    with pytest.raises(ValueError, match="fixed by another option"):
        search_space("swav", ["epochs=1:3"], given=given)


@pytest.mark.parametrize("method", ["logistic", "untrained", "svm"])
def test_methods_without_settings_are_refused(tmp_path, method):
    with pytest.raises(ValueError, match="method must be one of scratch, swav"):
        tune(cohort(), "y", out=tmp_path / "o", **{**TINY, "method": method})
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(("name", "value"), [("trials", 0), ("at_once", 0), ("repeats", 0), ("fraction", 2.0)])
def test_numbers_out_of_range_are_refused_before_work(tmp_path, name, value):
    with pytest.raises(ValueError, match=name):
        tune(cohort(), "y", out=tmp_path / "o", **{**TINY, name: value})
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "nonsense secret", "postgresql+psycopg2://me:secret@h/d"])
def test_a_storage_that_cannot_be_used_is_refused_without_its_password(url):
    with pytest.raises(ValueError) as error:
        check_storage(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(("missing", "extra"), [("optuna", "search"), ("psycopg", "postgres")])
def test_what_is_not_installed_is_named_with_its_extra(monkeypatch, missing, extra):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(ValueError, match=rf"oligolearn\[{extra}\]"):
        check_storage("postgresql+psycopg://me@host/db")


def test_an_unreachable_server_is_one_line_without_the_password(tmp_path):
    url = "postgresql+psycopg://me:geheim@127.0.0.1:1/db"
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1/db cannot be used") as error:
        tune(cohort(), "y", out=tmp_path / "o", storage=url, **TINY)
    assert "geheim" not in str(error.value)
    assert "\n" not in str(error.value)
    assert not tmp_path.joinpath("o").exists()  # the corrected command is not another tuning


def test_importances_find_the_setting_that_decides(tmp_path):
    space = search_space("scratch", ["epochs=10"])
    with open_trials(f"sqlite:///{tmp_path / 't.db'}", "x", space, seed=0, at_once=4) as trials:
        while group := trials.propose(24):
            for number, values in group.items():
                value = 1.0 - values["dropout"]
                trials.tell(Trial(number, values, value, [value], 0.0, None))
        shares = trials.importances()
        best = max(trials.finished(), key=lambda trial: trial.value)
    assert max(shares, key=shares.get) == "dropout"
    assert shares["dropout"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)
    assert "epochs" not in shares  # it never varied
    assert best.values["dropout"] < 0.15  # and the search moved there


def test_the_interval_of_a_difference_covers_what_chance_does():
    y = np.repeat([0, 1], 100)
    rng = np.random.default_rng(0)
    one, other = (np.where(rng.random((1, 200)) < 0.8, y, 1 - y) for _ in range(2))
    low, high = difference_interval(y, one, other)
    assert low < 0 < high
    # independent formula: the difference of paired gains, stratified by class
    gain = (one == y)[0].astype(float) - (other == y)[0]
    error = np.sqrt(np.mean([gain[y == k].var() / 100 for k in (0, 1)]) / 2)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    low, high = difference_interval(y, np.tile(y, (2, 1)), np.tile(1 - y, (2, 1)))
    assert low == high == 1.0


def test_balanced_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, predicted = rng.permutation(np.arange(50) % 4), rng.integers(4, size=(3, 50))
    expected = [balanced_accuracy_score(y, one) for one in predicted]
    np.testing.assert_allclose(balanced_accuracies(y, predicted), expected)
