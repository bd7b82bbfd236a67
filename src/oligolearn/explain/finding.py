"""The whole search for a model's motifs: by filters or by attributions, with all that is known about each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oligolearn.data import Sequences
from oligolearn.estimators import SequenceClassifier
from oligolearn.estimators.sequence_fitting import letters_read
from oligolearn.explain.attention import AttentionMaps, attention_maps, has_attention
from oligolearn.explain.attributions import Attributions, attribute
from oligolearn.explain.effects import (
    Effect,
    Enrichment,
    compared_answers,
    enrichment,
    filter_effects,
    shuffled_for_comparison,
)
from oligolearn.explain.filters import (
    SequenceModel,
    filter_motifs,
    has_detectors,
    has_filters,
    of_label,
    rows_with_sites,
)
from oligolearn.explain.matching import FEW_TARGETS, Match, match_motifs
from oligolearn.explain.motif import Motif, Sites, said_at
from oligolearn.explain.scanning import rows_with_hits, scan_motif, without_copies
from oligolearn.explain.seqlets import MOST_SEQLETS, NothingFoundError, blanked, cluster_seqlets, find_seqlets
from oligolearn.explain.spacing import Spacing, spacings

WAYS = ("auto", "filters", "attributions")
SHOWN_SEQUENCES = 6
_IN_PAIRS = 8  # motifs whose distances are looked at


class FoundMotif(NamedTuple):
    """A motif and what is known about it.

    Attributes
    ----------
    motif, sites
        What it is, and where it was found.
    effect
        What is lost without it: see `Effect`; without a filter, or with the motif's sites made unknown letters.
    enrichment
        In the sequences over their shuffles, see `shuffled_for_comparison`.
    match
        In the database; None without one, or where the motif says nothing.
    copy_of
        Name of a motif of larger effect whose sites most of its own overlap; empty where there is none.
    """

    motif: Motif
    sites: Sites
    effect: Effect
    enrichment: Enrichment
    match: Match | None
    copy_of: str


class FoundMotifs(NamedTuple):
    """What a search found.

    Attributes
    ----------
    motifs
        The largest effect first.
    by
        ``"filters"`` or ``"attributions"``.
    spacings
        Of the distinct motifs of the largest effect, see `spacings`.
    explained
        Attributions of the sequences with the largest outputs.
    rows
        Numbers of these sequences.
    attention
        Of a transformer, with the first of these sequences for an example; else None.
    notes
        What was done, in sentences.
    """

    motifs: list[FoundMotif]
    by: str
    spacings: list[Spacing]
    explained: Attributions
    rows: NDArray[np.intp]
    attention: AttentionMaps | None
    notes: list[str]


class _Raw(NamedTuple):
    """Motifs before they are compared, in the order found."""

    motifs: list[Motif]
    sites: list[Sites]
    effects: list[Effect]
    enrichments: list[Enrichment]
    notes: list[str]


def find_motifs(
    model: SequenceModel,
    X: Any,
    *,
    by: str = "auto",
    method: str = "integrated-gradients",
    target: NDArray[np.floating] | None = None,
    database: Sequence[Motif] = (),
    seed: int = 0,
) -> FoundMotifs:
    """Find the motifs of a model in sequences.

    Parameters
    ----------
    model
        Fitted classifier or regressor of sequences; of several labels at once, what `of_label` gives for one.
    X
        Texts, or `Sequences`.
    by
        ``"filters"``: of the first layer, for ``motif-cnn`` and ``multi-scale-cnn``. ``"attributions"``: windows that
        letters' contributions single out, gathered to motifs; for any model. ``"auto"``: by filters where they are the
        model's motifs.
    method
        Of attribution, see `attribute`.
    target
        What `target_codes` makes of the labels; None where they are not known.
    database
        Motifs to compare with.
    seed
        Of shuffles and of the shufflings of pairs.

    Raises
    ------
    ValueError
        If a name is unknown, the sequences do not suit the model, or no filter has sites. Where attributions gather to
        no motif there are none, and the notes say why.
    """
    if by not in WAYS:
        raise ValueError(f"unknown way {by!r}; choose one of {', '.join(WAYS)}")
    sequences = letters_read(X, of_label(model).recipes_)
    if target is not None and np.shape(target) != (len(sequences),):
        raise ValueError(f"target has the shape {np.shape(target)} for {len(sequences)} sequences; give one for each")
    if target is not None and not np.issubdtype(np.asarray(target).dtype, np.number):
        raise ValueError("target holds no numbers; give what target_codes makes of the labels")
    rng = np.random.default_rng(seed)
    rows = _largest_outputs(model, sequences)
    explained = attribute(model, sequences.take(rows), method=method)  # first: where a method cannot, it says so now
    by_filters = by == "filters" or (by == "auto" and has_filters(model))
    if by_filters:
        raw = _by_filters(model, sequences, target, rng)
    else:
        raw = _by_attributions(model, sequences, target, method, rng)
    matches = match_motifs(raw.motifs, database) if database and raw.motifs else [None] * len(raw.motifs)
    order = np.argsort([-one.loss for one in raw.effects], kind="stable")
    placed = [(raw.motifs[i], raw.sites[i]) for i in order]
    copies = without_copies(placed, sequences)
    motifs = [
        FoundMotif(raw.motifs[i], raw.sites[i], raw.effects[i], raw.enrichments[i], matches[i], copies[place])
        for place, i in enumerate(order)
    ]
    paired = [one for one in motifs if not one.copy_of and one.motif.says_something and one.enrichment.q < 0.05]
    classes = target if isinstance(model, SequenceClassifier) else None
    apart = spacings([(one.motif, one.sites) for one in paired[:_IN_PAIRS]], rng, classes, sequences.lengths)
    attention = attention_maps(model, sequences.take(rows), row=0) if has_attention(model) else None
    few = [f"The database has {len(database)} motifs: with fewer than {FEW_TARGETS}, p depends on which they are."] * (
        0 < len(database) < FEW_TARGETS
    )
    return FoundMotifs(
        motifs, "filters" if by_filters else "attributions", apart, explained, rows, attention, [*raw.notes, *few]
    )


def _by_filters(
    model: SequenceModel, sequences: Sequences, target: NDArray[np.floating] | None, rng: np.random.Generator
) -> _Raw:
    filters = filter_motifs(model, sequences)
    shuffled, how = shuffled_for_comparison(sequences, rng)
    hits, by_chance = (rows_with_sites(model, filters, one) for one in (sequences, shuffled))
    notes = [
        f"{len(filters):,} first-layer filters{_of_networks(model)} find at least 10 windows, with an activation above "
        "mean + .65 (max - mean).",
        "Effect: what a filter gives, pooled, was set to its average over the sequences.",
        f"Enrichment: against {how} of each sequence.",
    ]
    return _Raw(
        [one.motif for one in filters],
        [one.sites for one in filters],
        filter_effects(model, filters, sequences, target),
        enrichment(hits, by_chance),
        notes,
    )


def _of_networks(model: SequenceModel) -> str:
    """Of which networks the filters are, where that is not all."""
    n = sum(has_detectors(network) for network in model.module_)
    return "" if n == len(model.module_) else f" of {n} of the {len(model.module_)} networks (the others have none)"


def _by_attributions(
    model: SequenceModel,
    sequences: Sequences,
    target: NDArray[np.floating] | None,
    method: str,
    rng: np.random.Generator,
) -> _Raw:
    found = attribute(model, sequences, method=method)
    shuffled, how = shuffled_for_comparison(sequences, rng)
    in_shuffles = attribute(model, shuffled, method=method)
    gap = "" if np.isnan(found.gap) else f" Sums of attributions are right to {max(found.gap, in_shuffles.gap):.1%}."
    attributed = f"Attributions by {method} of {len(sequences):,} sequences and {how} of each.{gap}"
    try:
        seqlets = find_seqlets(found, in_shuffles)
    except NothingFoundError as error:
        return _Raw([], [], [], [], [attributed, f"No motif: {error}."])
    both = any(one.both_strands for one in of_label(model).recipes_)
    clusters = cluster_seqlets(seqlets, model.recipes_[0].alphabet, both_strands=both)
    if not clusters:
        none = (
            f"No motif: the {len(seqlets.codes):,} windows that attributions single out gather to none of 10 sites. "
            "More sequences (--sequences), or a model that has learned more, may show some."
        )
        return _Raw([], [], [], [], [attributed, none])
    motifs = [one.motif for one in clusters]
    hits, by_chance = (rows_with_hits(motifs, one, both_strands=both) for one in (sequences, shuffled))
    notes = [
        attributed,
        f"{len(seqlets.codes):,} windows of 7 letters are attributed more than {seqlets.threshold:.3g}, which one "
        f"shuffle in 20 reaches; {_compared(len(seqlets.codes))} gather to {len(clusters)} motifs of at least 10 "
        "sites.",
        "Effect: the letters of these sites, where the motif says something, were made unknown (N, of protein X). "
        "Shares of sequences and distances: of all windows that fit the motif.",
    ]
    answers = _Blanking(model, found, target)
    effects = [answers.effect(*said_at(one.motif, one.sites)) for one in clusters]
    sites = [scan_motif(one, sequences, both_strands=both) for one in motifs]
    return _Raw(motifs, sites, effects, enrichment(hits, by_chance), notes)


def _compared(n_seqlets: int) -> str:
    return "they" if n_seqlets <= MOST_SEQLETS else f"the strongest {MOST_SEQLETS:,}"


class _Blanking:
    """What a model loses when sites become unknown letters."""

    def __init__(self, model: SequenceModel, found: Attributions, target: NDArray[np.floating] | None) -> None:
        self.model, self.codes, self.target = model, found.codes, target
        alphabet = model.recipes_[0].alphabet
        self.unknown = alphabet.symbols.index("X" if alphabet.name == "protein" else "N")
        self.whole = self._answers(found.codes)

    def _answers(self, codes: NDArray[np.integer]) -> NDArray[np.float64]:
        texts = [self.model.recipes_[0].alphabet.decode(row) for row in codes]
        if isinstance(self.model, SequenceClassifier):
            return self.model.predict_proba(texts)
        return ((self.model.predict(texts) - self.model.mean_) / self.model.scale_)[:, None]

    def effect(self, sites: Sites, width: int) -> Effect:
        """Effect of sites of `width` letters."""
        without = self._answers(blanked(self.codes, [sites], width, self.unknown))
        return compared_answers(self.model, self.whole, without, self.target, np.unique(sites.rows))


def _largest_outputs(model: SequenceModel, sequences: Sequences) -> NDArray[np.intp]:
    """Rows of the sequences that the model is surest of, or predicts most for; of two classes, of the last.

    Of more classes, each has a turn: the surest of those that are predicted so.
    """
    if isinstance(model, SequenceClassifier):
        p = model.predict_proba(sequences)
        if p.shape[1] > 2:
            order = np.argsort(-p.max(axis=1), kind="stable")
            turn = pd.Series(p.argmax(axis=1)[order]).groupby(p.argmax(axis=1)[order]).cumcount().to_numpy()
            return order[np.argsort(turn, kind="stable")][:SHOWN_SEQUENCES]
        score = p[:, 1]
    else:
        score = model.predict(sequences)
    return np.argsort(-score, kind="stable")[:SHOWN_SEQUENCES]


def some_sequences(sequences: Sequences, most: int, seed: int) -> tuple[Sequences, list[str]]:
    """Draw `most` of the sequences, in their order, and say so; all where there are no more."""
    if most < 1:
        raise ValueError(f"the number of sequences must be at least 1, found {most}")
    if len(sequences) <= most:
        return sequences, []
    rows = np.sort(np.random.default_rng(seed).permutation(len(sequences))[:most])
    return sequences.take(rows), [f"{most:,} of {len(sequences):,} sequences were drawn."]


def motif_table(found: FoundMotifs, model: SequenceModel) -> pd.DataFrame:
    """Table of the motifs, one a row, the largest effect first.

    Returns
    -------
    DataFrame
        Indexed by ``motif``: ``consensus`` (trimmed), ``n_sites``, ``information`` (bits), ``effect`` and its standard
        error ``effect_error``, ``auroc_drop``, ``toward`` (class whose probability falls without it, or of a regressor
        ``higher`` or ``lower``), ``share`` and ``share_in_shuffles`` of sequences with a site, ``enrichment_q``,
        ``copy_of``; and of the best match ``match``, ``match_name``, ``match_p``, ``match_q``, ``match_offset``,
        ``match_strand``.
    """
    rows = []
    for one in found.motifs:
        trimmed, effect, match = one.motif.trimmed(), one.effect, one.match
        row: dict[str, Any] = {
            "motif": one.motif.name,
            "consensus": trimmed.consensus,
            "n_sites": one.motif.n_sites,
            "information": float(trimmed.information.sum()),
            "effect": effect.loss,
            "effect_error": effect.error,
            "auroc_drop": effect.auroc,
            "toward": toward_name(model, effect.toward),
            "share": one.enrichment.share,
            "share_in_shuffles": one.enrichment.share_in_shuffles,
            "enrichment_q": one.enrichment.q,
            "copy_of": one.copy_of,
        }
        if match is not None:
            row |= {
                "match": match.target.name,
                "match_name": match.target.other_name,
                "match_p": match.p,
                "match_q": match.q,
                "match_offset": match.offset,
                "match_strand": match.strand,
            }
        rows.append(row)
    columns = ["motif", "consensus", "n_sites", "information", "effect", "effect_error", "auroc_drop", "toward"]
    columns += ["share", "share_in_shuffles", "enrichment_q", "copy_of"]
    columns += ["match", "match_name", "match_p", "match_q", "match_offset", "match_strand"]
    return pd.DataFrame(rows, columns=columns).set_index("motif")


def toward_name(model: SequenceModel, number: int) -> str:
    """Class of that number, or of a regressor what its prediction does."""
    if isinstance(model, SequenceClassifier):
        return "" if number < 0 else str(model.classes_[number])
    return "" if number < 0 else "higher" if number else "lower"
