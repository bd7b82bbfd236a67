"""Whole jobs on a cohort: honest cross-validation, and predictions that find their genes by name."""

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.estimators import (
    CollapseWarning,
    FineTunedClassifier,
    LabelColumns,
    Preparation,
    SavedModel,
    SelfSupervisedEncoder,
    embed_samples,
    load_model,
    predict_samples,
    pretrain_encoder,
    save_model,
    train_classifier,
)


@pytest.fixture(scope="module")
def adata(cohort: Any) -> ad.AnnData:
    kinds = np.array(["a", "b", "c"], dtype=object)[cohort.y]
    kinds[60:] = None
    obs = pd.DataFrame({"kind": kinds}, index=[f"s{i}" for i in range(90)])
    return ad.AnnData(cohort.X.copy(), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)]))


def settings(small: dict[str, Any], **others: Any) -> FineTunedClassifier:
    return FineTunedClassifier(**{**small, "learning_rate": 1e-2, "random_state": 0, **others})


def kept(trained: Any, path: Path) -> SavedModel:
    save_model(trained.model, path, features=trained.features, facts=trained.facts)
    return load_model(path)


@pytest.fixture(scope="module")
def encoder(adata: ad.AnnData, small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    trained = pretrain_encoder(adata, SelfSupervisedEncoder(random_state=0, **small), Preparation())
    return kept(trained, tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture(scope="module")
def classifier(adata: ad.AnnData, small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    trained = train_classifier(adata, LabelColumns("kind"), settings(small), Preparation(), n_folds=3)
    return kept(trained, tmp_path_factory.mktemp("classifier") / "model")


def test_predictions_do_not_depend_on_the_order_of_genes_or_samples(adata: ad.AnnData, classifier: SavedModel) -> None:
    expected, _ = predict_samples(classifier, adata)
    order = np.random.default_rng(0).permutation(20)
    shuffled, _ = predict_samples(classifier, adata[::-1, order].copy())
    pd.testing.assert_frame_equal(shuffled.loc[expected.index], expected, check_exact=True)
    few, _ = predict_samples(classifier, adata[7:9].copy())
    pd.testing.assert_frame_equal(few, expected.iloc[7:9], check_exact=True)


def test_the_table_has_a_prediction_and_a_probability_of_each_class(adata: ad.AnnData, classifier: SavedModel) -> None:
    table, _ = predict_samples(classifier, adata)
    assert table.columns.tolist() == ["prediction", "probability_a", "probability_b", "probability_c"]
    assert table.index.tolist() == adata.obs_names.tolist()
    probabilities = table.filter(like="probability_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert table["prediction"].tolist() == probabilities.idxmax(axis=1).str.removeprefix("probability_").tolist()
    known = adata.obs["kind"].notna().to_numpy()
    assert np.mean(table["prediction"][known] == adata.obs["kind"][known]) > 0.9


def test_a_missing_gene_counts_as_the_training_mean(adata: ad.AnnData, classifier: SavedModel) -> None:
    lacking, notes = predict_samples(classifier, adata[:, 2:].copy())
    average = adata.copy()
    average.X[:, :2] = classifier.model.scaler_.mean_[:2]
    expected, _ = predict_samples(classifier, average)
    np.testing.assert_allclose(lacking.iloc[:, 1:], expected.iloc[:, 1:], atol=1e-5)
    assert "2 are missing and count as average." in notes


def test_too_few_genes_are_refused(adata: ad.AnnData, classifier: SavedModel) -> None:
    with pytest.raises(ValueError, match="15 of the model's 20 genes are in the data"):
        predict_samples(classifier, adata[:, 5:].copy())
    assert len(predict_samples(classifier, adata[:, 5:].copy(), min_overlap=0.7)[0]) == 90


def test_an_encoder_names_no_classes(adata: ad.AnnData, encoder: SavedModel) -> None:
    with pytest.raises(ValueError, match="an encoder without classes: `embed` uses it"):
        predict_samples(encoder, adata)


def test_embeddings_keep_the_samples_and_what_is_known_of_them(
    adata: ad.AnnData, encoder: SavedModel, classifier: SavedModel
) -> None:
    for model, values in (
        (encoder, encoder.model.transform(adata.X)),
        (classifier, classifier.model.embed(adata.X)),
    ):
        embedded, _ = embed_samples(model, adata[:, ::-1].copy())
        assert np.array_equal(embedded.X, values)
        assert embedded.obs.equals(adata.obs)
        assert embedded.var_names[0] == "dimension_1"


def test_unlabelled_samples_shape_the_scaler_and_are_counted(adata: ad.AnnData, classifier: SavedModel) -> None:
    np.testing.assert_allclose(classifier.model.scaler_.mean_, adata.X.astype(np.float64).mean(axis=0))
    assert classifier.description["training_data"]["n_samples"] == 90
    assert classifier.description["metrics"]["note"] == "3-fold cross-validation of 60 labelled samples"


def test_a_pretrained_model_decides_genes_and_units(
    adata: ad.AnnData, encoder: SavedModel, small: dict[str, Any]
) -> None:
    trained = train_classifier(
        adata[:, ::-1].copy(), LabelColumns("kind"), settings(small), Preparation(), pretrained=encoder, n_folds=0
    )
    assert trained.features == encoder.description["features"]
    assert np.array_equal(trained.model.scaler_.mean_, encoder.model.scaler_.mean_)
    assert trained.facts["pretraining"] == encoder.description["pretraining"]
    assert any("pretrained on these same samples" in note for note in trained.notes)
    assert trained.facts["metrics"] == {"note": "not cross-validated: it was not asked for"}


def test_the_encoder_of_a_classifier_is_one_to_start_from(
    adata: ad.AnnData, classifier: SavedModel, small: dict[str, Any]
) -> None:
    model = settings(small, frozen_layers=None)
    trained = train_classifier(adata, LabelColumns("kind"), model, Preparation(), pretrained=classifier, n_folds=0)
    mine, theirs = (one.module_.encoder.state_dict() for one in (trained.model, classifier.model))
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    assert any("trained on these same samples: if with this label" in note for note in trained.notes)


def test_cross_validation_of_learnable_and_of_shuffled_labels(adata: ad.AnnData, small: dict[str, Any]) -> None:
    rng = np.random.default_rng(11)
    shuffled = adata.copy()
    shuffled.obs["kind"] = rng.permutation(np.array(["a", "b", "c"])[np.arange(90) % 3])
    found = {
        name: train_classifier(data, LabelColumns("kind"), settings(small), Preparation()).facts["metrics"]
        for name, data in (("real", adata), ("shuffled", shuffled))
    }
    assert found["real"]["accuracy"] > 0.9
    assert found["shuffled"]["accuracy"] == pytest.approx(1 / 3, abs=3 * np.sqrt(2 / 9 / 90))
    assert found["shuffled"]["auroc"] == pytest.approx(0.5, abs=0.15)


def test_cross_validation_does_not_reward_recognising_a_patient(small: dict[str, Any]) -> None:
    """Three samples of each patient are alike, the patients' labels random: only whoever mixes them can predict."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(40), 3)
    X = rng.normal(size=(40, 60))[patient] + 0.05 * rng.normal(size=(120, 60))
    obs = pd.DataFrame({"kind": rng.permutation(np.arange(40) % 2)[patient], "patient": patient}).astype(str)
    obs.index = [f"s{i}" for i in range(120)]
    data = ad.AnnData(X.astype(np.float32) + 8, obs=obs)
    naive, grouped = (
        train_classifier(data, LabelColumns("kind", group), settings(small), Preparation()).facts["metrics"]["accuracy"]
        for group in (None, "patient")
    )
    assert naive > 0.85
    assert grouped < 0.7


def test_the_cross_validated_model_has_not_seen_the_rows_it_predicts(
    adata: ad.AnnData, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    predicted: list[Any] = []
    fit, predict = FineTunedClassifier.fit, FineTunedClassifier.predict_proba

    def noting_fit(self: Any, X: Any, y: Any, groups: Any = None) -> Any:
        seen.append({row.tobytes() for row in X})
        return fit(self, X, y, groups)

    def noting_predict(self: Any, X: Any) -> Any:
        predicted.append({row.tobytes() for row in X})
        return predict(self, X)

    monkeypatch.setattr(FineTunedClassifier, "fit", noting_fit)
    monkeypatch.setattr(FineTunedClassifier, "predict_proba", noting_predict)
    train_classifier(adata, LabelColumns("kind"), settings(small), Preparation(), n_folds=4)
    assert len(predicted) == 4
    assert len(seen) == 5
    assert all(not rows & shown for rows, shown in zip(predicted, seen, strict=False))
    assert len(set.union(*predicted)) == sum(len(rows) for rows in predicted) == 60
    assert len(seen[-1]) == 90, "the model that is kept has seen all"


def test_unlabelled_relatives_of_the_predicted_rows_are_left_out(
    adata: ad.AnnData, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = adata.copy()
    data.obs["patient"] = [
        f"p{i % 30}" for i in range(90)
    ]  # rows 60 to 89, without labels, are relatives of the others
    patient_of = {row.tobytes(): name for row, name in zip(data.X, data.obs["patient"], strict=True)}
    seen: list[set[str]] = []
    predicted: list[set[str]] = []
    fit, predict = FineTunedClassifier.fit, FineTunedClassifier.predict_proba

    def noting_fit(self: Any, X: Any, y: Any, groups: Any = None) -> Any:
        seen.append({patient_of[row.tobytes()] for row in X})
        return fit(self, X, y, groups)

    def noting_predict(self: Any, X: Any) -> Any:
        predicted.append({patient_of[row.tobytes()] for row in X})
        return predict(self, X)

    monkeypatch.setattr(FineTunedClassifier, "fit", noting_fit)
    monkeypatch.setattr(FineTunedClassifier, "predict_proba", noting_predict)
    train_classifier(data, LabelColumns("kind", "patient"), settings(small), Preparation(), n_folds=3)
    assert len(predicted) == 3
    assert all(not patients & shown for patients, shown in zip(predicted, seen, strict=False))


def test_a_class_with_one_sample_is_not_cross_validated(adata: ad.AnnData, small: dict[str, Any]) -> None:
    data = adata.copy()
    kinds = data.obs["kind"].astype(object).to_numpy()
    kinds[:60] = ["rare", *(["a", "b"] * 30)[:59]]
    data.obs["kind"] = kinds
    trained = train_classifier(data, LabelColumns("kind"), settings(small), Preparation())
    assert trained.facts["metrics"]["note"].startswith("not cross-validated: a class has fewer than two")
    assert trained.model.classes_.tolist() == ["a", "b", "rare"]
    without = train_classifier(data, LabelColumns("kind", min_class_size=3), settings(small), Preparation())
    assert without.model.classes_.tolist() == ["a", "b"]
    assert any("rare (1)" in note for note in without.notes)


def test_top_genes_are_kept_in_order_and_counted(adata: ad.AnnData, small: dict[str, Any]) -> None:
    trained = pretrain_encoder(adata, SelfSupervisedEncoder(random_state=0, **small), Preparation(top_genes=6))
    largest = np.sort(np.argsort(adata.X.var(axis=0))[-6:])
    assert trained.features == [f"g{i}" for i in largest]
    assert "The 6 genes that vary most were kept." in trained.notes


def test_collapse_is_told_in_the_notes_not_as_a_warning(adata: ad.AnnData, small: dict[str, Any]) -> None:
    model = SelfSupervisedEncoder(random_state=0, view_options={"share": 1.0}, **small)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        trained = pretrain_encoder(adata, model, Preparation())
    assert any(note.startswith("Warning: collapse") for note in trained.notes)
    assert not hasattr(model, "encoder_"), "the settings given are left as they are"


def test_early_stopping_keeps_patients_on_one_side(
    adata: ad.AnnData, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped = adata.copy()
    grouped.obs["patient"] = [f"p{i // 3}" for i in range(90)]
    held_out_by = FineTunedClassifier._hold_out
    seen = []

    def watched(self: FineTunedClassifier, codes: Any, groups: Any, seed: int) -> Any:
        train, held_out = held_out_by(self, codes, groups, seed)
        seen.append(set(groups[train.numpy()]) & set(groups[held_out.numpy()]))
        return train, held_out

    monkeypatch.setattr(FineTunedClassifier, "_hold_out", watched)
    model = settings(small, early_stopping=True)
    train_classifier(grouped, LabelColumns("kind", "patient"), model, Preparation(), n_folds=2)
    assert seen == [set(), set(), set()]
