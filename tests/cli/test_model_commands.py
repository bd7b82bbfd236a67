"""pretrain, train, predict and embed, as a user types them."""

import json
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main

TRAIN = ["train", "{c}", "--label", "kind", "--out", "{t}/m"]
FAST = ["--epochs", "2", "--quiet", "--device", "cpu"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = np.round(rng.lognormal(3, 1, (90, 30)) * np.exp(rng.normal(size=(3, 30))[y]))
    obs = pd.DataFrame({"kind": np.array(["a", "b", "c"])[y]}, index=[f"s{i}" for i in range(90)])
    obs.loc[obs.index[60:], "kind"] = None
    data = ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(30)]))
    data.write_h5ad(folder / "c.h5ad")
    assert run("pretrain", folder / "c.h5ad", "--out", folder / "p", *FAST) == 0
    assert (
        run("train", folder / "c.h5ad", "--label", "kind", "--pretrained", folder / "p", "--out", folder / "m", *FAST)
        == 0
    )
    return folder


def test_a_bundle_is_two_files_that_say_what_is_in_them(cohort):
    for name in ("p", "m"):
        assert sorted(path.name for path in (cohort / name).iterdir()) == ["model.json", "weights.safetensors"]
    description = json.loads((cohort / "m" / "model.json").read_text())
    assert description["classes"] == ["a", "b", "c"]
    assert description["features"] == [f"gene{i}" for i in range(30)]
    assert description["units"] == "counts"
    assert len(description["scaling"]["mean"]) == 30
    assert 0 <= description["metrics"]["accuracy"] <= 1
    assert description["architecture"]["name"] == "mlp"
    assert "torch" in description["versions"]


def test_predictions_do_not_depend_on_gene_order_batch_or_process(cohort, tmp_path):
    data = ad.read_h5ad(cohort / "c.h5ad")
    data[::-1, ::-1].copy().write_h5ad(tmp_path / "reversed.h5ad")
    data[:7].copy().write_h5ad(tmp_path / "few.h5ad")
    assert run("predict", cohort / "m", cohort / "c.h5ad", "--out", tmp_path / "all.csv") == 0
    assert run("predict", cohort / "m", tmp_path / "few.h5ad", "--out", tmp_path / "few.csv") == 0
    command = "import sys; from oligolearn.cli import main; main()"
    arguments = ["predict", cohort / "m", tmp_path / "reversed.h5ad", "--out", tmp_path / "reversed.csv"]
    subprocess.run([sys.executable, "-c", command, *map(str, arguments)], check=True, capture_output=True)
    tables = {name: pd.read_csv(tmp_path / f"{name}.csv", index_col=0) for name in ("all", "few", "reversed")}
    pd.testing.assert_frame_equal(tables["all"], tables["reversed"].loc[tables["all"].index], check_exact=True)
    pd.testing.assert_frame_equal(tables["all"].iloc[:7], tables["few"], check_exact=True)
    probabilities = tables["all"][[f"probability_{name}" for name in "abc"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (tables["all"]["prediction"] == probabilities.idxmax(axis=1).str[-1]).all()


def test_one_sample_is_predicted_as_among_others(cohort, tmp_path):
    data = ad.read_h5ad(cohort / "c.h5ad")
    data[:1].copy().write_h5ad(tmp_path / "one.h5ad")
    data[:1].to_df().to_csv(tmp_path / "one.csv", index_label="sample")
    assert run("predict", cohort / "m", cohort / "c.h5ad", "--out", tmp_path / "all.csv") == 0
    expected = pd.read_csv(tmp_path / "all.csv", index_col=0).iloc[:1]
    for options in (["one.h5ad"], ["one.h5ad", "--stream"], ["one.csv"]):
        assert run("predict", cohort / "m", tmp_path / options[0], *options[1:], "--out", tmp_path / "p.csv") == 0
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "p.csv", index_col=0), expected)
    assert run("train", tmp_path / "one.csv", "--label", "kind", "--out", tmp_path / "t", *FAST) == 2


