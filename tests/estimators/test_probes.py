"""Probes find what labels can find in an embedding, and nothing where there is nothing."""

import numpy as np
import pytest

from oligolearn.estimators import describe_probes, principal_components, probe_embeddings

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
TELLING = (np.eye(3)[Y] * 4 + RNG.normal(size=(90, 3))).astype(np.float32)
NOISE = RNG.normal(size=(90, 8)).astype(np.float32)


def test_a_telling_embedding_beats_noise_which_is_at_chance() -> None:
    found = probe_embeddings({"good": TELLING, "noise": NOISE}, Y)
    assert found["chance"] == pytest.approx(1 / 3)
    for scores in found["balanced_accuracy"].values():
        assert scores["good"]["mean"] > 0.95
        assert scores["noise"]["mean"] == pytest.approx(1 / 3, abs=0.15)


def test_unlabelled_rows_change_nothing() -> None:
    rows = RNG.permutation(120)
    X = np.concatenate([TELLING, 100 * RNG.normal(size=(30, 3)).astype(np.float32)])
    y = np.concatenate([Y, np.full(30, -1)])
    few = probe_embeddings({"x": X}, y)
    assert few == probe_embeddings({"x": TELLING}, Y)
    assert few["n_labelled"] == 90
    assert len(rows) == 120


def test_patients_stay_together() -> None:
    """Two samples of a patient are alike, and the class follows from nothing but the patient."""
    patient = np.repeat(np.arange(45), 2)
    y = RNG.integers(0, 2, 45)[patient]
    X = np.random.default_rng(1).normal(size=(45, 6))[patient] + 0.01 * RNG.normal(size=(90, 6))
    leaking = probe_embeddings({"x": X}, y)["balanced_accuracy"]["nearest neighbours"]["x"]["mean"]
    honest = probe_embeddings({"x": X}, y, groups=patient)["balanced_accuracy"]["nearest neighbours"]["x"]["mean"]
    assert honest < leaking - 0.1
    assert honest == pytest.approx(0.5, abs=0.2)


def test_too_few_labels_are_said() -> None:
    y = np.full(90, -1)
    y[:3] = [0, 0, 1]
    found = probe_embeddings({"x": TELLING}, y)
    assert "two samples" in found["note"]
    assert describe_probes(found, "x", "x") == [f"Probes: {found['note']}."]
    assert "note" in probe_embeddings({"x": TELLING}, np.full(90, -1))


def test_few_labels_of_each_class_are_enough() -> None:
    y = np.full(90, -1)
    y[:6] = [0, 0, 1, 1, 2, 2]
    found = probe_embeddings({"x": TELLING}, y)
    assert found["n_folds"] == 2
    assert 0 <= found["balanced_accuracy"]["linear probe"]["x"]["mean"] <= 1


def test_principal_components_are_those_of_the_rows() -> None:
    X = RNG.normal(size=(30, 100)).astype(np.float32)
    found = principal_components(X)
    assert found.shape == (30, 29)
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)[:29]
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), values, rtol=1e-3)
