"""How domains differ where numbers are predicted, and whether it is safe to take a regression to another one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from oligolearn.estimators.domain_training import DomainRows
from oligolearn.estimators.probes import principal_components
from oligolearn.estimators.shift import SAME_PLATFORM, domain_auroc, is_lead, row_coordinates, standardise_domains
from oligolearn.estimators.transfer_safety import FEWEST_TARGET, LOST, MARGIN, WAYS, fewest_target
from oligolearn.estimators.value_models import Unit

_STRENGTHS = tuple(10.0**power for power in range(-1, 7))
_N_BINS = 10
_LITTLE = 0.1  # share of the variance
_FLAT = 0.1  # standard deviation in the target, in those of the sources' values, below which all get one value


class ValueStudy(NamedTuple):
    """What is known of two domains before a regression is adapted.

    Attributes
    ----------
    how
        The standardisation that suits, ``"each"`` or ``"together"``.
    facts
        What it was chosen by, JSON-able.
    known, is_target
        Source rows whose value is known, and rows of targets, ``(n_samples,)``.
    values
        Standardised values of the first, ``(n_known,)``.
    rows
        Rows so standardised, as `row_coordinates` gives them.
    found
        Standardised values that ridge regression gives the target's rows, ``(n_target,)``.
    errors
        Squared errors of reverse validation of these, ``(n_known,)``.
    """

    how: str
    facts: dict[str, Any]
    known: NDArray[np.bool_]
    is_target: NDArray[np.bool_]
    values: NDArray[np.float64]
    rows: NDArray[np.float64]
    found: NDArray[np.float64]
    errors: NDArray[np.float64]

    def return_from(self, found: NDArray[np.floating]) -> NDArray[np.float64]:
        """Squared errors of reverse validation of any standardised values of the target's rows, ``(n_known,)``."""
        return go_back_by_values(self.rows[self.known], self.values, self.rows[self.is_target], found)


def ridge_regression(X: NDArray[np.floating], y: NDArray[np.floating]) -> RidgeCV:
    """Ridge regression whose strength, .1 to a million, is chosen by leave-one-out."""
    return RidgeCV(_STRENGTHS).fit(X, y)


