"""The mix of classes of a target without labels: against the paper's inverse, and on simulated shifts."""

import numpy as np
import pytest
from scipy.optimize import minimize

from oligolearn.data import read_expression
from oligolearn.estimators import Preparation, estimate_class_mix
from oligolearn.estimators.class_mix import ClassMix, describe_mix, solve_class_mix, total_variation
from oligolearn.estimators.labels import encode_labels
from oligolearn.estimators.transfer_safety import study_shift


def test_shares_are_the_papers_inverse_where_it_has_no_negative_ones():
    confusion = np.array([[40.0, 6, 1], [8, 50, 3], [2, 4, 30]])
    named = np.array([30, 60, 45])
    mix = solve_class_mix(confusion, np.repeat(np.eye(3), named, axis=0), np.random.default_rng(0))
    w = np.linalg.solve(confusion / confusion.sum(), named / named.sum())  # C of the paper: joint, not conditional
    assert isinstance(mix, ClassMix)
    assert mix.weights == pytest.approx(w)
    assert mix.target.sum() == pytest.approx(1)


def test_shares_are_constrained_least_squares_where_the_inverse_has_negative_ones():
    confusion, named = np.array([[40.0, 10, 2], [8, 35, 8], [2, 5, 40]]), np.array([99, 1, 0])
    given = confusion / confusion.sum(axis=0)
    assert np.linalg.solve(given, named / 100).min() < 0
    mix = solve_class_mix(confusion, np.repeat(np.eye(3), named, axis=0), np.random.default_rng(0))
    best = minimize(
        lambda q: np.square(given @ q - named / 100).sum(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
    )
    assert mix.target == pytest.approx(best.x, abs=1e-3)
    assert mix.target.min() == 0


def draw(rng, n, shares):
    """Rows of three classes that overlap in 15 genes."""
    y = rng.choice(3, size=n, p=shares)
    return rng.normal(size=(n, 15)) + 0.9 * np.eye(3)[y] @ np.kron(np.eye(3), np.ones(5)), y


def test_a_simulated_shift_is_found_within_its_interval():
    """Of 95 % intervals nine in ten hold the truth: those of 20 estimates, for each of three classes."""
    shares = np.array([0.1, 0.2, 0.7])
    held, far = np.zeros(3), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = draw(rng, 150, [0.5, 0.3, 0.2])
        target, truth = draw(rng, 200, shares)
        mix = estimate_class_mix(X, y, target, strength=0.1, seed=seed)
        held += (mix.low <= shares) & (shares <= mix.high)
        far.append(total_variation(mix.target, np.bincount(truth, minlength=3) / 200))
        assert mix.differs
    assert held.sum() >= 52
    assert np.mean(far) < 0.1


def test_no_shift_is_seldom_found_where_there_is_none():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = draw(rng, 150, [0.5, 0.3, 0.2])
        mix = estimate_class_mix(X, y, draw(rng, 200, [0.5, 0.3, 0.2])[0], strength=0.1)
        found.append(mix.differs)
    assert np.mean(found) <= 0.2


def test_what_cannot_be_estimated_is_said():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 5)), np.tile([0, 1], 50)
    assert "confused too often" in estimate_class_mix(X, y, X)
    assert "fewer than 5 samples" in estimate_class_mix(X[:12], np.repeat([0, 1], [9, 3]), X)
    assert "fewer than 5 samples" in estimate_class_mix(X, y, X[:4])
    assert describe_mix("too few", ["a"]) == {"not_estimated": "too few"}


@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_reproducible_and_permuting_genes_or_classes_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    X, y = draw(rng, 100, [0.4, 0.3, 0.3])
    target, _ = draw(rng, 80, [0.2, 0.2, 0.6])
    one, again = (estimate_class_mix(X, y, target, strength=0.1, seed=3) for _ in range(2))
    assert np.array_equal(one.draws, again.draws)
    genes = rng.permutation(15)
    other = estimate_class_mix(X[:, genes], y, target[:, genes], strength=0.1, seed=3)
    assert other.target == pytest.approx(one.target, abs=1e-6)


@pytest.mark.parametrize("turn", [False, True])
def test_the_mix_of_organs_of_another_consortium_is_found(shared_data, turn):
    """Normal bladder, kidney and uterus of TCGA and GTEx: the mixes differ, and raw transfer works."""
    adata = read_expression(shared_data / "expression" / "rnaseqdb_counts.h5ad")
    kept = (adata.obs["status"] == "normal") & adata.obs["organ"].isin(["bladder", "kidney", "uterus"])
    adata = adata[kept.to_numpy()].copy()
    X = Preparation().apply(adata).X[:, ::40]
    _, codes = encode_labels(adata.obs["organ"].astype(str).to_numpy())
    is_target = (adata.obs["source"] == "GTEx").to_numpy() != turn
    study = study_shift(X, np.where(is_target, -1, codes), np.where(is_target, -1, 0))
    truth = np.bincount(codes[is_target]) / is_target.sum()
    assert study.how == "together"
    assert study.mix.differs
    assert ((study.mix.low <= truth) & (truth <= study.mix.high)).all()
    assert total_variation(study.mix.source, truth) > 0.5
