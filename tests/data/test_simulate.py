"""The simulated cohort against the distributions it says it draws from."""

import math

import anndata as ad
import numpy as np
import pytest
from scipy import special, stats
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score

from oligolearn.data.h5ad import write_h5ad
from oligolearn.data.simulate import BatchEffect, ClassEffect, Subjects, Transcriptome, simulate_cohort

SAME_CLASSES = ClassEffect(n_classes=2, log2_fold_change=0, imbalance=1, keep_truth=True)
NO_BATCH = BatchEffect(n_batches=1, location=0, scale=0)
NO_PATIENT = Subjects(samples_per_patient=1, patient_sd=0)


def bland(n_samples, n_genes, *, classes=SAME_CLASSES, batches=NO_BATCH, subjects=NO_PATIENT, seed=0, **transcriptome):
    """A cohort without any effect but those given; library sizes are fixed unless given."""
    settings = Transcriptome(**({"library_sd": 0, "module_sd": 0} | transcriptome))
    return simulate_cohort(
        n_samples, n_genes, transcriptome=settings, classes=classes, batches=batches, subjects=subjects, seed=seed
    )


def log2_cpm(cohort):
    counts = cohort.X.astype(float)
    return np.log2(counts / counts.sum(axis=1, keepdims=True) * 1e6 + 1)


def log2_ratio_of_means(cohort, first, reference=None):
    """Per gene, the samples `first` against the others, relative to the median of the reference genes (all of them)."""
    counts = cohort.X.astype(float)
    counts /= np.median(counts[:, slice(None) if reference is None else reference], axis=1, keepdims=True)
    return np.log2(counts[first].mean(axis=0) / counts[~first].mean(axis=0))


def auc(cohort, column, value):
    model = LogisticRegression(C=0.001, max_iter=500)
    X = log2_cpm(cohort)
    y = (cohort.obs[column] == value).to_numpy()
    return cross_val_score(model, X - X.mean(axis=0), y, cv=5, scoring="roc_auc").mean()


# Seeds


def test_one_seed_is_one_cohort_to_the_byte():
    first, second = simulate_cohort(80, 120, seed=5), simulate_cohort(80, 120, seed=5)
    assert first.X.tobytes() == second.X.tobytes()
    assert first.obs.equals(second.obs)
    assert first.X.dtype == np.float32
    assert np.array_equal(first.X, np.round(first.X))


def test_another_seed_is_another_cohort():
    first, second = simulate_cohort(80, 120, seed=5), simulate_cohort(80, 120, seed=6)
    assert abs(np.corrcoef(first.X.mean(axis=0), second.X.mean(axis=0))[0, 1]) < 0.4
    assert not first.obs["label"].equals(second.obs["label"])


def test_settings_of_one_cause_leave_the_others_alone():
    plain = simulate_cohort(100, 100, seed=1, classes=ClassEffect(keep_truth=True))
    changed = simulate_cohort(
        100,
        100,
        seed=1,
        classes=ClassEffect(keep_truth=True, log2_fold_change=2.0),
        batches=BatchEffect(location=2.0, scale=0.5),
        subjects=Subjects(patient_sd=1.0),
    )
    assert plain.obs.equals(changed.obs)
    assert np.allclose(changed.var["log2_fold_change_class_2"], 2 * plain.var["log2_fold_change_class_2"])
    assert plain.var[["module", "abundance", "dispersion"]].equals(changed.var[["module", "abundance", "dispersion"]])


# Counts


def test_moments_are_negative_binomial():
    cohort = bland(4000, 60, abundance_sd=1.0, reads_per_gene=200)
    mu = cohort.var["abundance"].to_numpy() * 200 * 60
    variance = mu + cohort.var["dispersion"].to_numpy() * mu**2
    counts = cohort.X.astype(float)
    assert np.allclose(counts.mean(axis=0), mu, atol=5 * np.sqrt(variance / 4000))
    assert np.allclose(counts.var(axis=0), variance, rtol=0.25)
    assert np.median(counts.var(axis=0) / variance) == pytest.approx(1, abs=0.02)


def test_counts_follow_scipys_negative_binomial():
    cohort = bland(3000, 30, abundance_sd=1.0, reads_per_gene=50)
    rng = np.random.default_rng(0)
    p_values = []
    for j in range(30):
        size = 1 / cohort.var["dispersion"].iloc[j]
        law = stats.nbinom(size, size / (size + cohort.var["abundance"].iloc[j] * 50 * 30))
        counts = cohort.X[:, j]
        uniform = law.cdf(counts) - rng.random(len(counts)) * law.pmf(counts)  # uniform if the law is right
        p_values.append(stats.kstest(uniform, "uniform").pvalue)
    assert min(p_values) > 0.001 / 30


