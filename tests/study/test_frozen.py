"""Encoders that stay as pretraining left them, under a logistic regression."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from oligolearn.estimators import SelfSupervisedEncoder
from oligolearn.pretext import OBJECTIVES
from oligolearn.study import METHODS
from oligolearn.study.task import Task


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = (rng.normal(size=(120, 25)) + 1.5 * rng.normal(size=(3, 25))[y]).astype(np.float32)
    rows, shown = np.arange(90), np.arange(30)
    encoder = SelfSupervisedEncoder("simclr", encoder_options={"hidden": (16, 8)}, random_state=0, device="cpu")
    return Task(X, rows, None, shown, y[shown], 0, {}, encoder.fit(X[rows]))


@pytest.mark.parametrize("after", ["frozen", "whitened"])
def test_the_encoder_stays_as_it_is_and_only_its_embedding_is_seen(task: Task, after: str) -> None:
    before = {name: value.clone() for name, value in task.pretrained.encoder_.state_dict().items()}
    model = METHODS[f"simclr+{after}"].fit([task])[0].model
    for name, value in task.pretrained.encoder_.state_dict().items():
        assert (value == before[name]).all()
    embedding = task.pretrained.transform(task.X)
    scaled = model[1].transform(embedding)[task.rows]
    covariance = np.cov(scaled.T, bias=True)
    np.testing.assert_allclose(np.diag(covariance), 1, rtol=0.03)
    if after == "whitened":
        np.testing.assert_allclose(covariance, np.eye(len(covariance)), atol=0.03)
    expected = LogisticRegression(C=model[2].C_, tol=1e-8, max_iter=5000).fit(scaled[task.shown], task.labels)
    found = model.predict_proba(task.X[90:])
    np.testing.assert_allclose(found, expected.predict_proba(model[1].transform(embedding)[90:]), atol=5e-3)
    assert (found.argmax(axis=1) == np.arange(90, 120) % 3).mean() > 0.6


def test_labels_that_are_not_shown_change_nothing(task: Task) -> None:
    one, other = (
        METHODS["simclr+frozen"].fit([task._replace(X=np.where(np.arange(120)[:, None] < 90, task.X, value))])[0].model
        for value in (0.0, 9.0)
    )
    np.testing.assert_array_equal(one.predict_proba(task.X), other.predict_proba(task.X))


def test_every_objective_has_them_under_titles_of_their_own() -> None:
    names = [f"{objective}+{after}" for objective in OBJECTIVES for after in ("frozen", "whitened")]
    assert all(METHODS[name].objective == name.split("+")[0] for name in names)
    assert len({METHODS[name].title for name in names}) == len(names)
