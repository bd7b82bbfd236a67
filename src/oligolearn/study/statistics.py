"""From the table of a study's runs to numbers: curves, paired tests, labels saved, and whether anything was learned.

Pure functions of a table with one row per run and the columns `repeat, fraction, n_labels, method` and the metrics.
Runs are paired by (repeat, fraction): all methods of a repeat see the same split and the same labels. Failed runs,
absent or not finite, are left out, and a comparison uses the repeats that both methods finished. The order of the rows
does not matter. All results are plain Python numbers, with None for what is undefined, never NaN.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from oligolearn.estimators.metric_names import METRICS, NUMBER_METRICS
from oligolearn.study.runs import ROUNDING, checked, constant, finite, groups, number_of_labels, scores_by_repeat

Floats = npt.NDArray[np.float64]

RANGES = {  # the other metrics are shares
    **dict.fromkeys(("mcc", "spearman", "pearson"), (-1.0, 1.0)),
    **dict.fromkeys(("log_loss", "rmse"), (0.0, math.inf)),
    "r2": (-math.inf, 1.0),
}

_SPOKEN = {"balanced_accuracy": "balanced accuracy", "spearman": "Spearman's correlation"}
_CONFIDENCE = 0.95
_NORMAL_QUANTILE = 1.959964  # of that confidence, what resampled means have the tails of
_ALPHA = 0.05
_FEWEST_REPEATS_FOR_T = 5  # below, Student's t has so heavy tails that no effect survives Holm


class PairedTest(NamedTuple):
    """A mean paired difference, its 95% interval and two-sided p values; None where undefined, and `note` says why."""

    n_pairs: int
    difference: float | None
    low: float | None
    high: float | None
    t: float | None
    p_student: float | None
    p_corrected: float | None
    note: str


def learning_curves(
    results: pd.DataFrame, *, n_train: float | None = None, n_test: float | None = None
) -> list[dict[str, Any]]:
    """Mean of every metric per method and fraction, over repeats.

    Parameters
    ----------
    results : DataFrame
        One row per run.
    n_train, n_test : float, optional
        As in `compare`: sizes of the two sides of the split that each repeat redraws. Repeats share samples, so their
        mean varies more from cohort to cohort than they do among themselves: the interval is widened as
        `paired_t_test` does it.

    Returns
    -------
    list of dict
        `method, fraction, n_labels, n_runs, metrics`; `metrics[name]` has `mean`, `sd` and the 95% interval of the
        mean, `low` to `high`, Student's without the sizes. With one repeat, or scores that are all the same, only the
        mean is known. An interval ends where the metric does. It is for reading curves, `compare` is for
        comparing methods.
    """
    table = checked(results)
    overlap = _test_to_train(n_train, n_test) or 0.0
    present = [name for name in (*METRICS, *NUMBER_METRICS) if name in table.columns]
    return [
        {
            "method": method,
            "fraction": fraction,
            "n_labels": round(float(runs["n_labels"].mean())),
            "n_runs": len(runs),
            "metrics": {
                name: _mean_with_interval(finite(runs[name]), RANGES.get(name, (0.0, 1.0)), overlap) for name in present
            },
        }
        for method, fraction, runs in groups(table)
    ]


def _mean_with_interval(values: Floats, bounds: tuple[float, float], overlap: float) -> dict[str, float | None]:
    n = len(values)
    if n == 0:
        return {"mean": None, "sd": None, "low": None, "high": None}
    mean = float(values.mean())
    if n == 1:
        return {"mean": mean, "sd": None, "low": None, "high": None}
    if constant(values):
        return {"mean": float(values[0]), "sd": 0.0, "low": None, "high": None}  # says nothing of other repeats
    sd = float(values.std(ddof=1))
    half = _t_quantile(n) * sd * math.sqrt(1 / n + overlap)
    return {"mean": mean, "sd": sd, "low": max(bounds[0], mean - half), "high": min(bounds[1], mean + half)}


def paired_t_test(
    differences: Iterable[float], *, n_train: float | None = None, n_test: float | None = None
) -> PairedTest:
    """Student's paired t-test, and the corrected resampled t-test of Nadeau and Bengio.

    Repeats that resample one data set overlap, so that the plain test sees too little variance. The correction takes
    ``(1/n + n_test/n_train) s^2`` instead of ``s^2/n`` for the variance of the mean of n differences.

    Parameters
    ----------
    differences : iterable of float
        One per repeat; those that are not finite are dropped.
    n_train, n_test : float, optional
        Sizes of the two sides of the split that the repeats redraw.

    Returns
    -------
    PairedTest
        `t` and `p_student` are Student's; `p_corrected` is corrected, None without the sizes; `low` to `high` uses the
        corrected variance if the sizes are given, Student's otherwise.

    References
    ----------
    Nadeau & Bengio (2003), Inference for the generalization error, Machine Learning 52:239-281.
    """
    values = finite(differences)
    test_to_train = _test_to_train(n_train, n_test)
    n = len(values)
    if n == 0:
        return PairedTest(0, None, None, None, None, None, None, "no repeat has a result of both methods")
    if n == 1 or constant(values):
        return PairedTest(n, float(values[0]), None, None, None, None, None, _why_untestable(values))
    mean, variance = float(values.mean()), float(values.var(ddof=1))
    t = mean / math.sqrt(variance / n)
    error = math.sqrt(variance * (1 / n + (test_to_train or 0.0)))
    half = _t_quantile(n) * error
    p_corrected = None if test_to_train is None else _two_sided(mean / error, n)
    return PairedTest(n, mean, mean - half, mean + half, t, _two_sided(t, n), p_corrected, "")


def _why_untestable(values: Floats) -> str:
    if len(values) == 1:
        return "one repeat: how much the difference varies is unknown, so there is no interval and no test"
    if values[0] == 0:
        return f"the two methods score the same in all {len(values)} repeats, so there is nothing to test"
    return f"the difference is the same in all {len(values)} repeats: without variance the test is undefined"


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment, which bounds the chance of any false alarm; None stays None and is not counted.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6:65-70.

    Examples
    --------
    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, position) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * float(p)))
        adjusted[position] = largest
    return adjusted


def compare(
    results: pd.DataFrame,
    method: str,
    baseline: str,
    *,
    n_train: float | None,
    n_test: float | None,
    metric: str = "accuracy",
) -> list[dict[str, Any]]:
    """Paired tests of a method against a baseline at each fraction of labels, Holm-adjusted over the fractions.

    Parameters
    ----------
    results : DataFrame
        One row per run.
    method, baseline : str
        Names in the column `method`; differences are method minus baseline.
    n_train, n_test : float or None
        Rows on the training side and in the test set of the split that each repeat redraws, not the number of labels.
        The correction stands for the overlap of the repeats, which follows from the split alone: two test sets share
        n_test / (n_train + n_test) of their rows. With n_labels for n_train it would assert that repeats overlap more
        the fewer labels are used, when their labelled rows overlap less. None leaves the correction out.
    metric : str
        Column to compare.

    Returns
    -------
    list of dict
        By fraction: `method, baseline, metric, fraction, n_labels, n_pairs, difference, low, high, t, p_student,
        p_corrected, p_holm, note`. `p_holm` adjusts the corrected p, or Student's without the sizes.

    Raises
    ------
    ValueError
        If a column or a method is not in the table.
    """
    table = checked(results, metric)
    own, other = scores_by_repeat(table, method, metric), scores_by_repeat(table, baseline, metric)
    rows: list[dict[str, Any]] = []
    for fraction, scores in own.items():
        # Subtraction aligns the repeats; those that one of the two lacks come out as NaN.
        differences: Iterable[float] = scores - other[fraction] if fraction in other else []
        rows.append(
            {
                "method": method,
                "baseline": baseline,
                "metric": metric,
                "fraction": fraction,
                "n_labels": number_of_labels(table, method, fraction),
                **paired_t_test(differences, n_train=n_train, n_test=n_test)._asdict(),
            }
        )
    deciding = "p_student" if n_train is None else "p_corrected"
    for row, p in zip(rows, holm([row[deciding] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def labels_saved(  # noqa: PLR0913  (a table, a pair, and how to draw)
    results: pd.DataFrame,
    method: str,
    baseline: str,
    *,
    seed: int,
    n_train: float | None = None,
    n_test: float | None = None,
    n_bootstrap: int = 2000,
    metric: str = "accuracy",
) -> list[dict[str, Any]]:
    """How many labels a method spares: what the baseline needs for the same accuracy, less what the method used.

    The baseline's mean accuracy is made monotone by isotonic regression and interpolated linearly in log(n_labels). The
    interval is a percentile bootstrap over repeats, drawn jointly for both methods so that they stay paired. With R
    repeats that share samples, the means of a resample are moved away from those of all repeats by a factor of
    ``sqrt(1 + R n_test/n_train)``, which is by how much `paired_t_test` widens an interval.

    Parameters
    ----------
    results : DataFrame
        One row per run.
    method, baseline : str
        Names in the column `method`.
    seed : int
        Of the bootstrap.
    n_train, n_test : float, optional
        As in `compare`; without them repeats are taken as independent.
    n_bootstrap : int
        Number of resamples.
    metric : str
        What stands for accuracy: a column in which higher is better.

    Returns
    -------
    list of dict
        By fraction of `method`: `method, baseline, fraction, n_labels, accuracy, baseline_labels, saved, low, high,
        note`. Where the baseline never reaches the accuracy, or exceeds it with its fewest labels, `baseline_labels`
        and `saved` are None and `note` names the bound. An end of the interval that lies beyond what was tried is None;
        a bound that even a censored resample proves, such as "at least the most that was tried", is kept.
    """
    table = checked(results, metric)
    curve = pd.DataFrame(scores_by_repeat(table, baseline, metric)).sort_index(axis=1).dropna()
    n_tried = np.array([number_of_labels(table, baseline, float(f)) for f in curve.columns], dtype=np.float64)
    rng = np.random.default_rng(seed)
    overlap = _test_to_train(n_train, n_test) or 0.0
    rows: list[dict[str, Any]] = []
    for fraction, scores in scores_by_repeat(table, method, metric).items():
        repeats = curve.index.intersection(scores.dropna().index)
        n_labels = number_of_labels(table, method, fraction)
        row: dict[str, Any] = {
            "method": method,
            "baseline": baseline,
            "fraction": fraction,
            "n_labels": n_labels,
        }
        row |= dict.fromkeys(("accuracy", "baseline_labels", "saved", "low", "high"))
        if len(repeats) == 0:
            row["note"] = "no repeat has a result of the method and of the baseline at every number of labels"
        else:
            accuracies = np.column_stack([scores.loc[repeats], curve.loc[repeats]])
            drawn = rng.integers(len(repeats), size=(n_bootstrap, len(repeats)))
            row |= _saved_with_interval(accuracies, n_labels, n_tried, _resampled_means(accuracies, drawn, overlap))
        rows.append(row)
    return rows


def _resampled_means(scores: Floats, drawn: npt.NDArray[np.int64], overlap: float) -> Floats:
    """Means of `scores`, ``(n_repeats, n_columns)``, over the repeats of each draw, spread for their overlap."""
    n, mean = len(scores), scores.mean(axis=0)
    # Resampled means of a few repeats vary too little, by the divisor of the variance and for want of Student's tails.
    few = math.sqrt(n / (n - 1)) * _t_quantile(n) / _NORMAL_QUANTILE if n > 1 else 1.0
    means: Floats = mean + few * math.sqrt(1 + n * overlap) * (scores[drawn].mean(axis=1) - mean)
    return means


def _saved_with_interval(accuracies: Floats, n_labels: int, n_tried: Floats, resampled: Floats) -> dict[str, Any]:
    """Labels saved; columns are the method at one fraction, then the baseline at all of its own."""
    means = accuracies.mean(axis=0)
    needed = _labels_needed(means, n_tried)
    result: dict[str, Any] = {"accuracy": float(means[0])}
    notes = []
    if math.isfinite(needed):
        result |= {"baseline_labels": needed, "saved": needed - n_labels}
    elif needed > 0:
        notes.append(f"the baseline would need more than {n_tried.max():,.0f} labels, the most that were tried")
    else:
        notes.append(f"the baseline is better with its fewest labels: it needs less than {n_tried.min():,.0f}")
    if len(accuracies) == 1:
        notes.append("one repeat: no interval")
        return result | {"note": "; ".join(notes)}
    answers = np.array([_labels_needed(means, n_tried) for means in resampled])
    # A resample that the baseline never matches proves "at least the most tried" below, and leaves the upper end open.
    at_least = np.sort(np.where(answers == np.inf, n_tried.max(), answers)) - n_labels
    at_most = np.sort(np.where(answers == -np.inf, n_tried.min(), answers)) - n_labels
    tail = math.floor((1 - _CONFIDENCE) / 2 * len(answers))
    low, high = float(at_least[tail]), float(at_most[-1 - tail])
    result |= {"low": low if math.isfinite(low) else None, "high": high if math.isfinite(high) else None}
    if not notes and None in (result["low"], result["high"]):
        notes.append("the interval is open where it leaves the numbers of labels that were tried")
    return result | {"note": "; ".join(notes)}


def _labels_needed(means: Floats, n_tried: Floats) -> float:
    """Labels with which the monotone baseline curve `means[1:]` reaches `means[0]`; inf if never, -inf if always."""
    wanted = means[0] - ROUNDING
    monotone = optimize.isotonic_regression(means[1:]).x
    reached = int(np.searchsorted(monotone, wanted))
    if reached == len(monotone):
        return math.inf
    if reached == 0:
        return -math.inf if wanted < monotone[0] - 2 * ROUNDING else float(n_tried[0])
    below, above = monotone[reached - 1 : reached + 1]
    share = min(1.0, (means[0] - below) / (above - below))
    return float(n_tried[reached - 1] * (n_tried[reached] / n_tried[reached - 1]) ** share)


def learned(
    results: pd.DataFrame,
    *,
    n_classes: int,
    n_train: float | None = None,
    n_test: float | None = None,
    test_class_counts: Sequence[float] | None = None,
    resampled: bool = True,
) -> dict[str, Any]:
    """Whether any method beats guessing: mean balanced accuracy against 1/K, one-sided, Holm-adjusted over all rows.

    The p value is the larger of two, so that it holds if either does. One needs the size of the test set alone: of a
    classifier that knows nothing, the balanced accuracy on n_k test samples per class has at most the variance

        (sum_k 1/n_k - (K - 2)^2 / N) / (4 K^2),        N = sum_k n_k

    (the maximum over how often it names each class), and the mean over R repeats at most ``rho + (1 - rho)/R`` of that,
    where rho is the share of rows that two test sets have in common; normal tail, corrected for continuity. The other,
    from five repeats on, is the corrected resampled t-test, which also sees samples that are not independent, such as
    several of one patient.

    Parameters
    ----------
    results : DataFrame
        One row per run, with `balanced_accuracy`.
    n_classes : int
        K; guessing scores 1/K.
    n_train, n_test : float, optional
        Sizes of the two sides of the split, as in `compare`.
    test_class_counts : sequence of float, optional
        Test samples per class, 1 at least; equal shares of `n_test` without it.
    resampled : bool
        False if all repeats share one split, so that their test sets are the same and averaging repeats proves nothing.

    Returns
    -------
    dict
        `any`: True if some row's `p` is below .05, None if none could be tested; `note`; `rows`, each `method,
        fraction, balanced_accuracy, chance, p, p_unadjusted`, where `p` is Holm-adjusted.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or not one count per class.
    """
    if n_classes < 2:
        raise ValueError(f"`n_classes` is {n_classes}; to learn needs at least 2 classes")
    guessing = _guessing(n_classes, n_test, test_class_counts)
    chance = _Chance("balanced_accuracy", 1 / n_classes, guessing)
    return _beats(results, chance, _test_to_train(n_train, n_test), resampled=resampled)


def learned_order(
    results: pd.DataFrame, *, n_train: float | None = None, n_test: float | None = None, resampled: bool = True
) -> dict[str, Any]:
    """Whether any method orders numbers better than chance: mean Spearman's correlation against 0, as `learned` does.

    Of predictions that know nothing, the correlation on n independent test samples has mean 0 and variance 1/(n - 1).

    Parameters
    ----------
    results : DataFrame
        One row per run, with `spearman`.
    n_train, n_test, resampled
        As in `learned`.

    Returns
    -------
    dict
        As `learned` gives it, with `spearman` in place of `balanced_accuracy`.
    """
    guessing = None if n_test is None else _Guessing(1 / max(1.0, n_test - 1), half_step=0.0)
    return _beats(results, _Chance("spearman", 0.0, guessing), _test_to_train(n_train, n_test), resampled=resampled)


class _Chance(NamedTuple):
    """What guessing gives: the metric, its mean, and how it varies where that is known."""

    metric: str
    mean: float
    guessing: "_Guessing | None"


def _beats(results: pd.DataFrame, chance: _Chance, test_to_train: float | None, *, resampled: bool) -> dict[str, Any]:
    """Test of each method at each number of labels against guessing."""
    table = checked(results, chance.metric)
    overlap = test_to_train / (1 + test_to_train) if resampled and test_to_train is not None else 1.0
    rows: list[dict[str, Any]] = []
    for method, fraction, runs in groups(table):
        values = finite(runs[chance.metric]) - chance.mean
        p_values = [
            _p_from_test_size(values, chance.guessing, overlap),
            _p_from_repeats(values, chance.guessing, test_to_train),
        ]
        rows.append(
            {
                "method": method,
                "fraction": fraction,
                chance.metric: float(values.mean() + chance.mean) if len(values) else None,
                "chance": chance.mean,
                "p_unadjusted": max((p for p in p_values if p is not None), default=None),
            }
        )
    for row, p in zip(rows, holm([row["p_unadjusted"] for row in rows]), strict=True):
        row["p"] = p
    return _verdict([row["p"] for row in rows], _SPOKEN[chance.metric]) | {"rows": rows}


def _verdict(p_values: list[float | None], metric: str) -> dict[str, Any]:
    tested = [p for p in p_values if p is not None]
    if not tested:
        return {"any": None, "note": "there is one run each, or no variance, and the size of the test set is unknown"}
    share = f"{sum(p < _ALPHA for p in tested)} of {len(tested)}"
    return {
        "any": min(tested) < _ALPHA,
        "note": f"{share} combinations of method and number of labels have a {metric} above chance "
        f"(one-sided, Holm over all of them; the smallest p is {min(tested):.2g})",
    }


class _Guessing(NamedTuple):
    """Largest variance, and half the step, of the balanced accuracy of one test set."""

    variance: float
    half_step: float


def _guessing(n_classes: int, n_test: float | None, counts: Sequence[float] | None) -> _Guessing | None:
    if counts is None and n_test is None:
        return None
    if counts is not None and len(counts) != n_classes:
        raise ValueError(f"`test_class_counts` has {len(counts)} entries for {n_classes} classes; give one per class")
    sizes = np.full(n_classes, (n_test or 0) / n_classes) if counts is None else np.asarray(counts, dtype=float)
    sizes = np.maximum(sizes, 1.0)
    total = float(sizes.sum())
    variance = (float(np.sum(1 / sizes)) - (n_classes - 2) ** 2 / total) / (4 * n_classes**2)
    return _Guessing(variance, half_step=0.5 / total)


def _p_from_test_size(above_chance: Floats, guessing: _Guessing | None, overlap: float) -> float | None:
    n = len(above_chance)
    if guessing is None or n == 0:
        return None
    of_one_test_set = overlap + (1 - overlap) / n
    excess = float(above_chance.mean()) - guessing.half_step * of_one_test_set
    return float(stats.norm.sf(excess / math.sqrt(guessing.variance * of_one_test_set)))


def _p_from_repeats(above_chance: Floats, guessing: _Guessing | None, test_to_train: float | None) -> float | None:
    n = len(above_chance)
    if n < (2 if guessing is None else _FEWEST_REPEATS_FOR_T) or constant(above_chance):
        return None
    error = math.sqrt(above_chance.var(ddof=1) * (1 / n + (test_to_train or 0.0)))
    return float(stats.t.sf(above_chance.mean() / error, n - 1))


def _test_to_train(n_train: float | None, n_test: float | None) -> float | None:
    if n_train is None and n_test is None:
        return None
    if n_train is None or n_test is None or not (n_train > 0 and n_test > 0):
        raise ValueError(f"`n_train` is {n_train} and `n_test` is {n_test}; give both as positive sizes, or neither")
    return n_test / n_train


def _t_quantile(n: int) -> float:
    return float(stats.t.ppf((1 + _CONFIDENCE) / 2, n - 1))


def _two_sided(t: float, n: int) -> float:
    return float(2 * stats.t.sf(abs(t), n - 1))
