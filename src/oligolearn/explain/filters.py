"""The detectors of a shallow network's first layer: what each finds, and where."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.data import Sequences
from oligolearn.estimators import SequenceClassifier, SequenceRegressor
from oligolearn.estimators.sequence_fitting import checked_sequences
from oligolearn.estimators.sequence_networks import Recipe, batches_of_like_lengths
from oligolearn.explain.motif import FEWEST_SITES, Motif, Sites, joined_sites, motif_of
from oligolearn.nn import BothStrands, EmbeddedKmers, MotifCNN, MultiScaleCNN, SequencePool, reverse_complement
from oligolearn.training import exact_copy

SequenceModel = SequenceClassifier | SequenceRegressor
_ABOVE_MEAN = 0.65  # share of the way from a filter's mean to its largest value where sites begin


def of_label(model: SequenceModel, name: str | None = None) -> SequenceModel:
    """Give what is explained: of a model of several labels at once, the classifier of one of them.

    Parameters
    ----------
    model
        Fitted.
    name
        Of the label; None for a model that learned one.

    Raises
    ------
    ValueError
        If the model has several and none is named, or the other way round.
    """
    if name is None:
        if isinstance(model, SequenceClassifier) and model.multilabel_:
            names = ", ".join(map(str, model.classes_))
            raise ValueError(
                f"the model learned several labels at once, which are explained one by one: choose one of {names} "
                "(--class; in Python for_label)"
            )
        return model
    if not isinstance(model, SequenceClassifier):
        raise ValueError("the model predicts a number and has no labels to choose from; leave the label out")
    return model.for_label(name)


class Scale(NamedTuple):
    """Detectors of one width.

    Attributes
    ----------
    detect
        Convolution, norm and rectifier: `Track` of letters or k-mers to `Track` of activations.
    pool
        What follows.
    width
        Letters of a detector, or k-mers where it reads these.
    n_filters
        Detectors.
    n_letters
        Under a detector: of k-mers ``width + k - 1``, as in deepRAM (Trabelsi 2019).
    """

    detect: nn.Sequential
    pool: SequencePool
    width: int
    n_filters: int
    n_letters: int


class Detectors(NamedTuple):
    """A network in its parts: what is read, detectors with their pooling, what follows.

    Attributes
    ----------
    letters
        Codes to `Track`, of letters or of k-mers.
    scales
        One for each width.
    last
        What is pooled, of all scales, to the embedding.
    strands
        The module that reads both strands, None where one is read.
    network
        The whole; its `classify` takes embeddings.
    """

    letters: nn.Module
    scales: tuple[Scale, ...]
    last: nn.Module
    strands: BothStrands | None
    network: Any


class Filter(NamedTuple):
    """One detector and what it finds.

    Attributes
    ----------
    motif
        Of the windows that it finds; its own name says which filter of which network it is.
    sites
        Where they are.
    network, scale, channel
        Its place in the model.
    threshold
        Activation above which it finds something.
    """

    motif: Motif
    sites: Sites
    network: int
    scale: int
    channel: int
    threshold: float


def has_filters(model: SequenceModel) -> bool:
    """Whether the first layer's filters are the model's motifs: every network is a `MotifCNN` or a `MultiScaleCNN`.

    Of a deep stack they are but parts of motifs, and a recurrent network has none.
    """
    return all(has_detectors(network) for network in model.module_)


def has_detectors(network: Any) -> bool:
    """Whether `take_apart` can take a network apart."""
    inner = network.encoder.encoder if isinstance(network.encoder, BothStrands) else network.encoder
    return isinstance(inner, MotifCNN | MultiScaleCNN)


def take_apart(network: nn.Module) -> Detectors:
    """Take a network with detectors into its parts, in evaluation mode and 64 bits.

    Raises
    ------
    ValueError
        If its encoder has no detectors that are motifs.
    """
    exact: Any = exact_copy(network)
    strands = exact.encoder if isinstance(exact.encoder, BothStrands) else None
    encoder: Any = exact.encoder if strands is None else strands.encoder
    if isinstance(encoder, MotifCNN):
        letters, *detect = encoder.blocks[0].children()
        pool, *rest = encoder.blocks[1].children()
        each, last = [[*detect, pool]], nn.Sequential(*rest)
    elif isinstance(encoder, MultiScaleCNN):
        letters, side_by_side = encoder.blocks[0].children()
        side_by_side_each: Any = side_by_side.each
        each, last = [list(one) for one in side_by_side_each], nn.Sequential(encoder.blocks[1])
    else:
        raise ValueError(
            f"the first layer of a {type(encoder).__name__} has no filters that are motifs; explain it by attributions"
        )
    k = letters.k if isinstance(letters, EmbeddedKmers) else 1
    return Detectors(letters, tuple(_scale(one, k) for one in each), last, strands, exact)


def _scale(layers: list[Any], k: int) -> Scale:
    *detect, pool = layers
    width = detect[0].kernel_size[0]
    return Scale(nn.Sequential(*detect), pool, width, detect[0].out_channels, width + k - 1)


class Scan(NamedTuple):
    """What the detectors make of a batch.

    Attributes
    ----------
    rows
        Numbers of the sequences, ``(batch,)``.
    codes
        As the detectors read them, ``(strands * batch, length)``: all forward ones, then the other strands.
    activations
        Of each scale, ``(strands * batch, n_filters, length)``.
    pooled
        Of all scales, ``(strands * batch, n_pooled)``.
    """

    rows: NDArray[np.integer]
    codes: NDArray[np.integer]
    activations: list[NDArray[np.float64]]
    pooled: Tensor


@torch.no_grad()
def scan(detectors: Detectors, sequences: Sequences, recipe: Recipe) -> Iterator[Scan]:
    """Run the detectors over sequences, batch by batch."""
    device = next(detectors.network.parameters()).device
    for rows in batches_of_like_lengths(sequences, recipe, np.arange(len(sequences))):
        codes = recipe.codes(sequences, rows).to(device)
        if detectors.strands is not None:
            codes = torch.cat([codes, reverse_complement(codes, detectors.strands.complement)])
        track = detectors.letters(codes)
        found = [scale.detect(track) for scale in detectors.scales]
        pooled = torch.cat([scale.pool(one) for scale, one in zip(detectors.scales, found, strict=True)], dim=1)
        yield Scan(rows, codes.cpu().numpy(), [one.values.cpu().numpy() for one in found], pooled)


def filter_motifs(model: SequenceModel, X: Any) -> list[Filter]:
    """Motif of every first-layer filter of the shallow networks of a model, from the windows that it finds.

    A window is found where the filter's activation, after norm and rectifier, is above ``mean + .65 (max - mean)``,
    both over all places of the sequences (Kelley 2016, Trabelsi 2019). A model that reads both strands finds on both.
    Where it reads k-mers, a window is all letters of its k-mers, ``width + k - 1`` of them.

    Parameters
    ----------
    model
        Fitted, with the encoder ``"motif-cnn"`` or ``"multi-scale-cnn"``, on letters or on k-mers, of one or both
        strands. Of a model whose networks differ, those with another encoder are passed over.
    X
        Texts, or `Sequences`.

    Returns
    -------
    list of Filter
        Those of all networks that find at least 10 windows, in their order.

    Raises
    ------
    ValueError
        If the model has no such filters, the sequences do not suit it, or no filter finds 10 windows.
    """
    sequences = checked_sequences(X, model.recipes_)
    found: list[Filter] = []
    some = any(has_detectors(network) for network in model.module_)
    for number, (network, recipe) in enumerate(zip(model.module_, model.recipes_, strict=True)):
        if some and not has_detectors(network):
            continue
        detectors = take_apart(network)
        limits = _thresholds(detectors, sequences, recipe)
        counts, sites = _windows(detectors, sequences, recipe, limits)
        for scale, limit in enumerate(limits):
            for channel in range(len(limit)):
                name = _name(number, len(model.module_), detectors.scales, scale, channel)
                motif = motif_of(name, recipe.alphabet.letters, counts[scale][channel])
                one = sites[scale][channel]
                if len(one.rows) >= FEWEST_SITES:
                    found.append(Filter(motif, one, number, scale, channel, float(limit[channel])))
    if not found:
        raise ValueError(
            f"no filter finds as many as {FEWEST_SITES} windows in {len(sequences):,} sequences; give more of them"
        )
    return found


def _name(network: int, n_networks: int, scales: Sequence[Scale], scale: int, channel: int) -> str:
    """``filter7``, ``net2-filter7`` of several networks, ``width15-filter7`` of several widths; counted from 1."""
    parts = [f"net{network + 1}"] * (n_networks > 1) + [f"width{scales[scale].width}"] * (len(scales) > 1)
    return "-".join([*parts, f"filter{channel + 1}"])


def _thresholds(detectors: Detectors, sequences: Sequences, recipe: Recipe) -> list[NDArray[np.float64]]:
    """Activation above which each filter of each scale finds something."""
    n_places = 0
    total = [np.zeros(scale.n_filters) for scale in detectors.scales]
    largest = [np.zeros(scale.n_filters) for scale in detectors.scales]  # activations are rectified
    for batch in scan(detectors, sequences, recipe):
        n_places += int((batch.codes > 0).sum())
        for i, values in enumerate(batch.activations):
            total[i] += values.sum(axis=(0, 2))
            largest[i] = np.maximum(largest[i], values.max(axis=(0, 2)))
    means = [one / n_places for one in total]
    return [mean + _ABOVE_MEAN * (most - mean) for mean, most in zip(means, largest, strict=True)]


def _windows(
    detectors: Detectors, sequences: Sequences, recipe: Recipe, limits: list[NDArray[np.float64]]
) -> tuple[list[NDArray[np.float64]], list[list[Sites]]]:
    """Counts of letters, those of each window ``(n_filters, ...)``, and sites of each filter, for each scale."""
    shares = recipe.alphabet.shares.astype(np.float64)
    counts = [np.zeros((scale.n_filters, scale.n_letters, shares.shape[1])) for scale in detectors.scales]
    parts: list[list[list[Sites]]] = [[[] for _ in range(scale.n_filters)] for scale in detectors.scales]
    for batch in scan(detectors, sequences, recipe):
        for i, scale in enumerate(detectors.scales):
            strand_row, channel, place = np.nonzero(batch.activations[i] > limits[i][:, None])
            strengths = batch.activations[i][strand_row, channel, place]
            begins = place - (scale.width - 1) // 2
            n_letters = scale.n_letters
            padded = np.pad(batch.codes, ((0, 0), (n_letters, n_letters)))
            letters = padded[strand_row[:, None], begins[:, None] + n_letters + np.arange(n_letters)]
            np.add.at(counts[i], channel, shares[letters])
            sites = _on_sequences(batch, strand_row, begins, n_letters, strengths)
            for which in np.unique(channel):
                parts[i][which].append(sites.take(channel == which))
    return counts, [[joined_sites(one) for one in scale] for scale in parts]


def _on_sequences(
    batch: Scan,
    strand_row: NDArray[np.intp],
    begins: NDArray[np.intp],
    width: int,
    strengths: NDArray[np.float64],
) -> Sites:
    """Places in padded rows, of either strand, as places on the forward strand."""
    there = batch.codes > 0
    first, n_letters = there.argmax(axis=1)[strand_row], there.sum(axis=1)[strand_row]
    reverse = strand_row >= len(batch.rows)
    starts = begins - first
    starts = np.where(reverse, n_letters - width - starts, starts)
    return Sites(batch.rows[strand_row % len(batch.rows)].astype(np.int64), starts, reverse, strengths)


def rows_with_sites(model: SequenceModel, filters: Sequence[Filter], X: Any) -> NDArray[np.bool_]:
    """Whether each filter finds anything in each sequence, above the threshold it has: ``(n_filters, n_sequences)``."""
    sequences = checked_sequences(X, model.recipes_)
    found = np.zeros((len(filters), len(sequences)), dtype=bool)
    for number, network in enumerate(model.module_):
        mine = [i for i, one in enumerate(filters) if one.network == number]
        if not mine:
            continue
        for batch in scan(take_apart(network), sequences, model.recipes_[number]):
            highest = [values.max(axis=2) for values in batch.activations]
            for i in mine:
                over = highest[filters[i].scale][:, filters[i].channel] > filters[i].threshold
                found[i, batch.rows] = over.reshape(-1, len(batch.rows)).any(axis=0)
    return found
