"""Proposals of samples to label: what they cover, what they never do, what is refused."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from oligolearn.estimators import (
    FineTunedClassifier,
    Pool,
    SelfSupervisedEncoder,
    choose_samples,
    load_model,
    propose_labels,
    save_model,
)
from oligolearn.estimators.labels_to_get import STRATEGIES


def islands(sizes=(60, 30, 12), seed=0, spread=0.3):
    """Groups of points far apart, and the group of each."""
    rng = np.random.default_rng(seed)
    centres = 10 * np.eye(len(sizes), 4)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return centres[group] + spread * rng.normal(size=(len(group), 4)), group


def rows_of(choices):
    return [choice.row for choice in choices]


def test_typical_takes_one_of_each_group_the_largest_first():
    embedding, group = islands()
    pool = Pool(embedding, np.zeros(len(group), dtype=bool))
    chosen = rows_of(choose_samples(pool, 3, "typical", np.random.default_rng(0)))
    assert group[chosen].tolist() == [0, 1, 2]


def test_typical_is_in_the_middle_and_not_at_the_edge():
    embedding, group = islands(sizes=(80, 80))
    pool = Pool(embedding, np.zeros(len(group), dtype=bool))
    for row in rows_of(choose_samples(pool, 2, "typical", np.random.default_rng(0))):
        members = embedding[group == group[row]]
        far = np.linalg.norm(members - members.mean(axis=0), axis=1)
        assert np.linalg.norm(embedding[row] - members.mean(axis=0)) < np.quantile(far, 0.5)


def test_groups_that_have_a_label_wait():
    embedding, group = islands()
    labelled = np.zeros(len(group), dtype=bool)
    labelled[np.flatnonzero(group == 0)[:2]] = True
    chosen = choose_samples(Pool(embedding, labelled), 1, "typical", np.random.default_rng(0))
    # three groups of k-means for three labels: the largest without a label is the second island
    assert group[rows_of(chosen)].tolist() == [1]
    assert "none of them labelled" in chosen[0].reason


def confused(n=200, seed=0):
    """A pool of three classes in which the classifier is sure of all but the first 40 samples."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(n, 6)) + 5
    probabilities = np.full((n, 3), 0.005)
    probabilities[np.arange(n), rng.integers(3, size=n)] = 0.99
    probabilities[:40] = rng.dirichlet((20, 20, 20), size=40)
    return Pool(embedding, np.zeros(n, dtype=bool), probabilities)


@pytest.mark.parametrize("strategy", ["gradient", "unsure"])
def test_what_the_classifier_is_unsure_of_comes_before_what_it_knows(strategy):
    chosen = rows_of(choose_samples(confused(), 15, strategy, np.random.default_rng(1)))
    assert np.mean(np.array(chosen) < 40) > 0.9


def test_gradient_distances_are_those_of_the_gradients_written_out():
    pool = confused(60)
    u = pool.probabilities.copy()
    u[np.arange(60), u.argmax(axis=1)] -= 1
    gradient = (u[:, :, None] * pool.embedding[:, None, :]).reshape(60, -1)
    rng, chosen = np.random.default_rng(3), [int((gradient**2).sum(axis=1).argmax())]
    while len(chosen) < 8:  # k-means++, as in the paper
        nearest = ((gradient[:, None] - gradient[None, chosen]) ** 2).sum(axis=2).min(axis=1)
        nearest[chosen] = 0
        chosen.append(int(rng.choice(60, p=nearest / nearest.sum())))
    assert rows_of(choose_samples(pool, 8, "gradient", np.random.default_rng(3))) == chosen


def test_copies_of_a_sample_are_not_bought_twice():
    pool = confused(40)
    twice = Pool(np.vstack([pool.embedding] * 2), np.zeros(80, dtype=bool), np.vstack([pool.probabilities] * 2))
    chosen = np.array(rows_of(choose_samples(twice, 12, "gradient", np.random.default_rng(0)))) % 40
    assert len(set(chosen)) == 12


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("n", [1, 7, 60])
def test_as_many_as_asked_none_twice_none_labelled(strategy, n):
    pool = confused(70)
    labelled = np.zeros(70, dtype=bool)
    labelled[::7] = True
    rng = [np.random.default_rng(2) for _ in range(2)]
    first, second = (choose_samples(pool._replace(labelled=labelled), n, strategy, one) for one in rng)
    chosen = rows_of(first)
    assert len(set(chosen)) == len(chosen) == n
    assert not labelled[chosen].any()
    assert first == second
    assert all(choice.reason for choice in first)


