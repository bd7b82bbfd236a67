"""Groups that a split must not part."""

import shutil

import numpy as np
import pytest

from oligolearn.data import cluster_sequences, encode_sequences, leak_free_groups, split_rows

TOOLS = ["kmers", pytest.param("mmseqs", marks=pytest.mark.skipif(not shutil.which("mmseqs"), reason="no MMseqs2"))]


def draw(rng: np.random.Generator, length: int, letters: str = "ACGT") -> str:
    return "".join(rng.choice(list(letters), length))


def mutate(rng: np.random.Generator, text: str, share: float, letters: str = "ACGT") -> str:
    changed = rng.uniform(size=len(text)) < share
    return "".join(
        rng.choice([x for x in letters if x != old]) if c else old for old, c in zip(text, changed, strict=True)
    )


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("letters", ["ACGT", "ACDEFGHIKLMNPQRSTVWY"])
def test_families_of_mutants_are_found_and_others_stay_apart(tool, letters):
    rng = np.random.default_rng(0)
    parents = [draw(rng, 300, letters) for _ in range(12)]
    texts = [mutate(rng, parent, 0.05, letters) for parent in parents for _ in range(4)]
    clusters = cluster_sequences(encode_sequences(texts), identity=0.8, tool=tool)
    assert clusters.tolist() == np.repeat(np.arange(12), 4).tolist()


@pytest.mark.parametrize(
    ("letters", "length", "alike", "identity"),
    [
        ("ACGT", 20, 0.95, 0.9),
        ("ACGT", 30, 0.8, 0.7),
        ("ACGT", 101, 0.8, 0.8),
        ("ACDEFGHIKLMNPQRSTVWY", 9, 8 / 9, 0.8),
        ("ACDEFGHIKLMNPQRSTVWY", 30, 0.5, 0.4),
    ],
)
def test_short_sequences_that_are_just_alike_enough_are_found(letters, length, alike, identity):
    rng = np.random.default_rng(0)
    texts = [draw(rng, length, letters) for _ in range(100)]
    for text in texts[:100]:
        changed = set(rng.choice(length, round((1 - alike) * length), replace=False))
        texts.append(
            "".join(rng.choice([x for x in letters if x != old]) if i in changed else old for i, old in enumerate(text))
        )
    alphabet = "dna" if letters == "ACGT" else "protein"
    clusters = cluster_sequences(encode_sequences(texts, alphabet=alphabet), identity=identity, tool="kmers")
    assert np.mean(clusters[:100] == clusters[100:]) > 0.97
    assert len(np.unique(clusters)) > 97, "unrelated ones stay apart"


@pytest.mark.parametrize(
    ("letters", "n", "length", "identity"),
    [("ACDEFGHIKLMNPQRSTVWY", 300, 150, 0.3), ("ACGT", 200, 200, 0.6), ("ACGT", 12, 100_000, 0.7)],
)
def test_unrelated_sequences_stay_apart_at_low_identities(letters, n, length, identity):
    rng = np.random.default_rng(0)
    texts = [draw(rng, length, letters) for _ in range(n)]
    alphabet = "dna" if letters == "ACGT" else "protein"
    clusters = cluster_sequences(encode_sequences(texts, alphabet=alphabet), identity=identity, tool="kmers")
    assert len(np.unique(clusters)) == n


def test_pairs_that_words_may_miss_are_told_of_and_a_hopeless_identity_is_refused():
    rng = np.random.default_rng(0)
    sequences = encode_sequences([draw(rng, 60) for _ in range(50)])
    assert not any("no word in common" in note for note in leak_free_groups(sequences, identity=0.9, tool="kmers")[1])
    many = encode_sequences([draw(rng, 20) for _ in range(20_000)])
    with pytest.raises(ValueError, match=r"alike to 0.4: \d+% of the pairs would be missed"):
        cluster_sequences(many, identity=0.4, tool="kmers")


def test_overlapping_windows_and_both_strands_are_one_cluster():
    rng = np.random.default_rng(1)
    genome = draw(rng, 400)
    turned = genome[60:160][::-1].translate(str.maketrans("ACGT", "TGCA"))
    texts = [genome[:100], genome[40:140], turned, genome[200:300], draw(rng, 100)]
    assert cluster_sequences(encode_sequences(texts), tool="kmers").tolist() == [0, 0, 0, 1, 2]


