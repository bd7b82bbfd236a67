"""Planted motifs are found with their distance; scans, spacings, seqlets and attention agree with own counts."""

import numpy as np
import pytest
import torch

from oligolearn import SequenceClassifier
from oligolearn.data import encode_sequences
from oligolearn.estimators.sequence_embedding import KmerEmbedding
from oligolearn.explain import (
    Motif,
    Sites,
    attention_maps,
    cluster_seqlets,
    find_motifs,
    find_seqlets,
    motif_of,
    motif_table,
    rows_with_hits,
    scan_motif,
    spacings,
    target_codes,
)
from oligolearn.explain.attributions import Attributions
from oligolearn.explain.effects import shuffled_for_comparison
from oligolearn.explain.scanning import without_copies

FIRST, SECOND, GAP, LENGTH = "TGACTCA", "GGAAGTG", 6, 44


def planted(n, rng):
    """Both words in every sequence: 6 letters apart in one class, at any other distance in the other."""
    texts, classes = [], []
    for i in range(n):
        letters = list(rng.choice(list("ACGT"), LENGTH))
        others = [gap for gap in range(1, 25) if abs(gap - GAP) > 1]
        gap = GAP if i % 2 else int(rng.choice(others))
        at = int(rng.integers(0, LENGTH - 14 - gap + 1))
        letters[at : at + 7] = FIRST
        letters[at + 7 + gap : at + 14 + gap] = SECOND
        texts.append("".join(letters))
        classes.append("fixed" if i % 2 else "free")
    return texts, classes


@pytest.mark.slow
def test_two_planted_motifs_are_found_with_the_spacing_that_the_class_depends_on():
    rng = np.random.default_rng(0)
    options = {"n_filters": 32, "width": 7, "dilations": (1, 4), "bottleneck": 24}
    settings = {"n_members": 1, "learning_rate": 3e-3, "dropout": 0.1, "random_state": 0, "device": "cpu"}
    model = SequenceClassifier("residual-cnn", encoder_options=options, **settings).fit(*planted(1000, rng))
    texts, classes = planted(300, rng)
    found = find_motifs(model, texts, method="deeplift", target=target_codes(model, classes))
    assert found.by == "attributions"
    table = motif_table(found, model)
    best = table[table.copy_of == ""]
    assert set(best.consensus) == {FIRST, SECOND}
    assert (best.effect > 0.2).all()
    assert (best.enrichment_q < 1e-6).all()
    pair = found.spacings[0]
    assert abs(pair.distance) == len(FIRST) + GAP
    assert pair.p <= 0.001
    assert pair.p_class < 1e-10
    assert model.classes_[pair.toward] == "fixed"


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["motif-cnn", "kmer-recurrent"])
def test_two_words_are_found_by_a_model_that_reads_kmers(encoder):
    either = "TGACTCA", "CCGTATG"  # no three letters of one are in the other, on either strand
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (1200, 40))]
    places = rng.integers(0, 33, len(texts))
    words = [("", either[0], "", either[1])[i % 4] for i in range(len(texts))]
    texts = [text[:at] + word + text[at + len(word) :] for text, word, at in zip(texts, words, places, strict=True)]
    classes = ["bound" if word else "free" for word in words]
    options = {"n_filters": 24, "width": 7} if encoder == "motif-cnn" else {"n_filters": 12, "width": 6}
    settings = {"n_members": 1, "learning_rate": 3e-3, "dropout": 0.1, "random_state": 0, "device": "cpu"}
    settings |= {"embedding": KmerEmbedding(3, 12), "min_steps": 500}
    model = SequenceClassifier(encoder, encoder_options=options, **settings).fit(texts[:900], classes[:900])
    target = target_codes(model, classes[900:])
    if encoder == "motif-cnn":  # a filter over k-mers may find both words, so that others are its copies
        table = motif_table(find_motifs(model, texts[900:], target=target), model)
        for word in either:
            assert (table.consensus == word).any(), table.consensus
            own = table[table.consensus == word]
            assert (own.toward == "bound").all()
            assert (own.enrichment_q < 1e-6).all()
    table = motif_table(find_motifs(model, texts[900:], by="attributions", target=target), model)
    best = table[table.copy_of == ""]
    assert set(best.consensus) == set(either)
    assert (best.effect > 0.2).all()
    assert (best.toward == "bound").all()
    assert (best.enrichment_q < 1e-6).all()


