"""What each letter of a sequence gives to a model's prediction of it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oligolearn.data import Alphabet, Sequences, shuffle_dinucleotides
from oligolearn.estimators import SequenceClassifier
from oligolearn.estimators.sequence_fitting import letters_read
from oligolearn.estimators.sequence_networks import Recipe, batches_of_like_lengths
from oligolearn.explain.deeplift import RescaleRule
from oligolearn.explain.filters import SequenceModel, of_label
from oligolearn.explain.tracks import Channels, OpenNetwork, Track, channels_of
from oligolearn.training import exact_copy

METHODS = ("mutagenesis", "integrated-gradients", "deeplift")
REFERENCES = ("mean", "shuffles")
_SHUFFLES = 5
_ASKED = 0.8  # share of the tolerance that integration stops at: batches differ in their mean difference
_FEWEST_STEPS, _MOST_STEPS = 16, 1024
_LETTERS_AT_ONCE = 2**14  # of a batch, whose copies differ in one letter


class ConvergenceError(ValueError):
    """Attributions that do not add up to the difference that they are to explain."""


class Attributions(NamedTuple):
    """Contributions of letters, in the units of the output that is explained.

    Attributes
    ----------
    scores
        Of each letter of each sequence, ``(n_sequences, width)``; 0 beyond its end.
    contributions
        In-silico mutagenesis: output with another letter less that with the sequence's own, ``(n_sequences, width,
        n_letters)``. Else: what each letter would give there less the mean of all, from the same multipliers; where the
        model reads k-mers, with all k-mers that hold it.
    codes
        Letters as the model reads them, moved to the start, ``(n_sequences, width)``, 0 beyond the end.
    outputs
        What is explained, ``(n_sequences,)``.
    gap
        Largest difference between the sum of a sequence's scores and its output less the reference's, as a share of
        that (or of the mean of those, where it is smaller); NaN for mutagenesis, which promises no sum.
    """

    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]
    codes: NDArray[np.uint8]
    outputs: NDArray[np.float64]
    gap: float


def attribute(
    model: SequenceModel,
    X: Any,
    *,
    method: str = "integrated-gradients",
    target: Any = None,
    reference: str = "mean",
    tolerance: float = 0.05,
    seed: int = 0,
) -> Attributions:
    """Attribute a model's output to the letters of each sequence.

    What is explained: of a classifier the logit of a class less the mean of the other classes' (with two classes the
    log odds), averaged over the networks; of a regressor the prediction. Attributions are to the channels that the
    first layer sees, on both strands where the model reads both: those of letters, or vectors of k-mers, whose letters
    share them evenly, see `oligolearn.explain.tracks.KmerChannels`.

    Parameters
    ----------
    model
        Fitted, with any encoder, on letters or on k-mers; of several labels at once, what `of_label` gives for one.
    X
        Texts, or `Sequences`.
    method
        ``"mutagenesis"``: every letter replaced by each other one; the score is what the sequence's own gives over the
        mean of the others. ``"integrated-gradients"`` (Sundararajan 2017): midpoint rule in the square root of the way,
        steps doubled up to 1,024 until sums are right. ``"deeplift"``: the rescale rule (Shrikumar 2017), exact for
        convolutions, rectifiers and maxima; not for recurrent layers, attention and layer norm, where it is refused as
        its sums come out wrong.
    target
        Class to explain, by name; a sequence of them, one for each; None: the last of two classes, and of more the one
        that is predicted. Of no use for a regressor.
    reference
        ``"mean"``: unknown letters everywhere, which the first layer sees as 0: the mean letter, or no k-mer.
        ``"shuffles"``: five dinucleotide shuffles of the sequence, over which attributions are averaged.
    tolerance
        Largest gap that is accepted, see `Attributions.gap`.
    seed
        Of the shuffles.

    Raises
    ------
    ConvergenceError
        If sums miss what they should be by more than that: by how much.
    ValueError
        If a name is unknown, or the sequences do not suit the model.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if reference not in REFERENCES:
        raise ValueError(f"unknown reference {reference!r}; choose one of {', '.join(REFERENCES)}")
    sequences = letters_read(X, model.recipes_)
    alphabet = model.recipes_[0].alphabet
    weights = explained(model, sequences, target)
    rng = np.random.default_rng(seed)
    shuffled = [shuffle_dinucleotides(sequences, rng) for _ in range(_SHUFFLES)] if reference == "shuffles" else []
    found = _nothing(len(sequences), int(sequences.lengths.max()), len(alphabet.letters))
    misses, changes = np.zeros(len(sequences)), np.zeros(len(sequences))
    for output in _parts(model):
        for rows in _batches(sequences, output.recipe):
            codes = output.recipe.codes(sequences, rows)
            asked = torch.from_numpy(weights[rows])
            if method == "mutagenesis":
                one = _mutated(output, codes, asked, alphabet)
            else:
                multiply = _integrated if method == "integrated-gradients" else _deeplift
                others = [output.recipe.codes(one, rows) for one in shuffled]
                one = _averaged(multiply, output, codes, others or [torch.zeros_like(codes)], asked, tolerance)
            _add(found, rows, codes, one)
            misses[rows] += one.misses
            changes[rows] += one.changes
    if not isinstance(of_label(model), SequenceClassifier):
        found = found._replace(outputs=found.outputs + model.mean_)
    if method == "mutagenesis":
        return found
    return found._replace(gap=_checked_gap(method, misses, changes, tolerance))