def test_a_sample_of_the_words_of_long_sequences_finds_the_same():
    rng = np.random.default_rng(2)
    long = draw(rng, 20_000)
    texts = [long, mutate(rng, long, 0.03), long[9_000:11_500], draw(rng, 20_000)]
    assert cluster_sequences(encode_sequences(texts), identity=0.9, tool="kmers").tolist() == [0, 0, 0, 1]


def test_words_with_ambiguous_letters_link_nothing():
    rng = np.random.default_rng(3)
    texts = [draw(rng, 60) + "N" * 60, "N" * 60 + draw(rng, 60), "N" * 30, "ACG", "ACG", "TTG"]
    assert cluster_sequences(encode_sequences(texts), tool="kmers").tolist() == [0, 1, 2, 3, 3, 4]


def test_copies_columns_and_clusters_are_joined_over_each_other():
    texts = ["ACGTTGCA" * 5, "GGGTACCA" * 5, "TTGACGCA" * 5, "ggGTACCA" * 5]
    sequences = encode_sequences(texts)
    sequences.obs["chromosome"] = ["chr1", "chr1", "chr2", None]
    assert leak_free_groups(sequences)[0].tolist() == [0, 1, 2, 1]
    groups, notes = leak_free_groups(sequences, column="chromosome")
    assert groups.tolist() == [0, 0, 1, 0], "the copy of a chr1 sequence goes with chr1"
    assert notes == [
        "1 of 4 sequences are copies of others; they stay together.",
        "2 values of 'chromosome' stay together.",
    ]


def test_no_cluster_and_no_copy_is_on_two_sides_of_a_split():
    rng = np.random.default_rng(4)
    texts = [mutate(rng, parent, 0.02) for parent in (draw(rng, 80) for _ in range(60)) for _ in range(3)]
    texts += texts[:20]
    groups, _ = leak_free_groups(encode_sequences(texts), identity=0.8, tool="kmers")
    split = split_rows(np.arange(len(texts)) % 2, groups=groups, rng=rng)
    sides = [split.train, split.validation, split.test]
    for i, one in enumerate(sides):
        for other in sides[i + 1 :]:
            assert not {texts[row] for row in one} & {texts[row] for row in other}
            assert not set(groups[one]) & set(groups[other])


def test_settings_out_of_range_are_refused(monkeypatch):
    sequences = encode_sequences(["ACGTACGTACGT", "ACGTAAACGTTT"])
    with pytest.raises(ValueError, match="identity must lie above 0 and up to 1, found 80"):
        cluster_sequences(sequences, identity=80)
    with pytest.raises(ValueError, match="unknown tool 'cd-hit'"):
        cluster_sequences(sequences, tool="cd-hit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="no `mmseqs` is on the path"):
        cluster_sequences(sequences, tool="mmseqs")
    assert cluster_sequences(sequences).tolist() == cluster_sequences(sequences, tool="kmers").tolist()


def test_gaps_of_an_alignment_link_nothing():
    rng = np.random.default_rng(4)
    letters = "ACDEFGHIKLMNPQRSTVWY"
    texts = ["".join("-" if i % 7 < 5 else x for i, x in enumerate(draw(rng, 140, letters))) for _ in range(6)]
    assert cluster_sequences(encode_sequences(texts), identity=0.4, tool="kmers").tolist() == list(range(6))
    shifted = encode_sequences(["MKVLLW--", "--MKVLLW", "MKVL-EE-"])
    assert leak_free_groups(shifted)[0].tolist() == [0, 0, 1]


def test_what_takes_too_much_memory_is_refused(monkeypatch):
    rng = np.random.default_rng(0)
    sequences = encode_sequences([draw(rng, 60) for _ in range(50)])
    monkeypatch.setattr("oligolearn.data.sequence_stretches.memory_of_machine", lambda: 1_000_000)
    with pytest.raises(ValueError, match="to compare 50 sequences letter by letter takes some 0 GiB; install MMseqs2"):
        cluster_sequences(sequences, identity=0.8, tool="kmers")