def test_without_a_distance_of_their_own_pairs_are_not_called_one():
    rng = np.random.default_rng(0)
    n = 150
    box = motif_of("a", "ACGT", np.eye(4)[[0, 1, 2, 3]] * 50)
    sites = [Sites(np.arange(n), rng.integers(0, 80, n), rng.random(n) < 0.5, np.ones(n)) for _ in range(4)]
    p = [one.p for one in spacings([(box._replace(name=str(i)), one) for i, one in enumerate(sites)], rng)]
    assert len(p) == 6
    assert min(p) > 0.01


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_distances_are_read_on_the_strand_of_the_first(share):
    rng = np.random.default_rng(1)
    n = 100
    a = motif_of("a", "ACGT", np.eye(4)[[0, 1, 2, 3]] * 50)
    flat = np.full((2, 4), 10)
    b = motif_of("b", "ACGT", np.vstack([flat, np.eye(4)[[3, 3, 0]] * 50]))  # trimmed to its last three letters
    reverse = rng.random(n) < 0.5
    at = rng.integers(100, 200, n)
    gap = np.where(rng.random(n) < share, 9, rng.integers(10, 60, n))
    # The second begins `gap` letters after the first begins, on the first's strand.
    begins = np.where(reverse, at + 4 - gap - 3, at + gap)
    starts = np.where(reverse, begins, begins - 2)  # the whole window, with its two flat letters
    first = Sites(np.arange(n), at, reverse, np.ones(n))
    second = Sites(np.arange(n), starts, reverse, np.ones(n))
    classes = (gap == 9).astype(float)
    (found,) = spacings([(a, first), (b, second)], rng, None if share == 1 else classes)
    assert found.distance == 9
    assert found.n_sequences == n
    assert found.n_there >= np.sum(gap == 9)
    assert found.p == 0.001
    assert found.toward == (1 if share < 1 else -1)
    assert np.isnan(found.p_class) == (share == 1)


