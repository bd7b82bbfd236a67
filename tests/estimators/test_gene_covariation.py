"""Whether names mean the same genes: correlations between genes, on both sides."""

import numpy as np
import pytest

from oligolearn.data import read_expression
from oligolearn.estimators import Preparation, co_variation


def cohort(rng, loadings, n=60):
    return rng.normal(size=(n, len(loadings))) @ loadings + rng.normal(size=(n, loadings.shape[1]))


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(4, 80))
    return cohort(rng, loadings), cohort(rng, loadings), rng


def test_agreement_is_the_correlation_of_correlations(sides):
    source, target, _ = sides
    pairs = [(i, j) for i in range(80) for j in range(i)]
    here, there = ([np.corrcoef(x.T)[pair] for pair in pairs] for x in (source, target))
    found = co_variation(source, target)
    assert found.between == pytest.approx(np.corrcoef(here, there)[0, 1])
    assert not found.hopeless


def test_units_do_not_matter_and_shuffled_genes_are_hopeless(sides):
    source, target, rng = sides
    found = co_variation(source, target)
    stretched = target * rng.uniform(0.1, 10, 80) + rng.normal(size=80) * 100
    assert co_variation(source, stretched).between == pytest.approx(found.between)
    wrong = [co_variation(source, target[:, rng.permutation(80)]) for _ in range(10)]
    assert all(one.hopeless for one in wrong)
    assert all(abs(one.between) < 0.2 < found.between for one in wrong)


def test_a_side_without_a_structure_of_its_own_says_nothing(sides):
    source, _, rng = sides
    assert not co_variation(source, rng.normal(size=(60, 80))).hopeless
    assert not co_variation(rng.normal(size=(60, 80)), source).hopeless
    assert co_variation(source, source[:10]) is None
    assert co_variation(source, np.ones((60, 80))) is None


def test_missing_values_are_filled(sides):
    source, target, rng = sides
    holes = np.where(rng.random(target.shape) < 0.1, np.nan, target)
    assert co_variation(source, holes).between == pytest.approx(co_variation(source, target).between, abs=0.1)


def test_breast_cancer_studies_agree_and_shuffled_ones_do_not(shared_data):
    one, other = (
        Preparation().apply(read_expression(shared_data / "expression" / f"breast_er_{name}.h5ad"))
        for name in ("nkis", "vdxs")
    )
    genes = [gene for gene in one.genes if gene in set(other.genes)]
    X, Y = (side.X[:, [side.genes.index(gene) for gene in genes]] for side in (one, other))
    found = co_variation(X, Y)
    assert found.between > 0.8
    wrong = co_variation(X, Y[:, np.random.default_rng(0).permutation(len(genes))])
    assert wrong.hopeless
    assert abs(wrong.between) < 0.05
