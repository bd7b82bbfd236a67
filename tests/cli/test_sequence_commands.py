"""inspect, train, predict and embed on files of sequences, as a user types them."""

import json
import shlex

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn import SequenceClassifier
from oligolearn.cli import main
from oligolearn.estimators import load_model, save_model

STUDY = ["study", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/s"]
QUICK = ["--encoder", "motif-cnn", "--members", "1", "--epochs", "80", "--folds", "2", "--quiet", "--device", "cpu"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequences")
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (80, 30))]
    texts = [text[:9] + "TGACGTCA" + text[17:] if i % 2 else text for i, text in enumerate(texts)]
    table = pd.DataFrame({"id": [f"s{i}" for i in range(80)], "sequence": texts})
    table["bound"] = np.arange(80) % 2
    table["strength"] = [text.count("G") + i / 100 for i, text in enumerate(texts)]
    table.loc[70:, "bound"] = np.nan
    table.to_csv(folder / "t.tsv.gz", sep="\t", index=False)
    (folder / "new.fa").write_text(
        "".join(f">{name}\n{text.lower()}\n" for name, text in zip(table.id, texts, strict=True))
    )
    assert run("train", folder / "t.tsv.gz", "--label", "bound", "--out", folder / "m", *QUICK) == 0
    return folder


def test_a_model_of_sequences_is_trained_scored_and_kept(folder):
    description = json.loads((folder / "m" / "model.json").read_text())
    assert description["kind"] == "sequence-classifier"
    assert description["classes"] == ["0", "1"]
    assert description["architecture"]["name"] == "motif-cnn"
    assert description["training_data"]["n_samples"] == 70
    assert description["metrics"]["note"] == "2-fold cross-validation of 70 labelled sequences"
    assert description["metrics"]["auroc"] > 0.6
    assert "features" not in description


def test_predictions_are_the_same_from_a_table_and_a_fasta(folder, capsys):
    assert run("predict", folder / "m", folder / "t.tsv.gz", "--out", folder / "a.csv") == 0
    assert run("predict", folder / "m", folder / "new.fa", "--out", folder / "b.csv") == 0
    assert (folder / "a.csv").read_text() == (folder / "b.csv").read_text()
    table = pd.read_csv(folder / "a.csv", index_col="sample")
    assert list(table.columns) == ["prediction", "probability_0", "probability_1"]
    assert np.mean(table.prediction == np.arange(80) % 2) > 0.6
    assert run("embed", folder / "m", folder / "new.fa", "--out", folder / "e.h5ad") == 0
    assert ad.read_h5ad(folder / "e.h5ad").shape == (80, 64)


def test_a_label_of_many_numbers_is_learned_by_regression(folder, capsys):
    out = folder / "r"
    assert run("train", folder / "t.tsv.gz", "--label", "strength", "--out", out, "--identity", "0.8", *QUICK) == 0
    said = capsys.readouterr().out
    assert "'strength' is a number: it is learned by regression." in said
    assert "Clusters at 80% identity, by the words and stretches that they share" in " ".join(said.split())
    metrics = json.loads((out / "model.json").read_text())["metrics"]
    assert set(metrics) == {"note", "spearman", "r2", "rmse"}
    assert run("predict", out, folder / "new.fa", "--out", folder / "r.csv") == 0
    assert list(pd.read_csv(folder / "r.csv").columns) == ["sample", "prediction"]


def test_a_pretrained_model_can_be_built_on(folder):
    more = ["--pretrained", folder / "m", "--freeze-layers", "1", "--folds", "0"]
    assert run("train", folder / "t.tsv.gz", "--label", "bound", "--out", folder / "m2", *QUICK, *more) == 0
    assert run("predict", folder / "m2", folder / "new.fa", "--out", folder / "m2.csv") == 0


