"""A tuning of networks on sequences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from oligolearn.data import encode_sequences
from oligolearn.study import sequence_tuning, tune_sequences
from oligolearn.study.sequence_settings import sequence_space
from oligolearn.study.sequence_tuning import SequenceBench

pytest.importorskip("optuna")

SMALL = ["n_filters=2:4,width=3:6,encoder=motif-cnn|multi-scale-cnn"]
TINY = {"training": {"epochs": 1, "min_steps": 3}, "repeats": 1, "at_once": 2, "progress": False, "workers": 1}


def draw(n=80, length=20):
    texts = ["".join(row) for row in np.random.default_rng(0).choice(list("ACGT"), (n, length))]
    sequences = encode_sequences([text[:6] + "TGACGT" + text[12:] if i % 2 else text for i, text in enumerate(texts)])
    return replace(sequences, obs=sequences.obs.assign(y=np.array(["free", "bound"])[np.arange(n) % 2]))


def trials_of(tuned):
    return tuned.trials.drop(columns="seconds")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tune_sequences(draw(), "y", out=tmp_path_factory.mktemp("tuned") / "o", trials=4, search=SMALL, **TINY)


def test_encoder_and_its_settings_are_searched_and_the_best_can_be_trained(finished):
    table = finished.trials
    assert len(table) == 4
    assert set(table.encoder) <= {"motif-cnn", "multi-scale-cnn"}
    assert table.n_filters.between(2, 4).all()
    assert table.n_filters.dtype.kind == "i"
    assert set(finished.best["settings"]) == {
        "encoder",
        "learning_rate",
        "batch_size",
        "dropout",
        "n_filters",
        "width",
        "pooling",
        "encoder_dropout",
    }
    (command,) = finished.best["commands"]
    assert command[:3] == ["train", "--label", "y"]
    assert command[command.index("--settings") + 1] == "best.json"
    assert len(finished.best["test"]["best"]) == 1


def test_the_test_is_made_once_and_more_trials_go_on(finished, tmp_path, monkeypatch):
    parts = []
    original = SequenceBench.try_all

    def noted(bench, choices, part, *, workers):
        parts.append(part)
        return original(bench, choices, part, workers=workers)

    monkeypatch.setattr(SequenceBench, "try_all", noted)
    first = tune_sequences(draw(), "y", out=tmp_path / "o", trials=2, search=SMALL, **TINY)
    assert parts == ["validation", "test"]
    more = tune_sequences(draw(), "y", out=tmp_path / "o", trials=4, search=SMALL, **TINY)
    assert parts == ["validation", "test", "validation"]
    assert more.best["test"] == first.best["test"]
    pd.testing.assert_frame_equal(trials_of(finished), trials_of(more), check_exact=True)


def test_the_search_never_looks_at_test_sequences(finished, tmp_path, monkeypatch):
    seen = []
    original = sequence_tuning.SequenceCohort.values

    def noted(cohort, rows, genes=None):
        seen.append(set(np.asarray(rows).tolist()))
        return original(cohort, rows, genes)

    monkeypatch.setattr(sequence_tuning.SequenceCohort, "values", noted)
    design = []
    monkeypatch.setattr(
        sequence_tuning, "Plan", lambda bench, *a, **k: design.append(bench) or original_plan(bench, *a, **k)
    )
    tune_sequences(draw(), "y", out=tmp_path / "o", trials=2, search=SMALL, test=False, **TINY)
    test = set(design[0].rows("test").tolist())
    assert test
    assert seen
    assert not any(rows & test for rows in seen)


original_plan = sequence_tuning.Plan


@pytest.mark.parametrize(
    ("asked", "given", "said"),
    [
        (["colour=1:2"], {}, "no setting 'colour'"),
        (["width=3:5", "width=4:6"], {}, "names width twice"),
        (["dropout=0:2"], {}, "dropout must be"),
        (["epochs=3:9"], {"epochs": 5}, "epochs, which is fixed by another option"),
        (["encoder=cnn"], {}, "encoder must be one of motif-cnn"),
        (["width=3:5"], {"encoder": "cnn"}, "unknown encoder 'cnn'"),
        (["cell=gru|lstm"], {"encoder": "motif-cnn"}, "motif-cnn has no setting 'cell'"),
    ],
)
def test_ranges_that_cannot_be_used_are_one_line(asked, given, said):
    with pytest.raises(ValueError, match=said):
        sequence_space(asked, given, aligned=True)


def test_places_are_kept_apart_only_where_they_mean_the_same():
    assert "positions" in str(sequence_space([], {}, aligned=True)["pooling"])
    assert "positions" not in str(sequence_space([], {}, aligned=False)["pooling"])
