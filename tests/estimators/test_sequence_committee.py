"""Networks with different encoders in one model of sequences: how they are chosen, saved, and started from."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax

from oligolearn import SequenceClassifier, SequenceRegressor
from oligolearn.estimators import load_model, save_model
from oligolearn.estimators.sequence_choice import _taken
from oligolearn.estimators.sequence_networks import outputs

QUICK = {"n_members": 3, "epochs": 8, "min_steps": 120, "batch_size": 32, "random_state": 0, "device": "cpu"}
MOTIF = "TGACGTAA"


def two_reasons(n: int, length: int = 40) -> tuple[list[str], np.ndarray]:
    """Half of the rows differ by where a motif stands, half by which of 12 words each sequence has."""
    rng = np.random.default_rng(0)
    words = ["".join(word) for word in rng.choice(list("ACGT"), (12, 6))]
    y = np.arange(n) % 2
    X = []
    for i, text in enumerate("".join(row) for row in rng.choice(list("ACGT"), (n, length))):
        if i % 4 < 2:
            at, word = 16 if y[i] else int(rng.choice([1, 5, 27, 31])), MOTIF
        else:
            at, word = int(rng.integers(length - 6)), words[int(rng.integers(6)) + 6 * y[i]]
        X.append(text[:at] + word + text[at + len(word) :])
    return X, y


@pytest.fixture(scope="module")
def mixed() -> SequenceClassifier:
    X, y = two_reasons(600)
    return SequenceClassifier(both_strands=False, **QUICK).fit(X, y)


def test_encoders_that_know_different_things_are_taken_together(mixed):
    chosen = mixed.training_["encoder_chosen"]
    names = chosen.split(" + ")
    assert len(names) > 1
    assert "positions" in names
    assert mixed.choice_[chosen] < min(loss for name, loss in mixed.choice_.items() if name != chosen)
    assert len(mixed.recipes_) == len(mixed.module_) == 3
    assert len({recipe.encoder for recipe in mixed.recipes_}) > 1
    X, _ = two_reasons(40)
    logits = np.stack([outputs(*one) for one in zip(mixed.module_, [_codes(X)] * 3, mixed.recipes_, strict=True)])
    np.testing.assert_allclose(mixed.predict_proba(X), softmax(logits, axis=2).mean(axis=0))


def _codes(X):
    from oligolearn.data import encode_sequences

    return encode_sequences(X)


def test_such_a_model_is_saved_and_read(mixed, tmp_path):
    X, _ = two_reasons(9)
    save_model(mixed, tmp_path / "model")
    read = load_model(tmp_path / "model").model
    np.testing.assert_array_equal(read.predict_proba(X), mixed.predict_proba(X))
    assert [one.encoder for one in read.recipes_] == [one.encoder for one in mixed.recipes_]
    assert read.choice_ == mixed.choice_
    for i, one in enumerate(mixed.recipes_):
        same = [other is one for other in mixed.recipes_]
        assert [other is read.recipes_[i] for other in read.recipes_] == same, "networks built alike share a recipe"


def test_each_network_starts_from_the_one_of_its_own_kind(mixed, tmp_path):
    X, _ = two_reasons(60)
    save_model(mixed, tmp_path / "model")
    for given in (mixed, tmp_path / "model"):
        quick = {**QUICK, "n_members": 4, "epochs": 1, "min_steps": 1, "learning_rate": 1e-12}
        started = SequenceRegressor(pretrained=given, **quick).fit(X, np.arange(60.0))
        assert [one.encoder for one in started.recipes_] == [mixed.recipes_[i].encoder for i in (0, 1, 2, 0)]
        for mine, theirs in zip(started.module_, [*mixed.module_, mixed.module_[0]], strict=True):
            for a, b in zip(mine.encoder.parameters(), theirs.encoder.parameters(), strict=True):
                assert torch.allclose(a, b, atol=1e-6)


def test_the_best_alone_where_there_is_one_network():
    X, y = two_reasons(240)
    quick = {**QUICK, "n_members": 1, "epochs": 1, "min_steps": 20}
    model = SequenceClassifier(both_strands=False, **quick).fit(X, y)
    assert set(model.choice_) == {"positions", "anywhere", "words"}
    assert model.training_["encoder_chosen"] == min(model.choice_, key=model.choice_.get)


def test_what_helps_the_mean_most_is_taken_next():
    target = np.array([1.0, 2.0, 3.0, 4.0])
    errors = {"a": [0.4, -0.4, 0.0, 0.0], "b": [0.0, 0.0, 1.0, 1.0], "c": [-0.5, 0.5, 0.1, 0.1], "d": [3, 3, 3, 3]}
    found = {name: target + np.array(one) for name, one in errors.items()}

    def loss(together):
        return float(np.mean((np.mean(together, axis=0) - target) ** 2))

    assert _taken(found, "a", loss, 3) == (["a", "c"], pytest.approx(loss([found["a"], found["c"]])))
    assert _taken(found, "a", loss, 1)[0] == ["a"]
    assert _taken({"a": found["a"], "d": found["d"]}, "a", loss, 3)[0] == ["a"]


@pytest.mark.parametrize("several", [False, True])
def test_the_pool_has_the_mean_probability(several, monkeypatch):
    """The loss of the choice is of the average that the model predicts with, also where a network is sure."""
    from oligolearn.estimators import sequence_classifier

    seen = {}

    def prepare(*given):
        seen["pool"] = given[-1]
        raise StopIteration

    monkeypatch.setattr(sequence_classifier, "prepare", prepare)
    y = np.array([[0, 1], [1, 0], [1, 1]] * 4) if several else np.arange(12) % 3
    with pytest.raises(StopIteration):
        SequenceClassifier().fit(["ACGT"] * 12, y)
    logits = np.random.default_rng(0).normal(scale=3, size=(4, 5, 3))
    if several:
        expected = logit(expit(logits).mean(axis=0))
        np.testing.assert_allclose(seen["pool"](logits), expected)
    else:
        expected = softmax(logits, axis=2).mean(axis=0)
        np.testing.assert_allclose(np.exp(seen["pool"](logits)), expected)
    assert np.isfinite(seen["pool"](logits * 1e3)).all()