@pytest.mark.parametrize("first", ["train", "pretrain"])
def test_an_encoder_that_has_seen_the_sequences_is_told_of(first, folder, tmp_path, capsys):
    rows = (folder / "t.tsv.gz", "--out", tmp_path / "first", "--quiet", "--device", "cpu", "--epochs", "1")
    if first == "train":
        assert run("train", *rows, "--label", "bound", "--encoder", "motif-cnn", "--members", "1", "--folds", "0") == 0
        expected = "The encoder was trained on 100% of these same sequences: if with this label"
    else:
        assert run("pretrain", *rows, "--method", "masked-letters") == 0
        expected = "The encoder was pretrained on 100% of these same sequences, without labels"
    later = ["--pretrained", tmp_path / "first", "--members", "1", "--epochs", "1", "--folds", "2", "--quiet"]
    data, label = folder / "t.tsv.gz", ["--label", "bound"]
    assert run("train", data, *label, "--out", tmp_path / "m", *later, "--device", "cpu") == 0
    assert expected in capsys.readouterr().out
    assert expected in json.loads((tmp_path / "m" / "model.json").read_text())["pretraining_note"]


def test_a_part_without_one_class_is_no_reason_not_to_train(tmp_path, capsys):
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (60, 30))]
    family = np.repeat(["u", "v", "w"], [22, 18, 20])
    y = np.concatenate([[0] * 19, [1] * 3, [0] * 2, [1] * 16, [1] * 20])
    table = pd.DataFrame({"id": [f"s{i}" for i in range(60)], "sequence": texts, "family": family, "y": y})
    table.to_csv(tmp_path / "t.csv", index=False)
    asked = ["--label", "y", "--group", "family", "--folds", "2", "--encoder", "motif-cnn", "--members", "1"]
    assert run("train", tmp_path / "t.csv", *asked, "--epochs", "1", "--out", tmp_path / "m", "--quiet") == 0
    assert "not cross-validated" in capsys.readouterr().out


@pytest.mark.parametrize("written", [["--label", "long,rich"], ["--label", "names", "--separator", ";"]])
def test_several_labels_are_trained_scored_and_predicted(written, folder, tmp_path, capsys):
    table = pd.read_csv(folder / "t.tsv.gz", sep="\t")
    table["long"] = np.arange(80) % 2
    table["rich"] = (table.strength > table.strength.median()).astype(int)
    names = [
        ";".join(name for name in ("long", "rich") if row[name]) or ";" for _, row in table.iterrows()
    ]  # a cell of the separator alone: none of them
    table.assign(names=names).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert run("inspect", tmp_path / "t.tsv", *written) == 0
    assert "2 at once, 0 sequences without any known\n  long: 40 of 80" in capsys.readouterr().out
    assert run("train", tmp_path / "t.tsv", *written, "--out", tmp_path / "m", *QUICK) == 0
    said = capsys.readouterr().out
    assert "2 labels, of which a sequence may have several at once, or none." in said
    assert "2-fold cross-validation of 80 labelled sequences, means over 2 labels: auroc " in said
    assert "  long: auroc " in said
    description = json.loads((tmp_path / "m" / "model.json").read_text())
    assert description["multilabel"]
    assert description["classes"] == ["long", "rich"]
    assert set(description["metrics"]["labels"]["rich"]) == {"auroc", "average_precision", "n_known", "n_with"}
    assert run("predict", tmp_path / "m", folder / "new.fa", "--out", tmp_path / "p.csv") == 0
    predicted = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert list(predicted.columns) == ["sample", "prediction", "probability_long", "probability_rich"]
    assert set(predicted.prediction) <= {"", "long", "rich", "long;rich"}


