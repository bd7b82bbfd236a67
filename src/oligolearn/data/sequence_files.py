"""Sequences of several files as one set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from oligolearn.data.sequences import Sequences, read_sequences


def read_sequence_files(
    paths: Sequence[str | Path], *, alphabet: str = "auto", aligned: bool | None = None
) -> Sequences:
    """Read files one after the other into one set, without what is known about each sequence.

    Parameters
    ----------
    paths
        One file or more, each as `read_sequences` takes it.
    alphabet, aligned
        As in `read_sequences`, of all.

    Returns
    -------
    Sequences
        In the order of the files. Of several, ids begin with the name of the file, ``a.fa:id``, as do the notes.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_sequences` does; or if one file is DNA and another protein, or one an alignment and another not, or not
        of as many columns.
    """
    if len(paths) == 1:
        return read_sequences(paths[0], alphabet=alphabet, aligned=aligned)
    names = _names([Path(path) for path in paths])
    parts = [read_sequences(path, alphabet=alphabet, aligned=aligned) for path in paths]
    for name, part in zip(names, parts, strict=True):
        _check_alike(names[0], parts[0], name, part)
    ids = [f"{name}:{one}" for name, part in zip(names, parts, strict=True) for one in part.ids]
    lengths = np.concatenate([part.lengths for part in parts])
    return replace(
        parts[0],
        codes=np.concatenate([part.codes for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        obs=pd.DataFrame(index=pd.Index(ids, dtype=object)),
        notes=[f"{name}: {note}" for name, part in zip(names, parts, strict=True) for note in part.notes],
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of the files, with their folders where two are called alike; a file that is given twice is refused."""
    resolved = [path.resolve() for path in paths]
    for i, path in enumerate(resolved):
        if path in resolved[:i]:
            raise ValueError(f"{paths[i]} is given twice; give each file once")
    short = [path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _check_alike(first: str, one: Sequences, name: str, other: Sequences) -> None:
    if one.alphabet.name != other.alphabet.name:
        raise ValueError(
            f"{first} was read as {one.alphabet.name} and {name} as {other.alphabet.name}; give files of one kind, or "
            "say which with --alphabet"
        )
    if one.alphabet.has_gap != other.alphabet.has_gap:
        which, not_it = (first, name) if one.alphabet.has_gap else (name, first)
        raise ValueError(f"{which} is an alignment with gaps and {not_it} is not; give files of one kind")
    if one.aligned and one.lengths[0] != other.lengths[0]:
        raise ValueError(
            f"{first} is an alignment of {one.lengths[0]:,} columns and {name} of {other.lengths[0]:,}; align them to "
            "the same columns"
        )