def test_without_dispersion_counts_are_poisson():
    counts = bland(4000, 40, dispersion=0, abundance_sd=0.5, reads_per_gene=100).X.astype(float)
    assert counts.var(axis=0) / counts.mean(axis=0) == pytest.approx(np.ones(40), abs=0.15)


def test_dispersion_falls_with_expression_to_its_asymptote():
    genes = bland(2, 20_000).var
    cpm = genes["abundance"] * 1e6
    abundant, rare = genes["dispersion"][cpm > 300], genes["dispersion"][cpm < 0.1]
    assert abundant.median() == pytest.approx(0.12, rel=0.1)
    assert rare.median() == pytest.approx(1.1, rel=0.15)
    assert stats.spearmanr(cpm, genes["dispersion"]).statistic < -0.5


def test_library_sizes_are_log_normal_whatever_else_differs():
    cohort = simulate_cohort(
        1500,
        400,
        transcriptome=Transcriptome(reads_per_gene=500, library_sd=0.4),
        classes=ClassEffect(log2_fold_change=3),
        batches=BatchEffect(location=1),
        seed=3,
    )
    logs = np.log(cohort.X.astype(float).sum(axis=1))
    # The sum of overdispersed counts adds a little to the spread of the library sizes themselves.
    assert logs.mean() == pytest.approx(math.log(500 * 400), abs=0.06)
    assert logs.std() == pytest.approx(0.4, abs=0.05)
    assert stats.kstest((logs - logs.mean()) / logs.std(), "norm").pvalue > 0.001


def test_mean_expression_spreads_as_asked():
    abundance = bland(2, 20_000, abundance_sd=1.5).var["abundance"]
    assert np.log(abundance).std() == pytest.approx(1.5, rel=0.03)
    assert abundance.sum() == pytest.approx(1)


# Modules


def test_genes_of_a_module_correlate_as_the_formula_says():
    # The variance of ln of a gamma variable of shape 1/alpha is the trigamma function there; at great depth nothing
    # else adds to the noise. log2 counts of genes i, j of a module then correlate as w_i w_j s^2 / (sd_i sd_j).
    cohort = bland(3000, 100, module_sd=0.6, n_modules=4, share_in_modules=0.4, abundance_sd=0.5, reads_per_gene=1e5)
    loading, module = cohort.var["loading"].to_numpy(), cohort.var["module"].to_numpy()
    noise = special.polygamma(1, 1 / cohort.var["dispersion"].to_numpy()) / math.log(2) ** 2
    logs = np.log2(cohort.X.astype(float))
    reference = module == "none"  # what these genes share is the library size, not a module
    logs -= logs[:, reference].mean(axis=1, keepdims=True)
    found = np.corrcoef(logs[:, ~reference].T)
    loading, module, noise = loading[~reference], module[~reference], noise[~reference]
    together = module[:, None] == module
    sd = np.sqrt((0.6 * loading) ** 2 + noise)
    expected = np.where(together, 0.36 * np.outer(loading, loading) / np.outer(sd, sd), 0)
    off_diagonal = ~np.eye(40, dtype=bool)
    assert np.abs(found - expected)[off_diagonal].max() < 0.2
    assert np.abs(found - expected)[off_diagonal].mean() < 0.05
    assert np.abs(expected[together & off_diagonal]).mean() > 0.3


def test_modules_hold_the_share_of_genes_asked():
    module = bland(2, 1000, n_modules=7, share_in_modules=0.3).var["module"]
    assert (module != "none").sum() == 300
    sizes = module[module != "none"].astype(str).value_counts()
    assert len(sizes) == 7
    assert sizes.max() - sizes.min() <= 1


def test_there_may_be_no_modules():
    cohort = bland(30, 50, n_modules=0, classes=ClassEffect(n_classes=2, keep_truth=True))
    assert set(cohort.var["module"]) == {"none"}
    assert (cohort.var["log2_fold_change_class_2"] != 0).sum() == 1  # 2% of the 50 genes


# Classes


