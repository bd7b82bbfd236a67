"""Whether it is safe to take a classifier to another domain: what to measure first, and what to check afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.estimators.class_mix import ClassMix, describe_mix, estimate_class_mix, total_variation
from oligolearn.estimators.labels import UNLABELLED
from oligolearn.estimators.probes import principal_components
from oligolearn.estimators.shift import (
    CLEARER,
    SAME_PLATFORM,
    There,
    domain_auroc,
    go_back,
    is_ahead,
    linear_classifier,
    neighbour_agreement,
    row_coordinates,
    standardise_domains,
)

FEWEST_TARGET = 5  # rows of a target from which means and deviations may be taken
WAYS = {
    "each": "in each domain by itself",
    "together": "together",
    "combat": "by ComBat",
    "quantile": "to the quantiles of the sources",
}
MARGIN = 0.1  # share of the target that has to be wrong by the mix of classes before there is a warning
EQUAL_MIX = ("dann", "cdan", "deep-coral", "dan", "wdgrl", "cada", "coral", "optimal-transport")  # assume one mix
_MOST_NAMED = 3  # classes that a sentence names
LOST = 0.2  # balanced accuracy of reverse validation that has to be lost, by more than two standard errors


class NegativeTransferWarning(UserWarning):
    """An adapted model is likely to be worse in the target than one without adaptation."""


class ShiftStudy(NamedTuple):
    """What is known of two domains before anything is adapted.

    Attributes
    ----------
    how
        The standardisation that suits, ``"each"`` or ``"together"``.
    facts
        What it was chosen by, JSON-able.
    known, is_target
        Source rows with labels, and rows of targets, ``(n_samples,)``.
    labels
        Class numbers of the first, ``(n_known,)``.
    rows
        Rows so standardised, as `row_coordinates` gives them.
    named
        Class numbers that logistic regression gives the target's rows, ``(n_target,)``.
    back
        Reverse validation of these.
    mix
        Shares of the classes that occur in `labels`, or why they cannot be estimated.
    """

    how: str
    facts: dict[str, Any]
    known: NDArray[np.bool_]
    is_target: NDArray[np.bool_]
    labels: NDArray[np.int64]
    rows: NDArray[np.float64]
    named: NDArray[np.int64]
    back: There
    mix: ClassMix | str

    def return_from(self, named: NDArray[np.int64]) -> There:
        """Reverse validation of any names of the target's rows."""
        return go_back(self.rows[self.known], self.labels, self.rows[self.is_target], named)

    def mix_error(self, named: NDArray[np.int64]) -> float | None:
        """Share of the names that is wrong at the least, by how many rows of each class there are.

        Names with other numbers of each class than there are cannot all be right: the total variation distance of the
        two mixes bounds the error from below. Given is its 2.5th percentile over the bootstrap of the mix; None where
        there is no estimate.
        """
        present = np.unique(self.labels)
        if isinstance(self.mix, str) or not np.isin(named, present).all():
            return None
        shares = np.bincount(np.searchsorted(present, named), minlength=len(present)) / len(named)
        return float(np.percentile(total_variation(self.mix.draws, shares), 2.5))


