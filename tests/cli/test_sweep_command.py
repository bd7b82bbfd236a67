"""`oligolearn sweep`, as a user types it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main

FAST = [
    "--repeats", "2", "--fractions", "50%,1", "--epochs", "1", "--workers", "1", "--quiet",
]  # fmt: skip
VARY = ["--label", "kind", "--method", "scratch", "--vary", "layers=8-4,8"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    path = tmp_path_factory.mktemp("cohort") / "c.h5ad"
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    obs = pd.DataFrame({"kind": np.array(["a<b>", "b&c"])[y]}, index=[f"s{i}" for i in range(60)])
    X = rng.normal(8, 1, (60, 20)) + 3 * y[:, None] * (np.arange(20) < 5)
    ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)])).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def swept(cohort):
    out = cohort.parent / "swept"
    assert run("sweep", cohort, *VARY, *FAST, "--out", out) == 0
    return out


def test_the_conclusion_is_printed_and_the_report_rebuilt_from_the_folder_alone(swept, capsys):
    page = (swept / "report.html").read_bytes()
    (swept / "report.html").unlink()
    assert run("report", swept) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"Report: {swept / 'report.html'}"
    assert "accuracy on validation samples" in printed[0]
    assert (swept / "report.html").read_bytes() == page


@pytest.mark.slow
def test_the_settings_of_a_pretraining_can_be_varied(cohort, tmp_path):
    fast = ["--label", "kind", "--pretrain-epochs", "1", *FAST[:2], "--fractions", "1", *FAST[4:]]
    assert run("sweep", cohort, *fast, "--vary", "prototypes=2,6", "--out", tmp_path / "o") == 0
    table = pd.read_csv(tmp_path / "o" / "results.csv")
    assert table.loc[table["default"], "n_prototypes"].tolist() == [6, 6]  # three for each of two classes


@pytest.mark.slow
def test_two_settings_make_a_table_of_every_pair(cohort, tmp_path):
    out = tmp_path / "o"
    two = ["--label", "kind", "--method", "scratch", "--vary", "layers=8-4,8", "--vary", "dropout=0,0.5"]
    assert run("sweep", cohort, *two, *FAST, "--out", out) == 0
    table = pd.read_csv(out / "results.csv")
    assert len(table[~table["default"]].groupby(["layers", "dropout"])) == 4
    assert {path.stem for path in (out / "figures").iterdir()} == {"heat_map", "lines"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vary", "prototypse=4"], "swav has no setting 'prototypse'"),
        (["--vary", "prototypes=none"], "takes whole numbers, found 'none'"),
        (["--vary", "epochs=1,2"], "fixed by another option"),
        (["--vary", "view=blur"], "--vary view: unknown view 'blur'"),
        (["--vary", "epsilon=.1", "--method", "logistic"], "method must be one of scratch, swav"),
        (["--vary", "epsilon=.1", "--fractions", "0"], "fractions must"),
        (["--vary", "epsilon=.1", "--fractions", "some"], "--fractions takes numbers"),
        (["--vary", "epsilon=.1", "--repeats", "0"], "repeats must"),
        (["--vary", "epsilon=.1", "--group", "ward"], "ward"),
        ([], "--vary"),
    ],
)
def test_mistakes_are_one_line(cohort, tmp_path, capsys, options, message):
    assert run("sweep", cohort, "--label", "kind", *FAST, *options, "--out", tmp_path / "o") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_target_is_for_studies(swept, capsys):
    assert run("report", swept, "--target", "0.9") == 2
    assert "--target is for studies" in capsys.readouterr().err


def test_another_command_in_the_folder_is_refused(cohort, swept, capsys):
    assert run("sweep", cohort, *VARY, *FAST, "--seed", "9", "--out", swept) == 2
    assert "holds another sweep: seed is 0 there and 9 here" in capsys.readouterr().err