def two_words(first, second, apart, cuts, n=200, length=120):
    """Two words `apart` letters from start to start; the motifs have flat letters before them, so many as `cuts`."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(n):
        text = rng.choice(list("ACGT"), length)
        at = int(rng.integers(0, length - apart - 8))
        text[at : at + 8], text[at + apart : at + apart + 8] = list(first), list(second)
        texts.append("".join(text))
    motifs = []
    for name, word, cut in zip("ab", (first, second), cuts, strict=True):
        counts = np.full((17, 4), 10.0)
        counts[cut : cut + 8] = np.eye(4)[["ACGT".index(letter) for letter in word]] * 40
        motifs.append(motif_of(name, "ACGT", counts))
    return encode_sequences(texts), motifs


@pytest.mark.parametrize("cuts", [(5, 4), (2, 8), (8, 2)])
def test_distances_of_scanned_motifs_are_those_of_what_they_say(cuts):
    sequences, motifs = two_words("CCTTGCGG", "TTGATTCC", 15, cuts)
    placed = [(motif, scan_motif(motif, sequences, both_strands=False)) for motif in motifs]
    (found,) = spacings(placed, np.random.default_rng(0), lengths=sequences.lengths)
    assert found.distance == 15
    assert found.p == 0.001


def test_sequences_of_mixed_lengths_make_no_distance():
    """Short sequences have any two sites near each other."""
    box = motif_of("a", "ACGT", np.eye(4)[[0, 1, 2, 3]] * 50)
    p = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        lengths = rng.choice([40, 60, 1000], 600)
        sites = [Sites(np.arange(600), rng.integers(0, lengths - 4), np.zeros(600, bool), np.ones(600)) for _ in "ab"]
        (found,) = spacings([(box, sites[0]), (box._replace(name="b"), sites[1])], rng, lengths=lengths)
        p.append(found.p)
    assert min(p) > 0.01
    assert np.mean(p) > 0.25


def test_copies_have_letters_in_common_not_windows():
    sequences, (a, b) = two_words("TGACTCAC", "GGAAGTGC", 8, (0, 9))  # side by side, in windows that overlap
    sites = [scan_motif(one, sequences, both_strands=False) for one in (a, b)]
    assert without_copies([(a, sites[0]), (b, sites[1])], sequences) == ["", ""]
    moved = np.roll(a.probabilities, 9, axis=0)  # the same word at the other end of its window
    same = a._replace(name="c", probabilities=moved)
    found = [(a, sites[0]), (same, scan_motif(same, sequences, both_strands=False))]
    assert without_copies(found, sequences) == ["", "a"]


def test_a_strand_that_the_model_does_not_read_is_not_scanned():
    sequences, (a, _) = two_words("TGACTCAC", "GGAAGTGC", 30, (4, 4))
    turned = a.other_strand(sequences.alphabet)
    assert scan_motif(turned, sequences).reverse.all()
    assert not scan_motif(turned, sequences, both_strands=False).reverse.any()
    assert rows_with_hits([turned], sequences, both_strands=False).mean() < 0.2
    assert rows_with_hits([turned], sequences).all()


def test_short_sequences_are_shuffled_letter_by_letter():
    rng = np.random.default_rng(0)
    short = encode_sequences(["".join(rng.choice(list("ACGT"), 8)) for _ in range(300)])
    shuffled, how = shuffled_for_comparison(short, rng)
    texts = list(zip(short.texts(), shuffled.texts(), strict=True))
    assert np.mean([one == other for one, other in texts]) < 0.1
    assert all(sorted(one) == sorted(other) for one, other in texts)
    assert "letters" in how
    long = encode_sequences(["".join(rng.choice(list("ACGT"), 100)) for _ in range(20)])
    assert shuffled_for_comparison(long, rng)[1] == "a dinucleotide shuffle"


def test_sequences_too_short_for_a_window_do_not_lower_the_threshold():
    rng = np.random.default_rng(0)
    scores, codes = rng.random((40, 12)), np.ones((40, 12), np.uint8)
    short = codes.copy()
    short[10:, 5:] = 0
    every, some = (Attributions(scores * (one > 0), None, one, None, 0.0) for one in (codes, short))
    same = Attributions(scores[:10], None, codes[:10], None, 0.0)
    assert find_seqlets(every, some).threshold == find_seqlets(every, same).threshold
    with pytest.raises(ValueError, match="windows of 7 letters are looked for, and no sequence has so many"):
        find_seqlets(every, Attributions(scores[10:], None, short[10:], None, 0.0))


def test_targets_that_are_no_numbers_are_refused():
    model = SequenceClassifier("motif-cnn", n_members=1, epochs=1, min_steps=1, random_state=0)
    texts = ["ACGTTGCATTGACCATGTCA", "GGTTACGTTGCATTGACCAT"] * 10
    model.fit(texts, ["a", "b"] * 10)
    with pytest.raises(ValueError, match="target holds no numbers; give what target_codes makes of the labels"):
        find_motifs(model, texts, target=np.array(["a", "b"] * 10))
    with pytest.raises(ValueError, match="give one for each"):
        find_motifs(model, texts, target=np.zeros(3))


def test_two_versions_of_one_motif_are_no_pair():
    n = 100
    box = motif_of("a", "ACGT", np.eye(4)[[0, 1, 2, 3]] * 50)
    at = np.random.default_rng(0).integers(0, 80, n)
    one = Sites(np.arange(n), at, np.zeros(n, dtype=bool), np.ones(n))
    assert spacings([(box, one), (box, one._replace(starts=at + 2))], np.random.default_rng(0)) == []


def test_a_scan_is_the_log_odds_of_every_window():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), n)) for n in (300, 3, 5, 250)]
    sequences = encode_sequences(texts)
    motif = Motif("m", "ACGT", rng.dirichlet(np.full(4, 0.4), 5), 20).trimmed()
    width = len(motif.probabilities)
    odds = np.log2(np.clip(motif.probabilities, 1e-3, None) * 4)
    limit = 0.7 * odds.max(axis=1).sum()
    expected = set()
    for row, text in enumerate(texts):
        for strand in (False, True):
            read = text[::-1].translate(str.maketrans("ACGT", "TGCA")) if strand else text
            for i in range(len(read) - width + 1):
                score = sum(odds[k, "ACGT".index(letter)] for k, letter in enumerate(read[i : i + width]))
                if score >= limit:
                    expected.add((row, len(text) - width - i if strand else i, strand))
    sites = scan_motif(motif, sequences)
    assert set(zip(sites.rows.tolist(), sites.starts.tolist(), sites.reverse.tolist(), strict=True)) == expected
    assert expected


def test_seqlets_on_both_strands_gather_to_the_motifs_they_are_of():
    rng = np.random.default_rng(0)
    n, width = 120, 50
    codes = rng.integers(1, 5, (n, width)).astype(np.uint8)
    scores = rng.normal(0, 0.02, (n, width))
    words = ["TGACGCA", "CCATTTG"]
    places = rng.integers(12, width - 20, n)
    for row, at in enumerate(places):
        word = words[row % 2]
        if row % 4 >= 2:
            word = word[::-1].translate(str.maketrans("ACGT", "TGCA"))
        codes[row, at : at + 7] = [1 + "ACGT".index(letter) for letter in word]
        scores[row, at : at + 7] += 1
    noise = rng.normal(0, 0.02, (n, width))
    some = Attributions(scores, np.zeros((n, width, 4)), codes, np.zeros(n), 0.0)
    seqlets = find_seqlets(some, some._replace(scores=noise))
    assert np.array_equal(seqlets.sites.rows[:n][np.argsort(seqlets.sites.rows[:n])], np.arange(n))
    clusters = cluster_seqlets(seqlets, encode_sequences(["ACGT"]).alphabet)
    turned = [one[::-1].translate(str.maketrans("ACGT", "TGCA")) for one in words]
    for i, cluster in enumerate(clusters[:2]):
        assert cluster.motif.trimmed().consensus in {*words, *turned}
        assert cluster.motif.name == f"motif{i + 1}"
        strands = {bool(strand) for row, strand in zip(cluster.sites.rows, cluster.sites.reverse, strict=True)}
        assert strands == {False, True}
        shift = np.flatnonzero(cluster.motif.information > 1)[0]
        rows = cluster.sites.rows
        begins = np.where(cluster.sites.reverse, cluster.sites.starts + 17 - shift - 7, cluster.sites.starts + shift)
        assert np.mean(begins == places[rows]) > 0.95
    with pytest.raises(ValueError, match="no window of 7 letters is attributed more"):
        find_seqlets(some._replace(scores=noise * 0.1), some)


@pytest.mark.parametrize("embedding", [None, KmerEmbedding(3, 4)], ids=["letters", "k-mers"])
@pytest.mark.parametrize("both", [False, True])
def test_attention_is_what_the_layer_applies(model_of, both, embedding):
    options = {"n_channels": 8, "n_heads": 2, "n_layers": 2, "width": 3}
    model = model_of("transformer", options, both=both, embedding=embedding)
    texts = ["ACGTTGCAAC", "GGATTT"]
    maps = attention_maps(model, texts, row=0, reach=9)
    assert maps.example.shape == (2, 2, 10, 10)
    np.testing.assert_allclose(maps.example.sum(axis=3), 1, atol=1e-12)
    encoder = model.module_[0].encoder.double()
    encoder = encoder.encoder if both else encoder
    layer = encoder.blocks[1]
    with torch.no_grad():
        track = encoder.blocks[0](torch.from_numpy(encode_sequences(texts[:1]).padded()))
        x = track.values.transpose(1, 2)
        values = layer.queries_keys_values(layer.before_attention(x)).view(1, 10, 3, 2, 4)[0, :, 2]
        seen = torch.einsum("hij,jhd->ihd", torch.from_numpy(maps.example[0]), values).reshape(1, 10, 8)
        after = x + layer.mixed(seen)
        after = after + layer.network(after)
        np.testing.assert_allclose(after, layer(track).values.transpose(1, 2), atol=1e-10)
    one = attention_maps(model, texts[:1], reach=9)
    assert one.by_distance[1, 0, 9 + 3] == pytest.approx(np.diagonal(maps.example[1, 0], 3).mean())
    other = attention_maps(model, texts[1:], reach=9)
    weights = (10 - 2, 6 - 2)
    expected = (one.by_distance[..., 7] * weights[0] + other.by_distance[..., 7] * weights[1]) / sum(weights)
    np.testing.assert_allclose(maps.by_distance[..., 7], expected, atol=1e-12)
    with pytest.raises(ValueError, match="row must lie between 0 and 1, found 2"):
        attention_maps(model, texts, row=2)
    with pytest.raises(ValueError, match="only a model with the encoder 'transformer'"):
        attention_maps(model_of("motif-cnn"), texts)
