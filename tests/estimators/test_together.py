"""Estimators fitted together against the same ones fitted alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oligolearn import FineTunedClassifier, SelfSupervisedEncoder
from oligolearn.estimators.together import Share, fit_together
from oligolearn.pretext import OBJECTIVES
from oligolearn.training import DivergedError

SMALL = {"hidden": (16, 8)}
RNG = np.random.default_rng(0)
N, N_GENES = 120, 30
X = (RNG.normal(size=(N, 4)) @ RNG.normal(size=(4, N_GENES)) + 5).astype(np.float32)
X[3, 4] = np.nan
X[:, 7] = 2.0  # constant
Y = (X[:, 0] > 5).astype(float)


def share(seed: int, *, n_labels: int | None = 40, n_genes: int | None = None) -> Share:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(N)[:100])
    y = None
    if n_labels is not None:
        y = np.full(100, np.nan)
        shown = rng.permutation(100)[:n_labels]
        y[shown] = Y[rows[shown]]
    genes = None if n_genes is None else np.sort(rng.permutation(N_GENES)[:n_genes])
    return Share(rows, y, genes)


def seen(part: Share) -> NDArray[np.float32]:
    return X[part.rows] if part.genes is None else X[np.ix_(part.rows, part.genes)]


def classifier(seed: int, **options: Any) -> FineTunedClassifier:
    chosen = {"encoder_options": SMALL, "epochs": 5, "min_steps": 30, "dropout": 0.2, "precision": "32", **options}
    return FineTunedClassifier(random_state=seed, device="cpu", **chosen)


def encoder(seed: int, **options: Any) -> SelfSupervisedEncoder:
    chosen = {"encoder_options": SMALL, "epochs": 5, "min_steps": 30, "precision": "32", **options}
    return SelfSupervisedEncoder(random_state=seed, device="cpu", view_options={"share": 0.3}, **chosen)


@pytest.mark.parametrize("n_genes", [None, 12])
def test_classifiers_predict_as_those_fitted_alone(n_genes: int | None) -> None:
    shares = [share(i, n_genes=n_genes) for i in range(4)]
    found = fit_together([classifier(i) for i in range(4)], X, shares)
    assert found.how == ["stacked"] * 4
    for i, (model, part) in enumerate(zip(found.models, shares, strict=True)):
        assert isinstance(model, FineTunedClassifier)
        alone = classifier(i).fit(seen(part), part.y)
        np.testing.assert_allclose(model.predict_proba(seen(part)), alone.predict_proba(seen(part)), atol=1e-3)
        assert model.history_.losses == pytest.approx(alone.history_.losses, abs=1e-3)
        assert model.training_["epochs"] == alone.training_["epochs"]


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")
def test_encoders_embed_as_those_fitted_alone_and_carry_on_to_classifiers() -> None:
    shares = [share(i, n_labels=None) for i in range(3)]
    found = fit_together([encoder(i) for i in range(3)], X, shares)
    assert found.how == ["stacked"] * 3
    for i, (model, part) in enumerate(zip(found.models, shares, strict=True)):
        assert isinstance(model, SelfSupervisedEncoder)
        alone = encoder(i).fit(seen(part))
        np.testing.assert_allclose(model.transform(seen(part)), alone.transform(seen(part)), atol=2e-3)
        assert model.options_ == alone.options_
    labelled = [share(i) for i in range(3)]
    tuned = [classifier(i, pretrained=model) for i, model in enumerate(found.models)]
    together = fit_together(tuned, X, labelled)
    assert together.how == ["stacked"] * 3
    for i, (model, part) in enumerate(zip(together.models, labelled, strict=True)):
        alone = classifier(i, pretrained=found.models[i]).fit(seen(part), part.y)
        np.testing.assert_allclose(model.predict_proba(seen(part)), alone.predict_proba(seen(part)), atol=1e-3)


VIEWED = [
    *((objective, None, None) for objective in OBJECTIVES),
    ("swav", "noise", {"scale": 0.2}),
    ("simclr", "marginal", {"share": 0.4}),
    ("vicreg", "swapping", None),
    ("simclr", "mixup", None),
    ("simclr", "compose", {"views": [("masking", {"share": 0.2, "fill": "zero"}), ("noise", {"scale": 0.1})]}),
    ("simclr", "latent", None),
]


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")
@pytest.mark.parametrize(("objective", "view", "view_options"), VIEWED, ids=lambda value: str(value)[:20])
def test_every_objective_and_view_gives_the_encoders_of_those_fitted_alone(
    objective: str, view: str | None, view_options: dict[str, Any] | None
) -> None:
    def make(seed: int) -> SelfSupervisedEncoder:
        return SelfSupervisedEncoder(
            objective,
            view=view,
            view_options=view_options,
            encoder_options=SMALL,
            epochs=3,
            min_steps=12,
            batch_size=32,
            precision="32",
            random_state=seed,
            device="cpu",
        )

    shares = [share(i, n_labels=None, n_genes=20) for i in range(3)]
    found = fit_together([make(i) for i in range(3)], X, shares)
    assert found.how == ["stacked"] * 3
    for i, (model, part) in enumerate(zip(found.models, shares, strict=True)):
        assert isinstance(model, SelfSupervisedEncoder)
        alone = make(i).fit(seen(part))
        np.testing.assert_allclose(model.transform(seen(part)), alone.transform(seen(part)), atol=5e-3)
        assert model.history_.losses == pytest.approx(alone.history_.losses, rel=1e-3, abs=1e-4)
        assert model.pretraining_ is not None
        assert model.pretraining_["view"] == view or view is None


@pytest.mark.filterwarnings("ignore::oligolearn.estimators.CollapseWarning")
def test_encoders_that_differ_in_their_view_are_replicas_and_each_keeps_its_own() -> None:
    views: list[tuple[str, dict[str, Any]]] = [("masking", {"share": 0.3}), ("noise", {"scale": 0.2}), ("mixup", {})]

    def make(seed: int) -> SelfSupervisedEncoder:
        view, options = views[seed]
        return encoder(seed).set_params(view=view, view_options=options)

    shares = [share(i, n_labels=None) for i in range(3)]
    found = fit_together([make(i) for i in range(3)], X, shares)
    assert found.how == ["stacked"] * 3
    for i, (model, part) in enumerate(zip(found.models, shares, strict=True)):
        assert isinstance(model, SelfSupervisedEncoder)
        alone = make(i).fit(seen(part))
        np.testing.assert_allclose(model.transform(seen(part)), alone.transform(seen(part)), atol=5e-3)
        assert model.history_.losses == pytest.approx(alone.history_.losses, rel=1e-3, abs=1e-4)


def test_a_view_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown view 'blur'"):
        SelfSupervisedEncoder("simclr", view="blur").fit(X)
    with pytest.raises(ValueError, match="no setting strength"):
        SelfSupervisedEncoder("simclr", view="noise", view_options={"strength": 2}).fit(X)


def test_those_that_differ_are_fitted_each_in_their_way() -> None:
    models = [
        classifier(0),
        classifier(1, learning_rate=2e-3),  # rates are each replica's own
        classifier(2),
        classifier(3, early_stopping=True),
        classifier(4),
    ]
    shares = [share(i, n_labels=40 if i < 4 else 33) for i in range(5)]
    found = fit_together(models, X, shares)
    assert found.how[0] == found.how[1] == found.how[2] == "stacked"
    assert found.how[4] == "one at a time: a single replica"
    assert found.how[3] == "one at a time: early stopping"
    for i, (model, part) in enumerate(zip(found.models, shares, strict=True)):
        rate, stopping = models[i].learning_rate, models[i].early_stopping
        alone = classifier(i, learning_rate=rate, early_stopping=stopping).fit(seen(part), part.y)
        np.testing.assert_allclose(model.predict_proba(seen(part)), alone.predict_proba(seen(part)), atol=1e-3)


def test_one_that_diverges_is_returned_as_its_error() -> None:
    models = [classifier(0), classifier(1, learning_rate=1e30), classifier(2)]
    found = fit_together(models, X, [share(i) for i in range(3)]).models
    assert isinstance(found[1], DivergedError)
    assert isinstance(found[0], FineTunedClassifier)
    assert isinstance(found[2], FineTunedClassifier)


def test_mistakes_are_named_as_by_fit() -> None:
    with pytest.raises(ValueError, match="one class only"):
        fit_together([classifier(0)], X, [Share(np.arange(N), np.zeros(N))])