def explained(model: SequenceModel, sequences: Sequences, target: Any = None) -> NDArray[np.float64]:
    """Weights of the outputs whose sum is explained, ``(n_sequences, n_out)``; see `attribute`.

    Raises
    ------
    ValueError
        If the model knows no class of that name, or there is not one for each sequence.
    """
    model = of_label(model)
    if not isinstance(model, SequenceClassifier):
        return np.ones((len(sequences), 1))
    names = [str(name) for name in model.classes_]
    if target is None:
        wanted = model.predict_proba(sequences).argmax(axis=1) if len(names) > 2 else np.full(len(sequences), 1)
    else:
        given = [str(target)] * len(sequences) if np.ndim(target) == 0 else [str(one) for one in target]
        if len(given) != len(sequences):
            raise ValueError(f"targets must be one for each of {len(sequences)} sequences, found {len(given)}")
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"the model knows no class {unknown[0]!r}; its classes are {', '.join(names)}")
        wanted = np.array([names.index(one) for one in given])
    weights = np.full((len(sequences), len(names)), -1 / (len(names) - 1))
    weights[np.arange(len(sequences)), wanted] = 1
    return weights


def _parts(model: SequenceModel) -> "list[_Output]":
    """What the networks of each kind give to the mean over all, whose attributions are the sums of theirs."""
    alike: dict[int, list[int]] = {}
    for number, recipe in enumerate(model.recipes_):
        alike.setdefault(id(recipe), []).append(number)
    unit = 1.0 if isinstance(model, SequenceClassifier) else model.scale_
    networks = list(model.module_)
    return [
        _Output(nn.ModuleList(networks[i] for i in numbers), model.recipes_[numbers[0]], unit / len(networks))
        for numbers in alike.values()
    ]


