"""The pretrained encoder: deterministic, blind to labels and to other rows, and honest about collapse."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from oligolearn.data import ExpressionScaler
from oligolearn.estimators import CollapseWarning, SelfSupervisedEncoder
from oligolearn.nn import MLP
from oligolearn.pretext import SwAV


def pretrain(X: Any, settings: dict[str, Any], **others: Any) -> SelfSupervisedEncoder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # these trainings are too short to learn much
        return SelfSupervisedEncoder(**{"random_state": 0, **settings, **others}).fit(X)


def test_same_seed_same_embedding_whatever_the_global_state(cohort: Any, small: dict[str, Any]) -> None:
    first = pretrain(cohort.X, small).transform(cohort.X)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        before = torch.get_rng_state()
        again = pretrain(cohort.X, small).transform(cohort.X)
        assert torch.equal(torch.get_rng_state(), before)
    other = pretrain(cohort.X, small, random_state=1).transform(cohort.X)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_labels_are_not_looked_at(cohort: Any, small: dict[str, Any]) -> None:
    blind = pretrain(cohort.X, small)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        seeing = SelfSupervisedEncoder(random_state=0, **small).fit(cohort.X, cohort.y)
    assert np.array_equal(blind.transform(cohort.X), seeing.transform(cohort.X))


def test_a_sample_is_embedded_the_same_whatever_the_others(cohort: Any, small: dict[str, Any]) -> None:
    model = pretrain(cohort.X, small)
    whole = model.transform(cohort.X)
    assert whole.dtype == np.float32
    assert whole.shape == (90, 8)
    for rows in (slice(0, 1), slice(3, 50), slice(None, None, -1)):
        assert np.array_equal(model.transform(cohort.X[rows]), whole[rows])


def test_training_with_other_units_gives_the_same_embedding(cohort: Any, small: dict[str, Any]) -> None:
    scales = 2.0 ** np.arange(-10, 10)
    wide = cohort.X.astype(np.float64)
    plain, rescaled = pretrain(wide, small), pretrain(wide * scales + 2, small)
    np.testing.assert_allclose(plain.transform(wide), rescaled.transform(wide * scales + 2), atol=1e-3)


def test_missing_values_count_as_the_training_mean(cohort: Any, small: dict[str, Any]) -> None:
    model = pretrain(cohort.X, small)
    holes, filled = cohort.X.astype(np.float64), cohort.X.astype(np.float64)
    holes[:, 4] = np.nan
    filled[:, 4] = model.scaler_.mean_[4]
    assert np.array_equal(model.transform(holes), model.transform(filled))
    assert np.isfinite(pretrain(holes, small).transform(holes)).all()


def test_what_is_not_chosen_is_derived_and_said(cohort: Any, small: dict[str, Any]) -> None:
    derived = pretrain(cohort.X, small)
    assert 2 <= derived.options_["n_prototypes"] <= 16
    chosen = pretrain(cohort.X, small, objective_options={"n_prototypes": 5, "epsilon": 0.02})
    assert chosen.options_["n_prototypes"] == 5
    assert chosen.options_["epsilon"] == 0.02
    assert chosen.options_["frozen_share"] == derived.options_["frozen_share"]


def test_objective_encoder_and_view_can_be_the_users_own(cohort: Any, small: dict[str, Any]) -> None:
    seen = []

    def shift(x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(x))
        return x + torch.randn(1, generator=generator)

    own = {"objective": lambda e, **_: SwAV(e, 4), "encoder": lambda n: MLP(n, (5,)), "view": shift}
    model = pretrain(cohort.X, {**small, "encoder_options": None}, **own)
    assert model.transform(cohort.X).shape == (90, 5)
    assert set(seen) == {18}  # 90 rows in 5 equal batches of at least 16
    with pytest.raises(ValueError, match="only encoders known by name can be saved"):
        model.to_bundle()


def test_the_number_of_steps(cohort: Any, small: dict[str, Any]) -> None:
    heard: list[tuple[int, int]] = []
    model = pretrain(
        cohort.X, small, epochs=2, min_steps=23, on_epoch=lambda done, total, _: heard.append((done, total))
    )
    assert len(model.history_.losses) == 5  # 23 steps in epochs of 5
    assert heard == [(done, 5) for done in range(1, 6)]
    assert len(pretrain(cohort.X, small, epochs=7, min_steps=1).history_.losses) == 7


def test_collapse_is_said_in_words(small: dict[str, Any]) -> None:
    X = np.random.default_rng(0).normal(size=(40, 12))
    with pytest.warns(CollapseWarning, match="collapse: the loss .* let views change less"):
        model = SelfSupervisedEncoder(**small, view_options={"share": 1.0}, random_state=0).fit(X)
    assert model.diagnosis_


def test_a_cohort_with_structure_is_learned_without_complaint(cohort: Any, small: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SelfSupervisedEncoder(
            **{**small, "min_steps": 300}, view_options={"share": 0.3}, learning_rate=3e-3, random_state=0
        ).fit(cohort.X)
    assert model.diagnosis_ == []
    assert model.history_.losses[-1] < 0.9 * model.history_.losses[0]
    embedding = model.transform(cohort.X)
    centres = np.stack([embedding[cohort.y == c].mean(axis=0) for c in range(3)])
    nearest = np.linalg.norm(embedding[:, None] - centres, axis=2).argmin(axis=1)
    assert np.mean(nearest == cohort.y) > 0.9


def test_the_scaler_saw_the_training_rows_and_the_module_is_left_for_evaluation(
    cohort: Any, small: dict[str, Any]
) -> None:
    model = pretrain(cohort.X[:60], small)
    expected = ExpressionScaler().fit(cohort.X[:60])
    assert np.array_equal(model.scaler_.mean_, expected.mean_)
    assert not any(part.training for part in model.encoder_.modules())


def test_a_clone_forgets(cohort: Any, small: dict[str, Any]) -> None:
    model = pretrain(cohort.X, small)
    assert not hasattr(clone(model), "encoder_")
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "swaw"}, "unknown objective 'swaw'; choose one of .*, swav"),
        ({"encoder": "mpl"}, "unknown encoder 'mpl'"),
        (
            {"view": "blur"},
            "unknown view 'blur'; choose one of masking, marginal, noise, swapping, mixup",
        ),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"view_options": {"share": 2.0}}, "must lie between 0 and 1"),
        ({"objective_options": {"epsilon": -1.0}}, "must be positive"),
        ({"encoder_options": {"hidden": ()}}, "at least one block"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    cohort: Any, small: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pretrain(cohort.X, small, **settings)


@pytest.mark.parametrize(
    ("n_rows", "asked", "epochs"),
    [(500, None, 150), (64 * 100, None, 120), (64 * 5000, None, 10), (64 * 5000, 3, 3), (500, 400, 400)],
)
def test_a_large_cohort_gets_fewer_epochs_unless_they_are_asked_for(n_rows, asked, epochs):
    steps = SelfSupervisedEncoder(epochs=asked)._schedule(n_rows).steps
    assert steps == epochs * (n_rows // 64)
