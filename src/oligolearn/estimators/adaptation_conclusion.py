"""What an adaptation found and did, in sentences."""

from collections.abc import Mapping
from typing import Any

from oligolearn.estimators.adaptation_methods import LINEAR
from oligolearn.estimators.adaptation_selection import describe_selection
from oligolearn.estimators.domain_adapted import DomainAdaptedClassifier
from oligolearn.estimators.domain_regression import DomainAdaptedRegressor
from oligolearn.estimators.mapping import MAPS
from oligolearn.estimators.transfer_safety import describe_safety
from oligolearn.estimators.value_selection import describe_value_selection
from oligolearn.estimators.value_shift import describe_source, describe_values

_HARMONISED = {
    "combat": "Location and scale of each gene were brought to those of the sources (ComBat, without labels).",
    "quantile": "Each gene was given the quantiles that it has in the sources (quantile normalisation, gene by gene).",
}


def conclude(fitted: DomainAdaptedClassifier | DomainAdaptedRegressor) -> list[str]:
    """What was found about the shift, what was done about it and why, in sentences."""
    told, of_values = fitted.adaptation_, isinstance(fitted, DomainAdaptedRegressor)
    notes = []
    if told.get("domain_auroc") is not None:
        within = told["domain_auroc_within_values" if of_values else "domain_auroc_within_classes"]
        among = "among samples of like predicted values" if of_values else "within classes"
        notes.append(
            f"Source and target are told apart with an area under the ROC curve of {told['domain_auroc']:.2f}, {among} "
            f"of {within:.2f} (.5 is not at all, 1 always)."
        )
    if "selection" in told:
        notes += (describe_value_selection if of_values else describe_selection)(told["selection"])
    notes.append(_describe_standardisation(told, of_values=of_values, as_asked=fitted.standardize != "auto"))
    notes.append(f"Trained: {_words_for(told['method'], 'ridge' if of_values else 'logistic')}.")
    if told.get("pretrained"):
        notes.append(f"Its encoder was pretrained without labels ({told['pretrained']}).")
    if "values" in told:
        notes.append(describe_source(told))
        notes.append(describe_values(told["values"], together=told["standardize"] == "together"))
    return notes + describe_safety(told)


def _describe_standardisation(told: Mapping[str, Any], *, of_values: bool, as_asked: bool) -> str:
    how, back = told["standardize"], told.get("reverse_validation")
    if how in _HARMONISED:
        return _HARMONISED[how]
    if how == "each":
        sentence = "The genes of each domain were standardised by themselves"
        return sentence + (
            f"; from the target back to the source {back['each']:.1%} are named right that way, "
            f"{back['together']:.1%} if all are standardised together."
            if back
            else "."
        )
    if as_asked:
        why = "as asked"
    elif told.get("few_target_rows"):
        why = "the target has few samples"
    elif back:
        why = (
            f"from the target back to the source {back['together']:.1%} are named right that way, {back['each']:.1%} "
            f"with each domain by itself{_neighbours(told)}"
        )
    else:
        why = f"{'among samples of like values' if of_values else 'within classes'} the domains hardly differ"
    lost = "what differs with the values" if of_values else "what the mix of classes makes of it"
    return (
        f"All samples were standardised together: {why}. To standardise each domain by itself would take away {lost}."
    )


def _neighbours(told: Mapping[str, Any]) -> str:
    """How closely the classes of either way follow the clusters of the target; of values nothing is known."""
    near = told.get("neighbour_agreement")
    if near is None:
        return ""
    return (
        f", and neighbours in the target share their class {near['together']:.2f} and {near['each']:.2f} of the way "
        "from chance to always"
    )


def _words_for(method: str, kind: str) -> str:
    """What was trained; linear methods are a regression of some kind."""
    if method in MAPS:
        return f"a {kind} regression on source samples that were given the covariance of the target"
    if method in LINEAR:
        return f"a {kind} regression"
    return "a network without adaptation" if method == "source" else f"a network by {method}"
