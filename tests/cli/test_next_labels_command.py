"""next-labels, and report --target, as a user types them."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main

FAST = ["--epochs", "2", "--quiet", "--device", "cpu"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.normal(8, 1, (120, 20)) + 1.2 * y[:, None] * (np.arange(20) < 5)
    obs = pd.DataFrame({"kind": np.array(["a", "b"])[y]}, index=[f"s{i}" for i in range(120)])
    data = ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)]))
    data.write_h5ad(folder / "all.h5ad")
    data.obs.loc[data.obs.index[40:], "kind"] = None
    data.write_h5ad(folder / "some.h5ad")
    assert run("pretrain", folder / "some.h5ad", "--out", folder / "encoder", *FAST) == 0
    assert run("train", folder / "some.h5ad", "--label", "kind", "--out", folder / "model", *FAST) == 0
    return folder


@pytest.mark.parametrize(("model", "options"), [("model", []), ("encoder", ["--label", "kind"])])
def test_the_file_lists_unlabelled_samples_with_a_reason_each(cohort, tmp_path, capsys, model, options):
    out = tmp_path / "next.csv"
    capsys.readouterr()
    assert run("next-labels", cohort / model, cohort / "some.h5ad", "--n", "12", "--out", out, *options) == 0
    table = pd.read_csv(out, index_col="sample")
    assert table["rank"].tolist() == list(range(1, 13))
    assert set(table.index) <= {f"s{i}" for i in range(40, 120)}
    assert table["reason"].str.len().min() > 0
    said = capsys.readouterr().out
    assert f"   1. {table.index[0]}: {table['reason'].iloc[0]}" in said
    assert "80 of 120 samples have no 'kind'." in said
    assert said.rstrip().endswith(f"Proposals: {out} (12 samples)")


def test_the_seed_decides(cohort, tmp_path):
    tables = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ["--n", "10", "--strategy", "gradient", "--seed", seed, "--out", tmp_path / name]
        assert run("next-labels", cohort / "model", cohort / "some.h5ad", *options) == 0
        tables.append((tmp_path / name).read_text())
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("model", ["--n", "81"], "80 samples have no label, 81 were asked for"),
        ("model", ["--n", "0"], "at least 1, found 0"),
        ("model", ["--label", "kinds"], "no column 'kinds'"),
        ("encoder", ["--n", "3", "--strategy", "gradient"], "an encoder without classes"),
        ("model", ["--strategy", "magic"], "strategy must be auto or one of"),
        ("nothing", [], "is not a model"),
        ("model", ["--out", "nowhere/next.csv"], "is not a folder"),
    ],
)
def test_a_mistake_is_one_line(cohort, capsys, model, options, words):
    capsys.readouterr()
    assert run("next-labels", cohort / model, cohort / "some.h5ad", *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def study(cohort):
    options = ["--methods", "logistic", "--points", "5", "--repeats", "4", "--workers", "1", "--quiet"]
    out = cohort / "study"
    assert run("study", cohort / "all.h5ad", "--label", "kind", "--out", out, *options) == 0
    return out


def test_report_answers_for_the_target_that_was_named(study, capsys):
    chosen = json.loads((study / "summary.json").read_text())["labels_needed"]
    capsys.readouterr()
    for text, target in (("0.8", 0.8), ("80%", 0.8)):
        assert run("report", study, "--target", text) == 0
        assert "80.0%" in capsys.readouterr().out
        found = json.loads((study / "summary.json").read_text())["labels_needed"]
        assert (found["target"], found["asked"]) == (target, True)
        assert [row["method"] for row in found["rows"]] == ["logistic"]
    page = (study / "report.html").read_text()
    assert 'id="needed"' in page
    assert "Labels needed for an accuracy of 80.0%" in page
    assert run("report", study) == 0
    assert json.loads((study / "summary.json").read_text())["labels_needed"] == chosen
    assert not chosen["asked"]


@pytest.mark.parametrize("target", ["95", "0", "many", "nan", "-5%"])
def test_a_target_that_is_no_accuracy_is_one_line(study, capsys, target):
    capsys.readouterr()
    assert run("report", study, f"--target={target}") == 2
    error = capsys.readouterr().err
    assert "0.95 or 95%" in error
    assert error.count("\n") == 1