def test_asked_fold_changes_are_found_in_the_counts():
    classes = ClassEffect(
        n_classes=2, log2_fold_change=1.5, share_modules=0.2, share_genes=0.1, imbalance=1, keep_truth=True
    )
    cohort = bland(2000, 300, classes=classes, n_modules=10, module_sd=0.3, library_sd=0.3, abundance_sd=1.0)
    truth = cohort.var["log2_fold_change_class_2"].to_numpy()
    found = log2_ratio_of_means(cohort, (cohort.obs["label"] == "class_2").to_numpy(), reference=truth == 0)
    assert np.abs(found - truth).max() < 0.35
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.1
    assert abs(np.median(found[truth == 0])) < 0.03
    alone = (cohort.var["module"] == "none") & (truth != 0)
    assert alone.sum() == 15  # 10% of the 150 genes outside modules
    assert np.all(np.abs(truth[alone]) == 1.5)
    in_modules = (cohort.var["module"] != "none") & (truth != 0)
    assert cohort.var["module"][in_modules].nunique() == 2
    assert np.abs(truth[in_modules]).mean() == pytest.approx(1.5, rel=0.15)
    assert not cohort.var["log2_fold_change_class_1"].any()


def test_without_an_effect_classes_cannot_be_told_apart():
    cohort = simulate_cohort(400, 300, classes=ClassEffect(n_classes=2, log2_fold_change=0), subjects=NO_PATIENT)
    assert auc(cohort, "label", "class_2") == pytest.approx(0.5, abs=0.1)


def components(cohort):
    X = log2_cpm(cohort)
    X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9)
    return X, PCA(10, svd_solver="randomized", random_state=0).fit_transform(X)


@pytest.mark.slow  # k-means on a busy machine
def test_unlabelled_samples_reveal_the_classes():
    def agreement(**settings):
        cohort = simulate_cohort(300, 1000, batches=NO_BATCH, **settings)
        clusters = KMeans(4, n_init=3, random_state=0).fit_predict(components(cohort)[1])
        return adjusted_rand_score(cohort.obs["label"], clusters)

    assert agreement() > 0.5
    assert abs(agreement(classes=ClassEffect(log2_fold_change=0))) < 0.05


@pytest.mark.slow
def test_the_default_cohort_rewards_unlabelled_samples_when_labels_are_few():
    # Clusters of all samples, named by two labelled samples per class, against logistic regression on those alone;
    # with sixty per class there is nothing left to gain.
    accuracy = {(way, n): [] for way in ("clusters", "logistic") for n in (2, 60)}
    for seed in range(3):
        cohort = simulate_cohort(seed=seed)
        y = cohort.obs["label"].cat.codes.to_numpy()
        X, Z = components(cohort)
        for n in (2, 60):
            labelled = np.concatenate([np.flatnonzero(y == k)[:n] for k in range(4)])
            rest = np.setdiff1d(np.arange(len(y)), labelled)
            start = np.stack([Z[labelled][y[labelled] == k].mean(axis=0) for k in range(4)])
            clusters = KMeans(4, init=start, n_init=1).fit_predict(Z)
            accuracy["clusters", n].append(np.mean(clusters[rest] == y[rest]))
            model = LogisticRegression(C=0.01, max_iter=500).fit(X[labelled], y[labelled])
            accuracy["logistic", n].append(model.score(X[rest], y[rest]))
    mean = {key: np.mean(values) for key, values in accuracy.items()}
    assert mean["clusters", 2] > mean["logistic", 2] + 0.08
    assert mean["logistic", 60] > mean["clusters", 60]
    assert 0.9 < mean["logistic", 60] < 0.99


@pytest.mark.parametrize(
    ("n_samples", "n_classes", "imbalance", "sizes"),
    [(90, 3, 1, [30, 30, 30]), (70, 3, 4, [40, 20, 10]), (10, 3, 1, [3, 3, 4]), (33, 2, 10, [3, 30])],
)
def test_class_sizes_are_exact(n_samples, n_classes, imbalance, sizes):
    cohort = simulate_cohort(n_samples, 20, classes=ClassEffect(n_classes=n_classes, imbalance=imbalance))
    assert sorted(cohort.obs["label"].value_counts()) == sorted(sizes)
    assert list(cohort.obs["label"].cat.categories) == [f"class_{k + 1}" for k in range(n_classes)]


