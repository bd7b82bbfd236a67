"""Long sequences as pieces that a network can read."""

from dataclasses import replace

import numpy as np
import pandas as pd

from oligolearn.data.sequences import Sequences


def cut_into_pieces(sequences: Sequences, length: int) -> Sequences:
    """Cut sequences longer than `length` into as few pieces of about equal length as do; no letter is lost.

    Parameters
    ----------
    sequences
        Of any lengths.
    length
        Of the longest piece.

    Returns
    -------
    Sequences
        Named after the sequence and the place where the piece begins, ``chr1:2001``; what was known about a sequence
        as a whole is left out. The same object where none is longer.

    Raises
    ------
    ValueError
        If the length is below 1.

    Examples
    --------
    >>> from oligolearn.data import encode_sequences
    >>> pieces = cut_into_pieces(encode_sequences(["ACGTACG", "AC"], ids=["a", "b"]), 4)
    >>> pieces.texts(), pieces.ids
    (['ACG', 'TACG', 'AC'], ['a:1', 'a:4', 'b:1'])
    """
    if length < 1:
        raise ValueError(f"pieces have a length of at least 1, found {length}")
    lengths = sequences.lengths
    if not len(lengths) or lengths.max() <= length:
        return sequences
    n_pieces = -(-lengths // length)
    owner = np.repeat(np.arange(len(lengths)), n_pieces)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    within = number * lengths[owner] // n_pieces[owner]
    offsets = np.append(sequences.offsets[owner] + within, sequences.offsets[-1])
    ids = sequences.ids
    names = [f"{ids[row]}:{place + 1}" for row, place in zip(owner.tolist(), within.tolist(), strict=True)]
    return replace(sequences, offsets=offsets, obs=pd.DataFrame(index=pd.Index(names, dtype=object)))
