"""Classifiers of several labels at once: what they learn, and that unknown labels teach nothing."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from oligolearn import SequenceClassifier
from oligolearn.data import encode_sequences
from oligolearn.estimators import LabelColumns, load_model, predict_sequences, save_model, train_on_sequences
from oligolearn.estimators.metrics import score_labels
from oligolearn.estimators.sequence_input import hold_out, rarest_label
from oligolearn.estimators.sequence_replicas import train_all

MOTIFS = ("TGACGTAA", "CCATTGGC")
SMALL = {"n_filters": 16, "width": 10, "hidden": 16}
QUICK = {"n_members": 2, "min_steps": 200, "batch_size": 32, "learning_rate": 0.01, "dropout": 0.1}
QUICK |= {"random_state": 0, "device": "cpu"}


def planted(n: int, seed: int = 0, length: int = 40) -> tuple[list[str], np.ndarray]:
    """Each motif stands in half of the sequences, whether the other does or not."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, 2))
    texts = []
    for row in y:
        letters = rng.choice(list("ACGT"), length)
        for motif, there, start in zip(MOTIFS, row, (0, length // 2), strict=True):
            at = start + int(rng.integers(length // 2 - len(motif)))
            if there:
                letters[at : at + len(motif)] = list(motif)
        texts.append("".join(letters))
    return texts, y


def model(**settings) -> SequenceClassifier:
    return SequenceClassifier("motif-cnn", encoder_options=SMALL, **{**QUICK, **settings})


@pytest.fixture(scope="module")
def fitted() -> SequenceClassifier:
    return model().fit(*planted(300))


def test_each_label_is_learned_for_itself(fitted):
    X, y = planted(200, seed=5)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (200, 2)
    assert fitted.classes_.tolist() == [0, 1]
    assert fitted.multilabel_
    for i in range(2):
        assert roc_auc_score(y[:, i], probabilities[:, i]) > 0.9
    np.testing.assert_array_equal(fitted.predict(X), probabilities > 0.5)
    assert len({tuple(row) for row in fitted.predict(X)}) == 4, "both, one or none"
    assert fitted.score(X, y) > 0.6


def test_probabilities_are_means_of_sigmoids_over_the_networks(fitted):
    X = planted(5, seed=6)[0]
    codes = fitted.recipes_[0].codes(encode_sequences(X), np.arange(5))
    with torch.no_grad():
        each = [torch.sigmoid(network.double()(codes)).numpy() for network in fitted.module_]
    for network in fitted.module_:
        network.float()
    np.testing.assert_allclose(fitted.predict_proba(X), np.mean(each, axis=0), atol=1e-12)


def test_what_is_not_known_of_a_label_changes_nothing():
    """A label that is known of some sequences is learned from these, as if the others were not there."""
    X, y = planted(240, seed=1)
    partly = y.astype(float)
    partly[120:, 1] = np.nan
    test, truth = planted(200, seed=8)
    p = model(n_members=1).fit(X, partly).predict_proba(test)
    assert roc_auc_score(truth[:, 0], p[:, 0]) > 0.9
    assert roc_auc_score(truth[:, 1], p[:, 1]) > 0.8
    none = partly.copy()
    none[:40] = np.nan
    np.testing.assert_array_equal(
        model(n_members=1, epochs=1, min_steps=5).fit(X, none).predict_proba(test),
        model(n_members=1, epochs=1, min_steps=5).fit(X[40:], none[40:]).predict_proba(test),
    )


def test_tables_sparse_matrices_and_lists_are_the_same():
    X, y = planted(60, seed=2)
    quick = {"n_members": 1, "epochs": 1, "min_steps": 5}
    expected = model(**quick).fit(X, y).predict_proba(X)
    named = model(**quick).fit(X, pd.DataFrame(y, columns=["kinase", "membrane"]).astype("Int64"))
    assert named.classes_.tolist() == ["kinase", "membrane"]
    for other in (named, model(**quick).fit(X, csr_array(y)), model(**quick).fit(X, y.tolist())):
        np.testing.assert_array_equal(other.predict_proba(X), expected)


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    X = planted(30, seed=3)[0]
    save_model(fitted, tmp_path / "m")
    saved = load_model(tmp_path / "m")
    np.testing.assert_allclose(saved.model.predict_proba(X), fitted.predict_proba(X), atol=1e-12)
    table = predict_sequences(saved, encode_sequences(X))
    assert list(table.columns) == ["prediction", "probability_0", "probability_1"]
    expected = [";".join(str(i) for i in np.flatnonzero(row)) for row in fitted.predict(X)]
    assert table.prediction.tolist() == expected


def test_one_label_stands_for_itself_with_the_same_probabilities(fitted):
    X = planted(40, seed=4)[0]
    for i in range(2):
        one = fitted.for_label(i)
        assert one.classes_.tolist() == [f"not {i}", str(i)]
        np.testing.assert_allclose(one.predict_proba(X)[:, 1], fitted.predict_proba(X)[:, i], atol=1e-12)
    with pytest.raises(ValueError, match="knows no label '7'; its labels are 0, 1"):
        fitted.for_label(7)
    with pytest.raises(ValueError, match="learned one label, not several"):
        fitted.for_label(1).for_label(1)


def test_balanced_weights_raise_a_rare_label():
    X, y = planted(300, seed=9)
    rare = y.copy()
    rare[np.flatnonzero(y[:, 1])[20:], 1] = 0  # noise, so that the label is not certain anywhere
    quick = {"n_members": 1, "epochs": 2, "min_steps": 100}
    plain, balanced = (
        model(class_weight=weight, **quick).fit(X, rare).predict_proba(X) for weight in (None, "balanced")
    )
    assert balanced[:, 1].mean() > 2 * plain[:, 1].mean()
    assert plain[:, 1].mean() < 0.2


def test_the_choice_of_the_encoder_and_early_stopping_work_on_several_labels():
    X, y = planted(220, seed=10)
    chosen = SequenceClassifier(n_members=1, epochs=1, min_steps=10, random_state=0, device="cpu").fit(X, y)
    assert {"positions", "anywhere", "words", "both strands"} < set(chosen.choice_)
    stopped = model(early_stopping=True, n_members=1, epochs=3, min_steps=10).fit(X, y)
    assert stopped.predict_proba(X).shape == (220, 2)


def test_held_out_rows_have_rare_labels_and_no_group_is_on_both_sides():
    rng = np.random.default_rng(0)
    y = np.column_stack([rng.random(400) < 0.6, np.arange(400) % 40 == 0]).astype(np.float32)
    groups = np.arange(400) // 2
    train, held_out = hold_out(y, groups, 0.2, 0)
    assert not set(groups[train]) & set(groups[held_out])
    assert 1 <= y[held_out, 1].sum() <= 4
    assert rarest_label(np.array([[1, 1], [1, 0], [np.nan, 0], [1, 0]])).tolist() == [1, 0, 2, 0]


def test_replicas_of_several_labels_end_where_separate_trainings_end():
    X, y = planted(24, seed=11)
    prepared = []
    for seed in range(2):
        values = y.astype(float)
        values[seed, 0] = np.nan
        one = model(random_state=seed, n_members=1, epochs=1, min_steps=8, batch_size=8)
        for training in one._prepare(X, values, None).trainings:
            exact = training.task._replace(loss=lambda *given, own=training.task.loss: own(*given).double())
            prepared.append(training._replace(task=exact))
    assert prepared[0].is_like(prepared[1])
    other = model(n_members=1, epochs=1, min_steps=8, batch_size=8)._prepare(X, y[:, 0], None).trainings[0]
    assert not prepared[0].is_like(other), "two labels and two classes have another loss"
    together, alone = train_all(prepared, stacked=True), train_all(prepared, stacked=False)
    assert {one.how for one in together} == {"stacked"}
    for a, b in zip(together, alone, strict=True):
        for name, value in a.result.network.state_dict().items():
            torch.testing.assert_close(value, b.result.network.state_dict()[name], rtol=1e-7, atol=1e-7)


def test_scores_are_those_of_scikit_learn_over_what_is_known():
    rng = np.random.default_rng(0)
    y = (rng.random((50, 3)) < [0.5, 0.2, 0.7]).astype(float)
    y[rng.random((50, 3)) < 0.2] = np.nan
    p = rng.random((50, 3)).round(1)
    found = score_labels(["a", "b", "c"], y, p)
    for i, name in enumerate("abc"):
        known = ~np.isnan(y[:, i])
        assert found["labels"][name] == {
            "auroc": pytest.approx(roc_auc_score(y[known, i], p[known, i])),
            "average_precision": pytest.approx(average_precision_score(y[known, i], p[known, i])),
            "n_known": known.sum(),
            "n_with": (y[:, i] == 1).sum(),
        }
    assert found["auroc"] == pytest.approx(np.mean([one["auroc"] for one in found["labels"].values()]))


def test_training_on_a_file_scores_each_label_on_groups_it_has_not_seen():
    X, y = planted(120, seed=12)
    sequences = encode_sequences([*X, *X[:20]])
    sequences.obs["a"], sequences.obs["b"] = np.concatenate([y, y[:20]]).T
    sequences.obs["group"] = [f"g{i % 30}" for i in range(140)]
    settings = {"encoder": "motif-cnn", "encoder_options": SMALL, **QUICK, "n_members": 1}
    trained = train_on_sequences(sequences, LabelColumns("a,b", "group"), settings, n_folds=3)
    metrics = trained.facts["metrics"]
    assert metrics["note"] == "3-fold cross-validation of 140 labelled sequences, means over 2 labels"
    assert set(metrics["labels"]) == {"a", "b"}
    assert metrics["auroc"] > 0.7
    assert trained.model.classes_.tolist() == ["a", "b"]
    again = train_on_sequences(sequences, LabelColumns("a,b", "group"), settings, n_folds=3)
    assert again.facts == trained.facts


def test_it_works_in_cross_validation_of_scikit_learn():
    X, y = planted(60, seed=13)
    quick = model(n_members=1, epochs=1, min_steps=5)
    assert cross_val_predict(quick, np.array(X, dtype=object), y, cv=2).shape == (60, 2)


@pytest.mark.parametrize(
    ("y", "settings", "expected"),
    [
        ([[1, 2], [0, 1]], {}, "must hold 1, 0, or NaN where a label is not known, found 2"),
        ([["a", "b"], ["b", "a"]], {}, "must hold 1, 0, or NaN where a label is not known, found 'a'"),
        ([[1, 0], [1, 0]], {}, "y has no label that some rows have"),
        ([[1, 0], [0, 1], [1, 1]], {}, "as many rows, found 2 and 3"),
        ([[1, 0], [0, 1]], {"class_weight": {0: 1, 1: 2}}, "must be None or 'balanced'"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line(y, settings, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        model(**settings).fit(["ACGTACGT", "ACGGACGG"], y)
    assert "\n" not in str(caught.value)