def test_outliers_come_last_also_where_every_large_group_has_a_label():
    rng = np.random.default_rng(3)
    centres = np.repeat(np.eye(3, 8) * 20, 100, axis=0)
    rows = np.concatenate([centres + rng.normal(size=(300, 8)), rng.normal(size=(10, 8)) * 300])
    labelled = np.zeros(310, dtype=bool)
    labelled[[0, 1, 100, 101, 200, 201]] = True
    chosen = rows_of(choose_samples(Pool(rows, labelled), 5, "typical", np.random.default_rng(0)))
    assert max(chosen) < 300


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_a_classifier_that_is_sure_of_everything_still_gets_proposals(strategy):
    sure = np.zeros((30, 3))
    sure[:, 1] = 1.0
    pool = Pool(np.random.default_rng(0).normal(size=(30, 5)), np.zeros(30, dtype=bool), sure)
    assert len(set(rows_of(choose_samples(pool, 10, strategy, np.random.default_rng(0))))) == 10


@pytest.mark.parametrize(
    ("pool", "n", "strategy", "words"),
    [
        (confused(), 0, "typical", "at least 1, found 0"),
        (confused(50), 51, "typical", "50 samples have no label, 51 were asked for"),
        (confused(50)._replace(labelled=np.ones(50, dtype=bool)), 1, "typical", "all samples have a label"),
        (confused()._replace(probabilities=None), 5, "gradient", "an encoder without classes"),
        (confused(), 5, "best", "auto or one of typical, gradient, unsure"),
        (Pool(np.ones((20, 3)), np.zeros(20, dtype=bool)), 5, "typical", "collapsed"),
    ],
)
def test_what_cannot_be_is_refused(pool, n, strategy, words):
    with pytest.raises(ValueError, match=words):
        choose_samples(pool, n, strategy, np.random.default_rng(0))


@pytest.fixture(scope="module")
def models(cohort, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    genes = [f"g{i}" for i in range(20)]
    options = {"features": genes, "facts": {"units": "log", "label": "kind"}}
    encoder = SelfSupervisedEncoder("vicreg", random_state=0, **small).fit(cohort.X)
    save_model(encoder, folder / "encoder", features=genes, facts={"units": "log"})
    names = np.array(["a", "b", "c"])
    classifier = FineTunedClassifier(random_state=0, **small).fit(cohort.X[:30], names[cohort.y[:30]])
    save_model(classifier, folder / "classifier", **options)
    obs = pd.DataFrame({"kind": names[cohort.y]}, index=[f"s{i}" for i in range(90)])
    obs.loc[obs.index[30:], "kind"] = np.nan
    data = ad.AnnData(cohort.X, obs=obs, var=pd.DataFrame(index=genes))
    return load_model(folder / "encoder"), load_model(folder / "classifier"), data


def test_a_bundle_proposes_unlabelled_samples_by_name(models):
    encoder, classifier, data = models
    for saved, label in ((encoder, "kind"), (classifier, None)):
        proposal = propose_labels(saved, data, 12, label=label, normalize_as="log")
        assert proposal.table["rank"].tolist() == list(range(1, 13))
        assert data.obs.loc[proposal.table.index, "kind"].isna().all()
        assert "60 of 90 samples have no 'kind'." in proposal.notes
    assert list(proposal.table.columns) == ["rank", "prediction", "probability", "margin", "reason"]


def test_without_a_label_column_every_sample_is_a_candidate_and_it_says_so(models):
    encoder, _, data = models
    proposal = propose_labels(encoder, data, 80, normalize_as="log")
    assert len(proposal.table) == 80
    assert any("All 90 samples count as unlabelled" in note for note in proposal.notes)


def test_an_unknown_column_is_refused(models):
    with pytest.raises(ValueError, match="no column 'kin'"):
        propose_labels(models[0], models[2], 5, label="kin", normalize_as="log")
