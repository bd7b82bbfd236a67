"""Whole jobs on a cohort: pretrain and train on samples read from a file."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from oligolearn.data import (
    Borrowed,
    ExpressionScaler,
    OwnCohort,
    Prepared,
    StoredExpression,
    Translation,
    align_expression,
    borrow_rows,
    class_labels,
    group_numbers,
    label_of,
    prepare_expression,
    prepare_stream,
    top_variance_genes,
)
from oligolearn.data.fingerprints import fingerprint
from oligolearn.data.other_cohorts import LEAST_SHARE
from oligolearn.estimators.bundles import SavedModel
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.linear import StandardisedLogistic
from oligolearn.estimators.metrics import score_predictions
from oligolearn.estimators.probes import principal_components, probe_embeddings
from oligolearn.estimators.self_supervised import CollapseWarning, SelfSupervisedEncoder
from oligolearn.estimators.self_trained import SelfTrainedClassifier
from oligolearn.estimators.value_models import StandardisedRidge

_Classifier: TypeAlias = FineTunedClassifier | SelfTrainedClassifier
MEASURED_BY = "measured_by"  # in `model.json`: columns of the training data by gene, where their names are others


@dataclass(frozen=True)
class Preparation:
    """How a matrix becomes what is learned from: see `oligolearn.data.prepare_expression`.

    Attributes
    ----------
    normalize
        What the values are, or ``"auto"``.
    max_missing
        Largest share of missing values a gene may have.
    top_genes
        Keep as many genes, those that vary most; None for all.
    translation
        How other names of genes become those of another file, or of a model.
    """

    normalize: str = "auto"
    max_missing: float = 0.3
    top_genes: int | None = None
    translation: Translation = field(default_factory=Translation)

    def apply(self, adata: ad.AnnData) -> Prepared:
        """Prepare all samples of `adata`, with all genes."""
        return prepare_expression(adata, normalize_as=self.normalize, max_missing=self.max_missing)

    def choose_genes(self, X: NDArray[np.float32]) -> NDArray[np.intp]:
        """Columns to keep, by what training rows `X` say."""
        if self.top_genes is None or self.top_genes >= X.shape[1]:
            return np.arange(X.shape[1])
        return top_variance_genes(X, self.top_genes)


def _keep_genes(prepared: Prepared, kept: NDArray[np.intp]) -> Prepared:
    if len(kept) == len(prepared.genes):
        return prepared
    notes = [*prepared.notes, f"The {len(kept):,} genes that vary most were kept."]
    return prepared._replace(X=prepared.X[:, kept], genes=[prepared.genes[i] for i in kept], notes=notes)


class Trained(NamedTuple):
    """A fitted estimator with what has to be saved beside it.

    Attributes
    ----------
    model
        The estimator.
    features
        Genes, in order.
    facts
        JSON-able: units, training data, metrics.
    notes
        What was done, in sentences.
    """

    model: SelfSupervisedEncoder | FineTunedClassifier | SelfTrainedClassifier
    features: list[str]
    facts: dict[str, Any]
    notes: list[str]


class LabelColumns(NamedTuple):
    """Columns of `obs` that training needs.

    Attributes
    ----------
    label
        The classes.
    group
        Whose rows stay together in cross-validation, such as patients; None for every row by itself.
    min_class_size
        Classes with fewer samples count as unlabelled; None accepts all.
    """

    label: str
    group: str | None = None
    min_class_size: int | None = None


@dataclass(frozen=True)
class OtherCohorts:
    """Cohorts that pretraining borrows from: see `oligolearn.data.borrow_rows`.

    Attributes
    ----------
    cohorts
        As `oligolearn.data.read_expression` gives them.
    standardize
        ``"each"`` or ``"together"``.
    min_overlap
        Smallest share of the genes that each must have.
    translation
        How their names of genes become one's own, where they differ.
    """

    cohorts: Sequence[ad.AnnData] = ()
    standardize: str = "each"
    min_overlap: float = LEAST_SHARE
    translation: Translation = field(default_factory=Translation)

    def borrow(self, adata: ad.AnnData, prepared: Prepared, group: str | None = None) -> Borrowed | None:
        """Rows for the cohort `adata`, of which `prepared` was made; None where there is nothing to borrow from."""
        if not self.cohorts:
            return None
        groups = None if group is None else label_of(adata, group)
        own = OwnCohort(prepared.X, prepared.genes, prepared.units, list(map(str, adata.obs_names)), groups)
        return borrow_rows(
            self.cohorts,
            own,
            standardize=self.standardize,
            min_overlap=self.min_overlap,
            group=group,
            translation=self.translation,
        )


def pretrain_encoder(
    data: ad.AnnData | StoredExpression,
    model: SelfSupervisedEncoder,
    preparation: Preparation,
    *,
    others: OtherCohorts | None = None,
    probe: LabelColumns | None = None,
) -> Trained:
    """Pretrain on all samples of a cohort, and say how good the encoder may be.

    Parameters
    ----------
    data
        As `oligolearn.data.read_expression` gives it, or one that stays on disk.
    model
        Settings.
    preparation
        Of the matrix.
    others
        Cohorts whose samples are pretrained on as well.
    probe
        Labels that say how much they find in the embedding, next to principal components; not pretrained with.

    Raises
    ------
    ValueError
        If other cohorts or labels do not suit, or meet a matrix that stays on disk.
    """
    if isinstance(data, StoredExpression) and ((others and others.cohorts) or probe):
        raise ValueError(
            f"{data.path.name} stays on disk, but --label and --pretrain-on need it in memory: pass --no-stream"
        )
    more: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # said in the notes
        if isinstance(data, StoredExpression):
            stream = prepare_stream(
                data,
                normalize_as=preparation.normalize,
                max_missing=preparation.max_missing,
                top_genes=preparation.top_genes,
            )
            fitted = clone(model).fit_stream(stream)
            read = {"file": data.path.name, "n_samples": len(data), "fingerprint": stream.fingerprint}
            genes, notes, facts = stream.genes, stream.notes, {"units": stream.units, "training_data": read}
        else:
            prepared = preparation.apply(data)
            prepared = _keep_genes(prepared, preparation.choose_genes(prepared.X))
            labels = probe and class_labels(data, probe.label, min_class_size=probe.min_class_size)
            borrowed = others and others.borrow(data, prepared, probe and probe.group)
            fitted = _fit_on(clone(model), prepared, borrowed or None)
            genes, notes, facts = prepared.genes, prepared.notes, training_facts(data, prepared.X, prepared.units)
            if borrowed:
                notes = [*notes, *borrowed.notes]
                more["pretrained_on"] = {"standardize": borrowed.standardize, "cohorts": borrowed.facts}
            if labels and probe:
                groups = None if probe.group is None else group_numbers(data, probe.group)[0]
                more["probes"] = _probe(fitted, prepared, labels.codes, groups)
    warned = [f"Warning: {sentence}." for sentence in fitted.diagnosis_]
    return Trained(fitted, genes, {**facts, **more}, [*notes, *warned])


def _fit_on(model: SelfSupervisedEncoder, prepared: Prepared, borrowed: Borrowed | None) -> SelfSupervisedEncoder:
    if borrowed is None:
        return model.fit(prepared.X, genes=prepared.genes)
    cohorts = np.concatenate([np.zeros(len(prepared.X), dtype=np.int64), borrowed.cohorts])
    return model.fit(
        np.concatenate([prepared.X, borrowed.X]),
        genes=prepared.genes,
        cohorts=cohorts if borrowed.standardize == "each" else None,
    )


def _probe(
    fitted: SelfSupervisedEncoder, prepared: Prepared, y: NDArray[np.integer], groups: NDArray[np.integer] | None
) -> dict[str, Any]:
    """What labels find in the embedding of a cohort and in its principal components."""
    raw = principal_components(ExpressionScaler().fit_transform(prepared.X))
    seen = {"embedding": fitted.transform(prepared.X), "principal components": raw}
    return probe_embeddings(seen, y, groups=groups)


def train_classifier(
    adata: ad.AnnData,
    columns: LabelColumns,
    model: FineTunedClassifier | SelfTrainedClassifier,
    preparation: Preparation,
    *,
    pretrained: SavedModel | None = None,
    n_folds: int = 5,
) -> Trained:
    """Train on all labelled samples of a cohort, after a cross-validation that says how good such a model is.

    Parameters
    ----------
    adata
        As `oligolearn.data.read_expression` gives it.
    columns
        Names of label and group.
    model
        Settings; its `pretrained`, or its teacher's, is set here.
    preparation
        Of the matrix; with `pretrained`, that model's genes and units decide.
    pretrained
        Model whose encoder to start from.
    n_folds
        Of the cross-validation, 0 for none. Its scores, pooled over folds, are kept as the model's metrics.

    Raises
    ------
    ValueError
        If the label or the genes do not suit.
    """
    if pretrained is not None and "features" not in pretrained.description:
        raise ValueError("the model to start from was trained on sequences, the data are expression; give another")
    if pretrained is not None and isinstance(pretrained.model, StandardisedLogistic | StandardisedRidge):
        kind = "logistic" if isinstance(pretrained.model, StandardisedLogistic) else "ridge"
        raise ValueError(f"the model to start from is a {kind} regression: it has no encoder to train on")
    labels = class_labels(adata, columns.label, min_class_size=columns.min_class_size)
    columns_of: dict[str, list[str]] = {}
    if pretrained is None:
        prepared = preparation.apply(adata)
    else:
        prepared, columns_of = _like_pretrained(adata, pretrained, preparation)
        preparation = replace(preparation, top_genes=None)
    y = np.where(labels.codes >= 0, labels.codes, np.nan)
    model = _copy(model, None if pretrained is None else _encoder_of(pretrained))
    groups = None if columns.group is None else group_numbers(adata, columns.group)[0]
    metrics = _cross_validate(model, _Labelled(prepared.X, y, groups), preparation, n_folds)
    X, features, units, notes = _keep_genes(prepared, preparation.choose_genes(prepared.X))
    fitted = model.fit(X, y, groups)
    predicting = fitted.student_ if isinstance(fitted, SelfTrainedClassifier) else fitted
    predicting.classes_ = np.array(labels.classes)
    facts = {**training_facts(adata, X, units), "label": columns.label, "group": columns.group, "metrics": metrics}
    if columns_of:
        facts[MEASURED_BY] = columns_of
    if pretrained is not None:
        facts["pretraining"] = pretrained.description.get("pretraining")
        facts["pretraining_data"] = pretrained.description.get("training_data")
        if facts["pretraining_data"] == facts["training_data"]:
            without = isinstance(pretrained.model, SelfSupervisedEncoder)
            notes = [
                *notes,
                "The encoder was pretrained on these same samples, without labels: the cross-validated scores may be a "
                "little too good."
                if without
                else "The encoder was trained on these same samples: if with this label, the cross-validated scores "
                "are too good.",
            ]
    return Trained(fitted, list(features), facts, [*labels.notes, *notes])


def _encoder_of(saved: SavedModel) -> SelfSupervisedEncoder:
    """The encoder of a saved model of expression, with what standardises its genes."""
    if isinstance(saved.model, SelfSupervisedEncoder):
        return saved.model
    return SelfSupervisedEncoder.from_bundle(saved.model.to_bundle())


def _like_pretrained(
    adata: ad.AnnData, pretrained: SavedModel, preparation: Preparation
) -> tuple[Prepared, dict[str, list[str]]]:
    """Samples to train on as a pretrained encoder expects them, and the columns that stand for its genes."""
    said = pretrained.description
    features, units, known = said["features"], said["units"], said.get(MEASURED_BY, {})
    # the samples of training have a say in which columns count; predictions then take the same ones
    asked = preparation.translation
    aligned = align_expression(
        adata,
        features,
        units=units,
        normalize_as=preparation.normalize,
        translation=replace(asked, probes=asked.column_rule(units)),
        known=known,
    )
    return Prepared(aligned.X, features, units, aligned.notes), {**known, **aligned.measured_by}


def _copy(model: _Classifier, pretrained: Any) -> _Classifier:
    """Same settings, not fitted, with the fitted encoder that scikit-learn's `clone` would forget."""
    settings = model.get_params(deep=False)
    if isinstance(model, FineTunedClassifier):
        return FineTunedClassifier(**{**settings, "pretrained": pretrained})
    return SelfTrainedClassifier(**{**settings, "teacher": _copy(model.teacher or FineTunedClassifier(), pretrained)})