def test_labels_are_hidden_at_random_and_the_truth_is_not_in_the_file():
    cohort = simulate_cohort(1000, 20, classes=ClassEffect(n_classes=2, imbalance=3, unlabelled=0.3))
    hidden = cohort.obs["label"].isna()
    assert hidden.sum() == 300
    assert set(cohort.obs) == {"label", "patient", "batch", "sample_kind"}
    assert list(cohort.var) == ["module"]
    told = simulate_cohort(1000, 20, classes=ClassEffect(n_classes=2, imbalance=3, unlabelled=0.3, keep_truth=True))
    assert told.obs["label"].equals(cohort.obs["label"])
    assert (told.obs["true_label"] == told.obs["label"])[~hidden].all()
    table = [
        [((told.obs["true_label"] == name) & (hidden == h)).sum() for h in (True, False)]
        for name in ("class_1", "class_2")
    ]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_all_labels_may_be_missing():
    assert simulate_cohort(20, 20, classes=ClassEffect(unlabelled=1)).obs["label"].isna().all()


# Batches


@pytest.mark.parametrize(("location", "low", "high"), [(0.0, 0.4, 0.6), (0.5, 0.99, 1.0)])
def test_batches_are_seen_when_they_differ_and_only_then(location, low, high):
    cohort = simulate_cohort(400, 300, batches=BatchEffect(location=location, scale=0), subjects=NO_PATIENT)
    assert low <= auc(cohort, "batch", "batch_1") <= high


def test_location_is_the_spread_of_shifts_over_genes():
    cohort = bland(1500, 1000, batches=BatchEffect(location=0.5, scale=0), abundance_sd=0.5)
    shift = log2_ratio_of_means(cohort, (cohort.obs["batch"] == "batch_1").to_numpy())
    assert shift.std() == pytest.approx(0.5 * math.sqrt(2), rel=0.1)  # the difference of two


def test_scale_is_the_spread_of_stretch_over_genes():
    cohort = bland(2000, 300, batches=BatchEffect(location=0, scale=0.4), abundance_sd=0.5, reads_per_gene=1e5)
    first = (cohort.obs["batch"] == "batch_1").to_numpy()
    counts = cohort.X.astype(float) / np.median(cohort.X, axis=1, keepdims=True)
    cv = [counts[rows].std(axis=0) / counts[rows].mean(axis=0) for rows in (first, ~first)]
    assert np.log2(cv[0] / cv[1]).std() == pytest.approx(0.4 * math.sqrt(2), rel=0.15)


@pytest.mark.parametrize("confounding", [0.0, 0.4, 1.0])
def test_confounding_is_the_correlation_of_class_and_batch(confounding):
    classes = ClassEffect(n_classes=2, imbalance=1)
    cohort = simulate_cohort(4000, 2, classes=classes, batches=BatchEffect(confounding=confounding))
    agree = np.corrcoef(cohort.obs["label"].cat.codes, cohort.obs["batch"].cat.codes)[0, 1]
    assert agree == pytest.approx(confounding, abs=0.06)


# Patients and cell lines


def test_a_patient_has_one_class_and_the_number_of_samples_asked():
    subjects = Subjects(samples_per_patient=2.5, share_cell_lines=0.4)
    obs = simulate_cohort(2000, 2, subjects=subjects).obs
    per_patient = obs.groupby("patient")
    assert per_patient["label"].nunique().max() == 1
    assert per_patient["sample_kind"].nunique().max() == 1
    assert per_patient.size().mean() == pytest.approx(2.5, rel=0.08)
    assert per_patient.size().var() == pytest.approx(1.5, rel=0.2)  # 1 + Poisson(1.5)
    assert (simulate_cohort(300, 2, subjects=NO_PATIENT).obs["patient"].nunique()) == 300


@pytest.mark.parametrize("patient_sd", [0.0, 0.5])
def test_samples_of_a_patient_are_alike(patient_sd):
    # The correlation, over genes, of two samples of a patient is the share of variance that they have in common; it is
    # the same for samples on either side of the 256 rows that are drawn at a time.
    subjects = Subjects(samples_per_patient=12, patient_sd=patient_sd)
    cohort = bland(400, 500, subjects=subjects, abundance_sd=0.5, reads_per_gene=1e4)
    logs = np.log2(cohort.X.astype(float) + 1)
    found = np.corrcoef(logs - logs.mean(axis=0))
    patient = cohort.obs["patient"].to_numpy()
    same, early = patient[:, None] == patient, np.arange(400) < 256
    across = same & (early[:, None] & ~early)
    assert across.sum() > 100
    noise = special.polygamma(1, 1 / cohort.var["dispersion"]) / math.log(2) ** 2
    expected = patient_sd**2 / (patient_sd**2 + noise.mean())
    assert found[across].mean() == pytest.approx(expected, abs=0.04)
    assert found[~same].mean() == pytest.approx(0, abs=0.03)


