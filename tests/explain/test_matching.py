"""A part of a known motif is matched to it, at its place and strand; q is over all pairs."""

import numpy as np
import pytest
import torch

from oligolearn.data.alphabets import DNA
from oligolearn.explain import Motif, match_motifs, motif_of, similarities


@pytest.fixture(scope="module")
def database():
    rng = np.random.default_rng(0)
    return [Motif(f"M{i}", "ACGT", rng.dirichlet(np.full(4, 0.2), 8 + i % 6), 50) for i in range(40)]


def test_a_part_is_found_at_its_place_on_its_strand(database):
    target = database[11]
    width = len(target.probabilities)
    flat = np.full((3, 4), 0.25)
    part = target._replace(probabilities=target.probabilities[2:9])
    turned = part.other_strand(DNA)
    flanked = target._replace(probabilities=np.vstack([flat, target.probabilities, flat]))
    found = match_motifs([part, turned, flanked, Motif("flat", "ACGT", flat, 10)], database)
    assert [one.target.name for one in found[:3]] == ["M11"] * 3
    assert found[3] is None, "a motif that says nothing is like nothing"
    assert [(one.offset, one.strand, one.overlap) for one in found[:2]] == [(2, "+", 7), (width - 9, "-", 7)]
    assert found[2].overlap == len(flanked.trimmed().probabilities), "flanks are trimmed before the comparison"
    assert max(one.q for one in found[:3]) < 1e-3


def test_q_is_benjamini_and_hochbergs_over_the_targets_of_a_motif(database):
    rng = np.random.default_rng(1)
    motifs = [motif_of(f"f{i}", "ACGT", rng.multinomial(30, [0.7, 0.1, 0.1, 0.1], 8)) for i in range(5)]
    alike = similarities(motifs, database)
    for p, q in zip(alike.p, alike.q, strict=True):
        expected = [min(p[p >= one] * p.size / [np.sum(p <= other) for other in p[p >= one]]) for one in p]
        np.testing.assert_allclose(q, np.minimum(expected, 1), rtol=1e-12)
    matches = match_motifs(motifs, database)
    assert [one.p for one in matches] == alike.p.min(axis=1).tolist()
    assert [one.q for one in matches] == pytest.approx([q[p.argmin()] for p, q in zip(alike.p, alike.q, strict=True)])


def test_proteins_and_rna_are_compared_on_one_strand():
    rng = np.random.default_rng(0)
    for letters in ("ACGU", "ACDEFGHIKLMNPQRSTVWY"):
        some = [Motif(f"M{i}", letters, rng.dirichlet(np.full(len(letters), 0.05), 8), 50) for i in range(30)]
        found = match_motifs([some[3]._replace(probabilities=some[3].probabilities[1:7])], some)[0]
        assert (found.target.name, found.offset, found.strand) == ("M3", 1, "+")


def test_another_alphabet_is_refused(database):
    with pytest.raises(ValueError, match="the motifs are over ACGU, those of the database over ACGT"):
        match_motifs([database[0]._replace(letters="ACGU")], database)


def test_torch_keeps_its_threads(database):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        similarities(database[:2], database)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
