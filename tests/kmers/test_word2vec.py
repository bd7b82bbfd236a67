"""Vectors of k-mers: the sentences, gensim's own result on them, and what the vectors say."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import torch
from gensim.models import Word2Vec

from oligolearn import SequenceClassifier
from oligolearn.estimators import KmerWord2Vec, load_model, save_model
from oligolearn.kmers import KmerSentences, Word2VecSettings, codes_of, learn_vectors, word2vec

ONE_STRAND = {"reverse_complement": 0.0, "min_count": 1}


def draw(n: int, length: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list("ACGT"), (n, length))]


def reverse_complement(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_sentences_are_overlapping_words_of_fragments_that_end_at_unknown_letters(tmp_path):
    texts = ["ACGTNNNTTTTGC", "AC", "acgtac"]
    path = tmp_path / "a.fa.gz"
    path.write_bytes(gzip.compress("".join(f">s\n{text}\n" for text in texts).encode()))
    expected = [["ACGT"], ["TTTT", "TTTG", "TTGC"], ["ACGT", "CGTA", "GTAC"]]
    settings = Word2VecSettings(k=(4, 4), **ONE_STRAND)
    for source in ([path], texts):
        assert list(KmerSentences(source, settings)) == expected
    turned = list(KmerSentences(texts, Word2VecSettings(k=(4, 4), reverse_complement=1.0)))
    assert turned == [[reverse_complement(word) for word in words[::-1]] for words in expected]


def test_words_of_a_drawn_length_spell_the_text_and_every_length_is_as_likely():
    text = draw(1, 12_000)[0]
    sentences = KmerSentences([text], Word2VecSettings(k=(3, 6), **ONE_STRAND))
    passes = [list(sentences), list(sentences)]
    lengths = np.array([len(word) for sentence in passes[0] for word in sentence])
    assert np.allclose(np.bincount(lengths)[3:] / len(lengths), 0.25, atol=0.02)
    begins = [[sentence[0][:3] for sentence in one] for one in passes]
    assert begins[0] == begins[1], "fragments are cut alike at every pass"
    assert passes[0] != passes[1], "lengths are drawn anew"
    sizes = [len(sentence) + 5 for sentence in passes[0]]
    assert sum(sizes) == 12_000
    assert all(2_500 <= size <= 5_000 for size in sizes[:-1])
    start = 0
    for sentence, size in zip(passes[0], sizes, strict=True):
        assert all(text.startswith(word, start + place) for place, word in enumerate(sentence))
        start += size


@pytest.mark.parametrize("architecture", ["cbow", "skip-gram"])
def test_the_vectors_are_those_of_gensim_on_the_same_sentences(architecture):
    texts = draw(30, 120)
    found = learn_vectors(texts, Word2VecSettings((3, 3), 6, architecture, 4, epochs=2, seed=5, **ONE_STRAND))
    sentences = [[text[i : i + 3] for i in range(118)] for text in texts]
    model = Word2Vec(
        sentences, vector_size=6, window=4, min_count=1, sg=architecture == "skip-gram", workers=1, seed=5, epochs=2
    )
    assert len(model.wv.index_to_key) == 64
    np.testing.assert_array_equal(found.vectors[3][codes_of(model.wv.index_to_key, 3)], model.wv.vectors)
    assert found.counts[3].sum() == 30 * 118


def test_a_training_goes_on_from_any_epoch_with_the_same_digits():
    """What a state leaves out would show: the generator, the weights of the output layer, the rate."""
    texts = draw(20, 200)
    settings = Word2VecSettings((2, 3), 5, "skip-gram", 4, epochs=4, seed=2)
    states = []

    class Kept:
        def __init__(self, state):
            self.state = state

        def read(self):
            return self.state

        def keep(self, state):
            states.append(state)

    whole = learn_vectors(texts, settings, keeper=Kept(None))
    assert len(states) == 4
    for state in states[:4]:
        again = learn_vectors(texts, settings, keeper=Kept(state))
        np.testing.assert_array_equal(again.vectors[3], whole.vectors[3])
        assert again.losses == whole.losses
    assert not np.array_equal(states[0].vectors, states[1].vectors)


@pytest.mark.slow
def test_a_killed_process_ends_with_the_digits_of_one_that_was_not(tmp_path):
    (tmp_path / "g.fa").write_text(">g\n" + draw(1, 20_000)[0] + "\n")
    program = (
        "import os, pathlib; from oligolearn.estimators import KmerWord2Vec; "
        "die = lambda done, of, what: os._exit(9) if done > 3 else None; "  # in the third epoch
        "KmerWord2Vec((2, 3), dim=5, epochs=4, random_state=2, checkpoint='c.safetensors')"
        ".fit_files([pathlib.Path('g.fa')], die)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 9
    settings = {"k": (2, 3), "dim": 5, "epochs": 4, "random_state": 2}
    told = []
    again = KmerWord2Vec(**settings, checkpoint=tmp_path / "c.safetensors")
    again.fit_files([tmp_path / "g.fa"], lambda *one: told.append(one))
    assert {what for *_, what in told} == {"counting k-mers", "epoch 3 of 4", "epoch 4 of 4"}
    whole = KmerWord2Vec(**settings).fit_files([tmp_path / "g.fa"])
    for k in (2, 3):
        np.testing.assert_array_equal(again.vectors_[k], whole.vectors_[k])
    assert again.losses_ == whole.losses_


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    texts, path = draw(10, 60), tmp_path / "c.safetensors"
    KmerWord2Vec(2, dim=4, epochs=2, random_state=0, checkpoint=path).fit(texts)
    with pytest.raises(ValueError, match="is the checkpoint of another training: dim"):
        KmerWord2Vec(2, dim=5, epochs=2, random_state=0, checkpoint=path).fit(texts)
    with pytest.raises(ValueError, match="the files have other k-mers than when the training began"):
        KmerWord2Vec(2, dim=4, epochs=2, random_state=0, checkpoint=path).fit(texts[1:])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="is damaged"):
        KmerWord2Vec(2, dim=4, epochs=2, random_state=0, checkpoint=path).fit(texts)


def test_words_that_stand_in_like_places_get_like_vectors():
    """In random text, AAA and GGG stand where the same words are around; TTT among others."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(400):
        parts = [f"CACAC{rng.choice(['AAA', 'GGG'])}CACAC", "CTCTCTTTCTCTC"]
        texts.append("N".join(parts))
    model = KmerWord2Vec(3, dim=8, window=3, epochs=5, reverse_complement=0.0, min_count=1, random_state=0).fit(texts)
    like, same, other = (model.vectors_[3][int(codes_of([word], 3)[0])] for word in ("AAA", "GGG", "TTT"))

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(like, same) > 0.9
    assert cosine(like, other) < 0.5


