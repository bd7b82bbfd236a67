"""`oligolearn tune`, as a user types it."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import typer.main

from oligolearn.cli import main
from oligolearn.cli.app import app

FAST = ["--trials", "2", "--at-once", "2", "--repeats", "1", "--epochs", "1", "--workers", "1", "--quiet"]
SCRATCH = ["--label", "kind", "--method", "scratch", *FAST]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    path = tmp_path_factory.mktemp("cohort") / "c.h5ad"
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    obs = pd.DataFrame(
        {"kind": np.array(["a", "b"])[y], "patient": [f"p{i // 2}" for i in range(60)]},
        index=[f"s{i}" for i in range(60)],
    )
    X = rng.normal(8, 1, (60, 20)) + 3 * y[:, None] * (np.arange(20) < 5)
    ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)])).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def tuned(cohort):
    out = cohort.parent / "tuned"
    assert run("tune", cohort, *SCRATCH, "--search", "layers=8|8,4", "--out", out) == 0
    return out


def test_what_is_printed_is_what_is_kept(cohort, tuned, capsys):
    assert run("tune", cohort, *SCRATCH, "--search", "layers=8|8,4", "--out", tuned) == 0
    printed = capsys.readouterr().out
    best = json.loads(tuned.joinpath("best.json").read_text())
    for score in (*best["validation"].values(), *best["test"]["best"], *best["test"]["default"]):
        assert f"{score:.3f}" in printed
    assert "balanced accuracy" in printed.lower()
    assert f"oligolearn train {cohort} --label kind" in printed
    assert str(tuned / "best.json") in printed


@pytest.mark.slow
def test_the_commands_that_are_printed_exist_and_work(cohort, tmp_path, capsys, monkeypatch):
    options = ["--label", "kind", "--pretrain-epochs", "1", *FAST, "--group", "patient"]
    assert run("tune", cohort, *options, "--search", "layers=8|4,transfer_layers=1:2", "--out", tmp_path / "o") == 0
    printed = capsys.readouterr().out.splitlines()
    commands = [line.split() for line in printed if line.startswith("oligolearn ")]
    assert [words[1] for words in commands] == ["pretrain", "train"]
    known = typer.main.get_command(app).commands
    monkeypatch.chdir(tmp_path)
    for _, verb, *words in commands:
        given = {word for word in words if word.startswith("--")}
        assert given <= {option for parameter in known[verb].params for option in parameter.opts}
        extra = ["--folds", "0"] if verb == "train" else []
        assert run(verb, *words, *extra, "--quiet") == 0
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    best = json.loads((tmp_path / "o" / "best.json").read_text())
    if best["trial"] is not None:
        assert described["architecture"]["options"]["hidden"] == best["pretraining"]["encoder_options"]["hidden"]


@pytest.mark.slow
def test_best_settings_are_those_that_a_study_takes(cohort, tuned, tmp_path):
    from oligolearn.study import label_efficiency

    best = json.loads(tuned.joinpath("best.json").read_text())
    result = label_efficiency(
        cohort, "kind", out=tmp_path / "o", methods=("scratch",), fractions=(1.0,), repeats=1, workers=1,
        progress=False, training=best["training"],
    )  # fmt: skip
    assert len(result.results) == 1


def test_a_test_that_waits_is_said_so(cohort, tmp_path, capsys):
    same = ["tune", cohort, *SCRATCH, "--search", "layers=8", "--out", tmp_path / "o"]
    assert run(*same, "--no-test") == 0
    assert "Not tested yet" in capsys.readouterr().out
    assert run(*same) == 0
    assert "Not tested yet" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "sort"], "kind, patient"),
        (["--method", "logistic"], "method must be one of scratch, swav"),
        (["--search", "lr=1:2"], "no setting 'lr'"),
        (["--search", "epochs=1:2"], "fixed by another option"),
        (["--search", "dropout=2"], "at most 0.95, found 2"),
        (["--trials", "0"], "trials must be at least 1"),
        (["--fraction", "0"], "fractions must"),
        (["--repeats", "0"], "repeats"),
        (["--storage", "mysql://a:secret@b/c"], "--storage must be a postgresql"),
        (["--group", "ward"], "ward"),
    ],
)
def test_mistakes_are_one_line(cohort, tmp_path, capsys, options, message):
    assert run("tune", cohort, *SCRATCH, *options, "--out", tmp_path / "o") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "secret" not in error


def test_an_unreachable_server_is_the_machine_s_fault(cohort, tmp_path, capsys):
    url = "postgresql+psycopg://me:geheim@127.0.0.1:1/db"
    assert run("tune", cohort, *SCRATCH, "--storage", url, "--out", tmp_path / "o") == 1
    error = capsys.readouterr().err
    assert "127.0.0.1:1/db cannot be used" in error
    assert error.count("\n") == 1
    assert "geheim" not in error


def test_another_command_in_the_folder_is_refused(cohort, tuned, capsys):
    assert run("tune", cohort, *SCRATCH, "--search", "layers=8|8,4", "--seed", "9", "--out", tuned) == 2
    assert "holds another tuning: seed is 0 there and 9 here" in capsys.readouterr().err
