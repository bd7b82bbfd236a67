"""Which of several methods to adapt by, without labels of the target."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from oligolearn.estimators.labels import UNLABELLED
from oligolearn.estimators.probes import principal_components
from oligolearn.estimators.shift import There, is_ahead
from oligolearn.estimators.transfer_safety import MARGIN, ShiftStudy
from oligolearn.estimators.transfer_scores import (
    density_ratio,
    embedded_validation,
    mean_entropy,
    neighbourhood_density,
)

CANDIDATES = ("linear", "coral", "optimal-transport", "source", "dann", "deep-coral", "cada")
"""Methods that are compared where nobody names them."""

RULE = (
    "of those that are not two standard errors behind the best on held-out source samples, and not contradicted by "
    "the mix of classes, the first that is linear, another linear one if it is ahead by more than two standard errors "
    "in reverse validation, or if none is linear the network whose predictions have the least entropy"
)
HELD_OUT = 0.2  # of the source's labelled rows
_FEWEST = 5  # of each class


class Attempt(NamedTuple):
    """What a candidate, trained without the held-out rows, says of rows.

    Attributes
    ----------
    held_out, target
        Probabilities of the classes, ``(n, n_classes)``; where numbers are predicted, these, ``(n,)``.
    rows
        What the classifier sees of all rows: standardised, mapped or embedded, ``(n_samples, n_dimensions)``.
    """

    held_out: NDArray[np.floating]
    target: NDArray[np.floating]
    rows: NDArray[np.floating]


class Scored(NamedTuple):
    """A candidate with what can be known of it.

    Attributes
    ----------
    method
        Its name.
    is_linear
        Whether it is a logistic regression.
    source
        Which held-out source rows it names right.
    back
        Reverse validation of its names of the target.
    mix_error
        Share of these that is wrong at the least, by the mix of classes (`ShiftStudy.mix_error`); None if not known.
    entropy, density, risk
        `mean_entropy`, `neighbourhood_density` and `embedded_validation` (of errors).
    """

    method: str
    is_linear: bool
    source: There
    back: There
    mix_error: float | None
    entropy: float
    density: float
    risk: float

    def describe(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "method": self.method,
            "source_accuracy": self.source.balanced_accuracy,
            "reverse_validation": self.back.balanced_accuracy,
            "mix_error": self.mix_error,
            "entropy": self.entropy,
            "neighbourhood_density": self.density,
            "embedded_validation": self.risk,
        }


def hold_out(study: ShiftStudy, seed: int) -> NDArray[np.intp]:
    """A fifth of the source's labelled rows, stratified: their numbers among all rows, sorted.

    Raises
    ------
    ValueError
        If a class has fewer than 5 labelled source rows.
    """
    smallest = int(np.unique(study.labels, return_counts=True)[1].min())
    if smallest < _FEWEST:
        raise ValueError(
            f"to choose a method each class needs {_FEWEST} labelled samples of the sources, the smallest has "
            f"{smallest}: pass method='linear', or another one"
        )
    rows = np.flatnonzero(study.known)
    return np.sort(train_test_split(rows, test_size=HELD_OUT, random_state=seed, stratify=study.labels)[1])


def select_adaptation(
    candidates: Sequence[str],
    linear: Sequence[str],
    study: ShiftStudy,
    codes: NDArray[np.int64],
    attempt: Callable[[str, NDArray[np.int64], NDArray[np.intp]], Attempt],
    seed: int,
) -> tuple[str, list[dict[str, Any]]]:
    """Train every candidate without a fifth of the source's labels, score it, and choose by `RULE`.

    Parameters
    ----------
    candidates
        Names of methods.
    linear
        Those names that are logistic regressions.
    study
        Of the rows.
    codes
        Class numbers of all rows, -1 where not known, ``(n_samples,)``.
    attempt
        Function of a name, class numbers without the held-out ones, and the held-out rows.
    seed
        Of the held-out rows.

    Returns
    -------
    chosen, table
        The name, and for every candidate a JSON-able dict: scores, whether it was ``chosen``, and why not if it was
        ruled out.
    """
    held = hold_out(study, seed)
    shown = codes.copy()
    shown[held] = UNLABELLED
    training = study.known.copy()
    training[held] = False
    scored = []
    for name in candidates:
        made = attempt(name, shown, held)
        right = made.held_out.argmax(axis=1) == codes[held]
        rows = principal_components(made.rows)
        weights = density_ratio(rows[training], rows[held], rows[study.is_target])
        named = made.target.argmax(axis=1)
        scored.append(
            Scored(
                name,
                name in linear,
                There(right, float(np.mean([right[codes[held] == c].mean() for c in np.unique(codes[held])]))),
                study.return_from(named),
                study.mix_error(named),
                mean_entropy(made.target),
                neighbourhood_density(made.target),
                embedded_validation(~right, weights),
            )
        )
    ruled_out = [why_not(one, scored, codes[held]) for one in scored]
    best = choose(scored, ruled_out, study.labels)
    table = [
        {**one.describe(), "chosen": i == best, "ruled_out": why}
        for i, (one, why) in enumerate(zip(scored, ruled_out, strict=True))
    ]
    return scored[best].method, table


def why_not(one: Scored, others: Sequence[Scored], held_labels: NDArray[np.int64]) -> str | None:
    """Why a candidate is out of the question; None if it is not."""
    best = max(others, key=lambda other: other.source.balanced_accuracy)
    if is_ahead(best.source, one.source, held_labels, errors=2.0):
        return f"behind {best.method} in the source"
    least = min((other.mix_error for other in others if other.mix_error is not None), default=0.0)
    if one.mix_error is not None and one.mix_error >= MARGIN and one.mix_error > least:
        return "contradicted by the mix of classes"
    return None


def choose(scored: Sequence[Scored], ruled_out: Sequence[str | None], labels: NDArray[np.int64]) -> int:
    """Number of the candidate that `RULE` takes; of all where each is ruled out."""
    left = [i for i, why in enumerate(ruled_out) if why is None] or list(range(len(scored)))
    linear = [i for i in left if scored[i].is_linear]
    if not linear:
        return min(left, key=lambda i: scored[i].entropy)
    best = max(linear, key=lambda i: scored[i].back.balanced_accuracy)
    return best if is_ahead(scored[best].back, scored[linear[0]].back, labels, errors=2.0) else linear[0]


def describe_selection(table: Sequence[dict[str, Any]]) -> list[str]:
    """The table of `select_adaptation` in lines of text, and the rule."""
    head = f"{'method':<18}{'source':>8}{'back':>8}{'mix err':>9}{'entropy':>9}{'density':>9}{'DEV':>8}"
    lines = [head]
    for row in table:
        wrong = "-" if row["mix_error"] is None else f"{row['mix_error']:.2f}"
        lines.append(
            f"{row['method']:<18}{row['source_accuracy']:>8.3f}{row['reverse_validation']:>8.3f}{wrong:>9}"
            f"{row['entropy']:>9.3f}{row['neighbourhood_density']:>9.3f}{row['embedded_validation']:>8.2f}{verdict(row)}"
        )
    return [*lines, f"Chosen, without labels of the target: {RULE}."]


def verdict(row: Mapping[str, Any]) -> str:
    """What ends the line of a candidate: that it was chosen, or why it was ruled out."""
    return "  chosen" if row["chosen"] else f"  {row['ruled_out']}" if row["ruled_out"] else ""
