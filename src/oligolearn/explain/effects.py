"""What a filter is for: what the network loses without it, and whether chance sequences have its sites."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control, hypergeom
from sklearn.metrics import roc_auc_score
from torch import Tensor

from oligolearn.data import Sequences, shuffle_dinucleotides
from oligolearn.estimators import SequenceClassifier
from oligolearn.estimators.sequence_fitting import letters_read
from oligolearn.estimators.sequence_networks import Recipe
from oligolearn.explain.filters import Detectors, Filter, SequenceModel, of_label, rows_with_sites, scan, take_apart

_SMALLEST = 1e-15
_UNCHANGED = 0.05  # share of sequences that a shuffle may leave as they are


class Effect(NamedTuple):
    """What a network loses without a filter.

    Attributes
    ----------
    loss
        By how much the loss rises: log loss in nats, or squared error of the standardised target. Without targets by
        how much the outputs change: mean absolute difference of the probabilities, or of the standardised prediction.
    auroc
        By how much the area under the ROC curve falls, one class against the rest, averaged; NaN for a regressor and
        without targets.
    toward
        Number of the class whose probability falls most in the sequences that have a site, or for a regressor 1 where
        the prediction falls and 0 where it rises; -1 where no sequence of the comparison has a site.
    error
        Standard error of `loss` over the sequences.
    """

    loss: float
    auroc: float
    toward: int
    error: float = np.nan


def target_codes(model: SequenceModel, target: ArrayLike) -> NDArray[np.float64]:
    """Targets as the networks learn them: class numbers or standardised numbers, ``(n,)``, NaN where unknown.

    Raises
    ------
    ValueError
        If none is of a class that the model knows, or fewer than two classes are there.
    """
    model = of_label(model)
    given = pd.Series(np.asarray(target, dtype=object))
    missing = given.isna()
    if not isinstance(model, SequenceClassifier):
        values = pd.to_numeric(given, errors="coerce").to_numpy(np.float64)
        if np.isnan(values).all():
            raise ValueError("the model predicts a number, but the label holds none; give the column that it learned")
        return np.asarray((values - model.mean_) / model.scale_)
    numbers = {str(name): float(i) for i, name in enumerate(model.classes_)}
    codes = np.asarray(given.astype(str).where(~missing).map(numbers), dtype=np.float64)
    if len(np.unique(codes[~np.isnan(codes)])) < 2:
        found = ", ".join(sorted(set(given[~missing].astype(str)))[:5])
        raise ValueError(
            f"the label needs at least two of the model's classes, {', '.join(numbers)}; found {found or 'none'}"
        )
    return codes


def filter_effects(
    model: SequenceModel, filters: Sequence[Filter], X: Any, target: NDArray[np.floating] | None = None
) -> list[Effect]:
    """Delete each filter from its network: what it gives, pooled, is set to its average over the sequences.

    The average, not zero: a network that had learned without the filter would have taken it into its bias.

    Parameters
    ----------
    model
        The one that the filters are of.
    filters
        As `filter_motifs` gives them.
    X
        Texts, or `Sequences`.
    target
        As `target_codes` gives it; rows with NaN are left out. None: see `Effect.loss`.
    """
    sequences = letters_read(X, of_label(model).recipes_)
    known = np.arange(len(sequences)) if target is None else np.flatnonzero(~np.isnan(target))
    y = None if target is None else target[known]
    seen = sequences.take(known)
    position = np.full(len(sequences), -1)
    position[known] = np.arange(len(known))
    effects: list[Effect] = []
    for number, network in enumerate(model.module_):
        mine = [one for one in filters if one.network == number]
        if not mine:
            continue
        detectors = take_apart(network)
        pooled = _pooled(detectors, seen, model.recipes_[number])
        whole = _answers(detectors, pooled, model)
        for one in mine:
            columns = _columns(detectors, one)
            kept = pooled[:, :, columns].clone()
            pooled[:, :, columns] = kept.mean(dim=(0, 1))
            without = _answers(detectors, pooled, model)
            pooled[:, :, columns] = kept
            rows = position[np.unique(one.sites.rows)]
            effects.append(compared_answers(model, whole, without, y, rows[rows >= 0]))
    return effects


@torch.no_grad()
def _pooled(detectors: Detectors, sequences: Sequences, recipe: Recipe) -> Tensor:
    """What the detectors give, pooled, ``(strands, n_sequences, n_pooled)``."""
    found: Tensor | None = None
    n_strands = 1 if detectors.strands is None else 2
    for batch in scan(detectors, sequences, recipe):
        both = batch.pooled.view(n_strands, len(batch.rows), -1)
        if found is None:
            found = both.new_empty(n_strands, len(sequences), both.shape[2])
        found[:, torch.from_numpy(batch.rows).to(found.device)] = both
    if found is None:
        raise ValueError("there are no sequences; at least one is needed")
    return found


def _columns(detectors: Detectors, one: Filter) -> NDArray[np.intp]:
    """Which of the pooled numbers are a filter's."""
    before = sum(scale.pool.out_dim for scale in detectors.scales[: one.scale])
    scale = detectors.scales[one.scale]
    per_filter = scale.pool.out_dim // scale.n_filters
    if scale.pool.pooling == "positions":  # all places of one filter, then those of the next
        return before + one.channel * per_filter + np.arange(per_filter)
    return before + one.channel + scale.n_filters * np.arange(per_filter)


