"""`oligolearn study --source --target`, as a user types it."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main

FAST = ["--methods", "linear", "--budgets", "0,1", "--repeats", "2", "--workers", "1", "--quiet"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two cohorts of 40 samples on two scales."""
    folder = tmp_path_factory.mktemp("cohorts")
    paths = folder / "ours.h5ad", folder / "theirs.h5ad"
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        y = np.arange(40) % 2
        X = (1 + number) * (rng.normal(size=(40, 25)) + 2 * y[:, None] * (np.arange(25) < 8)) + 30 * number
        obs = pd.DataFrame(
            {
                "kind": np.array(["<script>a", "b"])[y],
                "single": "x",
                "ours": "p" if number else np.array(["p", "q"])[y],
            },
            index=[f"{path.stem}-sample-{i}" for i in range(40)],
        )
        ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(25)])).write_h5ad(path)
    return paths


@pytest.fixture(scope="module")
def study(cohorts: tuple[Path, Path]) -> Path:
    source, target = cohorts
    out = source.parent / "study"
    assert run("study", "--source", source, "--target", target, "--label", "kind", *FAST, "--out", out) == 0
    return out


def test_the_conclusion_is_printed_and_the_report_rebuilt_from_the_folder_alone(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = study.joinpath("report.html").read_bytes()
    study.joinpath("report.html").unlink()
    assert run("report", study) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(("Adaptation", "Whether adaptation"))
    assert printed[-1] == f"Report: {study / 'report.html'}"
    assert study.joinpath("report.html").read_bytes() == page
    assert b"<script" not in page
    assert b"&lt;script&gt;a" in page
    assert pd.read_csv(study / "results.csv").groupby(["method", "n_labels"]).size().to_dict() == {
        ("source-only", 0): 2, ("linear", 0): 2, ("linear", 2): 2, ("target-only", 2): 2, ("target-only", 28): 2,
    }  # fmt: skip


def test_the_same_command_goes_on_and_another_is_refused(
    study: Path, cohorts: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = cohorts
    same = ["study", "--source", source, "--target", target, "--label", "kind", "--out", study]
    assert run(*same, *FAST, "--seed", "9") == 2
    assert "holds another transfer study: seed is 0 there and 9 here" in capsys.readouterr().err
    assert run("study", target, "--label", "kind", "--out", study, "--quiet") == 2
    assert "exists and is not a study" in capsys.readouterr().err


def test_the_labels_an_accuracy_takes_are_for_studies_of_one_cohort(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", study, "--target", "0.9") == 2
    assert "--target is for studies of one cohort" in capsys.readouterr().err


BOTH = ["--source", "SOURCE", "--target", "TARGET"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["TARGET", *BOTH], "DATA (theirs.h5ad) is for the study of one cohort"),
        (["--source", "SOURCE"], "--source needs --target"),
        (["--target", "TARGET"], "--target needs --source"),
        ([], "expected DATA"),
        (["TARGET", "--budgets", "1"], "--budgets is for a study of transfer"),
        ([*BOTH, "--fractions", "1"], "--fractions is for the study of one cohort"),
        ([*BOTH, "--points", "3", "--view", "noise"], "--points, --view is for the study of one cohort"),
        ([*BOTH, "--pretrain-on", "SOURCE"], "--pretrain-on is for"),
        ([*BOTH, "--split", "fixed"], "--split is for"),
        ([*BOTH, "--prototypes", "3"], "--prototypes is for"),
        ([*BOTH, "--budgets", "few"], "--budgets takes whole numbers such as 0,1,2,5,10; found 'few'"),
        ([*BOTH, "--budgets", "15"], "more than the 14 samples of class"),
        ([*BOTH, "--methods", "swav"], "methods must be different names among auto, linear"),
        ([*BOTH, "--label", "single"], "one only, 'x'"),
        ([*BOTH, "--label", "ours"], "theirs.h5ad: label 'ours' needs at least two classes"),
        ([*BOTH, "--label", "absent"], "theirs.h5ad has no labels in a column 'absent'"),
        ([*BOTH, "--group", "ward"], "ward"),
        ([*BOTH, "--min-overlap", "2"], "min_overlap must lie above 0"),
        (["--source", "absent.h5ad", "--target", "TARGET"], "absent.h5ad"),
    ],
)
def test_mistakes_are_one_line(
    cohorts: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    places = dict(zip(("SOURCE", "TARGET"), map(str, cohorts), strict=True))
    given = [places.get(option, option) for option in options]
    label = [] if "--label" in given else ["--label", "kind"]
    assert run("study", *label, "--quiet", *given, "--out", tmp_path / "o") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()
