"""`oligolearn motifs` as a user types it: its files, its report, and what it refuses."""

import sys

import numpy as np
import pandas as pd
import pytest

from oligolearn import FineTunedClassifier, SequenceClassifier, save_model
from oligolearn.cli import main
from oligolearn.data.alphabets import DNA
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.explain import Motif, read_meme, write_meme

WORD = "TGACGTCAT"
FILES = {"motifs.meme", "motifs.tsv", "report.html", "spacing.tsv"}


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that found a word, a deep one, and a database with that word among others."""
    folder = tmp_path_factory.mktemp("motifs")
    rng = np.random.default_rng(0)
    n = 160
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (n, 30))]
    texts = [text[:9] + WORD + text[18:] if i % 2 else text for i, text in enumerate(texts)]
    bound = ["yes" if i % 2 else "no" for i in range(n)]
    table = pd.DataFrame({"id": [f"<b>s{i}</b>" for i in range(n)], "sequence": texts, "bound": bound})
    table.to_csv(folder / "t.tsv", sep="\t", index=False)
    small = {
        "motif-cnn": {"n_filters": 12, "width": 10},
        "transformer": {"n_channels": 8, "n_heads": 2, "n_layers": 1},
    }
    settings = {"n_members": 1, "learning_rate": 0.02, "min_steps": 100, "dropout": 0.1, "random_state": 0}
    for name, options in small.items():
        model = SequenceClassifier(name, encoder_options=options, device="cpu", **settings).fit(texts, bound)
        save_model(model, folder / name)
    several = np.column_stack([np.arange(n) % 2, np.random.default_rng(1).integers(0, 2, n)])
    model = SequenceClassifier("motif-cnn", encoder_options=small["motif-cnn"], device="cpu", **settings)
    save_model(model.fit(texts, pd.DataFrame(several, columns=["word", "noise"])), folder / "several")
    table.assign(word=several[:, 0], noise=several[:, 1]).to_csv(folder / "several.tsv", sep="\t", index=False)
    settings |= {"encoder_options": small["motif-cnn"], "embedding": KmerEmbedding(3, 8), "device": "cpu"}
    save_model(SequenceClassifier("motif-cnn", **settings).fit(texts, bound), folder / "k-mers")
    other = FineTunedClassifier(epochs=1, device="cpu", random_state=0).fit(rng.normal(size=(20, 3)), np.arange(20) % 2)
    save_model(other, folder / "e", features=["a", "b", "c"])
    (folder / "protein.fa").write_text(">p\nMKVLEEPW\n")
    (folder / "short.fa").write_text(">a\nACGTACGTTT\n>b\nAC\n")
    (folder / "few.fa").write_text(">a\nACGTACGTTT\n>b\nACGTTTGTAC\n")
    (folder / "other.tsv").write_text("id\tsequence\tbound\nx\tACGTTA\ta\ny\tACGTTG\tb\n")
    write_meme(folder / "rna.meme", [Motif("R", "ACGU", np.full((4, 4), 0.25), 10)])
    word = np.full((len(WORD), 4), 0.02)
    word[np.arange(len(WORD)), ["ACGT".index(letter) for letter in WORD]] = 0.94
    others = [Motif(f"M{i}", "ACGT", rng.dirichlet(np.full(4, 0.2), 9), 40) for i in range(30)]
    own = Motif("M99", "ACGT", word, 40, "WORD").other_strand(DNA)
    write_meme(folder / "db.meme", [*others, own])
    return folder


@pytest.mark.slow
def test_a_learned_word_is_found_matched_and_told(folder, capsys):
    database = ["--database", folder / "db.meme"]
    assert (
        run("explain", folder / "motif-cnn", folder / "t.tsv", "--label", "bound", *database, "--out", folder / "o")
        == 0
    )
    said = capsys.readouterr().out
    assert {path.name for path in (folder / "o").iterdir()} == FILES
    table = pd.read_csv(folder / "o" / "motifs.tsv", sep="\t", keep_default_na=False, index_col="motif")
    best = table.iloc[0]
    assert best["match_name"] == "WORD"
    assert best["match_strand"] == "-"
    assert float(best["match_q"]) < 1e-3
    assert best["toward"] == "yes"
    assert float(best["enrichment_q"]) < 1e-10
    assert table["effect"].astype(float).is_monotonic_decreasing
    assert "WORD" in said
    assert "matters most" in said
    motifs = read_meme(folder / "o" / "motifs.meme")
    assert [one.name for one in motifs] == table.index.tolist()
    assert [one.n_sites for one in motifs] == table["n_sites"].tolist()
    page = (folder / "o" / "report.html").read_text()
    assert "&lt;b&gt;s" in page
    assert "<b>s" not in page
    assert "http" not in page.replace("http://www.w3.org/", "").replace("http-equiv", ""), "the report loads nothing"
    assert page.count("<svg") >= 3
    before = (folder / "o" / "motifs.tsv").read_bytes()
    assert (
        run("motifs", folder / "motif-cnn", folder / "t.tsv", "--label", "bound", *database, "--out", folder / "o") == 0
    )
    assert (folder / "o" / "motifs.tsv").read_bytes() == before, "the same command gives the same motifs"


@pytest.mark.slow
def test_one_of_several_labels_is_explained_by_itself(folder, tmp_path, capsys):
    for label in ("word", "word,noise"):
        out = tmp_path / label
        given = ["--class", "word", "--label", label, "--database", folder / "db.meme", "--out", out]
        assert run("motifs", folder / "several", folder / "several.tsv", *given) == 0
    best, again = (pd.read_csv(tmp_path / label / "motifs.tsv", sep="\t").iloc[0] for label in ("word", "word,noise"))
    assert best["match_name"] == "WORD"
    assert best["toward"] == "word"
    assert best["effect"] > 0.05, "the loss of the label rises"
    assert best.equals(again)
    assert "label word" in (tmp_path / "word" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("attribution", ["integrated-gradients", "deeplift", "mutagenesis"])
def test_a_model_of_kmers_is_read_by_its_filters_and_by_attributions(folder, capsys, attribution):
    out = folder / f"k-mers-{attribution}"
    database = ["--database", folder / "db.meme", "--label", "bound", "--attribution", attribution]
    for by in ("filters", "attributions"):
        assert run("motifs", folder / "k-mers", folder / "t.tsv", *database, "--by", by, "--out", out) == 0
        assert "WORD" in capsys.readouterr().out
        best = pd.read_csv(out / "motifs.tsv", sep="\t", index_col="motif").iloc[0]
        assert best["match_name"] == "WORD"
        assert best["match_q"] < 1e-3
        assert best["toward"] == "yes"
    assert "Letters of single sequences" in (out / "report.html").read_text()


@pytest.mark.slow
def test_any_model_is_explained_by_attributions_and_a_transformer_shows_its_heads(folder, capsys):
    out, slow = folder / "d", ["--attribution", "mutagenesis"]
    assert run("motifs", folder / "transformer", folder / "t.tsv", "--out", out, "--sequences", "60", *slow) == 0
    said = capsys.readouterr().out
    assert "60 of 160 sequences were drawn." in said
    assert "Attributions by mutagenesis of 60 sequences" in said
    table = pd.read_csv(out / "motifs.tsv", sep="\t", index_col="motif")
    assert table.index[0].startswith("motif")
    assert table["auroc_drop"].isna().all(), "there is no label"
    page = (out / "report.html").read_text()
    assert "How far the heads look" in page
    assert "No label was given" in page


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{f}/motif-cnn", "{f}/t.tsv", "--label", "bond"], "there is no column 'bond'"),
        (["{f}/motif-cnn", "{f}/t.tsv", "--label", "sequence"], "no column 'sequence'"),
        (
            ["{f}/motif-cnn", "{f}/other.tsv", "--label", "bound"],
            "needs at least two of the model's classes, no, yes; found a, b",
        ),
        (["{f}/motif-cnn", "{f}/protein.fa"], "this looks like protein"),
        (["{f}/motif-cnn", "{f}/no.fa"], "does not exist"),
        (["{f}/motif-cnn", "{f}/few.fa"], "no filter finds as many as 10 windows in 2 sequences"),
        (["{f}/k-mers", "{f}/short.fa"], "sequence 'b' has 2 letters, but the embedding reads k-mers of 3"),
        (["{f}/motif-cnn", "{f}/t.tsv", "--database", "{f}/t.tsv"], "t.tsv is not in MEME format"),
        (["{f}/motif-cnn", "{f}/t.tsv", "--database", "{f}/no.meme"], "is not a file"),
        (
            ["{f}/motif-cnn", "{f}/t.tsv", "--database", "{f}/rna.meme"],
            "rna.meme holds motifs over ACGU, the model reads ACGT",
        ),
        (["{f}/e", "{f}/t.tsv"], "trained on expression, and one of sequences is needed"),
        (["{f}/t.tsv", "{f}/t.tsv"], "is not a model"),
        (["{f}/transformer", "{f}/t.tsv", "--by", "filters"], "first layer of a SequenceTransformer has no filters"),
        (["{f}/transformer", "{f}/t.tsv", "--attribution", "deeplift"], "deeplift does not converge"),
        (["{f}/several", "{f}/several.tsv"], "learned several labels at once, which are explained one by one: choose"),
        (["{f}/several", "{f}/several.tsv", "--class", "wort"], "knows no label 'wort'; its labels are word, noise"),
        (
            ["{f}/several", "{f}/several.tsv", "--class", "word", "--label", "noise,bound"],
            "there is no label 'word' in 'noise,bound', which has 'noise', 'bound'",
        ),
        (["{f}/motif-cnn", "{f}/t.tsv", "--class", "yes"], "learned one label, not several"),
        (["{f}/motif-cnn", "{f}/t.tsv", "--separator", ";"], "--separator is for the labels of a model of several"),
        (["{f}/motif-cnn", "{f}/t.tsv", "--sequences", "-1"], "must be at least 1, found -1"),
        (["{f}/motif-cnn", "{f}/t.tsv", "--sequences", "0"], "must be at least 1, found 0"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, capsys, arguments, expected):
    capsys.readouterr()
    filled = [one.format(f=folder) for one in arguments]
    assert run("motifs", *filled, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err.strip()
    assert expected in said
    assert said.count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_what_is_no_search_is_not_replaced_and_a_missing_extra_is_named(folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert run("motifs", folder / "motif-cnn", folder / "t.tsv", "--out", tmp_path / "mine") == 2
    assert "exists and holds no motifs" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").exists()
    monkeypatch.setitem(sys.modules, "memelite", None)
    database = ["--database", folder / "db.meme"]
    assert run("motifs", folder / "motif-cnn", folder / "t.tsv", *database, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.endswith("pip install 'oligolearn[motifs]'\n")


def test_what_draws_the_logos_is_missed_before_any_work(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "logomaker", None)
    assert run("motifs", folder / "motif-cnn", folder / "t.tsv", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'oligolearn[motifs]'" in said


def test_a_sheet_may_have_the_labels(folder, tmp_path, capsys):
    table = pd.read_csv(folder / "t.tsv", sep="\t")
    names = [f"s{i}" for i in range(len(table))]
    (tmp_path / "t.fa").write_text("".join(f">{n}\n{text}\n" for n, text in zip(names, table.sequence, strict=True)))
    pd.DataFrame({"id": names, "bound": table.bound}).to_csv(tmp_path / "sheet.csv", index=False)
    asked = ["--samples", tmp_path / "sheet.csv", "--label", "bound", "--quiet", "--out", tmp_path / "o"]
    assert run("motifs", folder / "motif-cnn", tmp_path / "t.fa", *asked) == 0
    assert (tmp_path / "o" / "report.html").is_file()


def test_without_motifs_letters_and_heads_are_shown(folder, tmp_path, capsys):
    asked = ["--by", "attributions", "--sequences", "12", "--quiet", "--out", tmp_path / "o"]
    assert run("motifs", folder / "transformer", folder / "t.tsv", "--label", "bound", *asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "No motif was found." in said
    assert "No motif: " in said
    report = (tmp_path / "o" / "report.html").read_text()
    assert 'id="sequences"' in report
    assert 'id="attention"' in report
    assert 'id="logos"' not in report
    assert "class yes: output" in report
    assert len(pd.read_csv(tmp_path / "o" / "motifs.tsv", sep="\t")) == 0
