"""Shuffles that keep the counts of neighbours."""

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest

from oligolearn.data import encode_sequences, shuffle_dinucleotides


@pytest.mark.parametrize("letters", ["ACGT", "ACGTN", "ACDEFGHIKLMNPQRSTVWY", "AC"])
@pytest.mark.parametrize("length", [3, 20, 101])
def test_every_pair_of_neighbours_occurs_as_often_and_the_order_changes(letters, length):
    rng = np.random.default_rng(length)
    texts = ["".join(rng.choice(list(letters), length)) for _ in range(20)]
    before = encode_sequences(texts, alphabet="protein" if len(letters) > 5 else "dna")
    after = shuffle_dinucleotides(before, rng).texts()
    for old, new in zip(texts, after, strict=True):
        assert Counter(pairwise(old)) == Counter(pairwise(new))
        assert (old[0], old[-1]) == (new[0], new[-1])
    if length == 101:
        assert all(old != new for old, new in zip(texts, after, strict=True))


def test_all_orders_that_keep_the_neighbours_are_equally_likely():
    text = "ACABCADA".replace("B", "G").replace("D", "T")
    wanted = Counter(pairwise(text))
    possible = {
        "".join(order)
        for order in permutations(text)
        if order[0] == text[0] and order[-1] == text[-1] and Counter(pairwise(order)) == wanted
    }
    n = 6000
    shuffled = shuffle_dinucleotides(encode_sequences([text] * n), np.random.default_rng(0)).texts()
    seen = Counter(shuffled)
    assert set(seen) == possible
    expected = n / len(possible)
    chi_squared = sum((count - expected) ** 2 / expected for count in seen.values())
    assert chi_squared < len(possible) - 1 + 5 * np.sqrt(2 * (len(possible) - 1))


def test_the_seed_decides_and_ids_say_what_they_are():
    sequences = encode_sequences(["ACGTACGGACTTAGCA", "GG", "A"], ids=["a", "b", "c"])
    one, two = (shuffle_dinucleotides(sequences, np.random.default_rng(7)) for _ in range(2))
    assert one.texts() == two.texts()
    assert one.ids == ["a-shuffled", "b-shuffled", "c-shuffled"]
    assert one.texts()[1:] == ["GG", "A"]