def test_inspect_says_what_a_file_holds(folder, capsys):
    assert run("inspect", folder / "t.tsv.gz", "--label", "bound") == 0
    said = capsys.readouterr().out
    assert "t.tsv.gz: 80 sequences (dna)" in said
    assert "Length: 30 to 30, median 30" in said
    assert "Label bound: 2 classes, 10 samples without a label" in said
    (folder / "twice.fa").write_text(">a y=1\nACGTN\n>b y=2\nNACGT\n>c y=1\nACGTT\n")
    assert run("inspect", folder / "twice.fa", "--label", "y", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["copies"] == {"n_sequences": 1, "n_groups": 1}, "a strand and its reverse complement are copies"
    assert "1 sequences are there several times with different labels." in found["warnings"]
    assert found["ambiguous"] == {"share": pytest.approx(2 / 15), "n_sequences": 2}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["train", "{f}/t.tsv.gz", "--label", "bond", "--out", "{t}/m"],
            "no column 'bond' to use; the columns are: bound",
        ),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/m", "--top-genes", "5"],
            "--top-genes does nothing",
        ),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/m", "--self-train"],
            "--self-train does nothing for t.tsv.gz",
        ),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/m", "--alphabet", "dns"],
            "unknown alphabet 'dns'",
        ),
        (["train", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/m", "--encoder", "cnn"], "unknown encoder 'cnn'"),
        (
            ["train", "{f}/e.csv", "--label", "y", "--out", "{t}/m", "--members", "2"],
            "--members does nothing for e.csv",
        ),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/m", "--gene-map", "{f}/e.csv"],
            "--gene-map does nothing for t.tsv.gz",
        ),
        (
            ["predict", "{f}/m", "{f}/new.fa", "--out", "{t}/p.csv", "--gene-map", "{f}/e.csv"],
            "--gene-map does nothing",
        ),
        (["predict", "{f}/m", "{f}/new.fa", "--out", "{t}/p.csv", "--stream"], "--stream does nothing for new.fa"),
        (["predict", "{f}/m", "{f}/new.fa", "--out", "{t}/p.csv", "--samples", "{f}/e.csv"], "--samples does nothing"),
        (["embed", "{f}/m", "{f}/new.fa", "--out", "{t}/p.h5ad", "--probes", "mean"], "--probes does nothing"),
        (["embed", "{f}/m", "{f}/new.fa", "--out", "{t}/p.h5ad", "--min-overlap", "0.5"], "--min-overlap does nothing"),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound,strength", "--out", "{t}/m"],
            "column 'strength' must say 1 or 0 (or true and false, yes and no) of each sequence",
        ),
        (["train", "{f}/t.tsv.gz", "--label", "bound,bond", "--out", "{t}/m"], "no column 'bond' to use"),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound", "--separator", "and", "--out", "{t}/m"],
            "--separator must be what stands between names",
        ),
        (["train", "{f}/e.csv", "--label", "y", "--separator", ";", "--out", "{t}/m"], "--separator does nothing for"),
        (["inspect", "{f}/e.csv", "--label", "y", "--separator", ";"], "--separator does nothing for e.csv"),
        ([*STUDY[:3], "bound,strength", *STUDY[4:]], "a study is about one label"),
        (["inspect", "{f}/t.tsv.gz", "--genes-in", "rows"], "--genes-in does nothing for t.tsv.gz"),
        ([*STUDY, "--pretrain-on", "{f}/e.csv"], "--pretrain-on does nothing for t.tsv.gz"),
        ([*STUDY, "--normalize", "log"], "--normalize does nothing for t.tsv.gz"),
        ([*STUDY, "--prototypes", "5"], "--prototypes does nothing for t.tsv.gz"),
        ([*STUDY, "--methods", "vime"], "methods for sequences must be"),
        (
            [*STUDY[:3], "strength", *STUDY[4:], "--methods", "kmer-logistic"],
            "methods for a label that is a number must",
        ),
        ([*STUDY[:3], "strength", *STUDY[4:], "--min-class-size", "3"], "--min-class-size is for classes"),
        (["sweep", *STUDY[1:3], "strength", *STUDY[4:], "--vary", "filters=2,4"], "sweep compares classifiers"),
        (["tune", *STUDY[1:3], "strength", *STUDY[4:]], "tune compares classifiers"),
        (["study", "{f}/e.csv", "--label", "y", "--out", "{t}/s", "--identity", "0.8"], "--identity does nothing"),
        (["sweep", *STUDY[1:], "--vary", "filters=2,4", "--method", "swav"], "--method does nothing for t.tsv.gz"),
        (["sweep", *STUDY[1:], "--vary", "prototypes=2,4"], "has no setting 'n_prototypes'"),
        (
            ["sweep", "{f}/e.csv", "--label", "y", "--out", "{t}/s", "--vary", "layers=8", "--members", "2"],
            "--members does",
        ),
        (["tune", *STUDY[1:], "--method", "scratch"], "--method does nothing for t.tsv.gz"),
        (["tune", *STUDY[1:], "--search", "colour=1:2"], "has no setting 'colour'"),
        (["tune", "{f}/e.csv", "--label", "y", "--out", "{t}/s", "--max-length", "9"], "--max-length does nothing"),
        (["predict", "{f}/m", "{f}/e.csv", "--out", "{t}/p.csv"], "trained on sequences, the data are expression"),
        (
            ["predict", "{f}/e", "{f}/new.fa", "--out", "{t}/p.csv"],
            "trained on expression, and one of sequences is needed",
        ),
        (["predict", "{f}/m", "{f}/protein.fa", "--out", "{t}/p.csv"], "this looks like protein"),
        (["train", "{f}/e.csv", "--label", "y", "--out", "{t}/m", "--pretrained", "{f}/m"], "was trained on sequences"),
        (
            ["train", "{f}/t.tsv.gz", "--label", "bound", "--out", "{t}/m", "--pretrained", "{f}/e"],
            "not one of sequences",
        ),
        (
            ["train", "{f}/infinite.csv", "--label", "strength", "--out", "{t}/m"],
            "label 'strength' has 1 infinite value",
        ),
        (["inspect", "{f}/missing.fa"], "does not exist"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, capsys, arguments, expected):
    rng = np.random.default_rng(0)
    if not (folder / "e").exists():
        table = pd.DataFrame(rng.normal(size=(30, 5)), columns=list("abcde"), index=[f"s{i}" for i in range(30)])
        table.assign(y=["u", "v", "w"] * 10).to_csv(folder / "e.csv", index_label="sample")
        (folder / "protein.fa").write_text(">p\nMKVLEEPW\n")
        rows = [f"s{i},ACGTAC,{'inf' if i == 3 else i / 2}\n" for i in range(30)]
        (folder / "infinite.csv").write_text("".join(["id,sequence,strength\n", *rows]))
        few = ["--epochs", "1", "--folds", "0", "--quiet", "--device", "cpu"]
        assert run("train", folder / "e.csv", "--label", "y", "--out", folder / "e", *few) == 0
        capsys.readouterr()
    assert run(*(argument.format(f=folder, t=tmp_path) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", ["study", "sweep"])
def test_a_study_and_a_sweep_of_sequences_say_what_they_found(verb, folder, tmp_path, capsys):
    options = ["--label", "bound", "--fractions", "100%", "--repeats", "2", "--epochs", "1", "--workers", "1"]
    own = {
        "study": ["--methods", "kmer-logistic"],
        "sweep": ["--encoder", "motif-cnn", "--members", "1", "--max-length", "20", "--vary", "filters=2,4"],
    }[verb]
    assert run(verb, folder / "t.tsv.gz", *options, *own, "--quiet", "--out", tmp_path) == 0
    results = pd.read_csv(tmp_path / "results.csv")
    if verb == "study":
        assert results.method.tolist() == ["kmer-logistic"] * 2
    else:
        assert sorted(results.n_filters.unique()) == [2, 4, 64]
    assert f"Report: {tmp_path / 'report.html'}" in capsys.readouterr().out.replace("\n", "")


def test_what_explains_the_label_is_told_of(tmp_path, capsys):
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (80, 30))]
    table = pd.DataFrame({"id": [f"s{i}" for i in range(80)], "sequence": texts, "bound": np.arange(80) % 2})
    table["plate"], table["start"] = np.where(table.bound == 1, "p1", "p2"), np.arange(80) // 2
    table["chrom"] = [f"chr{i % 7}" for i in range(80)]
    table.to_csv(tmp_path / "t.csv", index=False)
    assert run("inspect", tmp_path / "t.csv", "--label", "bound", "--group", "chrom") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "column `plate` explains the label" in said
    assert "`start`" not in said
    assert "Group chrom: 7 values, 0 sequences without one" in said
    assert run("train", tmp_path / "t.csv", "--label", "bound", *QUICK, "--epochs", "1", "--out", tmp_path / "m") == 0
    assert "column `plate` explains the label" in " ".join(capsys.readouterr().out.split())


