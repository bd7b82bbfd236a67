"""Negatives that keep what a shuffle may not change: the counts of neighbouring letters."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oligolearn.data.sequences import Sequences


def shuffle_dinucleotides(sequences: Sequences, rng: np.random.Generator) -> Sequences:
    """Shuffle each sequence so that every pair of neighbours occurs as often as before (Altschul and Erickson 1985).

    Parameters
    ----------
    sequences
        Of any alphabet; ambiguous letters and gaps are letters like any other.
    rng
        Source of randomness.

    Returns
    -------
    Sequences
        One for each, whose id ends in ``-shuffled``; columns of `obs` are those of the original, so a label has to be
        set anew.

    Examples
    --------
    >>> from oligolearn.data import encode_sequences
    >>> shuffle_dinucleotides(encode_sequences(["ACGTACGGACTT"]), np.random.default_rng(1)).texts()
    ['ACTTACGACGGT']
    """
    parts = [shuffled_path(sequences.of(row), rng) for row in range(len(sequences))]
    names = [f"{name}-shuffled" for name in sequences.ids]
    codes = np.concatenate(parts) if parts else sequences.codes
    return replace(sequences, codes=codes, obs=sequences.obs.set_axis(names, axis=0))


def shuffled_path(codes: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one of all orders of letters that begin alike, end alike and have the same neighbours, each as likely.

    The letters are the corners of a graph with an edge for each pair of neighbours; such an order is a path along all
    edges. It is drawn by choosing which edge leaves each corner last, a random tree that leads to the last letter (by
    Wilson's random walks), and shuffling the others.

    Parameters
    ----------
    codes
        ``(length,)``.
    rng
        Source of randomness.
    """
    if len(codes) < 3:
        return codes.copy()
    letters, numbers = np.unique(codes, return_inverse=True)
    following = [numbers[1:][numbers[:-1] == letter] for letter in range(len(letters))]
    last = _tree_to(int(numbers[-1]), following, rng)
    leaving = []
    for letter, after in enumerate(following):
        order = rng.permutation(len(after))
        if letter in last:
            order = np.append(order[order != last[letter]], last[letter])
        leaving.append(iter(after[order].tolist()))
    path = [int(numbers[0])]
    for _ in range(len(codes) - 1):
        path.append(next(leaving[path[-1]]))
    return letters[path]


def _tree_to(root: int, following: list[NDArray[np.intp]], rng: np.random.Generator) -> dict[int, int]:
    """Which of its edges leads each corner towards the root: a tree, drawn uniformly (Wilson 1996)."""
    chosen: dict[int, int] = {}
    in_tree = {root}
    for start in range(len(following)):
        at, walked = start, {}
        while at not in in_tree:
            walked[at] = int(rng.integers(len(following[at])))  # a corner met again forgets the loop it began
            at = int(following[at][walked[at]])
        at = start
        while at not in in_tree:
            chosen[at] = walked[at]
            in_tree.add(at)
            at = int(following[at][walked[at]])
    return chosen