def study_shift(
    values: NDArray[np.floating], codes: NDArray[np.int64], domains: NDArray[np.int64]
) -> ShiftStudy | None:
    """Measure the shift between sources and target, and say which standardisation suits.

    ``"together"`` where, within classes, the domains can hardly be told apart, or where reverse validation is better
    with it by more than one standard error, or no worse while the names that it gives the target follow its clusters
    more closely by .1 (`neighbour_agreement`); else ``"each"``.

    Parameters
    ----------
    values
        ``(n_samples, n_genes)``, NaN where missing.
    codes
        Class numbers, -1 where not known, ``(n_samples,)``.
    domains
        0 or more for sources, negative for targets, ``(n_samples,)``.

    Returns
    -------
    ShiftStudy or None
        None without a target, or where the sources' labels are of one class.
    """
    is_target, known = domains < 0, (codes != UNLABELLED) & (domains >= 0)
    labels = codes[known]
    if not is_target.any() or len(np.unique(labels)) < 2:
        return None
    rows, how = _coordinates(values, domains, "together"), "together"
    classifier = linear_classifier(rows[known], labels)
    names = classifier.predict(rows)
    components = principal_components(rows)
    within = domain_auroc(components, is_target, names)
    facts: dict[str, Any] = {
        "domain_auroc": domain_auroc(components, is_target),
        "domain_auroc_within_classes": within,
    }
    named = names[is_target]
    back = go_back(rows[known], labels, rows[is_target], named)
    if (within is None or within >= SAME_PLATFORM) and fewest_target(domains) >= FEWEST_TARGET:
        apart = _coordinates(values, domains, "each")
        of_apart = linear_classifier(apart[known], labels)
        named_apart = of_apart.predict(apart[is_target])
        back_apart = go_back(apart[known], labels, apart[is_target], named_apart)
        facts["reverse_validation"] = {"each": back_apart.balanced_accuracy, "together": back.balanced_accuracy}
        components = principal_components(apart[is_target])
        near = {
            "each": neighbour_agreement(components, named_apart),
            "together": neighbour_agreement(components, named),
        }
        facts["neighbour_agreement"] = near
        clearer = near["together"] > near["each"] + CLEARER and not is_ahead(back_apart, back, labels)
        if not (is_ahead(back, back_apart, labels) or clearer):
            rows, how, classifier, named, back = apart, "each", of_apart, named_apart, back_apart
    numbers = np.searchsorted(np.unique(labels), labels)
    mix = estimate_class_mix(rows[known], numbers, rows[is_target], strength=classifier.C_)
    return ShiftStudy(how, facts, known, is_target, labels, rows, named, back, mix)


def _coordinates(values: NDArray[np.floating], domains: NDArray[np.int64], how: str) -> NDArray[np.float64]:
    return row_coordinates(standardise_domains(values, domains, how)[0])


def fewest_target(domains: NDArray[np.int64]) -> int:
    """Rows of the target that has the fewest; 0 without one."""
    return min((int((domains == domain).sum()) for domain in np.unique(domains[domains < 0])), default=0)


def check_target(values: NDArray[np.floating], domains: NDArray[np.int64]) -> None:
    """Refuse a target none of whose genes vary: nothing tells its rows apart.

    Raises
    ------
    ValueError
        If all rows of a target are alike, and there are several.
    """
    for domain in np.unique(domains[domains < 0]).tolist():
        rows = values[domains == domain]
        missing = np.isnan(rows)
        lowest, highest = np.where(missing, np.inf, rows).min(axis=0), np.where(missing, -np.inf, rows).max(axis=0)
        if len(rows) > 1 and not (highest > lowest).any():
            raise ValueError(
                f"the {len(rows)} rows of the target (sample_domain {domain}) are all alike: none of their "
                f"{rows.shape[1]:,} genes varies, so that none can be told from another; check how they were read"
            )


def find_negative_transfer(study: ShiftStudy, named: NDArray[np.int64]) -> list[str]:
    """Reasons to think that names of the target's rows are worse than those of logistic regression, in sentences.

    Neither needs labels of the target: by the mix of classes (`ShiftStudy.mix_error`) at least a
    tenth of the names is wrong, and more than of those of logistic regression. Or the way back to the source
    (`ShiftStudy.return_from`) loses .2 of its balanced accuracy, and more than two standard errors.

    Parameters
    ----------
    study
        Of the same rows.
    named
        Class numbers that the adapted model gives the target's rows, ``(n_target,)``.
    """
    if np.array_equal(named, study.named) and len(np.unique(named)) > 1:
        return []
    reasons = []
    wrong, otherwise = study.mix_error(named), study.mix_error(study.named)
    if wrong is not None and otherwise is not None and wrong >= MARGIN and wrong > otherwise:
        reasons.append(
            f"at least {wrong:.0%} of the classes it gives the target are wrong, if the mix of classes is as estimated "
            f"(of logistic regression on genes standardised {WAYS[study.how]} {otherwise:.0%})"
        )
    if len(np.unique(named)) == 1 and len(named) >= FEWEST_TARGET:
        reasons.append("it gives all of the target one class")
    back = study.return_from(named)
    lost = study.back.balanced_accuracy - back.balanced_accuracy
    if lost >= LOST and is_ahead(study.back, back, study.labels, errors=2.0):
        reasons.append(
            f"a classifier of the target as it was named gets {back.balanced_accuracy:.1%} of the source right, as "
            f"logistic regression on genes standardised {WAYS[study.how]} names it {study.back.balanced_accuracy:.1%}"
        )
    return reasons


