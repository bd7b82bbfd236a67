"""Pretraining from disk gives what pretraining in memory gives, and goes on after it was killed."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from oligolearn.data import ExpressionStream, StoredExpression, prepare_stream
from oligolearn.estimators import (
    FineTunedClassifier,
    Preparation,
    SelfSupervisedEncoder,
    embed_samples,
    predict_samples,
    pretrain_encoder,
)
from oligolearn.estimators.bundles import SavedModel

BUFFER = 40 * 20 * 4  # bytes: 40 of 90 rows


class KilledError(Exception):
    """Stands for kill -9."""


@pytest.fixture
def stored(cohort, tmp_path) -> StoredExpression:
    obs = pd.DataFrame(index=[f"s{i}" for i in range(90)])
    var = pd.DataFrame(index=[f"g{i}" for i in range(20)])
    ad.AnnData(cohort.X, obs=obs, var=var).write_h5ad(tmp_path / "c.h5ad")
    return StoredExpression(tmp_path / "c.h5ad")


@pytest.fixture
def stream(stored) -> ExpressionStream:
    return prepare_stream(stored)


def encoder(small, **options) -> SelfSupervisedEncoder:
    return SelfSupervisedEncoder(**{**small, "random_state": 0, **options})


def weights(model) -> dict[str, torch.Tensor]:
    return model.encoder_.state_dict()


def same(first, second) -> bool:
    return all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


@pytest.mark.filterwarnings("ignore:collapse")
def test_rows_that_fit_in_the_buffer_train_the_model_of_memory(cohort, small, stream) -> None:
    expected, found = encoder(small).fit(cohort.X), encoder(small).fit_stream(stream)
    np.testing.assert_allclose(found.scaler_.mean_, expected.scaler_.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.transform(cohort.X), expected.transform(cohort.X), atol=1e-5)
    assert found.diagnosis_ == expected.diagnosis_
    assert found.options_ == expected.options_


def test_a_small_buffer_learns_the_classes_as_well(cohort, small, stream) -> None:
    found = encoder(small, min_steps=300).fit_stream(stream, buffer_bytes=BUFFER)
    embedding = found.transform(cohort.X)
    centres = np.stack([embedding[cohort.y == k].mean(axis=0) for k in range(3)])
    nearest = ((embedding[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == cohort.y).mean() > 0.9
    assert found.diagnosis_ == []


def kill_after(steps):
    """A view that is killed when it has been drawn so often, and looks like the same view in every process."""
    from oligolearn.views import VIEWS

    drawn = 0

    def view(x, *, generator):
        nonlocal drawn
        drawn += 1
        if drawn > 2 * steps:
            raise KilledError
        return VIEWS["masking"](x, generator=generator)

    return view


@pytest.mark.filterwarnings("ignore:collapse")
@pytest.mark.parametrize("from_disk", [True, False])
@pytest.mark.parametrize("steps", [4, 7, 21])
def test_a_killed_training_goes_on(cohort, small, stream, tmp_path, from_disk, steps) -> None:
    def fit(steps, **options):
        model = encoder(small, view=kill_after(steps), **options)
        return model.fit_stream(stream, buffer_bytes=BUFFER) if from_disk else model.fit(cohort.X)

    expected = fit(10**6)
    kept = {"checkpoint": tmp_path / "state.safetensors", "checkpoint_minutes": 1e-9}
    with pytest.raises(KilledError):
        fit(steps, **kept)
    with pytest.raises(KilledError):
        fit(2, **kept)  # so few that only a training that goes on ends
    assert kept["checkpoint"].exists()
    found = fit(30 - steps - 1, **kept)
    assert same(expected, found)
    assert found.history_ == expected.history_


@pytest.mark.filterwarnings("ignore:collapse")
def test_the_checkpoint_of_other_data_or_settings_is_refused(cohort, small, tmp_path) -> None:
    path = tmp_path / "state.safetensors"
    encoder(small, checkpoint=path).fit(cohort.X)
    with pytest.raises(ValueError, match=r"another training: data is '\w+' there and '\w+' here"):
        encoder(small, checkpoint=path).fit(cohort.X + 1)
    with pytest.raises(ValueError, match=r"learning_rate is 0\.001 there and 0\.002 here"):
        encoder(small, checkpoint=path, learning_rate=2e-3).fit(cohort.X)
    with pytest.raises(ValueError, match="pass a random_state"):
        SelfSupervisedEncoder(**small, checkpoint=path).fit(cohort.X)


def test_predictions_and_embeddings_do_not_depend_on_where_the_rows_are(cohort, small, stored) -> None:
    adata = ad.AnnData(cohort.X, obs=stored.obs, var=pd.DataFrame(index=stored.genes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained = pretrain_encoder(stored, encoder(small), Preparation())
        options = {name: small[name] for name in ("encoder_options", "device")}
        classifier = FineTunedClassifier(**options, random_state=0).fit(cohort.X, cohort.y)
    description = {"features": stored.genes, "units": "log"}
    assert trained.features == stored.genes
    assert trained.facts["training_data"]["n_samples"] == 90
    for model, apply in ((trained.model, embed_samples), (classifier, embed_samples), (classifier, predict_samples)):
        saved = SavedModel(model, description)
        (from_disk, disk_notes), (in_memory, notes) = apply(saved, stored), apply(saved, adata)
        assert disk_notes == notes
        if apply is predict_samples:
            pd.testing.assert_frame_equal(from_disk, in_memory, check_exact=True)
        else:
            np.testing.assert_array_equal(from_disk.X, in_memory.X)


def test_a_stream_for_prediction_does_not_train(small, stored) -> None:
    from oligolearn.data import align_stream

    with pytest.raises(ValueError, match="make it with prepare_stream"):
        encoder(small).fit_stream(align_stream(stored, stored.genes, units="log"))