class _Output:
    """What is explained, from codes or a track and the weights of each row's outputs: `scale` times the networks' sum.

    The networks are all built by one recipe.
    """

    def __init__(self, networks: nn.ModuleList, recipe: Recipe, scale: float) -> None:
        exact: Any = exact_copy(networks).cpu()
        self._networks: list[Any] = list(exact.requires_grad_(requires_grad=False))
        self._scale = scale
        self.recipe = recipe

    @torch.no_grad()
    def of_codes(self, codes: Tensor, weights: Tensor) -> Tensor:
        """Of codes ``(batch, length)``."""
        return self._explained([network(codes) for network in self._networks], weights)

    def of_track(self, track: Track, weights: Tensor) -> Tensor:
        """Of a track, differentiable in its values."""
        tables = zip(self._open, self.channels.tables(track.values), strict=True)
        return self._explained([network(table, track.there) for network, table in tables], weights)

    @cached_property
    def channels(self) -> Channels:
        """What the networks look up."""
        return channels_of(self._networks, self.recipe.alphabet)

    @cached_property
    def _open(self) -> list[OpenNetwork]:
        return [OpenNetwork(network) for network in self._networks]

    def _explained(self, outputs: list[Tensor], weights: Tensor) -> Tensor:
        return (torch.stack(outputs).sum(dim=0) * weights).sum(dim=1) * self._scale


class _Explained(NamedTuple):
    """Of a batch: scores and contributions as in `Attributions`, outputs, what sums miss and what they should be."""

    scores: Tensor
    contributions: Tensor
    outputs: Tensor
    misses: NDArray[np.float64]
    changes: NDArray[np.float64]


