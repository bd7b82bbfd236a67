"""`oligolearn study` and `report`, as a user types them."""

import errno

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main

FAST = [
    "--fractions",
    "20%,1",
    "--repeats",
    "2",
    "--pretrain-epochs",
    "1",
    "--epochs",
    "1",
    "--workers",
    "1",
    "--quiet",
]


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
        {
            "kind": np.array(["a<b>", "b&c"])[y],
            "single": "x",
            "rare": ["r"] * 3 + ["s", "t"] * 28 + ["s"],
            "patient": [f"p{i}" for i in range(60)],
        },
        index=[f"s{i}" for i in range(60)],
    )
    X = rng.normal(8, 1, (60, 20)) + 3 * y[:, None] * (np.arange(20) < 5)
    ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)])).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def study(cohort):
    out = cohort.parent / "study"
    assert run("study", cohort, "--label", "kind", "--methods", "logistic,scratch", *FAST, "--out", out) == 0
    return out


def test_the_conclusion_comes_last_with_the_place_of_the_report(study, capsys):
    assert run("report", study) == 0
    printed = capsys.readouterr().out.strip().splitlines()
    assert printed[-1] == f"Report: {study / 'report.html'}"
    assert "logistic regression" in printed[0].lower() or "network" in printed[0].lower()


def test_fractions_can_be_percentages(study):
    assert sorted(pd.read_csv(study / "results.csv")["fraction"].unique()) == [0.2, 1.0]


def test_the_same_command_goes_on_and_another_is_refused(study, cohort, capsys):
    same = ["study", cohort, "--label", "kind", "--methods", "logistic,scratch", "--out", study]
    assert run(*same, *FAST) == 0
    capsys.readouterr()
    assert run(*same, *FAST, "--seed", "9") == 2
    error = capsys.readouterr().err
    assert "seed is 0 there and 9 here" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "kind", "--view", "gone.gmt"], "gone.gmt does not exist"),
        (["--label", "sort"], "kind, single, rare, patient"),
        (["--label", "single"], "one only, 'x'"),
        (["--label", "rare"], "3 samples of class 'r' but the split needs at least 7"),
        (["--label", "patient"], "no class label"),
        (["--label", "kind", "--group", "ward"], "ward"),
        (["--label", "kind", "--methods", "svm"], "svm"),
        (["--label", "kind", "--fractions", "a few"], "--fractions takes numbers"),
        (["--label", "kind", "--fractions", "0"], "fractions must"),
        (["--label", "kind", "--repeats", "0"], "repeats"),
        (["--label", "kind", "--normalize", "cpm"], "normalize must be"),
        (["--label", "kind", "--normalize", "counts", "--samples", "absent.csv"], "absent.csv"),
        (["--label", "kind", "--top-genes", "1"], "top_genes"),
        (["--label", "kind", "--mask-share", "2"], "between 0 and 1"),
        (["--label", "kind", "--view", "blur"], "unknown view 'blur'; choose one of"),
        (
            ["--label", "kind", "--view-strength", "2"],
            "strength of the view masked-mixup must be at least 0 and at most 1",
        ),
        (
            ["--label", "kind", "--view", "noise", "--mask-share", "0.3"],
            "view 'noise' has no setting share",
        ),
        (["--label", "kind", "--mask-share", "0.3", "--view-strength", "0.3"], "give one of them"),
    ],
)
def test_mistakes_are_one_line(cohort, tmp_path, capsys, options, message):
    assert run("study", cohort, *FAST, *options, "--out", tmp_path / "o") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_small_class_can_be_let_in_or_left_out(cohort, tmp_path, capsys):
    options = ["--label", "rare", "--methods", "logistic", *FAST]
    assert run("study", cohort, *options, "--min-class-size", "3", "--out", tmp_path / "in") == 0
    assert run("study", cohort, *options, "--min-class-size", "7", "--out", tmp_path / "out") == 0
    classes = [
        len(pd.read_json(tmp_path / name / "summary.json", typ="series")["data"]["classes"]) for name in ("in", "out")
    ]
    assert classes == [3, 2]


def test_names_with_html_in_them_are_escaped(study):
    page = study.joinpath("report.html").read_text()
    assert "a&lt;b&gt;" in page
    assert "a<b>" not in page


def test_a_full_disk_is_an_error_message(cohort, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("oligolearn.study.store.os.fsync", full)
    options = ["--label", "kind", "--methods", "logistic", *FAST]
    assert run("study", cohort, *options, "--out", tmp_path / "o") == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert error.count("\n") == 1


def test_an_interruption_says_how_to_go_on(cohort, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    options = ["--label", "kind", "--methods", "logistic", *FAST, "--out", tmp_path / "o"]
    with monkeypatch.context() as patch:
        patch.setattr("oligolearn.study.efficiency.execute", interrupted)
        assert run("study", cohort, *options) == 130
    assert "goes on from there" in capsys.readouterr().err
    assert run("study", cohort, *options) == 0


def test_a_folder_without_a_study_is_said_so(tmp_path, capsys):
    assert run("report", tmp_path) == 2
    assert "holds no study" in capsys.readouterr().err
