"""Filters become the motifs that they find, where they find them; what is lost without them."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import fisher_exact
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from oligolearn.data import PaddingRule, encode_sequences, shuffle_dinucleotides
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.explain import (
    enrichment,
    filter_effects,
    filter_enrichment,
    filter_motifs,
    find_motifs,
    has_filters,
    rows_with_sites,
    target_codes,
)

WORD, OTHER_STRAND = "TGACTCAGT", "ACTGAGTCA"


def texts_with(words, n=40, seed=0, shortest=30):
    """Texts of different lengths, each with one of the words or none, and where it begins."""
    rng = np.random.default_rng(seed)
    texts, places = [], []
    for i in range(n):
        text = "".join(rng.choice(list("ACGT"), shortest + int(rng.integers(12))))
        text = text.replace(WORD, "A" * len(WORD)).replace(OTHER_STRAND, "A" * len(WORD))
        word = words[i % len(words)]
        at = int(rng.integers(len(text) - len(WORD)))
        texts.append(text[:at] + word + text[at + len(word) :])
        places.append(at if word else -1)
    return texts, np.array(places)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("pad", ["end", "start", "both"])
@pytest.mark.parametrize("both", [False, True])
def test_a_filter_finds_its_word_where_it_stands(model_of, set_filter, both, pad, k):
    embedding = None if k == 1 else KmerEmbedding(k, 4**k, np.eye(4**k))
    options = {"n_filters": 3, "width": 9 - k + 1}
    model = model_of("motif-cnn", options, both=both, rule=PaddingRule(50, pad), embedding=embedding)
    set_filter(model, 1, WORD)
    texts, places = texts_with([WORD, "", OTHER_STRAND])
    found = next(one for one in filter_motifs(model, texts) if one.motif.name == "filter2")
    assert found.motif.consensus == WORD
    expected = [i for i in range(len(texts)) if i % 3 == 0 or (both and i % 3 == 2)]
    assert found.sites.rows.tolist() == expected
    assert found.sites.starts.tolist() == places[expected].tolist()
    assert found.sites.reverse.tolist() == [i % 3 == 2 for i in expected]
    assert found.motif.n_sites == len(expected)


def test_counts_follow_from_the_formula_on_texts(model_of):
    model = model_of("multi-scale-cnn", {"n_filters": 4, "widths": (4, 7), "windows": (1, 1), "hidden": 5})
    texts, _ = texts_with([""], n=30)
    filters = filter_motifs(model, texts)
    assert {one.motif.name.split("-")[0] for one in filters} == {"width4", "width7"}
    one = filters[-1]
    _, side_by_side = model.module_[0].encoder.blocks[0]
    convolution, norm, *_ = side_by_side.each[one.scale]
    w = convolution.weight[one.channel].detach().numpy().astype(float)
    width = w.shape[1]
    values, windows = [], []
    for text in texts:
        letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
        padded = np.pad(letters, ((width, width), (0, 0)))
        centred = np.pad(letters - 0.25, ((width, width), (0, 0)))
        for place in range(len(text)):
            at = slice(place - (width - 1) // 2 + width, place - (width - 1) // 2 + 2 * width)
            z = (centred[at] * w.T).sum() + convolution.bias[one.channel].item()
            mean, var = norm.running_mean[one.channel].item(), norm.running_var[one.channel].item()
            z = (z - mean) / np.sqrt(var + norm.eps) * norm.weight[one.channel].item() + norm.bias[one.channel].item()
            values.append(max(z, 0))
            windows.append(padded[at])
    values = np.array(values)
    limit = values.mean() + 0.65 * (values.max() - values.mean())
    counts = np.array(windows)[values > limit].sum(axis=0) + 1
    assert one.threshold == pytest.approx(limit, abs=1e-9)
    np.testing.assert_allclose(one.motif.probabilities, counts / counts.sum(axis=1, keepdims=True), atol=1e-12)


def test_counts_of_a_filter_over_kmers_follow_from_the_formula_on_texts(model_of):
    options = {"n_filters": 4, "widths": (4, 7), "windows": (1, 1), "hidden": 5}
    model = model_of("multi-scale-cnn", options, embedding=KmerEmbedding(3, 5))
    texts, _ = texts_with([""], n=30)
    texts[3] = texts[3][:10] + "N" + texts[3][11:]
    filters = filter_motifs(model, texts)
    one = filters[-1]
    kmers, side_by_side = model.module_[0].encoder.blocks[0]
    convolution, norm, *_ = side_by_side.each[one.scale]
    w, vectors = (x.detach().numpy().astype(float) for x in (convolution.weight[one.channel], kmers.weight))
    width = w.shape[1]
    assert len(one.motif.probabilities) == width + 2
    every = ["".join(letters) for letters in product("ACGT", repeat=3)]
    values, windows = [], []
    for text in texts:
        letters = np.array([np.eye(4)["ACGT".index(letter)] if letter != "N" else np.full(4, 0.25) for letter in text])
        padded = np.pad(letters, ((20, 20), (0, 0)))
        words = [text[i : i + 3] for i in range(len(text) - 2)]
        known = np.array([vectors[every.index(word)] if word in every else np.zeros(5) for word in words])
        known = np.pad(known, ((20, 22), (0, 0)))
        for place in range(len(text)):
            begin = place - (width - 1) // 2 + 20
            z = (known[begin : begin + width] * w.T).sum() + convolution.bias[one.channel].item()
            mean, var = norm.running_mean[one.channel].item(), norm.running_var[one.channel].item()
            z = (z - mean) / np.sqrt(var + norm.eps) * norm.weight[one.channel].item() + norm.bias[one.channel].item()
            values.append(max(z, 0))
            windows.append(padded[begin : begin + width + 2])
    values = np.array(values)
    limit = values.mean() + 0.65 * (values.max() - values.mean())
    counts = np.array(windows)[values > limit].sum(axis=0) + 1
    assert one.threshold == pytest.approx(limit, abs=1e-9)
    np.testing.assert_allclose(one.motif.probabilities, counts / counts.sum(axis=1, keepdims=True), atol=1e-12)


@pytest.mark.parametrize("reads", [None, KmerEmbedding(3, 6)], ids=["letters", "k-mers"])
@pytest.mark.parametrize("both", [False, True])
def test_deleting_a_filter_is_averaging_what_it_gives(model_of, both, reads):
    model = model_of("motif-cnn", {"n_filters": 5, "width": 6}, both=both, embedding=reads)
    texts, _ = texts_with([WORD, ""])
    y = np.arange(len(texts)) % 2
    filters = filter_motifs(model, texts)
    one = filters[-1]
    head, embedding = model.module_[0].head, model.embed(texts).astype(float)
    without = embedding.copy()
    without[:, one.channel] = embedding[:, one.channel].mean()

    def probabilities(x):
        scores = np.exp(x @ head.weight.detach().numpy().T + head.bias.detach().numpy())
        return scores / scores.sum(axis=1, keepdims=True)

    p, q = probabilities(embedding), probabilities(without)
    codes = target_codes(model, ["bound" if one else "free" for one in y])
    effect = filter_effects(model, filters, texts, codes)[-1]
    assert effect.loss == pytest.approx(log_loss(y, q) - log_loss(y, p), abs=1e-6)
    assert effect.auroc == pytest.approx(roc_auc_score(y, p[:, 1]) - roc_auc_score(y, q[:, 1]), abs=1e-9)
    unlabelled = filter_effects(model, filters, texts)[-1]
    assert unlabelled.loss == pytest.approx(np.abs(p - q).mean(), abs=1e-6)
    assert np.isnan(unlabelled.auroc)
    rows = np.unique(one.sites.rows)
    assert unlabelled.toward == (p - q)[rows].mean(axis=0).argmax()


def test_one_filter_by_places_leaves_the_others_as_they_are(model_of, set_filter):
    options = {"n_filters": 3, "width": 9, "pooling": "positions", "window": 2}
    model = model_of("motif-cnn", options, rule=PaddingRule(41))
    set_filter(model, 0, WORD)
    weight = model.module_[0].head.weight
    weight.data[:, 21:] = 0  # 41 places in twos: the first 21 numbers are those of the first filter
    texts, _ = texts_with([WORD, ""])
    filters = filter_motifs(model, texts)
    effects = filter_effects(model, filters, texts)
    assert effects[0].loss > 1e-4
    assert max(one.loss for one in effects[1:]) == 0


def test_words_are_enriched_over_shuffles_and_the_test_is_fishers(model_of, set_filter):
    model = model_of("motif-cnn", {"n_filters": 2, "width": 9})
    set_filter(model, 0, WORD)
    sequences = encode_sequences(texts_with([WORD, ""])[0])
    filters = filter_motifs(model, sequences)
    found = filter_enrichment(model, filters, sequences, np.random.default_rng(3))
    assert found[0].share == 0.5
    assert found[0].share_in_shuffles < 0.1
    assert found[0].q < 1e-4
    here = rows_with_sites(model, filters, sequences)
    there = rows_with_sites(model, filters, shuffle_dinucleotides(sequences, np.random.default_rng(3)))
    p = [
        fisher_exact([[a.sum(), (~a).sum()], [b.sum(), (~b).sum()]], "greater")[1]
        for a, b in zip(here, there, strict=True)
    ]
    order = np.argsort(p)
    q = np.array(p)[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.minimum.accumulate(q[::-1])[::-1]
    assert [found[i].q for i in order] == pytest.approx(q.tolist())
    assert enrichment(here, there) == found


def test_sites_are_the_same_whatever_the_batch(model_of, monkeypatch):
    from oligolearn.estimators import sequence_networks

    model = model_of("motif-cnn", {"n_filters": 3, "width": 9}, both=True, n_members=2)
    texts, _ = texts_with([WORD, ""])
    whole = filter_motifs(model, texts)
    monkeypatch.setattr(sequence_networks, "_LETTERS_AT_ONCE", 60)
    parts = filter_motifs(model, texts)
    assert [one.motif.name for one in parts] == [one.motif.name for one in whole]
    assert {one.network for one in whole} == {0, 1}
    for one, other in zip(whole, parts, strict=True):
        assert one.sites.starts.tolist() == other.sites.starts.tolist()


def test_what_has_no_filters_or_too_few_sites_is_refused(model_of):
    deep = model_of("residual-cnn", {"n_filters": 4, "dilations": (1,), "bottleneck": 2})
    assert not has_filters(deep)
    with pytest.raises(ValueError, match="first layer of a ResidualCNN has no filters that are motifs"):
        filter_motifs(deep, ["ACGT"])
    shallow = model_of("motif-cnn", {"n_filters": 2, "width": 9})
    assert has_filters(shallow)
    with pytest.raises(ValueError, match="no filter finds as many as 10 windows in 1 sequences"):
        filter_motifs(shallow, ["ACGT"])
    of_kmers = model_of("motif-cnn", {"n_filters": 2, "width": 9}, embedding=KmerEmbedding(5, 4))
    assert has_filters(of_kmers)
    with pytest.raises(ValueError, match="sequence '1' has 4 letters, but the embedding reads k-mers of 5"):
        filter_motifs(of_kmers, ["ACGTACGTACGT", "ACGT"])


@pytest.mark.parametrize("target", [["bound"] * 4, ["a", "b", None, "bound"]])
def test_labels_of_other_classes_are_refused(model_of, target):
    with pytest.raises(ValueError, match="needs at least two of the model's classes, free, bound; found"):
        target_codes(model_of("motif-cnn"), target)


def test_targets_are_standardised_as_the_model_learned_them(model_of):
    model = model_of("motif-cnn", classes=None)
    np.testing.assert_allclose(target_codes(model, ["5", None, "x", "2"]), [1, np.nan, np.nan, 0])
    with pytest.raises(ValueError, match="predicts a number, but the label holds none"):
        target_codes(model, ["a", "b"])


def test_networks_without_filters_are_passed_over(model_of, set_filter):
    model = model_of("motif-cnn", {"n_filters": 3, "width": 9}, rule=PaddingRule(50))
    set_filter(model, 1, WORD)
    texts, _ = texts_with([WORD, ""])
    alone = filter_motifs(model, texts)
    words = model_of("kmer-bag", {"k": 2, "embedding": 4}, rule=PaddingRule(50))
    model.module_ = nn.ModuleList([words.module_[0], model.module_[0]])
    model.recipes_ = [*words.recipes_, *model.recipes_]
    assert not has_filters(model), "so that they are explained by attributions unless filters are asked for"
    found = filter_motifs(model, texts)
    assert [(one.motif.name, one.network) for one in found] == [(f"net2-{one.motif.name}", 1) for one in alone]
    assert filter_effects(model, found, texts)
    assert rows_with_sites(model, found, texts).sum(axis=1).min() > 0
    said = find_motifs(model, texts, by="filters").notes[0]
    assert " of 1 of the 2 networks (the others have none) " in said