def _batches(sequences: Sequences, recipe: Recipe) -> list[NDArray[np.integer]]:
    """Rows of like lengths, few enough that copies with every letter fit in memory."""
    parts = batches_of_like_lengths(sequences, recipe, np.arange(len(sequences)))
    most = max(1, _LETTERS_AT_ONCE // int(sequences.lengths.max()))
    return [rows[start : start + most] for rows in parts for start in range(0, len(rows), most)]


def _mutated(output: _Output, codes: Tensor, weights: Tensor, alphabet: Alphabet) -> _Explained:
    """In-silico mutagenesis, place by place."""
    batch, length = codes.shape
    n_letters = len(alphabet.letters)
    there = codes > 0
    before = output.of_codes(codes, weights)
    contributions = before.new_zeros(batch, length, n_letters)
    copies, their_weights = (one.repeat_interleave(n_letters, dim=0) for one in (codes, weights))
    letters = torch.arange(1, n_letters + 1).repeat(batch).to(codes)
    for place in range(length):
        changed = copies.clone()
        changed[:, place] = torch.where(copies[:, place] > 0, letters, 0)
        after = output.of_codes(changed, their_weights).view(batch, n_letters)
        contributions[:, place] = (after - before[:, None]) * there[:, place, None]
    others = (1 - torch.from_numpy(alphabet.shares).double()[codes.long()]) / (n_letters - 1)
    scores = -(contributions * others).sum(dim=2)
    return _Explained(scores, contributions, before, np.zeros(batch), np.zeros(batch))


def _averaged(
    multiply: Callable[..., Tensor],
    output: _Output,
    codes: Tensor,
    references: Sequence[Tensor],
    weights: Tensor,
    tolerance: float,
) -> _Explained:
    """Multipliers times differences from the reference, averaged over references; the worst miss counts."""
    channels = output.channels
    track = channels.track(codes)
    outputs = output.of_track(track, weights).detach()
    scores, mean = torch.zeros_like(track.values[..., 0]), torch.zeros_like(track.values)
    misses, changes = torch.zeros_like(outputs), torch.zeros_like(outputs)
    for one in references:
        reference = Track(channels.track(one).values, track.there)
        change = outputs - output.of_track(reference, weights).detach()
        multipliers = multiply(output, track, reference, weights, change, tolerance)
        given = channels.letter_scores(multipliers * (track.values - reference.values))
        miss = given.sum(dim=1) - change
        worse = miss.abs() >= misses.abs()
        misses, changes = torch.where(worse, miss, misses), torch.where(worse, change, changes)
        scores += given / len(references)
        mean += multipliers / len(references)
    contributions = channels.contributions(mean, codes)
    return _Explained(scores, contributions, outputs, misses.numpy(), changes.numpy())


def _integrated(
    output: _Output, track: Track, reference: Track, weights: Tensor, change: Tensor, tolerance: float
) -> Tensor:
    """Mean gradient on the straight way from the reference, in twice the steps where the sum is not right.

    Our own: steps that grow from the reference need no more gradients than captum's rule (Gauss and Legendre's) and
    take 0.8 to 1.1 times as long for the same scores (`benchmarks/attributions.py`), without one more dependency.
    """
    multipliers = torch.zeros_like(track.values)
    rows = torch.arange(len(weights))
    n_steps = _FEWEST_STEPS
    while len(rows) and n_steps <= _MOST_STEPS:
        start, way = reference.values[rows], (track.values - reference.values)[rows]
        total = torch.zeros_like(way)
        for step in range(n_steps):
            # Steps are small near the reference, where layer norm turns fastest: the share of the way is t squared.
            t = (step + 0.5) / n_steps
            at = (start + way * t**2).requires_grad_()
            gradient = torch.autograd.grad(output.of_track(Track(at, track.there[rows]), weights[rows]).sum(), at)[0]
            total += gradient * (2 * t / n_steps)
        multipliers[rows] = total
        miss = ((total * way).sum(dim=(1, 2)) - change[rows]).abs()
        rows = rows[miss > _ASKED * tolerance * torch.maximum(change[rows].abs(), change.abs().mean())]
        n_steps *= 2
    return multipliers


def _deeplift(
    output: _Output, track: Track, reference: Track, weights: Tensor, change: Tensor, tolerance: float
) -> Tensor:
    """Multipliers of the rescale rule, from pairs of an input and its reference."""
    pairs = torch.stack([track.values, reference.values], dim=1).flatten(0, 1).requires_grad_()
    there = track.there.repeat_interleave(2, dim=0)
    with RescaleRule():
        outputs = output.of_track(Track(pairs, there), weights.repeat_interleave(2, dim=0))
    return torch.autograd.grad(outputs[0::2].sum(), pairs)[0][0::2]


def _nothing(n: int, width: int, n_letters: int) -> Attributions:
    """Room for the attributions of `n` sequences."""
    shape = (n, width)
    return Attributions(np.zeros(shape), np.zeros((*shape, n_letters)), np.zeros(shape, np.uint8), np.zeros(n), np.nan)


def _add(found: Attributions, rows: NDArray[np.integer], codes: Tensor, one: _Explained) -> None:
    """Add those of a batch, the letters of each sequence moved to its start."""
    order = (codes == 0).to(torch.uint8).argsort(dim=1, stable=True)
    width = min(codes.shape[1], found.scores.shape[1])
    found.codes[rows, :width] = codes.gather(1, order)[:, :width].numpy()
    found.scores[rows, :width] += one.scores.gather(1, order)[:, :width].numpy()
    in_order = one.contributions.gather(1, order[..., None].expand_as(one.contributions))
    found.contributions[rows, :width] += in_order[:, :width].numpy()
    found.outputs[rows] += one.outputs.numpy()


def _checked_gap(method: str, misses: NDArray[np.float64], changes: NDArray[np.float64], tolerance: float) -> float:
    """Largest gap, where it is small enough."""
    scale = np.maximum(np.abs(changes), np.abs(changes).mean())
    gaps = np.abs(misses) / np.where(scale > 0, scale, 1)
    worst = int(gaps.argmax())
    if gaps[worst] > tolerance:
        advice = "use integrated-gradients or mutagenesis" if method == "deeplift" else "use mutagenesis"
        raise ConvergenceError(
            f"{method} does not converge: of {np.sum(gaps > tolerance):,} of {len(gaps):,} sequences the attributions "
            f"miss f(x) - f(reference) by more than {tolerance:.3g} of it; the worst sum to "
            f"{changes[worst] + misses[worst]:.4g} where the difference is {changes[worst]:.4g}; {advice}"
        )
    return float(gaps[worst])