def test_cell_lines_are_a_domain_of_their_own():
    subjects = Subjects(samples_per_patient=1, patient_sd=0, share_cell_lines=0.25, cell_line_shift=0.8)
    cohort = bland(1200, 600, subjects=subjects, abundance_sd=0.5)
    line = (cohort.obs["sample_kind"] == "cell line").to_numpy()
    assert line.sum() == 300
    assert cohort.obs["patient"].str.startswith("line_").to_numpy()[line].all()
    assert cohort.obs["patient"].str.startswith("patient_").to_numpy()[~line].all()
    assert log2_ratio_of_means(cohort, line).std() == pytest.approx(0.8, rel=0.1)


# Files and mistakes


def test_a_written_cohort_says_that_it_is_simulated_and_how(tmp_path):
    classes = ClassEffect(n_classes=2, unlabelled=0.25, keep_truth=True)
    cohort = simulate_cohort(40, 30, classes=classes, seed=9)
    write_h5ad(cohort, tmp_path / "cohort.h5ad")
    found = ad.read_h5ad(tmp_path / "cohort.h5ad")
    assert np.array_equal(found.X, cohort.X)
    assert found.obs["label"].isna().sum() == 10
    provenance = found.uns["oligolearn"]
    assert provenance["simulated"]
    assert provenance["seed"] == 9
    assert "simulated" in provenance["notes"][0]
    assert ClassEffect(**provenance["classes"]) == classes
    assert Transcriptome(**provenance["transcriptome"]) == Transcriptome()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: simulate_cohort(3, 10), r"`n_classes` is 4 but `n_samples` is 3; ask for fewer classes"),
        (lambda: simulate_cohort(0, 10), "`n_samples` is 0 but must be at least 1"),
        (lambda: simulate_cohort(10, 1), "`n_genes` is 1 but must be at least 2"),
        (lambda: simulate_cohort(10, 10, seed=-1), "`seed` is -1 but must be at least 0"),
        (
            lambda: simulate_cohort(10, 10, classes=ClassEffect(imbalance=100)),
            "`imbalance` of 100 leaves the smallest of 4 classes none of 10 samples; lower it",
        ),
        (lambda: ClassEffect(n_classes=1), "`n_classes` is 1 but must be at least 2"),
        (lambda: ClassEffect(share_genes=1.2), "`share_genes` is 1.2 but must lie between 0 and 1"),
        (lambda: ClassEffect(share_modules=-0.1), "`share_modules` is -0.1"),
        (lambda: ClassEffect(unlabelled=math.nan), "`unlabelled` is nan"),
        (lambda: ClassEffect(log2_fold_change=-1), "`log2_fold_change` is -1 but must be 0 or more"),
        (lambda: ClassEffect(imbalance=0.5), "`imbalance` is 0.5 but must be at least 1"),
        (lambda: BatchEffect(n_batches=0), "`n_batches` is 0 but must be at least 1"),
        (lambda: BatchEffect(location=-1), "`location` is -1 but must be 0 or more"),
        (lambda: BatchEffect(scale=math.inf), "`scale` is inf"),
        (lambda: BatchEffect(confounding=2), "`confounding` is 2 but must lie between 0 and 1"),
        (lambda: BatchEffect(n_batches=1, confounding=0.5), "there is one batch; ask for `n_batches` of 2"),
        (lambda: Subjects(samples_per_patient=0.5), "`samples_per_patient` is 0.5 but must be 1 or more"),
        (lambda: Subjects(patient_sd=-1), "`patient_sd` is -1"),
        (lambda: Transcriptome(reads_per_gene=0), "`reads_per_gene` is 0 but must lie above 0"),
        (lambda: Transcriptome(dispersion=-0.1), "`dispersion` is -0.1"),
        (lambda: Transcriptome(n_modules=-1), "`n_modules` is -1 but must be at least 0"),
    ],
)
def test_impossible_settings_are_answered_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [2.5, True, "3"])
def test_numbers_of_things_are_whole(value):
    with pytest.raises(TypeError, match=r"`n_batches` is .* must be a whole number"):
        BatchEffect(n_batches=value)
