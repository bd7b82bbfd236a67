"""Words of encoded sequences: those that scikit-learn's vectorizer counts, of every alphabet, in little memory."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from oligolearn.data import encode_sequences
from oligolearn.kmers import encoded
from oligolearn.kmers.encoded import count_words, occurring_words

ALPHABETS = {"dna": "ACGT", "rna": "ACGU", "protein": "ACDEFGHIKLMNPQRSTVWY"}


def drawn(name, n=60, unknown=0.0):
    rng = np.random.default_rng(0)
    letters = list(ALPHABETS[name])
    texts = ["".join(rng.choice(letters, rng.integers(1, 90))) for _ in range(n)]
    other = "X" if name == "protein" else "N"
    return ["".join(other if rng.random() < unknown else letter for letter in text) for text in texts]


def expected(texts, k, letters):
    words = ["".join(word) for word in product(letters, repeat=k)]
    counter = CountVectorizer(analyzer="char", ngram_range=(k, k), lowercase=False, vocabulary=words)
    return counter.transform(texts).toarray()


@pytest.mark.parametrize("at_once", [1, 200, 1 << 21])
@pytest.mark.parametrize("unknown", [0.0, 0.1])
@pytest.mark.parametrize(
    ("name", "k"), [("dna", 1), ("dna", 2), ("dna", 6), ("rna", 3), ("protein", 1), ("protein", 3)]
)
def test_counts_are_those_of_the_vectorizer(monkeypatch, name, k, unknown, at_once):
    monkeypatch.setattr(encoded, "_LETTERS_AT_ONCE", at_once)
    texts = drawn(name, unknown=unknown)
    sequences = encode_sequences(texts, alphabet=name)
    counts = count_words(sequences, k)
    assert counts.has_sorted_indices
    assert counts.has_canonical_format
    np.testing.assert_array_equal(counts.toarray(), expected(texts, k, ALPHABETS[name]))
    there = occurring_words(sequences.take(np.arange(20)), k)
    np.testing.assert_array_equal(there, expected(texts[:20], k, ALPHABETS[name]).any(axis=0))
    np.testing.assert_array_equal(count_words(sequences, k, there).toarray(), counts.toarray()[:, there])


def test_a_gap_is_a_letter_of_an_alignment():
    texts = ["AC-GTA", "A--GTA", "ACGGTN"]
    counts = count_words(encode_sequences(texts, alphabet="dna", aligned=True), 2)
    np.testing.assert_array_equal(counts.toarray(), expected(texts, 2, "ACGT-"))


def test_sequences_that_are_all_too_short_have_no_words():
    sequences = encode_sequences(["AC", "A"], alphabet="dna")
    assert count_words(sequences, 3).nnz == 0
    assert count_words(sequences, 3).shape == (2, 64)
    assert not occurring_words(sequences, 3).any()


def test_memory_is_that_of_the_words_that_are_there(monkeypatch):
    monkeypatch.setattr(encoded, "_LETTERS_AT_ONCE", 1 << 14)
    rng = np.random.default_rng(0)
    sequences = encode_sequences(["".join(row) for row in rng.choice(list("ACGT"), (3000, 100))], alphabet="dna")
    count_words(sequences.take(np.arange(10)), 6)  # what is imported is not counted
    tracemalloc.start()
    counts = count_words(sequences, 6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    table = counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes
    assert table <= 3000 * 95 * 8 + 3001 * 8
    assert peak < 2.5 * table
    assert peak < 0.15 * 4 * counts.shape[0] * counts.shape[1], "a dense table is larger"
