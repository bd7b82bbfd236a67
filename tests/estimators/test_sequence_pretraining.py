"""Encoders of sequences that are pretrained without labels: what they keep, what starts from them, what is refused."""

import json

import numpy as np
import pytest
import torch
from sklearn.base import clone

from oligolearn import SequenceClassifier
from oligolearn.data import cut_into_pieces, encode_sequences
from oligolearn.estimators import (
    CollapseWarning,
    KmerEmbedding,
    SelfSupervisedSequenceEncoder,
    load_model,
    save_model,
)
from oligolearn.nn import SEQUENCE_ENCODERS
from oligolearn.pretext import SEQUENCE_OBJECTIVES

QUICK = {"epochs": 1, "min_steps": 4, "batch_size": 16, "random_state": 0, "device": "cpu"}
SMALL = {"n_filters": 8, "width": 7}
LABELLED = {"n_members": 1, "epochs": 1, "min_steps": 2, "random_state": 0, "device": "cpu"}


def draw(n: int, length: int, seed: int = 0, letters: str = "ACGT") -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list(letters), (n, length))]


def quick(objective: str = "masked-letters", encoder: str = "motif-cnn", **settings) -> SelfSupervisedSequenceEncoder:
    options = SMALL if encoder == "motif-cnn" else {}
    return SelfSupervisedSequenceEncoder(objective, encoder, **{"encoder_options": options, **QUICK, **settings})


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")  # four steps are not a training
@pytest.mark.parametrize("objective", SEQUENCE_OBJECTIVES)
def test_every_objective_pretrains_is_saved_and_is_started_from(objective, tmp_path):
    X = [text[: 20 + i % 12] for i, text in enumerate(draw(48, 32))]
    encoder = "recurrent" if objective == "next-letter" else "motif-cnn"
    model = quick(objective, encoder).fit(X)
    np.testing.assert_array_equal(clone(model).fit(X).transform(X), model.transform(X))
    before = quick(objective, encoder, learning_rate=1e-12).fit(X)
    assert not np.allclose(before.transform(X), model.transform(X)), "training changes the encoder"
    alone = np.concatenate([model.transform([text]) for text in X[:5]])
    np.testing.assert_allclose(model.transform(X)[:5], alone, atol=1e-6)
    save_model(model, tmp_path / "e")
    read = load_model(tmp_path / "e").model
    np.testing.assert_array_equal(read.transform(X), model.transform(X))
    described = json.loads((tmp_path / "e" / "model.json").read_text())["pretraining"]
    assert (described["objective"], described["n_sequences"]) == (objective, 48)
    assert set(described["quality"]) >= {"rank_me", "alpha_req", "effective_rank", "dimensions"}
    y = np.arange(48) % 2
    for given in (model, tmp_path / "e"):
        started = SequenceClassifier(pretrained=given, frozen_layers=None, **LABELLED).fit(X, y)
        np.testing.assert_allclose(started.embed(X), model.transform(X), atol=1e-6)


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")
@pytest.mark.parametrize("encoder", SEQUENCE_ENCODERS)
@pytest.mark.parametrize("embedding", ["one-hot", KmerEmbedding(2, 6)], ids=["letters", "2-mers"])
def test_every_encoder_learns_from_two_views_and_gives_the_same_alone(encoder, embedding):
    X = [text[: 12 + i] for i, text in enumerate(draw(16, 30))]
    settings = {"min_steps": 2, "embedding": embedding, "encoder_options": None}
    model = quick("simclr", encoder, **settings).fit(X)
    start = quick("simclr", encoder, **settings, learning_rate=1e-12).fit(X)
    moved = [
        not torch.allclose(a, b) for a, b in zip(model.encoder_.parameters(), start.encoder_.parameters(), strict=True)
    ]
    assert np.mean(moved) > 0.8
    np.testing.assert_allclose(model.transform(X)[3:4], model.transform(X[3:4]), atol=1e-6)


def test_an_objective_of_letters_hands_over_all_blocks_but_the_one_that_pools():
    X, y = draw(40, 30), np.arange(40) % 2
    options = {**SMALL, "hidden": 5}
    model = quick(encoder_options=options).fit(X)
    started = SequenceClassifier(pretrained=model, learning_rate=1e-12, **LABELLED).fit(X, y).module_[0].encoder
    theirs = model.encoder_
    torch.testing.assert_close(started.blocks[0][1].weight, theirs.blocks[0][1].weight, atol=1e-6, rtol=0)
    assert not torch.allclose(started.blocks[1][2].weight, theirs.blocks[1][2].weight)
    frozen = SequenceClassifier(pretrained=model, frozen_layers=None, **LABELLED).fit(X, y).module_[0].encoder
    assert [all(p.requires_grad for p in block.parameters()) for block in frozen.blocks] == [False, True]


def test_what_starts_from_an_encoder_without_labels_reads_sequences_as_long_as_it_likes():
    X, y = draw(40, 60), np.arange(40) % 2
    model = quick(max_length=25).fit(X)
    assert model.pretraining_["n_samples"] == 120, "sixty letters are three pieces of twenty"
    assert SequenceClassifier(pretrained=model, **LABELLED).fit(X, y).recipes_[0].rule.length == 60
    assert SequenceClassifier(pretrained=model, max_length=50, **LABELLED).fit(X, y).recipes_[0].rule.length == 50


