"""Which encoders suit a set of sequences."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from oligolearn.data import PaddingRule, Sequences
from oligolearn.estimators.sequence_networks import Learning, Recipe, Task, outputs, train_network

_FEWEST_ROWS = 200  # below, a fifth of them does not tell encoders apart
_MOST_ROWS = 8_000
_LONGEST_ALIGNED = 1_000
_TOGETHER = " + "
_ANYWHERE: dict[str, Any] = {"n_filters": 96, "width": 15, "pooling": "max+mean", "hidden": 64, "dropout": 0.3}


class Choice(NamedTuple):
    """Encoders, and how they were found.

    Attributes
    ----------
    recipes
        One for each network, those of `names` in turn.
    names
        Of the candidates that were taken, the best first.
    losses
        Loss on held-out rows of each candidate that was tried, by name, and of the mean prediction of those that were
        taken; empty where one was enough.
    """

    recipes: list[Recipe]
    names: list[str]
    losses: dict[str, float]

    @property
    def name(self) -> str:
        """Of all that were taken."""
        return _TOGETHER.join(dict.fromkeys(self.names))


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
    if both_strands in (False, "auto"):
        found["anywhere"] = Recipe("motif-cnn", _ANYWHERE, alphabet, rule)
        found["words"] = Recipe("kmer-bag", {}, alphabet, rule)
    if both_strands is True or (both_strands == "auto" and alphabet.name == "dna"):
        found["both strands"] = Recipe("motif-cnn", _ANYWHERE, alphabet, rule, both_strands=True)
        found["words of both strands"] = Recipe("kmer-bag", {}, alphabet, rule, both_strands=True)
    return found


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


def n_trainings(n_candidates: int, n_rows: int, n_members: int) -> int:
    """How many networks `choose` trains to compare so many candidates on so many rows; none where it takes the first.

    Examples
    --------
    >>> n_trainings(5, 300, 3), n_trainings(5, 300, 1), n_trainings(5, 100, 3), n_trainings(1, 300, 3)
    (6, 5, 0, 0)
    """
    if n_candidates == 1 or n_rows < _FEWEST_ROWS:
        return 0
    return n_candidates + (1 if n_members > 1 else 0)


def choose(
    task: Task,
    tried: Mapping[str, Recipe],
    learning: Learning,
    split: Callable[[NDArray[np.integer]], tuple[NDArray[np.integer], NDArray[np.integer]]],
    seed: int,
    n_members: int,
) -> Choice:
    """Train each candidate on part of the rows, and take those whose mean prediction has the smallest loss on others.

    The best is taken first, then whatever makes the mean prediction better, one at a time (Caruana 2004). Two networks
    that are alike but for their seed are better than one as well, so the best is trained twice: another candidate has
    to help more than that.

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
    n_members
        Networks that the model is to have.

    Returns
    -------
    Choice
        The first candidate, untried, where there is one only or fewer than 200 rows; of more than 8,000 rows some are
        drawn.

    References
    ----------
    Caruana et al. 2004, Ensemble selection from libraries of models.
    """
    rows = np.arange(len(task.sequences))
    first = next(iter(tried))
    if not n_trainings(len(tried), len(rows), n_members):
        return Choice([tried[first]] * n_members, [first], {})
    if len(rows) > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_MOST_ROWS])
    train, held_out = split(rows)
    unseen = task.sequences.take(held_out)

    def answers(name: str, seed: int) -> NDArray[np.float64]:
        trained = train_network(task, tried[name], learning, (train, held_out[:0]), seed)
        return outputs(trained.network, unseen, tried[name])

    loss = task.loss(nn.Identity(), train).cpu()
    y = torch.from_numpy(task.target[held_out])

    def mean_loss(together: list[NDArray[np.float64]]) -> float:
        return float(loss((torch.from_numpy(task.pool(np.stack(together))).float(), y)))

    found = {name: answers(name, seed) for name in tried}
    losses = {name: mean_loss([one]) for name, one in found.items()}
    best = min(losses, key=lambda name: losses[name])
    names = [best]
    if n_members > 1:
        again = f"{best}, again"
        found[again] = answers(best, seed + 1)
        names, together = _taken(found, best, mean_loss, n_members)
        names = [best if name == again else name for name in names]
        if len(set(names)) > 1:
            losses[_TOGETHER.join(dict.fromkeys(names))] = together
    recipes = [tried[names[i % len(names)]] for i in range(n_members)]
    return Choice(recipes, names, losses)


def _taken(
    found: Mapping[str, NDArray[np.float64]],
    best: str,
    mean_loss: Callable[[list[NDArray[np.float64]]], float],
    most: int,
) -> tuple[list[str], float]:
    """Names whose outputs make the loss of the mean prediction smaller, from the best on, and that loss."""
    names, smallest = [best], mean_loss([found[best]])
    while len(names) < min(most, len(found)):
        losses = {name: mean_loss([*(found[one] for one in names), found[name]]) for name in found if name not in names}
        helps = min(losses, key=lambda name: losses[name])
        if losses[helps] >= smallest:
            break
        names, smallest = [*names, helps], losses[helps]
    return names, smallest