def _pretrained(model: _Classifier) -> Any:
    """What the encoder of a classifier, or of a teacher, starts from."""
    teacher = model.teacher if isinstance(model, SelfTrainedClassifier) else model
    return None if teacher is None else teacher.pretrained


class _Labelled(NamedTuple):
    X: NDArray[np.float32]
    y: NDArray[np.floating]  # NaN where unlabelled
    groups: NDArray[np.integer] | None


def _cross_validate(model: _Classifier, data: _Labelled, preparation: Preparation, n_folds: int) -> dict[str, Any]:
    """Scores of predictions for labelled rows that the predicting model, and its choice of genes, has not seen."""
    X, y, groups = data
    rows = np.flatnonzero(~np.isnan(y))
    codes = y[rows].astype(np.int64)
    owners = rows if groups is None else groups[rows]
    smallest = min(len(np.unique(owners[codes == code])) for code in np.unique(codes))
    if n_folds < 2 or smallest < 2:
        why = "it was not asked for" if n_folds < 2 else "a class has fewer than two samples or groups"
        return {"note": f"not cross-validated: {why}"}
    folds = StratifiedGroupKFold(min(n_folds, smallest), shuffle=True, random_state=0)
    probabilities = np.zeros((len(rows), int(codes.max()) + 1))
    for _, test in folds.split(rows, codes, owners):
        shown = y.copy()
        shown[rows[test]] = np.nan
        seen = np.ones(len(y), dtype=bool)
        seen[np.isin(np.arange(len(y)) if groups is None else groups, owners[test])] = False
        genes = preparation.choose_genes(X[seen])
        fitted = _copy(model, _pretrained(model)).fit(
            X[np.ix_(seen, genes)], shown[seen], None if groups is None else groups[seen]
        )
        predicted = fitted.predict_proba(X[np.ix_(rows[test], genes)])
        probabilities[np.ix_(test, fitted.classes_.astype(int))] = predicted
    return {
        "note": f"{folds.get_n_splits()}-fold cross-validation of {len(rows)} labelled samples",
        **score_predictions(codes, probabilities),
    }


def training_facts(adata: ad.AnnData, X: NDArray[np.float32], units: str) -> dict[str, Any]:
    """What is kept beside a model of the samples that it was trained on: file, number, fingerprint, units."""
    read = adata.uns.get("oligolearn", {})
    return {
        "units": units,
        "training_data": {"file": str(read.get("file", "")), "n_samples": len(X), "fingerprint": fingerprint(X)},
    }
