"""A whole job: learn from labelled cohorts for another one, whose genes, units and classes may differ."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import (
    GeneMatch,
    Prepared,
    gather_genes,
    is_number,
    label_of,
    match_genes,
    measured_by,
    naming_of,
    number_classes,
    numbers_of,
)
from oligolearn.data.samples import as_text
from oligolearn.data.table import some
from oligolearn.estimators.adaptation_conclusion import conclude
from oligolearn.estimators.cohorts import MEASURED_BY, LabelColumns, Preparation, training_facts
from oligolearn.estimators.domain_adapted import DomainAdaptedClassifier
from oligolearn.estimators.domain_regression import DomainAdaptedRegressor
from oligolearn.estimators.gene_covariation import co_variation
from oligolearn.estimators.metrics import score_values
from oligolearn.estimators.self_supervised import CollapseWarning
from oligolearn.estimators.transfer_safety import NegativeTransferWarning

FEWEST_GENES = 20  # genes
_WITHOUT_TARGET_LABELS = ("cada", "source")  # none of their losses sees one
_NOT_USED = "on the target, whose labels were not used"
_IN_WORDS = {"spearman": "Spearman correlation", "r2": "R2", "rmse": "root mean squared error"}


class Adapted(NamedTuple):
    """A classifier or a regression for a target cohort, with what has to be saved beside it.

    Attributes
    ----------
    model
        The estimator.
    features
        Genes that all cohorts have, in the order of the target, or of the source after whose genes its probes are
        named.
    facts
        JSON-able: units of the target, training data, overlap, scores, and the columns that stand for genes which the
        target, or else a source, calls otherwise.
    notes
        What was found and done, in sentences.
    values, domains
        What it was fitted to, ``(n_samples, n_features)`` and ``(n_samples,)``, the target's samples last.
    """

    model: DomainAdaptedClassifier | DomainAdaptedRegressor
    features: list[str]
    facts: dict[str, Any]
    notes: list[str]
    values: NDArray[np.float32]
    domains: NDArray[np.int64]


def adapt_cohorts(
    sources: Sequence[ad.AnnData],
    target: ad.AnnData,
    columns: LabelColumns,
    settings: Mapping[str, Any],
    preparation: Preparation,
    *,
    min_overlap: float = 0.2,
    use_target_labels: bool = False,
) -> Adapted:
    """Train for the samples of `target` on the labelled samples of `sources`.

    A label of more than 20 different numbers is learned by regression, any other by classification.

    Parameters
    ----------
    sources, target
        As `oligolearn.data.read_expression` gives them; genes are found by name (`oligolearn.data.match_genes`), values
        may be in different units.
    columns
        Name of the label, and the smallest class of a source.
    settings
        Of `DomainAdaptedClassifier` or `DomainAdaptedRegressor`.
    preparation
        Of each matrix; `top_genes` are those that vary most in the sources. Its `translation` says how genes are found
        that the files call differently, and which of several probes counts.
    min_overlap
        Smallest share of the target's genes that all sources must have.
    use_target_labels
        Learn from the labels of the target, where it has any, as well. Otherwise they only serve to say how good the
        model is.

    Raises
    ------
    ValueError
        If too few genes are shared, genes vary together in the target in no way as in the sources, or the labels do not
        suit.
    """
    if use_target_labels and settings.get("method") in _WITHOUT_TARGET_LABELS:
        raise ValueError(
            f"{settings['method']} learns nothing from labels of the target; choose f-cada or another method, or leave "
            "out --target-labels"
        )
    joined = join_cohorts(sources, target, preparation, min_overlap=min_overlap)
    X, domains, prepared, notes = joined.X, joined.domains, joined.prepared, [*joined.notes]
    _check_co_variation(X[domains >= 0], X[domains < 0])
    of_values = is_number(pd.concat([label_of(one, columns.label) for one in sources]))
    y, truth, told = (_numbers if of_values else _classes)(sources, target, columns)
    notes += told
    genes = preparation.choose_genes(X[domains >= 0])
    X, features = X[:, genes], [joined.genes[gene] for gene in genes]
    shown = np.concatenate([y, truth if use_target_labels else np.full(len(truth), np.nan, dtype=truth.dtype)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", NegativeTransferWarning)  # said in the notes
        warnings.simplefilter("always", CollapseWarning)
        model = (DomainAdaptedRegressor if of_values else DomainAdaptedClassifier)(**settings)
        fitted = model.fit(X, shown, domains)
    notes += [f"Warning: {one.message}." for one in caught]
    facts = {
        **training_facts(target, X[domains < 0], prepared[-1].units),
        "label": columns.label,
        "sources": [training_facts(one, p.X, p.units) for one, p in zip(sources, prepared, strict=False)],
        "overlap": {"n_shared": len(joined.genes), "n_target": joined.n_target},
    }
    columns_of = {gene: joined.columns_of[gene] for gene in features if gene in joined.columns_of}
    if columns_of:
        facts[MEASURED_BY] = columns_of
    notes += [f"Target: {note}" for note in prepared[-1].notes] + conclude(fitted)
    known = ~np.asarray(pd.isna(truth))
    if known.any() and not use_target_labels:
        predicted = fitted.predict(X[domains < 0][known])
        facts["metrics"], sentence = (_score_numbers if of_values else _score_classes)(truth[known], predicted)
        notes.append(sentence)
    return Adapted(fitted, features, facts, notes, X, domains)


class Joined(NamedTuple):
    """Source cohorts and a target with the genes that all have.

    Attributes
    ----------
    X
        ``(n_samples, n_genes)``, rows of the sources one after the other, then those of the target.
    domains
        Number of the source of each row, -1 for the target.
    genes
        Names of the columns.
    prepared
        Each cohort with all its genes, the target last.
    notes
        How genes were found, and how many are shared, in sentences.
    n_target
        Genes of the target, probes of one counted once.
    columns_of
        For genes that the target, or else the first source that does, calls otherwise: the names of its columns.
    """

    X: NDArray[np.float32]
    domains: NDArray[np.int64]
    genes: list[str]
    prepared: list[Prepared]
    notes: list[str]
    n_target: int
    columns_of: dict[str, list[str]]


def join_cohorts(
    sources: Sequence[ad.AnnData], target: ad.AnnData, preparation: Preparation, *, min_overlap: float = 0.2
) -> Joined:
    """Prepare each cohort by itself and join them on the genes that all have; arguments as of `adapt_cohorts`.

    Raises
    ------
    ValueError
        If too few genes are shared.
    """
    if not 0 < min_overlap <= 1:
        raise ValueError(f"min_overlap must lie above 0 and up to 1, found {min_overlap}")
    prepared = [preparation.apply(one) for one in (*sources, target)]
    named = [_file(one, f"source {place}") for place, one in enumerate(sources, start=1)] + [_file(target, "target")]
    domains = np.repeat([*range(len(sources)), -1], [len(one.X) for one in prepared])
    wanted = _reference(prepared[:-1], prepared[-1]).genes
    notes = [f"Genes of {named[-1]} are named by {naming_of(prepared[-1].genes)}."]
    columns_of: dict[str, list[str]] = {}
    matches: list[GeneMatch] = []
    values: list[NDArray[np.float32]] = []
    translation = preparation.translation
    # the target first: a column that stands for a gene there does so in a source of the same platform
    for one, name in zip((prepared[-1], *prepared[:-1]), (named[-1], *named[:-1]), strict=True):
        try:
            match = match_genes(one.genes, wanted, known=columns_of, gene_map=translation.gene_map)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        gathered = gather_genes(one.X, match, wanted, translation.column_rule(one.units))
        columns_of = columns_of or measured_by(one.genes, gathered, wanted)
        notes += [f"{name}: {note}" for note in (*match.notes, *gathered.notes)]
        matches.append(match)
        values.append(gathered.X)
    shared, said = _shared_genes(matches, prepared, min_overlap)
    X = np.concatenate([part[:, shared] for part in (*values[1:], values[0])])
    genes = [wanted[place] for place in shared]
    return Joined(X, domains, genes, prepared, [*notes, said], matches[0].n_genes, columns_of)


def _shared_genes(
    matches: Sequence[GeneMatch], prepared: Sequence[Prepared], min_overlap: float
) -> tuple[NDArray[np.intp], str]:
    """Places of the wanted genes that all cohorts have, and how many they are; `matches` has the target first."""
    shared = np.flatnonzero(np.all([match.found for match in matches], axis=0))
    n_target = max(matches[0].n_genes, 1)
    share, sizes = len(shared) / n_target, " and ".join(f"{match.n_genes:,}" for match in matches[1:])
    if share < min_overlap or len(shared) < min(FEWEST_GENES, n_target):
        worst = min(matches, key=lambda match: int(match.found.sum()))
        raise ValueError(
            f"{len(shared):,} of the target's {n_target:,} genes ({share:.0%}) are in every source (with {sizes} "
            f"genes): at least {min_overlap:.0%} are needed, and {FEWEST_GENES} genes; such as "
            f"{', '.join(prepared[-1].genes[:3])} in the target and {', '.join(prepared[0].genes[:3])} in the source; "
            f"{worst.advice}, or lower --min-overlap"
        )
    return shared, f"{len(shared):,} of the target's {n_target:,} genes are in every source ({sizes} genes)."


def _reference(sources: Sequence[Prepared], target: Prepared) -> Prepared:
    """The cohort whose names the others get: the target, but genes rather than their probes or transcripts."""
    if naming_of(target.genes).is_part:
        return next((one for one in sources if not naming_of(one.genes).is_part), target)
    return target


def _file(adata: ad.AnnData, otherwise: str) -> str:
    return str(adata.uns.get("oligolearn", {}).get("file", otherwise))


def _check_co_variation(source: NDArray[np.floating], target: NDArray[np.floating]) -> None:
    found = co_variation(source, target)
    if found is not None and found.hopeless:
        raise ValueError(
            "genes vary together in the target in no way as in the sources (their correlations agree by "
            f"{found.between:.2f}, those of two halves of the sources by {found.source:.2f}, of the target by "
            f"{found.target:.2f}, where 1 is the same), so that nothing can be transferred: check that a name means "
            "the same gene in all files, since numbered genes or probes of different platforms do not"
        )


Labels: TypeAlias = tuple[NDArray[Any], NDArray[Any], list[str]]  # of the sources, of the target; and notes


def _classes(sources: Sequence[ad.AnnData], target: ad.AnnData, columns: LabelColumns) -> Labels:
    """Names of the classes of the sources' samples and of the target's, None where there is none; and notes."""
    each = [label_of(one, columns.label) for one in sources]
    labels = number_classes(pd.concat(each), columns.label, min_class_size=columns.min_class_size)
    notes = list(labels.notes)
    if n_unlabelled := int((labels.codes < 0).sum()):
        notes.append(f"{n_unlabelled:,} samples of the sources have no label; no class is learned from them.")
    for number, (one, text) in enumerate(zip(sources, each, strict=True), 1):
        if len(sources) > 1 and text.nunique() == 1:
            notes.append(
                f"Warning: {_file(one, f'source {number}')} has the class {text.dropna().iloc[0]!r} alone: "
                "standardised by itself it looks like a mixture of all classes (not with --standardize together)."
            )
    known = np.array([*labels.classes, None], dtype=object)[labels.codes]  # -1, without a label, is the last
    truth = np.full(len(target.obs_names), None, dtype=object)
    if columns.label in target.obs:
        text = as_text(target.obs[columns.label])
        there = (text.notna() & (text.astype(str).str.strip() != "")).to_numpy()
        truth[there] = text[there].to_numpy()
        strange = sorted(set(truth[there]) - set(labels.classes))
        if strange:
            n = int(np.isin(truth[there], strange).sum())
            notes.append(f"{n:,} samples of the target have a label that no source has ({some(strange)}).")
    return known, truth, notes


def _numbers(sources: Sequence[ad.AnnData], target: ad.AnnData, columns: LabelColumns) -> Labels:
    """Numbers of the sources' samples and of the target's, NaN where there is none; and notes."""
    label = columns.label
    if columns.min_class_size is not None:
        raise ValueError(f"--min-class-size is for classes, and label {label!r} is a number: leave it out")
    each, notes = [], [f"{label!r} is a number: it is learned by regression."]
    for place, one in enumerate(sources, start=1):
        numbers, told = numbers_of(one, label)
        each.append(numbers)
        notes += [f"{_file(one, f'source {place}')}: {note}" for note in told]
    has_any = label in target.obs and bool(target.obs[label].notna().any())
    truth, told = numbers_of(target, label) if has_any else (np.full(len(target.obs_names), np.nan), [])
    return np.concatenate(each), truth, notes + [f"{_file(target, 'target')}: {note}" for note in told]


def _score_classes(truth: NDArray[Any], predicted: NDArray[Any]) -> tuple[dict[str, Any], str]:
    accuracy = float(np.mean(predicted == truth))
    balanced = float(np.mean([np.mean(predicted[truth == name] == name) for name in set(truth.tolist())]))
    sentence = (
        f"The target has {len(truth):,} labels, which were not learned from: of them {accuracy:.1%} were predicted "
        f"right, balanced accuracy {balanced:.3f}."
    )
    return {"note": _NOT_USED, "accuracy": accuracy, "balanced_accuracy": balanced}, sentence


def _score_numbers(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> tuple[dict[str, Any], str]:
    scores = score_values(truth, predicted)
    error = float(np.mean(predicted - truth))
    listed = ", ".join(f"{_IN_WORDS[name]} {value:.3g}" for name, value in scores.items())
    sentence = (
        f"The target has {len(truth):,} labels, which were not learned from: {listed}; predictions are "
        f"{abs(error):.3g} too {'high' if error > 0 else 'low'} on average."
    )
    return {"note": _NOT_USED, **scores, "mean_error": error}, sentence
