"""Which of several methods to adapt a regression by, without values of the target."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from oligolearn.estimators.adaptation_selection import HELD_OUT, Attempt, verdict
from oligolearn.estimators.probes import principal_components
from oligolearn.estimators.shift import is_lead
from oligolearn.estimators.transfer_scores import density_ratio, embedded_validation
from oligolearn.estimators.value_shift import ValueStudy, explained

VALUE_CANDIDATES = ("linear", "coral", "optimal-transport", "source", "dann", "deep-coral")
"""Methods that are compared where nobody names them, and numbers are predicted."""

VALUE_RULE = (
    "of those that are not two standard errors behind the best on held-out source samples, the first that is linear, "
    "another linear one if it is ahead by more than two standard errors in reverse validation, or if none is linear "
    "the network that is best in it"
)
_FEWEST = 25  # values, of which a fifth is held out


class ScoredValues(NamedTuple):
    """A candidate with what can be known of it.

    Attributes
    ----------
    method
        Its name.
    is_linear
        Whether it is a ridge regression.
    source
        Squared errors of held-out source rows.
    back
        Squared errors of reverse validation of its values of the target.
    described
        Scores, JSON-able.
    """

    method: str
    is_linear: bool
    source: NDArray[np.float64]
    back: NDArray[np.float64]
    described: dict[str, Any]


def select_for_values(
    candidates: Sequence[str],
    linear: Sequence[str],
    study: ValueStudy,
    labels: NDArray[np.floating],
    attempt: Callable[[str, NDArray[np.floating], NDArray[np.intp]], Attempt],
    seed: int,
) -> tuple[str, list[dict[str, Any]]]:
    """Train every candidate without a fifth of the source's values, score it, and choose by `VALUE_RULE`.

    Scores are the share of the variance that is explained (R2) on held-out source rows and in reverse validation, and
    deep embedded validation of the squared error, in variances of the values. Entropy, the density of neighbourhoods
    and the mix of classes are not defined for numbers.

    Parameters
    ----------
    candidates, linear, attempt, seed
        As for `select_adaptation`; what `attempt` predicts are values as in `labels`, ``(n,)``.
    study
        Of the rows.
    labels
        Standardised values of all rows, NaN where not known, ``(n_samples,)``.

    Raises
    ------
    ValueError
        If fewer than 25 source rows have a value.
    """
    known = np.flatnonzero(study.known)
    if len(known) < _FEWEST:
        raise ValueError(
            f"to choose a method {_FEWEST} samples of the sources need a value, found {len(known)}: pass "
            "method='linear', or another one"
        )
    kept, held = (np.sort(rows) for rows in train_test_split(known, test_size=HELD_OUT, random_state=seed))
    shown = labels.copy()
    shown[held] = np.nan
    variance = float(np.var(study.values))
    scored = []
    for name in candidates:
        made = attempt(name, shown, held)
        errors = np.square(made.held_out - labels[held]).astype(np.float64)
        rows = principal_components(made.rows)
        weights = density_ratio(rows[kept], rows[held], rows[study.is_target])
        back = study.return_from(made.target)
        described = {
            "method": name,
            "source_r2": explained(errors, labels[held]),
            "reverse_validation": explained(back, study.values),
            "embedded_validation": embedded_validation(errors / variance, weights),
        }
        scored.append(ScoredValues(name, name in linear, errors, back, described))
    ruled_out = [why_not(one, scored) for one in scored]
    best = choose_for_values(scored, ruled_out)
    table = [
        {**one.described, "chosen": i == best, "ruled_out": why}
        for i, (one, why) in enumerate(zip(scored, ruled_out, strict=True))
    ]
    return scored[best].method, table


def why_not(one: ScoredValues, others: Sequence[ScoredValues]) -> str | None:
    """Why a candidate is out of the question; None if it is not."""
    best = min(others, key=lambda other: float(other.source.mean()))
    return f"behind {best.method} in the source" if is_lead(one.source - best.source, 2.0) else None


def choose_for_values(scored: Sequence[ScoredValues], ruled_out: Sequence[str | None]) -> int:
    """Number of the candidate that `VALUE_RULE` takes."""
    left = [i for i, why in enumerate(ruled_out) if why is None]
    linear = [i for i in left if scored[i].is_linear]
    best = min(linear or left, key=lambda i: float(scored[i].back.mean()))
    if not linear:
        return best
    return best if is_lead(scored[linear[0]].back - scored[best].back, 2.0) else linear[0]


def describe_value_selection(table: Sequence[dict[str, Any]]) -> list[str]:
    """The table of `select_for_values` in lines of text, and the rule."""
    head = f"{'method':<18}{'source R2':>10}{'back R2':>9}{'DEV':>8}"
    rows = [
        f"{row['method']:<18}{row['source_r2']:>10.3f}{row['reverse_validation']:>9.3f}"
        f"{row['embedded_validation']:>8.2f}{verdict(row)}"
        for row in table
    ]
    return [head, *rows, f"Chosen, without values of the target: {VALUE_RULE}."]
