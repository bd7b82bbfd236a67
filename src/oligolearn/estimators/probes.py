"""How much a few labels find in an embedding, next to what they find in the raw data."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier

from oligolearn.estimators.baselines import SubspaceLogisticRegression

N_FOLDS = 5
N_SHUFFLES = 3
MANY_LABELS = 300  # from here on one shuffle says enough
MOST_LABELS = 1000  # more are drawn from
N_COMPONENTS = 50
N_NEIGHBOURS = 5
_STRENGTHS, _INNER_FOLDS = (1e-3, 1e-2, 1e-1, 1.0), 2

_PROBES: Mapping[str, Callable[[int, int], Any]] = {
    "linear probe": lambda n_train, seed: SubspaceLogisticRegression(_STRENGTHS, cv=_INNER_FOLDS, random_state=seed),
    "nearest neighbours": lambda n_train, seed: KNeighborsClassifier(max(1, min(N_NEIGHBOURS, n_train))),
}


def principal_components(values: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.float32]:
    """First 50 principal components of standardised genes, ``(n_samples, n_genes)`` -> ``(n_samples, <= 50)``."""
    from sklearn.decomposition import PCA  # studies import this file and need none of it

    n_components = min(N_COMPONENTS, len(values) - 1, values.shape[1])
    components: NDArray[np.float32] = PCA(n_components, random_state=seed).fit_transform(values)
    return components


def probe_embeddings(
    embeddings: Mapping[str, NDArray[np.floating]],
    y: NDArray[np.integer],
    *,
    groups: NDArray[np.integer] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Cross-validate simple classifiers on embeddings of the same samples, with the same folds.

    Parameters
    ----------
    embeddings
        By name, each ``(n_samples, n_dimensions)``; made without labels.
    y
        Class numbers, ``(n_samples,)``, -1 where unlabelled.
    groups
        Whose rows stay on one side, such as patients, ``(n_samples,)``; None for every row by itself.
    seed
        Of the folds.

    Returns
    -------
    dict
        JSON-able: ``n_labelled`` (1,000 at most are used), ``n_folds``, ``n_shuffles`` (3, or 1 from 300 labels on),
        ``chance``, and under ``balanced_accuracy`` for each probe (``"linear probe"``: logistic regression, its
        strength chosen within the training folds; ``"nearest neighbours"``: 5) and embedding ``mean`` and ``sd`` over
        shuffles of the folds. Where a class has fewer than two samples or groups, ``note`` says so instead.
    """
    rows = np.flatnonzero(y >= 0)
    if len(rows) > MOST_LABELS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_LABELS, replace=False))
    codes = y[rows]
    owners = rows if groups is None else groups[rows]
    classes = np.unique(codes)
    smallest = min((len(np.unique(owners[codes == code])) for code in classes), default=0)
    if len(classes) < 2 or smallest < 2:
        return {
            "n_labelled": len(rows),
            "note": "not probed: each of at least two classes needs labels of two samples, or of two groups, or more",
        }
    n_folds = min(N_FOLDS, smallest)
    n_shuffles = N_SHUFFLES if len(rows) < MANY_LABELS else 1
    scaled = {name: _unit_spread(embedding[rows]) for name, embedding in embeddings.items()}
    scores: dict[str, dict[str, list[float]]] = {probe: {name: [] for name in embeddings} for probe in _PROBES}
    for shuffle in range(n_shuffles):
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed + shuffle)
        parts = list(folds.split(rows, codes, owners))
        for probe, make in _PROBES.items():
            for name, X in scaled.items():
                predicted = np.empty_like(codes)
                for train, test in parts:
                    predicted[test] = _predicted(make(len(train), seed), X[train], codes[train], X[test])
                scores[probe][name].append(float(balanced_accuracy_score(codes, predicted)))
    return {
        "n_labelled": len(rows),
        "n_folds": n_folds,
        "n_shuffles": n_shuffles,
        "chance": 1 / len(classes),
        "balanced_accuracy": {
            probe: {name: {"mean": float(np.mean(found)), "sd": float(np.std(found))} for name, found in named.items()}
            for probe, named in scores.items()
        },
    }


def _unit_spread(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """Centred and divided by one number, so that the same strengths suit every embedding."""
    centred = X.astype(np.float64) - X.mean(axis=0)
    spread = float(np.sqrt(np.mean(centred**2)))
    return centred / (spread if spread > 0 else 1.0)


def _predicted(
    model: Any, X: NDArray[np.floating], y: NDArray[np.integer], test: NDArray[np.floating]
) -> NDArray[np.integer]:
    if len(np.unique(y)) < 2:  # with groups, a fold can take all of a class
        return np.full(len(test), y[0])
    predicted: NDArray[np.integer] = model.fit(X, y).predict(test)
    return predicted


def describe_probes(found: Mapping[str, Any], name: str, other: str) -> list[str]:
    """What `probe_embeddings` found of embedding `name` next to `other`, in sentences."""
    if "note" in found:
        return [f"Probes: {found['note']}."]
    sentences = [
        f"Probes: balanced accuracy in {found['n_folds']}-fold cross-validation of {found['n_labelled']:,} labelled "
        f"samples, mean (sd) over shuffles ({found['n_shuffles']}); chance is {found['chance']:.3f}."
    ]
    for probe, scores in found["balanced_accuracy"].items():
        one, two = scores[name], scores[other]
        sentences.append(
            f"  {probe}: {one['mean']:.3f} ({one['sd']:.3f}) on the {name}, "
            f"{two['mean']:.3f} ({two['sd']:.3f}) on the {other}"
        )
    return sentences