@torch.no_grad()
def _answers(detectors: Detectors, pooled: Tensor, model: SequenceModel) -> NDArray[np.float64]:
    """Probabilities ``(n, n_classes)``, or standardised predictions ``(n, 1)``."""
    embedded = detectors.last(pooled.flatten(0, 1)).view(*pooled.shape[:2], -1)
    if detectors.strands is None or detectors.strands.combine == "mean":
        embedding = embedded.mean(dim=0)
    else:
        embedding = embedded.amax(dim=0)
    logits: Tensor = detectors.network.classify(embedding)
    answers = logits.softmax(dim=1) if isinstance(model, SequenceClassifier) else logits
    found: NDArray[np.float64] = answers.cpu().numpy()
    return found


def compared_answers(
    model: SequenceModel,
    whole: NDArray[np.float64],
    without: NDArray[np.float64],
    y: NDArray[np.floating] | None,
    rows: NDArray[np.integer],
) -> Effect:
    """Effect from answers with and without something, ``(n, n_classes)`` or ``(n, 1)``.

    Parameters
    ----------
    model
        What gave them.
    whole, without
        Probabilities, or standardised predictions.
    y
        As `target_codes` gives it, or None.
    rows
        Sequences that have a site.
    """
    change = (whole - without)[rows].mean(axis=0) if len(rows) else np.zeros(whole.shape[1])
    is_classifier = isinstance(model, SequenceClassifier)
    toward = -1 if not len(rows) else int(change.argmax()) if is_classifier else int(change[0] >= 0)
    if y is None:
        return _effect(np.abs(whole - without).mean(axis=1), np.nan, toward)
    known = ~np.isnan(y)
    whole, without, y = whole[known], without[known], y[known]
    if not is_classifier:
        return _effect((without[:, 0] - y) ** 2 - (whole[:, 0] - y) ** 2, np.nan, toward)
    codes = y.astype(np.intp)
    true = [one[np.arange(len(codes)), codes].clip(_SMALLEST) for one in (whole, without)]
    return _effect(np.log(true[0] / true[1]), _auroc(codes, whole) - _auroc(codes, without), toward)


def _effect(losses: NDArray[np.floating], auroc: float, toward: int) -> Effect:
    """Effect from what each sequence loses."""
    n = len(losses)
    return Effect(float(losses.mean()), auroc, toward, float(losses.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan)


def _auroc(codes: NDArray[np.intp], probabilities: NDArray[np.float64]) -> float:
    """One class against the rest, averaged over the classes that are there."""
    return float(np.mean([roc_auc_score(codes == code, probabilities[:, code]) for code in np.unique(codes)]))


class Enrichment(NamedTuple):
    """How often sequences have a site of a motif, and their shuffles.

    Attributes
    ----------
    share, share_in_shuffles
        Of sequences with at least one site.
    q
        Fisher's exact test, one-sided for more sites than in the shuffles, after Benjamini and Hochberg's method over
        the motifs.
    """

    share: float
    share_in_shuffles: float
    q: float


def shuffled_for_comparison(sequences: Sequences, rng: np.random.Generator) -> tuple[Sequences, str]:
    """Shuffle sequences to see what chance makes of their composition, and say how.

    Pairs of neighbours stay as frequent, but in short sequences that leaves the letters where they are: where more than
    one sequence in 20 comes out as it was, letters are shuffled one by one.
    """
    shuffled = shuffle_dinucleotides(sequences, rng)
    starts = sequences.offsets[:-1]
    same = ~np.logical_or.reduceat(shuffled.codes != sequences.codes, starts)
    if same.mean() <= _UNCHANGED:
        return shuffled, "a dinucleotide shuffle"
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)
    order = np.lexsort((rng.random(len(row)), row))
    return replace(shuffled, codes=sequences.codes[order]), "a shuffle of the letters (too short to keep pairs)"


def filter_enrichment(
    model: SequenceModel, filters: Sequence[Filter], X: Any, rng: np.random.Generator
) -> list[Enrichment]:
    """Compare how many sequences have a site of each filter with how many of their shuffles do."""
    sequences = letters_read(X, model.recipes_)
    shuffled, _ = shuffled_for_comparison(sequences, rng)
    return enrichment(rows_with_sites(model, filters, sequences), rows_with_sites(model, filters, shuffled))


def enrichment(found: NDArray[np.bool_], in_shuffles: NDArray[np.bool_]) -> list[Enrichment]:
    """Fisher's exact test of each motif; both arrays are ``(n_motifs, n_sequences)``.

    Examples
    --------
    >>> found = np.array([[True] * 9 + [False], [True, False] * 5])
    >>> [round(one.q, 4) for one in enrichment(found, np.array([[False] * 10, [True, False] * 5]))]
    [0.0001, 0.6719]
    """
    n, n_shuffled = found.shape[1], in_shuffles.shape[1]
    hits, by_chance = found.sum(axis=1), in_shuffles.sum(axis=1)
    p = hypergeom.sf(hits - 1, n + n_shuffled, hits + by_chance, n)
    q = false_discovery_control(np.clip(p, 0, 1), method="bh")
    shares = zip(hits / n, by_chance / n_shuffled, q, strict=True)
    return [Enrichment(float(here), float(there), float(one)) for here, there, one in shares]
