"""The fine-tuned classifier: unlabelled rows, transfer, freezing, probing, early stopping."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from oligolearn.data import ExpressionScaler
from oligolearn.estimators import CollapseWarning, FineTunedClassifier, SelfSupervisedEncoder, save_model
from oligolearn.nn import MLP


@pytest.fixture(scope="module")
def encoder(cohort: Any, small: dict[str, Any]) -> SelfSupervisedEncoder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return SelfSupervisedEncoder(random_state=7, **small).fit(cohort.X)


def tune(X: Any, y: Any, small: dict[str, Any], pretrained: Any = None, **others: Any) -> FineTunedClassifier:
    return FineTunedClassifier(pretrained, **{"random_state": 0, **small, **others}).fit(X, y)


def hide(y: Any, share: float = 0.6) -> Any:
    hidden = np.random.default_rng(1).random(len(y)) < share
    return np.where(hidden, np.nan, y)


def block_states(module: nn.Module) -> list[dict[str, Tensor]]:
    return [{name: value.clone() for name, value in block.state_dict().items()} for block in module.blocks]


def test_every_way_to_say_unlabelled_means_the_same(cohort: Any, small: dict[str, Any]) -> None:
    nan = hide(cohort.y)
    none = np.array([None if np.isnan(label) else int(label) for label in nan], dtype=object)
    minus = np.where(np.isnan(nan), -1, nan).astype(int)
    expected = tune(cohort.X, nan, small).predict_proba(cohort.X)
    for model in (
        tune(cohort.X, none, small),
        tune(cohort.X, none.tolist(), small),
        tune(cohort.X, minus, small, unlabelled=-1),
    ):
        assert model.classes_.tolist() == [0, 1, 2]
        assert np.array_equal(model.predict_proba(cohort.X), expected)


def test_few_samples_of_many_classes_are_taken_for_granted(encoder: Any, cohort: Any, small: dict[str, Any]) -> None:
    """Without a warning, which would be an error here."""
    assert tune(cohort.X[:24], np.arange(24) % 16, small, encoder).classes_.tolist() == list(range(16))


def test_unlabelled_rows_take_no_part_in_training(cohort: Any, small: dict[str, Any]) -> None:
    """Rows that are there twice leave mean and deviation as they are, so the copies without labels change nothing."""
    X = cohort.X.astype(np.float64)
    alone = tune(X, cohort.y, small)
    doubled = tune(np.concatenate([X, X]), np.concatenate([cohort.y, np.full(90, np.nan)]), small)
    np.testing.assert_allclose(doubled.scaler_.mean_, alone.scaler_.mean_, rtol=1e-12)
    np.testing.assert_allclose(doubled.predict_proba(X), alone.predict_proba(X), atol=1e-4)
    assert doubled.history_.losses == pytest.approx(alone.history_.losses, abs=1e-4)


def test_the_scaler_sees_unlabelled_rows(cohort: Any, small: dict[str, Any]) -> None:
    y = hide(cohort.y)
    model = tune(cohort.X, y, small)
    expected = ExpressionScaler().fit(cohort.X)
    assert np.array_equal(model.scaler_.mean_, expected.mean_)
    assert not np.array_equal(model.scaler_.mean_, ExpressionScaler().fit(cohort.X[~np.isnan(y)]).mean_)


def test_classes_keep_their_names(cohort: Any, small: dict[str, Any]) -> None:
    names = np.array(["tumour", "adenoma", "normal"], dtype=object)[cohort.y]
    names[:20] = None
    model = tune(cohort.X, names, small, learning_rate=1e-2)
    assert model.classes_.tolist() == ["adenoma", "normal", "tumour"]
    assert set(model.predict(cohort.X)) <= set(model.classes_)
    assert np.mean(model.predict(cohort.X[20:]) == names[20:]) > 0.9


def test_probabilities_are_the_same_whatever_else_is_predicted(cohort: Any, small: dict[str, Any]) -> None:
    model = tune(cohort.X, cohort.y, small, dropout=0.3)
    whole = model.predict_proba(cohort.X)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-12)
    for rows in (slice(0, 1), slice(5, 40), slice(None, None, -1)):
        assert np.array_equal(model.predict_proba(cohort.X[rows]), whole[rows])
    assert np.array_equal(model.predict(cohort.X), model.classes_[whole.argmax(axis=1)])


def test_same_seed_same_model_whatever_the_global_state(cohort: Any, small: dict[str, Any]) -> None:
    first = tune(cohort.X, cohort.y, small, dropout=0.2).predict_proba(cohort.X)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        before = torch.get_rng_state()
        again = tune(cohort.X, cohort.y, small, dropout=0.2).predict_proba(cohort.X)
        assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(first, again)
    assert not np.array_equal(
        first, tune(cohort.X, cohort.y, small, dropout=0.2, random_state=1).predict_proba(cohort.X)
    )


def test_one_label_of_each_class_is_enough(cohort: Any, small: dict[str, Any]) -> None:
    y = np.full(90, np.nan)
    for label in range(3):
        y[np.flatnonzero(cohort.y == label)[0]] = label
    model = tune(cohort.X, y, small, learning_rate=1e-2)
    shown = ~np.isnan(y)
    assert np.array_equal(model.predict(cohort.X[shown]), y[shown])


@pytest.mark.parametrize("n_blocks", [0, 1, 2])
def test_as_many_blocks_are_transferred_and_frozen_as_asked(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder, n_blocks: int
) -> None:
    given = block_states(encoder.encoder_)
    model = tune(cohort.X, cohort.y, small, encoder, transfer_layers=n_blocks, frozen_layers=n_blocks)
    for number, after in enumerate(block_states(model.module_.encoder)):
        same = [torch.equal(after[name], given[number][name]) for name in after]
        assert all(same) if number < n_blocks else not all(same)
    assert all(
        torch.equal(before[name], after[name])
        for before, after in zip(given, block_states(encoder.encoder_), strict=True)
        for name in before
    ), "the pretrained encoder itself is left alone"


def test_transferred_batch_norms_keep_their_statistics_and_learn(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder
) -> None:
    model = tune(cohort.X, cohort.y, small, encoder)
    for after, given in zip(block_states(model.module_.encoder), block_states(encoder.encoder_), strict=True):
        for name in after:
            assert torch.equal(after[name], given[name]) is ("running" in name or "tracked" in name), name


def test_the_pretrained_scaler_is_kept(cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder) -> None:
    model = tune(cohort.X[:40] + 3, cohort.y[:40], small, encoder)
    assert np.array_equal(model.scaler_.mean_, encoder.scaler_.mean_)


def test_freezing_everything_leaves_the_untrained_encoder_as_it_was_drawn(cohort: Any, small: dict[str, Any]) -> None:
    short, long = (tune(cohort.X, cohort.y, small, frozen_layers=None, min_steps=n) for n in (5, 60))
    assert np.array_equal(short.embed(cohort.X), long.embed(cohort.X))
    norms = [layer for layer in long.module_.encoder.modules() if isinstance(layer, nn.BatchNorm1d)]
    assert all(torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean)) for norm in norms)
    assert not np.array_equal(short.predict_proba(cohort.X), long.predict_proba(cohort.X))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_probe_is_a_logistic_regression_on_the_embedding(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder, n_classes: int
) -> None:
    rows = cohort.y < n_classes
    X, y = cohort.X[rows], cohort.y[rows]
    still = tune(X, y, small, encoder, learning_rate=1e-12)
    embedding = encoder.transform(X).astype(np.float64)
    scale = embedding.std(axis=0).mean()
    expected = LogisticRegression(max_iter=1000).fit(embedding / scale, y).predict_proba(embedding / scale)
    np.testing.assert_allclose(still.predict_proba(X), expected, atol=1e-5)
    unprobed = tune(X, y, small, encoder, learning_rate=1e-12, probe_first=False)
    assert np.abs(unprobed.predict_proba(X) - expected).max() > 0.05


def test_a_partly_transferred_encoder_is_not_probed(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder
) -> None:
    asked, not_asked = (
        tune(cohort.X, cohort.y, small, encoder, transfer_layers=1, probe_first=probe).predict_proba(cohort.X)
        for probe in (True, False)
    )
    assert np.array_equal(asked, not_asked)


def test_an_encoder_may_come_fitted_unfitted_frozen_or_from_its_folder(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder, tmp_path: Path
) -> None:
    save_model(encoder, tmp_path / "model", features=[f"g{i}" for i in range(20)])
    expected = tune(cohort.X, cohort.y, small, encoder).predict_proba(cohort.X)
    for source in (FrozenEstimator(encoder), tmp_path / "model", str(tmp_path / "model")):
        assert np.array_equal(tune(cohort.X, cohort.y, small, source).predict_proba(cohort.X), expected)


def test_an_unfitted_encoder_is_pretrained_on_all_rows_and_stays_unfitted(cohort: Any, small: dict[str, Any]) -> None:
    y = hide(cohort.y)
    source = SelfSupervisedEncoder(**small)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = tune(cohort.X, y, small, source)
    assert not hasattr(source, "encoder_")
    assert np.array_equal(model.scaler_.mean_, ExpressionScaler().fit(cohort.X).mean_)


def test_a_clone_forgets_and_a_frozen_one_keeps(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder
) -> None:
    forgetful = clone(FineTunedClassifier(encoder, random_state=0, **small))
    assert not hasattr(forgetful.pretrained, "encoder_")
    keeping = clone(FineTunedClassifier(FrozenEstimator(encoder), random_state=0, **small))
    expected = tune(cohort.X, cohort.y, small, encoder).predict_proba(cohort.X)
    assert np.array_equal(keeping.fit(cohort.X, cohort.y).predict_proba(cohort.X), expected)


def test_a_pretrained_encoder_for_other_genes_is_refused(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder
) -> None:
    with pytest.raises(ValueError, match="expects 20 genes, X has 19; align the genes by name first"):
        tune(cohort.X[:, :19], cohort.y, small, encoder)


def test_a_factory_may_make_the_encoder_but_it_cannot_be_saved(cohort: Any, small: dict[str, Any]) -> None:
    model = tune(cohort.X, cohort.y, {**small, "encoder_options": None}, encoder=lambda n: MLP(n, (9,)))
    assert model.embed(cohort.X).shape == (90, 9)
    with pytest.raises(ValueError, match="only encoders known by name can be saved"):
        model.to_bundle()


def test_equal_class_weights_are_none_and_balanced_ones_are_inverse_frequencies(
    cohort: Any, small: dict[str, Any]
) -> None:
    rows = np.concatenate([np.flatnonzero(cohort.y == 0)[:5], np.flatnonzero(cohort.y == 1)])
    X, y = cohort.X[rows], cohort.y[rows]
    plain = tune(X, y, small).predict_proba(X)
    assert np.array_equal(tune(X, y, small, class_weight={0: 1.0, 1: 1.0}).predict_proba(X), plain)
    balanced = tune(X, y, small, class_weight="balanced").predict_proba(X)
    by_hand = tune(X, y, small, class_weight={0: 35 / 10, 1: 35 / 60}).predict_proba(X)
    assert np.array_equal(balanced, by_hand)
    assert balanced[:, 0].mean() > plain[:, 0].mean()


def test_early_stopping_holds_out_labelled_rows_and_keeps_the_best_epoch(cohort: Any, small: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).permutation(cohort.y)  # nothing to learn: soon worse on rows held out
    settings = {**small, "early_stopping": True, "patience": 3, "min_steps": 2000, "learning_rate": 1e-2}
    model = tune(cohort.X, noise, settings)
    history = model.history_
    assert len(history.scores) < 400
    assert history.best_epoch == int(np.argmax(history.scores)) == len(history.scores) - 4


def test_rows_of_a_patient_are_not_on_both_sides_of_early_stopping(cohort: Any, small: dict[str, Any]) -> None:
    groups = np.arange(90) // 3
    model = FineTunedClassifier(early_stopping=True, **small)
    for seed in range(5):
        train, held_out = model._hold_out(cohort.y, groups, seed)
        assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(90))
        assert not set(groups[train]) & set(groups[held_out])
        assert len(held_out) == pytest.approx(0.15 * 90, abs=4)
        assert set(cohort.y[held_out]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transfer_layers": 3}, "transferred layers must lie between 0 and 2, found 3"),
        ({"frozen_layers": 3}, "frozen layers must lie between 0 and 2, found 3"),
        ({"frozen_layers": -1}, "frozen layers must lie between 0 and 2, found -1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"dropout": 1.5}, "dropout"),
        ({"early_stopping": True, "validation_fraction": 0.0}, "validation_fraction must lie above 0"),
        ({"early_stopping": True, "validation_fraction": 0.9}, "validation_fraction must lie above 0"),
        ({"early_stopping": True, "patience": 0}, "patience must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(
    cohort: Any, small: dict[str, Any], encoder: SelfSupervisedEncoder, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tune(cohort.X, cohort.y, small, encoder, **settings)


def test_too_few_labels_for_early_stopping_are_refused_with_a_way_out(cohort: Any, small: dict[str, Any]) -> None:
    y = np.full(90, np.nan)
    y[:8] = np.arange(8) % 2
    with pytest.raises(ValueError, match=r"found 8 labelled rows.* pass early_stopping=False"):
        tune(cohort.X, y, small, early_stopping=True)


def test_labels_that_do_not_fit_the_rows_are_refused(cohort: Any, small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="as many rows, found 90 and 89"):
        tune(cohort.X, cohort.y[:-1], small)
    with pytest.raises(ValueError, match="one class only"):
        tune(cohort.X, np.zeros(90), small)
