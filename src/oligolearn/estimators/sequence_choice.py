"""Which encoder suits a set of sequences."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oligolearn.data import PaddingRule, Sequences
from oligolearn.estimators.sequence_networks import Learning, Recipe, Task, mean_loss, train_network

_FEWEST_ROWS = 200  # below, a fifth of them does not tell encoders apart
_MOST_ROWS = 8_000
_LONGEST_ALIGNED = 1_000


class Choice(NamedTuple):
    """An encoder, and how it was found.

    Attributes
    ----------
    recipe
        Of the encoder.
    name
        Of the candidate.
    losses
        Loss on held-out rows of each candidate that was tried, by name; empty where one was enough.
    """

    recipe: Recipe
    name: str
    losses: dict[str, float]


def candidates(sequences: Sequences, rule: PaddingRule, both_strands: bool | str) -> dict[str, Recipe]:  # noqa: FBT001
    """Encoders that may suit: by what is known without labels.

    Sequences of one length, up to 1,000, may be aligned: ``"positions"`` keeps where a motif stands. ``"anywhere"``
    pools over the sequence, ``"words"`` counts k-mers. Of DNA, ``"both strands"`` and ``"words of both strands"`` also
    read the reverse complement.

    Parameters
    ----------
    sequences
        To learn from.
    rule
        Padding and truncation, with a length.
    both_strands
        True, False, or ``"auto"`` for both.
    """
    alphabet = sequences.alphabet
    lengths = sequences.lengths
    like_lengths = lengths.min() == lengths.max() <= _LONGEST_ALIGNED
    found: dict[str, Recipe] = {}
    if like_lengths and both_strands in (False, "auto"):
        found["positions"] = Recipe("multi-scale-cnn", _positions(int(lengths[0])), alphabet, rule)
    anywhere = dict(_ANYWHERE)
    if both_strands in (False, "auto"):
        found["anywhere"] = Recipe("motif-cnn", anywhere, alphabet, rule)
        found["words"] = Recipe("kmer-bag", {}, alphabet, rule)
    if both_strands is True or (both_strands == "auto" and alphabet.name == "dna"):
        found["both strands"] = Recipe("motif-cnn", anywhere, alphabet, rule, both_strands=True)
        found["words of both strands"] = Recipe("kmer-bag", {}, alphabet, rule, both_strands=True)
    return found


_ANYWHERE: dict[str, Any] = {"n_filters": 96, "width": 15, "pooling": "max+mean", "hidden": 64, "dropout": 0.3}


def _positions(length: int) -> dict[str, Any]:
    """Short detectors at every place, long ones at about every fourth; of long sequences, fewer places."""
    window = max(1, round(length / 80))
    return {
        "n_filters": 64,
        "widths": [6, 15],
        "windows": [window, 4 * window],
        "pooling": "positions",
        "hidden": 256,
        "dropout": 0.2,
    }


def choose(
    task: Task,
    tried: Mapping[str, Recipe],
    learning: Learning,
    split: Callable[[NDArray[np.integer]], tuple[NDArray[np.integer], NDArray[np.integer]]],
    seed: int,
) -> Choice:
    """Train each candidate on part of the rows and take the one with the smallest loss on the others.

    Parameters
    ----------
    task, learning
        What is learned, and how.
    tried
        Candidates by name.
    split
        Row numbers -> those that train, those that are held out.
    seed
        Of everything drawn.

    Returns
    -------
    Choice
        The first candidate, untried, where there is one only or fewer than 200 rows; of more than 8,000 rows some are
        drawn.
    """
    rows = np.arange(len(task.sequences))
    first = next(iter(tried))
    if len(tried) == 1 or len(rows) < _FEWEST_ROWS:
        return Choice(tried[first], first, {})
    if len(rows) > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_MOST_ROWS])
    train, held_out = split(rows)
    losses = {}
    for name, recipe in tried.items():
        trained = train_network(task, recipe, learning, (train, held_out[:0]), seed)
        losses[name] = mean_loss(task.loss(trained.network, train).eval(), task, recipe, held_out)
    best = min(losses, key=lambda name: losses[name])
    return Choice(tried[best], best, losses)