def go_back_by_values(
    source: NDArray[np.floating],
    values: NDArray[np.floating],
    target: NDArray[np.floating],
    found: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Reverse validation of a regression: the target, with the values that a model found, predicts the source.

    Parameters
    ----------
    source, target
        Standardised rows, ``(n_source, n_genes)`` and ``(n_target, n_genes)``.
    values
        Standardised values of the source rows, ``(n_source,)``.
    found
        Those that the target rows were given, ``(n_target,)``.

    Returns
    -------
    ndarray
        Squared error of each source row, ``(n_source,)``.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> there_and_back = go_back_by_values(x[:100], x[:100, 0], x[100:], x[100:, 0])
    >>> bool(there_and_back.mean() < 0.01)
    True
    """
    if len(found) < 2 or np.ptp(found) == 0:
        return np.square(values - found.mean())
    return np.square(values - ridge_regression(target, found).predict(source))


def explained(errors: NDArray[np.floating], values: NDArray[np.floating]) -> float:
    """Share of the variance of `values` that is explained, from squared errors, both ``(n,)``; below 0 if none is."""
    return float(1 - errors.mean() / np.var(values))


def study_value_shift(rows: DomainRows) -> ValueStudy | None:
    """Measure the shift between sources and target, and say which standardisation suits.

    ``"together"`` where, among samples of like predicted values, the domains can hardly be told apart, else ``"each"``.
    Reverse validation has no say: of a linear function, as opposed to the classes that it separates, nothing is lost on
    the way there and back, however far the domains lie apart.

    Parameters
    ----------
    rows
        With standardised values as labels.

    Returns
    -------
    ValueStudy or None
        None without a target, or where the sources' values do not vary.
    """
    is_target, known = rows.is_target, rows.known & ~rows.is_target
    values = rows.labels[known].astype(np.float64)
    if not is_target.any() or len(np.unique(values)) < 2:
        return None
    how = "together"
    x = row_coordinates(standardise_domains(rows.values, rows.domains, how)[0])
    ridge = ridge_regression(x[known], values)
    predicted = ridge.predict(x)
    components = principal_components(x)
    bins = np.searchsorted(np.quantile(predicted[~is_target], np.arange(1, _N_BINS) / _N_BINS), predicted)
    within = domain_auroc(components, is_target, bins)
    facts: dict[str, Any] = {
        "domain_auroc": domain_auroc(components, is_target),
        "domain_auroc_within_values": within,
    }
    if (within is None or within >= SAME_PLATFORM) and fewest_target(rows.domains) >= FEWEST_TARGET:
        how = "each"
        x = row_coordinates(standardise_domains(rows.values, rows.domains, how)[0])
        ridge = ridge_regression(x[known], values)
        predicted = ridge.predict(x)
    facts["source_r2"] = float(1 + ridge.best_score_ / np.var(values))  # the score is minus the squared error
    found = predicted[is_target]
    errors = go_back_by_values(x[known], values, x[is_target], found)
    return ValueStudy(how, facts, known, is_target, values, x, found, errors)


def find_value_harm(study: ValueStudy, found: NDArray[np.floating]) -> list[str]:
    """Reasons to think that values of the target's rows are worse than those of ridge regression, in sentences.

    None needs values of the target: all rows are given nearly the same one; a tenth or more, and more than by ridge
    regression, lie outside of the values of the sources; or the way back to the source loses .2 of the variance that it
    explains, and more than two standard errors.

    Parameters
    ----------
    study
        Of the same rows.
    found
        Standardised values that the adapted model gives the target's rows, ``(n_target,)``.
    """
    if np.allclose(found, study.found, atol=1e-3):
        return []
    reasons = []
    if len(found) >= FEWEST_TARGET and found.std() < _FLAT * study.values.std():
        reasons.append("it gives all of the target nearly the same value")
    outside, otherwise = (_outside(values, study.values) for values in (found, study.found))
    if outside >= MARGIN and outside > otherwise:
        reasons.append(
            f"{outside:.0%} of its values lie outside of those of the sources (of ridge regression on genes "
            f"standardised {WAYS[study.how]} {otherwise:.0%})"
        )
    errors = study.return_from(found)
    back, other = explained(errors, study.values), explained(study.errors, study.values)
    if other - back >= LOST and is_lead(errors - study.errors, 2.0):
        reasons.append(
            f"a regression on the target with its values explains {max(back, 0.0):.0%} of the variance in the source, "
            f"with those of ridge regression on genes standardised {WAYS[study.how]} {max(other, 0.0):.0%}"
        )
    return reasons


def look_back_on_values(
    study: ValueStudy, found: NDArray[np.floating], seen: NDArray[np.floating], unit: Unit
) -> dict[str, Any]:
    """What came of an adaptation, JSON-able.

    Parameters
    ----------
    study
        Of the rows before.
    found
        Standardised values that the adapted model gives the target's rows, ``(n_target,)``.
    seen
        What it sees of all rows: standardised, mapped or embedded, ``(n_samples, n_dimensions)``.
    unit
        Of the values.

    Returns
    -------
    dict
        ``domain_auroc_after`` of `seen`, and ``values``: mean, standard deviation and range of those of the source,
        mean and standard deviation of those that the target was given, and the share of these outside of that range.
    """
    own, given = unit.restore(study.values), unit.restore(found)
    values = {
        "source_mean": own.mean(),
        "source_sd": own.std(),
        "source_lowest": own.min(),
        "source_highest": own.max(),
        "target_mean": given.mean(),
        "target_sd": given.std(),
        "target_outside": _outside(found, study.values),
    }
    return {
        "domain_auroc_after": domain_auroc(principal_components(seen), study.is_target),
        "values": {name: float(value) for name, value in values.items()},
    }


def describe_source(told: Mapping[str, Any]) -> str:
    """What can be expected at best, from the facts of `study_value_shift`."""
    share = told["source_r2"]
    sentence = (
        f"In the source itself ridge regression explains {max(share, 0.0):.0%} of the variance of values that it has "
        "not seen (leave-one-out)"
    )
    return sentence + ("." if share >= _LITTLE else ": there is next to nothing to transfer.")


def describe_values(told: Mapping[str, Any], *, together: bool) -> str:
    """What ``values`` of `look_back_on_values` says, and what nobody can know, in a few sentences."""
    sentence = (
        f"The values predicted for the target have mean {told['target_mean']:.4g} and standard deviation "
        f"{told['target_sd']:.3g}, those of the source {told['source_mean']:.4g} and {told['source_sd']:.3g} "
        f"({told['source_lowest']:.4g} to {told['source_highest']:.4g})"
    )
    if told["target_outside"] >= MARGIN:
        sentence += f"; {told['target_outside']:.0%} lie outside of that range"
    level = (
        "a shift between platforms would be taken for a difference in the values"
        if together
        else "the mean of the source is built in, since each domain was brought to the same scale; trust how samples "
        "of the target differ more than their level"
    )
    return f"{sentence}. By how much the target's true mean differs cannot be known without values of it: {level}."


def _outside(values: NDArray[np.floating], others: NDArray[np.floating]) -> float:
    """Share of `values` that is smaller or larger than all others."""
    return float(np.mean((values < others.min()) | (values > others.max())))
