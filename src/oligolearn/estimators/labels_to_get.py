"""Which unlabelled samples to label next: those that a model is unsure of, and that are unlike each other."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors

from oligolearn.data import StoredExpression
from oligolearn.estimators.bundles import SavedModel
from oligolearn.estimators.fine_tuned import FineTunedClassifier
from oligolearn.estimators.new_samples import embed_samples, predict_samples

Floats = NDArray[np.float64]

_MOST_GROUPS, _FEWEST_IN_GROUP, _NEIGHBOURS = 500, 5, 20  # as in the code of Hacohen 2022
_UNSURE_PER_LABEL = 10  # candidates of `unsure` for each sample asked for, as in Zhdanov 2019
_MANY_ROWS = 20_000
FEW_PER_CLASS = 20  # labels, below which the typical come first


class Pool(NamedTuple):
    """What is known of the samples to choose from.

    Attributes
    ----------
    embedding
        ``(n_samples, n_dimensions)``.
    labelled
        Samples that have a label, ``(n_samples,)``: never chosen, and what is like them is known.
    probabilities
        Of a classifier, ``(n_samples, n_classes)``; None without one.
    """

    embedding: Floats
    labelled: NDArray[np.bool_]
    probabilities: Floats | None = None


class Choice(NamedTuple):
    """One sample, by its row, and why it was chosen."""

    row: int
    reason: str


class Proposal(NamedTuple):
    """Samples to label.

    Attributes
    ----------
    table
        Indexed by sample, the first to label first: ``rank, reason``, and of a classifier ``prediction``,
        ``probability`` (of the prediction) and ``margin`` (its lead over the second class).
    notes
        What was done, in sentences.
    """

    table: pd.DataFrame
    notes: list[str]


def propose_labels(
    saved: SavedModel,
    data: ad.AnnData | StoredExpression,
    n: int,
    *,
    label: str | None = None,
    strategy: str = "auto",
    seed: int = 0,
    **alignment: Any,
) -> Proposal:
    """Samples of `data` whose labels a model would gain most from.

    Parameters
    ----------
    saved
        Classifier or encoder from `load_model`.
    data
        As `oligolearn.data.read_expression` gives it, or one that stays on disk.
    n
        How many.
    label
        Column of `obs` that is empty where a sample is unlabelled. None: the column that the classifier was trained
        on where the data have it, else no sample counts as labelled.
    strategy
        A name in `STRATEGIES`, or ``"auto"``, see `usual_strategy`.
    seed
        Of the draws.
    **alignment
        `normalize_as`, `min_overlap` and `translation` of `oligolearn.data.align_expression`.

    Raises
    ------
    ValueError
        If fewer than `n` samples have no label, the strategy needs a classifier, or the samples do not suit.
    """
    labelled, notes = _labelled(saved, data, label)
    _check_number(n, labelled)
    n_classes = len(saved.model.classes_) if isinstance(saved.model, FineTunedClassifier) else None
    if strategy == "auto":
        strategy = usual_strategy(n_classes, int(labelled.sum()), n)
    _check_strategy(strategy, classifier=n_classes is not None)
    embedded, read = embed_samples(saved, data, **alignment)
    predicted = None if n_classes is None else predict_samples(saved, data, **alignment)[0]
    probabilities = None if predicted is None else predicted.filter(regex="^probability_").to_numpy(np.float64)
    pool = Pool(np.asarray(embedded.X, dtype=np.float64), labelled, probabilities)
    names = [] if predicted is None else [str(name) for name in predicted.columns[1:].str.removeprefix("probability_")]
    choices = choose_samples(pool, n, strategy, np.random.default_rng(seed), names)
    how = STRATEGIES[strategy].description
    return Proposal(_table(choices, data, pool, names), [*read, *notes, f"How they were chosen ({strategy}): {how}."])


def usual_strategy(n_classes: int | None, n_labelled: int, n: int) -> str:
    """The strategy where nobody names one: ``typical``, for a classifier with many labels ``gradient``.

    With few labels a model does not know what it does not know, and typical samples teach more than odd ones
    (Hacohen 2022).

    Examples
    --------
    >>> usual_strategy(5, n_labelled=20, n=20), usual_strategy(5, n_labelled=400, n=20), usual_strategy(None, 400, 20)
    ('typical', 'gradient', 'typical')
    """
    few = n_classes is None or n_labelled + n < FEW_PER_CLASS * n_classes
    return "typical" if few else "gradient"


def choose_samples(
    pool: Pool, n: int, strategy: str, rng: np.random.Generator, names: list[str] | None = None
) -> list[Choice]:
    """Choose `n` unlabelled samples of a pool, the first to label first.

    Parameters
    ----------
    pool
        What is known of the samples.
    n
        How many.
    strategy
        Name in `STRATEGIES`.
    rng
        Of the draws.
    names
        Classes, for the reasons; their numbers without.

    Raises
    ------
    ValueError
        If there are not so many, the strategy needs probabilities, or the embedding is the same for all samples.
    """
    _check_number(n, pool.labelled)
    _check_strategy(strategy, classifier=pool.probabilities is not None)
    if not np.ptp(pool.embedding, axis=0).any():
        raise ValueError(
            "the model gives all these samples the same numbers, so none can be told from another: it has collapsed or "
            "does not suit the data; pretrain or train another"
        )
    n_classes = 0 if pool.probabilities is None else pool.probabilities.shape[1]
    return STRATEGIES[strategy].choose(pool, n, rng, names or [f"class {i}" for i in range(n_classes)])


def _labelled(
    saved: SavedModel, data: ad.AnnData | StoredExpression, label: str | None
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which samples have a label, and a sentence on it."""
    trained_on = saved.description.get("label")
    if label is None and (trained_on is None or trained_on not in data.obs.columns):
        return np.zeros(len(data.obs), dtype=bool), [
            f"All {len(data.obs):,} samples count as unlabelled; --label names the column of those that are not."
        ]
    column = str(trained_on) if label is None else label
    if column not in data.obs.columns:
        known = ", ".join(str(name) for name in data.obs.columns) or "none"
        raise ValueError(f"there is no column {column!r} to say who has a label; the columns are: {known}")
    labelled = data.obs[column].notna().to_numpy()
    return labelled, [f"{int((~labelled).sum()):,} of {len(labelled):,} samples have no {column!r}."]