def look_back(
    study: ShiftStudy, named: NDArray[np.int64], seen: NDArray[np.floating], classes: Sequence[Any]
) -> dict[str, Any]:
    """What came of an adaptation, JSON-able.

    Parameters
    ----------
    study
        Of the rows before.
    named
        Class numbers that the adapted model gives the target's rows, ``(n_target,)``.
    seen
        What its classifier sees of all rows: standardised, mapped or embedded, ``(n_samples, n_dimensions)``.
    classes
        Names of the classes.

    Returns
    -------
    dict
        ``domain_auroc_after`` of `seen`, ``class_mix`` (with the standardisation in which it was estimated), and
        ``named``, the share of each class among the names.
    """
    present = [classes[number] for number in np.unique(study.labels)]
    shares = np.bincount(named, minlength=len(classes)) / len(named)
    return {
        "domain_auroc_after": domain_auroc(principal_components(seen), study.is_target),
        "class_mix": {"standardize": study.how, **describe_mix(study.mix, present)},
        "named": dict(zip(map(str, classes), shares.round(4).tolist(), strict=True)),
    }


def describe_harm(told: Mapping[str, Any], suits: str, reasons: Sequence[str], regression: str) -> str:
    """A sentence of `find_negative_transfer`'s reasons, and what to compare with."""
    return (
        f"{told['method']} on genes standardised {WAYS[told['standardize']]} may do harm: {'; '.join(reasons)}. "
        f"Compare it with {regression} on genes standardised {WAYS[suits]}"
    )


def describe_safety(told: Mapping[str, Any]) -> list[str]:
    """What `DomainAdaptedClassifier.adaptation_` says of the mix of classes, of the domains afterwards, and of harm."""
    notes = []
    if told.get("domain_auroc_after") is not None:
        after = told["domain_auroc_after"]
        notes.append(f"As the model sees them they are told apart with {after:.2f} (below .5 is not at all).")
    if "class_mix" in told:
        notes.append(_describe_mix(told["class_mix"], told["method"] if told["method"] in EQUAL_MIX else None))
    if told.get("few_target_rows"):
        notes.append(
            f"The target has {told['few_target_rows']} samples, too few for means and deviations of its own: all "
            "samples were standardised together, and no shift between platforms was undone."
        )
    return notes + [f"Warning: {sentence}." for sentence in told.get("warnings", ())]


def _describe_mix(mix: Mapping[str, Any], method: str | None) -> str:
    if "not_estimated" in mix:
        return f"The mix of classes of the target cannot be estimated: {mix['not_estimated']}."
    source, target, low, high = (mix[name] for name in ("source", "target", "low", "high"))
    first = sorted(target, key=lambda name: -abs(target[name] - source[name]))[:_MOST_NAMED]
    shares = "; ".join(
        f"{target[name]:.0%} of class {name} ({low[name]:.0%} to {high[name]:.0%}), the source {source[name]:.0%}"
        for name in first[: 1 if len(target) == 2 else None]
    )
    if not mix["differs"]:
        return f"No difference in the mix of classes is clear: the target seems to have {shares}."
    harm = (
        "to standardise each domain by itself would take this difference away"
        if mix["standardize"] == "together"
        else "that is after each domain was standardised by itself, which hides a part of such a difference"
    )
    assumed = f"; {method} assumes that there is none" if method else ""
    return f"The target seems to have {shares}: {harm}{assumed}."
