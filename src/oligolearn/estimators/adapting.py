"""A whole job: learn from labelled cohorts for another one, whose genes, units and classes may differ."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from oligolearn.data import Prepared, class_labels
from oligolearn.estimators.cohorts import LabelColumns, Preparation, training_facts
from oligolearn.estimators.domain_adapted import DomainAdaptedClassifier
from oligolearn.estimators.harmonising import HARMONISERS
from oligolearn.estimators.mapping import MAPS
from oligolearn.estimators.self_supervised import CollapseWarning

FEWEST_SHARED = 20  # genes
_HARMONISED = {
    "combat": "Location and scale of each gene were brought to those of the sources (ComBat, without labels).",
    "quantile": "Each gene was given the quantiles that it has in the sources (quantile normalisation, gene by gene).",
}


class Adapted(NamedTuple):
    """A classifier for a target cohort, with what has to be saved beside it.

    Attributes
    ----------
    model
        The estimator.
    features
        Genes that all cohorts have, in the order of the target.
    facts
        JSON-able: units of the target, training data, overlap, scores.
    notes
        What was found and done, in sentences.
    """

    model: DomainAdaptedClassifier
    features: list[str]
    facts: dict[str, Any]
    notes: list[str]


def adapt_classifier(
    sources: Sequence[ad.AnnData],
    target: ad.AnnData,
    columns: LabelColumns,
    model: DomainAdaptedClassifier,
    preparation: Preparation,
    *,
    min_overlap: float = 0.2,
    use_target_labels: bool = False,
) -> Adapted:
    """Train for the samples of `target` on the labelled samples of `sources`.

    Parameters
    ----------
    sources, target
        As `oligolearn.data.read_expression` gives them; genes are found by name, values may be in different units.
    columns
        Name of the label, and the smallest class of a source.
    model
        Settings; a copy of it is fitted.
    preparation
        Of each matrix; `top_genes` are those that vary most in the sources.
    min_overlap
        Smallest share of the target's genes that all sources must have.
    use_target_labels
        Learn from the labels of the target, where it has any, as well. Otherwise they only serve to say how good the
        model is.

    Raises
    ------
    ValueError
        If too few genes are shared, or the labels do not suit.
    """
    prepared = [preparation.apply(one) for one in (*sources, target)]
    shared, notes = _shared_genes(prepared, min_overlap)
    X = np.concatenate([one.X[:, _places(one, shared)] for one in prepared])
    domains = np.repeat([*range(len(sources)), -1], [len(one.X) for one in prepared])
    y, truth, told = _labels(sources, target, columns)
    notes += told
    genes = preparation.choose_genes(X[domains >= 0])
    X, features = X[:, genes], [shared[gene] for gene in genes]
    shown = np.concatenate([y, truth if use_target_labels else np.full(len(truth), np.nan, dtype=object)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        fitted = clone(model).fit(X, shown, domains)
    notes += [f"Warning: {one.message}." for one in caught]
    facts = {
        **training_facts(target, X[domains < 0], prepared[-1].units),
        "label": columns.label,
        "sources": [training_facts(one, p.X, p.units) for one, p in zip(sources, prepared, strict=False)],
        "overlap": {"n_shared": len(shared), "n_target": len(prepared[-1].genes)},
    }
    notes += [f"Target: {note}" for note in prepared[-1].notes] + conclude(fitted)
    known = np.array([label is not None for label in truth])
    if known.any() and not use_target_labels:
        facts["metrics"], sentence = _score(fitted, X[domains < 0][known], truth[known])
        notes.append(sentence)
    return Adapted(fitted, features, facts, notes)


def _shared_genes(prepared: Sequence[Prepared], min_overlap: float) -> tuple[list[str], list[str]]:
    """Genes of the target that all sources have, and what the overlap is."""
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie above 0 and up to 1, found {min_overlap}")
    *sources, target = prepared
    everywhere = set.intersection(*(set(one.genes) for one in sources))
    shared = [gene for gene in target.genes if gene in everywhere]
    share = len(shared) / len(target.genes)
    sizes = " and ".join(f"{len(one.genes):,}" for one in sources)
    if share < min_overlap or len(shared) < min(FEWEST_SHARED, len(target.genes)):
        raise ValueError(
            f"{len(shared):,} of the target's {len(target.genes):,} genes ({share:.0%}) are in every source (with "
            f"{sizes} genes): at least {min_overlap:.0%} are needed, and {FEWEST_SHARED} genes; such as "
            f"{', '.join(target.genes[:3])} in the target and {', '.join(sources[0].genes[:3])} in the source; check "
            "that both name genes in the same way, or lower --min-overlap"
        )
    return shared, [f"{len(shared):,} of the target's {len(target.genes):,} genes are in every source ({sizes} genes)."]


def _places(prepared: Prepared, genes: Sequence[str]) -> NDArray[np.intp]:
    place = {gene: i for i, gene in enumerate(prepared.genes)}
    return np.array([place[gene] for gene in genes])


def _labels(
    sources: Sequence[ad.AnnData], target: ad.AnnData, columns: LabelColumns
) -> tuple[NDArray[np.object_], NDArray[np.object_], list[str]]:
    """Names of the classes of the sources' samples and of the target's, None where there is none; and notes."""
    each: list[NDArray[np.object_]] = []
    notes: list[str] = []
    for one in sources:
        labels = class_labels(one, columns.label, min_class_size=columns.min_class_size)
        each.append(np.array([labels.classes[code] if code >= 0 else None for code in labels.codes], dtype=object))
        notes += labels.notes
    truth = np.full(len(target.obs_names), None, dtype=object)
    if columns.label in target.obs:
        values = target.obs[columns.label].astype(object)
        known = (values.notna() & (values.astype(str).str.strip() != "")).to_numpy()
        truth[known] = values[known].astype(str).to_numpy()
    return np.concatenate(each), truth, notes


def _score(
    fitted: DomainAdaptedClassifier, X: NDArray[np.float32], truth: NDArray[np.object_]
) -> tuple[dict[str, Any], str]:
    predicted = fitted.predict(X)
    accuracy = float(np.mean(predicted == truth))
    balanced = float(np.mean([np.mean(predicted[truth == name] == name) for name in set(truth.tolist())]))
    sentence = (
        f"The target has {len(truth):,} labels, which were not learned from: of them {accuracy:.1%} were predicted "
        f"right, balanced accuracy {balanced:.3f}."
    )
    scores = {"note": "on the target, whose labels were not used", "accuracy": accuracy, "balanced_accuracy": balanced}
    return scores, sentence


def conclude(fitted: DomainAdaptedClassifier) -> list[str]:
    """What was found about the shift, what was done about it and why, in sentences."""
    told = fitted.adaptation_
    notes = []
    if told.get("domain_auroc") is not None:
        notes.append(
            f"Source and target are told apart with an area under the ROC curve of {told['domain_auroc']:.2f}, within "
            f"classes of {told['domain_auroc_within_classes']:.2f} (.5 is not at all, 1 always)."
        )
    back = told.get("reverse_validation")
    if told["standardize"] == "together":
        why = (
            f"from the target back to the source {back['together']:.1%} are named right that way, {back['each']:.1%} "
            "with each domain by itself"
            if back
            else "within classes the domains hardly differ"
            if fitted.standardize == "auto"
            else "as asked"
        )
        notes.append(
            f"All samples were standardised together: {why}. To standardise each domain by itself would take away "
            "what the mix of classes makes of it."
        )
    elif told["standardize"] in _HARMONISED:
        notes.append(_HARMONISED[told["standardize"]])
    else:
        notes.append("The genes of each domain were standardised by themselves.")
        if back:
            notes[-1] = notes[-1].replace(".", "; ") + (
                f"from the target back to the source {back['each']:.1%} are named right that way, "
                f"{back['together']:.1%} if all are standardised together."
            )
    mapped = "a logistic regression on source samples that were given the covariance of the target"
    said = {
        **dict.fromkeys(("linear", *HARMONISERS), "a logistic regression"),
        **dict.fromkeys(MAPS, mapped),
        "source": "a network without adaptation",
    }
    notes.append(f"Trained: {said.get(told['method'], 'a network by ' + told['method'])}.")
    if told.get("pretrained"):
        notes.append(f"Its encoder was pretrained without labels ({told['pretrained']}).")
    return notes