def _check_number(n: int, labelled: NDArray[np.bool_]) -> None:
    n_free = int((~labelled).sum())
    if n < 1:
        raise ValueError(f"the number of samples to propose must be at least 1, found {n}")
    if n_free == 0:
        raise ValueError("all samples have a label: there is none to propose")
    if n > n_free:
        raise ValueError(f"{n_free:,} samples have no label, {n:,} were asked for; ask for at most {n_free:,}")


def _check_strategy(strategy: str, *, classifier: bool) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be auto or one of {', '.join(STRATEGIES)}, found {strategy!r}")
    if STRATEGIES[strategy].needs_classes and not classifier:
        alone = ", ".join(name for name, one in STRATEGIES.items() if not one.needs_classes)
        raise ValueError(
            f"strategy {strategy!r} asks what a classifier is unsure of, and this model is an encoder without classes; "
            f"choose {alone}, or train a classifier on it"
        )


def _table(choices: list[Choice], data: ad.AnnData | StoredExpression, pool: Pool, names: list[str]) -> pd.DataFrame:
    rows = [choice.row for choice in choices]
    columns: dict[str, object] = {"rank": np.arange(1, len(rows) + 1)}
    if pool.probabilities is not None:
        chosen = pool.probabilities[rows]
        columns["prediction"] = [names[i] for i in chosen.argmax(axis=1)]
        columns["probability"] = chosen.max(axis=1).round(4)
        columns["margin"] = _margin(chosen).round(4)
    columns["reason"] = [choice.reason for choice in choices]
    return pd.DataFrame(columns, index=pd.Index(data.obs.index.astype(str)[rows], name="sample"))


def _margin(probabilities: Floats) -> Floats:
    """Lead of the most probable class over the second, ``(n_samples,)``."""
    two = np.sort(probabilities, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def _leading(probabilities: Floats, names: list[str]) -> str:
    first, second = np.argsort(-probabilities, kind="stable")[:2]
    return f"{names[first]} {probabilities[first]:.0%}, {names[second]} {probabilities[second]:.0%}"


def _directions(embedding: Floats) -> Floats:
    """Embedding without its mean, rows of length 1: what is compared is what a sample has more or less of."""
    centred = embedding - embedding.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-12))


def _group(rows: Floats, n_groups: int, seed: int, weights: Floats | None = None) -> tuple[NDArray[np.intp], Floats]:
    """Numbers of k-means groups, ``(n_rows,)``, and their centres; fewer groups where fewer rows differ."""
    n_groups = min(n_groups, len(np.unique(rows.round(9), axis=0)))
    kind = MiniBatchKMeans if len(rows) > _MANY_ROWS else KMeans
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = kind(n_groups, n_init=1, random_state=seed).fit(rows, sample_weight=weights)
    return fitted.labels_.astype(np.intp), fitted.cluster_centers_


