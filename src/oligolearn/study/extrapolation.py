"""How many labels a target accuracy needs: learning curves with their uncertainty, and when the data cannot say.

The mean error of a method with n labels is taken for a power law that levels off,

    e(n) = e_N (r + (1 - r) (n / N)^-c) (1 + d(ln n)),

with N the most labels that were tried, e_N the error there, r the share of it that no number of labels removes and c
the speed. No real curve is a power law: d, a Gaussian process of scale tau, is by how much it is not, and the first few
numbers of labels may lie outside the law altogether. All of it is uncertain, so all of it is averaged over: a posterior
on a grid, from which whole curves are drawn, ahead to ten times N and no further.

References: Mukherjee et al. (2003), Journal of Computational Biology 10:119-142 (power laws for expression data);
Figueroa et al. (2012), BMC Medical Informatics and Decision Making 12:8 (later points say more); Domhan et al. (2015),
IJCAI (posterior over curves); Viering and Loog (2023), IEEE TPAMI 45:7799-7819 (curves that are no power law).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from oligolearn.study.runs import checked, number_of_labels, scores_by_repeat

Floats = npt.NDArray[np.float64]

FEWEST_NUMBERS, FEWEST_REPEATS, SMALLEST_SPAN = 4, 3, 4.0  # of labels, of repeats, of most to fewest labels
FEWEST_AT_MOST = 20  # labels: curves of golub from up to 9 held 61 % of what came after, not 95 %
HORIZON = 10.0  # nothing is said of more than this many times the most labels that were tried
METRICS = ("accuracy", "balanced_accuracy")

_N_CURVES, _N_PLACES = 4000, 81
_TAIL = 0.025
_NEVER = 0.05  # a target that fewer of the curves ever reach is out of reach
_SPEEDS = np.geomspace(0.05, 3.0, 31)
_USUAL_SPEED, _SPREAD_OF_SPEEDS = 0.5, 1.0  # of ln c, a normal prior
_LEFT_OVER = (np.arange(31) + 0.5) / 31
_MISFITS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # tau, relative to the error
_OUTSIDE = 0.5  # relative misfit of numbers of labels that are outside the law
_CORRELATION_LENGTH = 1.5  # of the misfit, in ln n
_PRIOR_RUNS = 5  # what the assumption that the variance goes as e (1 - e) counts for


class _Observed(NamedTuple):
    """Mean accuracy at each number of labels, ``(n_numbers,)``, and the covariance of these means."""

    n_labels: Floats
    mean: Floats
    covariance: Floats
    n_repeats: int

    @property
    def error(self) -> Floats:
        """One less the mean, never quite zero: misfits are relative to it."""
        return np.maximum(1 - self.mean, 1e-4)


class _Curves(NamedTuple):
    """Curves drawn from the posterior.

    Attributes
    ----------
    n_labels
        Where they are known, ``(n_places,)``.
    accuracy
        ``(n_curves, n_places)``.
    limit
        Accuracy at which each levels off, ``(n_curves,)``.
    """

    n_labels: Floats
    accuracy: Floats
    limit: Floats


def labels_needed(
    results: pd.DataFrame,
    target: float,
    *,
    n_train: float | None = None,
    n_test: float | None = None,
    metric: str = "accuracy",
    seed: int = 0,
) -> list[dict[str, Any]]:
    """How many labels each method needs for a target accuracy, with a 95% interval, or why the runs cannot say.

    Parameters
    ----------
    results : DataFrame
        One row per run, such as ``results.csv`` of a study.
    target : float
        Accuracy wanted, above 0 and up to 1.
    n_train, n_test : float, optional
        Sizes of the two sides of the split that the repeats redraw: the variance then counts what they share, as in
        `compare`. Without them the intervals speak of these very samples.
    metric : str
        ``"accuracy"`` or ``"balanced_accuracy"``.
    seed : int
        Of the curves that are drawn.

    Returns
    -------
    list of dict
        By method: `method, target, status, labels, low, high, reachable, limit, curve, note`. `status` is

        - ``"tried"``: the target is reached within the numbers of labels that were tried;
        - ``"extrapolated"``: it needs more;
        - ``"too far"``: it needs more than ten times the most that were tried, if it is reached at all;
        - ``"out of reach"``: the curve levels off below it;
        - ``"unknown"``: the runs are too few, too close together, or do not rise.

        `labels` is the median, None for the last three; `low` to `high` the interval, None where it is open.
        `reachable` is the probability that the target is reached with up to ten times the most labels tried. `limit`
        (`median, low, high`) is where the accuracy levels off; `curve` lists `n_labels, median, low, high`.
        `note` says in words what the numbers do not.

    Raises
    ------
    ValueError
        If the target is no accuracy, or a column is missing.

    Examples
    --------
    >>> rows = [(n, repeat, 0.95 - 1.2 * n**-0.6 + 0.01 * np.sin(7.0 * repeat + n))
    ...         for n in (20, 40, 80, 160, 320) for repeat in range(10)]
    >>> runs = pd.DataFrame(rows, columns=["n_labels", "repeat", "accuracy"]).assign(method="scratch")
    >>> answer = labels_needed(runs.assign(fraction=runs.n_labels / 320), 0.92)[0]
    >>> answer["status"], answer["low"] < 468 < answer["high"]
    ('extrapolated', True)
    """
    if metric not in METRICS:
        raise ValueError(f"`metric` must be one of {', '.join(METRICS)}, found {metric!r}")
    check_target(target)
    table = checked(results, metric)
    shared = 0.0 if n_train is None or n_test is None else n_test / n_train
    return [
        {"method": method, "target": float(target), **_answer(table, method, metric, target, shared, seed)}
        for method in sorted(table["method"].unique())
    ]


def check_target(target: float) -> None:
    """Refuse what is no accuracy to aim for.

    Raises
    ------
    ValueError
        If it is not above 0 and up to 1.
    """
    if not 0 < target <= 1:
        raise ValueError(f"the target is an accuracy above 0 and up to 1, such as 0.95 or 95%; found {target:g}")


def usual_target(results: pd.DataFrame, metric: str = "accuracy") -> float:
    """Accuracy that halves the error of the best method at the most labels that were tried: a target nobody named.

    Rounded to a tenth of a percent.
    """
    most = results[results["n_labels"] == results["n_labels"].max()]
    best = float(most.groupby("method")[metric].mean().max())
    return min(1.0, round(best + (1 - best) / 2, 3))


def _answer(table: pd.DataFrame, method: str, metric: str, target: float, shared: float, seed: int) -> dict[str, Any]:
    observed = _observe(table, method, metric, shared)
    nothing: dict[str, Any] = dict.fromkeys(("labels", "low", "high", "reachable", "limit", "curve"))
    why = _too_little(observed)
    if why:
        return {"status": "unknown", **nothing, "note": why}
    flat = _does_not_rise(observed)
    if flat:
        return {**nothing, **_flat_answer(observed, target, flat)}
    curves = _draw_curves(observed, np.random.default_rng(seed))
    seen = {"limit": _spread(curves.limit), "curve": _summarised(curves)}
    return {**_read_off(curves, observed, target), **seen}


def _observe(table: pd.DataFrame, method: str, metric: str, shared: float) -> _Observed:
    """Mean and covariance over the repeats that have a score at every number of labels."""
    scores = pd.DataFrame(scores_by_repeat(table, method, metric))
    scores.columns = pd.Index([number_of_labels(table, method, float(name)) for name in scores.columns])
    scores = scores.T.groupby(level=0).mean().T.dropna()  # small fractions may be the same number of labels
    values = scores.to_numpy(dtype=np.float64)
    n_labels = scores.columns.to_numpy(dtype=np.float64)
    if len(values) < FEWEST_REPEATS or len(n_labels) < 2:
        return _Observed(n_labels, values.mean(axis=0) if len(values) else np.zeros(0), np.zeros((0, 0)), len(values))
    return _Observed(n_labels, values.mean(axis=0), _covariance(values) * (1 / len(values) + shared), len(values))


def _covariance(values: Floats) -> Floats:
    """Covariance of a repeat's scores, ``(n_numbers, n_numbers)``: few repeats know few of its entries.

    Each variance is pulled towards one in proportion to e (1 - e), as of shares; all pairs have one correlation.
    """
    freedom = len(values) - 1
    error = np.clip(1 - values.mean(axis=0), 1e-3, 1 - 1e-3)
    own, shape = values.var(axis=0, ddof=1), error * (1 - error)
    pooled = shape * own.sum() / shape.sum()
    variance = np.maximum((freedom * own + _PRIOR_RUNS * pooled) / (freedom + _PRIOR_RUNS), 1e-8)
    standard = (values - values.mean(axis=0)) / np.sqrt(np.maximum(own, 1e-12))
    pairs = standard.T @ standard / freedom
    n = len(error)
    correlation = float(np.clip((pairs.sum() - np.trace(pairs)) / (n * (n - 1)), 0.0, 0.8))
    spread = np.sqrt(variance)
    return np.outer(spread, spread) * (correlation + (1 - correlation) * np.eye(n))


def _too_little(observed: _Observed) -> str:
    """Why the runs are too few to fit a curve; empty where they are not."""
    n, repeats = len(observed.n_labels), observed.n_repeats
    if n < FEWEST_NUMBERS:
        return (
            f"a curve needs at least {FEWEST_NUMBERS} different numbers of labels, this one has {n}: "
            "study more fractions (--points)"
        )
    if repeats < FEWEST_REPEATS:
        return (
            f"a curve needs at least {FEWEST_REPEATS} repeats that finished at every number of labels, this one has "
            f"{repeats}: study more repeats"
        )
    span = observed.n_labels[-1] / observed.n_labels[0]
    if span < SMALLEST_SPAN:
        return (
            f"the numbers of labels tried span a factor of {span:.1f}; to see a curve bend takes {SMALLEST_SPAN:g}: "
            "study smaller fractions as well"
        )
    if observed.n_labels[-1] < FEWEST_AT_MOST:
        return (
            f"at most {observed.n_labels[-1]:,.0f} labels were tried: below {FEWEST_AT_MOST} accuracy can rise in ways "
            "that they do not show; study larger fractions as well"
        )
    return ""


def _does_not_rise(observed: _Observed) -> str:
    """Why there is no curve to extend: the upper half of the numbers of labels is no better than the lower."""
    half = len(observed.n_labels) // 2
    contrast = np.zeros(len(observed.n_labels))
    contrast[:half], contrast[-half:] = -1 / half, 1 / half
    rise, error = float(contrast @ observed.mean), math.sqrt(float(contrast @ observed.covariance @ contrast))
    if rise > 2 * error:
        return ""
    return (
        f"accuracy does not grow detectably with the labels tried ({observed.mean[0]:.1%} with "
        f"{observed.n_labels[0]:,.0f}, {observed.mean[-1]:.1%} with {observed.n_labels[-1]:,.0f}), so nothing says "
        "what more labels would bring"
    )


def _flat_answer(observed: _Observed, target: float, why: str) -> dict[str, Any]:
    weakest = observed.mean - 2 * np.sqrt(np.diag(observed.covariance))
    if target > float(weakest.min()):
        return {"status": "unknown", "note": why}
    fewest = float(observed.n_labels[0])
    return {"status": "tried", "labels": fewest, "high": fewest, "note": "reached with the fewest labels tried"}


def _law(n_labels: Floats, most: float, parameters: Floats) -> Floats:
    """Error at ``n_labels (n_places,)`` for rows of e_N, r and c in `parameters`: ``(n_rows, n_places)``."""
    at_most, left, speed = (parameters[:, i, None] for i in range(3))
    return np.asarray(at_most * (left + (1 - left) * (n_labels[None, :] / most) ** -speed))


def _grid(observed: _Observed) -> tuple[Floats, Floats]:
    """Rows of e_N, r and c, and the logarithm of their prior."""
    last, sd = float(observed.error[-1]), math.sqrt(float(observed.covariance[-1, -1]))
    reach = 4 * math.hypot(sd, 0.1 * last)
    at_most = np.linspace(max(last / 20, last - reach), min(1.0, last + reach), 25)
    parameters = np.stack(np.meshgrid(at_most, _LEFT_OVER, _SPEEDS, indexing="ij"), axis=-1).reshape(-1, 3)
    prior = -0.5 * (np.log(parameters[:, 2] / _USUAL_SPEED) / _SPREAD_OF_SPEEDS) ** 2
    return parameters, prior


def _alike(a: Floats, b: Floats) -> Floats:
    """Correlation of the misfit at two sets of numbers of labels (Matern 3/2 over ln n)."""
    distance = math.sqrt(3) * np.abs(np.log(a)[:, None] - np.log(b)[None, :]) / _CORRELATION_LENGTH
    return np.asarray((1 + distance) * np.exp(-distance))


class _Misfit(NamedTuple):
    """One idea of how far the curve is from the law: `tau`, and how many of the first numbers are outside it."""

    tau: float
    n_outside: int

    def covariance(self, observed: _Observed) -> Floats:
        """Of the observed means, given the law: repeats and misfit."""
        scale = observed.error
        outside = np.where(np.arange(len(scale)) < self.n_outside, _OUTSIDE * scale, 0.0)
        own = self.tau**2 * np.outer(scale, scale) * _alike(observed.n_labels, observed.n_labels)
        return np.asarray(observed.covariance + own + np.diag(outside**2))


def _misfits(observed: _Observed) -> list[_Misfit]:
    """At least `FEWEST_NUMBERS` numbers of labels always follow the law."""
    most_outside = min(len(observed.n_labels) // 2, len(observed.n_labels) - FEWEST_NUMBERS)
    return [_Misfit(tau, n) for tau in _MISFITS for n in range(most_outside + 1)]


def _log_likelihood(residual: Floats, covariance: Floats, freedom: float) -> Floats:
    """Of rows of residuals under a multivariate t: the covariance itself was estimated from few repeats."""
    lower = np.linalg.cholesky(covariance)
    distance = (np.linalg.solve(lower, residual.T) ** 2).sum(axis=0)
    n = residual.shape[1]
    size = math.lgamma((freedom + n) / 2) - math.lgamma(freedom / 2) - 0.5 * n * math.log(freedom)
    return np.asarray(size - float(np.log(np.diag(lower)).sum()) - 0.5 * (freedom + n) * np.log1p(distance / freedom))


def _draw_curves(observed: _Observed, rng: np.random.Generator) -> _Curves:
    """Curves from the posterior over law and misfit."""
    most = float(observed.n_labels[-1])
    parameters, prior = _grid(observed)
    residual = observed.error[None, :] - _law(observed.n_labels, most, parameters)
    misfits = _misfits(observed)
    freedom = observed.n_repeats - 1 + _PRIOR_RUNS
    logs = np.stack([prior + _log_likelihood(residual, one.covariance(observed), freedom) for one in misfits])
    weights = np.exp(logs - logs.max()).ravel()
    chosen = rng.choice(len(weights), size=_N_CURVES, p=weights / weights.sum())
    which, rows = np.divmod(chosen, len(parameters))
    drawn = _jittered(parameters, rows, rng)
    places = np.geomspace(observed.n_labels[0], HORIZON * most, _N_PLACES)
    error = _law(places, most, drawn)
    for i in np.unique(which):
        mine = which == i
        left = observed.error[None, :] - _law(observed.n_labels, most, drawn[mine])
        error[mine] *= 1 + _draw_misfit(misfits[i], observed, places, left, rng)
    return _Curves(places, 1 - np.clip(error, 0.0, 1.0), 1 - drawn[:, 0] * drawn[:, 1])


def _jittered(parameters: Floats, rows: npt.NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """Points of the grid, each moved at random inside its cell."""
    drawn = parameters[rows]
    moves = rng.uniform(-0.5, 0.5, drawn.shape)
    steps = [np.diff(np.unique(parameters[:, i])[:2])[0] for i in range(2)]
    for i, step in enumerate(steps):
        drawn[:, i] += step * moves[:, i]
    drawn[:, 0] = np.maximum(drawn[:, 0], 1e-6)
    drawn[:, 2] *= (_SPEEDS[1] / _SPEEDS[0]) ** moves[:, 2]
    return np.asarray(drawn)


def _draw_misfit(
    misfit: _Misfit, observed: _Observed, places: Floats, residual: Floats, rng: np.random.Generator
) -> Floats:
    """Relative misfit at `places`, one row for each row of residuals, given these."""
    ahead = misfit.tau**2 * _alike(places, observed.n_labels) * observed.error[None, :]
    gain = np.linalg.solve(misfit.covariance(observed), ahead.T).T
    left = misfit.tau**2 * _alike(places, places) - gain @ ahead.T
    value, vector = np.linalg.eigh((left + left.T) / 2)
    root = vector * np.sqrt(np.maximum(value, 0.0))
    return np.asarray(residual @ gain.T + rng.normal(size=(len(residual), len(places))) @ root.T)


def _first_reached(curves: _Curves, target: float) -> Floats:
    """Labels at which each curve first has the target; inf where it has not within the places known."""
    reached = curves.accuracy >= target
    first = reached.argmax(axis=1)
    rows, before = np.arange(len(first)), np.maximum(first - 1, 0)
    below, above = curves.accuracy[rows, before], curves.accuracy[rows, first]
    share = np.where(above > below, (target - below) / np.where(above > below, above - below, 1.0), 0.0)
    logs = np.log(curves.n_labels)
    needed = np.exp(logs[before] + np.clip(share, 0.0, 1.0) * (logs[first] - logs[before]))
    return np.where(reached.any(axis=1), needed, np.inf)


def _read_off(curves: _Curves, observed: _Observed, target: float) -> dict[str, Any]:
    """Labels for the target, or why there is no number to give."""
    needed = np.sort(_first_reached(curves, target))
    low, median, high = (float(needed[round(q * (len(needed) - 1))]) for q in (_TAIL, 0.5, 1 - _TAIL))
    fewest, most = float(observed.n_labels[0]), float(observed.n_labels[-1])
    reachable = float(np.isfinite(needed).mean())
    answer: dict[str, Any] = {
        "labels": None,
        "low": low if fewest < low < math.inf else None,
        "high": high if high < math.inf else None,
        "reachable": reachable,
    }
    ever = float((curves.limit >= target).mean())
    if ever < _NEVER and median == math.inf:
        return {"status": "out of reach", **answer, "note": _levels_off(curves)}
    if median == math.inf:
        return {"status": "too far", **answer, "note": _beyond(low, most, reachable)}
    status = "tried" if median <= most else "extrapolated"
    return {"status": status, **answer, "labels": median, "note": _qualified(answer, median, fewest, most)}


def _levels_off(curves: _Curves) -> str:
    limit = _spread(curves.limit)
    return (
        f"the curve levels off at {limit['median']:.1%} (95% interval {limit['low']:.1%} to {limit['high']:.1%}), "
        "below the target: labels of this kind alone will not do"
    )


def _beyond(low: float, most: float, reachable: float) -> str:
    at_least = f"; it is at least {low:,.0f}" if low < math.inf else ""
    return (
        f"the runs cannot say: with {HORIZON * most:,.0f} labels, {HORIZON:g} times the most that were tried, the "
        f"chance of reaching the target is {reachable:.0%}, and what lies beyond is not in the data{at_least}"
    )


def _qualified(answer: dict[str, Any], median: float, fewest: float, most: float) -> str:
    notes = []
    if median <= fewest:
        notes.append("reached with the fewest labels tried")
    if answer["high"] is None:
        notes.append(
            f"open above: the chance that {HORIZON * most:,.0f} labels do not suffice is {1 - answer['reachable']:.0%}"
        )
    elif median > 2 * most:
        notes.append(f"{median / most:.1f} times the most labels that were tried: a plan, not a promise")
    return "; ".join(notes)


def _spread(values: Floats) -> dict[str, float]:
    low, median, high = np.quantile(values, [_TAIL, 0.5, 1 - _TAIL])
    return {"median": float(median), "low": float(low), "high": float(high)}


def _summarised(curves: _Curves) -> dict[str, list[float]]:
    low, median, high = np.quantile(curves.accuracy, [_TAIL, 0.5, 1 - _TAIL], axis=0)
    return {
        name: [float(f"{value:.6g}") for value in values]
        for name, values in (("n_labels", curves.n_labels), ("median", median), ("low", low), ("high", high))
    }