def test_shorter_sequences_are_told_of_where_places_count(folder, tmp_path, capsys):
    X = pd.read_csv(folder / "t.tsv.gz", sep="\t").dropna()
    placed = {"pooling": "positions", "n_filters": 4}
    model = SequenceClassifier("motif-cnn", encoder_options=placed, n_members=1, epochs=1, min_steps=1, device="cpu")
    save_model(model.fit(list(X.sequence), list(X.bound)), tmp_path / "m")
    (tmp_path / "short.fa").write_text(">a\nACGTACGT\n")
    assert run("predict", tmp_path / "m", tmp_path / "short.fa", "--out", tmp_path / "p.csv") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 sequences are shorter than the 30 letters that the model was trained on" in said
    (tmp_path / "p.fa").write_text(">a\nMKVLEEPWMKVLEEPW\n")
    assert run("predict", tmp_path / "m", tmp_path / "p.fa", "--out", tmp_path / "q.csv") == 2
    assert "and the model reads dna; give it dna" in capsys.readouterr().err


@pytest.mark.slow
def test_what_a_tuning_found_is_what_the_printed_command_trains(folder, tmp_path, capsys):
    options = ["--trials", "2", "--repeats", "1", "--epochs", "2", "--workers", "1", "--quiet", "--seed", "3"]
    search = [
        "--encoder",
        "motif-cnn",
        "--search",
        "filters=6",
        "--search",
        "pooling=positions",
        "--search",
        "dropout=0",
    ]
    assert run("tune", folder / "t.tsv.gz", "--label", "bound", *options, *search, "--out", tmp_path / "t") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("oligolearn train")]
    words = shlex.split(line)[1:]
    words[words.index("--out") + 1] = str(tmp_path / "m")
    assert run(*words, "--folds", "0", "--device", "cpu", "--quiet") == 0
    best = json.loads((tmp_path / "t" / "best.json").read_text())["training"]
    trained = load_model(tmp_path / "m").model.recipes_[0]
    assert trained.encoder == best["encoder"]
    assert dict(trained.options) == best["encoder_options"]
    capsys.readouterr()
    assert run(*words, "--epochs", "3") == 2
    assert "--settings has the settings of the network; leave out epochs" in capsys.readouterr().err
    (tmp_path / "other.json").write_text("{}")
    asked = ["--settings", tmp_path / "other.json", "--out", tmp_path / "o"]
    assert run("train", folder / "t.tsv.gz", "--label", "bound", *asked) == 2
    assert "holds no settings of a network over sequences" in capsys.readouterr().err


def test_a_study_of_one_method_says_what_it_reaches(folder, tmp_path):
    options = ["--label", "bound", "--fractions", "100%", "--repeats", "2", "--workers", "1", "--quiet"]
    assert run("study", folder / "t.tsv.gz", *options, "--methods", "kmer-logistic", "--out", tmp_path) == 0
    said = (tmp_path / "report.html").read_text()
    assert "too few results" not in said
    assert "it was compared with no other" in said or "Nothing was learned" in said