def test_numbers_beside_the_genes_are_none_in_new_samples_either(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    table = pd.DataFrame(
        np.round(rng.lognormal(3, 1, (40, 30)) * np.exp(y[:, None] * (np.arange(30) < 5))),
        columns=[f"GENE{i}" for i in range(30)],
        index=pd.Index([f"s{i}" for i in range(40)], name="sample"),
    )
    both = table.assign(y=y, ward_no=rng.integers(10000, 99999, 40))
    both.to_csv(tmp_path / "both.csv")
    table.to_csv(tmp_path / "genes.csv")
    assert (
        run("train", tmp_path / "both.csv", "--label", "y", "--group", "ward_no", "--out", tmp_path / "m", *FAST) == 0
    )
    for name in ("both", "genes"):
        assert run("predict", tmp_path / "m", tmp_path / f"{name}.csv", "--out", tmp_path / f"{name}-p.csv") == 0
    assert (tmp_path / "both-p.csv").read_bytes() == (tmp_path / "genes-p.csv").read_bytes()
    capsys.readouterr()
    both.loc[both.index[:5], "y"] = np.nan
    both.to_csv(tmp_path / "some.csv")
    assert run("next-labels", tmp_path / "m", tmp_path / "some.csv", "--n", "2") == 0
    assert "5 of 40 samples have no 'y'." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("where", ["--stream", "--no-stream"])
def test_samples_in_other_units_and_without_values_are_warned_of(cohort, tmp_path, capsys, where):
    data = ad.read_h5ad(cohort / "c.h5ad")
    log = data.copy()
    log.X = np.log2(1e6 * data.X / data.X.sum(axis=1, keepdims=True) + 1).astype(np.float32)
    for name, values in (("log", log.X), ("log10", log.X * np.log10(2)), ("none", np.full_like(log.X, np.nan))):
        one = log.copy()
        one.X = values.copy()
        one.X[0] = log.X[0]
        one.write_h5ad(tmp_path / f"{name}.h5ad")
    warned = {}
    for name in ("log", "log10", "none"):
        out = tmp_path / f"{name}.csv"
        assert run("predict", cohort / "m", tmp_path / f"{name}.h5ad", "--normalize", "log", "--out", out, where) == 0
        warned[name] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning")]
    assert not warned["log"]
    assert "89 of 90 samples lie far from those of the training" in " ".join(warned["log10"])
    assert "89 of 90 samples have values of fewer than 50%" in " ".join(warned["none"])


def test_what_explains_the_label_is_warned_of_in_training(cohort, tmp_path, capsys):
    data = ad.read_h5ad(cohort / "c.h5ad")
    data.obs["batch"] = data.obs["kind"].astype(object).map({"a": "x", "b": "x", "c": "y"})
    data.write_h5ad(tmp_path / "c.h5ad")
    out = tmp_path / "m"
    assert run("train", tmp_path / "c.h5ad", "--label", "kind", "--out", out, "--folds", 0, *FAST) == 0
    assert "Warning: a batch column `batch` explains the label" in capsys.readouterr().out
    assert json.loads((out / "model.json").read_text())["training"]["epochs"] == 2  # as asked, few steps or not
    assert run("train", tmp_path / "c.h5ad", "--label", "kind", "--out", tmp_path / "c.h5ad" / "m", *FAST) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_self_trained_model_is_a_classifier_that_says_so(cohort, tmp_path):
    arguments = ["train", cohort / "c.h5ad", "--label", "kind", "--pretrained", cohort / "p", *FAST]
    assert run(*arguments, "--self-train", "--out", tmp_path / "s") == 0
    description = json.loads((tmp_path / "s" / "model.json").read_text())
    plain = json.loads((cohort / "m" / "model.json").read_text())
    assert description["kind"] == "classifier"
    assert "self_training" not in plain
    taught = description["self_training"]
    assert (taught["n_samples"], taught["n_labelled"]) == (90, 60)
    assert taught["teacher"] == plain["training"]
    assert run("predict", tmp_path / "s", cohort / "c.h5ad", "--out", tmp_path / "y.csv") == 0
    table = pd.read_csv(tmp_path / "y.csv", index_col=0)
    assert set(table["prediction"]) <= {"a", "b", "c"}


def test_embeddings_keep_the_samples_and_what_is_known_of_them(cohort, tmp_path):
    assert run("embed", cohort / "p", cohort / "c.h5ad", "--out", tmp_path / "e.h5ad") == 0
    embedding, data = ad.read_h5ad(tmp_path / "e.h5ad"), ad.read_h5ad(cohort / "c.h5ad")
    assert embedding.shape == (90, 128)
    assert embedding.obs_names.tolist() == data.obs_names.tolist()
    assert embedding.obs["kind"].astype(object).where(embedding.obs["kind"].notna(), None).tolist() == [
        *data.obs["kind"][:60],
        *[None] * 30,
    ]


def test_missing_genes_are_reported_and_refused_below_the_overlap(cohort, tmp_path, capsys):
    data = ad.read_h5ad(cohort / "c.h5ad")
    data[:, 2:].copy().write_h5ad(tmp_path / "most.h5ad")
    data[:, 20:].copy().write_h5ad(tmp_path / "third.h5ad")
    assert run("predict", cohort / "m", tmp_path / "most.h5ad", "--out", tmp_path / "y.csv") == 0
    assert "2 are missing" in capsys.readouterr().out
    assert run("predict", cohort / "m", tmp_path / "third.h5ad", "--out", tmp_path / "z.csv") == 2
    error = capsys.readouterr().err
    assert "10 of the model's 30 genes" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "z.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "{p}", "{c}", "--out", "{t}/y.csv"], "encoder without classes"),
        (["predict", "{t}/nothing", "{c}", "--out", "{t}/y.csv"], "is not a model"),
        ([*TRAIN, "--pretrained", "{p}", "--freeze-layers", "9"], "between 0 and 3"),
        ([*TRAIN, "--pretrained", "{p}", "--transfer-layers", "4"], "found 4"),
        ([*TRAIN, "--pretrained", "{p}", "--top-genes", "4"], "--top-genes does nothing with --pretrained"),
        (["train", "{c}", "--label", "sort", "--out", "{t}/m"], "kind"),
        (["pretrain", "{c}", "--method", "swaav", "--out", "{t}/m"], ", swav, "),
        (["pretrain", "{c}", "--layers", "512,x", "--out", "{t}/m"], "whole numbers"),
        (["pretrain", "{c}", "--prototypes", "1", "--out", "{t}/m"], "n_prototypes"),
        (["pretrain", "{c}", "--mask-share", "1.5", "--out", "{t}/m"], "between 0 and 1"),
        (["pretrain", "{c}", "--device", "tpu9", "--out", "{t}/m"], "device"),
        (["pretrain", "{c}", "--learning-rate", "0", "--out", "{t}/m"], "learning_rate"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_leave_nothing(cohort, tmp_path, capsys, arguments, message):
    places = {"p": cohort / "p", "c": cohort / "c.h5ad", "t": tmp_path}
    verb, *options = (argument.format(**places) for argument in arguments)
    assert run(verb, *(FAST if verb != "predict" else []), *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_not_written_over_something_else(cohort, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert run("pretrain", cohort / "c.h5ad", "--out", tmp_path, *FAST) == 2
    assert "not a model" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
