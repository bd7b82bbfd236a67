"""The study's statistics against independent formulas, published ones, and simulation."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from oligolearn.estimators.metric_names import METRICS
from oligolearn.study.runs import scores_by_repeat
from oligolearn.study.statistics import compare, holm, labels_saved, learned, learning_curves, paired_t_test


def runs(scores, n_labels, metric="accuracy"):
    """Table of runs from {method: array (n_repeats, n_fractions)}; the fractions are n_labels / 1000."""
    return pd.DataFrame(
        [
            {"repeat": r, "fraction": n / 1000, "n_labels": n, "method": method, metric: values[r][f]}
            for method, values in scores.items()
            for r in range(len(values))
            for f, n in enumerate(n_labels)
        ]
    )


@pytest.fixture
def results():
    rng = np.random.default_rng(0)
    keys = itertools.product(range(6), [0.1, 0.5, 1.0], ["swav", "logistic"])
    table = pd.DataFrame(keys, columns=["repeat", "fraction", "method"])
    table["n_labels"] = (table["fraction"] * 200).astype(int)
    for metric in METRICS:
        table[metric] = rng.uniform(0.4, 0.9, len(table))
    table["seconds"], table["seed"] = 1.0, 0
    return table


def every_table(results):
    return {
        "curves": learning_curves(results),
        "compare": compare(results, "swav", "logistic", n_train=140, n_test=30),
        "saved": labels_saved(results, "swav", "logistic", seed=1, n_bootstrap=50),
        "learned": learned(results, n_classes=2, n_train=140, n_test=30),
    }


def test_row_order_does_not_matter_to_the_last_bit(results):
    shuffled = results.sample(frac=1, random_state=3)
    assert json.dumps(every_table(results)) == json.dumps(every_table(shuffled))


@pytest.mark.parametrize("broken", ["none", "one repeat", "failed runs", "identical", "perfect", "one fraction"])
def test_results_are_plain_json_without_nan(results, broken):
    if broken == "one repeat":
        results = results[results["repeat"] == 0]
    elif broken == "failed runs":
        results.loc[::3, list(METRICS)] = np.nan
        results.loc[1, "log_loss"] = np.inf
        results = results.drop(index=range(8))
    elif broken == "identical":
        results[list(METRICS)] = 0.5
    elif broken == "perfect":
        results[list(METRICS)] = 1.0
    elif broken == "one fraction":
        results = results[results["fraction"] == 0.5]
    tables = every_table(results)
    assert json.loads(json.dumps(tables, allow_nan=False)) == tables


# Learning curves


def test_interval_of_the_mean_is_students(results):
    for row in learning_curves(results):
        chosen = results[(results["method"] == row["method"]) & (results["fraction"] == row["fraction"])]
        assert row["n_labels"] == 200 * row["fraction"]
        assert row["n_runs"] == 6
        for metric in METRICS:
            low, high = stats.t.interval(0.95, 5, chosen[metric].mean(), stats.sem(chosen[metric]))
            found = row["metrics"][metric]
            assert found["mean"] == pytest.approx(chosen[metric].mean())
            assert found["sd"] == pytest.approx(chosen[metric].std())
            assert (found["low"], found["high"]) == pytest.approx((low, high))


def test_intervals_cover_the_truth_where_repeats_share_samples():
    """Repeats with the correlation n_test / (n_train + n_test), which is what Nadeau and Bengio assume."""
    shared, covered, saved = 15 / 85, [], []
    rng = np.random.default_rng(0)
    for study in range(150):
        common = rng.normal(0, math.sqrt(shared), 3)
        drawn = 0.7 + 0.02 * (common + rng.normal(0, math.sqrt(1 - shared), (50, 3)))
        scores = runs({"a": drawn[:, [0, 0]] - 0.1, "b": drawn[:, 1:] + [-0.2, 0.1]}, [10, 100])
        row = learning_curves(scores[scores["method"] == "a"], n_train=70, n_test=15)[0]["metrics"]["accuracy"]
        covered.append(row["low"] <= 0.6 <= row["high"])
        found = labels_saved(scores, "a", "b", seed=study, n_train=70, n_test=15, n_bootstrap=200)[0]
        truth = 10 * 10 ** (1 / 3) - 10
        saved.append(found["low"] <= truth <= found["high"])
    assert 0.9 < np.mean(covered) <= 1
    assert 0.9 < np.mean(saved) <= 1


def test_one_repeat_has_a_mean_and_no_interval():
    row = learning_curves(runs({"a": [[0.7]]}, [10]))[0]
    assert row["metrics"]["accuracy"] == {"mean": 0.7, "sd": None, "low": None, "high": None}


def test_without_variance_there_is_no_interval():
    row = learning_curves(runs({"a": [[0.7]] * 3}, [10]))[0]
    assert row["metrics"]["accuracy"] == {"mean": 0.7, "sd": 0.0, "low": None, "high": None}


def test_a_run_twice_in_the_table_is_refused(results):
    with pytest.raises(ValueError, match=r"1 runs are in the table twice .*method logistic, fraction 0.1, repeat 0"):
        learning_curves(pd.concat([results, results.iloc[[1]]]))


def test_a_missing_column_is_named(results):
    with pytest.raises(ValueError, match="no column n_labels; it has repeat"):
        learning_curves(results.drop(columns="n_labels"))
    with pytest.raises(ValueError, match="no column f1"):
        compare(results, "swav", "logistic", n_train=1, n_test=1, metric="f1")


# Paired tests


def test_student_agrees_with_scipy():
    a, b = np.random.default_rng(1).normal(0.7, 0.1, (2, 9))
    expected = stats.ttest_rel(a, b)
    test = paired_t_test(a - b)
    interval = expected.confidence_interval(0.95)
    assert (test.t, test.p_student) == pytest.approx((expected.statistic, expected.pvalue))
    assert (test.low, test.high) == pytest.approx((interval.low, interval.high))
    assert test.p_corrected is None
    assert test.n_pairs == 9


def test_nadeau_bengio_by_hand():
    # s^2 = .00025, (1/5 + 20/80) s^2 = .0001125, t = .03 / .0106066 = 2 sqrt 2; with 4 degrees of freedom Student's
    # distribution is 1/2 + 3/8 x (1 - x^2/12) with x = t / sqrt(1 + t^2/4), here x^2 = 8/3.
    test = paired_t_test([0.02, 0.05, 0.03, 0.04, 0.01], n_train=80, n_test=20)
    p = 2 * (0.5 - 3 / 8 * math.sqrt(8 / 3) * (1 - 8 / 36))
    assert test.difference == pytest.approx(0.03)
    assert test.p_corrected == pytest.approx(p, rel=1e-10)
    assert test.t == pytest.approx(0.03 / math.sqrt(0.00025 / 5))
    half = 2.7764451052 * math.sqrt(0.0001125)
    assert (test.low, test.high) == pytest.approx((0.03 - half, 0.03 + half), rel=1e-8)


def test_the_correction_vanishes_with_the_test_set():
    test = paired_t_test([0.1, 0.2, -0.05], n_train=1e12, n_test=1)
    assert test.p_corrected == pytest.approx(test.p_student)


@pytest.mark.parametrize(
    ("differences", "n_pairs", "difference", "note"),
    [
        ([], 0, None, "no repeat has a result of both"),
        ([0.25], 1, 0.25, "one repeat"),
        ([np.nan, 0.25], 1, 0.25, "one repeat"),
        ([0.0, 0.0, 0.0], 3, 0.0, "score the same in all 3 repeats"),
        ([0.3 - 0.2, 0.9 - 0.8, 0.1], 3, 0.3 - 0.2, "the same in all 3 repeats: without variance"),
    ],
)
def test_degenerate_differences_are_explained(differences, n_pairs, difference, note):
    test = paired_t_test(differences, n_train=70, n_test=15)
    assert test[:2] == (n_pairs, difference)
    assert test[2:7] == (None,) * 5
    assert note in test.note


@pytest.mark.parametrize("sizes", [{"n_train": 10}, {"n_test": 10}, {"n_train": 0, "n_test": 5}])
def test_half_a_correction_is_refused(sizes):
    with pytest.raises(ValueError, match="give both as positive sizes"):
        paired_t_test([0.1, 0.2], **sizes)


def test_intervals_cover_the_truth_when_repeats_overlap_as_the_split_says():
    # Differences whose correlation is n_test / (n_train + n_test), the assumption of Nadeau and Bengio: the corrected
    # interval then covers in exactly 95%, Student's in fewer.
    rng = np.random.default_rng(2)
    n_studies, n_repeats, n_train, n_test = 1500, 8, 80, 20
    rho = n_test / (n_train + n_test)
    common, own = rng.normal(size=(n_studies, 1)), rng.normal(size=(n_studies, n_repeats))
    differences = 0.4 + math.sqrt(rho) * common + math.sqrt(1 - rho) * own
    corrected = [paired_t_test(d, n_train=n_train, n_test=n_test) for d in differences]
    student = [paired_t_test(d) for d in differences]
    error = 3.5 * math.sqrt(0.95 * 0.05 / n_studies)
    assert np.mean([t.low < 0.4 < t.high for t in corrected]) == pytest.approx(0.95, abs=error)
    assert np.mean([t.low < 0.4 < t.high for t in student]) < 0.85


def test_student_interval_covers_when_repeats_are_independent():
    differences = np.random.default_rng(3).normal(0.1, 1.0, (1500, 5))
    covered = [t.low < 0.1 < t.high for t in map(paired_t_test, differences)]
    assert np.mean(covered) == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / 1500))


# Holm


def holm_by_definition(p):
    """Adjusted p of test i: the largest of (number of tests with a p as large or larger) p_j over p_j <= p_i."""
    m, order = len(p), np.argsort(p, kind="stable")
    rank = np.empty(m, dtype=int)
    rank[order] = np.arange(m)
    return [min(1.0, max((m - rank[j]) * p[j] for j in range(m) if rank[j] <= rank[i])) for i in range(m)]


def test_holm_is_its_definition():
    rng = np.random.default_rng(4)
    for n in (1, 2, 7, 30):
        p = np.round(rng.uniform(0, 0.2, n), 2)  # with ties
        assert holm(p) == pytest.approx(holm_by_definition(p))


def test_holm_of_a_published_example():
    # R's documentation of p.adjust method "holm" applied to these by hand: 4 x .01, 3 x .02, 2 x .03, 1 x .04
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])


def test_holm_ignores_what_was_not_tested():
    assert holm([None, 0.02, None, 0.03]) == pytest.approx([None, 0.04, None, 0.04])
    assert holm([None, None]) == [None, None]
    assert holm([]) == []


# Comparisons


def test_compare_pairs_within_repeats_and_adjusts_over_fractions(results):
    rows = compare(results, "swav", "logistic", n_train=140, n_test=30, metric="mcc")
    wide = results.pivot_table(index="repeat", columns=["fraction", "method"], values="mcc")
    assert [row["fraction"] for row in rows] == [0.1, 0.5, 1.0]
    for row in rows:
        difference = wide[row["fraction"], "swav"] - wide[row["fraction"], "logistic"]
        expected = paired_t_test(difference, n_train=140, n_test=30)
        assert row["difference"] == pytest.approx(difference.mean())
        assert row["p_corrected"] == pytest.approx(expected.p_corrected)
        assert row["metric"] == "mcc"
    assert [row["p_holm"] for row in rows] == pytest.approx(holm_by_definition([row["p_corrected"] for row in rows]))
    keys = "method baseline metric fraction n_labels n_pairs difference low high t p_student p_corrected p_holm note"
    assert set(rows[0]) == set(keys.split())


def test_compare_is_antisymmetric(results):
    there = compare(results, "swav", "logistic", n_train=140, n_test=30)
    back = compare(results, "logistic", "swav", n_train=140, n_test=30)
    for a, b in zip(there, back, strict=True):
        assert a["difference"] == pytest.approx(-b["difference"])
        assert a["low"] == pytest.approx(-b["high"])
        assert a["p_holm"] == pytest.approx(b["p_holm"])


def test_failed_runs_leave_only_common_repeats(results):
    damaged = results.copy()
    first = damaged["fraction"] == 0.1
    damaged.loc[first & (damaged["repeat"] == 2) & (damaged["method"] == "swav"), "accuracy"] = np.nan
    damaged = damaged[~(first & (damaged["repeat"] == 4) & (damaged["method"] == "logistic"))]
    row = compare(damaged, "swav", "logistic", n_train=140, n_test=30)[0]
    complete = compare(results[~results["repeat"].isin([2, 4])], "swav", "logistic", n_train=140, n_test=30)[0]
    assert row["n_pairs"] == 4
    assert row["difference"] == pytest.approx(complete["difference"])
    assert row["p_corrected"] == pytest.approx(complete["p_corrected"])


def test_a_fraction_the_baseline_lacks_is_reported_and_not_tested(results):
    only_swav = results[(results["method"] == "swav") | (results["fraction"] < 1)]
    row = compare(only_swav, "swav", "logistic", n_train=140, n_test=30)[-1]
    assert (row["n_pairs"], row["difference"], row["p_holm"]) == (0, None, None)
    assert "no repeat" in row["note"]


def test_an_unknown_method_is_answered_with_the_known(results):
    with pytest.raises(ValueError, match="method 'moco' is in the table; the methods are logistic, swav"):
        compare(results, "moco", "logistic", n_train=140, n_test=30)


# Labels saved

SIZES = [10, 20, 40, 80, 160, 320, 640]


def logarithmic(n, *, head_start=1, noise=0.0, rng=None):
    """Accuracy .3 + .08 ln(head_start n): a head start of 4 is worth three times the labels that were used."""
    curve = 0.3 + 0.08 * np.log(head_start * np.asarray(n, dtype=float))
    return curve if rng is None else curve + rng.normal(0, noise, (12, len(n)))


def test_labels_saved_on_an_analytic_curve():
    table = runs({"ssl": [logarithmic(SIZES, head_start=4)] * 3, "base": [logarithmic(SIZES)] * 3}, SIZES)
    rows = labels_saved(table, "ssl", "base", seed=0, n_bootstrap=100)
    for row, n in zip(rows[:5], SIZES, strict=False):  # 4 x 160 = 640 is the most that was tried
        assert row["baseline_labels"] == pytest.approx(4 * n)
        assert row["saved"] == pytest.approx(3 * n)
        assert (row["low"], row["high"]) == pytest.approx((3 * n, 3 * n))
        assert row["note"] == ""
    for row, n in zip(rows[5:], SIZES[5:], strict=True):
        assert row["saved"] is row["baseline_labels"] is row["high"] is None
        assert row["low"] == 640 - n  # a proven bound
        assert "more than 640" in row["note"]


def test_labels_saved_between_the_numbers_tried_is_logarithmic():
    table = runs({"ssl": [logarithmic(SIZES, head_start=3)], "base": [logarithmic(SIZES)]}, SIZES)
    row = labels_saved(table, "ssl", "base", seed=0)[0]
    assert row["baseline_labels"] == pytest.approx(30)
    assert (row["low"], row["high"], row["note"]) == (None, None, "one repeat: no interval")


def test_a_method_saves_nothing_against_itself():
    rng = np.random.default_rng(5)
    scores = logarithmic(SIZES, noise=0.003, rng=rng)
    for row in labels_saved(runs({"a": scores, "b": scores}, SIZES), "a", "b", seed=0, n_bootstrap=100):
        assert row["saved"] == pytest.approx(0, abs=1e-6)
        assert (row["low"], row["high"]) == pytest.approx((0, 0), abs=1e-6)


def test_a_worse_method_is_left_censored():
    table = runs({"bad": [[0.1, 0.6]] * 2, "base": [[0.5, 0.8]] * 2}, [10, 100])
    row = labels_saved(table, "bad", "base", seed=0, n_bootstrap=50)[0]
    assert (row["saved"], row["low"], row["high"]) == (None, None, 0.0)
    assert "needs less than 10" in row["note"]


def test_a_dip_of_the_baseline_is_smoothed_not_followed():
    # 20 and 40 labels pool to .6, which is where the isotonic curve reaches .6 for the first time
    table = runs({"ssl": [[0.6, 0.9, 0.9, 0.9]], "base": [[0.5, 0.7, 0.5, 0.9]]}, [10, 20, 40, 80])
    assert labels_saved(table, "ssl", "base", seed=0)[0]["baseline_labels"] == pytest.approx(20)


def test_bootstrap_interval_covers_and_is_reproducible():
    covered = []
    for study in range(40):
        rng = np.random.default_rng(study)
        shared = rng.normal(0, 0.05, (12, 1))  # a hard test set is hard for both: pairing must be kept
        ssl = logarithmic(SIZES, head_start=4, noise=0.01, rng=rng) + shared
        base = logarithmic(SIZES, noise=0.01, rng=rng) + shared
        row = labels_saved(runs({"ssl": ssl, "base": base}, SIZES), "ssl", "base", seed=study, n_bootstrap=200)[1]
        covered.append(row["low"] <= 60 <= row["high"])
        assert row["high"] - row["low"] < 40  # unpaired, the shared noise alone would spread it over 60 x e^(.03/.08)
    assert np.mean(covered) > 0.8
    again = labels_saved(runs({"ssl": ssl, "base": base}, SIZES), "ssl", "base", seed=study, n_bootstrap=200)[1]
    assert again == row


def test_labels_saved_uses_repeats_with_a_whole_baseline_curve():
    scores = {"ssl": np.full((4, 2), 0.7), "base": np.array([[0.5, 0.9]] * 3 + [[0.5, np.nan]])}
    scores["ssl"][3] = 0.2  # belongs to the repeat in which the baseline failed
    row = labels_saved(runs(scores, [10, 1000]), "ssl", "base", seed=0, n_bootstrap=20)[0]
    assert row["accuracy"] == pytest.approx(0.7)
    assert row["baseline_labels"] == pytest.approx(100)
    scores["base"][:, 1] = np.nan
    row = labels_saved(runs(scores, [10, 1000]), "ssl", "base", seed=0)[0]
    assert row["accuracy"] is None
    assert "no repeat" in row["note"]


# Was anything learned

N_ROWS, N_TEST = 300, 45  # rows of the cohort, 15% of them tested


def null_studies(n_studies, n_repeats, *, split_once=False, seed=0):
    """Balanced accuracies (study, method x fraction, repeat) of two random labels that 6 classifiers do not know.

    Test sets overlap, and half of what a classifier says about a sample is the same in every repeat and for every
    method: the hardest case for a test that averages repeats.
    """
    rng = np.random.default_rng(seed)
    label = rng.random((n_studies, 1, N_ROWS)) < 0.5
    habit = rng.random((n_studies, 1, N_ROWS)) < 0.5
    scores = np.empty((n_studies, 6, n_repeats))
    order = rng.random((n_studies, N_ROWS)).argsort(axis=1)[:, :N_TEST]
    for repeat in range(n_repeats):
        if repeat and not split_once:
            order = rng.random((n_studies, N_ROWS)).argsort(axis=1)[:, :N_TEST]
        said = np.where(rng.random((n_studies, 6, N_ROWS)) < 0.5, habit, rng.random((n_studies, 6, N_ROWS)) < 0.5)
        rows = order[:, None, :]
        right = np.take_along_axis(said == label, rows, axis=2)
        truth = np.take_along_axis(label, rows, axis=2)
        recalls = [(right & (truth == k)).sum(axis=2) / (truth == k).sum(axis=2) for k in (False, True)]
        scores[:, :, repeat] = (recalls[0] + recalls[1]) / 2
    return scores


def studied(scores):
    """Table of runs from balanced accuracies (6 = 3 methods x 2 fractions, n_repeats)."""
    shaped = dict(zip("abc", scores.reshape(3, 2, -1).transpose(0, 2, 1), strict=True))
    return runs(shaped, [20, 200], "balanced_accuracy")


@pytest.mark.parametrize(("n_repeats", "split_once"), [(1, False), (3, False), (6, False), (6, True)])
def test_shuffled_labels_raise_no_more_false_alarms_than_allowed(n_repeats, split_once):
    studies = null_studies(500, n_repeats, split_once=split_once)
    alarms = [
        learned(studied(scores), n_classes=2, n_train=N_ROWS - N_TEST, n_test=N_TEST, resampled=not split_once)["any"]
        for scores in studies
    ]
    assert np.mean(alarms) <= 0.05


@pytest.mark.parametrize("split_once", [False, True])
def test_the_same_null_deceives_a_naive_test(split_once):
    # What the corrections are for: on these studies plain t-tests without Holm sound the alarm far too often.
    p = stats.ttest_1samp(null_studies(500, 6, split_once=split_once), 0.5, axis=2, alternative="greater").pvalue
    assert np.mean(p.min(axis=1) < 0.05) > 0.15


def test_without_sizes_student_decides_and_one_repeat_decides_nothing():
    scores = null_studies(1, 4, seed=1)[0]
    row = learned(studied(scores), n_classes=2)["rows"][0]
    assert row["p_unadjusted"] == pytest.approx(stats.ttest_1samp(scores[0], 0.5, alternative="greater").pvalue)
    undecided = learned(studied(scores[:, :1]), n_classes=2)
    assert undecided["any"] is None
    assert undecided["rows"][0]["p"] is None
    assert "one run each" in undecided["note"]


@pytest.mark.parametrize("n_repeats", [1, 2, 3, 6, 10])
def test_real_effects_are_found(n_repeats):
    effect = null_studies(60, n_repeats, seed=2) + 0.25
    found = [learned(studied(np.minimum(s, 1)), n_classes=2, n_train=255, n_test=45)["any"] for s in effect]
    assert np.mean(found) > 0.7


def test_one_row_that_learned_is_enough_and_is_named():
    scores = null_studies(1, 6, seed=3)[0]
    scores[4] = 0.5 + 0.4 + 0.01 * np.arange(6)  # method c, 20 labels
    result = learned(studied(scores), n_classes=2, n_train=255, n_test=45)
    assert result["any"] is True
    winners = [(row["method"], row["fraction"]) for row in result["rows"] if row["p"] < 0.05]
    assert winners == [("c", 0.02)]
    assert "1 of 6" in result["note"]


def test_perfect_scores_without_variance_count_as_learned():
    result = learned(studied(np.ones((6, 3))), n_classes=2, n_train=140, n_test=30)
    assert result["any"] is True


def test_a_collapsed_classifier_has_not_learned():
    result = learned(studied(np.full((6, 5), 0.5)), n_classes=2, n_train=140, n_test=30)
    assert result["any"] is False
    assert all(row["p"] == 1.0 and row["balanced_accuracy"] == 0.5 for row in result["rows"])


@pytest.mark.parametrize("counts", [[5, 40], [10, 10, 10], [60, 5, 5, 5], [3, 3, 3, 3, 40]])
def test_guessing_varies_no_more_than_the_bound(counts):
    # Classifiers that name the classes with any probabilities q, ignorant of the truth
    rng = np.random.default_rng(6)
    n_classes, variances = len(counts), []
    for q in rng.dirichlet(np.ones(n_classes), 30):
        recalls = np.stack([rng.binomial(n, share, 4000) / n for n, share in zip(counts, q, strict=True)])
        variances.append(recalls.mean(axis=0).var())
    score = 1 / n_classes + 0.1 + 0.5 / sum(counts)  # the last term undoes the correction for continuity
    result = learned(runs({"a": [[score]]}, [10], "balanced_accuracy"), n_classes=n_classes, test_class_counts=counts)
    z = stats.norm.isf(result["rows"][0]["p"])
    assert (0.1 / z) ** 2 >= 0.95 * max(variances)
    assert (0.1 / z) ** 2 <= 2 * max(variances)  # and the bound is not idle


def test_the_p_of_one_run_is_that_of_coin_tosses():
    # 2 classes of 50: guessing scores like 100 tosses of a coin
    table = runs({"a": [[0.6]]}, [10], "balanced_accuracy")
    p = learned(table, n_classes=2, test_class_counts=[50, 50])["rows"][0]["p"]
    assert p == pytest.approx(stats.binom.sf(59, 100, 0.5), rel=0.02)


def test_counts_must_match_the_classes():
    table = runs({"a": [[0.6]]}, [10], "balanced_accuracy")
    with pytest.raises(ValueError, match="2 entries for 3 classes"):
        learned(table, n_classes=3, test_class_counts=[50, 50])
    with pytest.raises(ValueError, match="at least 2 classes"):
        learned(table, n_classes=1)


def test_scores_follow_their_repeat_not_their_row(results):
    shuffled = results.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(
        scores_by_repeat(shuffled, "swav", "auroc")[0.5].sort_index(),
        scores_by_repeat(results, "swav", "auroc")[0.5].sort_index(),
    )
