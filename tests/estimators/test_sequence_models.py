"""Classifier and regressor of sequences: what they learn, keep, refuse."""

import json
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from oligolearn import SequenceClassifier, SequenceRegressor
from oligolearn.data import PaddingRule, encode_sequences
from oligolearn.estimators import KmerEmbedding, load_model, save_model
from oligolearn.estimators.sequence_fitting import TruncationWarning
from oligolearn.estimators.sequence_input import hold_out, independent_groups
from oligolearn.nn import MotifCNN

MOTIF, TURNED = "TGACGTAA", "TTACGTCA"
ANYWHERE = {"anywhere", "words", "both strands", "words of both strands"}
QUICK = {"n_members": 1, "epochs": 6, "min_steps": 120, "batch_size": 32, "random_state": 0, "device": "cpu"}
SMALL = {"n_filters": 16, "width": 10, "hidden": 16}


def draw(n: int, length: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list("ACGT"), (n, length))]


def planted(n: int, length: int, seed: int = 0, *, strands: bool = False) -> tuple[list[str], list[str]]:
    """Every second sequence has a motif somewhere, on either strand where asked."""
    rng = np.random.default_rng(seed + 1)
    texts, labels = draw(n, length, seed), []
    for i, text in enumerate(texts):
        labels.append("bound" if i % 2 else "free")
        if i % 2:
            at = int(rng.integers(length - len(MOTIF)))
            motif = TURNED if strands and rng.uniform() < 0.5 else MOTIF
            texts[i] = text[:at] + motif + text[at + len(motif) :]
    return texts, labels


@pytest.fixture(scope="module")
def fitted() -> SequenceClassifier:
    X, y = planted(240, 40)
    return SequenceClassifier("motif-cnn", encoder_options=SMALL, **{**QUICK, "n_members": 2}).fit(X, y)


@pytest.mark.filterwarnings("ignore:.* longer than the 40 letters")
def test_a_motif_is_found_wherever_it_stands_in_sequences_of_any_length(fitted):
    for length in (25, 40, 60):
        X, y = planted(200, length, seed=7)
        assert np.mean(fitted.predict(X) == y) > 0.8


@pytest.mark.filterwarnings("ignore:.* longer than the 40 letters")
def test_probabilities_are_means_over_the_networks_and_do_not_depend_on_the_company(fitted):
    X = [*draw(7, 40, seed=3), MOTIF, "ACG" * 20]
    together = fitted.predict_proba(X)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    alone = np.concatenate([fitted.predict_proba([text]) for text in X])
    np.testing.assert_allclose(together, alone, atol=1e-9)
    codes = torch.from_numpy(encode_sequences(X[:7]).padded())
    members = [network(codes).double().softmax(1).detach().numpy() for network in fitted.module_]
    np.testing.assert_allclose(together[:7], np.mean(members, axis=0), atol=1e-5)
    assert not np.allclose(members[0], members[1])


def test_texts_arrays_columns_and_sequences_are_the_same(fitted):
    X = draw(5, 40, seed=4)
    expected = fitted.predict_proba(X)
    column = pd.DataFrame({"sequence": X})
    for same in (np.array(X), np.array(X, dtype=object), column["sequence"], column, encode_sequences(X)):
        np.testing.assert_array_equal(fitted.predict_proba(same), expected)
    np.testing.assert_array_equal(fitted.predict_proba([text.lower().replace("t", "u") for text in X]), expected)


def test_the_seed_decides_and_another_gives_another_network():
    X, y = planted(80, 30)
    model = SequenceClassifier("motif-cnn", encoder_options=SMALL, **{**QUICK, "min_steps": 10, "epochs": 2})
    first, again = (clone(model).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, clone(model).set_params(random_state=1).fit(X, y).predict_proba(X))


def test_unlabelled_sequences_are_left_out():
    X, y = planted(80, 30)
    model = SequenceClassifier("motif-cnn", encoder_options=SMALL, **{**QUICK, "min_steps": 10, "epochs": 2})
    expected = clone(model).fit(X, y).predict_proba(X)
    found = clone(model).fit([*X, *draw(20, 30, seed=9)], [*y, *[None] * 20]).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