def _typicality(rows: Floats) -> Floats:
    """Less the mean distance to the nearest rows of the group, ``(n_rows,)``: the higher, the more typical."""
    n_neighbours = min(_NEIGHBOURS, max(1, len(rows) // 2))
    if len(rows) == 1:
        return np.zeros(1)
    distances = NearestNeighbors(n_neighbors=n_neighbours).fit(rows).kneighbors()[0]
    return np.asarray(-distances.mean(axis=1))


def _choose_typical(pool: Pool, n: int, rng: np.random.Generator, names: list[str]) -> list[Choice]:
    """TypiClust (Hacohen 2022): as many groups as labels there will be; the most typical of the largest without one."""
    del names
    rows = _directions(pool.embedding)
    n_groups = min(int(pool.labelled.sum()) + n, _MOST_GROUPS, max(n, len(rows) // _FEWEST_IN_GROUP))
    groups, _ = _group(rows, n_groups, int(rng.integers(2**31)))
    n_labels = np.bincount(groups[pool.labelled], minlength=groups.max() + 1)
    waiting: dict[int, list[int]] = {}
    sizes = np.bincount(groups)
    for group in np.unique(groups[~pool.labelled]):
        members = np.flatnonzero(groups == group)
        order = members[np.argsort(-_typicality(rows[members]), kind="stable")]
        waiting[int(group)] = [int(row) for row in order if not pool.labelled[row]]
    choices: list[Choice] = []
    while len(choices) < n:
        small = sizes < _FEWEST_IN_GROUP  # outliers come last
        group = min(waiting, key=lambda one: (small[one], n_labels[one], -sizes[one]))
        choices.append(Choice(waiting[group].pop(0), _typical_reason(int(sizes[group]), int(n_labels[group]))))
        n_labels[group] += 1
        if not waiting[group]:
            del waiting[group]
    return choices


def _typical_reason(size: int, n_labels: int) -> str:
    if size == 1:
        return "unlike every other sample"
    known = "none of them labelled or proposed yet" if n_labels == 0 else f"{n_labels} of them labelled or proposed"
    return f"typical of a group of {size:,} samples, {known}"


def _choose_by_gradient(pool: Pool, n: int, rng: np.random.Generator, names: list[str]) -> list[Choice]:
    """BADGE (Ash 2020): k-means++ among the gradients that the predicted labels would give the output layer.

    The gradient of row i is the outer product of u (probabilities less the predicted class) and the embedding h, so
    that distances follow from two small products and the gradients, ``n_classes * n_dimensions`` long, are not formed.
    """
    probabilities = _classes_of(pool)
    free = np.flatnonzero(~pool.labelled)
    u, h = probabilities[free].copy(), pool.embedding[free]
    u[np.arange(len(u)), u.argmax(axis=1)] -= 1
    sizes = (u**2).sum(axis=1) * (h**2).sum(axis=1)
    nearest = np.full(len(free), np.inf)
    chosen: list[int] = []
    while len(chosen) < n:
        if not chosen:
            new = int(sizes.argmax())
        elif nearest.sum() > 0:
            new = int(rng.choice(len(free), p=nearest / nearest.sum()))
        else:  # nothing differs from what was chosen: any other
            new = int(rng.choice(np.setdiff1d(np.arange(len(free)), chosen)))
        distance = sizes + sizes[new] - 2 * (u @ u[new]) * (h @ h[new])
        nearest = np.minimum(nearest, np.maximum(distance, 0.0))
        chosen.append(new)
        nearest[chosen] = 0.0
    lead = [_leading(probabilities[free[i]], names) for i in chosen]
    return [
        Choice(
            int(free[i]), f"unsure ({text}) and unlike the others proposed" if rank else f"most to learn from ({text})"
        )
        for rank, (i, text) in enumerate(zip(chosen, lead, strict=True))
    ]


def _choose_unsure(pool: Pool, n: int, rng: np.random.Generator, names: list[str]) -> list[Choice]:
    """Zhdanov (2019, arXiv:1901.05954): the middles of groups among the samples with the smallest margins."""
    probabilities = _classes_of(pool)
    free = np.flatnonzero(~pool.labelled)
    margin = _margin(probabilities[free])
    kept = np.argsort(margin, kind="stable")[: _UNSURE_PER_LABEL * n]
    candidates, weights = free[kept], 1 - margin[kept] + 1e-6
    rows = _directions(pool.embedding)[candidates]
    groups, centres = _group(rows, n, int(rng.integers(2**31)), weights)
    sizes = np.bincount(groups)
    middles = [
        int(members[np.linalg.norm(rows[members] - centres[group], axis=1).argmin()])
        for group, members in ((one, np.flatnonzero(groups == one)) for one in np.unique(groups))
    ]
    rest = [i for i in range(len(candidates)) if i not in set(middles)]
    order = sorted(middles, key=lambda i: float(-weights[i]))[:n]
    order += rest[: n - len(order)]
    return [
        Choice(
            int(candidates[i]),
            f"unsure ({_leading(probabilities[candidates[i]], names)}), one of {sizes[groups[i]]:,} such samples",
        )
        for i in order
    ]


def _classes_of(pool: Pool) -> Floats:
    if pool.probabilities is None:
        raise ValueError("this strategy needs the probabilities of a classifier")
    return pool.probabilities


class Strategy(NamedTuple):
    """One way to choose."""

    description: str
    choose: Callable[[Pool, int, np.random.Generator, list[str]], list[Choice]]
    needs_classes: bool


STRATEGIES: dict[str, Strategy] = {
    "typical": Strategy(
        "the most typical samples of groups without labels, largest groups first (TypiClust)",
        _choose_typical,
        needs_classes=False,
    ),
    "gradient": Strategy(
        "samples that would change the model much, each in another direction (BADGE)",
        _choose_by_gradient,
        needs_classes=True,
    ),
    "unsure": Strategy(
        "the middles of groups of samples that the model is unsure of",
        _choose_unsure,
        needs_classes=True,
    ),
}