@pytest.mark.slow
def test_another_process_learns_the_same_digits(tmp_path):
    (tmp_path / "g.fa").write_text(">g\n" + draw(1, 20_000)[0] + "\n")
    program = (
        "import sys, pathlib; from oligolearn.estimators import KmerWord2Vec; "
        "m = KmerWord2Vec((2, 3), dim=4, epochs=1, random_state=0).fit_files([pathlib.Path('g.fa')]); "
        "sys.stdout.buffer.write(m.vectors_[2].tobytes() + m.vectors_[3].tobytes())"
    )
    there = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True).stdout
    here = KmerWord2Vec((2, 3), dim=4, epochs=1, random_state=0).fit_files([tmp_path / "g.fa"])
    assert here.vectors_[2].tobytes() + here.vectors_[3].tobytes() == there


def test_saved_vectors_are_read_by_a_network_and_rare_words_are_zero(tmp_path):
    X = [text.replace("GGG", "GAG") for text in draw(60, 30)]
    y = np.arange(60) % 2
    model = KmerWord2Vec((2, 3), dim=4, epochs=1, random_state=0, reverse_complement=0.0).fit(X)
    assert not model.vectors_[3][int(codes_of(["GGG"], 3)[0])].any()
    assert model.counts_[2].sum() + model.counts_[3].sum() <= 60 * 28
    save_model(model, tmp_path / "v")
    read = load_model(tmp_path / "v").model
    np.testing.assert_array_equal(read.vectors_[3], model.vectors_[3])
    assert read.get_params() == {**model.get_params(), "random_state": read.random_state}
    quick = {"n_members": 1, "epochs": 1, "min_steps": 1, "random_state": 0, "device": "cpu", "freeze_embedding": True}
    network = SequenceClassifier("motif-cnn", embedding=read.embedding(2), **quick).fit(X, y)
    vectors = network.module_[0].encoder.blocks[0][0].weight
    expected = model.vectors_[2] / np.sqrt(np.mean(model.vectors_[2] ** 2))
    torch.testing.assert_close(vectors, torch.from_numpy(expected))
    with pytest.raises(ValueError, match="there are vectors of k-mers of 2, 3 letters; say which with k"):
        SequenceClassifier("motif-cnn", embedding=tmp_path / "v", **quick).fit(X, y)
    with pytest.raises(ValueError, match="has 16 vectors of 2-mers, but there are 400 in protein"):
        SequenceClassifier(embedding=read.embedding(2), alphabet="protein", **quick).fit(["MKLVEEP", "MLLPWRA"], [0, 1])
    save_model(network, tmp_path / "n")
    with pytest.raises(ValueError, match="kind 'sequence-classifier', not vectors of k-mers"):
        SequenceClassifier(embedding=tmp_path / "n", **quick).fit(X, y)
    with pytest.raises(ValueError, match="holds vectors of k-mers, not an encoder; give it as the embedding"):
        SequenceClassifier(pretrained=tmp_path / "v").fit(X, y)