def test_class_weights_shift_the_decision():
    X, y = planted(200, 30)
    y = [label if np.random.default_rng(i).uniform() < 0.7 else "free" for i, label in enumerate(y)]
    quick = {**QUICK, "label_smoothing": 0.0}
    shares = [
        np.mean(
            SequenceClassifier("motif-cnn", encoder_options=SMALL, class_weight=w, **quick).fit(X, y).predict(X)
            == "bound"
        )
        for w in ({"bound": 0.05, "free": 1.0}, None, {"bound": 20.0, "free": 1.0})
    ]
    assert shares[0] < shares[1] < shares[2]


def test_the_choice_keeps_positions_where_they_matter():
    """Half of the sequences have a motif in the middle, the others the same motif elsewhere."""
    texts, y = draw(600, 40), np.arange(600) % 2
    rng = np.random.default_rng(1)
    places = np.where(y == 1, 16, rng.choice([2, 6, 26, 30], 600))
    X = [text[:at] + MOTIF + text[at + 8 :] for text, at in zip(texts, places, strict=True)]
    model = SequenceClassifier(**QUICK).fit(X[:500], y[:500])
    assert set(model.choice_) == {"positions", *ANYWHERE}
    assert min(model.choice_, key=model.choice_.get) == model.training_["encoder_chosen"] == "positions"
    assert np.mean(model.predict(X[500:]) == y[500:]) > 0.9


def test_sequences_of_different_lengths_or_of_protein_have_fewer_candidates():
    lengths = np.random.default_rng(0).integers(20, 40, 220)
    X = [text[:n] for text, n in zip(draw(220, 40), lengths, strict=True)]
    y = np.arange(220) % 2
    quick = {**QUICK, "epochs": 1, "min_steps": 2}
    assert set(SequenceClassifier(**quick).fit(X, y).choice_) == ANYWHERE
    assert SequenceClassifier(both_strands=True, **quick).fit(X, y).recipes_[0].both_strands
    protein = SequenceClassifier(**quick).fit([text.replace("A", "W").replace("T", "L") for text in X], y)
    assert (set(protein.choice_), protein.recipes_[0].alphabet.name) == ({"anywhere", "words"}, "protein")
    few = SequenceClassifier(**quick).fit(X[:50], y[:50])
    assert few.choice_ == {}


def test_the_choice_counts_words_where_many_weak_ones_tell():
    """Of 40 words each sequence has two, of its class or, by chance, of the other; each by itself says little."""
    rng = np.random.default_rng(0)
    words = ["".join(word) for word in rng.choice(list("ACGT"), (40, 6))]
    texts, y = draw(900, 60), np.arange(900) % 2
    X = []
    for text, label in zip(texts, y, strict=True):
        own = label if rng.random() < 0.9 else 1 - label
        (one, other), (at, there) = rng.choice(20, 2) + 20 * own, rng.choice(24, 2)
        X.append(text[:at] + words[one] + text[at + 6 : 30 + there] + words[other] + text[36 + there :])
    model = SequenceClassifier(both_strands=False, **{**QUICK, "epochs": 12}).fit(X[:600], y[:600])
    assert model.training_["encoder_chosen"] == "words"
    assert np.mean(model.predict(X[600:]) == y[600:]) > 0.65


def test_with_both_strands_a_sequence_and_its_reverse_complement_are_the_same():
    X, y = planted(200, 40, strands=True)
    model = SequenceClassifier("motif-cnn", encoder_options=SMALL, both_strands=True, **QUICK).fit(X, y)
    new = [*draw(6, 40, seed=5), "ACGTTGNNRA"]
    turned = [text[::-1].translate(str.maketrans("ACGTR", "TGCAY")) for text in new]
    np.testing.assert_allclose(model.predict_proba(new), model.predict_proba(turned), atol=1e-7)