def test_pieces_lose_no_letter_and_are_of_about_equal_length():
    lengths = [1, 10, 11, 99, 1000]
    sequences = encode_sequences([draw(1, n, seed=n)[0] for n in lengths], alphabet="dna")
    pieces = cut_into_pieces(sequences, 10)
    assert "".join(pieces.texts()) == "".join(sequences.texts())
    assert pieces.lengths.max() <= 10
    owners = [name.split(":")[0] for name in pieces.ids]
    assert [owners.count(str(row)) for row in range(5)] == [-(-n // 10) for n in lengths]
    for row in range(5):
        own = pieces.lengths[np.array(owners) == str(row)]
        assert own.max() - own.min() <= 1
    texts = dict(zip(sequences.ids, sequences.texts(), strict=True))
    for name, text in zip(pieces.ids, pieces.texts(), strict=True):
        row, place = name.split(":")
        assert texts[row][int(place) - 1 :].startswith(text)
    with pytest.raises(ValueError, match="at least 1, found 0"):
        cut_into_pieces(sequences, 0)


def test_both_strands_give_the_same_and_kmers_are_read_and_protein_has_one_strand(tmp_path):
    X = draw(40, 30)
    turned = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in X]
    model = quick(both_strands=True, embedding=KmerEmbedding(2, 6)).fit(X)
    np.testing.assert_allclose(model.transform(X), model.transform(turned), atol=1e-6)
    save_model(model, tmp_path / "e")
    np.testing.assert_array_equal(load_model(tmp_path / "e").model.transform(X), model.transform(X))
    protein = draw(40, 30, letters="ACDEFGHIKLMNPQRSTVWY")
    assert quick("simclr", view_options={"mutated": 0.2}).fit(protein).recipe_.alphabet.name == "protein"
    with pytest.raises(ValueError, match="protein has one strand"):
        quick(both_strands=True).fit(protein)


def test_letters_that_depend_on_their_neighbours_are_learned_better_than_by_guessing():
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(["ACG", "TTA"], 12)) for _ in range(64)]
    for objective, encoder, turned in (("masked-letters", "motif-cnn", 0.0), ("next-letter", "auto", 0.0)):
        settings = {"learning_rate": 1e-2, "min_steps": 120, "view_options": {"turned": turned}}
        model = quick(objective, encoder, **settings).fit(X)
        assert model.history_.losses[-1] < 0.6 * model.pretraining_["guessing"]
        assert model.diagnosis_ == []


def test_a_collapse_is_said():
    same = ["ACGTACGTAA"] * 20 + ["ACGTACGTAC"]
    with pytest.warns(CollapseWarning, match="collapse"):
        model = quick("simclr", view_options={"mutated": 0.0, "shortest": 1.0, "turned": 0.0}).fit(same)
    assert model.pretraining_["diagnosis"] == model.diagnosis_ != []


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")
def test_a_training_that_was_stopped_goes_on_to_the_same_encoder(tmp_path):
    X = draw(48, 20)
    settings = {"min_steps": 12, "view_options": {"share": 0.3}}
    whole = quick(**settings).fit(X)

    def stop(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    kept = {**settings, "checkpoint": tmp_path / "c.safetensors", "checkpoint_minutes": 1e-9}
    with pytest.raises(KeyboardInterrupt):
        quick(**kept, on_epoch=stop).fit(X)
    np.testing.assert_array_equal(quick(**kept).fit(X).transform(X), whole.transform(X))
    with pytest.raises(ValueError, match="another training"):
        quick(**{**kept, "view_options": {"share": 0.2}}).fit(X)


def test_mistakes_are_refused_in_one_line():
    X = draw(30, 20)
    cases = [
        (quick("masked-genes"), "unknown objective 'masked-genes'; choose one of barlow-twins"),
        (quick("next-letter"), "next-letter needs an encoder that reads from left to right"),
        (quick(encoder="multi-scale-cnn"), "masked-letters needs an encoder with an output at each letter"),
        (
            quick(view_options={"shares": 0.2}),
            "masked-letters has no view option 'shares'; its options are turned",
        ),
        (quick(view_options={"share": 0.0}), "share of the letters that are hidden lies above 0"),
        (quick("next-letter", "recurrent", view_options={"share": 0.2}), "next-letter has no view option 'share'"),
        (quick(view_options={"turned": 7}), "turned is a share, 0 to 1, found 7"),
        (quick("simclr", view_options={"foo": 1}), "simclr has no view option 'foo'"),
        (quick(epochs=0), "epochs must be at least 1, found 0"),
        (quick(batch_size=0), "batch_size must be at least 1, found 0"),
        (quick(embedding=KmerEmbedding(12)), "k-mers of k=12 letters over an alphabet of 4"),
        (quick(checkpoint="c.safetensors", random_state=None), "pass a random_state"),
    ]
    for model, expected in cases:
        with pytest.raises(ValueError, match=expected) as caught:
            model.fit(X)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="sequence '1' has 2 letters, but the embedding reads k-mers of 3"):
        quick(embedding="kmer").fit(["ACGTAC", "AC"])
    with pytest.raises(ValueError, match="is not a fitted model of sequences; fit one first"):
        SequenceClassifier(pretrained=quick()).fit(X, np.arange(30) % 2)
    with pytest.raises(ValueError, match="has the embedding that it was trained with; leave embedding out"):
        SequenceClassifier(pretrained=quick().fit(X), embedding="kmer").fit(X, np.arange(30) % 2)
