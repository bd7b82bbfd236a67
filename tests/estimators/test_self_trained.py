"""Teacher and student: who learns from what, alone and together, saved and read again."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from oligolearn import FineTunedClassifier, SelfSupervisedEncoder, SelfTrainedClassifier, load_model, save_model
from oligolearn.data import ExpressionScaler
from oligolearn.estimators import CollapseWarning, Share, fit_together
from oligolearn.estimators.cohorts import LabelColumns, Preparation, train_classifier
from oligolearn.training import DivergedError

VIEWS: list[tuple[str | None, dict[str, Any] | None]] = [
    (None, None),
    ("masking", {"share": 0.3, "per": "row"}),
    ("swapping", None),
]


@pytest.fixture(scope="module")
def encoder(cohort: Any, small: dict[str, object]) -> SelfSupervisedEncoder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return SelfSupervisedEncoder(view_options={"share": 0.3}, random_state=0, **small).fit(cohort.X)


def hide(y: NDArray[Any], n_shown: int = 12) -> NDArray[np.floating]:
    shown = np.full(len(y), np.nan)
    shown[:n_shown] = y[:n_shown]
    return shown


def taught(X: Any, y: Any, small: dict[str, Any], pretrained: Any = None, **options: Any) -> SelfTrainedClassifier:
    return SelfTrainedClassifier(FineTunedClassifier(pretrained, **small), random_state=3, **options).fit(X, y)


def weights(model: FineTunedClassifier) -> dict[str, torch.Tensor]:
    return dict(model.module_.state_dict())


def same(one: FineTunedClassifier, other: FineTunedClassifier) -> bool:
    mine, theirs = weights(one), weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("pretrained", [False, True])
def test_the_teacher_is_the_classifier_it_would_be_alone_and_stays_so(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder, pretrained: bool
) -> None:
    source = encoder if pretrained else None
    y = hide(cohort.y)
    settings = FineTunedClassifier(source, **small)
    model = SelfTrainedClassifier(settings, random_state=3).fit(cohort.X, y)
    alone = FineTunedClassifier(source, random_state=3, **small).fit(cohort.X, y)
    assert same(model.teacher_, alone)
    assert not same(model.student_, alone)
    assert not hasattr(settings, "module_"), "the teacher that was given is left as it was"
    assert settings.random_state is None


def test_the_student_learns_what_the_teacher_says_of_rows_without_labels(cohort: Any, small: dict[str, Any]) -> None:
    """A student that never hears a label is as its teacher in the end, errors included."""
    y = hide(cohort.y, 30)
    y[:15] = np.random.default_rng(1).permutation(cohort.y[:15])  # a teacher with errors
    longer = {**small, "min_steps": 800, "learning_rate": 1e-2}
    model = taught(cohort.X, y, longer, distillation_weight=1.0, view=None)
    lessons, learned = model.teacher_.predict(cohort.X), model.predict(cohort.X)
    assert np.mean(lessons != cohort.y) > 0.05
    assert np.mean(learned == lessons) > 0.95


def test_unlabelled_rows_and_labels_both_matter(cohort: Any, small: dict[str, Any]) -> None:
    y = hide(cohort.y)
    plain = taught(cohort.X, y, small)
    few = taught(np.concatenate([cohort.X[:12], cohort.X[12:40]]), y[:40], small)
    assert not same(plain.student_, few.student_)
    # The teacher does not depend on the labels' term, so what differs is the student's own use of them.
    deaf = taught(cohort.X, y, small, distillation_weight=1.0)
    assert same(plain.teacher_, deaf.teacher_)
    assert not same(plain.student_, deaf.student_)


def test_changed_values_of_an_unlabelled_row_change_the_student_alone(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder
) -> None:
    """With a fitted encoder, whose scaler is kept, a teacher sees labelled rows only."""
    changed = cohort.X.copy()
    changed[50] += 1.0
    one, other = (taught(X, hide(cohort.y), small, encoder) for X in (cohort.X, changed))
    assert same(one.teacher_, other.teacher_)
    assert not same(one.student_, other.student_)


def test_the_student_starts_from_the_pretrained_encoder_or_from_random_weights(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder
) -> None:
    still = {"learning_rate": 1e-12}
    from_encoder = taught(cohort.X, hide(cohort.y), small, encoder, **still)
    np.testing.assert_allclose(from_encoder.embed(cohort.X), encoder.transform(cohort.X), atol=1e-5)
    random = taught(cohort.X, hide(cohort.y), small, encoder, pretrained_student=False, **still)
    assert np.abs(random.embed(cohort.X) - encoder.transform(cohort.X)).max() > 0.1
    assert random.student_.training_["transfer_layers"] == 0
    assert not random.self_training_["pretrained_student"]
    assert np.array_equal(random.student_.scaler_.mean_, ExpressionScaler().fit(cohort.X).mean_)


def test_an_unfitted_encoder_is_pretrained_once_for_both(cohort: Any, small: dict[str, Any]) -> None:
    source = SelfSupervisedEncoder(**small)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = taught(cohort.X, hide(cohort.y), small, source, learning_rate=1e-12)
        alone = FineTunedClassifier(source, random_state=3, **small).fit(cohort.X, hide(cohort.y))
    assert not hasattr(source, "encoder_")
    assert same(model.teacher_, alone)
    expected = model.teacher_.pretrained.transform(cohort.X)
    np.testing.assert_allclose(model.embed(cohort.X), expected, atol=1e-5)


def test_settings_of_the_student_are_its_own_or_the_teachers(cohort: Any, small: dict[str, Any]) -> None:
    model = taught(cohort.X, hide(cohort.y), small, epochs=7, min_steps=1, weight_decay=0.1)
    assert model.teacher_.training_["epochs"] == 30  # min_steps, in one batch each
    assert len(model.history_.losses) == model.student_.training_["epochs"] == 7
    assert (model.teacher_.weight_decay, model.student_.weight_decay) == (0.0, 0.1)
    assert model.student_.batch_size == model.teacher_.batch_size == 16


@pytest.mark.parametrize(("view", "view_options"), VIEWS)
def test_replicas_are_those_fitted_alone(cohort: Any, view: str | None, view_options: dict[str, Any] | None) -> None:
    small = {"encoder_options": {"hidden": (16, 8)}, "epochs": 4, "min_steps": 30, "precision": "32", "device": "cpu"}

    def make(seed: int) -> SelfTrainedClassifier:
        teacher = FineTunedClassifier(dropout=0.2, **small)
        return SelfTrainedClassifier(teacher, view=view, view_options=view_options, random_state=seed)

    shares = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows, genes = np.sort(rng.permutation(90)[:80]), np.sort(rng.permutation(20)[:15])
        y = np.full(80, np.nan)
        shown = rng.permutation(80)[:15]
        y[shown] = cohort.y[rows[shown]]
        shares.append(Share(rows, y, genes))
    plain = FineTunedClassifier(random_state=0, dropout=0.2, **small)
    found = fit_together([make(0), plain, make(1), make(2)], cohort.X, [shares[0], shares[0], *shares[1:]])
    assert found.how == ["stacked"] * 4
    assert isinstance(found.models[1], FineTunedClassifier)
    for model, seed in zip((found.models[0], *found.models[2:]), range(3), strict=True):
        assert isinstance(model, SelfTrainedClassifier)
        X = cohort.X[np.ix_(shares[seed].rows, shares[seed].genes)]
        alone = make(seed).fit(X, shares[seed].y)
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=2e-3)
        assert model.history_.losses == pytest.approx(alone.history_.losses, abs=2e-3)
        assert model.self_training_["n_labelled"] == 15


def test_students_of_other_settings_are_fitted_beside_each_other(cohort: Any, small: dict[str, Any]) -> None:
    share = Share(np.arange(90), hide(cohort.y))
    make = [
        lambda: SelfTrainedClassifier(FineTunedClassifier(**small), temperature=2.0, random_state=0),
        lambda: SelfTrainedClassifier(FineTunedClassifier(**small), view="noise", random_state=0),
        lambda: SelfTrainedClassifier(FineTunedClassifier(**small), random_state=0),
    ]
    found = fit_together([one() for one in make], cohort.X, [share] * 3).models
    for model, one in zip(found, make, strict=True):
        expected = one().fit(cohort.X, share.y).predict_proba(cohort.X)
        np.testing.assert_allclose(model.predict_proba(cohort.X), expected, atol=2e-3)


def test_a_teacher_or_student_that_diverges_is_returned_as_its_error(cohort: Any, small: dict[str, Any]) -> None:
    share = Share(np.arange(90), hide(cohort.y))
    models = [
        SelfTrainedClassifier(FineTunedClassifier(learning_rate=1e30, **small), learning_rate=1e-3, random_state=0),
        SelfTrainedClassifier(FineTunedClassifier(**small), learning_rate=1e30, random_state=0),
        SelfTrainedClassifier(FineTunedClassifier(**small), random_state=0),
    ]
    found = fit_together(models, cohort.X, [share] * 3).models
    assert isinstance(found[0], DivergedError)
    assert isinstance(found[1], DivergedError)
    assert found[2] is models[2]


def test_it_is_saved_as_its_student_and_says_how_it_was_taught(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder, tmp_path: Path
) -> None:
    names = np.array(["a", "b", "c"], dtype=object)[cohort.y]
    names[12:] = None
    model = taught(cohort.X, names, small, encoder, temperature=2.0)
    save_model(model, tmp_path / "model", features=[f"g{i}" for i in range(20)])
    read = load_model(tmp_path / "model")
    assert isinstance(read.model, FineTunedClassifier)
    assert np.array_equal(read.model.predict_proba(cohort.X), model.predict_proba(cohort.X))
    assert read.model.predict(cohort.X).tolist() == model.predict(cohort.X).tolist()
    facts = read.description["self_training"]
    assert (facts["temperature"], facts["n_samples"], facts["n_labelled"]) == (2.0, 90, 12)
    assert facts["pretrained_student"]
    assert facts["teacher"]["epochs"] == model.teacher_.training_["epochs"]
    assert read.description["kind"] == "classifier"


def test_whole_jobs_train_and_cross_validate_it(cohort: Any, small: dict[str, Any]) -> None:
    import anndata as ad

    obs = pd.DataFrame({"kind": np.array(["a", "b", "c"], dtype=object)[cohort.y]}, index=[f"s{i}" for i in range(90)])
    obs.loc[obs.index[30:], "kind"] = None
    data = ad.AnnData(cohort.X, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)]))
    model = SelfTrainedClassifier(FineTunedClassifier(**{**small, "min_steps": 200}), random_state=0)
    trained = train_classifier(data, LabelColumns("kind"), model, Preparation("log"), n_folds=3)
    assert isinstance(trained.model, SelfTrainedClassifier)
    assert trained.model.classes_.tolist() == ["a", "b", "c"]
    assert set(trained.model.predict(cohort.X)) == {"a", "b", "c"}
    assert trained.facts["metrics"]["accuracy"] > 0.6


def test_a_clone_has_the_same_settings_and_forgets_what_was_fitted(cohort: Any, small: dict[str, Any]) -> None:
    model = taught(cohort.X, hide(cohort.y), small, temperature=2.0)
    again = clone(model)
    assert not hasattr(again, "student_")
    assert not hasattr(again, "classes_")
    assert np.array_equal(again.fit(cohort.X, hide(cohort.y)).predict_proba(cohort.X), model.predict_proba(cohort.X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"distillation_weight": 2.0}, "distillation_weight must lie between 0 and 1"),
        ({"view": "blur"}, "unknown view 'blur'"),
        ({"view": "noise", "view_options": {"strength": 1}}, "no setting strength"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(
    cohort: Any, small: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        taught(cohort.X, hide(cohort.y), small, **options)


@pytest.mark.parametrize("ask", ["predict", "predict_proba", "embed", "to_bundle"])
def test_one_that_is_not_fitted_says_so(cohort: Any, ask: str) -> None:
    with pytest.raises(NotFittedError, match="SelfTrainedClassifier instance is not fitted yet"):
        getattr(SelfTrainedClassifier(), ask)(*([] if ask == "to_bundle" else [cohort.X]))


def test_a_teacher_of_another_kind_is_refused(cohort: Any) -> None:
    with pytest.raises(TypeError, match="teacher must be a FineTunedClassifier, or None"):
        SelfTrainedClassifier(SelfSupervisedEncoder()).fit(cohort.X, cohort.y)


def test_a_student_sees_views_of_gene_sets_alone_and_together(
    cohort: Any, small: dict[str, Any], tmp_path: Path
) -> None:
    X, y = np.asarray(cohort.X, np.float32), hide(cohort.y)
    names = [f"g{i}" for i in range(X.shape[1])]
    path = tmp_path / "sets.gmt"
    path.write_text("first\tx\t" + "\t".join(names[: len(names) // 2]) + "\nsecond\tx\t" + "\t".join(names[5:]) + "\n")
    options: dict[str, Any] = {"view": "gene-sets", "view_options": {"sets": str(path)}, "random_state": 3}
    models = [SelfTrainedClassifier(FineTunedClassifier(**small), **options) for _ in range(2)]
    alone = models[0].fit(X, y, genes=names)
    together = fit_together(models[1:], X, [Share(np.arange(len(X)), y)], genes=names).models[0]
    assert isinstance(together, SelfTrainedClassifier)
    np.testing.assert_allclose(together.predict_proba(X), alone.predict_proba(X), atol=5e-3)
    with pytest.raises(ValueError, match="expected 20 gene names, found none"):
        clone(models[0]).fit(X, y)
