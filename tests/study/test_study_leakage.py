"""What a study learns does not depend on the rows it is tested on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from oligolearn.saving import Bundle, save_bundle
from oligolearn.study import design, jobs
from oligolearn.study.cohort import Cohort
from oligolearn.study.design import Design, Run, draw_repeat
from oligolearn.study.methods import METHODS

SMALL = {"encoder_options": {"hidden": (12, 6)}, "epochs": 2, "min_steps": 20, "batch_size": 16}
DESIGN = Design("kind", fractions=(0.5,), repeats=2, top_genes=15, pretraining=SMALL, training=SMALL)
CHANGES = {"a thousand times larger": lambda x: 1000 * x, "missing": lambda x: np.full_like(x, np.nan)}


def cohort(folder: Path, held_out: Any = None, change: Any = None) -> Cohort:
    """80 samples of 40 patients, ten without label; the rows `held_out` changed."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40) % 2, 2)
    X = rng.normal(size=(80, 30)) * np.linspace(1, 3, 30) + 2 * y[:, None] * rng.normal(size=30)
    X = (X + 7).astype(np.float32)
    if held_out is not None:
        X[held_out] = change(X[held_out])
    y[rng.choice(80, 10, replace=False)] = -1
    folder.mkdir()
    np.save(folder / "matrix.npy", X)
    return Cohort(folder / "matrix.npy", y, np.repeat(np.arange(40), 2))


def pretrained(data: Cohort, method: str) -> Bundle:
    """The encoder of the first repeat, pretrained beside that of the second."""
    return jobs.pretrain(DESIGN, data, [0, 1], method)[0].bundle


def train(data: Cohort, method: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Carry out two runs together as a study does; return the fitted model of the first repeat."""
    fitted: list[Any] = []

    def fit(tasks: Any) -> Any:
        assert [task.values().shape[1] for task in tasks] == [15, 15]
        fitted.extend(METHODS[method].fit(tasks))
        return fitted

    monkeypatch.setattr(design, "METHODS", {method: METHODS[method]._replace(fit=fit)})
    encoders = []
    if METHODS[method].objective:
        encoders = [folder / f"encoder-{repeat}" for repeat in (0, 1)]
        for path, made in zip(encoders, jobs.pretrain(DESIGN, data, [0, 1], method), strict=True):
            save_bundle(path, made.bundle)
    jobs.carry_out(DESIGN, data, [Run(repeat, 0.5, 20, method) for repeat in (0, 1)], encoders)
    assert len(fitted) == 2
    if method != "auto":  # which may choose either kind
        assert fitted[0].how == ("stacked" if METHODS[method].network else "")
    return fitted[0].model


def values(data: Cohort) -> NDArray[np.float32]:
    """All rows with the genes of the first repeat."""
    return np.load(data.matrix)[:, jobs.drawn_rows(DESIGN, data, 0)[1]]


def rows_of(data: Cohort) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that are learned from, and those that are not: test, validation, and their unlabelled relatives."""
    split = draw_repeat(DESIGN, data.y, data.groups, 0).split
    others = np.setdiff1d(np.arange(80), split.pretrain)
    assert set(split.test) | set(split.validation) < set(others), "there is an unlabelled relative of a test row"
    return split.pretrain, others


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("method", [*METHODS, "swav+self-trained", "swav+frozen", "swav+whitened"])
def test_held_out_values_change_no_prediction_for_other_rows(
    method: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = cohort(tmp_path / "plain")
    learned_from, others = rows_of(plain)
    changed = cohort(tmp_path / "changed", others, CHANGES[change])
    models = [
        train(data, method, folder, monkeypatch)
        for data, folder in ((plain, tmp_path / "plain"), (changed, tmp_path / "changed"))
    ]
    X = values(plain)[learned_from]
    assert np.array_equal(X, values(changed)[learned_from]), "the same genes are kept"
    first, second = (model.predict_proba(X) for model in models)
    # auto may train a network beside that of the other repeat or alone, which differs by rounding
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-6 if method == "auto" else 0, equal_nan=False)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].objective])
def test_held_out_values_change_no_pretrained_weight(method: str, tmp_path: Path) -> None:
    plain = cohort(tmp_path / "plain")
    _, others = rows_of(plain)
    changed = cohort(tmp_path / "changed", others, CHANGES["a thousand times larger"])
    first, second = (pretrained(data, method) for data in (plain, changed))
    assert first.description["scaling"] == second.description["scaling"]
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].objective])
def test_pretraining_sees_no_labels(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = cohort(tmp_path / "plain")
    draw = draw_repeat(DESIGN, plain.y, plain.groups, 0)
    monkeypatch.setattr(design, "draw_repeat", lambda *_: draw)  # the split does look at labels
    flipped = plain.y.copy()
    flipped[draw.split.train] = 1 - flipped[draw.split.train]
    first, second = (pretrained(data, method).weights for data in (plain, plain._replace(y=flipped)))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", [*METHODS, "swav+self-trained", "swav+frozen", "swav+whitened"])
def test_labels_that_are_not_shown_change_nothing(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows beyond the first 20 of the order serve without their labels."""
    plain = cohort(tmp_path / "plain")
    draw = draw_repeat(DESIGN, plain.y, plain.groups, 0)
    hidden = plain.y.copy()
    hidden[draw.order[20:]] = 1 - hidden[draw.order[20:]]
    monkeypatch.setattr(design, "draw_repeat", lambda *_: draw)
    X = values(plain)
    first = train(plain, method, tmp_path, monkeypatch).predict_proba(X)
    (tmp_path / "again").mkdir()
    second = train(plain._replace(y=hidden), method, tmp_path / "again", monkeypatch).predict_proba(X)
    assert np.array_equal(first, second)
