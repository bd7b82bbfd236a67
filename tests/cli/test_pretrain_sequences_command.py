"""pretrain on sequences, and train, embed and predict from what it wrote, as a user types them."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.cli import main
from oligolearn.estimators import KmerWord2Vec, load_model

QUICK = ["--epochs", "1", "--quiet"]
TRAINED = ["--members", "1", "--folds", "0", "--device", "cpu", *QUICK]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretraining")
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (60, 30))]
    table = pd.DataFrame({"id": [f"s{i}" for i in range(60)], "sequence": texts, "y": np.arange(60) % 2})
    table.to_csv(folder / "t.tsv", sep="\t", index=False)
    (folder / "a.fna").write_text(">a\n" + "".join(texts[:30]) + "\n")
    (folder / "b.fna").write_text(">b\n" + "".join(texts[30:]) + "\n")
    (folder / "protein.fa").write_text(">p\nMKLVEEPWFFMKLVEEPW\n>q\nMKLVWWPWFFMKLVEEPW\n")
    (folder / "empty.fa").write_text("")
    expression = pd.DataFrame(rng.normal(size=(20, 4)), columns=list("abcd"))
    expression.to_csv(folder / "e.csv", index_label="sample")
    settings = ["--k", "2-3", "--dim", "6", "--architecture", "skip-gram", "--min-count", "1", "--seed", "3"]
    files = [folder / "a.fna", folder / "b.fna"]
    assert run("pretrain", *files, "--method", "word2vec", "--out", folder / "v", *settings, *QUICK) == 0
    encoder = ["--method", "masked-letters", "--max-length", "100", "--device", "cpu", *QUICK]
    assert run("pretrain", folder / "a.fna", "--out", folder / "m", *encoder) == 0
    return folder


def test_word2vec_reads_all_files_and_keeps_what_it_did(folder):
    made = KmerWord2Vec((2, 3), dim=6, architecture="skip-gram", epochs=1, min_count=1, random_state=3)
    expected = made.fit_files([folder / "a.fna", folder / "b.fna"])
    found = load_model(folder / "v").model
    for k in (2, 3):
        np.testing.assert_array_equal(found.vectors_[k], expected.vectors_[k])
    description = json.loads((folder / "v" / "model.json").read_text())
    assert description["kind"] == "kmer-embedding"
    assert description["training_data"]["files"] == ["a.fna", "b.fna"]
    assert sorted(path.name for path in (folder / "v").iterdir()) == ["model.json", "weights.safetensors"]
    assert not list(folder.glob("v.checkpoint*")), "the checkpoint goes when the vectors are written"


def test_an_encoder_is_pretrained_on_several_files_as_on_one_that_holds_all(folder, tmp_path, capsys):
    """The order is that of the files; letters, seeds and so weights are those of the file that holds both."""
    both = (folder / "a.fna").read_text() + (folder / "b.fna").read_text()
    (tmp_path / "both.fna").write_text(both)
    encoder = ["--method", "masked-letters", "--max-length", "100", "--device", "cpu", *QUICK]
    for name, files in (("one", [tmp_path / "both.fna"]), ("two", [folder / "a.fna", folder / "b.fna"])):
        assert run("pretrain", *files, "--out", tmp_path / name, *encoder) == 0
    said = capsys.readouterr().out
    assert "b.fna: Read as DNA" in said
    assert said.count("masked-letters: 2 sequences, cut into 18 pieces") == 2
    one, two = (load_model(tmp_path / name).model.encoder_.state_dict() for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    description = json.loads((tmp_path / "two" / "model.json").read_text())
    assert description["training_data"]["files"] == ["a.fna", "b.fna"]


@pytest.mark.parametrize("how", [["--embedding", "kmer", "--k", "2"], ["--embedding", "{f}/v", "--k", "3"]])
def test_a_network_reads_kmers_and_predicts(folder, tmp_path, how):
    how = [part.format(f=folder) for part in how]
    arguments = ["train", folder / "t.tsv", "--label", "y", "--out", tmp_path / "n", "--encoder", "motif-cnn", *TRAINED]
    assert run(*arguments, *how) == 0
    read = json.loads((tmp_path / "n" / "model.json").read_text())["architecture"]["embedding"]
    assert read == {"k": int(how[-1]), "dim": 50 if how[1] == "kmer" else 6, "frozen": False}
    assert run("predict", tmp_path / "n", folder / "t.tsv", "--out", tmp_path / "p.csv") == 0
    assert len(pd.read_csv(tmp_path / "p.csv")) == 60


def test_an_encoder_is_pretrained_told_of_embedded_and_started_from(folder, tmp_path, capsys):
    again = ["--method", "masked-letters", "--max-length", "100", "--device", "cpu", *QUICK]
    assert run("pretrain", folder / "a.fna", "--out", tmp_path / "m", *again) == 0
    said = capsys.readouterr().out
    assert "masked-letters: 1 sequences, cut into 9 pieces" in said
    assert "(guessing: 1.3237)" in said
    assert "RankMe" in said
    assert not list(tmp_path.glob("*.checkpoint*")), "the checkpoint goes when the model is written"
    assert run("embed", folder / "m", folder / "t.tsv", "--out", tmp_path / "e.h5ad") == 0
    embedding = ad.read_h5ad(tmp_path / "e.h5ad").X
    texts = pd.read_csv(folder / "t.tsv", sep="\t").sequence.tolist()
    np.testing.assert_allclose(embedding, load_model(folder / "m").model.transform(texts), atol=1e-6)
    start = ["--pretrained", folder / "m", "--freeze-layers", "1"]
    assert run("train", folder / "t.tsv", "--label", "y", "--out", tmp_path / "n", *start, *TRAINED) == 0
    mine, theirs = load_model(tmp_path / "n").model, load_model(folder / "m").model
    first = [part.blocks[0][1].weight.detach().numpy() for part in (mine.module_[0].encoder, theirs.encoder_)]
    np.testing.assert_array_equal(*first)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pretrain", "{f}/t.tsv", "--pretrain-on", "{f}/e.csv"], "--pretrain-on does nothing for t.tsv, which holds"),
        (["pretrain", "{f}/t.tsv", "--view", "mixup"], "--view does nothing for t.tsv, which holds sequences"),
        (["pretrain", "{f}/t.tsv", "--layers", "8"], "--layers does nothing for t.tsv"),
        (["pretrain", "{f}/t.tsv", "--label", "y"], "--label does nothing for t.tsv"),
        (["pretrain", "{f}/e.csv", "--encoder", "motif-cnn"], "--encoder does nothing for e.csv, which holds express"),
        (["pretrain", "{f}/e.csv", "--method", "word2vec"], "word2vec learns from sequences, and e.csv holds expres"),
        (["pretrain", "{f}/e.csv", "{f}/e.csv"], "takes one matrix, found 2 files; give others with --pretrain-on"),
        (["pretrain", "{f}/a.fna", "{f}/protein.fa"], "a.fna was read as dna and protein.fa as protein; give files of"),
        (["pretrain", "{f}/a.fna", "{f}/e.csv"], "e.csv"),
        (["pretrain", "{f}/a.fna", "{f}/a.fna"], "a.fna is given twice"),
        (["pretrain", "{f}/a.fna", "--method", "word2vec", "--checkpoint-minutes", "1"], "--checkpoint-minutes does"),
        (["pretrain", "{f}/t.tsv", "--method", "masked-genes"], "unknown objective 'masked-genes'"),
        (["pretrain", "{f}/t.tsv", "--window", "3"], "--window does nothing with --method masked-letters"),
        (
            ["pretrain", "{f}/t.tsv", "--method", "simclr", "--mask-share", ".2"],
            "--mask-share does nothing with",
        ),
        (["pretrain", "{f}/t.tsv", "--method", "next-letter", "--encoder", "motif-cnn"], "reads from left to right"),
        (["pretrain", "{f}/t.tsv", "--k", "2-3"], "--k 2-3 is of --method word2vec"),
        (["pretrain", "{f}/t.tsv", "--dim", "8"], "they need --embedding kmer"),
        (["pretrain", "{f}/a.fna", "--method", "word2vec", "--encoder", "recurrent"], "--encoder does nothing with"),
        (["pretrain", "{f}/a.fna", "--method", "word2vec", "--batch-size", "8"], "--batch-size does nothing with"),
        (["pretrain", "{f}/a.fna", "--method", "word2vec", "--k", "three"], "shortest and longest such as 3-8, found"),
        (["pretrain", "{f}/a.fna", "--method", "word2vec", "--k", "9"], "k-mers of 1 to 8 letters, found k from 9"),
        (["pretrain", "{f}/protein.fa", "--method", "word2vec"], "is no DNA"),
        (["pretrain", "{f}/empty.fa", "--method", "word2vec"], "empty.fa is empty"),
        (["pretrain", "{f}/empty.fa"], "empty.fa is empty"),
        (["train", "{f}/t.tsv", "--label", "y", "--embedding", "{f}/v"], "k-mers of 2, 3 letters; say which with k"),
        (["train", "{f}/t.tsv", "--label", "y", "--embedding", "{f}/v", "--k", "4"], "not of 4; choose one of these"),
        (["train", "{f}/t.tsv", "--label", "y", "--embedding", "{f}/m"], "'sequence-encoder', not vectors of k-mers"),
        (["train", "{f}/t.tsv", "--label", "y", "--embedding", "kmers"], "unknown embedding 'kmers'; choose one-hot"),
        (["train", "{f}/t.tsv", "--label", "y", "--k", "4"], "they need --embedding kmer"),
        (["train", "{f}/t.tsv", "--label", "y", "--pretrained", "{f}/v"], "holds vectors of k-mers, not an encoder"),
        (["train", "{f}/e.csv", "--label", "y", "--embedding", "kmer"], "--embedding does nothing for e.csv"),
        (["predict", "{f}/m", "{f}/t.tsv"], "pretrained without labels and predicts none; train one from it"),
        (["predict", "{f}/v", "{f}/t.tsv"], "these are vectors of k-mers, not a model of sequences"),
        (["predict", "{f}/m", "{f}/e.csv"], "trained on sequences, the data are expression"),
        (["embed", "{f}/v", "{f}/e.csv"], "trained on sequences, the data are expression"),
        (["embed", "{f}/m", "{f}/protein.fa"], "this looks like protein"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(folder, tmp_path, capsys, arguments, expected):
    arguments = [argument.format(f=folder) for argument in arguments]
    assert run(*arguments, "--out", tmp_path / ("p.h5ad" if arguments[0] == "embed" else "p")) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())
