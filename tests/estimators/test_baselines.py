"""Logistic regression in the samples' subspace is logistic regression."""

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from oligolearn.estimators import SubspaceLogisticRegression

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def wide(n: int = 45, p: int = 400, n_classes: int = 3, seed: int = 0) -> tuple[Floats, Ints]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % n_classes)
    X = rng.normal(size=(n, p)) + 1.0
    X[:, :20] += 0.6 * rng.normal(size=(n_classes, min(p, 20)))[y]
    return X, y


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [1e-4, 1e-3, 1e-2, 1e-1])
def test_equals_scikit_learns_on_many_more_genes_than_samples(n_classes: int, C: float) -> None:
    X, y = wide(n_classes=n_classes)
    found = SubspaceLogisticRegression(Cs=(C,)).fit(X, y)
    expected = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
    assert C == found.C_
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-3)
    new, _ = wide(seed=1, n_classes=n_classes)
    np.testing.assert_allclose(found.predict_proba(new), expected.predict_proba(new), atol=1e-4)
    decided = np.diff(np.sort(expected.predict_proba(new))[:, -2:]).ravel() > 1e-3
    assert np.array_equal(found.predict(new)[decided], expected.predict(new)[decided])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_takes_the_steps_that_scikit_learn_takes(n_classes: int, C: float) -> None:
    """Where weak penalties let the solver stop early, the two stop at the same point if told to."""
    X, y = wide(n_classes=n_classes)
    found = SubspaceLogisticRegression(Cs=(C,), max_iter=15).fit(X, y)
    assert found.n_iter_ == 15
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = LogisticRegression(C=C, max_iter=15).fit(X, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-4)
    new, _ = wide(seed=1, n_classes=n_classes)
    np.testing.assert_allclose(found.predict_proba(new), expected.predict_proba(new), atol=1e-4)


def test_with_fewer_genes_than_samples_nothing_is_rotated() -> None:
    X, y = wide(p=5)
    found = SubspaceLogisticRegression(Cs=(0.5,)).fit(X, y)
    np.testing.assert_array_equal(found.coef_, LogisticRegression(C=0.5, tol=1e-6, max_iter=1000).fit(X, y).coef_)


@pytest.mark.parametrize("p", [5, 400])
def test_a_sparse_matrix_gives_what_a_dense_one_gives(p: int) -> None:
    X, y = wide(p=p, n_classes=3)
    X[np.abs(X) < 1] = 0
    dense, sparse = (SubspaceLogisticRegression().fit(one, y) for one in (X, csr_matrix(X)))
    assert sparse.C_ == dense.C_
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-5)
    new, _ = wide(seed=1, p=p)
    np.testing.assert_allclose(sparse.predict_proba(csr_matrix(new)), dense.predict_proba(new), atol=1e-5)


def test_coefficients_lie_in_the_span_of_the_samples() -> None:
    X, y = wide()
    coef = SubspaceLogisticRegression(Cs=(1.0,)).fit(X, y).coef_
    inside = coef @ np.linalg.pinv(X) @ X
    np.testing.assert_allclose(inside, coef, atol=1e-10)


def test_probabilities_are_those_of_the_scores() -> None:
    for n_classes in (2, 3):
        X, y = wide(n_classes=n_classes)
        model = SubspaceLogisticRegression(Cs=(0.1,)).fit(X, y)
        probabilities, scores = model.predict_proba(X), model.decision_function(X)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        if n_classes == 2:
            assert scores.shape == (45,)
            np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-scores)))
        else:
            np.testing.assert_allclose(np.log(probabilities[:, 1] / probabilities[:, 0]), scores[:, 1] - scores[:, 0])


def test_huge_scores_do_not_overflow() -> None:
    X, y = wide()
    model = SubspaceLogisticRegression(Cs=(1.0,)).fit(X, y)
    probabilities = model.predict_proba(1e6 * X)
    assert np.isfinite(probabilities).all()


def test_the_strength_is_chosen_by_cross_validation_on_the_given_rows() -> None:
    X, y = wide(n=60)
    strengths = (1e-4, 1e-2, 1.0)
    found = SubspaceLogisticRegression(strengths, cv=3, random_state=4).fit(X, y)
    folds = StratifiedKFold(3, shuffle=True, random_state=4)
    scores = [
        cross_val_score(LogisticRegression(C=C, max_iter=5000), X, y, cv=folds, scoring="neg_log_loss").mean()
        for C in strengths
    ]
    assert strengths[int(np.argmax(scores))] == found.C_


def test_strengths_of_equal_accuracy_are_told_apart() -> None:
    """Classes far from each other: any strength is right every time, the strong ones are needlessly unsure."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 60)) + 20.0 * (2 * y - 1)[:, None]
    assert SubspaceLogisticRegression((1e-8, 1e-7, 1e-1)).fit(X, y).C_ == 1e-1


def test_noise_gets_a_strong_penalty() -> None:
    rng = np.random.default_rng(0)
    assert SubspaceLogisticRegression().fit(rng.normal(size=(60, 200)), np.arange(60) % 3).C_ <= 1e-3


def test_a_class_with_a_single_label_does_not_decide_the_strength() -> None:
    X, y = wide(n=40, n_classes=2)
    X, y = np.vstack([X, 50 * np.ones((1, X.shape[1]))]), np.append(y, 2)
    assert SubspaceLogisticRegression((1e-4, 1e-2, 1.0)).fit(X, y).C_ in (1e-4, 1e-2, 1.0)
    assert SubspaceLogisticRegression().fit(X, y).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(25))
def test_any_handful_of_labels_can_be_fitted_in_silence(seed: int) -> None:
    """One label per class and a few more: what a study at 1 % asks for. Warnings are errors here."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 6))
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, size=rng.integers(0, 6))])
    X = rng.normal(size=(len(y), 50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SubspaceLogisticRegression(random_state=seed).fit(X, y)
    assert model.classes_.tolist() == list(range(n_classes))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_the_same_seed_gives_the_same_model() -> None:
    X, y = wide()
    first, again = (SubspaceLogisticRegression(random_state=3).fit(X, y) for _ in range(2))
    assert np.array_equal(first.coef_, again.coef_)


def test_one_class_is_refused() -> None:
    X, _ = wide()
    with pytest.raises(ValueError, match="one class only, 0"):
        SubspaceLogisticRegression().fit(X, np.zeros(45, dtype=int))


def test_the_strongest_regularisation_that_is_as_good_has_small_weights_and_names_the_same_classes() -> None:
    """Classes far apart: the likelihood is best without any regularisation, the strongest one is as accurate."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    X = rng.normal(size=(80, 30)) + 2.0 * y[:, None]
    best, strongest = (SubspaceLogisticRegression(strongest=strongest).fit(X, y) for strongest in (False, True))
    assert strongest.C_ < best.C_
    assert np.abs(strongest.coef_).sum() < np.abs(best.coef_).sum() / 1.2
    assert (strongest.predict(X) == y).all()
    assert (best.predict(X) == y).all()


def test_classes_that_count_alike_are_all_found() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [190, 10])
    X = rng.normal(size=(200, 5)) + 1.0 * y[:, None]
    found = [
        (SubspaceLogisticRegression(class_weight=weight).fit(X, y).predict(X) == 1).sum()
        for weight in (None, "balanced")
    ]
    assert found[0] < 12 < found[1]