def test_what_cannot_be_learned_from_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty.fa").write_text("")
    (tmp_path / "protein.fa").write_text(">p\nMKLVEEPWFFLLIIKKQQRR\n")
    (tmp_path / "short.fa").write_text(">s\nACNGT\n")
    cases = [
        ({}, "empty.fa", "empty.fa is empty"),
        ({}, "missing.fa", "does not exist"),
        ({}, "protein.fa", "is no DNA"),
        ({}, "short.fa", "no 3-mer occurs 5 times"),
        ({"k": 9}, "short.fa", "k-mers of 1 to 8 letters, found k from 9 to 9"),
        ({"k": (5, 4)}, "short.fa", "found k from 5 to 4"),
        ({"architecture": "glove"}, "short.fa", "unknown architecture 'glove'; choose one of cbow, skip-gram"),
        ({"window": 0}, "short.fa", "window must be at least 1"),
        ({"reverse_complement": 2}, "short.fa", "a share, 0 to 1"),
    ]
    for settings, name, expected in cases:
        with pytest.raises((ValueError, FileNotFoundError), match=expected) as caught:
            KmerWord2Vec(**settings).fit_files([tmp_path / name])
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="found protein; give DNA or RNA"):
        KmerWord2Vec().fit(["MKLVEEPWFF"])
    with pytest.raises(ValueError, match="the embedding is not fitted"):
        SequenceClassifier(embedding=KmerWord2Vec()).fit(["ACGT", "ACGA"], [0, 1])


def test_losses_are_summed_beyond_what_32_bits_hold():
    class Model:
        running_training_loss = 0.0

        def _do_train_job(self, words):
            self.running_training_loss += np.float32(2.0**23)
            return words, words

    model = Model()
    with word2vec._summed_losses(model) as told:
        for _ in range(64):
            model._do_train_job(10)
    assert (told.total, told.n_words) == (64 * 2.0**23, 640)
    assert model._do_train_job(10) == (10, 10)


@pytest.mark.parametrize("k", [np.int64(2), (np.int64(2), 2), [2, 2]])
def test_lengths_may_be_numbers_of_numpy(k):
    model = KmerWord2Vec(k, dim=4, epochs=1, random_state=0).fit(["ACGT" * 20] * 5)
    assert list(model.vectors_) == [2]
    with pytest.raises(ValueError, match="whole number"):
        KmerWord2Vec(3.5).fit(["ACGT" * 20] * 5)
