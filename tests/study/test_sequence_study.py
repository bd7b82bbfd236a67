"""Whole studies on small sets of sequences."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from oligolearn.data import encode_sequences
from oligolearn.data.sequence_groups import copies
from oligolearn.estimators import SequenceClassifier, SubspaceLogisticRegression
from oligolearn.estimators.sequence_together import SequenceShare, fit_sequences_together
from oligolearn.study import SEQUENCE_METHODS, sequence_efficiency
from oligolearn.study.sequence_cohort import SequenceCohort
from oligolearn.study.sequence_methods import SequenceTask, WordShares, suited_encoder, word_length
from oligolearn.study.sequence_planning import plan_sequence_study
from oligolearn.study.store import COLUMNS, Store

SMALL = {"encoder": "motif-cnn", "encoder_options": {"n_filters": 4, "width": 6}}
QUICK = {"training": {"epochs": 1, "min_steps": 4}, "encoder": SMALL, "progress": False, "workers": 1}
METHODS = ("kmer-logistic", "onehot-logistic", "scratch")


def draw(n=96, length=24, seed=0, *, shortest=None):
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("ACGT"), rng.integers(shortest or length, length + 1))) for _ in range(n)]
    texts = [text[:6] + "TGACGTCA" + text[14:] if i % 2 else text for i, text in enumerate(texts)]
    sequences = encode_sequences(texts, alphabet="dna")
    obs = {"y": np.array(["free", "bound"])[np.arange(n) % 2], "chromosome": [f"chr{i // 8}" for i in range(n)]}
    return replace(sequences, obs=pd.DataFrame(obs, index=sequences.obs.index))


def tables(folder):
    return pd.read_csv(folder / "results.csv").drop(columns="seconds"), (folder / "summary.json").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "out"
    sequence_efficiency(draw(), "y", out=folder, methods=METHODS, fractions=(0.2, 1.0), repeats=3, **QUICK)
    return folder


def test_a_study_of_sequences_leaves_what_one_of_expression_leaves(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "embeddings.json",
        "figures",
        "report.html",
        "results.csv",
        "runs.jsonl",
        "study.json",
        "summary.json",
    }
    results = pd.read_csv(finished / "results.csv")
    assert tuple(results.columns) == COLUMNS
    assert len(results) == 3 * 2 * 3
    assert not results.isna().any(axis=None)
    report = (finished / "report.html").read_text()
    assert "k-mers + logistic regression" in report
    assert "letters (median)" in report
    assert "pretraining saw" not in report


def test_words_that_tell_classes_apart_are_found(finished):
    results = pd.read_csv(finished / "results.csv").query("fraction == 1.0")
    assert results[results.method == "onehot-logistic"].accuracy.mean() > 0.9
    assert results[results.method == "kmer-logistic"].accuracy.mean() > 0.7


@pytest.mark.slow
def test_the_number_of_workers_and_a_stop_change_nothing(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "again")
    lines = (finished / "runs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "again" / "runs.jsonl").write_text("".join(lines[::2]) + lines[1][:20])  # torn in the middle of a run
    settings = {**QUICK, "methods": METHODS, "fractions": (0.2, 1.0), "repeats": 3, "workers": 2}
    sequence_efficiency(draw(), "y", out=tmp_path / "again", **settings)
    one, many = tables(finished), tables(tmp_path / "again")
    pd.testing.assert_frame_equal(one[0], many[0], check_exact=True)
    assert one[1] == many[1]


def test_another_study_is_refused_in_the_same_folder(finished):
    with pytest.raises(ValueError, match="holds another study"):
        sequence_efficiency(draw(seed=1), "y", out=finished, methods=METHODS, fractions=(0.2, 1.0), repeats=3, **QUICK)


def test_copies_and_groups_are_never_parted():
    sequences = draw(80)
    twice = sequences.take(np.concatenate([np.arange(80), np.arange(80)]))
    twice = replace(twice, obs=twice.obs.set_axis([f"s{i}" for i in range(160)]))
    settings = {"methods": ("kmer-logistic",), "fractions": (1.0,), "repeats": 4}
    study = plan_sequence_study(twice, "y", settings)
    assert study.groups is not None
    by_chromosome = plan_sequence_study(draw(), "y", {**settings, "group": "chromosome"})
    for plan, owners in ((study, copies(twice)), (by_chromosome, draw().obs.chromosome.to_numpy())):
        for repeat in range(4):
            split = plan.design.draw(plan.labels.codes, plan.groups, repeat).split
            assert not set(owners[split.train]) & set(owners[split.test])
            assert not set(owners[split.train]) & set(owners[split.validation])
            assert not set(owners[split.validation]) & set(owners[split.test])


def test_no_method_is_given_a_test_or_a_validation_sequence(tmp_path):
    plan = plan_sequence_study(draw(), "y", {"fractions": (0.3,), "repeats": 2})
    cohort = SequenceCohort.laid(plan, Store(tmp_path))
    for repeat in range(2):
        rows = plan.design.draw(plan.labels.codes, plan.groups, repeat)
        task = cohort.task(plan.design, rows, None, 20, None)
        held_out = set(plan.sequences.take(np.concatenate([rows.split.test, rows.split.validation])).texts())
        assert task.sequences.texts() == plan.sequences.take(rows.order[:20]).texts()
        assert not held_out & {*task.sequences.texts(), *task.unlabelled.texts()}


def test_word_shares_are_hellinger_features():
    known = encode_sequences(["ACGTACGTACGTACGT", "AAAAAAAAAAAAAAAA"])
    assert word_length(known) == 3
    shares = WordShares(known)(encode_sequences(["AAAAACCCCCGGGGG"])).toarray()
    # of 13 words, AAA is there three times; no other word was ever seen
    np.testing.assert_allclose(np.sort(shares[0])[-1], 1.0)
    both = WordShares(encode_sequences(["AAAAAAAACCCCCCCC"]))(encode_sequences(["AAAAAAAACCCCCCCC"])).toarray()
    np.testing.assert_allclose((both**2).sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(both.max(), np.sqrt(6 / 14), rtol=1e-6)


@pytest.mark.parametrize(("letters", "length"), [("ACGT", 60), ("ACDEFGHIKLMNPQRSTVWY", 120)])
@pytest.mark.parametrize("n", [60, 900])
def test_sparse_word_shares_give_what_dense_ones_of_the_vectorizer_give(letters, length, n):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    texts = []
    for code in y:
        p = np.ones(len(letters))
        p[: code + 1] += 0.5
        texts.append("".join(rng.choice(list(letters), length, p=p / p.sum())))
    sequences = encode_sequences(texts, alphabet="dna" if len(letters) == 4 else "protein")
    train, test = sequences.take(np.arange(0, n, 2)), sequences.take(np.arange(1, n, 2))
    k = word_length(train)
    counter = CountVectorizer(analyzer="char", ngram_range=(k, k), lowercase=False).fit(train.texts())
    dense = []
    for some in (train, test):
        counts = counter.transform(some.texts()).toarray().astype(np.float32)
        dense.append(np.sqrt(counts / np.maximum(1, counts.sum(axis=1, keepdims=True))))
    shares = WordShares(train)
    for mine, theirs in zip((shares(train), shares(test)), dense, strict=True):
        np.testing.assert_allclose(mine.toarray(), theirs, atol=1e-7)
    task = SequenceTask(train, y[::2], None, 0, {}, train)
    (fitted,) = SEQUENCE_METHODS["kmer-logistic"].fit([task])
    known = SubspaceLogisticRegression(random_state=0).fit(dense[0], y[::2])
    found = fitted.model.predict_proba(test)
    np.testing.assert_allclose(found, known.predict_proba(dense[1]), atol=2e-4)
    assert np.array_equal(found.argmax(axis=1), known.predict(dense[1]))


def test_sequences_without_words_are_refused():
    with pytest.raises(ValueError, match="no sequence has 2 known letters in a row; k-mers need longer sequences"):
        WordShares(encode_sequences(["A", "C"], alphabet="dna"))


def test_scratch_is_known_without_labels():
    assert suited_encoder(draw(), 24)["encoder"] == "multi-scale-cnn"
    assert suited_encoder(draw(shortest=16), 24)["encoder"] == "motif-cnn"


def test_models_fitted_together_are_those_fitted_alone():
    sequences = draw(40)
    y = sequences.obs.y.to_numpy()
    settings = {**SMALL, "n_members": 2, "epochs": 1, "min_steps": 6, "device": "cpu"}
    shares = [SequenceShare(sequences.take(np.arange(24) + i), y[i : 24 + i]) for i in range(3)]
    together = fit_sequences_together([SequenceClassifier(random_state=i, **settings) for i in range(3)], shares)
    assert all(how.startswith("one at a time: ") for how in together.how)
    for i, (model, share) in enumerate(zip(together.models, shares, strict=True)):
        alone = SequenceClassifier(random_state=i, **settings).fit(share.sequences, share.y)
        np.testing.assert_array_equal(model.predict_proba(sequences), alone.predict_proba(sequences))


@pytest.mark.parametrize(
    ("settings", "label", "said"),
    [
        ({"methods": ("vime",)}, "y", "methods for sequences must be different names among kmer-logistic"),
        ({"fractions": (0.0,)}, "y", "fractions must lie above 0"),
        ({"methods": ("onehot-logistic",)}, "y", "lengths differ"),
        ({"methods": ("kmer-logistic",)}, "fitness", "methods for a label that is a number must be"),
        ({}, "nothing", "there is no column 'nothing'"),
        ({"encoder": {"encoder": "cnn"}}, "y", "unknown encoder 'cnn'"),
        ({"identity": 2.0}, "y", "identity must lie above 0"),
    ],
)
def test_what_cannot_be_studied_is_one_line(settings, label, said):
    sequences = draw(shortest=20)
    sequences = replace(sequences, obs=sequences.obs.assign(fitness=np.arange(96) / 10))
    with pytest.raises(ValueError, match=said):
        plan_sequence_study(sequences, label, {"fractions": (1.0,), "repeats": 1, **settings})


def test_every_encoder_is_a_method():
    from oligolearn.nn import SEQUENCE_ENCODERS

    assert SEQUENCE_ENCODERS.keys() < SEQUENCE_METHODS.keys()


def test_pretraining_sees_the_training_sequences_and_starts_the_network_from_what_it_learned(tmp_path):
    methods = ("scratch", "masked-letters", "simclr", "next-letter")
    settings = {name: QUICK[name] for name in ("training", "encoder")}
    settings |= {"methods": methods, "fractions": (0.3,), "repeats": 2, "group": "chromosome"}
    settings |= {"pretraining": {"epochs": 1, "min_steps": 3}}
    found = sequence_efficiency(draw(), "y", out=tmp_path / "out", progress=False, workers=1, **settings)
    assert set(found.results.method) == {*methods, "recurrent"}, "what next-letter pretrains, without pretraining"
    assert len(found.results) == 2 * (len(methods) + 1)
    compared = {(row["method"], row["baseline"]) for row in found.summary["comparisons"]}
    assert {("next-letter", "recurrent"), ("masked-letters", "scratch"), ("simclr", "scratch")} <= compared
    assert ("next-letter", "scratch") not in compared, "these are other networks"
    report = (tmp_path / "out" / "report.html").read_text()
    assert "pretraining saw" in report
    assert "masked letters pretraining" in report

    study = plan_sequence_study(draw(), "y", settings)
    store = Store(tmp_path)
    cohort = SequenceCohort.laid(study, store)
    split = (one := study.design.draw(cohort.y, cohort.groups, 0)).split
    (encoder,) = cohort.pretrain(study.design, [(one, None)], "masked-letters")
    assert encoder.pretraining_["n_sequences"] == len(split.pretrain)
    owners = draw().obs.chromosome.to_numpy()
    assert not set(owners[split.pretrain]) & set(owners[split.test])
    task = cohort.task(study.design, one, None, 20, encoder)
    frozen = {**task.settings, "frozen_layers": None, "epochs": 1}
    (fitted,) = SEQUENCE_METHODS["masked-letters"].fit([task._replace(settings=frozen)])
    kept, learned = fitted.model.module_[0].encoder.state_dict(), encoder.encoder_.state_dict()
    name = next(name for name in kept if name.endswith("weight") and kept[name].ndim == 3)
    assert np.array_equal(kept[name].numpy(), learned[name].numpy())
