"""Profiles: equal to formulas on small cases, learned from training rows alone, good scikit-learn citizens."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from oligolearn.data import encode_sequences
from oligolearn.estimators import KmerProfile
from oligolearn.kmers import Words, n_canonical


def words_of(window: str, mismatches: int, informative: int | None) -> list[str]:
    k = len(window)
    if informative is not None:
        kept = combinations(range(k), informative)
        return ["".join(x if i in places else "-" for i, x in enumerate(window)) for places in kept]
    every = map("".join, product("ACGT", repeat=k)) if mismatches else [window]
    return [word for word in every if sum(a != b for a, b in zip(word, window, strict=True)) <= mismatches]


def as_dicts(profile: KmerProfile, table) -> list[dict[str, float]]:
    names = profile.get_feature_names_out().tolist()
    assert names == sorted(names)
    rows = table if isinstance(table, np.ndarray) else table.toarray()
    return [{name: value for name, value in zip(names, row, strict=True) if value} for row in rows.tolist()]


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize(
    ("k", "mismatches", "informative"),
    [
        (1, 0, None),
        (4, 0, None),
        (8, 0, None),
        (3, 1, None),
        (4, 2, None),
        (4, 0, 2),
        (5, 0, 3),
        (5, 0, 4),
        (4, 0, 4),
        (20, 0, 2),
    ],
)
def test_profiles_are_those_of_the_definition(sequences, slow_count, folded, canonical, k, mismatches, informative):
    some = [sequence[:200] for sequence in sequences]
    profile = KmerProfile(k, canonical=canonical, mismatches=mismatches, informative=informative)
    found = as_dicts(profile, profile.fit_transform(some))
    for sequence, row in zip(some, found, strict=True):
        expected: Counter[str] = Counter()
        for window, n in slow_count([sequence], k).items():
            for word in words_of(window, mismatches, informative):
                expected[folded(word) if canonical else word] += n
        assert row == expected
    assert as_dicts(profile, profile.transform(some)) == found


@pytest.mark.parametrize("canonical", [False, True])
def test_long_kmers_are_those_of_the_training_rows(sequences, slow_count, folded, canonical):
    profile = KmerProfile(12, canonical=canonical).fit(sequences[:8])
    seen = slow_count(sequences[:8], 12, canonical=canonical)
    assert profile.get_feature_names_out().tolist() == sorted(seen)
    found = as_dicts(profile, profile.transform(sequences))
    for sequence, row in zip(sequences, found, strict=True):
        counts = slow_count([sequence], 12, canonical=canonical)
        assert row == {word: n for word, n in counts.items() if word in seen}


def test_mismatches_of_long_kmers_count_for_those_that_occur(slow_count):
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("ACGT"), 60))
    changed = "".join("ACGT"["ACGT".index(x) ^ (i % 9 == 4)] for i, x in enumerate(text))
    profile = KmerProfile(9, mismatches=1, canonical=False).fit([text])
    (row,) = as_dicts(profile, profile.transform([changed]))
    expected: Counter[str] = Counter()
    for word in slow_count([text], 9):
        for window, n in slow_count([changed], 9).items():
            expected[word] += n * (sum(a != b for a, b in zip(word, window, strict=True)) <= 1)
    assert row == {word: n for word, n in expected.items() if n}
    assert len(row) > 40


def test_products_of_mismatch_profiles_are_the_mismatch_kernel(sequences, slow_count):
    """K(x, y) = sum over k-mers of how many windows of x, and of y, are within m (Leslie 2004, equation 1)."""
    x, y = sequences[0][:120], sequences[1][:120]
    table = KmerProfile(3, mismatches=1).fit_transform([x, y])
    kernel = 0
    for word in map("".join, product("ACGT", repeat=3)):
        near = [
            sum(n for w, n in slow_count([s], 3).items() if sum(a != b for a, b in zip(w, word, strict=True)) <= 1)
            for s in (x, y)
        ]
        kernel += near[0] * near[1]
    assert table[0] @ table[1] == kernel


def test_sequences_that_were_read_are_taken_as_they_are():
    texts = ["ACGTNACGRTTACA", "ccgtaacg", "TT"]
    profile = KmerProfile(3).fit(texts)
    for fitted in (profile, KmerProfile(3).fit(encode_sequences(texts, alphabet="dna"))):
        read = encode_sequences(texts, alphabet="dna")
        np.testing.assert_array_equal(np.asarray(fitted.transform(read)), np.asarray(profile.transform(texts)))


def test_output_and_kind(sequences):
    dense = KmerProfile(4, canonical=True, output="dense").fit_transform(sequences)
    sparse = KmerProfile(4, canonical=True, output="csr").fit_transform(sequences)
    assert dense.shape == (len(sequences), n_canonical(4))
    np.testing.assert_array_equal(sparse.toarray(), dense)
    present = KmerProfile(4, canonical=True, kind="presence").fit_transform(sequences)
    np.testing.assert_array_equal(present, dense > 0)
    assert isinstance(KmerProfile(9).fit_transform(sequences), type(sparse))
    assert KmerProfile(9).fit_transform(sequences).dtype == dense.dtype == np.float32


@pytest.mark.parametrize("output", ["dense", "csr"])
def test_scalings_are_those_of_their_formulas(sequences, output):
    known = [s.upper() for s in sequences if len(s) > 30 and set(s.upper()) <= set("ACGT")]
    train, test = known[:4], known[2:]
    profile = KmerProfile(3, scaling="tf-idf", output=output).fit(train)
    found = profile.transform(test)
    peer = TfidfVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=False).fit(train)
    names = peer.get_feature_names_out().tolist()
    columns = [profile.vocabulary_.tolist().index(name) for name in names]
    np.testing.assert_allclose(profile.idf_[columns], peer.idf_)
    if set(names) == set(profile.vocabulary_):
        values = found if output == "dense" else found.toarray()
        np.testing.assert_allclose(values[:, columns], peer.transform(test).toarray(), atol=1e-6)
    counts = CountVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=False, vocabulary=names)
    expected = counts.transform(test).toarray().astype(float)
    expected /= expected.sum(axis=1, keepdims=True)
    roots = KmerProfile(3, scaling="hellinger", output=output, vocabulary=names).fit_transform(test)
    roots = roots if output == "dense" else roots.toarray()
    np.testing.assert_allclose(roots**2, expected, atol=1e-6)


def test_a_vocabulary_is_kept_in_its_order(sequences):
    given = ["TTT", "ACG", "GGG"]
    profile = KmerProfile(3, vocabulary=given).fit(sequences)
    every = KmerProfile(3).fit(sequences)
    assert profile.get_feature_names_out().tolist() == given
    columns = [every.vocabulary_.tolist().index(name) for name in given]
    np.testing.assert_array_equal(profile.transform(sequences), every.transform(sequences)[:, columns])
    gapped = KmerProfile(3, informative=2, canonical=True, vocabulary=["A-C", "-AC"]).fit(["GATCAC"])
    np.testing.assert_array_equal(gapped.transform(["GATCAC", "GT", "GTG"]), [[2, 1], [0, 0], [0, 1]])


def test_rare_words_are_left_out(sequences):
    profile = KmerProfile(10, min_sequences=2).fit(["ACGTACGTACGTA", "TACGTACGTA", "GGGGGGGGGG"])
    assert profile.get_feature_names_out().tolist() == ["TACGTACGTA"]


def test_threads_do_not_change_the_profile(sequences):
    one, three = (KmerProfile(11, canonical=True, threads=n).fit_transform(sequences * 5) for n in (1, 3))
    assert (one != three).nnz == 0


def test_a_classifier_on_profiles_tells_two_compositions_apart():
    rng = np.random.default_rng(0)
    X = [
        "".join(rng.choice(list("ACGT"), 80, p=p))
        for p in ((0.3, 0.2, 0.2, 0.3), (0.2, 0.3, 0.3, 0.2))
        for _ in range(60)
    ]
    y = np.repeat([0, 1], 60)
    model = make_pipeline(KmerProfile(3, canonical=True, scaling="hellinger"), LogisticRegression(max_iter=500))
    assert clone(model).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.8


@pytest.mark.parametrize(("settings", "data", "error", "message"), [
    ({"k": 0}, ["ACGT"], ValueError, "found 0"),
    ({"k": 32}, ["ACGT"], ValueError, "found 32"),
    ({"k": 3, "mismatches": 3}, ["ACGT"], ValueError, "below k=3"),
    ({"k": 3, "informative": 4}, ["ACGT"], ValueError, "1 to k=3"),
    ({"k": 22, "informative": 6}, ["ACGT"], ValueError, "at most 21"),
    ({"k": 5, "informative": 3, "mismatches": 1}, ["ACGT"], ValueError, "mismatches or gaps"),
    ({"kind": "share"}, ["ACGT"], ValueError, "kind must be one of"),
    ({"scaling": "log"}, ["ACGT"], ValueError, "scaling must be one of"),
    ({"output": "coo"}, ["ACGT"], ValueError, "output must be one of"),
    ({"k": 3, "vocabulary": ["ACG", "ACGT"]}, ["ACGT"], ValueError, "'ACGT'"),
    ({"k": 3, "vocabulary": ["ACN"]}, ["ACGT"], ValueError, "'ACN'"),
    ({"k": 3, "vocabulary": ["ACG", "ACG"]}, ["ACGT"], ValueError, "twice"),
    ({"k": 3, "vocabulary": ["TTT"], "canonical": True}, ["ACGT"], ValueError, "not canonical"),
    ({"k": 9}, ["ACGT"], ValueError, "smaller k"),
    ({}, "ACGT", TypeError, "put it in a list"),
    ({}, ["ACGT", None], TypeError, "row 1, found None"),
    ({}, [], ValueError, "at least one sequence"),
    ({}, [["ACGT"]], TypeError, "row 0"),
    ({}, np.array([["ACGT"]]), ValueError, "one dimension"),
    ({}, ["MKVLAAGIVGLCAKAYELPQ"], ValueError, "no DNA"),
    ({}, ["ACGT", ">a"], ValueError, "sequence 1 holds '>'"),
])  # fmt: skip
def test_what_cannot_be_counted_is_named(settings, data, error, message):
    with pytest.raises(error, match=message):
        KmerProfile(**settings).fit(data)


@pytest.mark.parametrize("words", [Words(4), Words(4, True), Words(5, True, 0, 3), Words(21, False, 0, 2)])
def test_words_and_their_keys_are_inverse_and_sort_alike(words):
    keys = words.all_keys()
    names = words.names(keys).tolist()
    assert names == sorted(set(names))
    np.testing.assert_array_equal(words.keys(names), keys)


# The checks of scikit-learn that draw no table of numbers: for an estimator of strings `check_estimator` runs none.
CHECKS = (
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learn_conventions(check):
    check("KmerProfile", KmerProfile())


def test_it_must_be_fitted_and_fitting_changes_no_setting(sequences):
    profile = KmerProfile(9, scaling="tf-idf")
    with pytest.raises(NotFittedError):
        profile.transform(sequences)
    before = profile.get_params()
    first = profile.fit(sequences).transform(sequences)
    assert profile.get_params() == before
    fitted_again = profile.fit(sequences[:3]).fit(sequences)
    np.testing.assert_allclose(fitted_again.transform(sequences).toarray(), first.toarray())


def test_settings_changed_after_fitting_change_nothing():
    profile = KmerProfile(k=2).fit(["AACCAACC"])
    before = profile.transform(["AACCAACC"])
    np.testing.assert_array_equal(profile.set_params(k=3).transform(["AACCAACC"]), before)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["ACGT", "MKVLFEWQPI"], "sequence 1 is no DNA or RNA: it holds 'L'"),
        (["ACGTACGTACGTACGTACGT1!"], "sequence 0 is no DNA or RNA: it holds '1'"),
        (["ACGT", ";ACGTACGT"], "sequence 1 is no DNA or RNA: it holds ';'"),
        (encode_sequences(["GATTACAGGCA"], alphabet="protein"), "found protein"),
    ],
)
def test_one_row_that_is_no_dna_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        KmerProfile(k=2).fit(["ACGT"]).transform(rows)


def test_a_vocabulary_has_to_be_fitted_as_well():
    with pytest.raises(NotFittedError):
        KmerProfile(k=2, vocabulary=["AC"]).transform(["ACGT"])


@pytest.mark.parametrize(("name", "value"), [("k", 2.0), ("k", True), ("mismatches", 0.5), ("min_sequences", 0.5)])
def test_numbers_of_letters_and_rows_are_whole(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        KmerProfile(**{"k": 3, name: value}).fit(["ACGTACGT"])