def test_no_copy_and_no_group_is_on_both_sides_of_a_hold_out():
    X = [*draw(60, 30), *draw(60, 30)[:40]]
    sequences = encode_sequences(X)
    y = np.arange(100) % 2
    patients = np.arange(100) // 3
    for groups in (None, patients):
        owners = independent_groups(sequences, groups)
        train, held_out = hold_out(y, owners, 0.2, 0)
        assert not {X[i] for i in train} & {X[i] for i in held_out}
        if groups is not None:
            assert not set(patients[train]) & set(patients[held_out])
    train, held_out = hold_out(np.arange(100) // 2, np.arange(100), 0.2, 0)
    assert (len(train), len(held_out)) == (80, 20), "also where each class has two rows"
    with pytest.raises(ValueError, match="needs at least 9 different sequences or groups, found 3"):
        hold_out(y[:6], np.arange(6) // 2, 0.2, 0)


@pytest.mark.parametrize("n_owners", [3, 4, 7, 8, 9])
def test_an_encoder_can_be_chosen_where_groups_are_few(n_owners):
    X, y = planted(210, 20)
    model = SequenceClassifier(n_members=1, epochs=1, min_steps=2, random_state=0, device="cpu")
    assert len(model.fit(X, y, np.arange(210) % n_owners).choice_) > 1


def test_a_group_of_most_rows_trains():
    y = np.arange(400) % 2
    for n_owners in (14, 40):
        groups = np.where(np.arange(400) < 280, 0, 1 + np.arange(400) % (n_owners - 1))
        for seed in range(3):
            with pytest.warns(UserWarning, match="of the rows are held out in place of 20%"):
                train, held_out = hold_out(y, groups, 0.2, seed)
            assert 20 < len(held_out) < 120 == 400 - 280
            assert set(range(280)) <= set(train)
            assert set(y[train]) == {0, 1}


def test_the_share_that_is_held_out_is_the_one_asked_for():
    for fraction in (0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5):
        _, held_out = hold_out(np.arange(2000) % 2, np.arange(2000), fraction, 0)
        assert abs(len(held_out) / 2000 - fraction) < 0.01


def test_sequences_that_are_read_alike_are_on_one_side():
    heads, tails = draw(30, 50), draw(90, 40, seed=1)
    sequences = encode_sequences([heads[i // 3] + tail for i, tail in enumerate(tails)])
    assert len(np.unique(independent_groups(sequences, None))) == 90
    owners = independent_groups(sequences, None, PaddingRule(50))
    assert owners.tolist() == (np.arange(90) // 3).tolist()


def test_letters_that_are_left_out_in_training_are_told_of():
    X, y = planted(40, 30)
    long = [text * 100 for text in X]
    with pytest.warns(TruncationWarning, match=r"40 of 40 sequences are longer than the 2,000 letters"):
        SequenceClassifier("motif-cnn", encoder_options=SMALL, **{**QUICK, "epochs": 1, "min_steps": 1}).fit(long, y)


def test_early_stopping_keeps_the_best_epoch():
    X, y = planted(120, 30)
    y = np.random.default_rng(0).permutation(y)  # nothing to learn: the loss on held-out rows soon grows
    model = SequenceClassifier(
        "motif-cnn",
        encoder_options=SMALL,
        early_stopping=True,
        patience=3,
        **{**QUICK, "epochs": 60, "learning_rate": 1e-2},
    ).fit(X, y)
    history = model.history_[0]
    assert len(history.losses) < 60
    assert history.best_epoch == int(np.argmax(history.scores))


def test_all_blocks_of_a_pretrained_model_can_be_taken_over_and_frozen(fitted):
    X, y = planted(60, 30, seed=2)
    model = SequenceClassifier(pretrained=fitted, frozen_layers=None, **{**QUICK, "epochs": 2, "min_steps": 10}).fit(
        X, y
    )
    theirs, mine = fitted.module_[0].encoder, model.module_[0].encoder
    assert all(torch.equal(a, b) for a, b in zip(theirs.state_dict().values(), mine.state_dict().values(), strict=True))
    np.testing.assert_allclose(model.embed(X), fitted.embed(X), atol=1e-6)
    tuned = SequenceRegressor(
        pretrained=FrozenEstimator(fitted), transfer_layers=1, **{**QUICK, "epochs": 1, "min_steps": 1}
    )
    tuned.set_params(learning_rate=1e-12).fit(X, np.arange(60.0))
    first = tuned.module_[0].encoder.blocks
    np.testing.assert_allclose(first[0][1].weight.detach(), theirs.blocks[0][1].weight.detach(), atol=1e-6)
    assert not torch.allclose(first[1][2].weight, theirs.blocks[1][2].weight)


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    X = draw(9, 40, seed=6)
    save_model(fitted, tmp_path / "model", facts={"label": "y"})
    read = load_model(tmp_path / "model")
    np.testing.assert_array_equal(read.model.predict_proba(X), fitted.predict_proba(X))
    assert (read.description["kind"], read.description["label"]) == ("sequence-classifier", "y")
    assert json.loads((tmp_path / "model" / "model.json").read_text())["architecture"]["alphabet"] == "dna"
    y = np.array([text.count("G") for text in X], dtype=float)
    regressor = SequenceRegressor("recurrent", encoder_options={"n_units": 4}, **{**QUICK, "min_steps": 2}).fit(X, y)
    save_model(regressor, tmp_path / "regressor")
    np.testing.assert_array_equal(load_model(tmp_path / "regressor").model.predict(X), regressor.predict(X))
    mine = SequenceClassifier(lambda shares: MotifCNN(shares, 4), **{**QUICK, "min_steps": 2}).fit(X, y > 8)
    with pytest.raises(ValueError, match="only encoders known by name can be saved"):
        save_model(mine, tmp_path / "mine")


@pytest.mark.parametrize("encoder", ["motif-cnn", "kmer-recurrent"])
def test_vectors_of_kmers_are_learned_saved_and_given_to_what_starts_from_them(encoder, tmp_path):
    X, y = planted(60, 30)
    vectors = np.random.default_rng(0).normal(size=(16, 5))
    quick = {**QUICK, "epochs": 2, "min_steps": 10}
    tables = []
    for freeze in (False, True):
        given = KmerEmbedding(2, 5, vectors)
        model = SequenceClassifier(encoder, embedding=given, freeze_embedding=freeze, **quick).fit(X, y)
        save_model(model, tmp_path / encoder)
        read = load_model(tmp_path / encoder).model
        np.testing.assert_array_equal(read.predict_proba(X[:9]), model.predict_proba(X[:9]))
        starting = SequenceClassifier(pretrained=tmp_path / encoder, frozen_layers=None, **quick).fit(X, y)
        np.testing.assert_allclose(starting.embed(X[:9]), model.embed(X[:9]), atol=1e-6)
        tables.append(next(value for name, value in model.module_[0].state_dict().items() if len(value) == 16))
    assert not np.allclose(tables[0], vectors, atol=1e-4), "vectors that are not frozen learn"
    np.testing.assert_array_equal(tables[1], vectors.astype(np.float32))


def test_the_choice_of_the_encoder_reads_kmers_too_and_both_strands_stay_the_same():
    X, y = planted(210, 30)
    quick = {**QUICK, "epochs": 1, "min_steps": 1}
    model = SequenceClassifier(embedding="kmer", **quick).fit(X, y)
    assert set(model.choice_) == {"positions", *ANYWHERE}
    assert (model.recipes_[0].embedding.k, model.recipes_[0].embedding.dim) == (3, 50)
    both = SequenceClassifier("motif-cnn", encoder_options=SMALL, both_strands=True, embedding="kmer", **quick)
    turned = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in X[:5]]
    both.fit(X, y)
    np.testing.assert_allclose(both.predict_proba(X[:5]), both.predict_proba(turned), atol=1e-7)


def test_a_regressor_learns_in_the_units_of_its_target():
    X = draw(300, 20)
    y = np.array([1000 + 50 * sum(pair == ("C", "G") for pair in pairwise(text)) for text in X], dtype=float)
    y[:20] = np.nan
    options = {"n_filters": 8, "width": 3, "pooling": "mean"}
    model = SequenceRegressor("motif-cnn", encoder_options=options, learning_rate=1e-2, dropout=0.0, **QUICK)
    model.set_params(epochs=40).fit(X, y)
    assert np.corrcoef(model.predict(X[:20]), [1000 + 50 * text.count("CG") for text in X[:20]])[0, 1] > 0.8
    assert model.score(X[200:], y[200:]) > 0.7


def test_gaps_of_an_alignment_are_seen():
    rng = np.random.default_rng(0)
    X = ["".join(row) for row in rng.choice(list("MKVLIAG"), (200, 12))]
    X = [text[:5] + "-" + text[6:] if i % 2 else text for i, text in enumerate(X)]
    y = np.arange(200) % 2
    options = {"n_filters": 8, "width": 3, "pooling": "positions"}
    model = SequenceClassifier("motif-cnn", encoder_options=options, alphabet="protein", **QUICK).fit(X, y)
    assert np.mean(model.predict(X) == y) > 0.95
    with pytest.raises(ValueError, match="alignment of 12 columns, found one of 3; align new sequences"):
        model.predict(["MKV"])


def test_longer_sequences_are_cut_by_the_rule():
    X, y = planted(120, 30)
    model = SequenceClassifier("motif-cnn", max_length=20, truncate="start", encoder_options=SMALL, **QUICK).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X[:5]), model.predict_proba([text[10:] for text in X[:5]]))


def test_letters_that_are_not_read_are_remarked_on():
    X, y = planted(120, 30)
    model = SequenceClassifier("motif-cnn", encoder_options=SMALL, **QUICK).fit(X, y)
    model.predict_proba([*X, X[0] + "ACG"])  # hardly any
    with pytest.warns(UserWarning, match="1 of 1 sequences are longer than the 30 letters"):
        model.predict_proba(["ACGT" * 50])


def test_an_alignment_may_be_wider_than_what_is_read_of_it():
    rng = np.random.default_rng(0)
    X = ["".join(row) for row in rng.choice(list("MKVL-"), (60, 12))]
    y = np.array([text[3] == "M" for text in X])
    options = {"n_filters": 4, "widths": [3], "windows": [1], "pooling": "positions"}
    model = SequenceClassifier("multi-scale-cnn", max_length=8, encoder_options=options, **QUICK).fit(X, y)
    assert model.predict(X[:3]).shape == (3,)
    with pytest.raises(ValueError, match="trained on an alignment of 12 columns, found one of 11"):
        model.predict([text[:11] for text in X[:3]])


def test_settings_from_a_grid_of_numpy_mean_the_same_and_are_kept(tmp_path):
    X, y = planted(60, 30)
    options = {"n_filters": np.int64(8), "width": np.int64(6)}
    settings = {**QUICK, "batch_size": np.int64(32), "random_state": 0}
    model = SequenceClassifier("motif-cnn", encoder_options=options, both_strands=np.True_, **settings).fit(X, y)
    assert model.recipes_[0].both_strands
    save_model(model, tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").model.predict_proba(X), model.predict_proba(X))


def test_few_groups_are_enough_to_choose_an_encoder():
    X, y = planted(240, 20)
    model = SequenceClassifier(n_members=1, min_steps=2, epochs=1, random_state=0, device="cpu")
    model.fit(X, y, groups=np.arange(240) % 4)
    assert len(model.choice_) > 1
    unknown = SequenceClassifier("motif-cnn", early_stopping=True, encoder_options=SMALL, **QUICK)
    unknown.fit(X, y, groups=[None] * 240)  # each its own


def test_a_class_that_is_held_out_as_a_whole_has_a_weight_all_the_same():
    X = draw(40, 20)
    model = SequenceClassifier(
        "motif-cnn", encoder_options=SMALL, early_stopping=True, class_weight="balanced", **{**QUICK, "min_steps": 4}
    )
    assert len(model.fit(X, np.arange(40) // 2).classes_) == 20


def test_what_contradicts_the_encoder_to_start_from_is_refused():
    X, y = planted(60, 20)
    first = SequenceClassifier("motif-cnn", encoder_options=SMALL, **QUICK).fit(X, y)
    for own, message in (
        ({"encoder": "residual-cnn"}, "'motif-cnn', not"),
        ({"both_strands": True}, "reads one strand"),
        ({"encoder_options": {"width": 3}}, "brings its own width"),
    ):
        with pytest.raises(ValueError, match=message):
            SequenceClassifier(pretrained=first, **{**QUICK, **own}).fit(X, y)


def test_what_is_read_can_be_changed_where_places_do_not_count():
    X, y = planted(60, 20)
    first = SequenceClassifier("motif-cnn", encoder_options=SMALL, **QUICK).fit(X, y)
    again = SequenceClassifier(pretrained=first, max_length=10, **QUICK).fit([text * 2 for text in X], y)
    assert again.recipes_[0].rule.length == 10
    placed = SequenceClassifier("motif-cnn", encoder_options={**SMALL, "pooling": "positions"}, **QUICK).fit(X, y)
    with pytest.raises(ValueError, match="tells places apart, of 20 letters"):
        SequenceClassifier(pretrained=placed, max_length=10, **QUICK).fit(X, y)


def test_a_model_of_protein_refuses_dna():
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 30)) for _ in range(20)]
    model = SequenceClassifier("motif-cnn", encoder_options=SMALL, **QUICK).fit(X, ["a", "b"] * 10)
    with pytest.raises(ValueError, match="X looks like DNA, and the model reads protein"):
        model.predict(draw(4, 30))


def test_it_works_in_cross_validation_of_scikit_learn():
    X, y = planted(120, 30)
    model = SequenceClassifier("motif-cnn", encoder_options=SMALL, **QUICK)
    predicted = cross_val_predict(model, np.array(X, dtype=object), np.array(y), cv=2)
    assert set(predicted) <= {"bound", "free"}
    assert clone(model).get_params() == model.get_params()


def test_epochs_of_all_trainings_are_told_as_one():
    told = []
    X, y = planted(210, 20)
    quick = {**QUICK, "n_members": 2, "epochs": 2, "min_steps": 1}
    SequenceClassifier(on_epoch=lambda *said: told.append(said[:2]), **quick).fit(X, y)
    assert [done for done, _ in told] == list(range(1, 17)), "five candidates, the best again, two members"
    assert told[-1] == (16, 16)
    few: list[tuple[int, int]] = []
    SequenceClassifier(on_epoch=lambda *said: few.append(said[:2]), **quick).fit(X[:60], y[:60])
    assert few == [(1, 4), (2, 4), (3, 4), (4, 4)], "two members: of 60 sequences no candidates are compared"


def test_what_cannot_be_learned_from_is_refused_in_one_line():
    X, y = planted(40, 20)
    cases = [
        (SequenceClassifier(), ("ACGT", ["a", "b"]), "write \\[X\\]"),
        (SequenceClassifier(), (np.zeros((4, 3)), y[:4]), "found an array of shape"),
        (SequenceClassifier(), ([1, 2, 3, 4], y[:4]), "must be texts such as 'ACGT', found int"),
        (SequenceClassifier(), (["ACG", ""], ["a", "b"]), "1 of 2 sequences are empty"),
        (SequenceClassifier(), (X, y[:-1]), "as many rows, found 40 and 39"),
        (SequenceClassifier(), (X, ["a"] * 40), "one class only"),
        (SequenceClassifier(alphabet="dna"), (["MKLVEEP", "MLLPWRA"], ["a", "b"]), "this looks like protein"),
        (SequenceClassifier("cnn"), (X, y), "unknown encoder 'cnn'; choose one of kmer-bag, kmer-recurrent, motif-cnn"),
        (SequenceClassifier(encoder_options={"width": 3}), (X, y), "encoder_options belong to an encoder by name"),
        (SequenceClassifier(both_strands="yes"), (X, y), "both_strands must be True, False or 'auto'"),
        (SequenceClassifier(n_members=0), (X, y), "n_members must be at least 1"),
        (SequenceClassifier("motif-cnn", frozen_layers=1), (X, y), "are of a pretrained encoder; give one"),
        (SequenceClassifier("motif-cnn", class_weight={"Bound": 5.0}), (X, y), "class_weight has 'Bound', which is no"),
        (SequenceClassifier("motif-cnn", epochs=-1), (X, y), "epochs must be 0 .min_steps alone. or more, found -1"),
        (SequenceClassifier("motif-cnn", batch_size=0), (X, y), "batch_size must be at least 1, found 0"),
        (SequenceClassifier("motif-cnn", max_length=3.5), (X, y), "max_length must be a whole number"),
        (
            SequenceClassifier("motif-cnn", encoder_options={"filters": 3}),
            (X, y),
            "motif-cnn has no option 'filters'; its options are n_filters, width",
        ),
        (SequenceClassifier("motif-cnn", encoder_options={"width": 0}), (X, y), "needs 1 or more letters, found 0"),
        (SequenceClassifier("motif-cnn", encoder_options={"hidden": -1}), (X, y), "hidden must be 0 for no layer"),
        (SequenceClassifier("motif-cnn", encoder_options={"dropout": 2}), (X, y), "dropout must lie from 0 to below 1"),
        (SequenceClassifier("kmer-recurrent", encoder_options={"pool": 0}), (X, y), "pool must be 1 or more places"),
        (SequenceClassifier("motif-cnn", pad="left"), (X, y), "pad must be one of start, end, both"),
        (SequenceClassifier("motif-cnn", label_smoothing=1.0), (X, y), "label_smoothing must lie in"),
        (
            SequenceClassifier(pretrained=SequenceClassifier()),
            (X, y),
            "is not a fitted model of sequences; fit one first",
        ),
        (
            SequenceClassifier(pretrained=LogisticRegression()),
            (X, y),
            "LogisticRegression. is not a fitted model of sequences",
        ),
        (
            SequenceClassifier("motif-cnn", both_strands=True, alphabet="protein"),
            (["MKLVEEP", "MLLPWRA"], ["a", "b"]),
            "protein has one strand",
        ),
        (
            SequenceClassifier(embedding="words"),
            (X, y),
            "unknown embedding 'words'; choose one-hot, kmer, or the folder",
        ),
        (SequenceClassifier(freeze_embedding=True), (X, y), "but one-hot letters have none"),
        (SequenceClassifier(embedding="kmer", freeze_embedding=True), (X, y), "but these are drawn; give some"),
        (SequenceClassifier(embedding="kmer"), (["ACGT", "AC"], ["a", "b"]), "sequence '1' has 2 letters, but the emb"),
        (
            SequenceClassifier(embedding=KmerEmbedding(1, 2, np.eye(4, 2)), alphabet="protein"),
            (["MKLVEEP", "MLLPWRA"], ["a", "b"]),
            "has 4 vectors of 1-mers, but there are 20 in protein",
        ),
        (
            SequenceClassifier("kmer-recurrent", embedding="kmer", encoder_options={"k": 4}),
            (X, y),
            "encoder_options k are of the k-mers that kmer-recurrent has of its own",
        ),
        (SequenceRegressor(), (X, [1.0] * 40), "at least two different numbers, found 1"),
        (SequenceRegressor(), (X, [np.inf] * 40), "infinity"),
    ]
    for model, (texts, labels), expected in cases:
        with pytest.raises((ValueError, TypeError), match=expected) as caught:
            model.fit(texts, labels)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_choice_on_real_promoters_is_better_than_chance_by_far(shared_data):
    table = pd.read_csv(shared_data / "sequence" / "ecoli_promoters.tsv.gz", sep="\t").sample(1200, random_state=0)
    X, y = table.sequence.tolist(), table["class"].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SequenceClassifier(n_members=1, epochs=6, min_steps=300, random_state=0).fit(X[:1000], y[:1000])
    assert np.mean(model.predict(X[1000:]) == y[1000:]) > 0.7
